"""The event back end: a network in Numba kernels, with work proportional to events, exact in Loihi's integers.

Populations are evaluated group by group (:attr:`Network.groups`): a group without a cycle runs a chunk of steps at
once, with its weights in the cache; a recurrent group advances step by step. Between populations spikes travel as bit
planes ``[T, H * W, words]``. A population takes one of four paths, all with the same result (integers to the bit):

    layer     neurons behind one convolution or matrix: one kernel (kernels/layer.py), strips of rows
    or        max pooling: words of 64 channels (synapses.pool_or)
    loop      recurrent groups of integer neurons: all steps and populations in one kernel (kernels/recurrent.py)
    general   everything else: any projections (kernels/synapses.py), then the neurons (kernels/neurons.py)

A float network runs in float64 or float32 (``Options.dtype``): weights, sums, currents and membranes have that type,
traces and maps are float64 in both. Paths add in different orders, and the reference in its own, so that two of them
agree to rounding (divergence.py), and to the bit where no sum is rounded. What is recorded is float64 in both.

Samples are independent and share the threads; where there are fewer samples than threads, a layer's strips do, or the
parts of a large recurrent population. Which path a population took, and how its blocks were added up, is logged to
``neurosam.backends.event`` at level INFO.

Memory: a thread holds the state of one sample, bit planes and records of one chunk of steps, and one block of sums.
What is recorded leaves it after each chunk: for arrays, or for a file. The memory itself, the network as kernels take
it and the threads stay for the next run (plan/compiled.py, runtime/thread_pool.py).

What a run costs beside its kernels, for five layers and 10,000 events on one core of an EPYC (Zen 5): about 0.1 ms, and
0.07 ms for each further sample.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from neurosam.backends.event.kernels.synapses import tally
from neurosam.backends.event.plan.compiled import PATHS, Kind, leave, prepare, take
from neurosam.backends.event.plan.inputs import Input
from neurosam.backends.event.runtime.thread_pool import assisted
from neurosam.backends.event.worker import Sample
from neurosam.backends.protocol import Options
from neurosam.backends.registry import unrolled
from neurosam.errors import BackendError
from neurosam.network.network import Network
from neurosam.network.synapse import neurons
from neurosam.signals.events import Events
from neurosam.signals.recording import Record, Recording, Target, arranged, extents

__all__ = ["EventBackend", "LayerProfile"]

Array = npt.NDArray[Any]

log = logging.getLogger("neurosam.backends.event")
_ready: set[Any] = set()  # sets of kernels that this process has loaded


@dataclass(frozen=True)
class LayerProfile:
    """What one population cost in a run.

    `time_s` is the time from begin to end of its work, added up over samples and blocks of steps; samples that run
    side by side on several threads each count. `operations` are weights added, `updates` neurons times steps.
    """

    population: str
    path: str
    time_s: float
    operations: int
    updates: int


class EventBackend:
    """Runs a network event by event.

    Parameters
    ----------
    path : {"auto", "general", "scatter", "gather", "table"}
        For tests and measurements: "general" leaves the fast paths out, the last three fix how a layer adds its
        weights, as far as it can.
    """

    def __init__(self, path: str = "auto") -> None:
        if path not in PATHS:
            raise BackendError("event back end: path", f"got {path!r}; allowed are {', '.join(PATHS)}")
        self.path = path

    def run(self, network: Network, events: Events, record: Record, options: Options) -> Recording:
        """Run every sample; see :func:`neurosam.backends.run`.

        Raises
        ------
        BackendError
            If asked for another device than the CPU.
        """
        wanted = extents(network, record, events.steps, events.samples)
        arrays = {key: np.empty(shape, dtype) for key, (shape, dtype) in wanted.items()}
        recording = self.stream(network, events, record, options, arrays)
        return replace(recording, **arranged(network, arrays))

    def stream(
        self, network: Network, events: Events, record: Record, options: Options, kept: Mapping[tuple[str, str], Target]
    ) -> Recording:
        """Run every sample; see :class:`neurosam.backends.Streaming`.

        Raises
        ------
        BackendError
            As :meth:`run` does.
        """
        run, seconds = self._run(network, events, record, options, kept)
        run.report()
        return run.recording(seconds)

    def profile(self, network: Network, events: Events, threads: int | None = None) -> list[LayerProfile]:
        """Run every sample and say what each population cost, in their order; nothing is recorded.

        Parameters
        ----------
        network, events
            As :func:`neurosam.run` takes them.
        threads : int, optional
            All cores if None.
        """
        network = unrolled(network, events.steps)
        return self._run(network, events, Record(), Options(threads=threads), {}, timed=True)[0].profile()

    def _run(
        self, network: Network, events: Events, record: Record, options: Options,
        kept: Mapping[tuple[str, str], Target], timed: bool = False,
    ) -> tuple[Run, float]:  # fmt: skip
        """A finished run, and its seconds without compilation."""
        if options.device != "cpu":
            raise BackendError("event back end", f"runs on the CPU, not {options.device!r}; the reference takes a GPU")
        run = Run(network, events, record, self.path, kept, options, timed)
        run.compile()
        start = time.perf_counter()
        run.samples()
        return run, time.perf_counter() - start


class Run:
    """What the threads share: the prepared network, the input by sample, and the arrays that are being filled."""

    def __init__(
        self, network: Network, events: Events, record: Record, path: str, kept: Mapping[tuple[str, str], Target],
        options: Options, timed: bool = False,
    ) -> None:  # fmt: skip
        self.network, self.kept, self.options, self.timed = network, kept, options, timed
        self.steps, self.count = events.steps, events.samples
        threads = options.threads or os.cpu_count() or 1
        self.threads = max(1, min(threads, self.count))
        graded = events.value is not None
        kind = Kind(record, events.steps, path, options.dtype, graded, threads // self.threads)
        self.prepared = prepare(network, kind)
        self.input = Input(network, events)
        shape = (events.steps, events.samples)
        self.counts = {p.name: np.zeros(shape, dtype=np.int64) for p in network.populations if p.fires}
        self.counts[network.input.name] = self.input.counts
        fires, number = network.readout.fires, np.int32 if network.fixed else np.float64
        size = neurons(network.readout.shape)
        self.output = np.zeros((events.samples, size), np.int64 if fires else number)
        self.operations = np.zeros(len(self.prepared.labels), np.int64)
        self.work = np.zeros((len(self.prepared.cells), 4), np.int64)
        self.seconds = np.zeros(len(self.prepared.cells))
        self.lock = threading.Lock()
        self.next = self.done = 0
        self.used: list[Sample] = []
        self.stopped = False

    def compile(self) -> None:
        """Load or compile every kernel that the run needs, on no steps; once a process for each set of kernels."""
        needed = self.prepared.kernels
        if needed in _ready:
            return
        sample = Sample(self.prepared)
        sample.clear()
        sample.begin(self, 0, 0)
        for part in sample.parts:
            part.advance(self, sample, 0, 0)
        tally(np.zeros((0, 1, 1), np.uint64), 0, 0, sample.fired)
        _ready.add(needed)

    def samples(self) -> None:
        """Run all samples; an interrupt stops them between two calls of a kernel."""
        try:
            assisted(self._work, self.threads)
        finally:
            self.stopped = True
        leave(self.prepared, self.used)

    def _work(self, thread: int) -> None:
        """Take sample after sample until there is none left."""
        try:
            sample = take(self.prepared) or Sample(self.prepared)
            while not self.stopped:
                with self.lock:
                    b, self.next = self.next, self.next + 1
                if b >= self.count:
                    self.used.append(sample)
                    return
                sample.run(self, b)
                with self.lock:
                    self.done += 1
                    if self.options.progress is not None:
                        self.options.progress(self.done, self.count)
        except BaseException:
            self.stopped = True
            raise

    def report(self) -> None:
        """Log the path of each population."""
        if log.isEnabledFor(logging.INFO):
            for name, path in self.prepared.paths.items():
                scattered, gathered, looked_up, _ = self.work[self.prepared.places[name]]
                detail = f", {scattered} blocks scattered, {gathered} gathered, {looked_up} looked up"
                log.info("%s: %s%s", name, path, detail if path == "layer" else "")

    def profile(self) -> list[LayerProfile]:
        """What each population cost."""
        operations, done = dict.fromkeys(self.prepared.cells, 0), self._operations()
        for label, target in {p.label: p.target for p in self.network.projections}.items():
            operations[target] += done[label]
        return [
            LayerProfile(
                name, self.prepared.paths[name], float(self.seconds[self.prepared.places[name]]), operations[name],
                p.pixels * p.channels * self.steps * self.count,
            )
            for name, p in self.prepared.cells.items()
        ]  # fmt: skip

    def _operations(self) -> dict[str, int]:
        """Synaptic operations by projection; a population of a chain has one."""
        chained = self.work[:, 3].tolist()
        operations = dict(zip(self.prepared.labels, self.operations.tolist(), strict=True))
        for name, place in self.prepared.places.items():
            if chained[place]:
                operations[self.prepared.links[name][0].label] += chained[place]
        return operations

    def recording(self, time_s: float) -> Recording:
        """What came of the run beside the arrays that were asked for."""
        return Recording(
            backend="event",
            steps=self.steps,
            samples=self.count,
            output=self.output,
            sam_scale={name: self.network.sam[name].scale for variable, name in self.kept if variable == "sam"},
            counts=self.counts,
            operations=self._operations(),
            time_s=time_s,
        )
