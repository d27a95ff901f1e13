"""What the loop of a recurrent group is given (kernels/recurrent.py): its tables, its room, and its threads.

A descriptor is an address, so a kernel cannot tell what lies there: here each array's type and layout are checked
before its address is taken, and it is kept as long as the tables are.
"""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

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
from neurosam.backends.event.plan.compiled import Prepared
from neurosam.backends.event.plan.populations import Cells
from neurosam.backends.event.plan.projections import NO_POOL, Link
from neurosam.backends.event.runtime.thread_pool import run_parallel
from neurosam.backends.event.simd.int16 import TILE
from neurosam.backends.event.simd.vectors import LANES, aligned
from neurosam.errors import BackendError

if TYPE_CHECKING:
    from neurosam.backends.event.backend import Run
    from neurosam.backends.event.worker import Sample

__all__ = ["Loop"]

Array = npt.NDArray[Any]
Int = npt.NDArray[np.int64]

LEAST_PANELS = 4
"""Panels of targets a thread from which on threads share a population."""
LEAST_FAN_OUT = 32
"""Synapses a source and thread from which on threads share a population."""
CALL = 2**26
"""Neuron updates, and 64ths of synapses a step, in one call of the kernel: an interrupt waits for its end."""
PLANES = POPULATION_DTYPES.index(np.uint64)
"""Place of the bit planes among a population's arrays."""
GONE = 2**62
"""A step after which nobody has to wait any more."""
KINDS = {deliver_sparse: SPARSE, deliver_dense: DENSE, deliver_conv: CONV}


