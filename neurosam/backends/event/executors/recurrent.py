"""Recurrent groups of integer neurons: the tables, workspaces and threads of their kernel (kernels/recurrent.py).

The kernel finds arrays by their addresses, and cannot tell what lies there. So each array's type and layout are checked
here before its address is taken, and the executor keeps the array alive.
"""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from neurosam.backends.event.context import RunContext
from neurosam.backends.event.executors.base import Executor
from neurosam.backends.event.kernels.layout import COUNTER_PITCH, Flag, Rule, State
from neurosam.backends.event.kernels.packed_rows import PANEL
from neurosam.backends.event.kernels.recurrent import run_group
from neurosam.backends.event.kernels.recurrent_layout import (
    CONV,
    DENSE,
    PACKED,
    POPULATION_DTYPES,
    PROJECTION_DTYPES,
    ROWS,
    SPARSE,
    PartColumn,
    ProjectionArray,
    ProjectionColumn,
    RecurrentWorkspace,
    Tables,
)
from neurosam.backends.event.kernels.synapses import deliver_conv, deliver_dense, deliver_sparse
from neurosam.backends.event.memory import SampleMemory
from neurosam.backends.event.plan.compiled import Plan
from neurosam.backends.event.plan.populations import CompiledPopulation
from neurosam.backends.event.plan.projections import NO_POOL, CompiledProjection
from neurosam.backends.event.runtime.thread_pool import run_parallel
from neurosam.backends.event.simd.int16 import TILE
from neurosam.backends.event.simd.vectors import LANES, aligned
from neurosam.errors import BackendError

__all__ = ["RecurrentExecutor"]

Array = npt.NDArray[Any]
Int = npt.NDArray[np.int64]

LEAST_PANELS = 4
"""Panels of targets per thread from which on threads share a population."""
LEAST_FAN_OUT = 32
"""Synapses per source and thread from which on threads share a population."""
CALL = 2**26
"""Neuron updates and 64ths of synapses, times steps, of one call of the kernel: an interrupt waits for its end."""
PLANES = POPULATION_DTYPES.index(np.uint64)
"""Index of the bit planes among a population's arrays."""
GONE = 2**62
"""A step that no run reaches: a thread that fails reports it as done, so that no other waits for it."""
KINDS = {deliver_sparse: SPARSE, deliver_dense: DENSE, deliver_conv: CONV}


