"""PilotNet as lava-dl's Loihi 2 hardware test has it: every recorded current, membrane and spike against a run here.

    python benchmarks/interop/pilotnet.py [FOLDER]

`FOLDER` holds ``network.net``, ``image.npy`` and the recordings, from lava-dl's repository (its folder
``tests/lava/lib/dl/netx/gts/pilotnet_lif``); by default ``loihi2-pilotnet`` below the folder that ``NEUROSAM_DATA``
names. lava-dl's ``test_hdf5_nx.py`` asserts on a Loihi 2 that the chip's currents equal these recordings. Exit status 1
if a value differs.

Recordings are (W, H, C, T) or (N, T), 24 steps long; layer i starts at step i, and every layer is reset after 16 steps.
``-u`` are currents, ``-v`` membranes, both in 64ths of the unit of weights; spikes have no suffix. Two things are known
to differ, and are counted apart: a membrane reads 128 there after a spike of its own, and 0 here, where it is reset at
once; and ``fc-3`` is the recording of another run, since its currents do not follow from the spikes of ``fc-2``.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

import neurosam as ns
from neurosam.formats.netx import load_netx

LAYERS = ("input", *(f"conv-{i}" for i in range(5)), *(f"fc-{i}" for i in range(3)))
FOREIGN = "fc-3"
STEPS = 16
AFTER_SPIKE = 128

Values = npt.NDArray[Any]


class Row(NamedTuple):
    """A layer: how many values were compared and differ; membranes that read 128 after a spike, and 0 here."""

    layer: str
    shape: tuple[int, ...]
    spikes: int
    currents: int
    membranes: int
    differ: int
    after_spike: int

    @property
    def compared(self) -> int:
        """All values of the layer."""
        return self.spikes + self.currents + self.membranes


def compare(folder: Path, backend: str = "event") -> list[Row]:
    """Run the network on the image and compare all layers but the last one, in the order of the file."""
    network, recording = run(folder, backend)
    rows = []
    for number, (layer, population) in enumerate(zip(LAYERS, network.populations[1:], strict=False)):
        name = population.name
        pairs: dict[str, tuple[Values, Values]] = {}
        for suffix, values in (
            ("", recording.spikes[name].dense()), ("-u", recording.current[name]), ("-v", recording.membrane[name]),
        ):  # fmt: skip
            if (path := folder / f"{layer}{suffix}.npy").exists():
                pairs[suffix] = (recorded(path, number), values[:, 0])
        differ = {suffix: theirs != ours for suffix, (theirs, ours) in pairs.items()}
        known = np.zeros(1, dtype=bool)
        if "-v" in pairs:
            theirs, ours = pairs["-v"]
            known = (theirs == AFTER_SPIKE) & (ours == 0) & (recording.spikes[name].dense()[:, 0] > 0)
            differ["-v"] &= ~known
        compared = [pairs[suffix][0].size if suffix in pairs else 0 for suffix in ("", "-u", "-v")]
        wrong = sum(int(d.sum()) for d in differ.values())
        rows.append(Row(layer, population.shape, *compared, wrong, int(known.sum())))
    return rows


def run(folder: Path, backend: str = "event") -> tuple[ns.Network, ns.Recording]:
    """The network, and its recording of 16 steps: the image is the input of every step."""
    network = load_netx(folder / "network.net", currents=True)
    image = np.load(folder / "image.npy").transpose(2, 1, 0)  # from (W, H, C)
    events = ns.Events.from_dense(np.broadcast_to(image, (STEPS, 1, *image.shape)))
    return network, ns.run(network, events, backend, record=ns.Record.everything(network))


def recorded(path: Path, first: int) -> Values:
    """A recording from step `first` on, as (T, C, H, W) or (T, N)."""
    values = np.moveaxis(np.load(path), -1, 0)[first : first + STEPS]
    out: Values = values.transpose(0, 3, 2, 1) if values.ndim == 4 else values
    return out


def foreign(folder: Path) -> tuple[int, int]:
    """Currents of fc-3 that differ from those which the recorded spikes of fc-2 give, and how many there are."""
    synapse = load_netx(folder / "network.net").projections[-1]
    weight = synapse.synapse.weight.astype(np.int64) << synapse.exponent
    spikes = recorded(folder / "fc-2.npy", 8).astype(np.int64)
    currents = recorded(folder / f"{FOREIGN}-u.npy", 9)
    return int((spikes @ weight.T * 64 != currents).sum()), currents.size


def main() -> int:
    """Print the table."""
    base = os.environ.get("NEUROSAM_DATA") or Path(__file__).parents[3] / "shared" / "data"
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(base) / "loihi2-pilotnet"
    if not (folder / "network.net").exists():
        print(f"{folder} has no network.net; give the folder with lava-dl's pilotnet_lif (see the head of this file)")
        return 2
    rows = compare(folder)
    print("| layer | shape | spikes | currents | membranes | differ | 128 after a spike |")
    print("|---|---|---|---|---|---|---|")
    for row in rows:
        counts = (f"{n:,}" if n else "not recorded" for n in (row.spikes, row.currents, row.membranes))
        shape = " x ".join(map(str, row.shape))
        print(f"| {row.layer} | {shape} | {' | '.join(counts)} | {row.differ} | {row.after_spike:,} |")
    differ, total = sum(row.differ for row in rows), sum(row.compared for row in rows)
    print(f"\n{total:,} values compared, {differ} differ")
    wrong, currents = foreign(folder)
    print(f"{FOREIGN}: {wrong} of its {currents} recorded currents do not follow from the recorded spikes of fc-2")
    return int(differ > 0)


if __name__ == "__main__":
    sys.exit(main())
