"""Recurrent groups of integer neurons: populations and projections step by step, in one compiled call for many steps.

In each step each population of the group, in the group's order: clear its sums, list every source's spikes that arrive
in this step, add their weights, update the neurons. The work is done by the kernels of the other paths; this is the
loop around them, over the tables of kernels/recurrent_layout.py, which executors/recurrent.py makes.

**Threads.** A large population may be cut into parts, ranges of whole panels of targets (kernels/packed_rows.py). A
part needs all spikes, and writes only its own sums, states and words. Every thread goes through all steps and takes
the parts that no other thread has taken, its own first; it goes on when all parts of a population are done, since the
next one may read what they have written. So a thread that starts late, or is descheduled, finds its parts done.

What limits it: the kernels (kernels/packed_rows.py for a large random matrix), and 0.1 to 0.3 us per projection and
step.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import carray  # type: ignore[attr-defined]

from neurosam.backends.event.kernels.dense_rows import gather_rows
from neurosam.backends.event.kernels.layout import COUNTER_PITCH, Rule, State
from neurosam.backends.event.kernels.neurons import block
from neurosam.backends.event.kernels.packed_rows import PANEL, Packed, gather_packed
from neurosam.backends.event.kernels.recurrent_layout import (
    BASE,
    CONV,
    DENSE,
    END_PROJECTION,
    EXPONENT,
    FIRST_PROJECTION,
    FIRST_TARGET,
    GAIN_SHIFT,
    GEOMETRY,
    GRADED,
    HEIGHT,
    IMPULSE,
    INDEX,
    KIND,
    OFFSET,
    PACKED,
    PARTS,
    PITCH,
    PLANES,
    POOL,
    POOLED,
    ROW,
    ROWS,
    SIZE,
    SOURCE,
    SPARSE,
    START,
    TARGET,
    TRACE_SHIFT,
    VALUE,
    WEIGHT,
    WIDTH,
    WORDS,
    RecurrentWorkspace,
    Tables,
)
from neurosam.backends.event.kernels.spike_lists import decode
from neurosam.backends.event.kernels.synapses import WHOLE, deliver_conv, deliver_dense, deliver_sparse
from neurosam.backends.event.runtime.jit import formulas, kernel
from neurosam.backends.event.simd.atomics import as_pointer, claim, observe, publish
from neurosam.backends.event.simd.int16 import TILE

__all__ = ["run_group"]

Array = npt.NDArray[Any]
Int = npt.NDArray[np.int64]

_shift_by = formulas.shift_by


# --- arrays from descriptors ---


@kernel
def _int8s(d: Int) -> Array:
    return carray(as_pointer(d[0]), (d[1],), np.int8)


@kernel
def _int32s(d: Int) -> Array:
    return carray(as_pointer(d[0]), (d[1],), np.int32)


@kernel
def _int64s(d: Int) -> Array:
    return carray(as_pointer(d[0]), (d[1],), np.int64)


@kernel
def _uint32s(d: Int) -> Array:
    return carray(as_pointer(d[0]), (d[1],), np.uint32)


@kernel
def _uint64s(d: Int) -> Array:
    return carray(as_pointer(d[0]), (d[1],), np.uint64)


@kernel
def _int32_matrix(d: Int) -> Array:
    return carray(as_pointer(d[0]), (d[1], d[2]), np.int32)


@kernel
def _int64_matrix(d: Int) -> Array:
    return carray(as_pointer(d[0]), (d[1], d[2]), np.int64)


@kernel
def _int32_cube(d: Int) -> Array:
    return carray(as_pointer(d[0]), (d[1], d[2], d[3]), np.int32)


@kernel
def _uint64_cube(d: Int) -> Array:
    return carray(as_pointer(d[0]), (d[1], d[2], d[3]), np.uint64)


@kernel
def _rule(part: Int, d: Int) -> Rule:
    """The parameters of a population: the first five descriptors of its row."""
    return Rule(
        _int64s(d[0]), _int32_cube(d[1]), _int64_matrix(d[2]), part[GAIN_SHIFT], _int64_matrix(d[3]), _int64s(d[4]),
        part[TRACE_SHIFT], part[IMPULSE],
    )  # fmt: skip


@kernel
def _state(d: Int) -> State:
    """The state of a population: the other ten descriptors of its row."""
    return State(
        _int32_matrix(d[5]), _int32_matrix(d[6]), _int32_matrix(d[7]), _int32_matrix(d[8]), _int32_matrix(d[9]),
        _uint64_cube(d[10]), _int64s(d[11]), _int32_matrix(d[12]), _int32_cube(d[13]), _int32_cube(d[14]),
    )  # fmt: skip


# --- the loop ---


@kernel
def run_group(
    tables: Tables, first: int, end: int, thread: int, threads: int, claimed: Int, done: Int,
    workspace: RecurrentWorkspace,
) -> None:  # fmt: skip
    """Run a group over own steps ``first:end``, together with other threads.

    `claimed` and `done` hold, for each part and in a cache line of its own, the next step to be taken and the next to
    be finished; both start at `first`.
    """
    parts = tables.parts
    for step in range(first, end):
        m = 0
        while m < parts.shape[0]:
            count = parts[m, PARTS]
            for k in range(count):
                part = m + (k + thread) % count
                if threads == 1 or claim(claimed, part * COUNTER_PITCH, step):
                    _run_part(tables, part, step, workspace)
                    publish(done, part * COUNTER_PITCH, step + 1)
            for part in range(m, m + count):
                while observe(done, part * COUNTER_PITCH) <= step:
                    pass
            m += count


@kernel
def _run_part(tables: Tables, m: int, step: int, workspace: RecurrentWorkspace) -> None:
    """One step of a population, or of a part of it."""
    part = tables.parts[m]
    pixels = part[HEIGHT] * part[WIDTH]
    sums = workspace.sums[: pixels * part[PITCH]]
    sums[:] = 0
    for w in range(part[FIRST_PROJECTION], part[END_PROJECTION]):
        projection, d = tables.projections[w], tables.projection_arrays[w]
        exponent = projection[EXPONENT]
        magnitude = 1 << exponent if exponent > 0 and not projection[GRADED] and projection[KIND] <= CONV else 1
        separate_buffer = exponent != 0 and magnitude == 1
        into = workspace.projection_sums[: sums.size] if separate_buffer else sums
        if separate_buffer:
            into[:] = 0
        workspace.operations[w] += _deliver(projection, d, part, step, magnitude, workspace, into)
        if separate_buffer:
            for j in range(sums.size):
                sums[j] += _shift_by(into[j], exponent)
    d = tables.part_arrays[m]
    block(sums.reshape(1, pixels, part[PITCH]), 0, 1, step, 0, part[BASE], _rule(part, d), _state(d))


@kernel
def _deliver(
    projection: Int, d: Int, part: Int, step: int, magnitude: int, workspace: RecurrentWorkspace, sums: Array
) -> int:
    """Add what a projection delivers in a step, spikes times `magnitude`, to the sums of its target."""
    source, pool, pooled, kind = _int64s(d[SOURCE]), _int64s(d[POOL]), _int64s(d[POOLED]), projection[KIND]
    pixels = source[1] * source[2]
    value, weighted = workspace.value, projection[GRADED] != 0
    if weighted:
        at = (step + projection[OFFSET]) * pixels
        start, index, value = _int32s(d[START])[at : at + pixels + 1], _int32s(d[INDEX]), _int32s(d[VALUE])
    else:
        start, index = workspace.start[: pixels + 1], workspace.listed
        count = decode(_uint64_cube(d[PLANES]), step + projection[OFFSET], 1, 0, pixels, source[0], start, index)
        if magnitude != 1:
            weighted = True
            value[:count] = magnitude
    weight = _int8s(d[WEIGHT])
    if kind == PACKED:
        packed = Packed(_uint64s(d[WORDS]), _int64s(d[ROW]), weight, projection[SIZE])
        low = part[FIRST_TARGET] // (PANEL * TILE)
        high = low + (part[PITCH] + PANEL * TILE - 1) // (PANEL * TILE)
        return int(gather_packed(index, start[pixels], packed, low, high, workspace.halves, sums))
    if kind == ROWS:
        gather_rows(start, pixels, index, weight, sums.reshape(1, sums.size))
        fan_out = _int64s(d[ROW])
        operations = 0
        for e in range(start[pixels]):
            operations += fan_out[index[e]]
        return operations
    if kind == SPARSE:
        return int(
            deliver_sparse(
                start, pixels, index, value, weighted, source, pool, pooled, _int64s(d[ROW]), _uint32s(d[TARGET]),
                weight, WHOLE if part[PARTS] == 1 else part[FIRST_TARGET],
                sums.reshape(1, sums.size),
            )
        )  # fmt: skip
    if kind == DENSE:
        return int(
            deliver_dense(
                start, pixels, index, value, weighted, source, pool, pooled, weight, projection[SIZE],
                sums.reshape(1, sums.size),
            )
        )  # fmt: skip
    row = sums.reshape(1, part[HEIGHT], part[WIDTH], part[PITCH])
    return int(
        deliver_conv(
            start, pixels, index, value, weighted, source, pool, pooled, weight, _int64s(d[GEOMETRY]), 0, row
        )
    )  # fmt: skip
