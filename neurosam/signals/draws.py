"""Which pixels of a sample spike: one uniform number for every pixel of every step, whatever the picture shows.

    spike[t, i] = (U[t, i] < p_i)        U[t, i] = floor(w / 2^8) / 2^24,   w = word t N + i of the sample's stream

The stream of a sample is Philox 4x64-10 with the key (seed, sample), read as 32-bit words, low half first. U depends
on seed, sample, step and pixel alone. So of two pictures of one size a pixel that is equal in both spikes in the same
steps in both, and one that is brighter spikes in all of those steps and more (common random numbers): what differs
between the maps of a clean and an attacked picture is due to the attack.

Raw words are used, because NumPy guarantees those of a bit generator, but not the results of ``Generator.random``.

Source: Salmon, Moraes, Dror & Shaw 2011 (Parallel random numbers: as easy as 1, 2, 3; SC '11).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["spikes_of"]

_DOMAIN = 1
"""Last word of the counter. ``neurosam.data.draws`` leaves it 0, so no stream of a data set is one of a sample."""


def spikes_of(
    probability: npt.NDArray[np.float32], steps: int, seed: int, sample: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Step and pixel of every spike of a sample, in order of (step, pixel).

    Parameters
    ----------
    probability : (N,) float32 array
        Of a spike in one step, 0..1; multiples of 2^-24 are exact, others are rounded up to one.
    steps : int
        At least 1.
    seed, sample : int
        0 .. 2^64 - 1.

    Examples
    --------
    >>> from neurosam.signals.draws import spikes_of
    >>> spikes_of(np.array([0, 1], np.float32), steps=3, seed=0, sample=0)
    (array([0, 1, 2]), array([1, 1, 1]))
    """
    pixels, count = probability.size, steps * probability.size
    key, counter = np.array([seed, sample], np.uint64), np.array([0, 0, 0, _DOMAIN], np.uint64)
    raw = np.random.Philox(key=key, counter=counter).random_raw((count + 1) // 2)
    draws = raw.astype("<u8", copy=False).view("<u4")[:count].reshape(steps, pixels)
    draws >>= 8
    below = np.ceil(probability * np.float32(2**24)).astype(
        np.uint32
    )  # an integer is below p 2^24, or below its ceiling
    places = np.flatnonzero(draws < below)
    step = places // max(pixels, 1)
    return step, places - step * pixels
