"""However a run on Lava ends, it is reported, and leaves no process, no shared-memory segment and no file behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

import neurosam as ns
from neurosam.errors import BackendError
from neurosam_hw.lava import supervise
from neurosam_hw.lava.backend import LavaBackend
from neurosam_hw.lava.interpreter import examine, find
from neurosam_hw.lava.segments import segments
from neurosam_hw.lava.supervise import CODE, Worker

pytestmark = [
    pytest.mark.usefixtures("lava"),
    pytest.mark.skipif(not Path("/proc").is_dir(), reason="finds processes through /proc"),
]

PATIENCE_S = 15.0
SOFT = "from neurosam_hw.lava.dynamics import Subtracting as S; "
"""Code that can patch the models, since Lava's child processes are forks of the worker."""


def small() -> tuple[ns.Network, ns.Events]:
    soft = ns.FixedLIF(membrane_decay=100, threshold=60)
    network = ns.Network(
        (ns.Population("in", (2,)), ns.Population("mid", (3,), soft), ns.Population("out", (2,), ns.FixedReadout())),
        (
            ns.Projection("in", "mid", ns.Dense(np.array([[70, -30], [71, 5], [40, 40]]))),
            ns.Projection("mid", "out", ns.Dense(np.array([[3, -4, 5], [1, 1, 1]]))),
        ),
    )
    return network, ns.Events.from_dense(np.ones((6, 3, 2), dtype=np.uint8))


def commands(text: str) -> dict[int, list[str]]:
    """Running processes whose command line contains `text`, by process id."""
    processes = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            line = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue  # it has just ended
        if any(text in word for word in line) and int(entry.name) != os.getpid():
            processes[int(entry.name)] = line
    return processes


def eventually(condition: Callable[[], bool]) -> bool:
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.05)
    return condition()


