"""The largest sum of each window, where a population pools its sums before its neurons integrate them (network.py).

Cost: one pass over the sums for windows that tile, more where they overlap.
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
)
from neurosam.backends.event.runtime.jit import kernel
from neurosam.backends.event.simd.load_store import load, load_first, store, store_first
from neurosam.backends.event.simd.vectors import LANES, select

__all__ = ["pool_largest"]

Array = npt.NDArray[Any]
Int = npt.NDArray[np.int64]


@kernel
def pool_largest(sums: Array, pool: Int, out: Array) -> None:
    """Write the largest of each window of ``sums (steps, H, W, pitch)`` to ``out (steps, H', W', pitch)``.

    `pool` is kernel, stride and padding (layout.Geometry). The border has no sums; each window has at least one.
    """
    height, width, pitch = sums.shape[1], sums.shape[2], sums.shape[3]
    flat, into = sums.reshape(sums.size), out.reshape(out.size)
    rest = pitch % LANES
    at = 0
    for k in range(out.shape[0]):
        for yo in range(out.shape[1]):
            y_first = yo * pool[STRIDE_Y] - pool[PADDING_Y]
            y_end = min(height, y_first + pool[KERNEL_HEIGHT])
            y_first = max(0, y_first)
            for xo in range(out.shape[2]):
                x_first = xo * pool[STRIDE_X] - pool[PADDING_X]
                x_end = min(width, x_first + pool[KERNEL_WIDTH])
                x_first = max(0, x_first)
                corner = ((k * height + y_first) * width + x_first) * pitch
                rows, columns = y_end - y_first, x_end - x_first
                for c in range(0, pitch - LANES + 1, LANES):
                    largest = load(flat, corner + c)
                    for y in range(rows):
                        for x in range(columns):
                            arrived = load(flat, corner + (y * width + x) * pitch + c)
                            largest = select(arrived > largest, arrived, largest)
                    store(largest, into, at + c)
                if rest:
                    c = pitch - rest
                    largest = load_first(flat, corner + c, rest)
                    for y in range(rows):
                        for x in range(columns):
                            arrived = load_first(flat, corner + (y * width + x) * pitch + c, rest)
                            largest = select(arrived > largest, arrived, largest)
                    store_first(largest, into, at + c, rest)
                at += pitch
