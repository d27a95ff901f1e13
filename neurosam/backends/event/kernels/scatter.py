"""A layer's sums, source by source: each spike adds its weight row to every pixel it reaches, in memory.

Cost: load and store of the sums, for each vector of a weight row.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from neurosam.backends.event.kernels.layout import (
    KERNEL_HEIGHT,
    KERNEL_WIDTH,
    OUTPUTS,
    PADDING_X,
    PADDING_Y,
    STRIDE_X,
    STRIDE_Y,
    Conv,
    Rule,
    State,
    Workspace,
)
from neurosam.backends.event.kernels.neurons import block
from neurosam.backends.event.runtime.jit import kernel
from neurosam.backends.event.simd.load_store import load, load_first, load_weights, store, store_first
from neurosam.backends.event.simd.vectors import LANES

__all__ = ["scatter", "scattered_strip"]

Array = npt.NDArray[Any]
Int = npt.NDArray[np.int64]


@kernel
def scatter(start: Array, pixels: int, index: Array, begin: int, conv: Conv, top: int, acc: Array) -> int:
    """Add a list of spikes, of pixels from `begin` on, to ``acc (steps, rows, W', >= O)``.

    A spike at y reaches the output rows ``yo`` with ``0 <= y + padding - yo * stride < kernel``; this value is the
    kernel row of its weights. Returns the synaptic operations.
    """
    geometry, weight = conv.geometry, conv.weight
    channels, width, size = conv.source[0], conv.source[2], geometry[OUTPUTS]
    rows, out_width, pitch = acc.shape[1], acc.shape[2], acc.shape[3]
    active = 0
    for k in range(acc.shape[0]):
        for q in range(pixels):
            first, last = start[k * pixels + q], start[k * pixels + q + 1]
            if first == last:
                continue
            y, x = (begin + q) // width + geometry[PADDING_Y], (begin + q) % width + geometry[PADDING_X]
            low, high = max(0, y - geometry[KERNEL_HEIGHT] + 1), y // geometry[STRIDE_Y]
            left, right = max(0, x - geometry[KERNEL_WIDTH] + 1), min(x // geometry[STRIDE_X], out_width - 1)
            y_first = max(top, (low + geometry[STRIDE_Y] - 1) // geometry[STRIDE_Y])
            y_last = min(high, top + rows - 1)
            x_first = (left + geometry[STRIDE_X] - 1) // geometry[STRIDE_X]
            for yo in range(y_first, y_last + 1):
                for xo in range(x_first, right + 1):
                    at = ((k * rows + yo - top) * out_width + xo) * pitch
                    tap = (y - yo * geometry[STRIDE_Y]) * geometry[KERNEL_WIDTH] + x - xo * geometry[STRIDE_X]
                    shift = tap * channels - (begin + q) * channels
                    for e in range(first, last):
                        row = (index[e] + shift) * size
                        for o in range(0, size - LANES + 1, LANES):
                            store(load(acc, at + o) + load_weights(weight, row + o), acc, at + o)
                        rest = size % LANES
                        if rest:
                            o = size - rest
                            total = load_first(acc, at + o, rest) + load_weights(weight, row + o)
                            store_first(total, acc, at + o, rest)
            active += (last - first) * max(0, y_last + 1 - y_first) * max(0, right + 1 - x_first)
    return int(active * size)


@kernel
def _clear(sums: Array) -> None:
    """Set sums to 0."""
    flat = sums.reshape(sums.size)
    for j in range(flat.size):
        flat[j] = 0


@kernel
def scattered_strip(
    conv: Conv, begin: int, pixels: int, steps: int, top: int, bottom: int, first: int, base: int, rule: Rule,
    state: State, workspace: Workspace,
) -> int:  # fmt: skip
    """Scatter the spikes of a strip and update its neurons, for a block of steps; returns the synaptic operations."""
    out_width, pitch = conv.size[1], state.v.shape[1]
    row = (bottom - top) * out_width * pitch
    most = workspace.sums.size // row
    operations = 0
    for done in range(0, steps, most):
        length = min(most, steps - done)
        sums = workspace.sums[: length * row].reshape(length, bottom - top, out_width, pitch)
        _clear(sums)
        operations += scatter(workspace.start[done * pixels :], pixels, workspace.spikes, begin, conv, top, sums)
        pixel_sums = sums.reshape(length, (bottom - top) * out_width, pitch)
        block(pixel_sums, conv.exponent, length, first + done, top * out_width, base, rule, state)
    return operations
