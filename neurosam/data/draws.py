"""Random integers that depend only on a seed, a purpose and the number of a sample.

Sample ``i`` of a data set must be the same whether it is made alone, in a batch, or after a million others. Each sample
therefore has its own section of a counter-based generator (Philox 4x64-10; Salmon et al., "Parallel random numbers: as
easy as 1, 2, 3", SC 2011): the seed and the purpose are the key, the number of the sample is the second word of the
counter. Only raw words of the generator are used, because NumPy guarantees their stability, whereas the results of
``Generator.integers`` and similar methods may change between NumPy versions.

A seed guarantees the same words on every machine and with every NumPy version that this package supports.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from neurosam._util.arguments import integer
from neurosam.errors import DataError


class Purpose(IntEnum):
    """What words are drawn for; different purposes get independent words from one seed. Never renumber these."""

    SPLIT = 0
    TEXTURE = 1
    PLACE = 2
    DISTRACTOR = 3
    PARTNER = 4
    GRID = 5


def check_seed(seed: int) -> int:
    """Return the seed as a plain int; a DataError unless it is an integer in 0 .. 2**64 - 1."""
    return integer("seed", seed, 0, 2**64 - 1, DataError)


def words(seed: int, purpose: Purpose, samples: Sequence[int] | NDArray[np.int64], count: int) -> NDArray[np.uint32]:
    """Draw `count` uniform 32-bit words for each sample.

    Parameters
    ----------
    seed : int
        0 .. 2**64 - 1.
    purpose : Purpose
        What the words are for.
    samples : sequence of int, length N
        Sample numbers, >= 0, in any order, possibly repeated.
    count : int
        Words per sample. A larger count starts with the same words.

    Returns
    -------
    uint32 [N, count]
    """
    key = np.array([check_seed(seed), purpose], dtype=np.uint64)
    counter = np.zeros(4, dtype=np.uint64)
    raw = np.empty((len(samples), (count + 1) // 2), dtype="<u8")
    for row, sample in zip(raw, samples, strict=True):
        counter[1] = sample
        row[:] = np.random.Philox(key=key, counter=counter).random_raw(raw.shape[1])
    return raw.view("<u4")[:, :count].astype(np.uint32, copy=False)


def below(word: NDArray[np.uint32], limit: int | NDArray[np.int64]) -> NDArray[np.int64]:
    """Map uniform words to integers in 0 .. limit - 1, as ``(word * limit) >> 32``.

    There is no rejection; the relative error of each probability is at most ``limit / 2**32``. `limit` is at least 1,
    below 2**31, and broadcasts against `word`.
    """
    return (word.astype(np.int64) * np.asarray(limit, dtype=np.int64)) >> 32
