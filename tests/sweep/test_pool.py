"""Processes: the same bits with any number of them, their deaths, and that none is left."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

import neurosam as ns
from neurosam.sweep import ProcessPool, run_sweep
from neurosam.sweep.chunks import Chunks
from neurosam.sweep.execution import execute
from support.sweeping import ended_once, network, pictures, pid_after, stimulus


@pytest.mark.parametrize("jobs", [1, 2])
def test_the_same_bits_with_any_number_of_processes(jobs: int, tmp_path: Path) -> None:
    net, source = network(), pictures(12)
    recording = run_sweep(net, source, tmp_path / "run.h5", ProcessPool(jobs), ns.Record.everything(net))
    assert recording.same_as(ns.run(net, stimulus().encode(source.images, 3), record=ns.Record.everything(net)))
    assert multiprocessing.active_children() == []


def test_what_a_killed_process_had_is_done_again(tmp_path: Path) -> None:
    results: dict[int, int] = {}
    work = partial(partial, ended_once, str(tmp_path / "marker"))
    execute(ProcessPool(2), Chunks([range(12)]), work, lambda c, r: results.update(zip(c, r, strict=True)), 12)
    assert (tmp_path / "marker").exists()
    assert results == {sample: 2 * sample for sample in range(12)}


PARENT = """
import sys
from functools import partial
from neurosam.cli import interrupt
from neurosam.sweep import ProcessPool
from neurosam.sweep.chunks import Chunks
from neurosam.sweep.execution import execute
from support.sweeping import pid_after

if __name__ == "__main__":
    interrupt.watch()
    try:
        work = lambda chunk: partial(pid_after, 60.0, sys.argv[1])
        execute(ProcessPool(2), Chunks([range(8)]), work, lambda *_: None, 8)
    except KeyboardInterrupt:
        sys.exit(9)
"""


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_process_outlives_its_parent(number: signal.Signals, tmp_path: Path) -> None:
    program, pids = tmp_path / "parent.py", tmp_path / "pids"
    program.write_text(PARENT)
    pids.mkdir()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(os.path.abspath(path) for path in sys.path if path)}
    with subprocess.Popen(
        [sys.executable, str(program), str(pids)], env=environment, stderr=subprocess.PIPE, start_new_session=True
    ) as process:
        wait(lambda: len(list(pids.iterdir())) == 2)
        if number == signal.SIGINT:
            os.killpg(process.pid, number)  # as a terminal does
        else:
            process.send_signal(number)
        said = process.communicate(timeout=60)[1]
    assert process.returncode == (-9 if number == signal.SIGKILL else 9)
    assert said == b"" or number == signal.SIGKILL  # then Python's resource tracker says what it removes
    wait(lambda: not any(Path(f"/proc/{path.name}").exists() for path in pids.iterdir()))


def wait(reached: Callable[[], bool], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_number_of_processes_is_required() -> None:
    with pytest.raises(ns.ArgumentError, match="jobs"):
        ProcessPool(0)


def test_work_says_who_does_it(tmp_path: Path) -> None:
    pids: set[int] = set()
    execute(
        ProcessPool(1), Chunks([range(3)], most=1), lambda _: partial(pid_after, 0.0, str(tmp_path)),
        lambda _, pid: pids.add(pid), 3,
    )  # fmt: skip
    assert len(pids) == 1
    assert os.getpid() not in pids
