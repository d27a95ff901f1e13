"""Random integers that depend on a seed, a purpose and a sample's number, and on nothing else.

Sample ``i`` of a data set must be the same whether it is made alone, in a batch, or after a million others, so each
sample owns a stretch of one counter-based generator (Philox 4x64-10; Salmon et al., "Parallel random numbers: as easy
as 1, 2, 3", SC 2011): the seed and the purpose are its key, the sample's number the second word of its counter. Only
the generator's raw words are used. NumPy promises those for good, whereas ``Generator.integers`` and its kin may
change with a NumPy version.

What a seed guarantees: the same words on every machine and with every NumPy that this package allows.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from neurosam.errors import DataError


class Purpose(IntEnum):
    """What words are drawn for: two purposes share nothing under one seed. The numbers are part of a seed's meaning."""

    SPLIT = 0
    TEXTURE = 1
    PLACE = 2
    DISTRACTOR = 3
    PARTNER = 4


def check_seed(seed: int) -> int:
    """Return the seed as a plain int.

    Raises
    ------
    DataError
        If it is not an integer in 0 .. 2**64 - 1.
    """
    try:
        number = operator.index(seed)
    except TypeError:
        raise DataError("seed", f"got {seed!r}; a seed is an integer") from None
    if not 0 <= number < 2**64:
        raise DataError("seed", f"got {number}; allowed are 0 .. 2**64 - 1")
    return number


def words(seed: int, purpose: Purpose, samples: Sequence[int] | NDArray[np.int64], count: int) -> NDArray[np.uint32]:
    """Draw ``count`` uniform 32-bit words for each sample.

    Parameters
    ----------
    seed : int
        0 .. 2**64 - 1.
    purpose : Purpose
        What the words are for.
    samples : sequence of int, length N
        Sample numbers, >= 0. They need neither be sorted nor distinct.
    count : int
        Words a sample. More words of a sample begin with the same ones.

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

    Without rejection: no value is more than ``limit / 2**32`` (relative) off its share. ``limit`` >= 1 broadcasts
    against ``word`` and stays below 2**31.
    """
    return (word.astype(np.int64) * np.asarray(limit, dtype=np.int64)) >> 32
