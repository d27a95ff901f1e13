"""The event back end: a network in Numba kernels, with work proportional to events, exact in Loihi's integers.

Populations are evaluated group by group (:attr:`Network.groups`): a group without a cycle runs a chunk of steps at
once, with its weights in the cache; a recurrent group advances step by step. Between populations spikes travel as bit
planes ``[T, H * W, words]``. A population takes one of three paths, all with the same result to the bit:

    layer     integer neurons behind one convolution or matrix: one kernel (event_layer.py), strips of rows
    or        max pooling: words of 64 channels (event_synapse.pool_or)
    general   everything else: any projections (event_synapse.py), then the neurons (event_neuron.py)

Samples are independent and share the threads; where there are fewer samples than threads, a layer's strips do. Which
path a population took, and how its blocks were added up, is logged to ``neurosam.backends.event`` at level INFO.

Memory: a thread holds the state of one sample, bit planes of one chunk of steps, and one block of sums; beyond that,
only what is recorded.
"""

from __future__ import annotations

import itertools
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any

import numpy as np
import numpy.typing as npt

from neurosam.backends import Options
from neurosam.backends.event_layer import layer
from neurosam.backends.event_neuron import Flag, State, fixed_block, float_block
from neurosam.backends.event_plan import Cells, EventList, Link, cells, is_or, link
from neurosam.backends.event_synapse import decode, encode, pool_or
from neurosam.backends.event_vector import LANES, TILE, aligned
from neurosam.errors import BackendError
from neurosam.events import Events
from neurosam.network import Network
from neurosam.recording import Record, Recording, Spikes, words
from neurosam.synapse import neurons, picture
from neurosam.trace import FixedSamTrace

__all__ = ["EventBackend"]

Array = npt.NDArray[Any]

CHUNK_BYTES = 2**26
"""Bit planes that a sample may keep; a single step is never cut."""
CHUNK_STEPS = 256
BLOCK_BYTES = 2**19
"""Sums that a block of steps may hold; a single step is never cut."""
BLOCK_SPIKES = 2**20
"""Spikes that a block of steps may list if all sources fire."""
STRIP_BYTES = 2**18
"""Membranes of a strip of rows."""
SHARED_WORK_S = 1e-4
"""Estimated time from which on a layer's strips are shared by threads."""
PATHS = ("auto", "general", "scatter", "gather")

log = logging.getLogger(__name__)
_ready: set[Any] = set()  # sets of kernels that this process has loaded


class EventBackend:
    """Runs a network event by event.

    Parameters
    ----------
    path : {"auto", "general", "scatter", "gather"}
        For tests and measurements: "general" leaves the fast paths out, the last two fix how a layer adds its weights.
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
            If asked for float32 or another device than the CPU.
        """
        if options.device != "cpu":
            raise BackendError("event back end", f"runs on the CPU, not {options.device!r}; the reference takes a GPU")
        if options.dtype != "float64" and not network.fixed:
            raise BackendError("event back end", "computes float networks in float64; the reference also in float32")
        run = _Run(network, events, record, self.path)
        run.compile()
        start = time.perf_counter()
        run.samples(options.threads or os.cpu_count() or 1, options)
        seconds = time.perf_counter() - start
        run.report()
        return run.recording(seconds)


