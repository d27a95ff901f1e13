"""ROAD: deletion without blanks, which a model can see: removed pixels are filled in from those around, with noise.

A removed pixel is the weighted mean of its neighbours, removed or not, plus noise; with w = 1/6 for the four beside it
and 1/12 for the four at its corners (those outside of the picture do not count),

    sum over neighbours j of w_ij (x_i - x_j) = 0        for every removed i,

a symmetric system, solved for all pictures at once by conjugate gradients. The picture is blurred where pixels are
gone, and the shape of what was removed does not show. The score of a map is the model's answer where the highest ranks
are removed first ("most"), or the lowest ("least"); (least - most) / 2 is free of how well the model bears removal.

Source: Rong, Leemann, Borisov, Kasneci & Kasneci 2022 (A consistent and efficient evaluation strategy for attribution
methods, arXiv 2202.00449), section 4.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from neurosam._util.arguments import choice
from neurosam._util.progress import task
from neurosam.errors import ArgumentError, NeurosamError
from neurosam.evaluation.perturbation import MEASURES, Curve, measured, pixel_ranks, targets
from neurosam.evaluation.predictor import Predictor

__all__ = ["SHARES", "impute", "road"]

Array = npt.NDArray[np.float64]

SHARES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 0.9)
"""Fractions of the pixels that are removed; those of the paper up to 0.9."""
TOLERANCE = 1e-8
"""Of the solution: the residual, as a fraction of that of removed pixels at 0."""
MOST_ITERATIONS = 10_000


def road(
    predict: Predictor,
    images: npt.NDArray[Any],
    maps: npt.ArrayLike,
    target: npt.ArrayLike | None = None,
    *,
    shares: Sequence[float] = SHARES,
    order: str = "most",
    measure: str = "correct",
    noise: float = 0.01,
    seed: int = 0,
) -> Curve:
    """Remove the pixels that a map ranks highest (or lowest), and fill them in.

    Parameters
    ----------
    predict : Predictor
        Of images. For a spiking network, a function that encodes them:
        ``lambda images: of_network(net)(ns.encode(images, 16, seed=0).dense())``.
    images : (B, C, H, W) float or uint8 array
        Bytes become intensities 0..1; `predict` gets float32 in 0..1.
    maps : (B, h, w) or (T, B, h, w) array
    target : (B,) int array or int, optional
        Classes to measure; those predicted on the whole images if None.
    shares : sequence of float
        Rising, above 0 and below 1.
    order : {"most", "least"}
        Which pixels go first.
    measure : {"correct", "probability", "logit"}
        As in :func:`deletion`.
    noise : float
        Standard deviation of the noise on filled pixels, in intensity.
    seed : int
        Of the noise, and of ties.

    Returns
    -------
    Curve
        Begins with the whole images, at share 0.

    Raises
    ------
    NeurosamError
        If shapes, shares or values do not fit.

    Examples
    --------
    >>> from neurosam.evaluation import road
    >>> def predict(x):  # two classes: whether the left or the right half is brighter
    ...     return np.stack([x[..., :4].sum(axis=(1, 2, 3)), x[..., 4:].sum(axis=(1, 2, 3))], axis=1)
    >>> images = np.zeros((1, 1, 8, 8)) + 0.1 * (np.arange(8) >= 4)
    >>> images[..., 1:3] = 1.0
    >>> road(predict, images, images[:, 0], shares=(0.25, 0.5), noise=0.0).values.ravel().tolist()
    [1.0, 0.0, 0.0]
    """
    choice("road: order", order, ("most", "least"), ArgumentError)
    choice("road: measure", measure, MEASURES, ArgumentError)
    array = np.asarray(images)
    x = array.astype(np.float64) / (255 if array.dtype == np.uint8 else 1)
    if x.ndim != 4 or not x.size or not (x.min() >= 0 and x.max() <= 1):
        raise NeurosamError(
            "road: images", f"got {array.dtype} {array.shape}; uint8, or floats in [0, 1], (B, C, H, W) is required"
        )
    fractions = np.asarray(shares, dtype=np.float64)
    if fractions.ndim != 1 or not len(fractions) or fractions[0] <= 0 or (np.diff(np.append(fractions, 1)) <= 0).any():
        raise NeurosamError("road: shares", f"got {shares}; they rise, above 0 and below 1")
    scores = np.asarray(maps, dtype=np.float64)
    ranks = pixel_ranks("road", x, scores if order == "most" else -scores, seed)[0][:, 0]
    classes = targets("road", target, predict(x.astype(np.float32)))
    rng = np.random.default_rng(seed)
    values = [measured(predict(x.astype(np.float32)), classes, measure)]
    with task("road") as tick:
        for share in fractions:
            removed = ranks < round(float(share) * ranks[0].size)
            filled = impute(x, removed) + noise * rng.standard_normal(x.shape)
            shown = np.where(removed[:, None], np.clip(filled, 0, 1), x)
            values.append(measured(predict(shown.astype(np.float32)), classes, measure))
            if tick is not None:
                tick(len(values) - 1, len(fractions))
    return Curve(np.concatenate([[0.0], fractions]), np.stack(values))


def impute(images: npt.NDArray[Any], removed: npt.NDArray[np.bool_]) -> Array:
    """Fill removed pixels in: each the weighted mean of its neighbours, without noise.

    Parameters
    ----------
    images : (B, C, H, W) array
    removed : (B, H, W) bool array
        Not every pixel of a picture.

    Examples
    --------
    >>> from neurosam.evaluation import impute
    >>> impute(np.array([[[[1.0, 7.0, 3.0]]]]), np.array([[[False, True, False]]]))
    array([[[[1., 2., 3.]]]])
    """
    x = np.asarray(images, dtype=np.float64)
    if removed.shape != (x.shape[0], *x.shape[2:]) or removed.all(axis=(1, 2)).any():
        raise NeurosamError("impute", f"got {x.shape} and {removed.shape}, of which a picture keeps no pixel; "
                            "(B, C, H, W) and (B, H, W) with one pixel left are required")  # fmt: skip
    gone = np.broadcast_to(removed[:, None], x.shape)
    filled = np.where(gone, 0.0, x)
    weight = _neighbours(np.ones_like(x[:1, :1]))
    residual = np.where(gone, _neighbours(filled) - weight * filled, 0.0)
    direction, size = residual.copy(), _dot(residual, residual)
    limit = size * TOLERANCE**2
    for _ in range(MOST_ITERATIONS):
        if (size <= limit).all():
            break
        image = np.where(gone, weight * direction - _neighbours(direction), 0.0)
        curvature = _dot(direction, image)
        step = np.divide(size, curvature, out=np.zeros_like(size), where=curvature > 0)
        filled += step * direction
        residual -= step * image
        smaller = _dot(residual, residual)
        direction = residual + np.divide(smaller, size, out=np.zeros_like(size), where=size > 0) * direction
        size = smaller
    return filled


def _neighbours(x: Array) -> Array:
    """Weighted sum of the up to eight neighbours of each pixel."""
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    beside = padded[..., 1:-1, :-2] + padded[..., 1:-1, 2:] + padded[..., :-2, 1:-1] + padded[..., 2:, 1:-1]
    corners = padded[..., :-2, :-2] + padded[..., :-2, 2:] + padded[..., 2:, :-2] + padded[..., 2:, 2:]
    return np.asarray(beside / 6 + corners / 12)


def _dot(a: Array, b: Array) -> Array:
    return np.asarray((a * b).sum(axis=(2, 3), keepdims=True))
