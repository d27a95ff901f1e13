"""Hold neurosam's neurons against the frameworks' own: run their modules, then the neuron of each recipe.

    python benchmarks/neurons/compare.py                                # all frameworks: some minutes
    python benchmarks/neurons/compare.py --frameworks snntorch,norse    # the other rows stay as they are
    python benchmarks/neurons/compare.py --golden                       # also the vectors of the tests

Each framework gets an environment of its own under --work, as the peers do (benchmarks/peers/environments.py).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

sys.path.append(os.fspath(Path(__file__).resolve().parents[1] / "peers"))  # for environments

import neurosam as ns
from capture import Run, load
from environments import Skip, command
from neurosam._util.atomic_write import write_text
from neurosam.deploy.readers.rules import short
from recipes import Recipe, recipe, text
from simulate import difference, difference_in_integers, is_whole
from tables import markdown

HERE = Path(__file__).resolve().parent
BACKENDS = ("reference", "event")
GOLDEN = HERE.parents[1] / "tests" / "golden"
SMALL = ["--neurons", "5", "--steps", "40", "--last"]


def frameworks() -> list[str]:
    """Names of the scripts next to this one."""
    return sorted(path.stem[4:] for path in HERE.glob("run_*.py"))


def main() -> None:
    """Run, compare, and write results.json and results.md."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frameworks", default=",".join(frameworks()), help="comma-separated (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=HERE, help="folder for the results")
    parser.add_argument("--work", type=Path, default=Path(".venv-peers"), help="folder for environments and runs")
    parser.add_argument("--golden", action="store_true", help="rewrite the vectors in tests/golden")
    options = parser.parse_args()
    names = options.frameworks.split(",")
    if unknown := set(names) - set(frameworks()):
        parser.error(f"unknown: {', '.join(sorted(unknown))}; allowed: {', '.join(frameworks())}")
    options.work.mkdir(parents=True, exist_ok=True)
    path = options.out / "results.json"
    results = json.loads(path.read_text()) if path.exists() else {}
    for name in names:
        file = options.work / f"neurons-{name}.npz"
        try:
            record(name, options.work, file)
            results[name] = [row(run) for run in load(file)]
            if options.golden and not all(row["differs"] for row in results[name]):
                record(name, options.work, GOLDEN / file.name, *SMALL)
        except Skip as reason:
            print(f"{name}: {reason}")
            continue
        print(f"{name}: {summary(results[name])}")
        write_text(path, in_lines(results))
        write_text(options.out / "results.md", markdown(results))


def record(name: str, work: Path, file: Path, *arguments: str) -> None:
    """Run the script of a framework in its environment.

    Raises
    ------
    Skip
        If it cannot be installed, or fails.
    """
    start = command(HERE / f"run_{name}.py", work)
    done = subprocess.run([*start, os.fspath(file), *arguments], capture_output=True, text=True)
    if done.returncode:
        raise Skip(f"failed: {(done.stderr.strip().splitlines() or ['no message'])[-1]}")


def row(run: Run) -> dict[str, Any]:
    """One run: what was run, the neuron that equals it, and the difference by back end."""
    made = recipe(run.framework, run.module, run.options, run.answer.parameters)
    return {
        "framework": run.framework,
        "version": run.version,
        "module": run.module,
        "options": run.options,
        "layers": run.layers,
        "drive": run.drive.name,
        "neuron": text(made),
        "weight": short(made.weight),
        "differs": made.differs,
        "difference": {backend: asdict(difference(run, made, backend)) for backend in BACKENDS},
        "in_integers": in_integers(run, made),
    }


def in_integers(run: Run, made: Recipe) -> dict[str, Any]:
    """Spikes that differ in integers, by back end, or why quantising is refused; empty for networks of fractions."""
    if not is_whole(run, made):
        return {}
    try:
        return {backend: difference_in_integers(run, made, backend) for backend in BACKENDS}
    except ns.ExportError as error:
        return {"refused": str(error)}


def in_lines(results: dict[str, list[dict[str, Any]]]) -> str:
    """JSON with one line per run."""
    parts = [
        f"{json.dumps(name)}: [\n" + ",\n".join(json.dumps(row) for row in results[name]) + "\n]"
        for name in sorted(results)
    ]
    return "{\n" + ",\n".join(parts) + "\n}\n"


def summary(rows: list[dict[str, Any]]) -> str:
    """Runs, spikes, and spikes that differ where a recipe equals the module."""
    equal = [r["difference"]["reference"] for r in rows if not r["differs"]]
    return f"{len(equal)} runs, {sum(d['spikes'] for d in equal)} spikes, {sum(d['differ'] for d in equal)} differ"


if __name__ == "__main__":
    main()
