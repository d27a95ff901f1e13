"""Rows of large matrices, gathered: for a population that receives from itself or from many others."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from neurosam.backends.event.runtime.jit import kernel
from neurosam.backends.event.simd.int16 import TILE, add, high_weights, unpair_sums, zeros_i16x32
from neurosam.backends.event.simd.load_store import item, load_like, load_same_count, store

__all__ = ["gather_rows"]

Array = npt.NDArray[Any]

STREAMS = 16
"""Rows that are read at the same time."""


@kernel
def _add_rows_1(pairs: Array, rows: Array, count: int, acc: Array, at: int) -> None:
    """Add the weights at ``rows[:count]`` (at most 256) to a tile of sums."""
    a, b = zeros_i16x32(), zeros_i16x32()
    for e in range(count):
        x = load_like(a, pairs, item(rows, e))
        a, b = add(a, x), add(b, high_weights(x))
    sums = unpair_sums(a, b, count)
    store(load_same_count(sums, acc, at) + sums, acc, at)


@kernel
def _add_rows_4(pairs: Array, rows: Array, count: int, acc: Array, at: int) -> None:
    """Add the weights at ``rows[:count]`` (at most 256) to 4 tiles of sums."""
    a_0, b_0 = zeros_i16x32(), zeros_i16x32()
    a_1, b_1 = zeros_i16x32(), zeros_i16x32()
    a_2, b_2 = zeros_i16x32(), zeros_i16x32()
    a_3, b_3 = zeros_i16x32(), zeros_i16x32()
    for e in range(count):
        row = item(rows, e)
        x = load_like(a_0, pairs, row)
        a_0, b_0 = add(a_0, x), add(b_0, high_weights(x))
        x = load_like(a_0, pairs, row + TILE)
        a_1, b_1 = add(a_1, x), add(b_1, high_weights(x))
        x = load_like(a_0, pairs, row + 2 * TILE)
        a_2, b_2 = add(a_2, x), add(b_2, high_weights(x))
        x = load_like(a_0, pairs, row + 3 * TILE)
        a_3, b_3 = add(a_3, x), add(b_3, high_weights(x))
    for tile, total, high in ((0, a_0, b_0), (1, a_1, b_1), (2, a_2, b_2), (3, a_3, b_3)):
        sums = unpair_sums(total, high, count)
        store(load_same_count(sums, acc, at + tile * TILE) + sums, acc, at + tile * TILE)


@kernel
def gather_rows(start: Array, pixels: int, index: Array, pairs: Array, acc: Array) -> None:
    """All to all: add the weight rows of a list of spikes to ``acc (steps, targets in whole tiles)``.

    For matrices larger than any cache: a few rows at a time are read from end to end, so that memory streams them.
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
                    _add_rows_4(pairs, rows, count, acc, at)
                else:
                    _add_rows_1(pairs, rows, count, acc, at)
                column += tiles * TILE
