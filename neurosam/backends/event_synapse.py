"""Kernels that deliver events: each active source adds a row of weights to its targets' sums; nothing else is touched.

Inside this back end a population's neurons are in channel-last order, ``(y * W + x) * C + c``, so that the weights
one spike adds lie side by side in memory. A list of events covers a block of steps: those of step k are
``index[start[k] : start[k + 1]]``, with ``value`` where they are graded. Sums are ``acc[step, y, x, c]``, int32
(proven wide enough by validation.accumulator_bound) or float64. Every kernel returns its synaptic operations: weights
added.

Pooling gives an event new addresses and costs none: a source pixel y belongs to the windows ``yo`` with
``yo * stride - padding <= y < yo * stride - padding + kernel``.

What limits them: load and store of the sums, one vector of targets a weight row.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from neurosam.backends.event_compile import kernel

__all__ = ["decode", "deliver_conv", "deliver_dense", "deliver_sparse"]

Int = npt.NDArray[np.int64]
Array = npt.NDArray[Any]

# Position of the lowest set bit, by a de Bruijn sequence: multiply the isolated bit, look up the top six bits.
DE_BRUIJN = np.uint64(0x03F79D71B4CB0A89)
POSITION = np.zeros(64, dtype=np.int64)
for _bit in range(64):
    POSITION[((0x03F79D71B4CB0A89 << _bit) & 0xFFFFFFFFFFFFFFFF) >> 58] = _bit
POSITION.setflags(write=False)


@kernel
def decode(planes: Array, first: int, channels: int, start: Int, index: Array) -> int:
    """List the spikes of ``len(start) - 1`` steps of bit planes ``[T, pixels, words]``, beginning at step `first`.

    Steps before 0 are silent. Returns the number of spikes, which must fit `index`.
    """
    count = 0
    for k in range(start.size - 1):
        start[k] = count
        if first + k < 0:
            continue
        for p in range(planes.shape[1]):
            for w in range(planes.shape[2]):
                bits = planes[first + k, p, w]
                base = p * channels + 64 * w
                while bits != np.uint64(0):
                    lowest = bits & (~bits + np.uint64(1))
                    index[count] = base + POSITION[(lowest * DE_BRUIJN) >> np.uint64(58)]
                    count += 1
                    bits ^= lowest
    start[start.size - 1] = count
    return count


@kernel
def _windows(at: int, size: int, kernel: int, stride: int, padding: int) -> tuple[int, int]:
    """First and one past the last window that a source pixel belongs to, along one axis."""
    low = at + padding - kernel + 1
    first = (low + stride - 1) // stride if low > 0 else 0
    return first, min(size, (at + padding) // stride + 1)


@kernel
def deliver_conv(
    start: Int, index: Array, value: Array, graded: bool, source: Int, pool: Int, shape: Int, weight: Array,
    geometry: Int,
    acc: Array,
) -> int:  # fmt: skip
    """Convolution, behind a pooling.

    Parameters
    ----------
    start, index, value, graded
        The list of events.
    source : (C, H, W) of the source population
    pool : kernel, stride, padding (height and width each), 1, 1, 1, 1, 0, 0 for none
    shape : (C, H, W) after pooling
    weight : (kH, kW, C, O / groups) array
    geometry : stride, padding, dilation (height and width each), groups
    acc : (steps, H', W', O) array
    """
    channels, width = source[0], source[2]
    kernel_y, kernel_x, _, rows = weight.shape
    per_group = channels // geometry[6]
    out_height, out_width = acc.shape[1], acc.shape[2]
    operations = 0
    for k in range(start.size - 1):
        for e in range(start[k], start[k + 1]):
            pixel = index[e] // channels
            c = index[e] - pixel * channels
            y, x = pixel // width, pixel % width
            base = (c // per_group) * rows
            y_first, y_end = _windows(y, shape[1], pool[0], pool[2], pool[4])
            x_first, x_end = _windows(x, shape[2], pool[1], pool[3], pool[5])
            for yp in range(y_first, y_end):
                for ky in range(kernel_y):
                    row = yp + geometry[2] - ky * geometry[4]
                    if row < 0 or row % geometry[0] or row // geometry[0] >= out_height:
                        continue
                    yo = row // geometry[0]
                    for xp in range(x_first, x_end):
                        for kx in range(kernel_x):
                            column = xp + geometry[3] - kx * geometry[5]
                            if column < 0 or column % geometry[1] or column // geometry[1] >= out_width:
                                continue
                            target = acc[k, yo, column // geometry[1]]
                            weights = weight[ky, kx, c]
                            if graded:
                                for o in range(rows):
                                    target[base + o] += weights[o] * value[e]
                            else:
                                for o in range(rows):
                                    target[base + o] += weights[o]
                            operations += rows
    return operations


@kernel
def deliver_dense(
    start: Int, index: Array, value: Array, graded: bool, source: Int, pool: Int, shape: Int, weight: Array, acc: Array
) -> int:
    """All to all, behind a pooling; `weight` is ``(sources, targets)``, channel-last, `acc` ``(steps, targets)``."""
    channels, width = source[0], source[2]
    operations = 0
    for k in range(start.size - 1):
        target = acc[k]
        for e in range(start[k], start[k + 1]):
            pixel = index[e] // channels
            c = index[e] - pixel * channels
            y_first, y_end = _windows(pixel // width, shape[1], pool[0], pool[2], pool[4])
            x_first, x_end = _windows(pixel % width, shape[2], pool[1], pool[3], pool[5])
            for yp in range(y_first, y_end):
                for xp in range(x_first, x_end):
                    weights = weight[(yp * shape[2] + xp) * channels + c]
                    if graded:
                        for o in range(weights.size):
                            target[o] += weights[o] * value[e]
                    else:
                        for o in range(weights.size):
                            target[o] += weights[o]
                    operations += weights.size
    return operations


@kernel
def deliver_sparse(
    start: Int, index: Array, value: Array, graded: bool, source: Int, pool: Int, shape: Int, row: Int, target: Array,
    weight: Array, acc: Array,
) -> int:  # fmt: skip
    """Compressed by source, behind a pooling: source j reaches ``target[row[j] : row[j + 1]]``; all channel-last."""
    channels, width = source[0], source[2]
    operations = 0
    for k in range(start.size - 1):
        sums = acc[k]
        for e in range(start[k], start[k + 1]):
            pixel = index[e] // channels
            c = index[e] - pixel * channels
            y_first, y_end = _windows(pixel // width, shape[1], pool[0], pool[2], pool[4])
            x_first, x_end = _windows(pixel % width, shape[2], pool[1], pool[3], pool[5])
            for yp in range(y_first, y_end):
                for xp in range(x_first, x_end):
                    j = (yp * shape[2] + xp) * channels + c
                    for s in range(row[j], row[j + 1]):
                        if graded:
                            sums[target[s]] += weight[s] * value[e]
                        else:
                            sums[target[s]] += weight[s]
                    operations += row[j + 1] - row[j]
    return operations
