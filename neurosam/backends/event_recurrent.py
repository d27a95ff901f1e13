"""Recurrent groups of integer neurons: populations and projections step by step, in one compiled call for many steps.

In each step each population of the group, in the group's order: clear its sums, list every source's spikes of the step
that arrives, add their weights, advance the neurons. These are the kernels of the other paths; here is the loop around
them. A group holds any number of populations and projections of any kind, while a kernel's argument types are fixed
when it is compiled, so the loop takes them as tables: a row of numbers for each, and its arrays by *descriptor*,
``(address, sides...)``. :class:`Loop` makes the tables once a sample, and keeps alive what they point to.

**Threads.** A large population may be cut into parts, ranges of whole panels of targets (event_packed.py), one a
thread. A thread lists all spikes, and touches only the sums, states and words of its part; after each population the
threads meet, since the next one may read what all of them have written.

What limits it: the kernels (event_packed.py for a large random matrix), and 0.1 to 0.3 us a projection and step.
"""

from __future__ import annotations

import itertools
import os
import threading
import time
from collections.abc import Sequence
from concurrent.futures import wait
from enum import IntEnum
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import carray

from neurosam.backends.event_compile import formulas, kernel
from neurosam.backends.event_machine import observe, pointer, publish
from neurosam.backends.event_matrix import gather_rows
from neurosam.backends.event_neuron import Flag, Rule, State, block
from neurosam.backends.event_packed import PANEL, Packed, gather_packed
from neurosam.backends.event_plan import NO_POOL, Cells, Link
from neurosam.backends.event_short import TILE
from neurosam.backends.event_synapse import WHOLE, decode, deliver_conv, deliver_dense, deliver_sparse
from neurosam.backends.event_vector import LANES, aligned

if TYPE_CHECKING:
    from neurosam.backends.event_sample import Sample

__all__ = ["Loop"]

Array = npt.NDArray[Any]
Int = npt.NDArray[np.int64]

LEAST_PANELS = 2
"""Panels of targets a thread from which on threads share a population."""
LEAST_FAN_OUT = 32
"""Synapses a source and thread from which on threads share a population."""
CALL = 2**26
"""Neuron updates, and 64ths of synapses a step, in one call of the kernel: an interrupt waits for its end."""
TURN = 8
"""Places of a thread's turn: a cache line."""
GONE = 2**62
"""Turn of a thread for which nobody has to wait any more."""


class Part(IntEnum):
    """Columns of the table of populations, or of the threads' parts of them."""

    THREAD = 0
    LAST = 1
    HEIGHT = 2
    WIDTH = 3
    CHANNELS = 4
    PITCH = 5
    FIRST_TARGET = 6
    BASE = 7
    FIRST_WIRE = 8
    END_WIRE = 9
    GAIN_SHIFT = 10
    TRACE_SHIFT = 11
    IMPULSE = 12


class Wire(IntEnum):
    """Columns of the table of projections; AHEAD is the plane (or step of a list) that arrives in own step 0."""

    KIND = 0
    EXPONENT = 1
    GRADED = 2
    AHEAD = 3
    SIZE = 4


class Synapse(IntEnum):
    """Descriptors of a projection."""

    SOURCE = 0
    POOL = 1
    POOLED = 2
    PLANES = 3
    START = 4
    INDEX = 5
    VALUE = 6
    WEIGHT = 7
    GEOMETRY = 8
    ROW = 9
    TARGET = 10
    WORDS = 11


# Numba freezes plain integers into a kernel at no cost
(
    THREAD, LAST, HEIGHT, WIDTH, CHANNELS, PITCH, FIRST_TARGET, BASE, FIRST_WIRE, END_WIRE, GAIN_SHIFT, TRACE_SHIFT,
    IMPULSE,
) = (int(column) for column in Part)  # fmt: skip
KIND, EXPONENT, GRADED, AHEAD, SIZE = (int(column) for column in Wire)
SOURCE, POOL, POOLED, PLANES, START, INDEX, VALUE, WEIGHT, GEOMETRY, ROW, TARGET, WORDS = (int(d) for d in Synapse)
SPARSE, DENSE, CONV, ROWS, PACKED = range(5)
_shift_by = formulas.shift_by
KINDS = {deliver_sparse: SPARSE, deliver_dense: DENSE, deliver_conv: CONV}