@pytest.fixture
def workers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[list[Worker]]:
    """All workers of the test; checks afterwards that nothing of them is left."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    started: list[Worker] = []
    begin = Worker.__init__

    def remember(self: Worker, python: Path, folder: Path, code: str | None = None) -> None:
        begin(self, python, folder, code)
        started.append(self)

    monkeypatch.setattr(Worker, "__init__", remember)
    descriptors = len(os.listdir("/proc/self/fd"))
    yield started
    assert started
    assert not list(tmp_path.iterdir())
    assert not commands(str(tmp_path))
    assert len(os.listdir("/proc/self/fd")) == descriptors
    for worker in started:
        assert not segments(worker.prefix)
        assert not supervise.alive(worker.group)


def run(limit_s: float = 60.0, progress: Callable[[int, int], None] | None = None) -> ns.Recording:
    network, events = small()
    return ns.run(network, events, "lava", ns.Record(spikes=("mid",)), progress=progress, time_limit_s=limit_s)


def test_ten_runs_in_a_row_leave_nothing(workers: list[Worker]) -> None:
    network, events = small()
    expected = ns.run(network, events, "event", ns.Record(spikes=("mid",)))
    for _ in range(10):
        assert run().same_as(expected)
    assert len({worker.prefix for worker in workers}) == 10


def test_segments_carry_the_workers_prefix(workers: list[Worker]) -> None:
    """The segments that other tests expect to be gone after a run exist during it."""
    during: list[int] = []
    run(progress=lambda done, total: during.append(len(segments(workers[0].prefix))))
    assert max(during) > 5


HALFWAY = """
import multiprocessing, os
from neurosam_hw.lava import worker
worker._use_prefix(sys.argv[3])
semaphore = multiprocessing.get_context("spawn").Semaphore()
os.killpg(0, 9)
"""
"""A semaphore of "spawn" keeps its name; it stands for one of "fork", which is unlinked right after its creation."""


def test_a_semaphore_is_removed_if_its_process_is_killed_before_unlinking_it(
    workers: list[Worker], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = set(os.listdir("/dev/shm"))
    monkeypatch.setattr(supervise, "CODE", HALFWAY)
    names: list[list[str]] = []
    end = Worker.end

    def look(self: Worker) -> None:
        self.process.wait()
        names.append([path.name for path in segments(self.prefix)])
        end(self)

    monkeypatch.setattr(Worker, "end", look)
    with pytest.raises(BackendError, match="the worker was killed by signal 9"):
        run()
    assert len(names[0]) == 1
    assert names[0][0].startswith(f"sem.{workers[0].prefix}-")
    assert not {name for name in set(os.listdir("/dev/shm")) - before if name.startswith("sem.mp-")}


def test_a_model_that_raises_is_an_error_with_its_message(
    workers: list[Worker], monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = "S.reset_voltage = lambda self, spike_vector: 1 // 0; "
    monkeypatch.setattr(supervise, "CODE", SOFT + broken + CODE)
    with pytest.raises(BackendError, match=r"ended during the run.*ZeroDivisionError"):
        run()


def test_killing_one_of_lavas_processes_is_an_error(workers: list[Worker], monkeypatch: pytest.MonkeyPatch) -> None:
    deadly = "import os; S.reset_voltage = lambda self, spike_vector: os.kill(os.getpid(), 9); "
    monkeypatch.setattr(supervise, "CODE", SOFT + deadly + CODE)
    with pytest.raises(BackendError, match=r"ended during the run.*status was -9"):
        run()


def test_a_hang_ends_at_the_time_limit(workers: list[Worker], monkeypatch: pytest.MonkeyPatch) -> None:
    stuck = "import time; S.reset_voltage = lambda self, spike_vector: time.sleep(1000); "
    monkeypatch.setattr(supervise, "CODE", SOFT + stuck + CODE)
    with pytest.raises(BackendError, match=r"reached the time limit of 4 s; allow more \(time_limit_s\)"):
        run(limit_s=4)


def test_a_silent_worker_is_stopped_without_a_limit(workers: list[Worker], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervise, "CODE", "import time; print('x', file=sys.stderr, flush=True); time.sleep(1000)")
    monkeypatch.setattr(LavaBackend, "silence_s", 1.5)
    network, events = small()
    with pytest.raises(BackendError, match=r"gave no sign of life for 1.5 s and was stopped. Its last output: x"):
        ns.run(network, events, "lava")


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("import os; os._exit(7)", "ended with status 7. It left no message"),
        ("raise SystemError('alas')", "ended with status 1. Its last output: .*SystemError: alas"),
        ("import lavva", "No module named 'lavva'"),
    ],
)
def test_a_worker_that_ends_without_a_result_is_an_error(
    workers: list[Worker], monkeypatch: pytest.MonkeyPatch, code: str, message: str
) -> None:
    monkeypatch.setattr(supervise, "CODE", code)
    with pytest.raises(BackendError, match=message):
        run()


def test_a_killed_worker_is_an_error(workers: list[Worker]) -> None:
    with pytest.raises(BackendError, match="the worker was killed by signal 9"):
        run(progress=lambda done, total: os.kill(workers[0].group, signal.SIGKILL))


def test_an_interruption_ends_the_worker(workers: list[Worker]) -> None:
    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(progress=interrupt)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_the_worker_ends_with_its_parent(tmp_path: Path, number: signal.Signals) -> None:
    """On Ctrl-C in the middle of a run, and when the parent is killed and cannot clean up."""
    network, _ = small()
    network.save(tmp_path / "n.h5")
    folder = tmp_path / "private"
    folder.mkdir()
    code = (
        "import sys, time, neurosam as ns, numpy as np\n"
        "from neurosam_hw.lava import supervise\n"
        "supervise.CODE = 'import time; from neurosam_hw.lava.dynamics import Subtracting as S; ' \\\n"
        "    'S.reset_voltage = lambda self, spike_vector: time.sleep(1000); ' + supervise.CODE\n"
        "events = ns.Events.from_dense(np.ones((6, 3, 2), dtype=np.uint8))\n"
        f"ns.run(ns.load_network({str(tmp_path / 'n.h5')!r}), events, 'lava')\n"
    )
    environment = {**os.environ, "TMPDIR": str(folder)}
    with subprocess.Popen(
        [sys.executable, "-c", code], env=environment, stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # tests in a background job inherit "ignore"
    ) as parent:  # fmt: skip
        try:
            assert eventually(lambda: len(commands(str(folder))) > 3)  # the worker and Lava's processes
            words = next(iter(commands(str(folder)).values()))
            prefix = next(word for word in words if word.startswith("psm_ns"))
            assert eventually(lambda: bool(segments(prefix)))
            parent.send_signal(number)
            parent.wait(PATIENCE_S)
        finally:
            parent.kill()
    assert parent.returncode == -number
    assert eventually(lambda: not commands(str(folder)))
    assert eventually(lambda: not segments(prefix))
    assert eventually(lambda: not list(folder.iterdir()))


def test_a_python_without_lava_is_detected(workers: list[Worker], monkeypatch: pytest.MonkeyPatch) -> None:
    """The run says what is missing, and so does the doctor."""
    monkeypatch.setenv("NEUROSAM_LAVA_PYTHON", sys.executable)
    with pytest.raises(BackendError, match="No module named"):
        run()
    assert any("3.10 " not in problem and "needs 3.10" in problem for problem in examine(find()).problems)
