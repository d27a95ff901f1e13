"""A layer of integer neurons behind one convolution, from bit planes to bit planes in one kernel: the fast path.

A layer is cut into strips of output rows, which are independent: threads take them one by one. Within a strip, blocks
of steps run through three stages whose data stays in the cache: list the spikes that reach the strip, add their
weights, advance the neurons. All to all is a convolution whose kernel is the whole picture.

**Gather.** For one output pixel and a tile of output channels, the weight rows of all active sources are added up in
registers (event_vector.py: 64 weights an instruction or two). The sources of one kernel row lie side by side in the
list of spikes, because it is in the order of ``(y, x, c)`` and so are the weights ``[ky, kx, c]``: source j has the
weight row ``j + (ky kW - y W - x_0) C``. Tiles are the outer loop, so that a tile's weights stay in the cache.

**Scatter** adds each spike's weight row to the sums of every pixel it reaches, which is faster where few sources are
active a pixel, as in a first layer of two or three channels. Each block measures its activity and takes one of them;
the sums are the same integers.

What limits them: the gather, one load, one shift and two additions for 64 weights, from the cache that holds a tile's
weights; the scatter, load and store of the sums; the neurons, the arithmetic of event_neuron.py.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from neurosam.backends.event_compile import kernel
from neurosam.backends.event_neuron import Rule, State, fixed_block
from neurosam.backends.event_synapse import decode
from neurosam.backends.event_vector import (
    LANES,
    MOST_ROWS,
    TILE,
    add,
    add_pairs,
    high_weights,
    load,
    load_pairs,
    load_some,
    load_weights,
    no_pairs,
    store,
    store_some,
)  # fmt: skip

__all__ = ["GATHER_ROWS", "Conv", "gather", "gather_rows", "layer", "scatter"]

Array = npt.NDArray[Any]
Int = npt.NDArray[np.int64]

STREAMS = 16
"""Rows of a large matrix that are read side by side."""
GATHER_ROWS = 3.0
"""Active sources an output pixel from which on the gather is faster."""


class Conv(NamedTuple):
    """A convolution as the fast path takes it.

    Parameters
    ----------
    source : (C, H, W) of the source population
    geometry : kernel, stride, padding (height and width each), dilation 1, 1, groups 1, and O
    size : (H', W') of the target
    weight : (kH, kW, C, O) int8 array, flat, with 15 spare weights
    pairs : the same, (kH kW C, O in whole tiles) in the order of Pairs, flat; empty if the gather cannot take it
    exponent : int
        Of the projection.
    """

    source: Int
    geometry: Int
    size: Int
    weight: Array
    pairs: Array
    exponent: int


@kernel
def _add_rows_1(pairs: Array, rows: Array, first: int, end: int, acc: Array, at: int) -> None:
    """Add the weights at ``rows[first:end]`` (at most 256) to a tile of sums."""
    a, b = no_pairs(), no_pairs()
    for e in range(first, end):
        x = load_pairs(pairs, rows[e])
        a, b = add(a, x), add(b, high_weights(x))
    add_pairs(a, b, end - first, acc, at)


@kernel
def _add_rows_2(pairs: Array, rows: Array, first: int, end: int, acc: Array, at: int) -> None:
    """Add the weights at ``rows[first:end]`` (at most 256) to 2 tiles of sums."""
    a_0, b_0 = no_pairs(), no_pairs()
    a_1, b_1 = no_pairs(), no_pairs()
    for e in range(first, end):
        row = rows[e]
        x = load_pairs(pairs, row)
        a_0, b_0 = add(a_0, x), add(b_0, high_weights(x))
        x = load_pairs(pairs, row + TILE)
        a_1, b_1 = add(a_1, x), add(b_1, high_weights(x))
    add_pairs(a_0, b_0, end - first, acc, at)
    add_pairs(a_1, b_1, end - first, acc, at + TILE)


@kernel
def _add_rows_4(pairs: Array, rows: Array, first: int, end: int, acc: Array, at: int) -> None:
    """Add the weights at ``rows[first:end]`` (at most 256) to 4 tiles of sums."""
    a_0, b_0 = no_pairs(), no_pairs()
    a_1, b_1 = no_pairs(), no_pairs()
    a_2, b_2 = no_pairs(), no_pairs()
    a_3, b_3 = no_pairs(), no_pairs()
    for e in range(first, end):
        row = rows[e]
        x = load_pairs(pairs, row)
        a_0, b_0 = add(a_0, x), add(b_0, high_weights(x))
        x = load_pairs(pairs, row + TILE)
        a_1, b_1 = add(a_1, x), add(b_1, high_weights(x))
        x = load_pairs(pairs, row + 2 * TILE)
        a_2, b_2 = add(a_2, x), add(b_2, high_weights(x))
        x = load_pairs(pairs, row + 3 * TILE)
        a_3, b_3 = add(a_3, x), add(b_3, high_weights(x))
    add_pairs(a_0, b_0, end - first, acc, at)
    add_pairs(a_1, b_1, end - first, acc, at + TILE)
    add_pairs(a_2, b_2, end - first, acc, at + 2 * TILE)
    add_pairs(a_3, b_3, end - first, acc, at + 3 * TILE)


@kernel
def _gather_columns(
    start: Array, pixels: int, index: Array, begin: int, conv: Conv, top: int, column: int, tiles: int, acc: Array,
    list_: Array,
) -> int:  # fmt: skip
    """Gather for all pixels and 1, 2 or 4 tiles of 64 channels from `column` on; returns the rows added.

    `list_` has room for the weight rows of one pixel and a vector more, as `index` has.
    """
    geometry, pairs = conv.geometry, conv.pairs
    channels, height, width = conv.source[0], conv.source[1], conv.source[2]
    rows, out_width, pitch = acc.shape[1], acc.shape[2], acc.shape[3]
    active = 0
    for k in range(acc.shape[0]):
        slot = k * pixels - begin
        for yo in range(rows):
            y_0 = (top + yo) * geometry[2] - geometry[4]
            for xo in range(out_width):
                x_0 = xo * geometry[3] - geometry[5]
                x_first = max(0, x_0)
                x_end = max(x_first, min(width, x_0 + geometry[1]))
                count = 0
                for y in range(max(0, y_0), min(height, y_0 + geometry[0])):
                    first, end = start[slot + y * width + x_first], start[slot + y * width + x_end]
                    shift = ((y - y_0) * geometry[1] - y * width - x_0) * channels
                    for e in range(first, end, LANES):
                        store((load(index, e) + shift) * pitch + column, list_, count + e - first)
                    count += end - first
                active += count
                at = ((k * rows + yo) * out_width + xo) * pitch + column
                for first in range(0, count, MOST_ROWS):
                    end = min(count, first + MOST_ROWS)
                    if tiles == 1:
                        _add_rows_1(pairs, list_, first, end, acc, at)
                    elif tiles == 2:
                        _add_rows_2(pairs, list_, first, end, acc, at)
                    else:
                        _add_rows_4(pairs, list_, first, end, acc, at)
    return active


@kernel
def gather(start: Array, pixels: int, index: Array, begin: int, conv: Conv, top: int, acc: Array) -> int:
    """Add a list of spikes of pixels from `begin` on to ``acc (steps, rows, W', O in whole tiles)``, by targets.

    `index` has 15 spare entries. Returns the synaptic operations.
    """
    list_ = np.empty(conv.geometry[0] * conv.geometry[1] * conv.source[0] + LANES, np.int32)
    pitch = acc.shape[3]
    active = column = 0
    while column < pitch:
        left = (pitch - column) // TILE
        tiles = 4 if left >= 4 else 2 if left >= 2 else 1
        active = _gather_columns(start, pixels, index, begin, conv, top, column, tiles, acc, list_)
        column += tiles * TILE
    return int(active * conv.geometry[9])


@kernel
def gather_rows(start: Array, pixels: int, index: Array, pairs: Array, acc: Array) -> None:
    """All to all: add the weight rows of a list of spikes to ``acc (steps, targets in whole tiles)``.

    For matrices that no cache holds: a few rows at a time are read from end to end, so that memory streams them.
    """
    pitch = acc.shape[1]
    rows = np.empty(STREAMS, np.int64)
    for k in range(acc.shape[0]):
        end = start[(k + 1) * pixels]
        for first in range(start[k * pixels], end, STREAMS):
            count = min(STREAMS, end - first)
            column = 0
            while column < pitch:
                tiles = 4 if column + 4 * TILE <= pitch else 1
                for e in range(count):
                    rows[e] = np.int64(index[first + e]) * pitch + column
                at = k * pitch + column
                if tiles == 4:
                    _add_rows_4(pairs, rows, 0, count, acc, at)
                else:
                    _add_rows_1(pairs, rows, 0, count, acc, at)
                column += tiles * TILE


@kernel
def scatter(start: Array, pixels: int, index: Array, begin: int, conv: Conv, top: int, acc: Array) -> int:
    """Add a list of spikes to ``acc (steps, rows, W', >= O)``, by sources; as :func:`gather`.

    A spike at y reaches the rows ``yo`` with ``0 <= y + padding - yo * stride < kernel``, by kernel row of that value.
    """
    geometry, weight = conv.geometry, conv.weight
    channels, width, size = conv.source[0], conv.source[2], geometry[9]
    rows, out_width, pitch = acc.shape[1], acc.shape[2], acc.shape[3]
    active = 0
    for k in range(acc.shape[0]):
        for q in range(pixels):
            first, last = start[k * pixels + q], start[k * pixels + q + 1]
            if first == last:
                continue
            y, x = (begin + q) // width + geometry[4], (begin + q) % width + geometry[5]
            low, high = max(0, y - geometry[0] + 1), y // geometry[2]
            left, right = max(0, x - geometry[1] + 1), min(x // geometry[3], out_width - 1)
            y_first = max(top, (low + geometry[2] - 1) // geometry[2])
            y_last = min(high, top + rows - 1)
            x_first = (left + geometry[3] - 1) // geometry[3]
            for yo in range(y_first, y_last + 1):
                for xo in range(x_first, right + 1):
                    at = ((k * rows + yo - top) * out_width + xo) * pitch
                    tap = (y - yo * geometry[2]) * geometry[1] + x - xo * geometry[3]
                    shift = tap * channels - (begin + q) * channels
                    for e in range(first, last):
                        row = (index[e] + shift) * size
                        for o in range(0, size - LANES + 1, LANES):
                            store(load(acc, at + o) + load_weights(weight, row + o), acc, at + o)
                        rest = size % LANES
                        if rest:
                            o = size - rest
                            total = load_some(acc, at + o, rest) + load_weights(weight, row + o)
                            store_some(total, acc, at + o, rest)
            active += (last - first) * max(0, y_last + 1 - y_first) * max(0, right + 1 - x_first)
    return int(active * size)


@kernel
def _clear(sums: Array) -> None:
    """Set sums to 0."""
    flat = sums.reshape(sums.size)
    for j in range(flat.size):
        flat[j] = 0


@kernel
def _shift(sums: Array, exponent: int) -> None:
    """``sums * 2^exponent``, floored, in place."""
    flat = sums.reshape(sums.size)
    for j in range(flat.size):
        flat[j] = flat[j] << exponent if exponent > 0 else flat[j] >> -exponent


@kernel
def layer(
    planes: Array, at: int, conv: Conv, steps: int, first: int, base: int, top: int, bottom: int, force: int,
    rule: Rule, state: State, acc: Array, work: Int,
) -> int:  # fmt: skip
    """Run output rows ``top:bottom`` of a layer for `steps` steps, from own step `first` on.

    Parameters
    ----------
    planes : (kept, H * W, words) array
        Bit planes of the source.
    at : int
        Plane that arrives in step `first`.
    conv, rule, state
    base : int
        Own step of the state's first row.
    force : int
        0: choose by measured activity; 1: scatter; 2: gather.
    acc : (K, bottom - top, W', pitch) int32 array
        Room for the sums of K steps.
    work : (2,) array
        Blocks that were scattered and gathered; added to.

    Returns
    -------
    int
        Synaptic operations.
    """
    height, width, channels = conv.source[1], conv.source[2], conv.source[0]
    y_first = max(0, top * conv.geometry[2] - conv.geometry[4])
    y_end = min(height, (bottom - 1) * conv.geometry[2] - conv.geometry[4] + conv.geometry[0])
    begin, end = y_first * width, max(y_first, y_end) * width
    pixels = end - begin
    start = np.empty(acc.shape[0] * pixels + 1, np.int32)
    index = np.empty(acc.shape[0] * pixels * channels + LANES, np.int32)
    operations = 0
    for block in range(0, steps, acc.shape[0]):
        length = min(acc.shape[0], steps - block)
        sums = acc[:length]
        _clear(sums)
        spikes = decode(planes, at + block, length, begin, end, channels, start, index)
        rows = spikes * conv.geometry[0] * conv.geometry[1] / max(1, length * pixels)
        if conv.pairs.size and (force == 2 or (force == 0 and rows >= GATHER_ROWS)):
            work[1] += 1
            operations += gather(start, pixels, index, begin, conv, top, sums)
        else:
            work[0] += 1
            operations += scatter(start, pixels, index, begin, conv, top, sums)
        if conv.exponent:
            _shift(sums, conv.exponent)
        pixel_sums = sums.reshape(length, sums.shape[1] * sums.shape[2], sums.shape[3])
        fixed_block(pixel_sums, length, first + block, top * sums.shape[2], base, rule, state)
    return operations