class RecurrentExecutor(Executor):
    """A recurrent group, in one kernel."""

    def __init__(self, plan: Plan, memory: SampleMemory, names: Sequence[str]) -> None:
        super().__init__(plan, memory, names)
        self.kept: list[Array] = []
        self.counts: list[tuple[str, Int]] = []
        self.tables = self._tables()
        count, columns = len(self.tables.parts), self.tables.parts.T
        self.threads = int(columns[PartColumn.PARTS].max())
        pitch, pools = columns[PartColumn.PITCH], columns[PartColumn.POOLS]
        row = int((columns[PartColumn.DRIVE_HEIGHT] * columns[PartColumn.DRIVE_WIDTH] * pitch).max())
        largest = int((columns[PartColumn.HEIGHT] * columns[PartColumn.WIDTH] * pitch * pools).max())
        self.workspaces = [self._workspace(row, largest) for _ in range(self.threads)]
        size = sum(memory.states[name].v.size for name in names) + sum(p.synapses for p in self.projections) // 64
        self.length = max(1, CALL // max(size, 1))
        self.claimed, self.done = (aligned((count * COUNTER_PITCH,), np.int64) for _ in range(2))

    def _tables(self) -> Tables:
        """The group as the kernel takes it; notes the counts of each part, in `self.counts`."""
        parts, part_arrays, first = [], [], 0
        for name in self.names:
            p, projections = self.plan.populations[name], self.plan.incoming[name]
            end = first + len(projections)
            kinds = [self._kind(projection) for projection in projections]
            edges = _edges(p, projections, kinds, self.plan.threads)
            for low, high in itertools.pairwise(edges):
                rule, state = _slice(p, self.memory.states[name], low, high)
                channels = high - low
                pitch = -(-channels // TILE) * TILE if any(kind in (ROWS, PACKED) for kind in kinds) else channels
                parts.append([
                    len(edges) - 1, p.shape[1], p.shape[2], channels, pitch, low, 0, first, end,
                    rule.shift, rule.trace_shift, rule.impulse, *p.drive[1:], p.pooled is not None,
                    *(p.pooled.geometry.tolist() if p.pooled is not None else NO_POOL.tolist()),
                ])  # fmt: skip
                arrays = [x for x in (*rule, *state) if isinstance(x, np.ndarray)]
                described = [self._describe(x, dtype) for x, dtype in zip(arrays, POPULATION_DTYPES, strict=True)]
                described[PLANES][0] += low // 8  # a bit for each channel
                part_arrays.append(described)
                self.counts.append((name, state.counts))
            first = end
        return Tables(
            np.array(parts, np.int64), np.array(part_arrays, np.int64),
            np.array([self._row(projection) for projection in self.projections], np.int64),
            np.array([self._arrays(projection) for projection in self.projections], np.int64),
        )  # fmt: skip

    def _workspace(self, row: int, largest: int) -> RecurrentWorkspace:
        """Memory for one thread, with `row` sums, `largest` of them pooled; what no projection needs is empty."""
        pixels = max(int(np.prod(projection.source_shape[1:])) for projection in self.projections)
        sources = max(int(np.prod(projection.source_shape)) for projection in self.projections)
        scaled = any(projection.exponent for projection in self.projections)
        packed = any(self._kind(projection) == PACKED for projection in self.projections)
        return RecurrentWorkspace(
            aligned((row,), np.int32), aligned((row if scaled else 0,), np.int32),
            aligned((largest,), np.int32), aligned((row if packed else 0,), np.int16), np.zeros(pixels + 1, np.int32),
            np.zeros(sources + LANES, np.int32), np.zeros(sources if scaled else 0, np.int32),
            np.zeros(len(self.projections), np.int64),
        )  # fmt: skip

    def run(self, context: RunContext, first: int, end: int) -> None:
        """Run the steps ``first:end``."""
        begin = time.perf_counter()
        for start in range(first, max(end, first + 1), self.length):
            if context.stopped:
                return
            self._call(context, start, min(start + self.length, end))
        self._count(time.perf_counter() - begin)

    def _call(self, context: RunContext, first: int, end: int) -> None:
        """Run some steps in one call of the kernel on each thread."""
        lists = self._point(context, first, end)
        self.claimed[:] = self.done[:] = first
        try:
            run_parallel(lambda thread: self._work(thread, first, end), self.threads)
        finally:
            lists.clear()

    def _work(self, thread: int, first: int, end: int) -> None:
        """Do a thread's share of the work; a thread that fails releases the others, which would wait for its part."""
        try:
            run_group(self.tables, first, end, thread, self.threads, self.claimed, self.done, self.workspaces[thread])
        except BaseException:
            self.done[:] = GONE
            raise

    def _point(self, context: RunContext, first: int, end: int) -> list[Array]:
        """Point the tables at the steps of a call; returns the lists of graded input, for its caller to keep alive."""
        memory, history, lists = self.memory, self.plan.history, []
        for m, (name, _) in enumerate(self.counts):
            self.tables.parts[m, PartColumn.BASE] = memory.base - history[name]
        for w, projection in enumerate(self.projections):
            lag = projection.lag
            if not self._is_graded(projection):
                self.tables.projections[w, ProjectionColumn.OFFSET] = history[projection.source] - memory.base - lag
                continue
            start, _, index, value, _ = context.inputs[projection.source].block(memory.sample, first - lag, end - lag)
            self.tables.projections[w, ProjectionColumn.OFFSET] = -first
            listed = {ProjectionArray.START: start, ProjectionArray.INDEX: index, ProjectionArray.VALUE: value}
            for column, array in listed.items():
                self.tables.projection_arrays[w, column] = _descriptor(array, PROJECTION_DTYPES[column])
                lists.append(array)
        return lists

    def _count(self, seconds: float) -> None:
        """Add up what the threads have counted; populations share the time in proportion to updates and operations."""
        memory = self.memory
        work = {name: float(memory.states[name].v.size) for name in self.names}
        for name, counts in self.counts:
            total = memory.states[name].counts
            if counts is not total:
                total += counts
                counts[:] = 0
        for workspace in self.workspaces:
            for projection, operations in zip(self.projections, workspace.operations.tolist(), strict=True):
                memory.operations[self.plan.labels[projection.label]] += operations
                work[projection.target] += operations
            workspace.operations[:] = 0
        for name, share in work.items():
            memory.seconds[self.plan.index_of[name]] += seconds * share / max(sum(work.values()), 1.0)

    def _kind(self, projection: CompiledProjection) -> int:
        """The fastest kernel that can deliver what the source sends."""
        if self._is_graded(projection):
            return KINDS[projection.kernel]
        if projection.packed is not None:
            return PACKED
        return ROWS if projection.pairs.size else KINDS[projection.kernel]

    def _row(self, projection: CompiledProjection) -> list[int]:
        """Row of the table of projections."""
        kind, size = self._kind(projection), 0
        if kind == DENSE:
            size = int(projection.arrays[1])
        elif kind == PACKED and projection.packed is not None:
            size = projection.packed.tiles
        return [kind, projection.exponent, self._is_graded(projection), 0, size]

    def _arrays(self, projection: CompiledProjection) -> list[list[int]]:
        """Descriptors of a projection's arrays; lists of graded events come with each call."""
        kind, given = self._kind(projection), projection.arrays
        arrays: dict[ProjectionArray, Array] = {
            ProjectionArray.PLANES: self.memory.planes[projection.source],
            ProjectionArray.SOURCE: projection.source_shape,
            ProjectionArray.POOL: projection.pool,
            ProjectionArray.POOLED: projection.pooled_shape,
        }
        if kind == PACKED and projection.packed is not None:
            arrays[ProjectionArray.WORDS] = projection.packed.words
            arrays[ProjectionArray.ROW] = projection.packed.start
            arrays[ProjectionArray.WEIGHT] = projection.packed.weight
        elif kind == ROWS:
            arrays[ProjectionArray.WEIGHT], arrays[ProjectionArray.ROW] = projection.pairs, projection.fan_out
        elif kind == CONV:
            arrays[ProjectionArray.WEIGHT], arrays[ProjectionArray.GEOMETRY] = given[:2]
        elif kind == DENSE:
            arrays[ProjectionArray.WEIGHT] = given[0]
        else:
            names = ProjectionArray.ROW, ProjectionArray.TARGET, ProjectionArray.WEIGHT
            arrays.update(zip(names, given[:3], strict=True))
        return [
            self._describe(arrays.get(column, np.zeros(0, dtype)), dtype)
            for column, dtype in zip(ProjectionArray, PROJECTION_DTYPES, strict=True)
        ]

    def _describe(self, array: Array, dtype: type[np.generic]) -> list[int]:
        """The descriptor of an array that is kept alive."""
        self.kept.append(array)
        return _descriptor(array, dtype)


def _descriptor(array: Array, dtype: type[np.generic]) -> list[int]:
    """Address and sides of a C-ordered array of this type."""
    if array.dtype != dtype or not array.flags.c_contiguous:
        raise BackendError("event back end: loop", f"got {array.dtype} for {np.dtype(dtype)}, or an array with gaps")
    return [array.ctypes.data, *array.shape, 0, 0][:4]


def _edges(
    p: CompiledPopulation, projections: Sequence[CompiledProjection], kinds: Sequence[int], threads: int
) -> list[int]:  # fmt: skip
    """Channels at which a population is divided into parts for threads: whole panels.

    Only where nothing but sums, membranes, currents and spikes is kept, and where rows are long, since every thread
    looks up every row.
    """
    panels = -(-p.channels // (PANEL * TILE))
    parts = min(threads, _processors(), panels // LEAST_PANELS)
    plain = not p.recorded and not p.rule.flags[Flag.TABLES]
    divisible = all(
        kind == PACKED or (kind == SPARSE and projection.pool is NO_POOL)
        for kind, projection in zip(kinds, projections, strict=True)
    )
    if parts < 2 or p.pixels != 1 or p.pooled is not None or not plain or not divisible:
        return [0, p.channels]
    synapses = sum(projection.synapses for projection in projections)
    sources = sum(int(np.prod(projection.source_shape)) for projection in projections)
    if synapses < LEAST_FAN_OUT * parts * sources:
        return [0, p.channels]
    return [*(panels * part // parts * PANEL * TILE for part in range(parts)), p.channels]


def _slice(p: CompiledPopulation, state: State, low: int, high: int) -> tuple[Rule, State]:
    """Parameters and state of the channels ``low:high``; all of them share the planes."""
    if (low, high) == (0, p.channels):
        return p.rule, state
    rule = p.rule._replace(parameters=p.rule.parameters[low // TILE :])
    return rule, state._replace(u=state.u[:, low:high], v=state.v[:, low:high], counts=np.zeros_like(state.counts))


@cache
def _processors() -> int:
    """Threads that can run at the same time: more would wait for each other's time slices."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
