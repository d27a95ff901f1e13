"""One sample of a run: its state, its bit planes, and the path that each population takes through a chunk of steps.

The steps of a chunk are cut into blocks whose sums stay in the cache, and a layer's rows into strips that threads can
share.
"""

from __future__ import annotations

import itertools
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from neurosam.backends.event_cells import Cells
from neurosam.backends.event_chain import BLOCK_BYTES, BLOCK_SPIKES, run_chain
from neurosam.backends.event_list import decode
from neurosam.backends.event_loop import Loop
from neurosam.backends.event_neuron import block
from neurosam.backends.event_plan import EventList, Link
from neurosam.backends.event_short import tiles
from neurosam.backends.event_state import Flag, State
from neurosam.backends.event_synapse import tally
from neurosam.backends.event_trace import OFFICIAL
from neurosam.backends.event_vector import LANES, aligned
from neurosam.recording import Target
from neurosam.synapse import neurons

if TYPE_CHECKING:
    from neurosam.backends.event import Run

__all__ = ["Sample"]

Array = npt.NDArray[Any]


class Sample:
    """The state of one sample."""

    def __init__(self, run: Run, b: int) -> None:
        self.shared, self.b = run, b
        self.number = run.number
        self.traced: Any = np.int32 if run.network.fixed else np.float64
        self.states = {name: self._state(p) for name, p in run.cells.items()}
        source = run.network.input.name
        rows = 0 if run.input.graded else run.tails[source] + run.chunk
        self.planes = {name: state.planes for name, state in self.states.items()}
        self.planes[source] = np.empty((rows, run.input.pixels, run.input.words), np.uint64)
        for name, planes in self.planes.items():
            planes[: run.tails[name]] = 0  # what arrives before the first step; the rest is written before it is read
        self.base = 0
        self.loops: dict[tuple[str, ...], Loop] = {}
        self.index = np.zeros(0, np.int32)
        self.operations = dict.fromkeys(run.operations, 0)
        self.blocks = {name: np.zeros(3, np.int64) for name in run.cells}
        self.seconds = dict.fromkeys(run.cells, 0.0)
        self.fired = np.zeros(neurons(run.network.readout.shape) if run.network.readout.fires else 0, np.int64)

    def _state(self, p: Cells) -> State:
        size, flags, number, wide = (p.pixels, p.channels), p.rule.flags, self.number, self.traced
        row, whole = size, (p.pixels, sum(width for _, width in tiles(p.channels)))
        if self.shared.paths[p.name] == "layer" and self.shared.links[p.name][0].tiled:
            row = whole
        traced = size if flags[Flag.SAM] else (0, 0)
        by_spike = (0, 0) if flags[Flag.TOGETHER] else traced
        rows = self.shared.tails[p.name] + self.shared.chunk
        return State(
            aligned(row if flags[Flag.CURRENT] else (0, 0), number),
            aligned(row, number),
            np.empty(whole, wide) if flags[Flag.TOGETHER] else np.zeros(traced, wide),
            np.zeros(by_spike, np.int32),
            np.zeros(traced if flags[Flag.MODE] == OFFICIAL else (0, 0), np.int32),
            np.empty((rows if flags[Flag.FIRES] else 0, p.pixels, p.words), np.uint64),
            np.zeros(rows, np.int64),
            np.zeros((rows if flags[Flag.SAM] else 0, p.pixels), wide),
            np.zeros((rows if flags[Flag.MEMBRANE] else 0, *size), number),
            np.zeros((rows if flags[Flag.CURRENTS] else 0, *size), number),
        )

    def run(self) -> None:
        """All populations, all steps; then hand over what is recorded."""
        run = self.shared
        for first in range(0, run.steps, run.chunk):
            end = min(first + run.chunk, run.steps)
            self.begin(first, end)
            for chained, names in itertools.groupby(self._names(), self._chained):
                if chained:
                    run_chain(self, [name for group in names for name in group], first, end)
                else:
                    for group in names:
                        self.advance(group, first, end)
                if run.stopped:
                    return
            self._keep(first, end)
        self._hand_over()

    def begin(self, first: int, end: int) -> None:
        """Make room for a chunk of steps: keep the tail of the one before, and put the input in."""
        run = self.shared
        for name, planes in self.planes.items():
            tail = run.tails[name]
            if first and planes.size:
                planes[:tail] = planes[run.chunk : run.chunk + tail].copy()
        for name, state in self.states.items():
            tail = run.tails[name]
            state.counts[:tail] = state.counts[run.chunk : run.chunk + tail].copy()
            state.counts[tail:] = 0
        self.base = first
        source = run.network.input.name
        if not run.input.graded:
            own = self.planes[source][run.tails[source] :]
            own[:] = 0
            run.input.fill(own, self.b, first, end)

    def advance(self, group: tuple[str, ...], first: int, end: int) -> None:
        """Run a group of populations over the steps ``first:end`` of this chunk."""
        run = self.shared
        if run.paths[group[0]] == "loop":
            if group not in self.loops:
                self.loops[group] = Loop(self, group)
            self.loops[group].advance(first, end)
            return
        if self._chained(group):
            run_chain(self, group, first, end)
            return
        looped = run.looped(group)
        for step in range(first, end) if looped else (first,):
            for name in group:
                if run.stopped:
                    return
                start = time.perf_counter()
                self._general(name, step, step + 1 if looped else end)
                self.seconds[name] += time.perf_counter() - start

    def _names(self) -> list[tuple[str, ...]]:
        """The groups with neurons."""
        run = self.shared
        return [group for group in run.network.groups if group != (run.network.input.name,)]

    def _chained(self, group: tuple[str, ...]) -> bool:
        """Whether a group is one population that threads share piece by piece."""
        return self.shared.paths[group[0]] in ("layer", "or")

    def at(self, source: Link, first: int) -> int:
        """Plane of a source that arrives in its target's own step `first`."""
        return first - source.lag - self.base + self.shared.tails[source.source]

    def own_base(self, name: str) -> int:
        """Own step of a population's first plane."""
        return self.base - self.shared.tails[name]

    def _general(self, name: str, first: int, end: int) -> None:
        p = self.shared.cells[name]
        pitch = p.channels
        if p.pixels == 1:
            pitch = max((source.pitch for source in self.shared.links[name]), default=pitch)
        row = p.pixels * pitch
        listed = max((int(np.prod(source.source_shape)) for source in self.shared.links[name]), default=1)
        length = max(1, min(BLOCK_BYTES // (row * self.number.itemsize), BLOCK_SPIKES // listed))
        room = aligned((min(length, end - first), row), self.number)
        for start in range(first, max(end, first + 1), length):
            steps = min(length, end - start)
            acc = room[:steps]
            acc[:] = 0
            for source in self.shared.links[name]:
                arriving = self._arriving(source, start, start + steps)
                self.operations[source.label] += source.deliver(arriving, acc)
            sums = acc.reshape(steps, p.pixels, pitch)
            block(sums, 0, steps, start, 0, self.own_base(name), p.rule, self.states[name])

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
            self.planes[source.source], self.at(source, first), end - first, 0, pixels, int(channels), start,
            self.index,
        )  # fmt: skip
        return start, pixels, self.index, run.input.value[:0], False

    def _keep(self, first: int, end: int) -> None:
        """Hand over what is recorded of a chunk of steps."""
        run, b = self.shared, self.b
        for name, p in run.cells.items():
            state, steps = self.states[name], end - first
            rows = slice(run.tails[name], run.tails[name] + steps)
            if name in run.counts:
                run.counts[name][first:end, b] = state.counts[rows]
            states = {"spikes": state.planes, "sam": state.sam, "membrane": state.membranes, "current": state.currents}
            for variable, values in states.items():
                target = run.kept.get((variable, name))
                if target is not None:
                    self._put(target, first, values[rows], channels_first=variable not in ("spikes", "sam"))
            if name == run.network.output and p.rule.flags[Flag.FIRES]:
                tally(state.planes, run.tails[name], steps, self.fired)

    def _put(self, target: Target, first: int, values: Array, channels_first: bool) -> None:
        """Hand the values of some steps over, as many at a time as stay in the cache when they are reordered."""
        length = max(1, BLOCK_BYTES // max(values[:1].nbytes, 1)) if channels_first else max(1, len(values))
        for start in range(0, len(values), length):
            own = values[start : start + length]
            laid = (_channels_first(own) if channels_first else own).reshape(len(own), 1, *target.shape[2:])
            target[first + start : first + start + len(own), self.b : self.b + 1] = laid

    def _hand_over(self) -> None:
        run, b = self.shared, self.b
        for name, p in run.cells.items():
            state = self.states[name]
            if name == run.network.output:
                run.output[b] = self.fired if p.rule.flags[Flag.FIRES] else _channels_first(state.v[:, : p.channels])
        with run.lock:
            for label, operations in self.operations.items():
                run.operations[label] += operations
            for name, blocks in self.blocks.items():
                run.blocks[name] += blocks
                run.seconds[name] += self.seconds[name]


def _channels_first(x: Array) -> Array:
    """``(..., pixels, C)`` as ``(..., C * pixels)``."""
    return np.ascontiguousarray(np.swapaxes(x, -1, -2)).reshape(*x.shape[:-2], -1)
