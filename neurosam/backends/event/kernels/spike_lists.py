"""Lists of spikes, made from bit planes, and of the weight rows that each output pixel receives.

A list of spikes covers a block of steps and a range of n pixels: those of step k and the range's pixel p are
``index[start[k * n + p] : start[k * n + p + 1]]``, channel-last neurons in ascending order.

Cost, on one core of an EPYC (Zen 5): to list spikes, 0.7 ns per pixel of 32 channels and 1.1 ns of 64, whatever the
activity; to list the weight rows of a 3 x 3 convolution, 4 to 6 ns per output pixel, up to about 90 rows.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from neurosam.backends.event.kernels.layout import (
    KERNEL_HEIGHT,
    KERNEL_WIDTH,
    PADDING_X,
    PADDING_Y,
    STRIDE_X,
    STRIDE_Y,
    Conv,
    Workspace,
)
from neurosam.backends.event.runtime.jit import inlined, kernel
from neurosam.backends.event.simd.bits import (
    bit_positions,
    compress,
    has_compress,
    popcount,
    sixteen_bytes,
    trailing_zeros,
)
from neurosam.backends.event.simd.int16 import GROUP, HALF_TILE, TILE, add, add_scalar, iota_i16x32, zeros_i16x32
from neurosam.backends.event.simd.load_store import address, item, load_like, put, store
from neurosam.backends.event.simd.vectors import LANES

__all__ = ["active", "decode", "decode_short", "decode_step", "list_magnitudes", "windows"]

Array = npt.NDArray[Any]
Int = npt.NDArray[np.int64]

COMPRESSES = has_compress()


@kernel
def decode(
    planes: Array, at: int, steps: int, begin: int, end: int, channels: int, start: Array, index: Array
) -> int:  # fmt: skip
    """List the spikes of pixels ``begin:end`` in ``planes[at : at + steps]``.

    `start` has ``steps * (end - begin) + 1`` entries, `index` one for each spike and 16 spare ones, since whole vectors
    are written. Returns the number of spikes.
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
    """Append the spikes of ``planes[k]`` to `count` others, and each pixel's first entry to ``start[slot:]``.

    Returns the number of all spikes.
    """
    pixels, width = planes.shape[1], planes.shape[2]
    words, beginnings, neurons = address(planes, k * pixels * width), address(start, 0), address(index, 0)
    for p in range(begin, end):
        put(count, beginnings, slot + p - begin)
        for w in range(width):
            word = np.uint64(item(words, p * width + w))
            base = p * channels + 64 * w
            after = count + popcount(word)
            if COMPRESSES:
                _list_positions(word, base, count, after, neurons)
            elif count < after:
                for e in range(count, count + 4):  # most words hold no more; a fixed number is never mispredicted
                    put(base + trailing_zeros(word), neurons, e)
                    word &= word - np.uint64(1)
                for e in range(count + 4, after):
                    put(base + trailing_zeros(word), neurons, e)
                    word &= word - np.uint64(1)
            count = after
    return count


@inlined
def _list_positions(word: int, base: int, first: int, end: int, neurons: Any) -> None:
    """Write the positions of a word's set bits, plus `base`, to ``neurons[first:end]``, sixteen at a time."""
    positions = bit_positions(word)
    store(sixteen_bytes(positions, 0) + base, neurons, first)
    if first + LANES < end:
        store(sixteen_bytes(positions, 1) + base, neurons, first + LANES)
    if first + 2 * LANES < end:
        store(sixteen_bytes(positions, 2) + base, neurons, first + 2 * LANES)
    if first + 3 * LANES < end:
        store(sixteen_bytes(positions, 3) + base, neurons, first + 3 * LANES)


@kernel
def list_magnitudes(edges: Array, index: Array, magnitude: Array, value: Array) -> None:
    """Write how often each listed neuron fired, for the spikes ``index[edges[k] : edges[k + 1]]`` of step k."""
    for k in range(edges.size - 1):
        plane = address(magnitude, k * magnitude.shape[1] * magnitude.shape[2])
        for e in range(edges[k], edges[k + 1]):
            value[e] = item(plane, item(index, e))


@kernel
def active(planes: Array, k: int, begin: int, end: int) -> int:
    """Number of spikes of pixels ``begin:end`` in ``planes[k]``."""
    pixels, width = planes.shape[1], planes.shape[2]
    words = address(planes, k * pixels * width)
    count = 0
    for at in range(begin * width, end * width):
        count += popcount(item(words, at))
    return count


@inlined
def _decode_halves(
    planes: Array, at: int, steps: int, begin: int, end: int, channels: int, halves: int, start: Array, index: Array
) -> int:  # fmt: skip
    """List spikes by half words, `halves` per pixel: the numbers of 32 neurons, compressed to those that fired."""
    pixels, width = planes.shape[1], 2 * planes.shape[2]
    words, beginnings, neurons = address(planes.view(np.uint32), 0), address(start, 0), address(index, 0)
    count = slot = 0
    for k in range(at, at + steps):
        word = (k * pixels + begin) * width
        numbers = add_scalar(iota_i16x32(), begin * channels)
        for _ in range(begin, end):
            put(count, beginnings, slot)
            slot += 1
            for half in range(halves):
                fired = item(words, word + half)
                store(compress(add_scalar(numbers, half * HALF_TILE), fired), neurons, count)
                count += popcount(fired)
            numbers = add_scalar(numbers, channels)
            word += width
    put(count, beginnings, slot)
    return count


