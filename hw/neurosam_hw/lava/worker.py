"""The worker: runs a network once in the Lava runtime, in its own Python and process group.

It is started by backend.py in a folder with ``network.h5``, ``events-0.h5`` (one per input) and ``request.json``, and
writes ``recording.h5`` or ``error.json`` there. Every few steps it prints a line ``done N`` after N complete
presentations. The names of its shared memory and semaphores start with a prefix chosen by the parent, so that they can
always be found. Two events end it at once: its input closes (the parent is gone), or one of Lava's processes ends
early, for which Lava itself would wait forever.
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
from contextlib import suppress
from multiprocessing import shared_memory
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from neurosam.errors import NeurosamError
from neurosam.hdf5 import load_events, load_network, save
from neurosam.network.network import Network
from neurosam.signals.inputs import Inputs
from neurosam.signals.recording import Record
from neurosam_hw.lava.collect import collect, feed, lava_steps, recorded_populations, spike_dtype
from neurosam_hw.lava.segments import unlink_segments
from neurosam_hw.lava.timing import timing

__all__ = ["main"]

POLL_S = 0.2
KILLS = 100
"""Times that the group is killed: a process that is being forked by one of it may come after the first."""
STEPS_AT_ONCE = 8
"""Steps per call of Lava's run, each followed by a sign of life; the call itself costs less than a step."""

STATE = {"membrane": "v", "current": "u"}
CHANNEL = {"pypy_channel_size": 2}
"""Slots per channel: two are as fast as Lava's 64 and take a thirtieth of the memory."""


def main(folder: str, prefix: str) -> None:
    """Run the request in `folder`."""
    folder_path = Path(folder)
    report = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # keeps Lava's prints out of the protocol
    threading.Thread(target=_end_with_parent, args=(folder_path, prefix), daemon=True).start()
    _use_prefix(prefix)
    try:
        _run(folder_path, report)
    except BaseException as error:
        _fail(folder_path, error)
    os._exit(0)  # skips Lava's threads and exit handlers


def _run(folder: Path, report: TextIO) -> None:
    network = load_network(folder / "network.h5")
    inputs = Inputs({p.name: load_events(folder / f"events-{k}.h5") for k, p in enumerate(network.inputs)})
    record = Record(**{key: tuple(names) for key, names in json.loads((folder / "request.json").read_text()).items()})
    schedule = timing(network)
    steps = lava_steps(schedule, inputs, bool(record.sam))
    session = _Session(network, inputs, steps, record, folder)
    elapsed = session.run(steps, inputs.steps, report) if inputs.samples else 0.0
    rows = {key: np.load(path, mmap_mode="r") for key, path in session.files.items()}
    save(collect(network, inputs, record, schedule, rows, elapsed), folder / "recording.h5")


