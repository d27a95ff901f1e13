"""The event back end: a network in Numba kernels, with work proportional to events, exact in Loihi's integers.

Samples are independent and share the threads. Within a sample, populations are evaluated group by group
(:attr:`Network.groups`): a group without a cycle runs all its steps in a few blocks, with its weights in the cache
and its input as lists of spikes; a recurrent group advances step by step. Between populations spikes travel as bit
planes ``[T, H * W, words]``. Python acts once a block, kernels do the rest (event_synapse.py, event_neuron.py).

Memory: a thread holds the state of one sample, its bit planes, and one block of sums; beyond that, only what is
recorded.
"""

from __future__ import annotations

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any

import numpy as np
import numpy.typing as npt

from neurosam.backends import Options
from neurosam.backends.event_neuron import Flag, fixed_block, float_block
from neurosam.backends.event_plan import Cells, EventList, Link, cells, link
from neurosam.backends.event_synapse import decode
from neurosam.errors import BackendError
from neurosam.events import Events
from neurosam.network import Network
from neurosam.recording import Record, Recording, Spikes
from neurosam.synapse import neurons, picture
from neurosam.trace import FixedSamTrace

__all__ = ["EventBackend"]

Array = npt.NDArray[Any]

BLOCK_BYTES = 2**18
"""Sums that a block of steps may hold; a single step is never cut."""


class EventBackend:
    """Runs a network event by event."""

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
        run = _Run(network, events, record)
        run.compile()
        start = time.perf_counter()
        run.samples(min(options.threads or os.cpu_count() or 1, max(events.samples, 1)), options)
        return run.recording(time.perf_counter() - start)


class _Run:
    """What the threads share: the prepared network, the input by sample, and the arrays that are being filled."""

    def __init__(self, network: Network, events: Events, record: Record) -> None:
        self.network, self.record = network, record
        self.steps, self.count = events.steps, events.samples
        self.cells = {
            p.name: cells(network, p, record, events.steps) for p in network.populations if p.neuron is not None
        }
        self.links = {name: [link(network, p) for p in network.incoming(name)] for name in self.cells}
        self.input = _Input(network, events)
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
        self.lock = threading.Lock()
        self.next = self.done = 0
        self.stopped = False

    def compile(self) -> None:
        """Load or compile every kernel that the run needs, on a block without steps."""
        sample = _Sample(self, 0)
        nothing = self.input.block(0, 0, 0, 0)
        for name, prepared in self.cells.items():
            acc = np.zeros((0, prepared.pixels * prepared.channels), sample.number)
            for source in self.links[name]:
                source.deliver(nothing, acc)
            sample.advance(name, 0, acc)
        decode(np.zeros((0, 1, 1), np.uint64), 0, 1, np.zeros(1, np.int64), np.zeros(0, np.int32))

    def samples(self, threads: int, options: Options) -> None:
        """Run all samples on so many threads; an interrupt stops them between two blocks."""
        if threads == 1:
            self._work(options)
            return
        with ThreadPoolExecutor(threads) as pool:
            work = [pool.submit(self._work, options) for _ in range(threads)]
            try:
                wait(work)
            finally:
                self.stopped = True
            for done in work:
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
        channels, height, width = picture(network.input.shape)
        order = np.argsort(events.sample, kind="stable")
        channel, pixel = np.divmod(events.neuron[order], height * width)
        self.index = np.ascontiguousarray(pixel * channels + channel, dtype=np.int32)
        number = np.int32 if network.fixed else np.float64
        self.graded = events.value is not None
        self.value = np.zeros(0, number) if events.value is None else events.value[order].astype(number)
        place = events.sample[order].astype(np.int64) * events.steps + events.time[order]
        self.start = np.searchsorted(place, np.arange(events.samples * events.steps + 1))
        self.steps = events.steps

    def block(self, sample: int, first: int, end: int, lag: int) -> EventList:
        """Events that arrive in own steps ``first:end`` after `lag` steps."""
        steps = np.clip(np.arange(first - lag, end - lag + 1), 0, self.steps)
        return self.start[sample * self.steps + steps], self.index, self.value, self.graded


