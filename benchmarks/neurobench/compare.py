"""NeuroBench run on snnTorch modules, and neurosam's metrics of the same modules, number by number.

    python benchmarks/neurobench/compare.py        # writes results.md; exit status 1 if a number differs unexplained

NeuroBench gets an environment of its own under --work, as the peers do (benchmarks/peers/environments.py). It is
installed there without its dependencies (torchaudio, tonic), which its data sets need and its metrics do not, and so is
this checkout. The first run builds the environment: gigabytes, and minutes.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

sys.path.append(os.fspath(Path(__file__).resolve().parents[1] / "peers"))  # for environments

from environments import Skip, command
from neurosam._util.atomic_write import write_text

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
NEUROBENCH = "neurobench==2.3.0"

LATE = "this neuron holds its membrane for a step, there at the fired value, here at 0"
EXPLAINED = {
    "Footprint": ("", "snnTorch keeps four numbers a layer, a network file what its neuron has"),
    "SynapticOperations: Effective_MACs": ("average pool", "one spike of a window is a fraction there, and 1 here"),
    "SynapticOperations: Effective_ACs": ("average pool", "likewise; both together are equal"),
    "MembraneUpdates": ("current, to zero", LATE),
    "NeuronOperations: Effective Neuron Ops": ("current, to zero", "has a refractory step here, hence no figure"),
    "NeuronOperations: Neuron Dense Ops": ("current, to zero", "likewise"),
}
"""Why a number may differ, and in which cases: those whose name has these words."""


def main() -> None:
    """Run and compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=HERE, help="folder for results.md")
    parser.add_argument("--work", type=Path, default=Path(".venv-peers"), help="folder for the environment")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    script, out = HERE / "run_neurobench.py", options.work.resolve() / "neurobench.json"
    try:
        python = environment(script, options.work.resolve())
    except Skip as reason:
        raise SystemExit(f"neurobench: {reason}") from None
    subprocess.run([*python, os.fspath(script), os.fspath(out)], check=True)
    found = json.loads(out.read_text())
    write_text(options.out / "results.md", markdown(found))
    wrong = [row for row in found["rows"] if not equal(row) and not explained(row)]
    print(f"{len(found['rows'])} numbers, {sum(map(equal, found['rows']))} equal, {len(wrong)} differ unexplained")
    for row in wrong:
        print(row)
    raise SystemExit(bool(wrong))


def environment(script: Path, work: Path) -> list[str]:
    """The interpreter of NeuroBench's environment, with this checkout in it.

    Raises
    ------
    Skip
        If it cannot be installed.
    """
    python = command(script, work)[:-1]
    where = [*python, "-I", "-c", "import neurobench, neurosam; print(neurosam.__file__)"]
    done = subprocess.run(where, capture_output=True, text=True)
    if done.stdout.strip() != os.fspath(ROOT / "neurosam" / "__init__.py"):
        pip = [*python, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-deps"]
        done = subprocess.run([*pip, NEUROBENCH, "--editable", "."], cwd=ROOT, capture_output=True, text=True)
        if done.returncode:
            raise Skip(f"cannot install: {(done.stderr.strip().splitlines() or ['no message'])[-1]}")
    return python


def equal(row: dict[str, Any]) -> bool:
    """Whether both numbers are the same; shares but for the last bits of a mean over batches."""
    theirs, ours = row["theirs"], row["ours"]
    if row["metric"] == "ActivationSparsity":
        return abs(theirs - ours) < 1e-12
    return bool(theirs == ours)


def explained(row: dict[str, Any]) -> bool:
    """Whether there is a reason for a difference."""
    return row["metric"] in EXPLAINED and EXPLAINED[row["metric"]][0] in row["case"]


def markdown(found: dict[str, Any]) -> str:
    """Format the page."""
    versions, rows = found["versions"], found["rows"]
    lines = [
        "# NeuroBench and neurosam on the same networks",
        "",
        "Written by `python benchmarks/neurobench/compare.py`. snnTorch modules in float64, as they are, through the",
        "harness of NeuroBench {neurobench} (snnTorch {snntorch}, torch {torch}), and".format(**versions),
        "`neurosam.metrics.neurobench` of the exported network: 12 steps, 6 samples in one batch and in batches of 2.",
        "",
        f"{len(rows)} numbers, of which {sum(map(equal, rows))} are equal. Those that differ:",
        "",
        "| network | batch | metric | NeuroBench | neurosam | why |",
        "|---|---:|---|---:|---:|---|",
    ]
    shown = set()
    for row in rows:
        same = (row["case"], row["metric"], str(row["theirs"]), str(row["ours"]))
        if not equal(row) and same not in shown:
            shown.add(same)
            why = EXPLAINED[row["metric"]][1] if explained(row) else "**unexplained**"
            lines.append(f"| {_head(row)} | {_text(row['theirs'])} | {_text(row['ours'])} | {why} |")
    lines += ["", "All numbers of the run in one batch, and of the files:", ""]
    lines += ["| network | batch | metric | NeuroBench | neurosam |", "|---|---:|---|---:|---:|"]
    lines += [
        f"| {_head(row)} | {_text(row['theirs'])} | {_text(row['ours'])} |" for row in rows if row["batch"] in (0, 6)
    ]
    return "\n".join(lines) + "\n"


def _head(row: dict[str, Any]) -> str:
    return f"{row['case']} | {row['batch'] or ''} | {row['metric']}"


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(_text, value))
    return "-" if value is None else f"{value:,.10g}"


if __name__ == "__main__":
    main()
