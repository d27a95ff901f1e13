"""The event back end: a network in Numba kernels, with work proportional to events, exact in Loihi's integers.

Populations are evaluated group by group (:attr:`Network.groups`): a group without a cycle runs a chunk of steps at
once, with its weights in the cache; a recurrent group advances step by step. Between populations spikes travel as bit
planes ``[T, H * W, words]``. A population takes one of four paths, all with the same result (integers to the bit):

    layer     neurons behind one convolution or matrix: one kernel (event_layer.py), strips of rows
    or        max pooling: words of 64 channels (event_synapse.pool_or)
    loop      recurrent groups of integer neurons: all steps and populations in one kernel (event_recurrent.py)
    general   everything else: any projections (event_synapse.py), then the neurons (event_neuron.py)

A float network runs in float64 or float32 (``Options.dtype``): weights, sums, currents and membranes have that type,
traces and maps are float64 in both. Paths add in different orders, and the reference in its own, so that two of them
agree to rounding (divergence.py), and to the bit where no sum is rounded. What is recorded is float64 in both.

Samples are independent and share the threads; where there are fewer samples than threads, a layer's strips do, or the
parts of a large recurrent population. Which path a population took, and how its blocks were added up, is logged to
``neurosam.backends.event`` at level INFO.

Memory: a thread holds the state of one sample, bit planes and records of one chunk of steps, and one block of sums.
What is recorded leaves it after each chunk: for arrays, or for a file.
"""

from __future__ import annotations

import logging
import math
import os
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from neurosam.backends import Options, unrolled
from neurosam.backends.event_cells import cells, is_or
from neurosam.backends.event_plan import EventList, link
from neurosam.backends.event_sample import Sample
from neurosam.backends.event_synapse import encode, tally
from neurosam.errors import BackendError
from neurosam.events import Events
from neurosam.network import Network
from neurosam.recording import Record, Recording, Target, arranged, extents, words
from neurosam.synapse import neurons, picture
from neurosam.trace import FixedSamTrace

__all__ = ["EventBackend", "LayerProfile"]

Array = npt.NDArray[Any]

CHUNK_BYTES = 2**26
"""Bit planes and recorded values that a sample may keep; a single step is never cut."""
CHUNK_STEPS = 256
PATHS = ("auto", "general", "scatter", "gather", "table")

log = logging.getLogger(__name__)
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
        arrays = {key: np.zeros(shape, dtype) for key, (shape, dtype) in wanted.items()}
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
        return self._run(network, events, Record(), Options(threads=threads), {})[0].profile()

    def _run(
        self, network: Network, events: Events, record: Record, options: Options, kept: Mapping[tuple[str, str], Target]
    ) -> tuple[Run, float]:
        """A finished run, and its seconds without compilation."""
        if options.device != "cpu":
            raise BackendError("event back end", f"runs on the CPU, not {options.device!r}; the reference takes a GPU")
        run = Run(network, events, record, self.path, kept, options.dtype)
        run.compile()
        start = time.perf_counter()
        run.samples(options.threads or os.cpu_count() or 1, options)
        return run, time.perf_counter() - start


