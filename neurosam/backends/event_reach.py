"""Where the spikes of a row or column of pixels go: pooling, stride, padding and dilation as tables, one an axis.

Along one axis, a source pixel x belongs to the pooling windows ``xp`` with
``xp * stride - padding <= x < xp * stride - padding + kernel``, and a window reaches target ``xo`` through tap ``k`` of
a convolution where ``xo * stride + k * dilation - padding = xp``. Kernels need to know no more than what is found here
once, and divide nothing by a stride: x owns the entries ``start[x] : start[x + 1]``, rows of

    target, place, count      targets ``target .. target + count - 1`` meet weights ``place .. place + count - 1``

The weights of an axis lie last tap first, so that rising targets meet rising places.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["Axis", "Reach", "Window", "reach"]

Array = npt.NDArray[Any]


class Window(NamedTuple):
    """A pooling or a convolution along one axis; the default changes nothing."""

    kernel: int = 1
    stride: int = 1
    padding: int = 0
    dilation: int = 1


class Axis(NamedTuple):
    """Number of pixels along one axis: of the source, after pooling, and of the target."""

    source: int
    pooled: int
    target: int


class Reach(NamedTuple):
    """The table of one axis."""

    start: Array
    entries: Array


def reach(axis: Axis, pool: Window, conv: Window, *, runs: bool) -> Reach:
    """Build the table of one axis.

    Parameters
    ----------
    axis : Axis
    pool, conv : Window
        What a spike passes, in this order; ``Window()`` where there is none.
    runs : bool
        Join neighbouring targets that meet neighbouring weights into one entry.
    """
    start = [0]
    entries: list[tuple[int, int, int]] = []
    for x in range(axis.source):
        for window in _sources(x, pool, axis.pooled):
            found = _targets(window, conv, axis.target)
            if runs and conv.stride == conv.dilation == 1 and found:
                found = [(*found[0][:2], len(found))]
            entries += found
        start.append(len(entries))
    return Reach(np.array(start, dtype=np.int64), np.array(entries, dtype=np.int64).reshape(-1, 3))


def _sources(x: int, pool: Window, size: int) -> range:
    """Pooling windows that hold pixel x."""
    first = -((pool.kernel - 1 - pool.padding - x) // pool.stride)  # rounded up
    return range(max(first, 0), min((x + pool.padding) // pool.stride + 1, size))


def _targets(x: int, conv: Window, size: int) -> list[tuple[int, int, int]]:
    """(target, place, 1) of every tap that reaches a target, rising."""
    found = []
    for place in range(conv.kernel):
        at = x + conv.padding - (conv.kernel - 1 - place) * conv.dilation
        if at % conv.stride == 0 and 0 <= at // conv.stride < size:
            found.append((at // conv.stride, place, 1))
    return found
