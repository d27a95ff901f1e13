"""Comparing maps: the SAM paper's localisation error (as we interpret it) and pixel variance, and correlation.

The paper computes the cross-entropy between the SAM of each step and the Grad-CAM of an ANN, and takes the minimum over
steps. How it scaled the two maps was not published. **Our definition, not the authors':** scale both maps to 0..1 by
their minimum and maximum (a constant map becomes 0). With m the map, clamped to [epsilon, 1 - epsilon], and g the
reference,

    error_t = - mean over pixels of (g log m + (1 - g) log (1 - m))          error = min over t of error_t

in nats. The results are of the magnitude reported in the paper. Note what it rewards: a constant map m = mean(g) scores
the entropy of mean(g) (:func:`best_constant_error`), which is often lower than the error of every explanation. Report
the two together.

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
    "checked_maps",
    "localisation_error",
    "map_distance",
    "paired",
    "pearson",
    "pixel_variance",
    "spearman",
]

Array = npt.NDArray[np.float64]

EPSILON = 1e-3
"""Clamp of the localisation error: no pixel contributes more than 6.9 nats."""


def localisation_error(maps: npt.ArrayLike, reference: npt.ArrayLike, epsilon: float = EPSILON) -> Array:
    """Cross-entropy between the map of each step and a reference, the minimum over steps (our definition, see above).

    Parameters
    ----------
    maps : (T, B, h, w) or (B, h, w) array
        Resized to the reference.
    reference : (B, H, W) array
        Grad-CAM of an ANN, or an exact mask.
    epsilon : float
        Clamp, above 0 and below 0.5.

    Returns
    -------
    (B,) float64 array
        In nats; lower is closer.

    Raises
    ------
    NeurosamError
        If the shapes of maps and reference do not match, or `epsilon` is out of range.

    Examples
    --------
    >>> from neurosam.evaluation import best_constant_error, localisation_error
    >>> reference = np.eye(4)[None]
    >>> localisation_error(reference, reference).round(3), best_constant_error(reference).round(3)
    (array([0.001]), array([0.562]))
    """
    if not 0 < epsilon < 0.5:
        raise NeurosamError("localisation_error: epsilon", f"got {epsilon!r}; allowed is above 0, below 0.5")
    array, target = checked_maps("localisation_error", maps), np.asarray(reference, dtype=np.float64)
    array = array[None] if array.ndim == 3 else array
    if target.ndim != 3 or array.shape[1] != target.shape[0]:
        raise NeurosamError(
            "localisation_error",
            f"got maps {array.shape} and reference {target.shape}; (T, B, h, w) and (B, H, W) are required",
        )
    g = _unit_range(target)
    m = np.clip(_unit_range(upsample(array, (target.shape[1], target.shape[2]))), epsilon, 1 - epsilon)
    error = -(g * np.log(m) + (1 - g) * np.log(1 - m)).mean(axis=(-2, -1))
    return np.asarray(error.min(axis=0))


def best_constant_error(reference: npt.ArrayLike) -> Array:
    """Smallest localisation error of a constant map, ``[B]``: the entropy of the mean of the reference, in nats."""
    mean = _unit_range(checked_maps("best_constant_error", reference)).mean(axis=(-2, -1))
    shares = np.stack([mean, 1 - mean])
    return np.asarray(-(shares * np.log(np.where(shares > 0, shares, 1.0))).sum(axis=0))


def pixel_variance(maps: npt.ArrayLike, how: str = "official") -> Array:
    """Variance over pixels of the normalised map of each step, the maximum over steps, ``[B]`` (Fig. 3).

    Parameters
    ----------
    maps : (T, B, H, W) or (B, H, W) array
        Divide integer maps of a fixed-point network by their scale first.
    how : {"official", "max", "sum"}
        See :func:`neurosam.explain.maps.normalise`.

    Examples
    --------
    >>> from neurosam.evaluation import pixel_variance
    >>> pixel_variance(np.stack([np.ones((4, 4)), np.eye(4)]), "max")
    array([0.    , 0.1875])
    """
    array = checked_maps("pixel_variance", maps)
    variance = normalise(array, how).var(axis=(-2, -1))
    return np.asarray(variance.max(axis=0) if array.ndim == 4 else variance)


def map_distance(a: npt.ArrayLike, b: npt.ArrayLike) -> Array:
    """Mean ``|difference|`` of two maps scaled to 0..1, the maximum over steps, ``[B]`` in 0..1 (the L1 of Fig. 9).

    Examples
    --------
    >>> from neurosam.evaluation import map_distance
    >>> map_distance([[[0, 2], [4, 2]]], [[[0, 1], [1, 0]]])
    array([0.25])
    """
    first, second = paired("map_distance", a, b)
    distance = np.abs(_unit_range(first) - _unit_range(second)).mean(axis=(-2, -1))
    return np.asarray(distance.max(axis=0) if first.ndim == 4 else distance)


def pearson(a: npt.ArrayLike, b: npt.ArrayLike) -> Array:
    """Pearson correlation over the pixels of each map, ``(..., H, W)`` to ``(...)``; NaN if either map is constant.

    Examples
    --------
    >>> from neurosam.evaluation import pearson
    >>> pearson([[[0, 2], [4, 2]]], [[[0, 1], [2, 1]]]).round(6)
    array([1.])
    """
    x, y = paired("pearson", a, b)
    x = x - x.mean(axis=(-2, -1), keepdims=True)
    y = y - y.mean(axis=(-2, -1), keepdims=True)
    scale = np.sqrt((x**2).sum(axis=(-2, -1)) * (y**2).sum(axis=(-2, -1)))
    correlation: Array = np.full(scale.shape, np.nan)
    np.divide((x * y).sum(axis=(-2, -1)), scale, out=correlation, where=scale > 0)
    return correlation


def spearman(a: npt.ArrayLike, b: npt.ArrayLike) -> Array:
    """Spearman rank correlation, with equal values sharing their mean rank; otherwise like :func:`pearson`.

    Examples
    --------
    >>> from neurosam.evaluation import spearman
    >>> spearman([[[0, 1], [2, 3]]], [[[0, 1], [4, 9]]]).round(6)
    array([1.])
    """
    x, y = paired("spearman", a, b)
    return pearson(_ranks(x), _ranks(y))


def agreement(maps: Sequence[npt.ArrayLike]) -> Array:
    """Mean Pearson correlation over all pairs of maps of the same samples, ``[B]``: agreement between trainings.

    Parameters
    ----------
    maps : sequence of (B, H, W) arrays
        At least two, usually one per training seed. Pairs with a constant map are ignored; NaN if no pair is left.

    Examples
    --------
    >>> from neurosam.evaluation import agreement
    >>> rows, columns = np.mgrid[:4, :4]
    >>> agreement([rows[None], rows[None], columns[None]]).round(3)
    array([0.333])
    """
    if len(maps) < 2:
        raise NeurosamError("agreement", f"got {len(maps)} map(s); at least two, one per seed, are required")
    pairs = np.stack([pearson(a, b) for a, b in combinations(maps, 2)])
    defined = ~np.isnan(pairs)
    mean: Array = np.full(pairs.shape[1:], np.nan)
    np.divide(np.where(defined, pairs, 0.0).sum(axis=0), defined.sum(axis=0), out=mean, where=defined.any(axis=0))
    return mean


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


def paired(where: str, a: npt.ArrayLike, b: npt.ArrayLike) -> tuple[Array, Array]:
    """Two arrays of maps; a NeurosamError, which starts with `where`, unless their shapes are equal."""
    first, second = checked_maps(where, a), checked_maps(where, b)
    if first.shape != second.shape:
        raise NeurosamError(where, f"got maps of shapes {first.shape} and {second.shape}; they must be equal")
    return first, second


def checked_maps(where: str, maps: npt.ArrayLike) -> Array:
    """Maps as float64; a NeurosamError, which starts with `where`, for another shape, or values that are not finite."""
    array = np.asarray(maps, dtype=np.float64)
    if array.ndim not in (3, 4) or not array.size or not np.isfinite(array).all():
        raise NeurosamError(
            where, f"got maps of shape {array.shape}; non-empty, finite (T, B, H, W) or (B, H, W) is required"
        )
    return array