class Loop:
    """A recurrent group in one sample.

    Parameters
    ----------
    prepared : Prepared
    sample : Sample
        Its memory, in which the group will always work.
    group : sequence of str
        Populations in order of evaluation.
    """

    def __init__(self, prepared: Prepared, sample: Sample, group: Sequence[str]) -> None:
        self.prepared = prepared
        self.links = [link for name in group for link in prepared.links[name]]
        self.kept: list[Array] = []
        self.counts: list[tuple[str, Int]] = []
        parts, cells, wire = [], [], 0
        for name in group:
            p, links = prepared.cells[name], prepared.links[name]
            kinds = [self._kind(link) for link in links]
            edges = _edges(p, links, kinds, prepared.threads)
            for low, high in itertools.pairwise(edges):
                rule, state = _slice(p, sample.states[name], low, high)
                whole = any(kind in (ROWS, PACKED) for kind in kinds)
                parts.append([
                    len(edges) - 1, p.shape[1], p.shape[2], high - low,
                    -(-(high - low) // TILE) * TILE if whole else high - low,
                    low, 0, wire, wire + len(links), rule.shift, rule.trace_shift, rule.impulse,
                ])  # fmt: skip
                arrays = [x for x in (*rule, *state) if isinstance(x, np.ndarray)]
                cells.append([self._describe(x, kind) for x, kind in zip(arrays, POPULATION_DTYPES, strict=True)])
                cells[-1][PLANES][0] += low // 8  # a bit a channel
                self.counts.append((name, state.counts))
            wire += len(links)
        self.threads = max(part[PartColumn.PARTS] for part in parts)
        self.tables = Tables(
            np.array(parts, np.int64), np.array(cells, np.int64),
            np.array([self._wire(link) for link in self.links], np.int64),
            np.array([self._synapse(link, sample.planes[link.source]) for link in self.links], np.int64),
        )  # fmt: skip
        self.rooms = [self._room(parts) for _ in range(self.threads)]
        size = sum(sample.states[name].v.size for name in group) + sum(link.synapses for link in self.links) // 64
        self.length = max(1, CALL // max(size, 1))
        self.claimed, self.done = (
            aligned((len(parts) * COUNTER_PITCH,), np.int64),
            aligned((len(parts) * COUNTER_PITCH,), np.int64),
        )

    def _room(self, parts: Sequence[Sequence[int]]) -> RecurrentWorkspace:
        """Room for one thread; what no projection needs is empty."""
        row = max(part[PartColumn.HEIGHT] * part[PartColumn.WIDTH] * part[PartColumn.PITCH] for part in parts)
        pixels = max(int(np.prod(link.source_shape[1:])) for link in self.links)
        sources = max(int(np.prod(link.source_shape)) for link in self.links)
        scaled = any(link.exponent for link in self.links)
        packed = any(self._kind(link) == PACKED for link in self.links)
        return RecurrentWorkspace(
            aligned((row,), np.int32), aligned((row if scaled else 0,), np.int32),
            aligned((row if packed else 0,), np.int16), np.zeros(pixels + 1, np.int32),
            np.zeros(sources + LANES, np.int32), np.zeros(sources if scaled else 0, np.int32),
            np.zeros(len(self.links), np.int64),
        )  # fmt: skip

    def advance(self, run: Run, sample: Sample, first: int, end: int) -> None:
        """Run the own steps ``first:end``, within one chunk."""
        begin = time.perf_counter()
        for start in range(first, max(end, first + 1), self.length):
            if run.stopped:
                return
            self._call(run, sample, start, min(start + self.length, end))
        self._count(sample, time.perf_counter() - begin)

    def _call(self, run: Run, sample: Sample, first: int, end: int) -> None:
        """Run some steps in one call of the kernel, on all threads."""
        lists = self._aim(run, sample, first, end)
        self.claimed[:] = self.done[:] = first
        try:
            run_parallel(lambda thread: self._advance(thread, first, end), self.threads)
        finally:
            lists.clear()

    def _advance(self, thread: int, first: int, end: int) -> None:
        """Take a thread's share of the work; whatever happens, nobody waits for it in vain."""
        try:
            run_group(self.tables, first, end, thread, self.threads, self.claimed, self.done, self.rooms[thread])
        except BaseException:
            self.done[:] = GONE
            raise

    def _aim(self, run: Run, sample: Sample, first: int, end: int) -> list[Array]:
        """Point the tables at a chunk; returns lists of input that have to live as long as the kernel runs."""
        tails, lists = self.prepared.tails, []
        for m, (name, _) in enumerate(self.counts):
            self.tables.parts[m, PartColumn.BASE] = sample.base - tails[name]
        for w, link in enumerate(self.links):
            if not self._graded(link):
                self.tables.projections[w, ProjectionColumn.OFFSET] = tails[link.source] - sample.base - link.lag
                continue
            start, _, index, value, _ = run.input.block(sample.b, first - link.lag, end - link.lag)
            self.tables.projections[w, ProjectionColumn.OFFSET] = -first
            for place, array in (
                (ProjectionArray.START, start),
                (ProjectionArray.INDEX, index),
                (ProjectionArray.VALUE, value),
            ):
                self.tables.projection_arrays[w, place] = _descriptor(array, PROJECTION_DTYPES[place])
                lists.append(array)
        return lists

    def _count(self, sample: Sample, seconds: float) -> None:
        """Add up what the threads have counted; populations share the time by what they did."""
        work = {name: float(sample.states[name].v.size) for name, _ in self.counts}
        for name, counts in self.counts:
            own = sample.states[name].counts
            if counts is not own:
                own += counts
                counts[:] = 0
        for room in self.rooms:
            for link, operations in zip(self.links, room.operations.tolist(), strict=True):
                sample.operations[self.prepared.labels[link.label]] += operations
                work[link.target] += operations
            room.operations[:] = 0
        for name, share in work.items():
            sample.seconds[self.prepared.places[name]] += seconds * share / max(sum(work.values()), 1.0)

    def _graded(self, link: Link) -> bool:
        return link.source == self.prepared.source and self.prepared.graded

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

    def _synapse(self, link: Link, planes: Array) -> list[list[int]]:
        """Descriptors of a projection's arrays; lists of graded events come with each call."""
        kind = self._kind(link)
        if kind == PACKED and link.packed is not None:
            own = {
                ProjectionArray.WORDS: link.packed.words,
                ProjectionArray.ROW: link.packed.start,
                ProjectionArray.WEIGHT: link.packed.weight,
            }
        elif kind == ROWS:
            own = {ProjectionArray.WEIGHT: link.pairs, ProjectionArray.ROW: link.fan_out}
        elif kind == CONV:
            own = {ProjectionArray.WEIGHT: link.arrays[0], ProjectionArray.GEOMETRY: link.arrays[1]}
        elif kind == DENSE:
            own = {ProjectionArray.WEIGHT: link.arrays[0]}
        else:
            own = {
                ProjectionArray.ROW: link.arrays[0],
                ProjectionArray.TARGET: link.arrays[1],
                ProjectionArray.WEIGHT: link.arrays[2],
            }
        shapes = {
            ProjectionArray.SOURCE: link.source_shape,
            ProjectionArray.POOL: link.pool,
            ProjectionArray.POOLED: link.pooled_shape,
        }
        arrays: dict[ProjectionArray, Array] = {ProjectionArray.PLANES: planes, **shapes, **own}
        return [
            self._describe(arrays.get(p, np.zeros(0, PROJECTION_DTYPES[p])), PROJECTION_DTYPES[p])
            for p in ProjectionArray
        ]

    def _describe(self, array: Array, dtype: type[np.generic]) -> list[int]:
        """The descriptor of an array that is kept."""
        self.kept.append(array)
        return _descriptor(array, dtype)


def _descriptor(array: Array, dtype: type[np.generic]) -> list[int]:
    """Address and sides of a C-ordered array of a type."""
    if array.dtype != dtype or not array.flags.c_contiguous:
        raise BackendError("event back end: loop", f"got {array.dtype} for {np.dtype(dtype)}, or an array with gaps")
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
    rule = p.rule._replace(parameters=p.rule.parameters[low // TILE :])
    return rule, state._replace(u=state.u[:, low:high], v=state.v[:, low:high], counts=np.zeros_like(state.counts))


@cache
def _processors() -> int:
    """Threads that can run at once: more would wait for each other's time slices."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
