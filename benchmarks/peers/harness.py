"""What the scripts of all peers share: the command line, the timing loop, and the line that says what was measured.

    python run_PEER.py CASE.npz [--threads 2] [--repeats 5]     one JSON line: times, spikes by layer, memory
    python run_PEER.py CASE.npz --turns                         one turn for each line of standard input: see compare.py

A script gives `main` a function that builds the network and returns another, which runs it once from rest and returns
the spikes of every layer. Needs NumPy alone, and Python 3.8.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import time
from collections.abc import Callable, Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any

TURN_S = 0.2
"""A turn runs as often as fits into this time, at least once; its time is the median."""


class CannotExpress(Exception):
    """The peer has no way to say this case: which part, and why."""


class Clocked(dict):
    """Spikes by layer, with the seconds by the simulator's own clock, where a run is more than the simulation."""

    def __init__(self, spikes: dict[str, int], time_s: float) -> None:
        super().__init__(spikes)
        self.time_s = time_s


def main(build: Callable[[Any, int], Callable[[], dict[str, int]]], package: str, precision: str, **about: str) -> None:
    """Build, run once to warm up, then run and report.

    Parameters
    ----------
    build : function of (PlainCase, threads)
        Returns the function that runs the case once. It imports the peer, so that the threads are set before.
    package : str
        Distribution whose version is reported.
    precision : str
        Of the arithmetic: "float32", "int8 weights", ...
    **about : str
        ``like``: which of neurosam's scripts has the same spikes; "neurosam_float" if not given. ``version``: where the
        package is not this interpreter's.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("case", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--turns", action="store_true")
    options = parser.parse_args()
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
        os.environ[name] = str(options.threads)
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # a peer that waits for its turn leaves the cores alone
    tell = _private_output()
    from casefile import read

    case = read(options.case)
    about = {"like": "neurosam_float", **about, "case": case.name, "package": package, "precision": precision}
    about["version"] = about.get("version") or version(package)
    start = time.perf_counter()
    try:
        run = build(case, options.threads)
    except CannotExpress as reason:
        return tell({**about, "cannot": str(reason)})
    build_s = time.perf_counter() - start
    warm_up_s, _ = _timed(run)
    if options.turns:
        tell({**about, "ready": True})
    turns: Iterable[Any] = sys.stdin if options.turns else range(options.repeats)
    times, spikes = [], {}
    for _ in turns:
        time_s, spikes = _turn(run)
        times.append(time_s)
        if options.turns:
            tell({"time_s": time_s})
    return tell(
        {
            **about, "threads": options.threads, "note": getattr(run, "note", ""),
            "build_s": build_s, "warm_up_s": warm_up_s, "times_s": times, "spikes": spikes, "peak_rss_MB": _peak_rss(),
        }
    )  # fmt: skip


def named(run: Callable[[], dict[str, int]], note: str) -> Callable[[], dict[str, int]]:
    """The same function, with a word on how it runs for the report."""
    run.note = note  # type: ignore[attr-defined]
    return run


def _turn(run: Callable[[], dict[str, int]]) -> tuple[float, dict[str, int]]:
    times, end = [], time.perf_counter() + TURN_S
    while not times or time.perf_counter() < end:
        time_s, spikes = _timed(run)
        times.append(time_s)
    return sorted(times)[len(times) // 2], spikes


def _timed(run: Callable[[], dict[str, int]]) -> tuple[float, dict[str, int]]:
    start = time.perf_counter()
    spikes = run()
    time_s = time.perf_counter() - start
    return getattr(spikes, "time_s", time_s), spikes


def _private_output() -> Callable[[dict[str, Any]], None]:
    """Standard output for our lines alone; what the peer prints goes to standard error."""
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def tell(line: dict[str, Any]) -> None:
        out.write(json.dumps(line) + "\n")
        out.flush()

    return tell


def _peak_rss() -> int:
    """MB of this process at most, or of the largest of its children if that is larger; Linux counts in KiB.

    `ru_maxrss` of a new process is that of the one that started it, so that Linux is asked for the peak since then.
    """
    unit = 1 if sys.platform == "darwin" else 1024
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    status = Path("/proc/self/status")
    if status.exists():
        own = next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    return max(own, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss) * unit // 10**6
