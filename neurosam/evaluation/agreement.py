"""Maps compared with maps: the paper's localisation error (in our reading), its pixel variance, and correlation.

The paper takes the cross-entropy between each step's SAM and an ANN's Grad-CAM and keeps the least over the steps. How
it scaled the two was never published. **Ours, and not the authors':** with both maps scaled to 0..1 by their minimum
and maximum (a map of one value becomes 0), m of the map clamped to [epsilon, 1 - epsilon] and g of the reference,

    error_t = - mean over pixels of (g log m + (1 - g) log (1 - m))          error = min over t of error_t

in nats. It gives figures of the paper's size. Mind what it rewards: a constant map m = mean(g) scores the entropy of
mean(g) (:func:`best_constant_error`), and often beats every explanation. Print the two together.

Source: Kim & Panda 2021 (arXiv 2103.14441), section 5.1 and Fig. 3, 6a, 9.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import numpy.typing as npt

from neurosam.errors import NeurosamError
from neurosam.explain.maps import normalise, upsample

__all__ = [
    "EPSILON",
    "agreement",
    "best_constant_error",
    "localisation_error",
    "map_distance",
    "pearson",
    "pixel_variance",
    "spearman",
]

Array = npt.NDArray[np.float64]

EPSILON = 1e-3
"""Clamp of the localisation error: no pixel costs more than 6.9 nats."""


def localisation_error(maps: npt.ArrayLike, reference: npt.ArrayLike, epsilon: float = EPSILON) -> Array:
    """Cross-entropy between each step's map and a reference, the least over the steps. A restatement; see above.

    Parameters
    ----------
    maps : (T, B, h, w) or (B, h, w) array
        Brought to the reference's size.
    reference : (B, H, W) array
        Grad-CAM of an ANN, or an exact mask.
    epsilon : float
        Clamp, above 0, below 0.5.

    Returns
    -------
    (B,) float64 array
        In nats; lower is closer.

    Raises
    ------
    NeurosamError
        If maps and reference do not fit, or `epsilon` is out of range.
    """
    if not 0 < epsilon < 0.5:
        raise NeurosamError("localisation_error: epsilon", f"got {epsilon!r}; allowed is above 0, below 0.5")
    array, wanted = _maps("localisation_error", maps), np.asarray(reference, dtype=np.float64)
    array = array[None] if array.ndim == 3 else array
    if wanted.ndim != 3 or array.shape[1] != wanted.shape[0]:
        raise NeurosamError(
            "localisation_error",
            f"got maps {array.shape} and reference {wanted.shape}; (T, B, h, w) and (B, H, W) are required",
        )
    g = _unit_range(wanted)
    m = np.clip(_unit_range(upsample(array, (wanted.shape[1], wanted.shape[2]))), epsilon, 1 - epsilon)
    error = -(g * np.log(m) + (1 - g) * np.log(1 - m)).mean(axis=(-2, -1))
    return np.asarray(error.min(axis=0))


def best_constant_error(reference: npt.ArrayLike) -> Array:
    """The least localisation error of a map that says nothing, ``[B]``: entropy of the reference's mean, in nats."""
    mean = _unit_range(_maps("best_constant_error", reference)).mean(axis=(-2, -1))
    shares = np.stack([mean, 1 - mean])
    return np.asarray(-(shares * np.log(np.where(shares > 0, shares, 1.0))).sum(axis=0))


def pixel_variance(maps: npt.ArrayLike, how: str = "official") -> Array:
    """Variance over the pixels of each step's normalised map, the largest over the steps, ``[B]`` (Fig. 3).

    Parameters
    ----------
    maps : (T, B, H, W) or (B, H, W) array
        Integer maps of a fixed-point network: divide by their scale first.
    how : {"official", "max", "sum"}
        See :func:`neurosam.explain.maps.normalise`.
    """
    array = _maps("pixel_variance", maps)
    variance = normalise(array, how).var(axis=(-2, -1))
    return np.asarray(variance.max(axis=0) if array.ndim == 4 else variance)


def map_distance(a: npt.ArrayLike, b: npt.ArrayLike) -> Array:
    """Mean ``|difference|`` of two maps scaled to 0..1, the largest over the steps, ``[B]`` in 0..1 (Fig. 9's L1)."""
    first, second = _pair("map_distance", a, b)
    distance = np.abs(_unit_range(first) - _unit_range(second)).mean(axis=(-2, -1))
    return np.asarray(distance.max(axis=0) if first.ndim == 4 else distance)


def pearson(a: npt.ArrayLike, b: npt.ArrayLike) -> Array:
    """Correlation over the pixels of each map, ``(..., H, W)`` to ``(...)``; NaN where a map has one value only."""
    x, y = _pair("pearson", a, b)
    x = x - x.mean(axis=(-2, -1), keepdims=True)
    y = y - y.mean(axis=(-2, -1), keepdims=True)
    scale = np.sqrt((x**2).sum(axis=(-2, -1)) * (y**2).sum(axis=(-2, -1)))
    found: Array = np.full(scale.shape, np.nan)
    np.divide((x * y).sum(axis=(-2, -1)), scale, out=found, where=scale > 0)
    return found


def spearman(a: npt.ArrayLike, b: npt.ArrayLike) -> Array:
    """Correlation of the pixels' ranks, equal values sharing their mean rank; as :func:`pearson` otherwise."""
    x, y = _pair("spearman", a, b)
    return pearson(_ranks(x), _ranks(y))


def agreement(maps: Sequence[npt.ArrayLike]) -> Array:
    """Mean Pearson correlation over all pairs of maps of the same samples, ``[B]``: how far trained copies agree.

    Parameters
    ----------
    maps : sequence of (B, H, W) arrays
        One a training seed, at least two. A pair with a constant map is left out; NaN where none is left.
    """
    if len(maps) < 2:
        raise NeurosamError("agreement", f"got {len(maps)} map(s); at least two, one a seed, are required")
    pairs = np.stack([pearson(a, b) for a, b in combinations(maps, 2)])
    known = ~np.isnan(pairs)
    found: Array = np.full(pairs.shape[1:], np.nan)
    np.divide(np.where(known, pairs, 0.0).sum(axis=0), known.sum(axis=0), out=found, where=known.any(axis=0))
    return found


def _ranks(maps: Array) -> Array:
    flat = maps.reshape(-1, maps.shape[-2] * maps.shape[-1])
    ranks = np.empty_like(flat)
    for row, values in zip(ranks, flat, strict=True):
        _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
        row[:] = (np.cumsum(counts) - (counts + 1) / 2)[inverse]
    return ranks.reshape(maps.shape)


def _unit_range(maps: Array) -> Array:
    low = maps.min(axis=(-2, -1), keepdims=True)
    span = maps.max(axis=(-2, -1), keepdims=True) - low
    out: Array = np.zeros_like(maps)
    np.divide(maps - low, span, out=out, where=span > 0)
    return out


def _pair(where: str, a: npt.ArrayLike, b: npt.ArrayLike) -> tuple[Array, Array]:
    first, second = _maps(where, a), _maps(where, b)
    if first.shape != second.shape:
        raise NeurosamError(where, f"got maps of shapes {first.shape} and {second.shape}; they must be alike")
    return first, second


def _maps(where: str, maps: npt.ArrayLike) -> Array:
    array = np.asarray(maps, dtype=np.float64)
    if array.ndim not in (3, 4) or not array.size or not np.isfinite(array).all():
        raise NeurosamError(
            where, f"got maps of shape {array.shape}; finite (T, B, H, W) or (B, H, W), no side empty, is required"
        )
    return array