class _Run:
    """What the threads share: the prepared network, the input by sample, and the arrays that are being filled."""

    def __init__(self, network: Network, events: Events, record: Record, path: str) -> None:
        self.network, self.record = network, record
        self.steps, self.count = events.steps, events.samples
        self.cells = {
            p.name: cells(network, p, record, events.steps) for p in network.populations if p.neuron is not None
        }
        self.links = {name: [link(network, p) for p in network.incoming(name)] for name in self.cells}
        self.tails = {p.name: self._tail(p.name) for p in network.populations}
        self.input = _Input(network, events)
        self.force = max(0, PATHS.index(path) - 1)
        self.paths = {name: self._path(name) if path != "general" else "general" for name in self.cells}
        planes = sum(8 * p.pixels * p.words for p in self.cells.values())
        self.chunk = min(max(CHUNK_BYTES // max(planes, 1), 1), CHUNK_STEPS, self.steps)
        shape = (events.steps, events.samples)
        number = np.int32 if network.fixed else np.float64
        self.spikes = {
            n: np.zeros((*shape, self.cells[n].pixels, self.cells[n].words), np.uint64) for n in record.spikes
        }
        self.sam = {n: np.zeros((*shape, self.cells[n].pixels), number) for n in record.sam}
        self.states = {
            variable: {n: np.zeros((*shape, neurons(network[n].shape)), number) for n in getattr(record, variable)}
            for variable in ("membrane", "current")
        }
        self.counts = {p.name: np.zeros(shape, dtype=np.int64) for p in network.populations if p.fires}
        self.counts[network.input.name] = events.counts()
        fires = network.readout.fires
        size = neurons(network.readout.shape)
        self.output = np.zeros((events.samples, size), np.int64 if fires else number)
        self.operations = dict.fromkeys((p.label for p in network.projections), 0)
        self.blocks = {name: np.zeros(2, np.int64) for name in self.cells}
        self.helpers: ThreadPoolExecutor | None = None
        self.threads = 1
        self.lock = threading.Lock()
        self.next = self.done = 0
        self.stopped = False

    def _tail(self, name: str) -> int:
        """Steps of a population that a later chunk still asks for."""
        return max((self.network.lag(p) for p in self.network.projections if p.source == name), default=0)

    def _path(self, name: str) -> str:
        """Fastest path that this population's neurons and projections allow."""
        projections = self.network.incoming(name)
        alone = any(group == (name,) for group in self.network.groups) and len(projections) == 1
        if not self.network.fixed or not alone or projections[0].source == name:
            return "general"
        if projections[0].source == self.network.input.name and self.input.graded:
            return "general"
        if is_or(self.cells[name].rule, projections[0]):
            return "or"
        return "general" if self.links[name][0].conv is None else "layer"

    def compile(self) -> None:
        """Load or compile every kernel that the run needs, on no steps; once a process for each set of kernels."""
        needed = (self.network.fixed, self.input.graded, frozenset(self._kernels(name) for name in self.cells))
        if needed in _ready:
            return
        sample = _Sample(self, 0)
        sample.begin(0, 0)
        for name in self.cells:
            sample.advance(name, 0, 0)
        _ready.add(needed)

    def _kernels(self, name: str) -> tuple[Any, ...]:
        """What decides which kernels a population needs."""
        if self.paths[name] != "general":
            return (self.paths[name],)
        return tuple((source.kernel, source.pairs.size > 0) for source in self.links[name])

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

    def share(self, work: Callable[[int], None], pieces: int, seconds: float) -> None:
        """Do `pieces` independent pieces, with the helpers if they are worth it."""
        left: Iterator[int] = iter(range(pieces))
        if self.helpers is None or pieces == 1 or seconds < SHARED_WORK_S:
            for piece in left:
                work(piece)
            return
        tickets = itertools.count()

        def some() -> None:
            while (piece := next(tickets)) < pieces and not self.stopped:
                work(piece)

        helping = [self.helpers.submit(some) for _ in range(min(self.threads, pieces) - 1)]
        try:
            some()
        finally:
            begun = [helper for helper in helping if not helper.cancel()]  # on a busy machine a helper may come late
            wait(begun)
        for done in begun:
            done.result()

    def _work(self, options: Options) -> None:
        """Take sample after sample until there is none left."""
        while not self.stopped:
            with self.lock:
                b, self.next = self.next, self.next + 1
            if b >= self.count:
                return
            try:
                _Sample(self, b).run()
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
            scattered, gathered = self.blocks[name]
            detail = f", {scattered} blocks scattered, {gathered} gathered" if path == "layer" else ""
            log.info("%s: %s%s", name, path, detail)

    def recording(self, time_s: float) -> Recording:
        """What was recorded, in the network's own layout."""
        network, shape = self.network, (self.steps, self.count)
        scale = {n: t.impulse if isinstance(t, FixedSamTrace) else 1 for n, t in network.sam.items()}

        def states(variable: str) -> dict[str, Array]:
            return {n: x.reshape(*shape, *network[n].shape) for n, x in self.states[variable].items()}

        def planes(name: str, x: Array) -> Array:
            return x.reshape(*shape, *picture(network[name].shape)[1:], x.shape[-1])

        return Recording(
            backend="event",
            steps=self.steps,
            samples=self.count,
            output=self.output,
            spikes={n: Spikes(planes(n, x), network[n].shape) for n, x in self.spikes.items()},
            sam={n: x.reshape(*shape, *picture(network[n].shape)[1:]) for n, x in self.sam.items()},
            sam_scale={n: float(scale[n]) for n in self.sam},
            membrane=states("membrane"),
            current=states("current"),
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


class _Sample:
    """The state of one sample."""

    def __init__(self, run: _Run, b: int) -> None:
        self.shared, self.b = run, b
        self.number: Any = np.int32 if run.network.fixed else np.float64
        self.neurons = fixed_block if run.network.fixed else float_block
        steps = run.steps
        self.states = {name: self._state(p, steps) for name, p in run.cells.items()}
        source = run.network.input.name
        rows = 0 if run.input.graded else run.tails[source] + run.chunk
        self.counts = {name: state.counts for name, state in self.states.items()}
        self.counts[source] = run.counts[source][:, b] if b < run.count else np.zeros(steps, np.int64)
        self.planes = {name: state.planes for name, state in self.states.items()}
        self.planes[source] = np.zeros((rows, run.input.pixels, run.input.words), np.uint64)
        self.base = 0
        self.index = np.zeros(0, np.int32)
        self.operations = dict.fromkeys(run.operations, 0)
        self.blocks = {name: np.zeros(2, np.int64) for name in run.cells}
        self.fired = np.zeros(neurons(run.network.readout.shape), np.int64)

    def _state(self, p: Cells, steps: int) -> State:
        size, flags, number = (p.pixels, p.channels), p.rule.flags, self.number
        traced = size if flags[Flag.SAM] else (0, 0)
        kept = self.shared.tails[p.name] + self.shared.chunk if flags[Flag.FIRES] else 0
        return State(
            aligned(size if flags[Flag.CURRENT] or not self.shared.network.fixed else (0, 0), number),
            aligned(size, number),
            np.zeros(traced, number),
            np.zeros(traced, np.int32),
            np.zeros(traced, np.int32),
            np.zeros((kept, p.pixels, p.words), np.uint64),
            np.zeros(steps, np.int64),
            np.zeros((steps if flags[Flag.SAM] else 0, p.pixels), number),
            np.zeros((steps if flags[Flag.MEMBRANE] else 0, *size), number),
            np.zeros((steps if flags[Flag.CURRENTS] else 0, *size), number),
        )

    def run(self) -> None:
        """All populations, all steps; then hand over what is recorded."""
        run = self.shared
        for first in range(0, run.steps, run.chunk):
            end = min(first + run.chunk, run.steps)
            self.begin(first, end)
            for group in run.network.groups:
                if group == (run.network.input.name,):
                    continue
                looped = len(group) > 1 or any(source.source == group[0] for source in run.links[group[0]])
                for step in range(first, end) if looped else (first,):
                    for name in group:
                        if run.stopped:
                            return
                        self.advance(name, step, step + 1 if looped else end)
            self._keep_spikes(first, end)
        self._hand_over()

    def begin(self, first: int, end: int) -> None:
        """Make room for a chunk of steps: keep the tail of the one before, and put the input in."""
        run = self.shared
        for name, planes in self.planes.items():
            tail = run.tails[name]
            if first and planes.size:
                planes[:tail] = planes[run.chunk : run.chunk + tail].copy()
        self.base = first
        source = run.network.input.name
        if not run.input.graded:
            own = self.planes[source][run.tails[source] :]
            own[:] = 0
            run.input.fill(own, self.b, first, end)

    def advance(self, name: str, first: int, end: int) -> None:
        """Run a population over the steps ``first:end`` of this chunk."""
        {"layer": self._layer, "or": self._or, "general": self._general}[self.shared.paths[name]](name, first, end)

    def _at(self, source: Link, first: int) -> int:
        """Plane of a source that arrives in its target's own step `first`."""
        return first - source.lag - self.base + self.shared.tails[source.source]

    def _own_base(self, name: str) -> int:
        """Own step of a population's first plane."""
        return self.base - self.shared.tails[name]

    def _layer(self, name: str, first: int, end: int) -> None:
        run, p, state = self.shared, self.shared.cells[name], self.states[name]
        source = run.links[name][0]
        conv = source.conv
        if conv is None:
            raise BackendError(f"population {name!r}", "has no fast path")
        steps, (height, width) = end - first, (int(side) for side in conv.size)
        pitch = -(-p.channels // TILE) * TILE if conv.pairs.size else p.channels
        row = width * pitch * 4
        seconds = self._estimate(p, source, first, end)
        shared = run.threads if seconds >= SHARED_WORK_S else 1
        strips = min(height, max(-(-height * row // STRIP_BYTES), 2 * shared if shared > 1 else 1))
        edges = [height * i // strips for i in range(strips + 1)]
        rows = max(bottom - top for top, bottom in itertools.pairwise(edges))
        reach = rows * int(conv.geometry[2]) + int(conv.geometry[0])
        listed = min(reach, int(conv.source[1])) * int(conv.source[2]) * int(conv.source[0])
        length = max(1, min(BLOCK_BYTES // (rows * row), BLOCK_SPIKES // listed, steps))
        planes, at = self.planes[source.source], self._at(source, first)
        counts = np.zeros((strips, state.counts.size), np.int64)
        blocks = np.zeros((strips, 2), np.int64)
        operations = [0] * strips

        def strip(i: int) -> None:
            top, bottom = edges[i], edges[i + 1]
            acc = aligned((length, bottom - top, width, pitch), np.int32)
            operations[i] = layer(
                planes, at, conv, steps, first, self._own_base(name), top, bottom, run.force, p.rule,
                state._replace(counts=counts[i]), acc, blocks[i],
            )  # fmt: skip

        run.share(strip, strips, seconds)
        state.counts[first:end] += counts[:, first:end].sum(axis=0)
        self.blocks[name] += blocks.sum(axis=0)
        self.operations[source.label] += sum(operations)

    def _estimate(self, p: Cells, source: Link, first: int, end: int) -> float:
        """About how many seconds one thread needs for a layer; only the number of threads depends on it."""
        conv = source.conv
        counts = self.counts[source.source]
        spikes = int(counts[max(first - source.lag, 0) : max(end - source.lag, 0)].sum())
        taps = 1 if conv is None else int(np.prod(conv.geometry[:2])) / int(np.prod(conv.geometry[2:4]))
        return float(spikes * min(taps, p.pixels) * p.channels / 5e10 + (end - first) * p.pixels * p.channels / 4e9)

    def _or(self, name: str, first: int, end: int) -> None:
        run, p, state = self.shared, self.shared.cells[name], self.states[name]
        source = run.links[name][0]
        geometry = source.arrays[1]
        shape = np.array([*source.source_shape[1:], *p.shape[1:]], dtype=np.int64)
        self.operations[source.label] += pool_or(
            self.planes[source.source], self._at(source, first), end - first, shape, geometry, first,
            self._own_base(name), 0, p.shape[1], state.counts, state.planes,
        )  # fmt: skip

    def _general(self, name: str, first: int, end: int) -> None:
        p = self.shared.cells[name]
        pitch = p.channels
        if p.pixels == 1:
            pitch = max((source.pitch for source in self.shared.links[name]), default=pitch)
        row = p.pixels * pitch
        listed = max((int(np.prod(source.source_shape)) for source in self.shared.links[name]), default=1)
        length = max(1, min(BLOCK_BYTES // (row * np.dtype(self.number).itemsize), BLOCK_SPIKES // listed))
        for start in range(first, max(end, first + 1), length):
            steps = min(length, end - start)
            acc = aligned((steps, row), self.number)
            for source in self.shared.links[name]:
                arriving = self._arriving(source, start, start + steps)
                self.operations[source.label] += source.deliver(arriving, acc)
            sums = acc.reshape(steps, p.pixels, pitch)
            self.neurons(sums, steps, start, 0, self._own_base(name), p.rule, self.states[name])

    def _arriving(self, source: Link, first: int, end: int) -> EventList:
        """What a projection delivers in own steps ``first:end`` of its target."""
        run = self.shared
        if source.source == run.network.input.name and run.input.graded:
            return run.input.block(self.b, first - source.lag, end - source.lag)
        channels, height, width = source.source_shape
        pixels = int(height * width)
        most = (end - first) * pixels * int(channels)
        if self.index.size < most + LANES:
            self.index = np.empty(most + LANES, np.int32)
        start = np.empty((end - first) * pixels + 1, np.int32)
        decode(
            self.planes[source.source], self._at(source, first), end - first, 0, pixels, int(channels), start,
            self.index,
        )  # fmt: skip
        return start, pixels, self.index, run.input.value[:0], False

    def _keep_spikes(self, first: int, end: int) -> None:
        run = self.shared
        for name, p in run.cells.items():
            own = self.planes[name][run.tails[name] : run.tails[name] + end - first]
            if name in run.spikes:
                run.spikes[name][first:end, self.b] = own
            if name == run.network.output and p.rule.flags[Flag.FIRES]:
                dense = Spikes(own.reshape(end - first, 1, *p.shape[1:], -1), p.shape).dense()
                self.fired += dense.sum(axis=(0, 1), dtype=np.int64).reshape(-1)

    def _hand_over(self) -> None:
        run, b = self.shared, self.b
        for name, p in run.cells.items():
            state = self.states[name]
            if name in run.counts:
                run.counts[name][:, b] = state.counts
            if name in run.sam:
                run.sam[name][:, b] = state.sam
            for variable, values in (("membrane", state.membranes), ("current", state.currents)):
                if name in run.states[variable]:
                    run.states[variable][name][:, b] = _channels_first(values)
            if name == run.network.output:
                run.output[b] = self.fired if p.rule.flags[Flag.FIRES] else _channels_first(state.v)
        with run.lock:
            for label, operations in self.operations.items():
                run.operations[label] += operations
            for name, blocks in self.blocks.items():
                run.blocks[name] += blocks


def _channels_first(x: Array) -> Array:
    """``(..., pixels, C)`` as ``(..., C * pixels)``."""
    return np.ascontiguousarray(np.swapaxes(x, -1, -2)).reshape(*x.shape[:-2], -1)
