"""Explanation maps as images: aggregate over time, normalise, resize, and draw over the input.

Maps are arrays ``[T, B, H, W]`` or ``[..., H, W]`` from any method. Every function returns a new array.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from neurosam._util.arguments import choice
from neurosam.errors import ArgumentError, NeurosamError

__all__ = ["aggregate", "normalise", "overlay", "upsample"]

OFFICIAL_EPSILON = 1e-3
"""Added to the maximum before the division, as in the released code of SAM's authors."""


def aggregate(maps: npt.ArrayLike, how: str = "sum") -> npt.NDArray[Any]:
    """One map per sample: the "sum", "mean" or "max" over time, or the "last" step; ``[T, B, H, W]`` to ``[B, H, W]``.

    Examples
    --------
    >>> maps = np.arange(12).reshape(3, 1, 2, 2)
    >>> ns.aggregate(maps).tolist(), ns.aggregate(maps, "last").tolist()
    ([[[12, 15], [18, 21]]], [[[8, 9], [10, 11]]])
    """
    array = np.asarray(maps)
    if array.ndim != 4 or not array.shape[0]:
        raise NeurosamError("aggregate", f"got maps of shape {array.shape}; [T, B, H, W] with T >= 1 is required")
    choice("aggregate: how", how, ("sum", "mean", "max", "last"), ArgumentError)
    if how == "last":
        return np.array(array[-1])
    if how == "max":
        return np.asarray(array.max(axis=0))
    return np.asarray(array.sum(axis=0) if how == "sum" else array.mean(axis=0))


def normalise(maps: npt.ArrayLike, how: str = "official") -> npt.NDArray[np.float64]:
    """Scale each map (the last two axes) by itself.

    Parameters
    ----------
    maps : (..., H, W) array
        Finite; a map of zeros stays 0.
    how : {"official", "max", "sum"}
        ``official``: subtract the minimum, then divide by (maximum + 1e-3), as SAM's released code does in each step;
        the 1e-3 is in the unit of the float trace, so divide integer maps by their scale first. ``max``: divide by the
        maximum. ``sum``: divide by the sum, which makes a non-negative map a distribution.

    Returns
    -------
    (..., H, W) float64 array

    Examples
    --------
    >>> ns.normalise([[0, 1], [2, 4]], "max").tolist()
    [[0.0, 0.25], [0.5, 1.0]]
    """
    choice("normalise: how", how, ("official", "max", "sum"), ArgumentError)
    x = _maps("normalise", maps).astype(np.float64)
    if how == "official":
        x -= x.min(axis=(-2, -1), keepdims=True)
        return np.asarray(x / (x.max(axis=(-2, -1), keepdims=True) + OFFICIAL_EPSILON))
    divisor = x.max(axis=(-2, -1), keepdims=True) if how == "max" else x.sum(axis=(-2, -1), keepdims=True)
    out: npt.NDArray[np.float64] = np.divide(x, divisor, out=np.zeros_like(x), where=divisor > 0)
    return out


def upsample(maps: npt.ArrayLike, size: tuple[int, int], how: str = "bilinear") -> npt.NDArray[np.float64]:
    """Maps ``(..., H, W)`` resized to ``(..., *size)``, float64.

    ``bilinear`` places pixel centres at half integers and repeats the border; ``nearest`` takes source pixel
    ``floor(i * H / H')``. They equal torch's "bilinear" with ``align_corners=False`` and its "nearest".

    Examples
    --------
    >>> ns.upsample([[0.0, 1.0]], (1, 4)).tolist()
    [[0.0, 0.25, 0.75, 1.0]]
    >>> ns.upsample([[0.0, 1.0]], (1, 4), "nearest").tolist()
    [[0.0, 0.0, 1.0, 1.0]]
    """
    choice("upsample: how", how, ("bilinear", "nearest"), ArgumentError)
    x = _maps("upsample", maps).astype(np.float64)
    height, width = size
    if height < 1 or width < 1:
        raise NeurosamError("upsample: size", f"got {size}; a height and a width >= 1 are required")
    if how == "nearest":
        rows = np.arange(height) * x.shape[-2] // height
        columns = np.arange(width) * x.shape[-1] // width
        return np.ascontiguousarray(x[..., rows[:, None], columns[None, :]])
    low, high, part = _neighbours(x.shape[-2], height)
    x = x[..., low, :] * (1 - part)[:, None] + x[..., high, :] * part[:, None]
    low, high, part = _neighbours(x.shape[-1], width)
    return np.asarray(x[..., low] * (1 - part) + x[..., high] * part)


