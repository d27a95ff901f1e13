"""Patterns of spikes, made from bit planes: the spikes that a window has in each kernel row, as one number.

They are the indices of the tables of kernels/layer.py's look-up.

Cost, on one core of an EPYC (Zen 5): 0.25 ns per pattern of three columns, whatever the activity.
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
from neurosam.backends.event.runtime.jit import kernel
from neurosam.backends.event.simd.bits import lane_popcounts
from neurosam.backends.event.simd.int16 import HALF_TILE, add, iota_i16x32, shift_left, to_int32, zeros_i16x32
from neurosam.backends.event.simd.load_store import address, item, load_like, put, store
from neurosam.backends.event.simd.vectors import int32_zeros, reduce_add

__all__ = ["patterns"]

Array = npt.NDArray[Any]


@kernel
def patterns(
    planes: Array, at: int, conv: Conv, top: int, bottom: int, steps: int, workspace: Workspace
) -> int:  # fmt: skip
    """List the pattern of spikes of each kernel row, by step, source row (also outside the picture) and output column.

    Bit ``kx C + c`` of 16 is channel c of the window's column kx. Returns the number of weight rows they stand for.

    A step's words are first copied as 16 bits, with padding, so that no window needs a bounds test. The columns are
    sorted by ``x mod stride_x``: column ``xo stride_x + kx`` of all windows is then a run of consecutive words.
    """
    geometry, out_width = conv.geometry, conv.size[1]
    channels, width, pixels = conv.source[0], conv.source[2], planes.shape[1]
    kernel_height, kernel_width, stride, stride_x = (
        geometry[KERNEL_HEIGHT],
        geometry[KERNEL_WIDTH],
        geometry[STRIDE_Y],
        geometry[STRIDE_X],
    )
    y_0, padding_x = top * stride - geometry[PADDING_Y], geometry[PADDING_X]
    height = (bottom - top - 1) * stride + kernel_height
    pitch = out_width + kernel_width // stride_x + HALF_TILE
    copied = np.zeros(height * stride_x * pitch, np.uint16)  # its padding stays 0
    words, rows = address(planes, at * pixels), address(workspace.rows, 0)
    taps = np.array([kx % stride_x * pitch + kx // stride_x for kx in range(kernel_width)])
    receivers = np.array([_receiving_rows(r, kernel_height, stride, bottom - top) for r in range(height)])
    in_order = to_int32(iota_i16x32())
    total = slot = 0
    for k in range(steps):
        for phase in range(stride_x):
            first, end = -((phase - padding_x) // stride_x), -((phase - padding_x - width) // stride_x)
            for r in range(max(0, -y_0), min(height, conv.source[1] - y_0)):
                x_0 = k * pixels + (y_0 + r) * width + phase - padding_x
                to = (r * stride_x + phase) * pitch
                for j in range(first, end):
                    put(item(words, x_0 + j * stride_x), copied, to + j)
        spikes = int32_zeros(in_order)
        for r in range(height):
            for xo in range(0, out_width, HALF_TILE):
                pattern = zeros_i16x32()
                for kx in range(kernel_width):
                    x = load_like(pattern, copied, r * stride_x * pitch + xo + taps[kx])
                    pattern = add(pattern, shift_left(x, kx * channels))
                store(pattern, rows, slot + xo)
                spikes = spikes + (in_order < out_width - xo) * (to_int32(lane_popcounts(pattern)) * receivers[r])
            slot += out_width
        total += reduce_add(spikes)
    return total


@kernel
def _receiving_rows(row: int, kernel_height: int, stride: int, rows: int) -> int:
    """How many of `rows` output rows receive from source row `row`, counted from the first source row of the first."""
    return min(row // stride, rows - 1) - max(0, -((kernel_height - 1 - row) // stride)) + 1
