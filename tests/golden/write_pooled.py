"""Writes golden files of version 3 of the format: neurons behind a pool, and a run of them.

    PYTHONPATH=tests python tests/golden/write_pooled.py

Every later version reads them (tests/hdf5/test_version3.py). In pooled-fixed are network.h5, events.h5 and
recording.h5, in pooled-float network.h5. Rewriting them must change no file as long as a step stays what it is.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import neurosam as ns

__all__ = ["events", "network"]

HERE = Path(__file__).parent


def network(fixed: bool) -> ns.Network:
    """Windows that tile, and windows that overlap and have a border; the second population drives itself."""
    rng = np.random.default_rng(4)

    def weight(*shape: int) -> Any:
        whole = rng.integers(-100, 128, shape)
        return whole if fixed else whole / 64

    first: Any = ns.FixedLIF(410, 90) if fixed else ns.LIF(0.9, 1.5)
    second: Any = ns.FixedLIF(0, 150, current_decay=2048) if fixed else ns.LIF(1.0, 2.5, current_leak=0.5)
    loop = ns.Sparse.from_dense(np.where(rng.random((32, 8)) < 0.2, weight(32, 8), 0), (2, 4, 4))
    return ns.Network(
        [
            ns.Population("in", (1, 10, 9)),
            ns.Population("a", (3, 4, 4), first, pool=ns.MaxPool2d(2)),
            ns.Population("b", (2, 2, 2), second, pool=ns.MaxPool2d(3, stride=2, padding=1)),
            ns.Population("out", (3,), ns.FixedReadout() if fixed else ns.Readout()),
        ],
        [
            ns.Projection("in", "a", ns.Conv2d(weight(3, 1, 3, 2))),
            ns.Projection("a", "b", ns.Conv2d(weight(2, 3, 3, 3), padding=1), exponent=-1 if fixed else 0),
            ns.Projection("b", "b", loop, delay=2),
            ns.Projection("b", "out", ns.Dense(weight(3, 8))),
        ],
        metadata={"purpose": "golden file of version 3"},
    ).with_sam()


def events() -> ns.Events:
    """Spikes of two samples in nine steps."""
    return ns.Events.from_dense((np.random.default_rng(5).random((9, 2, 1, 10, 9)) < 0.3).astype(np.uint8))


def main() -> None:
    for fixed, name in ((True, "pooled-fixed"), (False, "pooled-float")):
        (HERE / name).mkdir(exist_ok=True)
        network(fixed).save(HERE / name / "network.h5")
    folder, net = HERE / "pooled-fixed", network(True)
    events().save(folder / "events.h5")
    recording = ns.run(net, events(), "reference", ns.Record.everything(net))
    replace(recording, time_s=0.0).save(folder / "recording.h5")


if __name__ == "__main__":
    main()
