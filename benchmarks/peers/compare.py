"""Peers side by side: the same network and input, in turns with neurosam's event back end and the best PyTorch.

    python benchmarks/peers/compare.py                               # all peers, all cases: about an hour
    python benchmarks/peers/compare.py --peers brian2,brainevent --cases sparse10k

Needs neurosam with torch. Each peer gets an environment of its own under --work (by uv if there is one, else venv and
pip); one that cannot be had, or cannot express a case, is a row that says why. A turn is `event`, `PyTorch`, peer, in
this order; a ratio is the median of the ratios within a turn. Rows of earlier runs on the same machine stay in
results.json until they are measured again.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import statistics
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from rich.progress import Progress, TextColumn, TimeElapsedColumn

from casefile import save
from convert import plain
from environments import Skip, command
from neurosam._util.atomic_write import write_text
from neurosam_bench import cases
from neurosam_bench.limits import processor
from page import markdown
from turns import Runner

HERE = Path(__file__).resolve().parent
BASE = ("neurosam", "pytorch")
"""They run in every turn."""
CASES = ("conv32", "vgg11-64", "sparse10k")
"""Those that the plain form can say: the demonstration sums its spikes in windows and has a readout."""


def peers() -> list[str]:
    """Names of the scripts beside this one, without those of `BASE`."""
    return sorted({path.stem[4:] for path in HERE.glob("run_*.py")} - set(BASE))


def main() -> None:
    """Measure, then write results.json and results.md."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", default=",".join(peers()), help="comma-separated (default: %(default)s)")
    parser.add_argument("--cases", default=",".join(CASES), help="comma-separated (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5, help="turns of each")
    parser.add_argument("--limit", type=float, default=600, help="seconds for each answer of a peer")
    parser.add_argument("--out", type=Path, default=HERE, help="folder of the results")
    parser.add_argument("--work", type=Path, default=Path(".venv-peers"), help="folder of environments and case files")
    options = parser.parse_args()
    wanted, names = options.peers.split(","), options.cases.split(",")
    for given, known in ((wanted, peers()), (names, list(CASES))):
        if unknown := set(given) - set(known):
            parser.error(f"unknown: {', '.join(sorted(unknown))}; known are {', '.join(known)}")
    options.work.mkdir(parents=True, exist_ok=True)
    results = earlier(options.out / "results.json", {"machine": processor(), "threads": options.threads})
    columns = TextColumn("{task.description}"), TimeElapsedColumn()
    with Progress(*columns, transient=True) as progress:
        task = progress.add_task("")
        for name in names:
            progress.update(task, description=f"{name}: thresholds")
            file = case_file(name, options.work)
            for peer in wanted:
                progress.update(task, description=f"{name}: {peer}")
                row = measure(peer, file, options)
                results["rows"] = [r for r in results["rows"] if (r["case"], r["peer"]) != (name, peer)]
                results["rows"].append({"case": name, "peer": peer, "date": today(), **row})
                write_text(options.out / "results.json", json.dumps(results, indent=1) + "\n")
                write_text(options.out / "results.md", markdown(results))
                said = row.get("skipped") or f"{statistics.median(row['ratio']):.1f} times as long as event"
                progress.console.print(f"{name}: {peer}: {said}", highlight=False)


def case_file(name: str, folder: Path) -> Path:
    """The file of a case; made once for each version of the cases."""
    digest = hashlib.sha256(b"".join(Path(p).read_bytes() for p in (cases.__file__, HERE / "convert.py"))).hexdigest()
    path = folder / f"{name}-{digest[:8]}.npz"
    if not path.exists():
        beside = folder / f"{name}-incomplete.npz"
        save(plain(cases.CASES[name]()), beside)
        beside.replace(path)
    return path


def measure(peer: str, file: Path, options: argparse.Namespace) -> dict[str, Any]:
    """One peer on one case: the reports of the three scripts, and the times of the peer over the event back end's."""
    runners: dict[str, Runner] = {}
    try:
        for name in (*BASE, peer):
            start = command(HERE / f"run_{name}.py", options.work)
            runners[name] = Runner(start, file, options.threads, options.limit)
        for _ in range(options.repeats):
            for runner in runners.values():
                runner.turn()
        reports = {name: runner.finish() for name, runner in runners.items()}
    except Skip as reason:
        return {"skipped": str(reason)}
    finally:
        for runner in runners.values():
            runner.close()
    event = reports["neurosam"]["times_s"]
    ratios = [[t / e for t, e in zip(reports[name]["times_s"], event, strict=True)] for name in (peer, "pytorch")]
    return {"ratio": ratios[0], "pytorch_ratio": ratios[1], "reports": [reports[name] for name in (*BASE, peer)]}


def earlier(path: Path, machine: dict[str, Any]) -> dict[str, Any]:
    """Results of the same machine and threads, or none."""
    try:
        found = json.loads(path.read_text())
    except FileNotFoundError:
        found = {}
    return dict(found) if all(found.get(key) == value for key, value in machine.items()) else {**machine, "rows": []}


def today() -> str:
    """Date in UTC."""
    return datetime.now(timezone.utc).date().isoformat()


if __name__ == "__main__":
    main()
