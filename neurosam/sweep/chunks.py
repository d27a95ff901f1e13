"""Samples as chunks: small at first, then as many as take some seconds, every sample in exactly one chunk.

    size = min(TARGET_S n / t, GROWTH n_max, left / (2 workers), most)

n samples took t seconds in the chunks that were measured last, n_max is the largest of these, and `most` what memory
allows. Sizes are multiples of a grain, and chunks begin at multiples of it, so that what is computed grain by grain
does not depend on how the chunks were cut.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence

__all__ = ["FIRST", "TARGET_S", "Chunks", "chunk_size", "disjoint", "missing"]

FIRST = 4
"""Samples of a chunk before anything is measured."""
TARGET_S = 5.0
"""Time that a chunk should take: what is lost with a worker, and how often files are written."""
GROWTH = 4
"""Most by which a chunk is larger than those before."""
REMEMBERED = 16
"""Chunks whose times count."""
MOST = 2**16
"""Most samples of a chunk, whatever they take."""


def chunk_size(measured: Sequence[tuple[int, float]], left: int, workers: int, grain: int = 1, most: int = MOST) -> int:
    """How many samples the next chunk has.

    Parameters
    ----------
    measured : sequence of (int, float)
        Samples and seconds of the last chunks.
    left : int
        Samples that no chunk has yet.
    workers : int
        At least 1.
    grain : int
        The size is a multiple of it, but at least one.
    most : int
        Most samples; the grain, if that is larger.

    Examples
    --------
    >>> from neurosam.sweep.chunks import chunk_size
    >>> chunk_size([], 1000, 2), chunk_size([(4, 0.5)], 1000, 2), chunk_size([(40, 5.0)], 1000, 2)
    (4, 16, 40)
    >>> chunk_size([(40, 5.0)], 60, 2)
    15
    """
    size = float(FIRST)
    if measured:
        samples = sum(count for count, _ in measured)
        seconds = max(sum(time for _, time in measured), 1e-9)
        size = min(TARGET_S * samples / seconds, float(GROWTH * max(count for count, _ in measured)))
    size = min(size, -(-left // (2 * workers)), most)
    return max(1, int(size) // grain) * grain


class Chunks:
    """Hands out the samples that are missing, chunk by chunk.

    Parameters
    ----------
    left : iterable of range
        Samples that are missing: disjoint, each beginning at a multiple of `grain`.
    grain, most : int
        See :func:`chunk_size`.

    Examples
    --------
    >>> from neurosam.sweep.chunks import Chunks
    >>> chunks = Chunks([range(0, 6), range(8, 9)])
    >>> [chunks.take(1), chunks.take(1), chunks.take(1), chunks.take(1)]
    [range(0, 4), range(4, 6), range(8, 9), None]
    """

    def __init__(self, left: Iterable[range], grain: int = 1, most: int = MOST) -> None:
        self._left = deque(part for part in left if len(part))
        self._grain, self._most = grain, max(1, min(most, MOST))
        self._measured: deque[tuple[int, float]] = deque(maxlen=REMEMBERED)

    @property
    def left(self) -> int:
        """Samples that no chunk has yet."""
        return sum(map(len, self._left))

    def take(self, workers: int) -> range | None:
        """The next chunk; None if all samples are in chunks."""
        if not self._left:
            return None
        size = chunk_size(self._measured, self.left, max(1, workers), self._grain, self._most)
        part = self._left.popleft()
        if len(part) > size:
            self._left.appendleft(part[size:])
        return part[:size]

    def put_back(self, chunk: range) -> None:
        """Take back a chunk that was lost; it is cut anew."""
        self._left.appendleft(chunk)

    def measure(self, samples: int, seconds: float) -> None:
        """Note how long a chunk took."""
        self._measured.append((samples, seconds))


def missing(samples: int, there: Iterable[range]) -> list[range]:
    """The samples ``0 .. samples - 1`` that are in none of some disjoint ranges.

    Examples
    --------
    >>> from neurosam.sweep.chunks import missing
    >>> missing(10, [range(4, 6), range(0, 2)])
    [range(2, 4), range(6, 10)]
    """
    found, end = [], 0
    for part in sorted(there, key=lambda part: part.start):
        found.append(range(end, part.start))
        end = part.stop
    return [part for part in (*found, range(end, samples)) if len(part)]


def disjoint(ranges: Iterable[range]) -> list[range]:
    """Ranges of which none overlaps another, in order: the longer of those that begin together, then what follows.

    A worker that outlived its sweep may have finished a chunk that the next sweep had cut differently. Both hold the
    same bits, and a sample is taken from one of them.

    Examples
    --------
    >>> from neurosam.sweep.chunks import disjoint
    >>> disjoint([range(4, 8), range(0, 4), range(0, 6), range(6, 9)])
    [range(0, 6), range(6, 9)]
    """
    kept: list[range] = []
    for part in sorted(ranges, key=lambda part: (part.start, -part.stop)):
        if len(part) and (not kept or part.start >= kept[-1].stop):
            kept.append(part)
    return kept
