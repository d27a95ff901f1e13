"""Recurrent groups of integer neurons: populations and projections step by step, in one compiled call for many steps.

In each step each population of the group, in the group's order: clear its sums, list every source's spikes of the step
that arrives, add their weights, advance the neurons. These are the kernels of the other paths; here is the loop around
them. A group holds any number of populations and projections of any kind, while a kernel's argument types are fixed
when it is compiled, so the loop takes them as tables: a row of numbers for each, and its arrays by *descriptor*,
``(address, sides...)``. executors/recurrent.py makes the tables.

**Threads.** A large population may be cut into parts, ranges of whole panels of targets (kernels/packed_rows.py). A
part needs all spikes, and touches only its own sums, states and words. Every thread goes through all steps and takes
the parts that no other has taken, its own first; it goes on when all parts of a population are done, since the next one
may read what they have written. So a thread that comes late, or has to wait for a processor, finds its parts done.

What limits it: the kernels (kernels/packed_rows.py for a large random matrix), and 0.1 to 0.3 us a projection and step.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import carray  # type: ignore[attr-defined]

from neurosam.backends.event.kernels.dense_rows import gather_rows
from neurosam.backends.event.kernels.layout import Rule, State
from neurosam.backends.event.kernels.neurons import block
from neurosam.backends.event.kernels.packed_rows import PANEL, Packed, gather_packed
from neurosam.backends.event.kernels.spike_lists import decode
from neurosam.backends.event.kernels.synapses import WHOLE, deliver_conv, deliver_dense, deliver_sparse
from neurosam.backends.event.runtime.jit import formulas, kernel
from neurosam.backends.event.simd.atomics import claim, observe, pointer, publish
from neurosam.backends.event.simd.int16 import TILE

__all__ = [
    "CELL_TYPES", "CONV", "DENSE", "LINE", "PACKED", "ROWS", "SPARSE", "SYNAPSE_TYPES", "Part", "Room", "Synapse",
    "Tables", "Wire", "advance",
]  # fmt: skip

Array = npt.NDArray[Any]
Int = npt.NDArray[np.int64]

LINE = 8
"""Numbers in a cache line; threads tell each other one a line."""


class Part(IntEnum):
    """Columns of the table of parts; PARTS is how many its population has."""

    PARTS = 0
    HEIGHT = 1
    WIDTH = 2
    CHANNELS = 3
    PITCH = 4
    FIRST_TARGET = 5
    BASE = 6
    FIRST_WIRE = 7
    END_WIRE = 8
    GAIN_SHIFT = 9
    TRACE_SHIFT = 10
    IMPULSE = 11


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


_I32, _I64, _U64 = np.int32, np.int64, np.uint64
CELL_TYPES: tuple[type[np.generic], ...] = (
    _I64, _I32, _I64, _I64, _I64,
    _I32, _I32, _I32, _I32, _I32, _U64, _I64, _I32, _I32, _I32,
)  # fmt: skip
"""Types of a population's arrays: a Rule's, then a State's."""
SYNAPSE_TYPES: tuple[type[np.generic], ...] = (
    _I64, _I64, _I64, _U64, _I32, _I32, _I32, np.int8, _I64, _I64, np.uint32, _U64,
)  # fmt: skip
"""Types of a projection's arrays, in the order of Synapse."""

# Numba freezes plain integers into a kernel at no cost
(
    PARTS, HEIGHT, WIDTH, CHANNELS, PITCH, FIRST_TARGET, BASE, FIRST_WIRE, END_WIRE, GAIN_SHIFT, TRACE_SHIFT,
    IMPULSE,
) = (int(column) for column in Part)  # fmt: skip
KIND, EXPONENT, GRADED, AHEAD, SIZE = (int(column) for column in Wire)
SOURCE, POOL, POOLED, PLANES, START, INDEX, VALUE, WEIGHT, GEOMETRY, ROW, TARGET, WORDS = (int(d) for d in Synapse)
SPARSE, DENSE, CONV, ROWS, PACKED = range(5)
_shift_by = formulas.shift_by


class Tables(NamedTuple):
    """A group as the kernel takes it.

    Parameters
    ----------
    parts : (parts, columns of Part) int64 array
        In order of evaluation; parts of one population behind each other.
    cells : (parts, 15, 4) int64 array
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
    listed: Array
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
    """The parameters of a population: the first five descriptors of its row."""
    return Rule(
        _wide(d[0]), _record(d[1]), _wide_matrix(d[2]), part[GAIN_SHIFT], _wide_matrix(d[3]), _wide(d[4]),
        part[TRACE_SHIFT], part[IMPULSE],
    )  # fmt: skip


@kernel
def _state(d: Int) -> State:
    """The state of a population: the other ten descriptors of its row."""
    return State(
        _matrix(d[5]), _matrix(d[6]), _matrix(d[7]), _matrix(d[8]), _matrix(d[9]), _planes(d[10]), _wide(d[11]),
        _matrix(d[12]), _record(d[13]), _record(d[14]),
    )  # fmt: skip


# --- the loop ---


@kernel
def advance(
    tables: Tables, first: int, end: int, thread: int, threads: int, claimed: Int, done: Int, room: Room
) -> None:  # fmt: skip
    """Run a group over own steps ``first:end``, together with other threads.

    `claimed` and `done` say of each part, a cache line each, which step is the next to be taken and to be finished:
    `first` in the beginning.
    """
    parts = tables.parts
    for step in range(first, end):
        m = 0
        while m < parts.shape[0]:
            count = parts[m, PARTS]
            for k in range(count):
                part = m + (k + thread) % count
                if threads == 1 or claim(claimed, part * LINE, step):
                    _advance_part(tables, part, step, room)
                    publish(done, part * LINE, step + 1)
            for part in range(m, m + count):
                while observe(done, part * LINE) <= step:
                    pass
            m += count


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
        start, index = room.start[: pixels + 1], room.listed
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
                weight, WHOLE if part[PARTS] == 1 else part[FIRST_TARGET],
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