class Tables(NamedTuple):
    """A group as the kernel takes it.

    Parameters
    ----------
    parts : (parts, columns of Part) int64 array
        In order of evaluation; parts of one population behind each other.
    cells : (parts, 19, 4) int64 array
        Descriptors of the arrays of a Rule, then of a State.
    wires : (projections, columns of Wire) int64 array
    synapses : (projections, columns of Synapse, 4) int64 array
    """

    parts: Int
    cells: Int
    wires: Int
    synapses: Int


class Room(NamedTuple):
    """What one thread works in: sums, sums of one projection, sums in 16 bits, spikes, their worth, operations."""

    sums: Array
    own: Array
    halves: Array
    start: Array
    index: Array
    value: Array
    operations: Int


# --- arrays from descriptors ---


@kernel
def _bytes(d: Int) -> Array:
    return carray(pointer(d[0]), (d[1],), np.int8)


@kernel
def _numbers(d: Int) -> Array:
    return carray(pointer(d[0]), (d[1],), np.int32)


@kernel
def _wide(d: Int) -> Array:
    return carray(pointer(d[0]), (d[1],), np.int64)


@kernel
def _places(d: Int) -> Array:
    return carray(pointer(d[0]), (d[1],), np.uint32)


@kernel
def _words(d: Int) -> Array:
    return carray(pointer(d[0]), (d[1],), np.uint64)


@kernel
def _matrix(d: Int) -> Array:
    return carray(pointer(d[0]), (d[1], d[2]), np.int32)


@kernel
def _wide_matrix(d: Int) -> Array:
    return carray(pointer(d[0]), (d[1], d[2]), np.int64)


@kernel
def _record(d: Int) -> Array:
    return carray(pointer(d[0]), (d[1], d[2], d[3]), np.int32)


@kernel
def _planes(d: Int) -> Array:
    return carray(pointer(d[0]), (d[1], d[2], d[3]), np.uint64)


@kernel
def _rule(part: Int, d: Int) -> Rule:
    """The parameters of a population: the first nine descriptors of its row."""
    return Rule(
        _wide(d[0]), _numbers(d[1]), _numbers(d[2]), _numbers(d[3]), _numbers(d[4]), _numbers(d[5]),
        _wide_matrix(d[6]), part[GAIN_SHIFT], _wide_matrix(d[7]), _wide(d[8]), part[TRACE_SHIFT], part[IMPULSE],
    )  # fmt: skip


@kernel
def _state(d: Int) -> State:
    """The state of a population: the other ten descriptors of its row."""
    return State(
        _matrix(d[9]), _matrix(d[10]), _matrix(d[11]), _matrix(d[12]), _matrix(d[13]), _planes(d[14]), _wide(d[15]),
        _matrix(d[16]), _record(d[17]), _record(d[18]),
    )  # fmt: skip


# --- the loop ---


@kernel
def advance(tables: Tables, first: int, end: int, thread: int, threads: int, turns: Int, room: Room) -> None:
    """Run a group over own steps ``first:end``; `thread` does its parts, and meets the others after each population.

    `turns` has a cache line for each thread, all with the same count before.
    """
    parts = tables.parts
    for step in range(first, end):
        for m in range(parts.shape[0]):
            if parts[m, THREAD] == thread:
                _advance_part(tables, m, step, room)
            if threads > 1 and parts[m, LAST]:
                turn = turns[thread * TURN] + 1
                publish(turns, thread * TURN, turn)
                for other in range(threads):
                    while observe(turns, other * TURN) < turn:
                        pass


