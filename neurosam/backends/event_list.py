"""Lists of spikes, made from bit planes, and of the weight rows that each output pixel hears.

A list of spikes covers a block of steps and a range of n pixels: those of step k and the range's pixel p are
``index[start[k * n + p] : start[k * n + p + 1]]``, channel-last neurons in rising order.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from neurosam.backends.event_bits import compresses, ones, places, sixteen_bytes, trailing_zeros
from neurosam.backends.event_compile import kernel
from neurosam.backends.event_memory import address, item, load_as, put, store
from neurosam.backends.event_short import GROUP, HALF_TILE, no_shorts_32, widened
from neurosam.backends.event_vector import LANES, zeros_as

__all__ = ["Conv", "Room", "decode", "decode_step", "patterns", "windows"]

Array = npt.NDArray[Any]
Int = npt.NDArray[np.int64]

COMPRESSES = compresses()


class Conv(NamedTuple):
    """A convolution as the fast path takes it.

    Parameters
    ----------
    source : (C, H, W) of the source population
    geometry : kernel, stride, padding (height and width each), dilation 1, 1, groups 1, and O
    size : (H', W') of the target
    weight : (kH, kW, C, O) int8, float32 or float64 array, flat, with 15 spare weights
    pairs : array of its type
        The same, ``(kH kW C, O)`` in tiles (event_short.tiled), int8 as Pairs; empty if the gather cannot take it.
    tables : array of int16, or of its type
        By tile: (kH, 2^(kW C), width), the sums of every pattern of a kernel row; flat; empty if there is none.
    exponent : int
        Of the projection.
    narrow : bool
        Whether no input to a neuron can leave 24 bits, so that a current need not wrap.
    """

    source: Int
    geometry: Int
    size: Int
    weight: Array
    pairs: Array
    tables: Array
    exponent: int
    narrow: bool


class Room(NamedTuple):
    """Memory of one thread, for any layer.

    `start` and `spikes` list spikes. `rows` lists weight rows by output pixel, pixel i's from
    ``edges[i]`` on, or the patterns of kernel rows (uint16); `sums` are those of the scatter (flat).
    """

    start: Array
    spikes: Array
    rows: Array
    edges: Array
    sums: Array


@kernel
def decode(
    planes: Array, at: int, steps: int, begin: int, end: int, channels: int, start: Array, index: Array
) -> int:  # fmt: skip
    """List the spikes of pixels ``begin:end`` in ``planes[at : at + steps]``.

    `start` has room for ``steps * (end - begin) + 1``, `index` for all spikes and 15 more. Returns their number.
    """
    count = 0
    for k in range(steps):
        count = decode_step(planes, at + k, begin, end, channels, count, k * (end - begin), start, index)
    start[steps * (end - begin)] = count
    return count


@kernel
def decode_step(
    planes: Array, k: int, begin: int, end: int, channels: int, count: int, slot: int, start: Array, index: Array
) -> int:  # fmt: skip
    """List the spikes of ``planes[k]`` behind `count` others, their beginnings from ``start[slot]`` on.

    Returns the number of all.
    """
    width = planes.shape[2]
    for p in range(begin, end):
        start[slot + p - begin] = count
        for w in range(width):
            word = planes[k, p, w]
            base = p * channels + 64 * w
            after = count + ones(word)
            if COMPRESSES:
                _list_places(word, base, count, after, index)
            elif count < after:
                for e in range(count, count + 4):  # most words hold no more; a fixed number is never mispredicted
                    index[e] = base + trailing_zeros(word)
                    word &= word - np.uint64(1)
                for e in range(count + 4, after):
                    index[e] = base + trailing_zeros(word)
                    word &= word - np.uint64(1)
            count = after
    return count


@kernel
def _list_places(word: int, base: int, first: int, end: int, index: Array) -> None:
    """Write the positions of the bits of a word, sixteen at a time."""
    found = places(word)
    store(sixteen_bytes(found, 0) + base, index, first)
    if first + LANES < end:
        store(sixteen_bytes(found, 1) + base, index, first + LANES)
    if first + 2 * LANES < end:
        store(sixteen_bytes(found, 2) + base, index, first + 2 * LANES)
    if first + 3 * LANES < end:
        store(sixteen_bytes(found, 3) + base, index, first + 3 * LANES)


@kernel
def windows(conv: Conv, begin: int, pixels: int, top: int, bottom: int, steps: int, room: Room) -> int:
    """List the weight rows of each output pixel, from the spikes of pixels from `begin` on; returns their number.

    A pixel's list is filled up to a multiple of GROUP by a row behind the last, of zeros, so that its end is found in
    few steps: what a processor foresees badly is the length of a list.

    The sources of one kernel row lie side by side in the list of spikes, because it is in the order of ``(y, x, c)``
    and so are the weights ``[ky, kx, c]``: source j has row ``j + (ky kW - y W - x_0) C``.
    """
    geometry, out_width = conv.geometry, conv.size[1]
    channels, height, width = conv.source[0], conv.source[1], conv.source[2]
    kernel_height, kernel_width, stride, stride_x = geometry[0], geometry[1], geometry[2], geometry[3]
    padding, padding_x = geometry[4], geometry[5]
    start, index = address(room.start, 0), address(room.spikes, 0)
    rows, edges = address(room.rows, 0), address(room.edges, 0)
    some = widened(no_shorts_32())
    nothing = zeros_as(some) + kernel_height * kernel_width * channels
    count = slot = listed = 0
    for k in range(steps):
        for yo in range(top, bottom):
            y_0 = yo * stride - padding
            y_first, y_end = max(0, y_0), min(height, y_0 + kernel_height)
            for xo in range(out_width):
                x_0 = xo * stride_x - padding_x
                x_first = max(0, x_0)
                x_end = max(x_first, min(width, x_0 + kernel_width))
                put(count, edges, slot)
                slot += 1
                for y in range(y_first, y_end):
                    at = k * pixels - begin + y * width
                    first, end = item(start, at + x_first), item(start, at + x_end)
                    shift = ((y - y_0) * kernel_width - y * width - x_0) * channels
                    store(load_as(some, index, first) + shift, rows, count)  # most have no more, so no branch
                    for e in range(first + HALF_TILE, end, HALF_TILE):
                        store(load_as(some, index, e) + shift, rows, count + e - first)
                    count += end - first
                    listed += end - first
                store(nothing, rows, count)
                count = (count + GROUP - 1) // GROUP * GROUP
    put(count, edges, slot)
    return listed


@kernel
def patterns(
    planes: Array, at: int, conv: Conv, top: int, bottom: int, steps: int, room: Room
) -> int:  # fmt: skip
    """List the pattern of spikes of each kernel row, by step, source row (also outside the picture) and output column.

    Bit ``kx C + c`` is channel c of the window's column kx. Returns the number of weight rows they stand for.
    """
    geometry, out_width = conv.geometry, conv.size[1]
    channels, width, pixels = conv.source[0], conv.source[2], planes.shape[1]
    last = np.uint64((geometry[1] - 1) * channels)
    kernel_width, stride_x, padding_x = geometry[1], geometry[3], geometry[5]
    words, rows = address(planes, at * pixels), address(room.rows, 0)
    total = slot = 0
    for k in range(steps):
        for y in range(top * geometry[2] - geometry[4], (bottom - 1) * geometry[2] - geometry[4] + geometry[0]):
            if y < 0 or y >= conv.source[1]:
                for _ in range(out_width):
                    put(0, rows, slot)
                    slot += 1
                continue
            low, high = max(0, y + geometry[4] - geometry[0] + 1), y + geometry[4]
            reached = min(high // geometry[2], bottom - 1) - max((low + geometry[2] - 1) // geometry[2], top) + 1
            count = 0
            window = np.uint64(0)
            x = -padding_x
            for xo in range(out_width):
                while x < xo * stride_x - padding_x + kernel_width:
                    window >>= np.uint64(channels)
                    if 0 <= x < width:
                        window |= np.uint64(item(words, k * pixels + y * width + x)) << last
                    x += 1
                put(window, rows, slot)
                count += ones(window)
                slot += 1
            total += count * max(0, reached)
    return total
