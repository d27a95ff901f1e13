"""Projections as the event back end's kernels take them: weights in the order in which spikes read them.

All threads read what is made here, and none writes to it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from neurosam import arithmetic
from neurosam.arithmetic import FRACTION_BITS, shift_by
from neurosam.backends.event.kernels.dense_rows import gather_rows
from neurosam.backends.event.kernels.layout import KERNEL_HEIGHT, Conv
from neurosam.backends.event.kernels.packed_rows import Packed, gather_packed, pack, unpacks_fast
from neurosam.backends.event.kernels.synapses import WHOLE, by_source, deliver_conv, deliver_dense, deliver_sparse
from neurosam.backends.event.simd.int16 import MOST_ROWS, TILE, paired, tiled, tiles
from neurosam.backends.event.simd.vectors import LANES, aligned
from neurosam.network.elements import Projection
from neurosam.network.synapse import Conv2d, Dense, Shape, Sparse, as_chw

__all__ = ["NO_POOL", "CompiledProjection", "EventList", "compile_projection"]

Array = npt.NDArray[Any]

EventList = tuple[Array, int, Array, Array, bool]
"""``start``, pixels, ``index``, ``value`` (kernels/synapses.py), and whether events are weighted by their values (else
by 1)."""

LARGEST_UNPOOLED = 2**24
"""Most weights of a kernel that takes over its projection's pooling (:func:`unpooled`)."""
NO_POOL = np.array([1, 1, 1, 1, 0, 0], dtype=np.int64)
LEAST_TILED = 8
"""Output channels from which on a layer is computed in tiles, the last filled up to 32 or 64 channels."""
LEAST_GATHERED = 32
"""Targets from which on the rows of a matrix are gathered."""
MOST_LISTED = 2**16 - 1
"""Weight rows that a list of 16-bit numbers can tell apart, besides the row of zeros."""
MOST_PATTERN_BITS = 9
"""Most sources of a kernel row whose spike patterns get a table."""
TABLE_BYTES = 2**19
"""Largest tables: they stay in L2."""
DENSE_SHARE = 0.04
"""Share of all possible synapses from which on a sparse integer matrix is read by whole rows."""
PACKED_SHARE = 0.75
"""Share from which on it costs less to keep a row's zeros than to leave them out."""
CACHED_ROWS = 2**22
"""Largest matrix, in bytes, that stays in the caches: its rows keep their zeros at any share."""