class Run:
    """What the threads share: the prepared network, the input by sample, and the arrays that are being filled."""

    def __init__(
        self, network: Network, events: Events, record: Record, path: str, kept: Mapping[tuple[str, str], Target],
        dtype: str,
    ) -> None:  # fmt: skip
        self.network, self.kept = network, kept
        self.steps, self.count = events.steps, events.samples
        number = np.int32 if network.fixed else np.float64
        self.number: np.dtype[Any] = np.dtype(np.int32 if network.fixed else dtype)
        self.cells = {
            p.name: cells(network, p, record, events.steps, dtype) for p in network.populations if p.neuron is not None
        }
        self.links = {name: [link(network, p, dtype) for p in network.incoming(name)] for name in self.cells}
        self.tails = {p.name: self._tail(p.name) for p in network.populations}
        self.input = _Input(network, events)
        self.force = max(0, PATHS.index(path) - 1)
        self.paths = {name: self._path(name) if path != "general" else "general" for name in self.cells}
        numbers = sum(math.prod(x.shape[2:]) for (variable, _), x in kept.items() if variable != "spikes")
        step = sum(8 * p.pixels * p.words for p in self.cells.values()) + np.dtype(number).itemsize * numbers
        self.chunk = min(max(CHUNK_BYTES // max(step, 1), 1), CHUNK_STEPS, self.steps)
        shape = (events.steps, events.samples)
        self.counts = {p.name: np.zeros(shape, dtype=np.int64) for p in network.populations if p.fires}
        self.counts[network.input.name] = events.counts()
        fires = network.readout.fires
        size = neurons(network.readout.shape)
        self.output = np.zeros((events.samples, size), np.int64 if fires else number)
        self.operations = dict.fromkeys((p.label for p in network.projections), 0)
        self.blocks = {name: np.zeros(3, np.int64) for name in self.cells}
        self.seconds = dict.fromkeys(self.cells, 0.0)
        self.helpers: ThreadPoolExecutor | None = None
        self.threads = 1
        self.lock = threading.Lock()
        self.next = self.done = 0
        self.stopped = False

    def _tail(self, name: str) -> int:
        """Steps of a population that a later chunk still asks for."""
        return max((self.network.lag(p) for p in self.network.projections if p.source == name), default=0)

    def looped(self, group: tuple[str, ...]) -> bool:
        """Whether the populations of a group depend on their own earlier steps."""
        return len(group) > 1 or any(p.source == group[0] for p in self.network.incoming(group[0]))

    def _path(self, name: str) -> str:
        """Fastest path that this population's neurons and projections allow."""
        projections = self.network.incoming(name)
        if any(name in group and self.looped(group) for group in self.network.groups):
            return "loop" if self.network.fixed else "general"
        if len(projections) != 1:
            return "general"
        if projections[0].source == self.network.input.name and self.input.graded:
            return "general"
        if is_or(self.cells[name].rule, projections[0]):
            return "or"
        return "general" if self.links[name][0].conv is None else "layer"

    def compile(self) -> None:
        """Load or compile every kernel that the run needs, on no steps; once a process for each set of kernels."""
        needed = (self.number.name, self.input.graded, frozenset(self._kernels(name) for name in self.cells))
        if needed in _ready:
            return
        sample = Sample(self, 0)
        sample.begin(0, 0)
        for group in self.network.groups:
            if group != (self.network.input.name,):
                sample.advance(group, 0, 0)
        tally(np.zeros((0, 1, 1), np.uint64), 0, 0, sample.fired)
        _ready.add(needed)

    def _kernels(self, name: str) -> tuple[Any, ...]:
        """What decides which kernels a population needs."""
        if self.paths[name] != "general":
            return (self.paths[name],)
        return tuple((source.kernel, source.gathers) for source in self.links[name])

    def samples(self, threads: int, options: Options) -> None:
        """Run all samples on so many threads; an interrupt stops them between two blocks."""
        outer = max(1, min(threads, self.count))
        self.threads = threads // outer
        pools: list[ThreadPoolExecutor] = []
        try:
            if self.threads > 1:
                self.helpers = ThreadPoolExecutor((self.threads - 1) * outer)
                pools.append(self.helpers)
            if outer == 1:
                self._work(options)
                return
            pools.append(ThreadPoolExecutor(outer))
            work = [pools[-1].submit(self._work, options) for _ in range(outer)]
            wait(work)
            for done in work:
                done.result()
        finally:
            self.stopped = True
            for pool in pools:
                pool.shutdown()

    def _work(self, options: Options) -> None:
        """Take sample after sample until there is none left."""
        while not self.stopped:
            with self.lock:
                b, self.next = self.next, self.next + 1
            if b >= self.count:
                return
            try:
                Sample(self, b).run()
            except BaseException:
                self.stopped = True
                raise
            with self.lock:
                self.done += 1
                if options.progress is not None:
                    options.progress(self.done, self.count)

    def report(self) -> None:
        """Log the path of each population."""
        for name, path in self.paths.items():
            scattered, gathered, looked_up = self.blocks[name]
            detail = f", {scattered} blocks scattered, {gathered} gathered, {looked_up} looked up"
            log.info("%s: %s%s", name, path, detail if path == "layer" else "")

    def profile(self) -> list[LayerProfile]:
        """What each population cost."""
        operations = dict.fromkeys(self.cells, 0)
        for projection in self.network.projections:
            operations[projection.target] += self.operations[projection.label]
        return [
            LayerProfile(
                name, self.paths[name], self.seconds[name], operations[name],
                p.pixels * p.channels * self.steps * self.count,
            )
            for name, p in self.cells.items()
        ]  # fmt: skip

    def recording(self, time_s: float) -> Recording:
        """What came of the run beside the arrays that were asked for."""
        scale = {n: t.impulse if isinstance(t, FixedSamTrace) else 1 for n, t in self.network.sam.items()}
        return Recording(
            backend="event",
            steps=self.steps,
            samples=self.count,
            output=self.output,
            sam_scale={name: float(scale[name]) for variable, name in self.kept if variable == "sam"},
            counts=self.counts,
            operations=self.operations,
            time_s=time_s,
        )


class _Input:
    """The input's events by sample and step, in channel-last order."""

    def __init__(self, network: Network, events: Events) -> None:
        self.shape = picture(network.input.shape)
        channels, height, width = self.shape
        self.pixels, self.words = height * width, words(channels)
        self.steps = events.steps
        number = np.int32 if network.fixed else np.float64
        self.graded = events.value is not None
        channel, pixel = np.divmod(events.neuron, np.int32(self.pixels))
        index = pixel * np.int32(channels) + channel
        step = events.sample.astype(np.int64) * events.steps + events.time
        self.value = np.zeros(0, number)
        self.place = step * self.pixels + pixel if self.graded else step
        if self.graded or events.samples > 1:
            order = np.argsort(self.place, kind="stable")
            step, index, self.place = step[order], index[order], self.place[order]
            if events.value is not None:
                self.value = events.value[order].astype(number)
        self.index = np.ascontiguousarray(index, dtype=np.int32)
        self.time = (step % max(events.steps, 1)).astype(np.int32)

    def fill(self, planes: Array, sample: int, first: int, end: int) -> None:
        """Set the bits of the steps ``first:end`` in planes whose step 0 is `first`."""
        low, high = np.searchsorted(self.place, (sample * self.steps + first, sample * self.steps + end))
        encode(self.time[low:high], self.index[low:high], first, self.shape[0], planes)

    def block(self, sample: int, first: int, end: int) -> EventList:
        """Graded events of the steps ``first:end``; steps before 0 have none."""
        steps = np.clip(np.arange(first, end), -1, self.steps)[:, None] * self.pixels
        slots = (steps + np.arange(self.pixels)).reshape(-1)
        last = steps[-1] + self.pixels if end > first else np.zeros(1, np.int64)
        slots = np.maximum(np.append(slots, last), 0) + sample * self.steps * self.pixels
        return np.searchsorted(self.place, slots).astype(np.int32), self.pixels, self.index, self.value, True
