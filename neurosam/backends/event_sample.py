"""One sample of a run: its state, its bit planes, and the path that each population takes through a chunk of steps.

The steps of a chunk are cut into blocks whose sums stay in the cache, and a layer's rows into strips that threads can
share.
"""

from __future__ import annotations

import itertools
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from neurosam.backends.event_layer import Conv, Room, layer
from neurosam.backends.event_loop import Loop
from neurosam.backends.event_neuron import OFFICIAL, Flag, State, block
from neurosam.backends.event_plan import Cells, EventList, Link
from neurosam.backends.event_short import HALF_TILE, TILE, tiles
from neurosam.backends.event_synapse import decode, pool_or, tally
from neurosam.backends.event_vector import LANES, aligned
from neurosam.errors import BackendError
from neurosam.recording import Target
from neurosam.synapse import neurons

if TYPE_CHECKING:
    from neurosam.backends.event import Run

__all__ = ["Sample"]

Array = npt.NDArray[Any]

BLOCK_BYTES = 2**19
"""Sums that a block of steps may hold; a single step is never cut."""
BLOCK_SPIKES = 2**18
"""Spikes that a block of steps may list beside those of its last step."""
BLOCK_STEPS = 64
"""Steps of a block at most."""
STRIP_BYTES = 2**18
"""Membranes of a strip of rows, in one tile of channels."""
SHARED_WORK_S = 1e-4
"""Estimated time from which on a layer's strips are shared by threads."""


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
        row = size
        if self.shared.paths[p.name] == "layer" and self.shared.links[p.name][0].tiled:
            row = (p.pixels, sum(width for _, width in tiles(p.channels)))
        traced = size if flags[Flag.SAM] else (0, 0)
        rows = self.shared.tails[p.name] + self.shared.chunk
        return State(
            aligned(row if flags[Flag.CURRENT] else (0, 0), number),
            aligned(row, number),
            np.zeros(traced, wide),
            np.zeros(traced, np.int32),
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
            for group in run.network.groups:
                if group == (run.network.input.name,):
                    continue
                if run.stopped:
                    return
                self.advance(group, first, end)
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
        path = {"layer": self._layer, "or": self._or, "general": self._general}
        looped = run.looped(group)
        for step in range(first, end) if looped else (first,):
            for name in group:
                if run.stopped:
                    return
                start = time.perf_counter()
                path[run.paths[name]](name, step, step + 1 if looped else end)
                self.seconds[name] += time.perf_counter() - start

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
        seconds = self._estimate(p, source, first, end)
        shared = run.threads if seconds >= SHARED_WORK_S else 1
        height = int(conv.size[0])
        row = int(conv.size[1]) * TILE * self.number.itemsize
        strips = min(height, max(-(-height * row // STRIP_BYTES), 2 * shared if shared > 1 else 1))
        edges = [height * i // strips for i in range(strips + 1)]
        rows = max(bottom - top for top, bottom in itertools.pairwise(edges))
        planes, at = self.planes[source.source], self._at(source, first)
        counts = np.zeros((strips, state.counts.size), np.int64)
        blocks = np.zeros((strips, 3), np.int64)
        operations = [0] * strips

        def strip(i: int) -> None:
            with _room(conv, rows, end - first, state.v) as room:
                operations[i] = layer(
                    planes, at, conv, end - first, first, self._own_base(name), edges[i], edges[i + 1], run.force,
                    p.rule, state._replace(counts=counts[i]), room, blocks[i],
                )  # fmt: skip

        run.share(strip, strips, seconds)
        state.counts[:] += counts.sum(axis=0)
        self.blocks[name] += blocks.sum(axis=0)
        self.operations[source.label] += sum(operations)

    def _estimate(self, p: Cells, source: Link, first: int, end: int) -> float:
        """About how many seconds one thread needs for a layer; only the number of threads depends on it."""
        conv = source.conv
        spikes = int(self._counts(source.source, first - source.lag, end - source.lag).sum())
        taps = 1 if conv is None else int(np.prod(conv.geometry[:2])) / int(np.prod(conv.geometry[2:4]))
        return float(spikes * min(taps, p.pixels) * p.channels / 5e10 + (end - first) * p.pixels * p.channels / 4e9)

    def _counts(self, name: str, first: int, end: int) -> Array:
        """Spikes in a population's own steps ``first:end``, as far as a later step still asks for them."""
        if name != self.shared.network.input.name:
            base = self._own_base(name)
            return self.states[name].counts[first - base : end - base]
        if self.b >= self.shared.count:  # nothing but compilation
            return np.zeros(0, np.int64)
        return self.shared.counts[name][max(first, 0) : max(end, 0), self.b]

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
            block(sums, 0, steps, start, 0, self._own_base(name), p.rule, self.states[name])

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


_rooms: dict[np.dtype[Any], deque[Room]] = {}
"""A room a thread that a strip has used, by the type of its sums, kept for the next: fresh memory is slow."""


@contextmanager
def _room(conv: Conv, rows: int, steps: int, v: Array) -> Iterator[Room]:
    """Memory for strips of so many rows of a layer with membranes `v`."""
    channels, height, width = (int(side) for side in conv.source)
    geometry, out_pixels, pitch = [int(side) for side in conv.geometry], rows * int(conv.size[1]), v.shape[1]
    source_rows = min((rows - 1) * geometry[2] + geometry[0], height)
    reach = -(-geometry[0] // geometry[2]) * -(-geometry[1] // geometry[3])
    together = min(steps, BLOCK_STEPS)
    worst = source_rows * width * channels + HALF_TILE
    listed = worst + min(BLOCK_SPIKES, (together - 1) * worst)
    most = max(1, min(steps, BLOCK_BYTES // (v.itemsize * out_pixels * pitch)))
    fired = out_pixels * pitch + HALF_TILE  # the layer's own spikes are listed too, for their traces
    sizes = (
        max(together * source_rows * width, out_pixels) + 1, max(listed, fired),
        max(listed * reach, together * source_rows * int(conv.size[1])), together * out_pixels + 1,
        max(most * out_pixels * pitch, fired),
    )  # fmt: skip
    rooms = _rooms.setdefault(v.dtype, deque())
    try:
        room = rooms.pop()
    except IndexError:
        room = Room(*(np.empty(0, number) for number in (np.int32, np.int32, np.uint16, np.int32, v.dtype)))
    if any(part.size < size for part, size in zip(room, sizes, strict=True)):
        room = Room(*(np.empty(max(part.size, size), part.dtype) for part, size in zip(room, sizes, strict=True)))
    try:
        yield room
    finally:
        rooms.append(room)


def _channels_first(x: Array) -> Array:
    """``(..., pixels, C)`` as ``(..., C * pixels)``."""
    return np.ascontiguousarray(np.swapaxes(x, -1, -2)).reshape(*x.shape[:-2], -1)
