"""Compare peers on the same network and input, interleaved with neurosam's event back end and the fastest PyTorch.

    python benchmarks/peers/compare.py                               # all peers, all cases: about an hour
    python benchmarks/peers/compare.py --peers brian2,brainevent --cases sparse10k

Needs neurosam with torch. Each peer gets an environment of its own under --work (with uv if available, otherwise with
venv and pip). A peer that cannot be installed or cannot express a case gets a row with the reason. A turn runs `event`,
`PyTorch` and the peer, in this order; a ratio is the median of the ratios within a turn. Rows of earlier runs on the
same machine stay in results.json until they are measured again.
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
"""Scripts that run in every turn."""
CASES = ("conv32", "vgg11-64", "sparse10k")
"""Cases that a case file can express; `demo` cannot be, since it has sum pooling and a readout."""


def peers() -> list[str]:
    """Names of the scripts next to this one, without those in `BASE`."""
    return sorted({path.stem[4:] for path in HERE.glob("run_*.py")} - set(BASE))


def main() -> None:
    """Measure, then write results.json and results.md."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", default=",".join(peers()), help="comma-separated (default: %(default)s)")
    parser.add_argument("--cases", default=",".join(CASES), help="comma-separated (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5, help="turns of each peer")
    parser.add_argument("--limit", type=float, default=600, help="seconds that a peer may take for each answer")
    parser.add_argument("--out", type=Path, default=HERE, help="folder for the results")
    parser.add_argument("--work", type=Path, default=Path(".venv-peers"), help="folder for environments and case files")
    options = parser.parse_args()
    peer_names, case_names = options.peers.split(","), options.cases.split(",")
    for requested, allowed in ((peer_names, peers()), (case_names, list(CASES))):
        if unknown := set(requested) - set(allowed):
            parser.error(f"unknown: {', '.join(sorted(unknown))}; allowed: {', '.join(allowed)}")
    options.work.mkdir(parents=True, exist_ok=True)
    results = earlier(options.out / "results.json", {"machine": processor(), "threads": options.threads})
    columns = TextColumn("{task.description}"), TimeElapsedColumn()
    with Progress(*columns, transient=True) as progress:
        task = progress.add_task("")
        for name in case_names:
            progress.update(task, description=f"{name}: thresholds")
            file = case_file(name, options.work)
            for peer in peer_names:
                progress.update(task, description=f"{name}: {peer}")
                row = measure(peer, file, options)
                results["rows"] = [r for r in results["rows"] if (r["case"], r["peer"]) != (name, peer)]
                results["rows"].append({"case": name, "peer": peer, "date": today(), **row})
                write_text(options.out / "results.json", json.dumps(results, indent=1) + "\n")
                write_text(options.out / "results.md", markdown(results))
                outcome = row.get("skipped") or f"{statistics.median(row['ratio']):.1f} times as long as event"
                progress.console.print(f"{name}: {peer}: {outcome}", highlight=False)


def case_file(name: str, folder: Path) -> Path:
    """Return the file of a case, which is written once for each version of the cases."""
    digest = hashlib.sha256(b"".join(Path(p).read_bytes() for p in (cases.__file__, HERE / "convert.py"))).hexdigest()
    path = folder / f"{name}-{digest[:8]}.npz"
    if not path.exists():
        incomplete = folder / f"{name}-incomplete.npz"
        save(plain(cases.CASES[name]()), incomplete)
        incomplete.replace(path)
    return path


def measure(peer: str, file: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Run one peer on one case; return the reports of the three scripts and the ratios of their times."""
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
    """Load earlier results of the same machine and threads, or start without any."""
    try:
        results = json.loads(path.read_text())
    except FileNotFoundError:
        results = {}
    same = all(results.get(key) == value for key, value in machine.items())
    return dict(results) if same else {**machine, "rows": []}


def today() -> str:
    """Today's date in UTC."""
    return datetime.now(timezone.utc).date().isoformat()


if __name__ == "__main__":
    main()
