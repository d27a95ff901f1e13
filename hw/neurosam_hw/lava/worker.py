"""The worker: one run of a network in the Lava runtime, in a Python and a process group of its own.

It is started by backend.py in an empty folder that holds ``network.h5``, ``events.h5`` and ``request.json``, and
leaves ``recording.h5`` there, or ``error.json``. On its output it writes a line ``done N`` every few steps, N
presentations being over.
Its shared memory and semaphores carry a prefix that its master chose, so that they can be found whatever happens. Two
things end it at once: its input closes (the master is gone), or one of Lava's processes ends before its time, which
Lava itself would wait for without end.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
import sys
import threading
import time
import traceback
from multiprocessing import shared_memory
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import numpy.typing as npt

from neurosam.errors import NeurosamError
from neurosam.hdf5 import load_events, load_network, save
from neurosam.network.network import Network
from neurosam.signals.recording import Record
from neurosam_hw.lava.collect import collect, feed, lava_steps, wanted
from neurosam_hw.lava.segments import unlink_segments
from neurosam_hw.lava.timing import timing

__all__ = ["main"]

Array = npt.NDArray[Any]

POLL_S = 0.2
STEPS_AT_ONCE = 8
"""Steps of one call of Lava's run: a sign of life after each; the call itself costs less than a step."""

STATE = {"membrane": "v", "current": "u"}
CHANNEL = {"pypy_channel_size": 2}
"""Slots of a channel: two are as fast as Lava's 64 and take a thirtieth of the memory."""


def main(folder: str, prefix: str) -> None:
    """Run the request in `folder`."""
    place = Path(folder)
    report = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what Lava prints is not the protocol
    threading.Thread(target=_end_with_master, args=(place, prefix), daemon=True).start()
    _keep_together(prefix)
    try:
        _run(place, report)
    except BaseException as error:
        _fail(place, error)
    os._exit(0)  # Lava's threads and exit handlers have nothing left to do


def _run(place: Path, report: TextIO) -> None:
    network, events = load_network(place / "network.h5"), load_events(place / "events.h5")
    record = Record(**{key: tuple(names) for key, names in json.loads((place / "request.json").read_text()).items()})
    schedule = timing(network)
    steps = lava_steps(schedule, events, bool(record.sam))
    files = {
        (variable, name): place / f"{variable}-{k}.npy"
        for variable, names in wanted(network, record).items()
        for k, name in enumerate(names)
    }
    session = _Session(network, feed(events, steps, network.fixed), events.steps, files, record.sam)
    elapsed = session.run(steps, events.steps, report) if events.samples else 0.0
    rows = {key: np.load(path, mmap_mode="r") for key, path in files.items()}
    save(collect(network, events, record, schedule, rows, elapsed), place / "recording.h5")


class _Session:
    """One graph with its source and instruments."""

    def __init__(
        self, network: Network, data: Array, interval: int, files: dict[tuple[str, str], Path], sam: tuple[str, ...]
    ) -> None:
        from lava.proc.io.source import RingBuffer

        from neurosam_hw.lava.graph import tag, wire

        self.tag = tag(network)
        self.source = RingBuffer(data=data)
        self.graph = wire(network, self.source.s_out, interval, sam)
        self.instruments = [
            self._instrument(variable, name, path, data.shape[-1], data.dtype)
            for (variable, name), path in files.items()
        ]

    def _instrument(self, variable: str, name: str, path: Path, steps: int, number: Any) -> Any:
        """A Recorder on a port, or a Probe on a state."""
        from neurosam_hw.lava.probe.process import Probe
        from neurosam_hw.lava.recorder.process import Recorder

        port = self.graph.maps[name].a_out if variable == "sam" else self.graph.neurons[name].s_out
        dtype = np.uint8 if variable == "spikes" else number
        np.lib.format.open_memmap(path, "w+", dtype, (steps, *port.shape))
        if variable in ("membrane", "current"):
            return Probe(var=getattr(self.graph.neurons[name], STATE[variable]), path=str(path))
        recorder = Recorder(shape=port.shape, path=str(path))
        port.connect(recorder.a_in)
        return recorder

    def run(self, steps: int, presentation: int, report: TextIO) -> float:
        """Run so many steps, telling how far it is; returns the seconds that they took."""
        from lava.magma.core.run_conditions import RunSteps
        from lava.magma.core.run_configs import Loihi2SimCfg

        self.source.create_runtime(run_cfg=Loihi2SimCfg(select_tag=self.tag), compile_config=CHANNEL)
        watch = _Watch(self.source.runtime)
        try:
            start = time.perf_counter()
            for first in range(0, steps, STEPS_AT_ONCE):
                end = min(first + STEPS_AT_ONCE, steps)
                self.source.run(RunSteps(end - first))
                report.write(f"done {end // presentation}\n")
                report.flush()
            elapsed = time.perf_counter() - start
        finally:
            watch.over.set()
        self.source.stop()
        return elapsed


class _Watch:
    """Ends the worker when a process of Lava's has ended before its time."""

    def __init__(self, runtime: Any) -> None:
        self.actors = list(runtime._messaging_infrastructure.actors)
        self.over = threading.Event()
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        while not self.over.wait(POLL_S):
            ended = [actor for actor in self.actors if not actor.is_alive()]
            if ended and not self.over.is_set():
                cause = ended[0].exception
                said = cause[1] if cause else f"its exit status was {ended[0].exitcode}"
                _fail(Path.cwd(), RuntimeError(f"a process of Lava's ended during the run: {said}"))


def _fail(place: Path, error: BaseException) -> None:
    """Leave the error for the master, and end without Lava's farewell, which may never come."""
    kind = type(error).__name__
    known = isinstance(error, NeurosamError)
    content = {
        "kind": kind,
        "where": getattr(error, "where", ""),
        "problem": error.problem if isinstance(error, NeurosamError) else f"{kind}: {error}",
        "known": known,
        "trace": "" if known else "".join(traceback.format_exception(type(error), error, error.__traceback__)),
    }
    (place / "error.json").write_text(json.dumps(content))
    os._exit(1)


def _end_with_master(place: Path, prefix: str) -> None:
    """Wait until the input closes; then leave nothing behind."""
    while os.read(0, 1024):
        pass
    shutil.rmtree(place, ignore_errors=True)
    unlink_segments(prefix)
    os.killpg(os.getpgid(0), signal.SIGKILL)


def _keep_together(prefix: str) -> None:
    """Give all shared memory and semaphores of this process and its children the prefix; keep sockets in the folder.

    multiprocessing has no public way to any of it; the interpreter is a Python 3.10, and tests see to it that it works.
    """
    module: Any = shared_memory
    module._SHM_NAME_PREFIX = f"/{prefix}"
    module._SHM_SAFE_NAME_LENGTH = len(prefix) + 9
    this: Any = multiprocessing.current_process()
    this._config["semprefix"] = f"/{prefix}"
    this._config["tempdir"] = "."  # relative, since the path of a socket may have no more than 107 bytes


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