@kernel
def decode_short(
    planes: Array, at: int, steps: int, begin: int, end: int, channels: int, start: Array, index: Array
) -> int:  # fmt: skip
    """As :func:`decode`, with neurons modulo 2^16: `index` is uint16, and has 32 spare entries."""
    halves = (channels + HALF_TILE - 1) // HALF_TILE
    count: int
    if COMPRESSES:
        if halves == 1:  # a loop over one or two would cost more than its work
            count = _decode_halves(planes, at, steps, begin, end, channels, 1, start, index)
        elif halves == 2:
            count = _decode_halves(planes, at, steps, begin, end, channels, 2, start, index)
        else:
            count = _decode_halves(planes, at, steps, begin, end, channels, halves, start, index)
    else:
        count = decode(planes, at, steps, begin, end, channels, start, index)
    return count


@inlined
def _copy_run(start: Any, at: int, end: int, index: Any, shift: Any, rows: Any, to: int, twice: bool) -> int:
    """Copy the spikes of the pixels ``at:end``, plus `shift`; returns their number.

    32 of them are copied unconditionally, or 64 if `twice`.
    """
    first = item(start, at)
    length: int = item(start, end) - first
    store(add(load_like(shift, index, first), shift), rows, to)
    copied = HALF_TILE
    if twice:
        store(add(load_like(shift, index, first + HALF_TILE), shift), rows, to + HALF_TILE)
        copied = TILE
    while copied < length:
        store(add(load_like(shift, index, first + copied), shift), rows, to + copied)
        copied += HALF_TILE
    return length


@kernel
def windows(conv: Conv, begin: int, pixels: int, top: int, bottom: int, steps: int, workspace: Workspace) -> int:
    """List the weight rows of each output pixel, from the spikes of pixels from `begin` on; returns their number.

    A pixel's list is padded to a multiple of GROUP with the row behind the last, which is zeros: a CPU predicts the end
    of a loop over few groups better than the length of a list.

    The sources of one kernel row lie side by side in the list of spikes, because it is in the order of ``(y, x, c)``
    and so are the weights ``[ky, kx, c]``: source j has row ``j + (ky kW - y W - x_0) C``.
    """
    geometry, out_width = conv.geometry, conv.size[1]
    channels, height, width = conv.source[0], conv.source[1], conv.source[2]
    kernel_height, kernel_width, stride, stride_x = (
        geometry[KERNEL_HEIGHT],
        geometry[KERNEL_WIDTH],
        geometry[STRIDE_Y],
        geometry[STRIDE_X],
    )
    padding, padding_x = geometry[PADDING_Y], geometry[PADDING_X]
    start, index = address(workspace.start, 0), address(workspace.spikes.view(np.uint16), 0)
    rows, edges = address(workspace.rows, 0), address(workspace.edges, 0)
    zero_row = add_scalar(zeros_i16x32(), kernel_height * kernel_width * channels)
    next_line = add_scalar(zeros_i16x32(), (kernel_width - width) * channels)
    # 32 or 64 spikes of every run are copied unconditionally, depending on the mean length of runs: most runs have no
    # more, and a mispredicted branch costs more than a copy.
    twice = item(start, steps * pixels) * kernel_width > LANES * steps * pixels
    # Each output column receives from source columns left:right.
    left = np.array([max(0, min(width, xo * stride_x - padding_x)) for xo in range(out_width)])
    right = np.array([max(0, min(width, xo * stride_x - padding_x + kernel_width)) for xo in range(out_width)])
    count = slot = listed = 0
    for k in range(steps):
        for yo in range(top, bottom):
            y_0 = yo * stride - padding
            y_first, y_end = max(0, y_0), min(height, y_0 + kernel_height)
            line = k * pixels - begin + y_first * width
            row = ((y_first - y_0) * kernel_width - y_first * width + padding_x) * channels
            for xo in range(out_width):
                at, end = line + item(left, xo), line + item(right, xo)
                shift = add_scalar(zeros_i16x32(), row)
                row -= stride_x * channels  # x_0 of the next window
                put(count, edges, slot)
                slot += 1
                listed -= count
                if y_end - y_first == 3:  # a loop of three would cost more than its work
                    count += _copy_run(start, at, end, index, shift, rows, count, twice)
                    shift = add(shift, next_line)
                    count += _copy_run(start, at + width, end + width, index, shift, rows, count, twice)
                    shift = add(shift, next_line)
                    count += _copy_run(start, at + 2 * width, end + 2 * width, index, shift, rows, count, twice)
                else:
                    for _ in range(y_first, y_end):
                        count += _copy_run(start, at, end, index, shift, rows, count, twice)
                        at += width
                        end += width
                        shift = add(shift, next_line)
                listed += count
                store(zero_row, rows, count)
                count = (count + GROUP - 1) // GROUP * GROUP
    put(count, edges, slot)
    return listed
