"""Projections as the event back end's kernels take them: weights in the order that spikes read them.

Everything here is read by all threads and written by none. What depends on a projection alone is kept as long as the
projection lives (:func:`link`), so that a second run of a network starts at once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt

from neurosam import arithmetic
from neurosam.arithmetic import FRACTION_BITS, shift_by
from neurosam.backends.event.kernels.dense_rows import gather_rows
from neurosam.backends.event.kernels.packed_rows import Packed, gather_packed, pack, unpacks_fast
from neurosam.backends.event.kernels.spike_lists import Conv
from neurosam.backends.event.kernels.synapses import WHOLE, by_source, deliver_conv, deliver_dense, deliver_sparse
from neurosam.backends.event.simd.int16 import MOST_ROWS, TILE, paired, tiled, tiles
from neurosam.backends.event.simd.vectors import LANES, aligned
from neurosam.network.elements import Projection
from neurosam.network.network import Network
from neurosam.network.synapse import Conv2d, Dense, Shape, Sparse, as_chw

__all__ = ["NO_POOL", "EventList", "Link", "link"]

Array = npt.NDArray[Any]

EventList = tuple[Array, int, Array, Array, bool]
"""``start``, pixels, ``index``, ``value`` (kernels/synapses.py), and whether the values count (else each is worth
1)."""

LARGEST_UNPOOLED = 2**24
"""Weights that a kernel may grow to when it takes its pooling in."""
NO_POOL = np.array([1, 1, 1, 1, 0, 0], dtype=np.int64)
LEAST_TILED = 8
"""Output channels from which on a layer is advanced in tiles, the last filled up to 32 or 64 channels."""
LEAST_GATHERED = 32
"""Targets from which on the rows of a matrix are gathered."""
MOST_LISTED = 2**16 - 1
"""Weight rows that a list of 16-bit numbers tells apart, beside the one of zeros."""
MOST_PATTERN_BITS = 9
"""Sources of a kernel row whose patterns are worth a table."""
TABLE_BYTES = 2**19
"""Largest tables: a core's own cache holds them."""
DENSE_SHARE = 0.04
"""Share of all possible synapses from which on a sparse matrix of integers is read by whole rows."""
PACKED_SHARE = 0.75
"""Share from which on a row's zeros cost less than leaving them out."""
CACHED_ROWS = 2**22
"""Bytes of a matrix that caches hold: there too rows keep their zeros."""


