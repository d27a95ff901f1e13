"""``make sweeps``: 1,000 samples by 1 and 2 processes and by a Dask cluster that loses and wins a worker; random kills.

    PYTHONPATH=.:hw:benchmarks:tests python -m sweeps [--samples 1000] [--kills 20] [--seed 0]

The network is small. A worker takes PAUSE_S for a sample, so that there is a middle to be killed in, whatever the
machine. Of every sweep, its file is compared with that of one run, bit for bit, and the samples of its shards are
counted: how often a sample is in none, and how often in several. A sweep that is ended by SIGINT, SIGTERM or SIGKILL
at a random moment is started again until it is done; the signal goes to all of its processes, to the parent alone, or
to one worker. After each, no process of it may be left.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any
from uuid import uuid4

import neurosam as ns
from kills.left import MARK, Traces
from neurosam.sweep import Cluster, run_sweep
from neurosam.sweep.record import shards_of
from neurosam.sweep.shards import NAME
from support.sweeping import network
from sweeps.slow import SlowPictures, slow_pictures

SIGNALS = {"INT": signal.SIGINT, "TERM": signal.SIGTERM, "KILL": signal.SIGKILL}
STATUS = {"INT": 130, "TERM": 143, "KILL": -signal.SIGKILL}
REACH = ("all", "parent", "worker")
LIMIT_S = 900.0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m sweeps", description=__doc__.split("\n\n")[0])
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--parts", default="processes,dask,kills")
    parser.add_argument("--whole-s", type=float, help="seconds of a sweep of two processes; measured if not given")
    options = parser.parse_args()
    net, source = network(), slow_pictures(options.samples)
    record = ns.Record.everything(net)
    plain = ns.run(net, source.inputs(net), record=record)
    faults = 0
    with tempfile.TemporaryDirectory(prefix="sweeps-") as folder:
        work = Path(folder)
        parts, whole_s = options.parts.split(","), options.whole_s or 0.0
        for jobs in (1, 2) if "processes" in parts else () if whole_s else (2,):  # kills need the time of the second
            whole_s, found = _by_processes(work / f"{jobs}.h5", jobs, options.samples, plain)
            faults += _said(f"{jobs} processes", whole_s, found)
        if "dask" in parts:
            found_s = _by_dask(work / "dask.h5", net, source, record, plain)
            faults += _said("3 Dask workers, 1 killed, 1 added", *found_s)
        if "kills" in parts:
            rng = random.Random(options.seed)
            faults += _killed(work, options.samples, whole_s, options.kills, rng, plain)
    return 1 if faults else 0


def started(out: Path, jobs: int, samples: int, mark: str = "") -> subprocess.Popen[bytes]:
    """A sweep as a program in a session of its own, with SIGINT as a terminal gives it; a shell's "&" ignores it."""
    paths = os.pathsep.join(os.path.abspath(path) for path in sys.path if path)
    environment = {**os.environ, "PYTHONPATH": paths, MARK: mark}
    arguments = [sys.executable, "-m", "sweeps.slow", str(out), str(jobs), str(samples)]
    return subprocess.Popen(
        arguments, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        start_new_session=True, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip


def _by_processes(out: Path, jobs: int, samples: int, plain: ns.Recording) -> tuple[float, list[str]]:
    began = time.monotonic()
    process = started(out, jobs, samples)
    said = process.communicate(timeout=LIMIT_S)[1]
    if process.returncode:
        return 0.0, [f"status {process.returncode}: {said[-200:].decode(errors='replace')}"]
    return time.monotonic() - began, _faults(out, plain)


def _by_dask(
    out: Path, net: ns.Network, source: SlowPictures, record: ns.Record, plain: ns.Recording
) -> tuple[float, list[str]]:
    """A cluster of 3 workers; when a third of the samples is done one is killed, at two thirds one is added."""
    import logging

    from distributed import LocalCluster

    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    began = time.monotonic()
    with LocalCluster(n_workers=3, threads_per_worker=1, dashboard_address=None, silence_logs=50) as cluster:
        happened: list[str] = []

        def tick(done: int, total: int) -> None:
            if not happened and done > total / 3:
                happened.append("killed")
                victim: Any = next(iter(cluster.workers.values()))
                victim.auto_restart = False
                os.kill(victim.process.pid, signal.SIGKILL)
            elif len(happened) == 1 and done > 2 * total / 3:
                happened.append("added")
                cluster.scale(4)

        run_sweep(net, source, out, Cluster(cluster.scheduler_address), record, progress=tick)
        faults = [] if happened == ["killed", "added"] else [f"only {happened}"]
    return time.monotonic() - began, faults + _faults(out, plain)


def _killed(work: Path, samples: int, whole_s: float, kills: int, rng: random.Random, plain: ns.Recording) -> int:
    """Sweeps that are ended at random moments until `kills` signals have been sent, each resumed to its end."""
    sent, faults, sweeps = 0, 0, 0
    counts = Counter[str]()
    while sent < kills:
        out = work / f"killed-{sweeps}.h5"
        sweeps += 1
        while not out.exists():
            traces = Traces(mark := uuid4().hex, work, work / "none")
            process = started(out, 2, samples, mark)
            name, reach = rng.choice(list(SIGNALS)), rng.choice(REACH)
            aimed = sent < kills and _wait(process, rng.uniform(0.1, 0.9) * whole_s)
            hit = aimed and _send(process, traces, SIGNALS[name], reach)
            said = process.communicate(timeout=LIMIT_S)[1].decode(errors="replace")
            if hit:
                sent += 1
                counts[f"{name} {reach}"] += 1
            problems = _judged(process.returncode, said, name, reach if hit else "", traces, out)
            done, twice = _counted(shards_of(out))
            what = f"{name} to {reach}" if hit else "left alone"
            _say(f"  sweep {sweeps}: {what}, status {process.returncode}, {samples if out.exists() else done} of "
                 f"{samples} samples, {twice} in several shards")  # fmt: skip
            faults += _said(f"sweep {sweeps}", None, problems)
        faults += _said(f"sweep {sweeps}, {sent} kills so far", None, _faults(out, plain))
    each = ", ".join(f"{number} {what}" for what, number in sorted(counts.items()))
    _say(f"{sent} kills ({each}) of {sweeps} sweeps: {faults} faults")
    return faults


def _wait(process: subprocess.Popen[bytes], seconds: float) -> bool:
    """Whether the process still runs then."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and process.poll() is None:
        time.sleep(0.05)
    return process.poll() is None


def _send(process: subprocess.Popen[bytes], traces: Traces, number: int, reach: str) -> bool:
    """Send a signal to all processes of a sweep, to its parent, or to a worker; whether there was one."""
    if reach == "all":
        os.killpg(process.pid, number)
        return True
    if reach == "parent":
        process.send_signal(number)
        return True
    workers = [pid for pid, line in traces.processes().items() if pid != process.pid and "spawn_main" in line]
    if workers:
        os.kill(workers[0], number)
    return bool(workers)


def _judged(status: int, said: str, name: str, reach: str, traces: Traces, out: Path) -> list[str]:
    """What is wrong after a signal: status, words, or what is left."""
    expected = {0} if reach in ("", "worker") else {STATUS[name], 0}
    problems = [] if status in expected else [f"status {status} after {name} to {reach or 'nobody'}: {said[-300:]}"]
    if status > 0 and len(said.splitlines()) > 1:  # after a SIGKILL, Python's resource tracker says what it removes
        problems.append(f"said {said[-300:]}")
    problems += [line for line in traces.left() if line.startswith("process")]
    if name != "KILL" or reach in ("", "worker"):
        problems += [f"left {path}" for path in out.parent.rglob(".neurosam-*")]
    return problems


def _counted(folder: Path) -> tuple[int, int]:
    """Samples that shards in a folder hold, and those that several hold."""
    found = [NAME.fullmatch(path.name) for path in folder.iterdir()] if folder.is_dir() else []
    count = Counter(sample for match in found if match for sample in range(int(match[2]), int(match[3])))
    return len(count), sum(number > 1 for number in count.values())


def _faults(out: Path, plain: ns.Recording) -> list[str]:
    """How a joined file differs from one run: samples that are lost, doubled or another's."""
    recording = ns.load_recording(out)
    if recording.samples != plain.samples:
        return [f"{recording.samples} samples, not {plain.samples}"]
    wrong = sum(
        not recording.select(at, at + 1).same_as(plain.select(at, at + 1)) for at in range(plain.samples)
    )  # fmt: skip
    faults = [f"{wrong} samples differ"] if wrong else []
    if recording.operations != plain.operations:
        faults.append("operations differ, so a sample was counted twice or never")
    return faults + (["a folder of shards is left"] if shards_of(out).exists() else [])


def _said(title: str, seconds: float | None, faults: list[str]) -> int:
    took = "" if seconds is None else f" in {seconds:.0f} s"
    if seconds is not None or faults:
        _say(f"{title}{took}: {'; '.join(faults) or 'equal to one run, bit for bit'}")
    return len(faults)


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
