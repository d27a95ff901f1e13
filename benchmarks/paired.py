"""Whether a change made the event back end slower: the standard cases on two commits, run in turns, in one command.

    make paired BASE=main~5          or: python benchmarks/paired.py --base main~5 --cases conv32,vgg11-64 --turns 21

The base is checked out into a temporary worktree, and writes the cases: a newer version reads an older one's files, not
the other way round. A process for each commit loads the same network and input, compiles, and then both take turns, in
the order base, head, head, base, so that whatever else the machine does meets both. A turn repeats the run until it has
lasted at least TURN_S. The ratio is the median over turns of head to base, with the middle half of all ratios beside
it: 1.00 is equal, less is faster.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

ROOT = Path(__file__).parents[1]
TURN_S = 0.1
WRITE = -1
"""The number of repeats that asks for a case's files."""
WORKER = """
import json, sys, time
from pathlib import Path
import neurosam as ns
from neurosam.hdf5 import load_events, load_network
for line in sys.stdin:
    case, threads, repeats = json.loads(line)
    if repeats < 0:
        from neurosam_bench.cases import CASES
        made = CASES[Path(case).name]()
        made.network.save(case + "/network.h5")
        made.events.save(case + "/events.h5")
        print(json.dumps(0), flush=True)
        continue
    if repeats == 0:
        network, events = load_network(case + "/network.h5"), load_events(case + "/events.h5")
        for _ in range(3):
            recording = ns.run(network, events, threads=threads)
        print(json.dumps(int(sum(int(c.sum()) for c in recording.counts.values()))), flush=True)
        continue
    start = time.perf_counter()
    for _ in range(repeats):
        ns.run(network, events, threads=threads)
    print(json.dumps((time.perf_counter() - start) / repeats), flush=True)
"""


class Side:
    """A process that runs one checkout."""

    def __init__(self, folder: Path) -> None:
        paths = os.pathsep.join(str(folder / part) for part in ("", "hw", "benchmarks"))
        self.process = subprocess.Popen(
            [sys.executable, "-c", WORKER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=folder,
            env={**os.environ, "PYTHONPATH": paths}, start_new_session=True,
        )  # fmt: skip
        self.questions, self.answers = cast(IO[str], self.process.stdin), cast(IO[str], self.process.stdout)

    def __enter__(self) -> Side:
        return self

    def __exit__(self, *exception: object) -> None:
        self.process.kill()
        self.process.communicate()

    def ask(self, case: Path, threads: int, repeats: int) -> float:
        """Seconds of a run; with 0 repeats: prepare, and the number of spikes; with WRITE: write the case's files."""
        self.questions.write(json.dumps((str(case), threads, repeats)) + "\n")
        self.questions.flush()
        line = self.answers.readline()
        if not line:
            raise SystemExit("paired: a process ended before its answer; its error is above")
        return float(json.loads(line))


@contextmanager
def checkout(revision: str) -> Iterator[Path]:
    """A worktree of a commit, removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="neurosam-paired-") as folder:
        place = Path(folder) / "base"
        subprocess.run(["git", "-C", ROOT, "worktree", "add", "--quiet", "--detach", place, revision], check=True)
        try:
            yield place
        finally:
            subprocess.run(["git", "-C", ROOT, "worktree", "remove", "--force", place], check=True)


def write_case(name: str, folder: Path, base: Side) -> Path:
    """The network and the input of a standard case, as files that both commits read."""
    case = folder / name
    case.mkdir()
    base.ask(case, 0, WRITE)
    return case


def compare(case: Path, sides: tuple[Side, Side], threads: int, turns: int) -> tuple[float, float, list[float]]:
    """Median seconds of base and head, and their ratio in each turn."""
    spikes = [side.ask(case, threads, 0) for side in sides]
    if spikes[0] != spikes[1]:
        raise SystemExit(f"paired: {case.name} has {spikes[0]:.0f} spikes on the base and {spikes[1]:.0f} now")
    repeats = max(1, round(TURN_S / sides[0].ask(case, threads, 1)))
    times: tuple[list[float], list[float]] = [], []
    for turn in range(turns):
        for k in (0, 1) if turn % 2 == 0 else (1, 0):
            times[k].append(sides[k].ask(case, threads, repeats))
    ratios = [head / base for base, head in zip(*times, strict=True)]
    return statistics.median(times[0]), statistics.median(times[1]), ratios


def main() -> None:
    """Print a row for each case."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--base", required=True, help="the commit to compare with")
    parser.add_argument("--cases", default="conv32,vgg11-64,sparse10k,demo")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--turns", type=int, default=21)
    options = parser.parse_args()
    with checkout(options.base) as base, tempfile.TemporaryDirectory() as files, Side(base) as old, Side(ROOT) as new:
        print(f"| case | {options.base}, ms | now, ms | now / {options.base} | middle half |\n|---|---|---|---|---|")
        for name in options.cases.split(","):
            first, second, ratios = compare(
                write_case(name, Path(files), old), (old, new), options.threads, options.turns
            )
            low, middle, high = statistics.quantiles(ratios, n=4)
            cells = f"{1e3 * first:.3g} | {1e3 * second:.3g} | {middle:.3f} | {low:.3f} to {high:.3f}"
            print(f"| {name} | {cells} |", flush=True)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("paired: interrupted")
