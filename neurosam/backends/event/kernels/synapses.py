"""Kernels that deliver events: each active source adds a row of weights to its targets' sums; nothing else is touched.

Inside this back end a population's neurons are in channel-last order, ``(y * W + x) * C + c``, so that the weights
that one spike adds are adjacent in memory. Events come as lists (kernels/spike_lists.py), with ``value`` if they are
graded. Sums are ``acc[step, y, x, c]``, int32 (proven wide enough by validation.accumulator_bound) or float64. Every
kernel returns its synaptic operations: the number of weights added.

Pooling changes an event's addresses and adds no operations: a source pixel y belongs to the windows ``yo`` with
``yo * stride - padding <= y < yo * stride - padding + kernel``.

What limits them: load and store of the sums, for each vector of a weight row. Where many sources are active per pixel,
kernels/layer.py's gather is faster.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import types

from neurosam.backends.event.kernels.layout import (
    DILATION_X,
    DILATION_Y,
    GROUPS,
    KERNEL_HEIGHT,
    KERNEL_WIDTH,
    OUTPUTS,
    PADDING_X,
    PADDING_Y,
    STRIDE_X,
    STRIDE_Y,
)
from neurosam.backends.event.runtime.jit import kernel, overload
from neurosam.backends.event.simd.atomics import prefetch
from neurosam.backends.event.simd.bits import popcount, trailing_zeros
from neurosam.backends.event.simd.load_store import load, load_first, load_weights, store, store_first
from neurosam.backends.event.simd.vectors import LANES

__all__ = ["WHOLE", "by_source", "deliver_conv", "deliver_dense", "deliver_sparse", "pool_or", "tally"]

Int = npt.NDArray[np.int64]
Array = npt.NDArray[Any]

PREFETCHED = 6
"""How many rows of a sparse matrix ahead are prefetched."""
WHOLE = -1
"""Instead of a first target: the sums are those of all targets."""


@kernel
def tally(planes: Array, at: int, steps: int, count: Int) -> None:
    """Add the spikes of each neuron in ``planes[at : at + steps]`` to ``count (channels * pixels,)``, in C order."""
    pixels = planes.shape[1]
    for k in range(at, at + steps):
        for p in range(pixels):
            for w in range(planes.shape[2]):
                bits = planes[k, p, w]
                while bits != np.uint64(0):
                    count[(64 * w + trailing_zeros(bits)) * pixels + p] += 1
                    bits &= bits - np.uint64(1)


@kernel
def pool_or(
    source: Array, at: int, steps: int, shape: Int, geometry: Int, first: int, base: int, top: int, bottom: int,
    counts: Int, planes: Array,
) -> int:  # fmt: skip
    """Max pooling of spikes, word by word: rows ``top:bottom`` of ``planes[first - base : ... + steps]``.

    `shape` is (H, W, H', W'), `geometry` kernel and stride (layout.Geometry). Returns the synaptic operations: one per
    spike and window.
    """
    width, out_width = shape[1], shape[3]
    operations = 0
    for k in range(steps):
        fired = 0
        for yo in range(top, bottom):
            for xo in range(out_width):
                for w in range(planes.shape[2]):
                    word = np.uint64(0)
                    for y in range(yo * geometry[STRIDE_Y], yo * geometry[STRIDE_Y] + geometry[KERNEL_HEIGHT]):
                        for x in range(xo * geometry[STRIDE_X], xo * geometry[STRIDE_X] + geometry[KERNEL_WIDTH]):
                            one = source[at + k, y * width + x, w]
                            word |= one
                            operations += popcount(one)
                    planes[first - base + k, yo * out_width + xo, w] = word
                    fired += popcount(word)
        counts[first + k - base] += fired
    return operations


@kernel
def _windows(at: int, size: int, kernel: int, stride: int, padding: int) -> tuple[int, int]:
    """The first window that a source pixel belongs to, and one past the last, along one axis."""
    low = at + padding - kernel + 1
    first = (low + stride - 1) // stride if low > 0 else 0
    return first, min(size, (at + padding) // stride + 1)


def _add_row(target: Any, at: Any, weight: Any, row: Any, size: Any, amount: Any) -> Any:
    """Add ``weight[row : row + size] * amount`` to ``target[at : at + size]``, both flat.

    Whole vectors are read: up to 15 weights behind the row, which are not used.
    """
    target.reshape(-1)[at : at + size] += weight[row : row + size].astype(target.dtype) * amount


@overload(_add_row)
def _add_row_compiled(target: Any, at: Any, weight: Any, row: Any, size: Any, amount: Any) -> Any:
    def integers(target: Any, at: Any, weight: Any, row: Any, size: Any, amount: Any) -> Any:
        for o in range(0, size - LANES + 1, LANES):
            store(load(target, at + o) + load_weights(weight, row + o) * np.int64(amount), target, at + o)
        rest = size % LANES
        if rest:
            o = size - rest
            total = load_first(target, at + o, rest) + load_weights(weight, row + o) * np.int64(amount)
            store_first(total, target, at + o, rest)

    def reals(target: Any, at: Any, weight: Any, row: Any, size: Any, amount: Any) -> Any:
        sums = target.reshape(-1)
        for o in range(size):
            sums[at + o] += weight[row + o] * amount

    return integers if weight.dtype == types.int8 else reals


@kernel
def deliver_conv(
    start: Array, pixels: int, index: Array, value: Array, graded: bool, source: Int, pool: Int, shape: Int,
    weight: Array, geometry: Int, top: int, acc: Array,
) -> int:  # fmt: skip
    """Convolution, after a pooling.

    Parameters
    ----------
    start, pixels, index, value, graded
        The list of events.
    source : (C, H, W) of the source population
    pool : kernel, stride, padding (layout.Geometry); 1, 1, 1, 1, 0, 0 for none
    shape : (C, H, W) after pooling
    weight : (kH, kW, C, O / groups) array, flat
    geometry : see layout.Geometry
    top : the row of targets that is row 0 of `acc`
    acc : (steps, rows, W', >= O) array
    """
    channels, width = source[0], source[2]
    per_group, size = channels // geometry[GROUPS], geometry[OUTPUTS]
    rows, out_width, pitch = acc.shape[1], acc.shape[2], acc.shape[3]
    operations = 0
    for k in range(acc.shape[0]):
        for e in range(start[k * pixels], start[(k + 1) * pixels]):
            pixel = index[e] // channels
            c = index[e] - pixel * channels
            y, x = pixel // width, pixel % width
            base = (c // per_group) * size
            y_first, y_end = _windows(y, shape[1], pool[KERNEL_HEIGHT], pool[STRIDE_Y], pool[PADDING_Y])
            x_first, x_end = _windows(x, shape[2], pool[KERNEL_WIDTH], pool[STRIDE_X], pool[PADDING_X])
            for yp in range(y_first, y_end):
                for ky in range(geometry[KERNEL_HEIGHT]):
                    row = yp + geometry[PADDING_Y] - ky * geometry[DILATION_Y]
                    yo = row // geometry[STRIDE_Y] - top
                    if row % geometry[STRIDE_Y] or yo < 0 or yo >= rows:
                        continue
                    for xp in range(x_first, x_end):
                        for kx in range(geometry[KERNEL_WIDTH]):
                            column = xp + geometry[PADDING_X] - kx * geometry[DILATION_X]
                            xo = column // geometry[STRIDE_X]
                            if column % geometry[STRIDE_X] or xo < 0 or xo >= out_width:
                                continue
                            at = ((k * rows + yo) * out_width + xo) * pitch + base
                            first = ((ky * geometry[KERNEL_WIDTH] + kx) * channels + c) * size
                            _add_row(acc, at, weight, first, size, value[e] if graded else 1)
                            operations += size
    return operations


@kernel
def deliver_dense(
    start: Array, pixels: int, index: Array, value: Array, graded: bool, source: Int, pool: Int, shape: Int,
    weight: Array, size: int, acc: Array,
) -> int:  # fmt: skip
    """All to all, after a pooling; `weight` is ``(sources, size)``, channel-last, flat, `acc` ``(steps, size)``."""
    channels, width = source[0], source[2]
    operations = 0
    for k in range(acc.shape[0]):
        for e in range(start[k * pixels], start[(k + 1) * pixels]):
            pixel = index[e] // channels
            c = index[e] - pixel * channels
            y_first, y_end = _windows(pixel // width, shape[1], pool[KERNEL_HEIGHT], pool[STRIDE_Y], pool[PADDING_Y])
            x_first, x_end = _windows(pixel % width, shape[2], pool[KERNEL_WIDTH], pool[STRIDE_X], pool[PADDING_X])
            for yp in range(y_first, y_end):
                for xp in range(x_first, x_end):
                    row = ((yp * shape[2] + xp) * channels + c) * size
                    _add_row(acc, k * acc.shape[1], weight, row, size, value[e] if graded else 1)
                    operations += size
    return operations


@kernel
def by_source(
    indptr: Int, indices: Int, weight: Array, source: Int, shape: Int, row: Int, target: Array, sorted_weight: Array
) -> None:  # fmt: skip
    """Turn a matrix compressed by target, in C order, into one compressed by source, channel-last.

    Parameters
    ----------
    indptr, indices, weight
        The matrix (synapse.Sparse).
    source, shape : (C, H, W) of source and target
    row : (sources + 1,) array of zeros
        Filled with the index of each source's first entry.
    target, sorted_weight : as long as `weight`
        Filled; targets ascend within a source.
    """
    channels, pixels = source[0], source[1] * source[2]
    for s in range(indices.size):
        row[_moved(indices[s], channels, pixels) + 1] += 1
    for j in range(row.size - 1):
        row[j + 1] += row[j]
    targets, places = shape[0], shape[1] * shape[2]
    for o in range(indptr.size - 1):
        given = o % targets * places + o // targets  # the o-th channel-last target in C order
        for s in range(indptr[given], indptr[given + 1]):
            j = _moved(indices[s], channels, pixels)
            target[row[j]] = o
            sorted_weight[row[j]] = weight[s]
            row[j] += 1
    for j in range(row.size - 1, 0, -1):  # each row's end is where the next one begins
        row[j] = row[j - 1]
    row[0] = 0


@kernel
def _moved(neuron: int, channels: int, pixels: int) -> int:
    """Channel-last index of a neuron in C order."""
    return neuron if pixels == 1 else neuron % pixels * channels + neuron // pixels


@kernel
def _bound(target: Array, first: int, end: int, limit: int) -> int:
    """The first entry of ``first:end`` whose target is at least `limit`."""
    while first < end:
        middle = (first + end) // 2
        if target[middle] < limit:
            first = middle + 1
        else:
            end = middle
    return first


@kernel
def deliver_sparse(
    start: Array, pixels: int, index: Array, value: Array, graded: bool, source: Int, pool: Int, shape: Int, row: Int,
    target: Array, weight: Array, low: int, acc: Array,
) -> int:  # fmt: skip
    """Compressed by source, after a pooling: source j reaches ``target[row[j] : row[j + 1]]``; all channel-last.

    `acc` begins with target `low`, and targets outside of it are skipped; or `low` is WHOLE.
    """
    channels, width = source[0], source[2]
    plain = pool[KERNEL_HEIGHT] == 1 and pool[KERNEL_WIDTH] == 1 and pool[STRIDE_Y] == 1 and pool[STRIDE_X] == 1
    operations = 0
    for k in range(acc.shape[0]):
        sums = acc[k]
        if plain and low == WHOLE:
            first, end = start[k * pixels], start[(k + 1) * pixels]
            operations += _deliver_rows(first, end, index, value, graded, row, target, weight, sums)
            continue
        for e in range(start[k * pixels], start[(k + 1) * pixels]):
            amount = value[e] if graded else 1
            pixel = index[e] // channels
            c = index[e] - pixel * channels
            y_first, y_end = _windows(pixel // width, shape[1], pool[KERNEL_HEIGHT], pool[STRIDE_Y], pool[PADDING_Y])
            x_first, x_end = _windows(pixel % width, shape[2], pool[KERNEL_WIDTH], pool[STRIDE_X], pool[PADDING_X])
            for yp in range(y_first, y_end):
                for xp in range(x_first, x_end):
                    j = (yp * shape[2] + xp) * channels + c
                    operations += _add_targets(j, row, target, weight, amount, low, sums)
    return operations


@kernel
def _deliver_rows(
    first: int, end: int, index: Array, value: Array, graded: bool, row: Int, target: Array, weight: Array, sums: Array
) -> int:  # fmt: skip
    """Deliver the events ``first:end`` without pooling to the sums of all targets: most of a large network's time."""
    operations = 0
    for e in range(first, end):
        if e + PREFETCHED < end:
            next_row = row[np.uint64(index[e + PREFETCHED])]
            prefetch(target, next_row)
            prefetch(weight, next_row)
        j = np.uint64(index[e])  # Numba tests signed indices for negative ones
        begin, last = row[j], row[j + np.uint64(1)]
        if graded:
            for s in range(np.uint64(begin), np.uint64(last)):
                sums[np.uint64(target[s])] += weight[s] * value[e]
        else:
            for s in range(np.uint64(begin), np.uint64(last)):
                sums[np.uint64(target[s])] += weight[s]
        operations += last - begin
    return operations


@kernel
def _add_targets(j: int, row: Int, target: Array, weight: Array, amount: Any, low: int, sums: Array) -> int:
    """Add the weights of source j to those of its targets that `sums` has; returns their number."""
    first, end = row[j], row[j + 1]
    if low != WHOLE:
        first = _bound(target, first, end, low)
        end = _bound(target, first, end, low + sums.size)
    begin = max(low, 0)
    for s in range(first, end):
        sums[target[s] - begin] += weight[s] * amount
    return int(end - first)
