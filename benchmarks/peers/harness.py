"""Shared by the scripts of all peers: the command line, the timing loop, and the report in one line of JSON.

    python run_PEER.py CASE.npz [--threads 2] [--repeats 5]     one line of JSON: times, spikes by layer, memory
    python run_PEER.py CASE.npz --turns                         one turn per line of standard input; see compare.py

A script passes `main` a function that builds the network and returns another function, which runs it once from rest and
returns the spikes of every layer. Needs only NumPy and Python 3.8.
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
"""A turn repeats the run as often as fits into this time, at least once, and reports the median."""


class CannotExpress(Exception):
    """The peer cannot express the case; the message says which part, and why."""


def require_chain(case: Any) -> None:
    """Raise CannotExpress for a recurrent case; dense libraries would multiply a matrix of 10^8 weights per step."""
    if case.recurrent:
        raise CannotExpress("no sparse recurrent layer; a dense one would have 10^8 weights")


class Clocked(dict):
    """Spikes by layer, with the time by the simulator's own clock, if a run is more than the simulation."""

    def __init__(self, spikes: dict[str, int], time_s: float) -> None:
        super().__init__(spikes)
        self.time_s = time_s


def main(build: Callable[[Any, int], Callable[[], dict[str, int]]], package: str, precision: str, **about: str) -> None:
    """Build, run once to warm up, then run and report.

    Parameters
    ----------
    build : function of (PlainCase, threads)
        Returns the function that runs the case once. It imports the peer, so that threads are set before that.
    package : str
        Distribution whose version is reported.
    precision : str
        Precision of the arithmetic: "float32", "int8 weights", ...
    **about : str
        ``like``: the script of neurosam that has the same spikes; "neurosam_float" if not given. ``version``: version
        of the package if it is not installed in this interpreter.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("case", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--turns", action="store_true")
    options = parser.parse_args()
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS", "NPROC"):
        os.environ[name] = str(options.threads)
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # a peer that waits for its turn must not spin
    write_line = _private_output()
    from casefile import read

    case = read(options.case)
    about = {"like": "neurosam_float", **about, "case": case.name, "package": package, "precision": precision}
    about["version"] = about.get("version") or version(package)
    start = time.perf_counter()
    try:
        run = build(case, options.threads)
    except CannotExpress as reason:
        return write_line({**about, "cannot": str(reason)})
    build_s = time.perf_counter() - start
    warm_up_s, _ = _timed(run)
    if options.turns:
        write_line({**about, "ready": True})
    turns: Iterable[Any] = sys.stdin if options.turns else range(options.repeats)
    times, spikes = [], {}
    for _ in turns:
        time_s, spikes = _turn(run)
        times.append(time_s)
        if options.turns:
            write_line({"time_s": time_s})
    return write_line(
        {
            **about, "threads": options.threads, "note": getattr(run, "note", ""),
            "build_s": build_s, "warm_up_s": warm_up_s, "times_s": times, "spikes": spikes, "peak_rss_MB": _peak_rss(),
        }
    )  # fmt: skip


def named(run: Callable[[], dict[str, int]], note: str) -> Callable[[], dict[str, int]]:
    """Attach a note for the report to the function."""
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
    """Reserve standard output for our lines; output of the peer goes to standard error."""
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def write_line(line: dict[str, Any]) -> None:
        out.write(json.dumps(line) + "\n")
        out.flush()

    return write_line


def _peak_rss() -> int:
    """Peak memory of this process, or of its largest child if that is larger, in MB.

    On Linux, where `ru_maxrss` is in KiB, a new process inherits the value of its parent, so VmHWM is used instead.
    """
    unit = 1 if sys.platform == "darwin" else 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    status = Path("/proc/self/status")
    if status.exists():
        peak = next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    return max(peak, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss) * unit // 10**6