class _Session:
    """A graph with its sources and instruments.

    Attributes
    ----------
    files : dict of (variable, population) to Path
        Where the instruments write, one row per step.
    """

    def __init__(self, network: Network, inputs: Inputs, steps: int, record: Record, folder: Path) -> None:
        from lava.proc.io.source import RingBuffer

        from neurosam_hw.lava.graph import tag, wire

        self.network, self.tag = network, tag(network)
        self.sources = {name: RingBuffer(data=feed(events, steps, network.fixed)) for name, events in inputs.items()}
        ports = {name: source.s_out for name, source in self.sources.items()}
        self.graph = wire(network, ports, inputs.steps, record.sam)
        plan = {**recorded_populations(network, record), "counted": tuple(self.graph.watches)}
        self.files = {
            (variable, name): folder / f"{variable}-{k}.npy"
            for variable, names in plan.items()
            for k, name in enumerate(names)
        }
        self.instruments = [
            self._instrument(variable, name, path, steps) for (variable, name), path in self.files.items()
        ]

    def _instrument(self, variable: str, name: str, path: Path, steps: int) -> Any:
        """Create a Recorder on a port, or a Probe on a state variable."""
        from neurosam_hw.lava.probe.process import Probe
        from neurosam_hw.lava.recorder.process import Recorder

        if variable == "counted":
            np.lib.format.open_memmap(path, "w+", np.int64, (steps, 2))
            return Probe(var=self.graph.watches[name].counted, path=str(path))
        port = self.graph.maps[name].a_out if variable == "sam" else self.graph.neurons[name].s_out
        number = np.int32 if self.network.fixed else np.float64
        dtype = spike_dtype(self.network, name) if variable == "spikes" else number
        np.lib.format.open_memmap(path, "w+", dtype, (steps, *port.shape))
        if variable in ("membrane", "current"):
            return Probe(var=getattr(self.graph.neurons[name], STATE[variable]), path=str(path))
        recorder = Recorder(shape=port.shape, path=str(path))
        port.connect(recorder.a_in)
        return recorder

    def run(self, steps: int, presentation: int, report: TextIO) -> float:
        """Run all steps and report progress; return the time that the steps took, in seconds."""
        from lava.magma.core.run_conditions import RunSteps
        from lava.magma.core.run_configs import Loihi2SimCfg

        source = next(iter(self.sources.values()))
        source.create_runtime(run_cfg=Loihi2SimCfg(select_tag=self.tag), compile_config=CHANNEL)
        watch = _Watch(source.runtime)
        try:
            start = time.perf_counter()
            for first in range(0, steps, STEPS_AT_ONCE):
                end = min(first + STEPS_AT_ONCE, steps)
                source.run(RunSteps(end - first))
                report.write(f"done {end // presentation}\n")
                report.flush()
            elapsed = time.perf_counter() - start
        finally:
            watch.over.set()
        source.stop()
        return elapsed


class _Watch:
    """Ends the worker when one of Lava's processes has ended early."""

    def __init__(self, runtime: Any) -> None:
        self.actors = list(runtime._messaging_infrastructure.actors)
        self.over = threading.Event()
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        while not self.over.wait(POLL_S):
            ended = [actor for actor in self.actors if not actor.is_alive()]
            if ended and not self.over.is_set():
                cause = ended[0].exception
                reason = cause[1] if cause else f"its exit status was {ended[0].exitcode}"
                _fail(Path.cwd(), RuntimeError(f"one of Lava's processes ended during the run: {reason}"))


def _fail(folder: Path, error: BaseException) -> None:
    """Write the error for the parent, and exit without Lava's shutdown, which may never finish."""
    kind = type(error).__name__
    refused = isinstance(error, NeurosamError)
    content = {
        "kind": kind,
        "where": getattr(error, "where", ""),
        "problem": error.problem if isinstance(error, NeurosamError) else f"{kind}: {error}",
        "refused": refused,
        "trace": "" if refused else "".join(traceback.format_exception(type(error), error, error.__traceback__)),
    }
    (folder / "error.json").write_text(json.dumps(content))
    os._exit(1)


def _end_with_parent(folder: Path, prefix: str) -> None:
    """Wait until the input closes; then a process outside the group kills it, and only then removes what it used.

    In the other order the main thread, whose folder is gone, fails and ends this process before it has killed the
    others; and what is removed while they live, they can make again.
    """
    while os.read(0, 1024):
        pass
    group = os.getpgid(0)
    if os.fork() == 0:
        os.setsid()
        with suppress(ProcessLookupError):
            for _ in range(KILLS):
                os.killpg(group, signal.SIGKILL)
                time.sleep(POLL_S / 10)
        shutil.rmtree(folder, ignore_errors=True)
        unlink_segments(prefix)
        os._exit(0)


def _use_prefix(prefix: str) -> None:
    """Use the prefix for all shared memory and semaphores of this process and its children; keep sockets in the folder.

    multiprocessing has no public interface for this; the interpreter is always a Python 3.10, and tests check it.
    """
    module: Any = shared_memory
    module._SHM_NAME_PREFIX = f"/{prefix}"
    module._SHM_SAFE_NAME_LENGTH = len(prefix) + 9
    this: Any = multiprocessing.current_process()
    this._config["semprefix"] = f"/{prefix}"
    this._config["tempdir"] = "."  # relative, since a socket's path may have at most 107 bytes


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
