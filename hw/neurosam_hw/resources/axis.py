"""One axis of a convolution: which coordinates of the source reach a range of the target's, and in which pattern.

Rows and columns are independent of each other. A source row y reaches target row o through tap k where

    a = o * stride + k * dilation - padding

and y is in window a of the pool in front (y = a without one). What it reaches in a range of target rows is a first row
and a pattern: the pairs (o - first, k). Two source rows with the same pattern can use one kernel in memory; with the
same first row as well (as all rows of one pooling window have) they are one address.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from neurosam.metrics.connections import window_taps
from neurosam.network.elements import Projection
from neurosam.network.synapse import Conv2d, Shape, as_chw

__all__ = ["Axis", "Cut", "axes", "windows"]

Counts = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Cut:
    """What reaches a range of targets, by source coordinate.

    Parameters
    ----------
    source : (n,) int64 array
        Coordinates that reach it, rising.
    first : (n,) int64 array
        First target of each, counted from the start of the range.
    pattern : (n,) int64 array
        Number of its pattern.
    taps : (n,) int64 array
        Pairs in the pattern.
    """

    source: Counts
    first: Counts
    pattern: Counts
    taps: Counts

    @cached_property
    def key(self) -> bytes:
        """Equal for ranges that are reached in the same way."""
        return np.stack([self.first, self.pattern, self.taps]).tobytes()


class Axis:
    """Rows, or columns, of a convolution with the pool in front of it; `taps[source, target, kernel]`."""

    def __init__(self, taps: Mask) -> None:
        self.taps = taps
        self._cuts: dict[tuple[int, int], Cut] = {}

    @cached_property
    def reaches(self) -> Counts:
        """Number of pairs by source and target."""
        found: Counts = self.taps.sum(axis=2, dtype=np.int64)
        return found

    def cut(self, first: int, stop: int) -> Cut:
        """What reaches the targets ``first : stop``."""
        if (first, stop) not in self._cuts:
            self._cuts[first, stop] = self._cut(first, stop)
        return self._cuts[first, stop]

    def _cut(self, first: int, stop: int) -> Cut:
        taps = self.taps[:, first:stop]
        reached: Mask = np.any(taps, axis=2)
        source = np.flatnonzero(reached.any(axis=1))
        begin = reached[source].argmax(axis=1)
        span = stop - first
        shifted = np.minimum(begin[:, None] + np.arange(span), span - 1)
        inside = begin[:, None] + np.arange(span) < span
        patterns = taps[source[:, None], shifted] & inside[:, :, None]
        flat = np.packbits(patterns.reshape(source.size, span * taps.shape[2]), axis=1)
        numbers = np.unique(flat, axis=0, return_inverse=True)[1].reshape(-1) if source.size else source
        return Cut(source, begin, numbers, patterns.sum(axis=(1, 2), dtype=np.int64))


def windows(projection: Projection, shape: Shape) -> tuple[Mask, Mask]:
    """Which rows, and which columns, of the source are in which of the pool's, ``[source, pooled]``."""
    _, height, width = as_chw(shape)
    if projection.pool is None:
        return np.eye(height, dtype=bool), np.eye(width, dtype=bool)
    (kh, kw), (sh, sw), (ph, pw) = projection.pool.geometry
    _, rows, columns = projection.pool.output_shape(shape)
    return (
        window_taps(height, rows, kh, sh, ph, 1).sum(axis=2) > 0,
        window_taps(width, columns, kw, sw, pw, 1).sum(axis=2) > 0,
    )


def axes(projection: Projection, source: Shape, target: Shape) -> tuple[Axis, Axis]:
    """Rows and columns of a convolution."""
    synapse = projection.synapse
    if not isinstance(synapse, Conv2d):
        raise TypeError("only a convolution has rows and columns")
    _, height, width = as_chw(target)
    found = []
    for pooled, side, kernel, stride, padding, dilation in zip(
        windows(projection, source), (height, width), synapse.weight.shape[2:], *synapse.geometry, strict=True
    ):
        taps = window_taps(pooled.shape[1], side, kernel, stride, padding, dilation)
        joined = np.tensordot(pooled.astype(np.float32), taps.astype(np.float32), 1)
        found.append(Axis(joined > 0))
    return found[0], found[1]