@kernel
def _advance_part(tables: Tables, m: int, step: int, room: Room) -> None:
    """One step of a population, or of a part of it."""
    part = tables.parts[m]
    pixels = part[HEIGHT] * part[WIDTH]
    sums = room.sums[: pixels * part[PITCH]]
    sums[:] = 0
    for w in range(part[FIRST_WIRE], part[END_WIRE]):
        wire, d = tables.wires[w], tables.synapses[w]
        exponent = wire[EXPONENT]
        worth = 1 << exponent if exponent > 0 and not wire[GRADED] and wire[KIND] <= CONV else 1
        apart = exponent != 0 and worth == 1
        into = room.own[: sums.size] if apart else sums
        if apart:
            into[:] = 0
        room.operations[w] += _deliver(wire, d, part, step, worth, room, into)
        if apart:
            for j in range(sums.size):
                sums[j] += _shift_by(into[j], exponent)
    d = tables.cells[m]
    block(sums.reshape(1, pixels, part[PITCH]), 0, 1, step, 0, part[BASE], _rule(part, d), _state(d))


@kernel
def _deliver(wire: Int, d: Int, part: Int, step: int, worth: int, room: Room, sums: Array) -> int:
    """Add what a projection delivers in a step, spikes times `worth`, to the sums of its target."""
    source, pool, pooled, kind = _wide(d[SOURCE]), _wide(d[POOL]), _wide(d[POOLED]), wire[KIND]
    pixels = source[1] * source[2]
    value, weighted = room.value, wire[GRADED] != 0
    if weighted:
        at = (step + wire[AHEAD]) * pixels
        start, index, value = _numbers(d[START])[at : at + pixels + 1], _numbers(d[INDEX]), _numbers(d[VALUE])
    else:
        start, index = room.start[: pixels + 1], room.index
        count = decode(_planes(d[PLANES]), step + wire[AHEAD], 1, 0, pixels, source[0], start, index)
        if worth != 1:
            weighted = True
            value[:count] = worth
    weight = _bytes(d[WEIGHT])
    if kind == PACKED:
        packed = Packed(_words(d[WORDS]), _wide(d[ROW]), weight, wire[SIZE])
        low = part[FIRST_TARGET] // (PANEL * TILE)
        high = low + (part[PITCH] + PANEL * TILE - 1) // (PANEL * TILE)
        return int(gather_packed(index, start[pixels], packed, low, high, room.halves, sums))
    if kind == ROWS:
        gather_rows(start, pixels, index, weight, sums.reshape(1, sums.size))
        fan_out = _wide(d[ROW])
        operations = 0
        for e in range(start[pixels]):
            operations += fan_out[index[e]]
        return operations
    if kind == SPARSE:
        return int(
            deliver_sparse(
                start, pixels, index, value, weighted, source, pool, pooled, _wide(d[ROW]), _places(d[TARGET]),
                weight, WHOLE if part[LAST] and part[FIRST_TARGET] == 0 else part[FIRST_TARGET],
                sums.reshape(1, sums.size),
            )
        )  # fmt: skip
    if kind == DENSE:
        return int(
            deliver_dense(
                start, pixels, index, value, weighted, source, pool, pooled, weight, wire[SIZE],
                sums.reshape(1, sums.size),
            )
        )  # fmt: skip
    row = sums.reshape(1, part[HEIGHT], part[WIDTH], part[PITCH])
    return int(
        deliver_conv(
            start, pixels, index, value, weighted, source, pool, pooled, weight, _wide(d[GEOMETRY]), 0, row
        )
    )  # fmt: skip


# --- what the kernel is given ---