@dataclass(frozen=True, eq=False)
class Link:
    """A projection as kernels take it."""

    label: str
    source: str
    target: str
    lag: int
    exponent: int
    synapses: int
    kernel: Any
    source_shape: Array
    pool: Array
    pooled_shape: Array
    arrays: tuple[Any, ...]
    sums: tuple[int, ...]
    conv: Conv | None
    pairs: Array
    packed: Packed | None
    fan_out: Array

    @property
    def tiled(self) -> bool:
        """Whether the fast path advances the target in whole tiles of channels."""
        return self.conv is not None and self.conv.pairs.size + self.conv.tables.size > 0

    @property
    def gathers(self) -> bool:
        """Whether spikes add whole rows of int8 weights."""
        return self.pairs.size > 0 or self.packed is not None

    @property
    def pitch(self) -> int:
        """Length of a row of sums: the targets, in whole tiles where weight rows are gathered."""
        targets = int(np.prod(self.sums))
        return -(-targets // TILE) * TILE if self.gathers else targets

    def deliver(self, events: EventList, acc: Array) -> int:
        """Add a block's events to ``acc (steps, pitch)``; returns the synaptic operations."""
        if self.gathers and not events[4]:
            return self._gather(events, acc)
        narrow = int(np.prod(self.sums))
        if narrow < acc.shape[1]:
            own = np.zeros((acc.shape[0], narrow), acc.dtype)
            operations = self.deliver(events, own)
            acc[:, :narrow] += own
            return operations
        target = acc.reshape(acc.shape[0], *self.sums)
        if self.exponent == 0:
            return int(self._add(events, target))
        own = np.zeros_like(target)
        operations = int(self._add(events, own))
        target += shift_by(own, self.exponent)
        return operations

    def _add(self, events: EventList, target: Array) -> Any:
        return self.kernel(*events, self.source_shape, self.pool, self.pooled_shape, *self.arrays, target)

    def _gather(self, events: EventList, acc: Array) -> int:
        start, pixels, index, _, _ = events
        own = acc if self.exponent == 0 else np.zeros_like(acc)
        if self.packed is None:
            gather_rows(start, pixels, index, self.pairs, own)
        else:
            halves = aligned((acc.shape[1],), np.int16)
            for k, sums in enumerate(own):
                first, end = start[k * pixels], start[(k + 1) * pixels]
                gather_packed(index[first:], end - first, self.packed, 0, self.packed.panels, halves, sums)
        if own is not acc:
            acc += shift_by(own, self.exponent)
        return int(self.fan_out[index[: start[-1]]].sum())


_links: WeakKeyDictionary[Projection, dict[tuple[Shape, Shape, bool, str], Link]] = WeakKeyDictionary()


def link(network: Network, projection: Projection, dtype: str = "float64") -> Link:
    """Prepare one projection: its weights channel-last, as targets of one source side by side; real ones as `dtype`."""
    source, target = as_chw(network[projection.source].shape), as_chw(network[projection.target].shape)
    spikes = network[projection.source].neuron is not None
    known = _links.setdefault(projection, {})
    if (source, target, spikes, dtype) not in known:
        own = unpooled(projection, source)
        number = np.dtype(np.int8 if own.integral else dtype)
        known[source, target, spikes, dtype] = _link(own, source, target, spikes, number)
    return replace(known[source, target, spikes, dtype], lag=network.lag(projection))


def unpooled(projection: Projection, source: Shape) -> Projection:
    """The same projection without its pooling, where windows tile the picture: the kernel grows by their size instead.

    A spike of pixel y meets tap ``y // k`` of what follows; a kernel whose every tap is repeated k times, moved by k
    times the stride, has it at ``y``. Neither the sums nor the number of operations changes.
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


def _link(projection: Projection, source: Shape, target: Shape, spikes: bool, number: np.dtype[Any]) -> Link:
    """Prepare a projection with weights of type `number`, in their fastest form alone if all events are `spikes`."""
    fixed = projection.integral
    pool, pooled = NO_POOL, source
    if projection.pool is not None:
        pool = np.array([n for part in projection.pool.geometry for n in part], dtype=np.int64)
        pooled = as_chw(projection.pool.output_shape(source))
    synapse = projection.synapse
    arrays: tuple[Any, ...]
    sums: tuple[int, ...] = (int(np.prod(target)),)
    conv, fan_out, pairs, packed = None, np.zeros(0, np.int64), np.zeros(0, np.int8), None
    if isinstance(synapse, Conv2d):
        outputs, _, *sides = synapse.weight.shape
        parts = [n for part in (sides, *synapse.geometry) for n in part]
        geometry = np.array([*parts, synapse.groups, outputs // synapse.groups], dtype=np.int64)
        rows = _conv(synapse).astype(number, copy=False)
        kernel, arrays, sums = deliver_conv, (_spare(rows), geometry, 0), (target[1], target[2], target[0])
        plain = synapse.groups == 1 and synapse.geometry[2] == (1, 1)
        if projection.pool is None and plain:
            conv = _fast(projection, source, (target[1], target[2]), geometry, arrays[0], rows)
    elif isinstance(synapse, Dense):
        weight = np.ascontiguousarray(synapse.weight[_order(target)][:, _order(pooled)].T, dtype=number)
        kernel, arrays = deliver_dense, (_spare(weight), weight.shape[1])
        if projection.pool is None and target[1:] == (1, 1):
            geometry = np.array([*source[1:], 1, 1, 0, 0, 1, 1, 1, target[0]], dtype=np.int64)
            conv = _fast(projection, source, (1, 1), geometry, arrays[0], weight)
            if fixed and target[0] >= LEAST_GATHERED:
                pairs, fan_out = paired(weight).reshape(-1), np.full(weight.shape[0], weight.shape[1])
    else:
        start, targets, weights = _by_source(synapse, pooled, target)
        weights = weights.astype(number, copy=False)
        kernel, arrays = deliver_sparse, (start, targets, weights, WHOLE)
        share = synapse.weight.size / (synapse.sources * sums[0])
        wide = target[1:] == (1, 1) and sums[0] >= LEAST_GATHERED
        if fixed and projection.pool is None and wide and share >= DENSE_SHARE:
            fan_out = np.diff(start)
            if unpacks_fast() and share < PACKED_SHARE and synapse.sources * sums[0] > CACHED_ROWS:
                packed = pack(start, targets, weights, sums[0])
            else:
                pairs = paired(synapse.to_dense().T[_order(source)]).reshape(-1)  # of one pixel: targets in C order
            if spikes:
                arrays = (start, targets[:0].copy(), weights[:0].copy(), WHOLE)
    return Link(
        projection.label, projection.source, projection.target, 0, projection.exponent, synapse.weight.size, kernel,
        np.array(source, dtype=np.int64), pool, np.array(pooled, dtype=np.int64), arrays, sums, conv, pairs, packed,
        fan_out,
    )  # fmt: skip


def _fast(projection: Projection, source: Shape, size: Shape, geometry: Array, weight: Array, rows: Array) -> Conv:
    """A convolution for the fast path; its spikes can be gathered or looked up if there are enough targets."""
    pairs, tables = rows[:0, 0].copy(), _tables(rows, 0)
    if rows.shape[1] >= LEAST_TILED:
        tables = _tables(rows, int(geometry[0]))
        if len(rows) <= MOST_LISTED:
            pairs = tiled(rows)
    shapes = (np.array(part, dtype=np.int64) for part in (source, size))
    narrow = False
    if projection.integral:
        negative, positive = projection.synapse.row_sums()
        largest = int(max(-negative.min(initial=0), positive.max(initial=0))) << max(projection.exponent, 0)
        narrow = largest << FRACTION_BITS <= arithmetic.STATE_MAX
    return Conv(next(shapes), geometry, next(shapes), weight, pairs, tables, projection.exponent, narrow)


def _tables(rows: Array, height: int) -> Array:
    """Sums of the weights ``(kH kW C, O)`` for every pattern of spikes of a kernel row, by tile.

    Empty if there are too many, or without `height`.
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


def _spare(rows: Array) -> Array:
    """Rows of weights, flat, and a vector's worth of zeros behind them, so that a kernel may read over the end."""
    return np.concatenate((rows.reshape(-1), np.zeros(LANES - 1, rows.dtype)))


def _order(shape: Shape) -> Array:
    """C-order index of each neuron in channel-last order."""
    return np.arange(int(np.prod(shape))).reshape(shape).transpose(1, 2, 0).reshape(-1)


def _conv(synapse: Conv2d) -> Array:
    """``(O, C / g, kH, kW)`` as ``(kH * kW * C, O / g)``."""
    out, per_group, height, width = synapse.weight.shape
    grouped = synapse.weight.reshape(synapse.groups, out // synapse.groups, per_group, height, width)
    moved = grouped.transpose(3, 4, 0, 2, 1)
    return np.ascontiguousarray(moved).reshape(-1, out // synapse.groups)


def _by_source(synapse: Sparse, source: Shape, target: Shape) -> tuple[Array, Array, Array]:
    """A matrix compressed by source, with sources and targets renumbered to channel-last order."""
    row = np.zeros(synapse.sources + 1, np.int64)
    targets, weight = np.empty(synapse.weight.size, np.uint32), np.empty_like(synapse.weight)
    shapes = (np.array(shape, dtype=np.int64) for shape in (source, target))
    by_source(synapse.indptr, synapse.indices, synapse.weight, next(shapes), next(shapes), row, targets, weight)
    return row, targets, weight
