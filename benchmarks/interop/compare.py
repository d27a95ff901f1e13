"""Bring networks of other frameworks as they are, and hold every spike against the framework's own.

    python benchmarks/interop/compare.py                          # all frameworks, and the pages in docs/bring
    python benchmarks/interop/compare.py --frameworks norse       # the other rows stay as they are

Each framework gets an environment of its own under --work, as the peers do (benchmarks/peers/environments.py), in which
this checkout is installed without its dependencies. The first run builds the environments: gigabytes, and minutes.
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
from tables import markdown

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]


def frameworks() -> list[str]:
    """Names of the scripts next to this one."""
    return sorted(path.stem[4:] for path in HERE.glob("run_*.py"))


def main() -> None:
    """Run, compare, and write results.json and results.md; exit status 1 if a spike or a page differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frameworks", default=",".join(frameworks()), help="comma-separated (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=HERE, help="folder for the results")
    parser.add_argument("--work", type=Path, default=Path(".venv-peers"), help="folder for environments and runs")
    options = parser.parse_args()
    names = options.frameworks.split(",")
    if unknown := set(names) - set(frameworks()):
        parser.error(f"unknown: {', '.join(sorted(unknown))}; allowed: {', '.join(frameworks())}")
    options.work.mkdir(parents=True, exist_ok=True)
    path = options.out / "results.json"
    results = json.loads(path.read_text()) if path.exists() else {}
    right = True
    for name in names:
        try:
            python = environment(name, options.work)
            results[name] = run(python, name, options.work / f"interop-{name}.json")
            page = page_runs(python, name)
        except Skip as reason:
            print(f"{name}: {reason}")
            right = False
            continue
        print(f"{name}: {summary(results[name])}; docs/bring/{name}.md: {page}")
        right &= page == "runs" and all(row.get("differ") == 0 for row in results[name]["rows"])
        write_text(path, in_lines(results))
        write_text(options.out / "results.md", markdown(results))
    raise SystemExit(not right)


def environment(name: str, work: Path) -> list[str]:
    """The interpreter of a framework's environment, with this checkout in it.

    Raises
    ------
    Skip
        If it cannot be installed.
    """
    python = command(HERE / f"run_{name}.py", work)[:-1]
    where = [*python, "-I", "-c", "import neurosam; print(neurosam.__file__)"]  # -I: not from the current folder
    done = subprocess.run(where, capture_output=True, text=True)
    if done.stdout.strip() != os.fspath(ROOT / "neurosam" / "__init__.py"):
        install = ["-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-deps", "--editable", "."]
        done = subprocess.run([*python, *install], cwd=ROOT, capture_output=True, text=True)
        if done.returncode:
            raise Skip(f"cannot install neurosam: {(done.stderr.strip().splitlines() or ['no message'])[-1]}")
    return python


def run(python: list[str], name: str, out: Path) -> dict[str, Any]:
    """Rows of a framework's script.

    Raises
    ------
    Skip
        If it fails as a whole.
    """
    done = subprocess.run([*python, os.fspath(HERE / f"run_{name}.py"), os.fspath(out)], capture_output=True, text=True)
    if done.returncode:
        raise Skip(f"failed: {(done.stderr.strip().splitlines() or ['no message'])[-1]}")
    rows: dict[str, Any] = json.loads(out.read_text())
    return rows


def page_runs(python: list[str], name: str) -> str:
    """Whether the code of the framework's page in the documentation runs, and gives what the page says."""
    page = ROOT / "docs" / "bring" / f"{name}.md"
    done = subprocess.run([*python, "-m", "doctest", os.fspath(page)], capture_output=True, text=True, cwd=ROOT)
    return "runs" if done.returncode == 0 else "FAILS\n" + (done.stdout or done.stderr)


def in_lines(results: dict[str, Any]) -> str:
    """JSON with one line per network."""
    parts = []
    for name in sorted(results):
        about = {key: value for key, value in results[name].items() if key != "rows"}
        rows = ",\n".join(json.dumps(row) for row in results[name]["rows"])
        parts.append(f'{json.dumps(name)}: {json.dumps(about)[:-1]}, "rows": [\n{rows}\n]}}')
    return "{\n" + ",\n".join(parts) + "\n}\n"


def summary(about: dict[str, Any]) -> str:
    """Networks, spikes, and spikes that differ."""
    done = [row for row in about["rows"] if "differ" in row]
    failed = [row["network"] for row in about["rows"] if "differ" not in row]
    text = f"{len(done)} networks, {sum(r['spikes'] for r in done)} spikes, {sum(r['differ'] for r in done)} differ"
    return text + (f"; failed: {', '.join(failed)}" if failed else "")


if __name__ == "__main__":
    main()
