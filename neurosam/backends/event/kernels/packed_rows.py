"""Sparse rows of int8 weights without their zeros, added up in registers: for random matrices larger than any cache.

A row is cut into tiles of 64 targets. A tile is a word with a bit for each target that has a synapse, and the weights
of these targets, one byte each, tile after tile. In a matrix of density 0.1 a tile takes 8 + 6.4 bytes instead of 64,
and a row is read from end to end, so that memory streams it. One CPU instruction spreads the bytes over the lanes of
their targets (int16.unpack; AVX-512 VBMI2), which are then added as Pairs: bit ``2 j`` of a word is target j of its
tile, bit ``2 j + 1`` target ``32 + j``, and the weights of the former are stored plus 128.

Four rows are added at once, while later ones are being prefetched. On a CPU without that instruction this is much
slower, and rows keep their zeros (dense_rows.gather_rows).

What limits it: about 1 ns per row and tile from any cache, most of it the spreading; from memory, its bandwidth.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from neurosam.backends.event.runtime.jit import inlined, kernel
from neurosam.backends.event.simd.atomics import load_word, prefetch
from neurosam.backends.event.simd.bits import has_compress, popcount, trailing_zeros
from neurosam.backends.event.simd.int16 import (
    MOST_ROWS,
    TILE,
    add,
    high_weights,
    unpack,
    unpair_sums,
    zeros_i16x32,
)
from neurosam.backends.event.simd.load_store import address, load_like, load_same_count, store
from neurosam.backends.event.simd.vectors import CACHE_LINE

__all__ = ["PANEL", "Packed", "gather_packed", "pack", "unpacks_fast"]

Array = npt.NDArray[Any]
Int = npt.NDArray[np.int64]

ROWS = 4
"""Rows that are added at once."""
PREFETCHED = 2
"""How many times ROWS ahead rows are prefetched."""
PANEL = 16
"""Tiles of a panel: reading a row can start at any panel."""


class Packed(NamedTuple):
    """Packed rows.

    Parameters
    ----------
    words : (sources, tiles) uint64 array, flat
    start : (sources * panels + 1,) int64 array
        Index of the first weight of each row and panel.
    weight : (n + 64,) int8 array
    tiles : int
        Words of a row.
    """

    words: Array
    start: Int
    weight: Array
    tiles: int

    @property
    def panels(self) -> int:
        """Panels of a row."""
        return -(-self.tiles // PANEL)

    def fan_out(self) -> Int:
        """Synapses of each source."""
        return np.diff(self.start[:: self.panels])


@cache
def unpacks_fast() -> bool:
    """Whether this CPU spreads bytes with one instruction."""
    return has_compress()


def pack(row: Int, target: Array, weight: Array, targets: int) -> Packed:
    """Pack a matrix compressed by source, whose targets ascend within a row; `weight` is int8."""
    tiles = -(-targets // TILE)
    sources = row.size - 1
    words = np.zeros(sources * tiles, np.uint64)
    start = np.zeros(sources * -(-tiles // PANEL) + 1, np.int64)
    packed = np.zeros(weight.size + TILE, np.int8)
    _pack(row, target, weight, tiles, words, start, packed)
    return Packed(words, start, packed, tiles)


@kernel
def _pack(row: Int, target: Array, weight: Array, tiles: int, words: Array, start: Int, packed: Array) -> None:
    panels = (tiles + PANEL - 1) // PANEL
    tile_weights = np.zeros(TILE, np.int8)
    count = 0
    for j in range(row.size - 1):
        s = row[j]
        for tile in range(tiles):
            if tile % PANEL == 0:
                start[j * panels + tile // PANEL] = count
            occupied = np.uint64(0)
            while s < row[j + 1] and target[s] < TILE * (tile + 1):
                lane = np.int64(target[s]) - TILE * tile
                low = lane < TILE // 2
                bit = 2 * lane if low else 2 * lane - TILE + 1
                tile_weights[bit] = weight[s] ^ (-128 if low else 0)
                occupied |= np.uint64(1) << np.uint64(bit)
                s += 1
            words[j * tiles + tile] = occupied
            while occupied != np.uint64(0):
                packed[count] = tile_weights[trailing_zeros(occupied)]
                occupied &= occupied - np.uint64(1)
                count += 1
    start[start.size - 1] = count


@kernel
def gather_packed(index: Array, count: int, packed: Packed, low: int, high: int, halves: Array, acc: Array) -> int:
    """Add the rows ``index[:count]``, panels ``low:high``, to sums.

    Parameters
    ----------
    index, count
        Sources.
    packed : Packed
    low, high : int
        Range of panels.
    halves : (>= 64 tiles,) int16 array
        Scratch memory for the sums of up to 256 rows, as Pairs.
    acc : (>= 64 tiles,) int32 array
        Begins with the first target of panel `low`.

    Returns
    -------
    int
        Synaptic operations.
    """
    words, start, weight, tiles = packed.words, packed.start, packed.weight, packed.tiles
    panels = (tiles + PANEL - 1) // PANEL
    begin, end = low * PANEL, min(high * PANEL, tiles)
    row, at = np.empty(ROWS, np.int64), np.empty(ROWS, np.int64)
    added = 0
    for batch in range(0, count, MOST_ROWS):
        last = min(count, batch + MOST_ROWS)
        for tile in range(end - begin):
            store(zeros_i16x32(), halves, tile * TILE)
            store(zeros_i16x32(), halves, tile * TILE + TILE // 2)
        for first in range(batch, last, ROWS):
            length = min(ROWS, last - first)
            for e in range(length):
                j = np.int64(index[first + e])
                row[e], at[e] = j * tiles, start[j * panels + low]
                added += start[j * panels + high] - at[e]
            for e in range(first + ROWS * PREFETCHED, min(first + ROWS * (PREFETCHED + 1), count)):
                j = np.int64(index[e])
                for tile in range(begin, end, CACHE_LINE // 8):
                    prefetch(words, j * tiles + tile)
                for place in range(start[j * panels + low], start[j * panels + high], CACHE_LINE):
                    prefetch(weight, place)
            if length == ROWS:
                _add_4(words, weight, row, at, begin, end, halves)
            else:
                for e in range(length):
                    _add_1(words, weight, row[e], at[e], begin, end, halves)
        for tile in range(end - begin):
            x, high_ = (
                load_like(zeros_i16x32(), halves, tile * TILE),
                load_like(zeros_i16x32(), halves, tile * TILE + TILE // 2),
            )
            sums = unpair_sums(x, high_, last - batch)
            store(load_same_count(sums, acc, tile * TILE) + sums, acc, tile * TILE)
    return added


@inlined
def _add_tile(words: Any, weight: Any, row: int, at: int, a: Any, b: Any) -> Any:
    """Add the tile ``words[row]``, whose weights begin at ``weight[at]``, to both 16-bit sums; also where they end."""
    bits = load_word(words, row)
    x = unpack(weight, at, bits)
    return add(a, x), add(b, high_weights(x)), at + popcount(bits)


@kernel
def _add_1(words: Array, weight: Array, row: int, at: int, begin: int, end: int, halves: Array) -> None:
    """Add the tiles ``begin:end`` of the row at ``words[row]``; their weights begin at ``weight[at]``."""
    tile_words, weights = address(words, row), address(weight, 0)
    for tile in range(begin, end):
        place = (tile - begin) * TILE
        a, b = load_like(zeros_i16x32(), halves, place), load_like(zeros_i16x32(), halves, place + TILE // 2)
        a, b, at = _add_tile(tile_words, weights, tile, at, a, b)
        store(a, halves, place)
        store(b, halves, place + TILE // 2)


@kernel
def _add_4(words: Array, weight: Array, row: Array, at: Array, begin: int, end: int, halves: Array) -> None:
    """The same for four rows; their indices are separate variables, so that they stay in registers."""
    tile_words, weights = address(words, 0), address(weight, 0)
    row_0, row_1, row_2, row_3 = row[0], row[1], row[2], row[3]
    at_0, at_1, at_2, at_3 = at[0], at[1], at[2], at[3]
    for tile in range(begin, end):
        place = (tile - begin) * TILE
        a, b = load_like(zeros_i16x32(), halves, place), load_like(zeros_i16x32(), halves, place + TILE // 2)
        a, b, at_0 = _add_tile(tile_words, weights, row_0 + tile, at_0, a, b)
        a, b, at_1 = _add_tile(tile_words, weights, row_1 + tile, at_1, a, b)
        a, b, at_2 = _add_tile(tile_words, weights, row_2 + tile, at_2, a, b)
        a, b, at_3 = _add_tile(tile_words, weights, row_3 + tile, at_3, a, b)
        store(a, halves, place)
        store(b, halves, place + TILE // 2)
