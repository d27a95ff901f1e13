"""The largest sum of each window, where a population pools its sums before its neurons integrate them (network.py).

Cost: one pass over the sums for windows that tile, more where they overlap; channels lie side by side, so each window
pixel is a vector operation.
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

__all__ = ["pool_largest"]

Array = npt.NDArray[Any]
Int = npt.NDArray[np.int64]


@kernel
def pool_largest(sums: Array, pool: Int, out: Array) -> None:
    """Write the largest of each window of ``sums (steps, H, W, pitch)`` to ``out (steps, H', W', pitch)``.

    `pool` is kernel, stride and padding (layout.Geometry). The border has no sums; each window has at least one.
    """
    height, width = sums.shape[1], sums.shape[2]
    for k in range(out.shape[0]):
        for yo in range(out.shape[1]):
            y_first = yo * pool[STRIDE_Y] - pool[PADDING_Y]
            y_end = min(height, y_first + pool[KERNEL_HEIGHT])
            y_first = max(0, y_first)
            for xo in range(out.shape[2]):
                x_first = xo * pool[STRIDE_X] - pool[PADDING_X]
                x_end = min(width, x_first + pool[KERNEL_WIDTH])
                x_first = max(0, x_first)
                largest = out[k, yo, xo]
                largest[:] = sums[k, y_first, x_first]
                for y in range(y_first, y_end):
                    for x in range(x_first, x_end):
                        arrived = sums[k, y, x]
                        for c in range(largest.size):
                            if arrived[c] > largest[c]:
                                largest[c] = arrived[c]
