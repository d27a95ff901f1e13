"""The bench of kills notices what it is there to notice."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import neurosam as ns
from kills import __main__ as bench
from kills import left
from kills.commands import Command, same_content
from kills.left import MARK, Traces
from neurosam_hw.lava.segments import FOLDER

WRITE = "import pathlib, sys, time; print(flush=True); time.sleep(60)"


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(left, "PATIENCE_S", 0.1)


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="finds processes through /proc")
def test_what_is_left_is_found_and_removed(tmp_path: Path) -> None:
    folder, temporary = tmp_path / "trial", tmp_path / "tmp"
    for path in (folder, temporary, temporary / "neurosam-abc", temporary / "torchinductor_me", folder / "x"):
        path.mkdir()
    (folder / "x" / ".neurosam-1.tmp").touch()
    (temporary / "neurosam-abc" / "log.txt").touch()
    mark = f"test-{os.getpid()}"
    prefix = f"psm_nstest{os.getpid()}"
    segment = FOLDER / f"{prefix}-1"
    if FOLDER.is_dir():
        segment.touch()
    environment = {**os.environ, MARK: mark}
    with subprocess.Popen([sys.executable, "-c", WRITE, prefix], env=environment, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        traces = Traces(mark, folder, temporary)
        found = traces.left()
        assert [line.partition(":")[0] for line in found if line.startswith("process")] == [f"process {process.pid}"]
        assert len(found) == 4 + FOLDER.is_dir()
        assert Traces("another", folder, temporary).processes() == {}
        traces.remove()
    assert process.returncode == -9
    assert traces.left() == []
    assert not segment.exists()


def test_recordings_are_the_same_whatever_time_they_took(tmp_path: Path) -> None:
    neuron = ns.FixedLIF(membrane_decay=100, threshold=60)
    net = ns.Network(
        (ns.Population("in", (2,)), ns.Population("out", (2,), neuron)),
        (ns.Projection("in", "out", ns.Dense(np.array([[40, -30], [70, 5]]))),),
    )
    events = ns.Events.from_dense(np.ones((3, 2, 2), dtype=np.uint8))
    for name, record in (("a", ns.Record()), ("b", ns.Record()), ("c", ns.Record(spikes=("out",)))):
        ns.save(ns.run(net, events, "reference", record), tmp_path / f"{name}.h5")
    a, b, c, half = (tmp_path / f"{name}.h5" for name in ("a", "b", "c", "half"))
    half.write_bytes(a.read_bytes()[:-9])
    assert a.read_bytes() != b.read_bytes()
    assert same_content(a, b)
    for other in (c, half, tmp_path / "none.h5"):
        assert not same_content(a, other)


PROGRAM = """
import signal, sys, time
def end(*_):
    {}
for number in (signal.SIGINT, signal.SIGTERM): signal.signal(number, end)
if sys.argv[1:] == ["old"]: open("a.txt", "w").write("old"); sys.exit()
open("ready", "w")
time.sleep({})
open("a.txt", "w").write("new")
"""


def ready(path: Path) -> bool:
    end = time.monotonic() + 20
    while not path.exists() and time.monotonic() < end:
        time.sleep(0.01)
    return path.exists()


@pytest.mark.parametrize(
    ("does", "faults"),
    [
        ("sys.stderr.write('neurosam: terminated\\n'); sys.exit(143)", ""),
        ("sys.exit(1)", "status"),
        ("sys.stderr.write('Traceback\\nneurosam: terminated\\n'); sys.exit(143)", "status"),
        ("open('a.txt', 'w'); sys.stderr.write('neurosam: terminated\\n'); sys.exit(143)", "lost"),
        ("open('.neurosam-1.tmp', 'w'); sys.stderr.write('neurosam: terminated\\n'); sys.exit(143)", "left"),
    ],
)
def test_each_fault_is_seen(does: str, faults: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a program that, told to end, ends as it should, or does something else."""
    (tmp_path / "base").mkdir()
    program = tmp_path / "program.py"
    monkeypatch.setattr(bench, "PROGRAM", [sys.executable, str(program)])
    program.write_text(PROGRAM.format(does, 0))
    made = bench.Bench(tmp_path, Command((), ("a.txt",), ("old",)), random.Random(0))
    program.write_text(PROGRAM.format(does, 60))
    monkeypatch.setattr(made, "_wait", lambda *_: ready(tmp_path / "trial" / "ready"))
    found = made.kill("TERM")
    assert "".join(kind for kind, lines in found.items() if lines) == faults
