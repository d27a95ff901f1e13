"""Recurrent groups of integer neurons: populations and projections step by step, in one compiled call for many steps.

In each step each population of the group, in the group's order: clear its sums, list every source's spikes that arrive
in this step, add their weights, pool the sums where it has a pool, update the neurons. The work is done by the kernels
of the other paths; this is the loop around them, over the tables of kernels/recurrent_layout.py, which
executors/recurrent.py makes.

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
from neurosam.backends.event.kernels.pooled_sums import pool_largest
from neurosam.backends.event.kernels.recurrent_layout import (
    BASE,
    CONV,
    DENSE,
    DRIVE_HEIGHT,
    DRIVE_WIDTH,
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
    POOLS,
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
    WINDOWS,
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
def _vector(d: Int, dtype: Any) -> Array:
    return carray(as_pointer(d[0]), (d[1],), dtype)


@kernel
def _matrix(d: Int, dtype: Any) -> Array:
    return carray(as_pointer(d[0]), (d[1], d[2]), dtype)


@kernel
def _cube(d: Int, dtype: Any) -> Array:
    return carray(as_pointer(d[0]), (d[1], d[2], d[3]), dtype)


@kernel
def _rule(part: Int, d: Int) -> Rule:
    """The parameters of a population: the first five descriptors of its row."""
    return Rule(
        _vector(d[0], np.int64), _cube(d[1], np.int32), _matrix(d[2], np.int64), part[GAIN_SHIFT],
        _matrix(d[3], np.int64), _vector(d[4], np.int64), part[TRACE_SHIFT], part[IMPULSE],
    )  # fmt: skip


@kernel
def _state(d: Int) -> State:
    """The state of a population: the other ten descriptors of its row."""
    return State(
        _matrix(d[5], np.int32), _matrix(d[6], np.int32), _matrix(d[7], np.int32), _matrix(d[8], np.int32),
        _matrix(d[9], np.int32), _cube(d[10], np.uint64), _vector(d[11], np.int64), _matrix(d[12], np.int32),
        _cube(d[13], np.int32), _cube(d[14], np.int32),
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
    pixels, pitch = part[HEIGHT] * part[WIDTH], part[PITCH]
    sums = workspace.sums[: part[DRIVE_HEIGHT] * part[DRIVE_WIDTH] * pitch]
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
    if part[POOLS]:
        largest = workspace.largest[: pixels * pitch]
        pool_largest(
            sums.reshape(1, part[DRIVE_HEIGHT], part[DRIVE_WIDTH], pitch), part[WINDOWS:],
            largest.reshape(1, part[HEIGHT], part[WIDTH], pitch),
        )  # fmt: skip
        sums = largest
    d = tables.part_arrays[m]
    block(sums.reshape(1, pixels, pitch), 0, 1, step, 0, part[BASE], _rule(part, d), _state(d))


@kernel
def _deliver(
    projection: Int, d: Int, part: Int, step: int, magnitude: int, workspace: RecurrentWorkspace, sums: Array
) -> int:
    """Add what a projection delivers in a step, spikes times `magnitude`, to the sums of its target."""
    source, pool, pooled = _vector(d[SOURCE], np.int64), _vector(d[POOL], np.int64), _vector(d[POOLED], np.int64)
    kind = projection[KIND]
    pixels = source[1] * source[2]
    value, weighted = workspace.value, projection[GRADED] != 0
    if weighted:
        at = (step + projection[OFFSET]) * pixels
        start = _vector(d[START], np.int32)[at : at + pixels + 1]
        index, value = _vector(d[INDEX], np.int32), _vector(d[VALUE], np.int32)
    else:
        start, index = workspace.start[: pixels + 1], workspace.listed
        count = decode(_cube(d[PLANES], np.uint64), step + projection[OFFSET], 1, 0, pixels, source[0], start, index)
        if magnitude != 1:
            weighted = True
            value[:count] = magnitude
    weight = _vector(d[WEIGHT], np.int8)
    if kind == PACKED:
        packed = Packed(_vector(d[WORDS], np.uint64), _vector(d[ROW], np.int64), weight, projection[SIZE])
        low = part[FIRST_TARGET] // (PANEL * TILE)
        high = low + (part[PITCH] + PANEL * TILE - 1) // (PANEL * TILE)
        return int(gather_packed(index, start[pixels], packed, low, high, workspace.halves, sums))
    if kind == ROWS:
        gather_rows(start, pixels, index, weight, sums.reshape(1, sums.size))
        fan_out = _vector(d[ROW], np.int64)
        operations = 0
        for e in range(start[pixels]):
            operations += fan_out[index[e]]
        return operations
    if kind == SPARSE:
        return int(
            deliver_sparse(
                start, pixels, index, value, weighted, source, pool, pooled, _vector(d[ROW], np.int64),
                _vector(d[TARGET], np.uint32), weight, WHOLE if part[PARTS] == 1 else part[FIRST_TARGET],
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
    row = sums.reshape(1, part[DRIVE_HEIGHT], part[DRIVE_WIDTH], part[PITCH])
    return int(
        deliver_conv(
            start, pixels, index, value, weighted, source, pool, pooled, weight, _vector(d[GEOMETRY], np.int64), 0, row
        )
    )  # fmt: skip