class Loop:
    """A recurrent group in one sample.

    Parameters
    ----------
    sample : Sample
    group : sequence of str
        Populations in order of evaluation.
    """

    def __init__(self, sample: Sample, group: Sequence[str]) -> None:
        run = sample.shared
        self.sample = sample
        self.links = [link for name in group for link in run.links[name]]
        self.kept: list[Array] = []
        self.counts: list[tuple[str, Int]] = []
        parts, cells, wire = [], [], 0
        for name in group:
            p, links = run.cells[name], run.links[name]
            kinds = [self._kind(link) for link in links]
            edges = _edges(p, links, kinds, run.threads)
            for thread, (low, high) in enumerate(itertools.pairwise(edges)):
                rule, state = _slice(p, sample.states[name], low, high)
                whole = any(kind in (ROWS, PACKED) for kind in kinds)
                parts.append([
                    thread, high == edges[-1], p.shape[1], p.shape[2], high - low,
                    -(-(high - low) // TILE) * TILE if whole else high - low,
                    low, 0, wire, wire + len(links), rule.shift, rule.trace_shift, rule.impulse,
                ])  # fmt: skip
                arrays = [x for x in (*rule, *state) if isinstance(x, np.ndarray)]
                cells.append([self._describe(x, x is state.planes and low // 64 * 8) for x in arrays])
                self.counts.append((name, state.counts))
            wire += len(links)
        self.threads = 1 + max(part[THREAD] for part in parts)
        self.tables = Tables(
            np.array(parts, np.int64), np.array(cells, np.int64),
            np.array([self._wire(link) for link in self.links], np.int64),
            np.array([[self._describe(x) for x in self._arrays(link)] for link in self.links], np.int64),
        )  # fmt: skip
        row = max(part[HEIGHT] * part[WIDTH] * part[PITCH] for part in parts)
        pixels = max(int(np.prod(link.source_shape[1:])) for link in self.links)
        neurons = max(int(np.prod(link.source_shape)) for link in self.links)
        self.rooms = [
            Room(
                aligned((row,), np.int32), aligned((row,), np.int32), aligned((row,), np.int16),
                np.zeros(pixels + 1, np.int32), np.zeros(neurons + LANES, np.int32), np.zeros(neurons, np.int32),
                np.zeros(len(self.links), np.int64),
            )
            for _ in range(self.threads)
        ]  # fmt: skip
        size = sum(sample.states[name].v.size for name in group) + sum(link.synapses for link in self.links) // 64
        self.length = max(1, CALL // max(size, 1))
        self.turns = aligned((self.threads * TURN,), np.int64)

    def advance(self, first: int, end: int) -> None:
        """Run the own steps ``first:end``, within one chunk."""
        begin = time.perf_counter()
        for start in range(first, max(end, first + 1), self.length):
            if self.sample.shared.stopped:
                return
            self._call(start, min(start + self.length, end))
        self._count(time.perf_counter() - begin)

    def _call(self, first: int, end: int) -> None:
        """Run some steps in one call of the kernel, on all threads."""
        lists = self._aim(first, end)
        helpers = self.sample.shared.helpers
        together = threading.Barrier(self.threads)
        self.turns[:] = 0
        helping = []
        try:
            for thread in range(1, self.threads):
                if helpers is not None:
                    helping.append(helpers.submit(self._advance, thread, first, end, together))
            self._advance(0, first, end, together)
        finally:
            together.abort()
            wait(helping)
        for done in helping:
            done.result()
        lists.clear()

    def _advance(self, thread: int, first: int, end: int, together: threading.Barrier) -> None:
        """A thread's share, once all threads are there; whatever happens, nobody waits for it afterwards."""
        try:
            together.wait()
            advance(self.tables, first, end, thread, self.threads, self.turns, self.rooms[thread])
        finally:
            self.turns[thread * TURN] = GONE

    def _aim(self, first: int, end: int) -> list[Array]:
        """Point the tables at a chunk; returns lists of input that have to live as long as the kernel runs."""
        sample, run, lists = self.sample, self.sample.shared, []
        for m, (name, _) in enumerate(self.counts):
            self.tables.parts[m, BASE] = sample.base - run.tails[name]
        for w, link in enumerate(self.links):
            if not self._graded(link):
                self.tables.wires[w, AHEAD] = run.tails[link.source] - sample.base - link.lag
                continue
            start, _, index, value, _ = run.input.block(sample.b, first - link.lag, end - link.lag)
            self.tables.wires[w, AHEAD] = -first
            for place, array in ((START, start), (INDEX, index), (VALUE, value)):
                self.tables.synapses[w, place] = _descriptor(array)
                lists.append(array)
        return lists

    def _count(self, seconds: float) -> None:
        """Add up what the threads have counted; populations share the time by what they did."""
        sample = self.sample
        work = {name: float(sample.states[name].v.size) for name, _ in self.counts}
        for name, counts in self.counts:
            own = sample.states[name].counts
            if counts is not own:
                own += counts
                counts[:] = 0
        for room in self.rooms:
            for link, operations in zip(self.links, room.operations.tolist(), strict=True):
                sample.operations[link.label] += operations
                work[link.target] += operations
            room.operations[:] = 0
        for name, share in work.items():
            sample.seconds[name] += seconds * share / max(sum(work.values()), 1.0)

    def _graded(self, link: Link) -> bool:
        run = self.sample.shared
        return link.source == run.network.input.name and run.input.graded

    def _kind(self, link: Link) -> int:
        """The fastest kernel that can deliver what the source sends."""
        if self._graded(link):
            return KINDS[link.kernel]
        return PACKED if link.packed is not None else ROWS if link.pairs.size else KINDS[link.kernel]

    def _wire(self, link: Link) -> list[int]:
        kind, size = self._kind(link), 0
        if kind == DENSE:
            size = int(link.arrays[1])
        elif kind == PACKED and link.packed is not None:
            size = link.packed.tiles
        return [kind, link.exponent, self._graded(link), 0, size]

    def _arrays(self, link: Link) -> list[Array]:
        """A projection's arrays, in the order of Synapse; lists of events come later."""
        kind = self._kind(link)
        empty = np.zeros(0, np.int64)
        planes = self.sample.planes[link.source]
        weight = geometry = row = target = words_ = empty
        if kind == PACKED and link.packed is not None:
            words_, row, weight = link.packed.words, link.packed.start, link.packed.weight
        elif kind == ROWS:
            weight, row = link.pairs, link.fan_out
        elif kind == CONV:
            weight, geometry = link.arrays[:2]
        elif kind == DENSE:
            weight = link.arrays[0]
        else:
            row, target, weight = link.arrays[:3]
        return [
            link.source_shape, link.pool, link.pooled_shape, planes, empty, empty, empty, weight, geometry, row, target,
            words_,
        ]  # fmt: skip

    def _describe(self, array: Array, offset: int = 0) -> list[int]:
        """The descriptor of an array that is kept, `offset` bytes further on."""
        self.kept.append(array)
        address, *sides = _descriptor(array)
        return [address + offset, *sides]


def _descriptor(array: Array) -> list[int]:
    """Address and sides."""
    return [array.ctypes.data, *array.shape, 0, 0][:4]


def _edges(p: Cells, links: Sequence[Link], kinds: Sequence[int], threads: int) -> list[int]:
    """Channels at which a population is cut for threads: whole panels.

    Only where nothing but sums, membranes, currents and spikes is kept, and where rows are long: every thread looks
    up every row.
    """
    panels = -(-p.channels // (PANEL * TILE))
    parts = min(threads, _processors(), panels // LEAST_PANELS)
    plain = not any(p.rule.flags[flag] for flag in (Flag.TABLES, Flag.SAM, Flag.MEMBRANE, Flag.CURRENTS))
    cut = all(
        kind == PACKED or (kind == SPARSE and link.pool is NO_POOL) for kind, link in zip(kinds, links, strict=True)
    )
    if parts < 2 or p.pixels != 1 or not plain or not cut:
        return [0, p.channels]
    synapses, sources = sum(link.synapses for link in links), sum(int(np.prod(link.source_shape)) for link in links)
    if synapses < LEAST_FAN_OUT * parts * sources:
        return [0, p.channels]
    return [*(panels * part // parts * PANEL * TILE for part in range(parts)), p.channels]


def _slice(p: Cells, state: State, low: int, high: int) -> tuple[Rule, State]:
    """Parameters and state of the channels ``low:high``; all of them share the planes."""
    if (low, high) == (0, p.channels):
        return p.rule, state
    rule = p.rule._replace(
        **{name: getattr(p.rule, name)[low:] for name in ("factor_u", "factor_v", "bias", "threshold", "amount")}
    )
    return rule, state._replace(u=state.u[:, low:high], v=state.v[:, low:high], counts=np.zeros_like(state.counts))


@cache
def _processors() -> int:
    """Threads that can run at once: more would wait for each other's time slices."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