def _neighbours(size: int, target: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """For each target pixel of one axis, the two source pixels around its centre and the weight of the second."""
    centre = np.maximum((np.arange(target) + 0.5) * (size / target) - 0.5, 0.0)
    low = np.minimum(centre.astype(np.int64), size - 1)
    return low, np.minimum(low + 1, size - 1), centre - low


def overlay(
    image: npt.ArrayLike, heat: npt.ArrayLike, colormap: str = "jet", alpha: float = 0.5
) -> npt.NDArray[np.uint8]:
    """Draw a map over an image.

    Parameters
    ----------
    image : (H, W), (1, H, W) or (3, H, W) array
        uint8, or floats in [0, 1].
    heat : (h, w) array
        A map in [0, 1] (:func:`normalise`), of any size.
    colormap : str
        Name of a matplotlib colour map.
    alpha : float
        Opacity of the map, 0..1.

    Returns
    -------
    (H, W, 3) uint8 array

    Examples
    --------
    >>> ns.overlay(np.zeros((28, 28)), np.eye(7)).shape
    (28, 28, 3)
    """
    from matplotlib import colormaps

    background = _rgb(image)
    values = _maps("overlay: heat", heat).astype(np.float64)
    if values.ndim != 2 or values.min() < 0 or values.max() > 1:
        raise NeurosamError(
            "overlay: heat",
            f"got shape {values.shape}; one map (h, w) in [0, 1] is required, see aggregate and normalise",
        )
    if colormap not in colormaps:
        raise NeurosamError(
            "overlay: colormap", f"got {colormap!r}, which matplotlib does not know; try 'jet' or 'viridis'"
        )
    if not 0 <= alpha <= 1:
        raise NeurosamError("overlay: alpha", f"got {alpha}; allowed is 0..1")
    colours = np.asarray(colormaps[colormap](upsample(values, (background.shape[0], background.shape[1]))))[..., :3]
    mixed = (1 - alpha) * background + alpha * colours
    return np.rint(np.clip(mixed, 0, 1) * 255).astype(np.uint8)


def _rgb(image: npt.ArrayLike) -> npt.NDArray[np.float64]:
    array = np.asarray(image)
    array = array[None] if array.ndim == 2 else array
    if array.ndim != 3 or array.shape[0] not in (1, 3) or 0 in array.shape:
        raise NeurosamError("overlay: image", f"got shape {array.shape}; (H, W), (1, H, W) or (3, H, W) is required")
    x = array / 255.0 if array.dtype == np.uint8 else array.astype(np.float64)
    if not (x.min() >= 0 and x.max() <= 1):
        raise NeurosamError(
            "overlay: image", f"got values in [{x.min():g}, {x.max():g}]; uint8, or floats in [0, 1] are required"
        )
    return np.moveaxis(np.broadcast_to(x, (3, *x.shape[1:])), 0, -1)


def _maps(where: str, maps: npt.ArrayLike) -> npt.NDArray[Any]:
    array = np.asarray(maps)
    if array.ndim < 2 or array.dtype.kind not in "biuf" or 0 in array.shape[-2:]:
        raise NeurosamError(where, f"got {array.dtype} of shape {array.shape}; numbers (..., H, W) are required")
    if not np.isfinite(array).all():
        raise NeurosamError(where, "got NaN or infinite values; all must be finite")
    return array