class _Sample:
    """The state of one sample."""

    def __init__(self, run: _Run, b: int) -> None:
        self.shared, self.b = run, b
        self.number: Any = np.int32 if run.network.fixed else np.float64
        self.block = fixed_block if run.network.fixed else float_block
        wide = np.int64 if run.network.fixed else np.float64
        steps = run.steps
        self.planes: dict[str, Array] = {}
        self.counts: dict[str, Array] = {}
        self.arrays: dict[str, list[Array]] = {}
        self.state: dict[str, tuple[Array, Array]] = {}
        for name, p in run.cells.items():
            size, flags = (p.pixels, p.channels), p.flags
            self.planes[name] = np.zeros((steps if flags[Flag.FIRES] else 0, p.pixels, p.words), np.uint64)
            self.counts[name] = np.zeros(steps, np.int64)
            self.state[name] = np.zeros(size, self.number), np.zeros(size, self.number)
            traced = size if flags[Flag.SAM] else (0, 0)
            self.arrays[name] = [
                np.zeros(traced, wide),
                np.zeros(traced, np.int64),
                np.zeros(traced, np.int64),
                np.zeros((steps if flags[Flag.SAM] else 0, p.pixels), self.number),
                np.zeros((steps if flags[Flag.MEMBRANE] else 0, *size), self.number),
                np.zeros((steps if flags[Flag.CURRENTS] else 0, *size), self.number),
            ]
        self.buffer = np.zeros(0, np.int32)
        self.operations = dict.fromkeys(run.operations, 0)

    def run(self) -> None:
        """All populations, all steps; then hand over what is recorded."""
        run = self.shared
        for group in run.network.groups:
            if group == (run.network.input.name,):
                continue
            looped = len(group) > 1 or any(source.source == group[0] for source in run.links[group[0]])
            length = 1 if looped else self._length(run.cells[group[0]])
            for first in range(0, run.steps, length):
                for name in group:
                    if run.stopped:
                        return
                    self._deliver_and_advance(name, first, min(first + length, run.steps))
        self._hand_over()

    def _length(self, p: Cells) -> int:
        row: int = p.pixels * p.channels * np.dtype(self.number).itemsize
        return max(1, BLOCK_BYTES // row)

    def _deliver_and_advance(self, name: str, first: int, end: int) -> None:
        p = self.shared.cells[name]
        acc = np.zeros((end - first, p.pixels * p.channels), self.number)
        for source in self.shared.links[name]:
            self.operations[source.label] += source.deliver(self._arriving(source, first, end), acc)
        self.advance(name, first, acc)

    def advance(self, name: str, first: int, acc: Array) -> None:
        """Run the neurons of a population over the steps that `acc` covers."""
        p = self.shared.cells[name]
        u, v = self.state[name]
        self.block(
            acc.reshape(acc.shape[0], p.pixels, p.channels), first, p.flags, u, v, p.factor_u, p.factor_v, p.bias,
            p.threshold,
            p.amount, p.gain, p.shift, p.offset, self.planes[name], self.counts[name], p.table, p.trace_shift,
            p.impulse,
            *self.arrays[name],
        )  # fmt: skip

    def _arriving(self, source: Link, first: int, end: int) -> EventList:
        """What a projection delivers in own steps ``first:end`` of its target."""
        run = self.shared
        if source.source == run.network.input.name:
            return run.input.block(self.b, first, end, source.lag)
        begin = first - source.lag
        spikes = int(self.counts[source.source][max(begin, 0) : max(end - source.lag, 0)].sum())
        if self.buffer.size < spikes:
            self.buffer = np.empty(2 * spikes, np.int32)
        start = np.empty(end - first + 1, np.int64)
        decode(self.planes[source.source], begin, run.cells[source.source].channels, start, self.buffer)
        return start, self.buffer, run.input.value[:0], False

    def _hand_over(self) -> None:
        run, b = self.shared, self.b
        for name, p in run.cells.items():
            trace, _, _, sam, membranes, currents = self.arrays[name]
            del trace
            if name in run.counts:
                run.counts[name][:, b] = self.counts[name]
            if name in run.spikes:
                run.spikes[name][:, b] = self.planes[name]
            if name in run.sam:
                run.sam[name][:, b] = sam
            for variable, values in (("membrane", membranes), ("current", currents)):
                if name in run.states[variable]:
                    run.states[variable][name][:, b] = _channels_first(values)
            if name == run.network.output:
                if p.flags[Flag.FIRES]:
                    dense = Spikes(self.planes[name].reshape(run.steps, 1, *p.shape[1:], -1), p.shape).dense()
                    run.output[b] = dense.sum(axis=(0, 1), dtype=np.int64).reshape(-1)
                else:
                    run.output[b] = _channels_first(self.state[name][1])
        with run.lock:
            for label, operations in self.operations.items():
                run.operations[label] += operations


def _channels_first(x: Array) -> Array:
    """``(..., pixels, C)`` as ``(..., C * pixels)``."""
    return np.ascontiguousarray(np.swapaxes(x, -1, -2)).reshape(*x.shape[:-2], -1)
