"""Writes the golden vectors: small networks, their input, and what lava-nc 0.10.0 did with them on its runtime.

    PYTHONPATH=tests python tests/golden/write_lava.py        (where the back end `lava` works: make lava)

They let a Python without Lava check `event` and `reference` against Lava's bits (tests/conformance/test_golden.py).
Each folder holds network.h5, events.h5 and recording.h5, of everything that the network has. These files are of version
1 of the format, and prove that it is read (tests/hdf5/test_version1.py): keep them. Rewritten, they would be of the
present version, with the same values.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

import neurosam as ns
from neurosam.errors import BackendError
from neurosam.hdf5 import save
from neurosam_hw.lava.timing import timing
from support.networks import KINDS, edge_case, random_case

HERE = Path(__file__).parent


def lively(network: ns.Network, events: ns.Events) -> bool:
    """Worth keeping: Lava can run it, every population fires, and no map is empty."""
    try:
        timing(network)
    except BackendError:
        return False
    recording = ns.run(network, events, "event", ns.Record.everything(network))
    maps = all(values.any() for values in recording.sam.values())
    return maps and all(spikes.count() > 3 for spikes in recording.spikes.values())


def tabled(network: ns.Network) -> bool:
    """Whether it has gain and offset tables."""
    return any(isinstance(p.neuron, ns.FixedLIF) and p.neuron.gain is not None for p in network.populations)


def cases() -> Iterator[tuple[str, ns.Network, ns.Events]]:
    """One of each kind, one with tables, and two at the limits of the integers: the first of many seeds that lives."""
    for kind in KINDS:
        drawn = (random_case(np.random.default_rng([77, seed]), kind) for seed in range(1000))
        yield kind, *next((n, e) for n, e in drawn if e.steps > 4 and lively(n, e))
    drawn = (random_case(np.random.default_rng([78, seed]), "chain") for seed in range(1000))
    yield "tables", *next((n, e) for n, e in drawn if e.steps > 4 and tabled(n) and lively(n, e))
    for seed in (1, 2):
        yield f"edge-{seed}", *edge_case(np.random.default_rng([79, seed]))


def main() -> None:
    for name, network, events in cases():
        folder = HERE / f"lava-{name}"
        folder.mkdir(exist_ok=True)
        recording = ns.run(network, events, "lava", ns.Record.everything(network))
        network.save(folder / "network.h5")
        save(events, folder / "events.h5")
        replace(recording, time_s=0.0).save(folder / "recording.h5")


if __name__ == "__main__":
    main()
