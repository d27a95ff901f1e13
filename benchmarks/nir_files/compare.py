"""NIR files as the importers of other frameworks run them, and as neurosam does: every output of every step.

python compare.py FOLDER        # with what run_importer.py wrote there
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

import neurosam as ns
from neurosam.formats.nir import load_nir


def main(folder: Path) -> None:
    """Print a table."""
    print("| framework | version | case | steps x samples x neurons | spikes | differ |\n|---|---|---|---|---|---|")
    for path in sorted(folder.glob("*.nir")):
        framework, _, case = path.stem.partition("-")
        data = np.load(path.with_suffix(".npz"))
        network = load_nir(path, source=framework, **json.loads(str(data["told"])))
        events = ns.Events.from_dense(data["x"])
        recording = ns.run(network, events, record=ns.Record(spikes=(network.output,)), backend="reference")
        spikes = recording.spikes[network.output].dense().reshape(data["out"].shape)
        size = " x ".join(map(str, spikes.shape[:2])) + f" x {spikes[0, 0].size}"
        differ = int((spikes != data["out"]).sum())
        print(
            f"| {framework} | {data['version']} | {case} | {size} | {int(data['out'].sum())} | {differ} |", flush=True
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
