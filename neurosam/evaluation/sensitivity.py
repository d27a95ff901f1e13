"""Max-sensitivity: by how much an explanation can change when its input hardly does.

    max over x' with |x' - x| <= radius of  |map(x') - map(x)| / |map(x)|

with the largest of so many random x' in place of the maximum, norms over all values of a sample's map, and the first
distance by value (L infinity). Give a spiking network the same seed for every input: draws are shared, so what changes
is due to the input and not to chance (neurosam/signals/draws.py).

Source: Yeh, Hsieh, Suggala, Inouye & Ravikumar 2019 (arXiv 1901.09392), definition 3.1.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from neurosam._util.arguments import integer
from neurosam._util.progress import task
from neurosam.errors import ArgumentError, NeurosamError

__all__ = ["max_sensitivity"]


def max_sensitivity(
    explain: Callable[[npt.NDArray[np.float32]], npt.ArrayLike],
    images: npt.NDArray[Any],
    *,
    radius: float = 0.02,
    samples: int = 10,
    seed: int = 0,
) -> npt.NDArray[np.float64]:
    """Largest relative change of the maps of images under small random changes, ``[B]``; lower is more stable.

    Parameters
    ----------
    explain : callable
        From float32 images (B, C, H, W) in 0..1 to maps (B, ...), for *the same targets* at every call.
    images : uint8, or float in [0, 1], (B, C, H, W) array
    radius : float
        Largest change of an intensity, above 0 and at most 1; changed images stay in 0..1.
    samples : int
        Random changes; each calls `explain` once.
    seed : int

    Returns
    -------
    (B,) float64 array
        0 for a map that does not depend on the input; NaN where the map of the images is 0 everywhere.

    Raises
    ------
    NeurosamError
        If images or radius are out of range, or the maps have another shape or number than the images.

    Examples
    --------
    >>> from neurosam.evaluation import max_sensitivity
    >>> images = np.full((1, 1, 4, 4), 0.5)
    >>> bool(0 < max_sensitivity(lambda x: x[:, 0], images, radius=0.1)[0] <= 0.2)
    True
    """
    array = np.asarray(images)
    x = array.astype(np.float64) / (255 if array.dtype == np.uint8 else 1)
    if x.ndim != 4 or not x.size or not (x.min() >= 0 and x.max() <= 1):
        raise NeurosamError(
            "max_sensitivity: images",
            f"got {array.dtype} {array.shape}; uint8, or floats in [0, 1], (B, C, H, W) is required",
        )
    if not 0 < radius <= 1:
        raise NeurosamError("max_sensitivity: radius", f"got {radius}; allowed is above 0, at most 1, in intensity")
    samples = integer("max_sensitivity: samples", samples, 1, 10**6, ArgumentError)
    rng = np.random.default_rng(seed)
    clean = _flat(explain(x.astype(np.float32)), len(x))
    length = np.linalg.norm(clean, axis=1)
    largest = np.zeros(len(x))
    with task("max_sensitivity") as tick:
        for i in range(samples):
            moved = np.clip(x + rng.uniform(-radius, radius, x.shape), 0, 1).astype(np.float32)
            largest = np.maximum(largest, np.linalg.norm(_flat(explain(moved), len(x)) - clean, axis=1))
            if tick is not None:
                tick(i + 1, samples)
    out: npt.NDArray[np.float64] = np.full(len(x), np.nan)
    np.divide(largest, length, out=out, where=length > 0)
    return out


def _flat(maps: npt.ArrayLike, count: int) -> npt.NDArray[np.float64]:
    array = np.asarray(maps, dtype=np.float64)
    if array.ndim < 2 or len(array) != count or not np.isfinite(array).all():
        raise NeurosamError(
            "max_sensitivity: explain", f"returned maps {array.shape}; finite maps ({count}, ...) are required"
        )
    return array.reshape(count, -1)
