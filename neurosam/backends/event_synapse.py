"""Kernels that deliver events: each active source adds a row of weights to its targets' sums; nothing else is touched.

Inside this back end a population's neurons are in channel-last order, ``(y * W + x) * C + c``, so that the weights
one spike adds lie side by side in memory. A list of events covers a block of steps: those of step k are
``index[start[k] : start[k + 1]]``, with ``value`` where they are graded. Sums are ``acc[step, y, x, c]``, int32
(proven wide enough by validation.accumulator_bound) or float64. Every kernel returns its synaptic operations: weights
added.

Where an event goes along an axis is a table (event_reach.py): ``down`` for rows of pixels, ``across`` within a row.
Pooling is part of the table: it gives an event other addresses and costs no operation.

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


# Two short functions with slices that start at 0: the compiler turns each loop into vector code. One function with
# both loops runs at less than half the speed.


@kernel
def _add(sums: Array, at: int, weights: Array, first: int, count: int) -> None:
    """Add the weights ``first : first + count`` to the sums from `at` on; both have one axis."""
    target, run = sums[at : at + count], weights[first : first + count]
    for o in range(count):
        target[o] += run[o]


@kernel
def _add_graded(sums: Array, at: int, weights: Array, first: int, count: int, value: Any) -> None:
    """Add the same weights times `value`."""
    target, run = sums[at : at + count], weights[first : first + count]
    for o in range(count):
        target[o] += run[o] * value


@kernel
def deliver_conv(
    start: Int, index: Array, value: Array, graded: bool, channels: int, width: int,
    down_start: Int, down: Int, across_start: Int, across: Int, weight: Array, groups: int, out_height: int,
    out_width: int, acc: Array,
) -> int:  # fmt: skip
    """Convolution, behind a pooling.

    Parameters
    ----------
    start, index, value, graded
        The list of events.
    channels, width
        C and W of the source population.
    down_start, down, across_start, across
        The two tables.
    weight : (kH, C, kW, O / groups) array
        Rows and columns last to first.
    groups, out_height, out_width
        Of the convolution; H' and W' of the target.
    acc : (steps, H' * W' * O) array
    """
    _, _, kernel_x, rows = weight.shape
    out, per_group = rows * groups, channels // groups
    sums, taps = acc.reshape(-1), weight.reshape(-1)
    operations = 0
    for k in range(start.size - 1):
        for e in range(start[k], start[k + 1]):
            pixel = index[e] // channels
            c = index[e] - pixel * channels
            y = pixel // width
            x = pixel - y * width
            base = (c // per_group) * rows
            for i in range(down_start[y], down_start[y + 1]):
                line = (k * out_height + down[i, 0]) * out_width * out + base
                row = (down[i, 1] * channels + c) * kernel_x * rows
                for j in range(across_start[x], across_start[x + 1]):
                    at, first, count = line + across[j, 0] * out, row + across[j, 1] * rows, across[j, 2] * rows
                    if graded:
                        _add_graded(sums, at, taps, first, count, value[e])
                    else:
                        _add(sums, at, taps, first, count)
                    operations += count
    return operations


@kernel
def deliver_dense(
    start: Int, index: Array, value: Array, graded: bool, channels: int, width: int,
    down_start: Int, down: Int, across_start: Int, across: Int, pooled_width: int, weight: Array, acc: Array,
) -> int:  # fmt: skip
    """All to all, behind a pooling to `pooled_width`; `weight` ``(sources, targets)``, `acc` ``(steps, targets)``."""
    targets = weight.shape[1]
    sums, rows = acc.reshape(-1), weight.reshape(-1)
    operations = 0
    for k in range(start.size - 1):
        for e in range(start[k], start[k + 1]):
            pixel = index[e] // channels
            c = index[e] - pixel * channels
            y = pixel // width
            x = pixel - y * width
            for i in range(down_start[y], down_start[y + 1]):
                for j in range(across_start[x], across_start[x + 1]):
                    first = ((down[i, 0] * pooled_width + across[j, 0]) * channels + c) * targets
                    if graded:
                        _add_graded(sums, k * targets, rows, first, targets, value[e])
                    else:
                        _add(sums, k * targets, rows, first, targets)
                    operations += targets
    return operations


@kernel
def deliver_sparse(
    start: Int, index: Array, value: Array, graded: bool, channels: int, width: int,
    down_start: Int, down: Int, across_start: Int, across: Int, pooled_width: int,
    row: Int, target: Array, weight: Array, acc: Array,
) -> int:  # fmt: skip
    """Compressed by source, behind a pooling: source s reaches ``target[row[s] : row[s + 1]]``."""
    operations = 0
    for k in range(start.size - 1):
        sums = acc[k]
        for e in range(start[k], start[k + 1]):
            pixel = index[e] // channels
            c = index[e] - pixel * channels
            y = pixel // width
            x = pixel - y * width
            for i in range(down_start[y], down_start[y + 1]):
                for j in range(across_start[x], across_start[x + 1]):
                    s = (down[i, 0] * pooled_width + across[j, 0]) * channels + c
                    for n in range(row[s], row[s + 1]):
                        if graded:
                            sums[target[n]] += weight[n] * value[e]
                        else:
                            sums[target[n]] += weight[n]
                    operations += row[s + 1] - row[s]
    return operations
