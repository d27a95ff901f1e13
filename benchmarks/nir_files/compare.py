"""NIR files as the importers of other frameworks run them, and as neurosam does: every output of every step.

python benchmarks/nir_files/compare.py FOLDER               # with what run_importer.py and run_lava.py wrote there
python benchmarks/nir_files/compare.py FOLDER --golden      # also the vectors in tests/golden/nir
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

import neurosam as ns
from neurosam.formats.nir import load_nir

GOLDEN = Path(__file__).parents[2] / "tests" / "golden" / "nir"


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--golden", action="store_true")
    arguments = parser.parse_args()
    golden: dict[str, dict[str, Any]] = {}
    print("| framework | case | steps x samples x neurons | spikes | differ |\n|---|---|---|---|---|")
    for path in sorted(arguments.folder.glob("*.nir")):
        framework, _, case = path.stem.partition("-")
        data = np.load(path.with_suffix(".npz"))
        network = load_nir(path, source=framework, **json.loads(str(data["told"])))
        events = ns.Events.from_dense(data["x"])
        recording = ns.run(network, events, record=ns.Record(spikes=(network.output,)), backend="reference")
        spikes = recording.spikes[network.output].dense().reshape(data["out"].shape)
        size = " x ".join(map(str, spikes.shape[:2])) + f" x {spikes[0, 0].size}"
        differ = int((spikes != data["out"]).sum())
        print(f"| {framework} {data['version']} | {case} | {size} | {int(data['out'].sum())} | {differ} |", flush=True)
        if not case.startswith(("file", "module")):
            golden.setdefault(framework, {"version": data["version"]})[case] = data["out"].astype(np.uint8)
    if arguments.golden:
        GOLDEN.mkdir(parents=True, exist_ok=True)
        for framework, outputs in golden.items():
            np.savez_compressed(GOLDEN / f"{framework}.npz", **outputs)


if __name__ == "__main__":
    main()