@dataclass(frozen=True, eq=False)
class CompiledProjection:
    """A projection as kernels take it.

    Parameters
    ----------
    label, source, target : str
    lag : int
        Steps between the source's own time and the target's.
    exponent : int
        The projection's sum is multiplied by ``2^exponent``.
    synapses : int
        Stored weights.
    source_shape, pool, pooled_shape : int64 arrays
        (C, H, W); window, stride and padding, or NO_POOL; the shape behind the pooling.
    kernel : compiled function
        Delivers any list of events (kernels/synapses.py).
    arrays : tuple
        The weights and what else `kernel` takes.
    sums_shape : tuple of int
        Shape of a step's sums as `kernel` takes them.
    conv : Conv, optional
        For the kernels of path `layer`, if they can take it.
    pairs : int8 array
        Rows of a matrix, for :func:`~neurosam.backends.event.kernels.dense_rows.gather_rows`; empty if it cannot.
    packed : Packed, optional
        Rows without their zeros, for :func:`~neurosam.backends.event.kernels.packed_rows.gather_packed`.
    fan_out : (sources,) int64 array
        Synapses by source, where rows are gathered.
    """

    label: str
    source: str
    target: str
    lag: int
    exponent: int
    synapses: int
    source_shape: Array
    pool: Array
    pooled_shape: Array
    kernel: Any
    arrays: tuple[Any, ...]
    sums_shape: tuple[int, ...]
    conv: Conv | None
    pairs: Array
    packed: Packed | None
    fan_out: Array

    @property
    def tiled(self) -> bool:
        """Whether path `layer` computes the target in whole tiles of channels."""
        return self.conv is not None and self.conv.pairs.size + self.conv.tables.size > 0

    @property
    def gathers(self) -> bool:
        """Whether spikes add whole rows of int8 weights."""
        return self.pairs.size > 0 or self.packed is not None

    @property
    def pitch(self) -> int:
        """Length of a row of sums: the targets, in whole tiles where weight rows are gathered."""
        targets = int(np.prod(self.sums_shape))
        return -(-targets // TILE) * TILE if self.gathers else targets

    def deliver(self, events: EventList, acc: Array) -> int:
        """Add a block's events to ``acc (steps, pitch)``; returns the synaptic operations."""
        if self.gathers and not events[4]:
            return self._gather(events, acc)
        targets = int(np.prod(self.sums_shape))
        if targets < acc.shape[1]:
            sums = np.zeros((acc.shape[0], targets), acc.dtype)
            operations = self.deliver(events, sums)
            acc[:, :targets] += sums
            return operations
        total = acc.reshape(acc.shape[0], *self.sums_shape)
        if self.exponent == 0:
            return int(self._add(events, total))
        sums = np.zeros_like(total)
        operations = int(self._add(events, sums))
        total += shift_by(sums, self.exponent)
        return operations

    def _add(self, events: EventList, sums: Array) -> Any:
        return self.kernel(*events, self.source_shape, self.pool, self.pooled_shape, *self.arrays, sums)

    def _gather(self, events: EventList, acc: Array) -> int:
        start, pixels, index, _, _ = events
        sums = acc if self.exponent == 0 else np.zeros_like(acc)
        if self.packed is None:
            gather_rows(start, pixels, index, self.pairs, sums)
        else:
            halves = aligned((acc.shape[1],), np.int16)
            for k, row in enumerate(sums):
                first, end = start[k * pixels], start[(k + 1) * pixels]
                gather_packed(index[first:], end - first, self.packed, 0, self.packed.panels, halves, row)
        if sums is not acc:
            acc += shift_by(sums, self.exponent)
        return int(self.fan_out[index[: start[-1]]].sum())


def compile_projection(
    projection: Projection, source: Shape, target: Shape, *, spikes: bool, dtype: str
) -> CompiledProjection:
    """A projection, its weights channel-last and the targets of one source side by side; with lag 0.

    Parameters
    ----------
    projection : Projection
    source, target : (C, H, W)
    spikes : bool
        Whether the source emits nothing but spikes: then weights are kept in their fastest form alone.
    dtype : str
        Type of a float network's weights; integer weights are int8.
    """
    projection = unpooled(projection, source)
    number = np.dtype(np.int8 if projection.integral else dtype)
    pool, pooled, synapse = NO_POOL, source, projection.synapse
    if projection.pool is not None:
        pool = np.array([n for part in projection.pool.geometry for n in part], dtype=np.int64)
        pooled = as_chw(projection.pool.output_shape(source))
    if isinstance(synapse, Conv2d):
        layout = _convolution(projection, synapse, source, target, number)
    elif isinstance(synapse, Dense):
        layout = _matrix(projection, synapse, source, pooled, target, number)
    else:
        layout = _sparse_matrix(projection, synapse, pooled, target, spikes, number)
    return CompiledProjection(
        projection.label, projection.source, projection.target, 0, projection.exponent, synapse.weight.size,
        np.array(source, dtype=np.int64), pool, np.array(pooled, dtype=np.int64), *layout,
    )  # fmt: skip


def unpooled(projection: Projection, source: Shape) -> Projection:
    """The same projection without its pooling, where windows tile the picture: the kernel grows by their size instead.

    With windows of k pixels, a spike at pixel y reaches the kernel's weight ``y // k``. A kernel that repeats every
    weight k times, with k times the stride, has that weight at ``y``. Neither the sums nor the number of operations
    changes.
    """
    pool, synapse = projection.pool, projection.synapse
    if pool is None or isinstance(synapse, Sparse):
        return projection
    (height, width), stride, padding = pool.geometry
    tiled = stride == (height, width) and padding == (0, 0) and source[1] % height == 0 and source[2] % width == 0
    if not tiled or synapse.weight.size * pool.area > LARGEST_UNPOOLED:
        return projection
    if isinstance(synapse, Dense):
        _, rows, columns = as_chw(pool.output_shape(source))
        weight = synapse.weight.reshape(-1, source[0], rows, columns).repeat(height, 2).repeat(width, 3)
        return replace(projection, synapse=Dense(weight.reshape(len(weight), -1)), pool=None)
    (sy, sx), (py, px), dilation = synapse.geometry
    if dilation != (1, 1):
        return projection
    weight = synapse.weight.repeat(height, 2).repeat(width, 3)
    grown = Conv2d(weight, (sy * height, sx * width), (py * height, px * width), groups=synapse.groups)
    return replace(projection, synapse=grown, pool=None)


class _Layout(NamedTuple):
    """Weights in the order in which they are read: the fields of :class:`CompiledProjection` of the same names."""

    kernel: Any
    arrays: tuple[Any, ...]
    sums_shape: tuple[int, ...]
    conv: Conv | None = None
    pairs: Array = np.zeros(0, np.int8)
    packed: Packed | None = None
    fan_out: Array = np.zeros(0, np.int64)


def _convolution(
    projection: Projection, synapse: Conv2d, source: Shape, target: Shape, dtype: np.dtype[Any]
) -> _Layout:
    outputs, _, *sides = synapse.weight.shape
    parts = [n for part in (sides, *synapse.geometry) for n in part]
    geometry = np.array([*parts, synapse.groups, outputs // synapse.groups], dtype=np.int64)
    rows = _rows(synapse).astype(dtype, copy=False)
    weight = _padded(rows)
    conv = None
    if projection.pool is None and synapse.groups == 1 and synapse.geometry[2] == (1, 1):
        conv = _layer(projection, source, (target[1], target[2]), geometry, weight, rows)
    return _Layout(deliver_conv, (weight, geometry, 0), (target[1], target[2], target[0]), conv)


def _matrix(
    projection: Projection, synapse: Dense, source: Shape, pooled: Shape, target: Shape, dtype: np.dtype[Any]
) -> _Layout:
    rows = np.ascontiguousarray(synapse.weight[_order(target)][:, _order(pooled)].T, dtype=dtype)
    weight = _padded(rows)
    layout = _Layout(deliver_dense, (weight, rows.shape[1]), (rows.shape[1],))
    if projection.pool is not None or target[1:] != (1, 1):
        return layout
    geometry = np.array([*source[1:], 1, 1, 0, 0, 1, 1, 1, target[0]], dtype=np.int64)
    layout = layout._replace(conv=_layer(projection, source, (1, 1), geometry, weight, rows))
    if not projection.integral or target[0] < LEAST_GATHERED:
        return layout
    return layout._replace(pairs=paired(rows).reshape(-1), fan_out=np.full(rows.shape[0], rows.shape[1]))


def _sparse_matrix(
    projection: Projection, synapse: Sparse, pooled: Shape, target: Shape, spikes: bool, dtype: np.dtype[Any]
) -> _Layout:
    size = int(np.prod(target))
    start, targets, weight = _by_source(synapse, pooled, target)
    weight = weight.astype(dtype, copy=False)
    layout = _Layout(deliver_sparse, (start, targets, weight, WHOLE), (size,))
    share = weight.size / (synapse.sources * size)
    gathered = projection.integral and projection.pool is None and target[1:] == (1, 1) and size >= LEAST_GATHERED
    if not gathered or share < DENSE_SHARE:
        return layout
    layout = layout._replace(fan_out=np.diff(start))
    if unpacks_fast() and share < PACKED_SHARE and synapse.sources * size > CACHED_ROWS:
        layout = layout._replace(packed=pack(start, targets, weight, size))
    else:
        layout = layout._replace(pairs=paired(synapse.to_dense().T[_order(pooled)]).reshape(-1))
    if spikes:
        layout = layout._replace(arrays=(start, targets[:0].copy(), weight[:0].copy(), WHOLE))
    return layout


def _layer(projection: Projection, source: Shape, size: Shape, geometry: Array, weight: Array, rows: Array) -> Conv:
    """A convolution for path `layer`; its weights can be gathered or looked up if there are enough targets."""
    pairs, tables = rows[:0, 0].copy(), _tables(rows, 0)
    if rows.shape[1] >= LEAST_TILED:
        tables = _tables(rows, int(geometry[KERNEL_HEIGHT]))
        if len(rows) <= MOST_LISTED:
            pairs = tiled(rows)
    narrow = False
    if projection.integral:
        negative, positive = projection.synapse.row_sums()
        largest = int(max(-negative.min(initial=0), positive.max(initial=0))) << max(projection.exponent, 0)
        narrow = largest << FRACTION_BITS <= arithmetic.STATE_MAX
    sides = np.array(source, dtype=np.int64), geometry, np.array(size, dtype=np.int64)
    return Conv(*sides, weight, pairs, tables, projection.exponent, narrow)


def _tables(rows: Array, height: int) -> Array:
    """Sums of the weights ``(kH kW C, O)`` for every spike pattern of a kernel row, by tile.

    Empty if there are too many, or if `height` is 0.
    """
    number = np.dtype(np.int16) if rows.dtype == np.int8 else rows.dtype
    sources, outputs = len(rows) // max(height, 1), rows.shape[1]
    pitch = sum(width for _, width in tiles(outputs))
    small = height > 0 and sources <= MOST_PATTERN_BITS and (rows.dtype != np.int8 or len(rows) < MOST_ROWS)
    size = height * pitch << sources if small else 0
    if size * number.itemsize > TABLE_BYTES:
        size = 0
    out = aligned((size,), number)
    if not size:
        return out
    pattern = np.arange(2**sources)[:, None] >> np.arange(sources) & 1
    exact = rows.reshape(height, sources, outputs).astype(np.int64 if rows.dtype == np.int8 else np.float64)
    sums = np.einsum("ps,hso->hpo", pattern, exact)
    for first, tile in tiles(outputs):
        part = sums[..., first : first + tile]
        place = out[(height << sources) * first :][: (height << sources) * tile].reshape(height, -1, tile)
        place[..., : part.shape[-1]] = part
    return out


def _padded(rows: Array) -> Array:
    """Rows of weights, flat, followed by a vector of zeros, so that a kernel may read past the end."""
    return np.concatenate((rows.reshape(-1), np.zeros(LANES - 1, rows.dtype)))


def _order(shape: Shape) -> Array:
    """C-order index of each neuron in channel-last order."""
    return np.arange(int(np.prod(shape))).reshape(shape).transpose(1, 2, 0).reshape(-1)


def _rows(synapse: Conv2d) -> Array:
    """``(O, C / g, kH, kW)`` as ``(kH * kW * C, O / g)``."""
    out, per_group, height, width = synapse.weight.shape
    grouped = synapse.weight.reshape(synapse.groups, out // synapse.groups, per_group, height, width)
    moved = grouped.transpose(3, 4, 0, 2, 1)
    return np.ascontiguousarray(moved).reshape(-1, out // synapse.groups)


def _by_source(synapse: Sparse, source: Shape, target: Shape) -> tuple[Array, Array, Array]:
    """A matrix compressed by source, with sources and targets renumbered to channel-last order."""
    row = np.zeros(synapse.sources + 1, np.int64)
    targets, weight = np.empty(synapse.weight.size, np.uint32), np.empty_like(synapse.weight)
    sides = [np.array(shape, dtype=np.int64) for shape in (source, target)]
    by_source(synapse.indptr, synapse.indices, synapse.weight, *sides, row, targets, weight)
    return row, targets, weight
