"""Whether a map points at the object: mass inside an exact mask, the pointing game, and baselines for both.

Every measure takes maps ``[..., B, H, W]`` and masks ``[B, H', W']`` and resizes the maps to the masks
(``maps.upsample``), so that the map of a deep layer and a trivial baseline are scored by the same call. Kim & Panda's
localisation error can rank a constant map above every explanation, so report the baselines next to every score.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from neurosam.errors import NeurosamError
from neurosam.explain.maps import upsample
from neurosam.network.synapse import as_chw
from neurosam.signals.recording import Spikes

__all__ = [
    "area_share",
    "baselines",
    "centre_prior",
    "fitted",
    "intensity",
    "localisation",
    "mass_inside",
    "pointing_game",
    "spike_count",
    "uniform",
]

Array = npt.NDArray[np.float64]
TIE = 1e-12


def mass_inside(maps: npt.ArrayLike, masks: npt.ArrayLike) -> Array:
    """Fraction of a map's mass inside the mask (the energy-based pointing game of Wang et al., Score-CAM, CVPRW 2020).

    Parameters
    ----------
    maps : (..., B, H, W) array
        Negative values count as 0.
    masks : (B, H', W') array
        Nonzero inside the object.

    Returns
    -------
    (..., B) float64 array
        0..1; NaN for a map without mass, which points nowhere. A uniform map scores :func:`area_share`.

    Examples
    --------
    >>> from neurosam.explain.localisation import mass_inside
    >>> mass_inside([[[1.0, 0.0], [3.0, 0.0]]], [[[0, 0], [1, 1]]])
    array([0.75])
    """
    x, inside = fitted(maps, masks)
    x = np.maximum(x, 0.0)
    total = x.sum(axis=(-2, -1))
    share: Array = np.full(total.shape, np.nan)
    np.divide((x * inside).sum(axis=(-2, -1)), total, out=share, where=total > 0)
    return share


def pointing_game(maps: npt.ArrayLike, masks: npt.ArrayLike) -> Array:
    """Whether the maximum of a map lies inside the mask (Zhang et al., IJCV 2018, without their tolerance in pixels).

    If several pixels share the maximum, the score is the fraction of them inside, so that the order of pixels does not
    matter and a uniform map scores :func:`area_share`.

    Parameters
    ----------
    maps : (..., B, H, W) array
    masks : (B, H', W') array
        Nonzero inside the object.

    Returns
    -------
    (..., B) float64 array
        0..1; 1 or 0 where the maximum is unique. NaN for a map without positive values.

    Examples
    --------
    >>> from neurosam.explain.localisation import pointing_game
    >>> pointing_game([[[1.0, 0.0], [3.0, 0.0]], [[1.0, 0.0], [1.0, 0.0]]], [[[0, 0], [1, 1]]] * 2)
    array([1. , 0.5])
    """
    x, inside = fitted(maps, masks)
    peak = x.max(axis=(-2, -1), keepdims=True)
    tied = x >= peak * (1 - TIE)  # equal up to rounding in the interpolation
    hits = (tied & inside).sum(axis=(-2, -1)) / tied.sum(axis=(-2, -1))
    return np.where(peak[..., 0, 0] > 0, hits, np.nan)


def area_share(masks: npt.ArrayLike) -> Array:
    """Fraction of the image that each mask covers, ``[B]``: the score of a uniform map in both measures."""
    share: Array = _masks(masks).mean(axis=(-2, -1), dtype=np.float64)
    return share


def uniform(samples: int, size: tuple[int, int]) -> Array:
    """A map without information: 1 everywhere, ``[B, H, W]``."""
    return np.ones((samples, *size))


def centre_prior(samples: int, size: tuple[int, int], width: float = 0.25) -> Array:
    """A map that points at the centre: a Gaussian of standard deviation `width` times each side, ``[B, H, W]``."""
    rows, columns = (np.exp(-0.5 * ((2 * np.arange(n) + 1 - n) / (2 * n * width)) ** 2) for n in size)
    return np.tile(rows[:, None] * columns[None, :], (samples, 1, 1))


def intensity(images: npt.ArrayLike) -> Array:
    """The input image as a map: ``|value|`` averaged over channels, ``[B, C, H, W]`` to ``[B, H, W]``."""
    array = np.asarray(images)
    if array.ndim != 4:
        raise NeurosamError("intensity", f"got images of shape {array.shape}; (B, C, H, W) is required")
    mean: Array = np.abs(array.astype(np.float64)).mean(axis=1)
    return mean


def spike_count(spikes: Spikes) -> Array:
    """Spike counts as a map: the sum over time and channels at each pixel, ``[B, H, W]``."""
    steps, samples = spikes.planes.shape[:2]
    channels, height, width = as_chw(spikes.shape)
    total = np.zeros((samples, height, width))
    for t in range(steps):
        if spikes.magnitude is None:
            total += np.bitwise_count(spikes.planes[t]).sum(axis=-1)
        else:
            total += spikes.magnitude[t].reshape(samples, channels, height, width).sum(axis=1)
    return total


def baselines(images: npt.ArrayLike, spikes: Spikes | None = None) -> dict[str, Array]:
    """Trivial maps of a set of images: "uniform", "centre", "input" and, if spikes are given, "spikes".

    Parameters
    ----------
    images : (B, C, H, W) array
        The images shown to the network.
    spikes : Spikes, optional
        Of the layer whose maps are scored.
    """
    input_map = intensity(images)
    samples, height, width = input_map.shape
    size = (height, width)
    trivial = {"uniform": uniform(samples, size), "centre": centre_prior(samples, size), "input": input_map}
    return trivial if spikes is None else {**trivial, "spikes": spike_count(spikes)}


def localisation(maps: Mapping[str, npt.ArrayLike], masks: npt.ArrayLike) -> dict[str, dict[str, float]]:
    """Both measures of several maps ``[B, H, W]``, averaged over the samples whose map is not empty.

    Returns
    -------
    dict of dict
        By name: "mass_inside", "pointing_game", and "silent", the fraction of samples whose map is empty. These do not
        count in the other two, which are NaN if all maps are empty.
    """
    scores: dict[str, dict[str, float]] = {}
    for name, array in maps.items():
        mass, hits = mass_inside(array, masks), pointing_game(array, masks)
        active = ~np.isnan(mass)
        scores[name] = {
            "mass_inside": float(mass[active].mean()) if active.any() else float("nan"),
            "pointing_game": float(hits[active].mean()) if active.any() else float("nan"),
            "silent": 1.0 - float(active.mean()),
        }
    return scores


def fitted(maps: npt.ArrayLike, masks: npt.ArrayLike) -> tuple[Array, npt.NDArray[np.bool_]]:
    """Maps resized to the masks, and the masks as booleans."""
    inside = _masks(masks)
    array = np.asarray(maps)
    if array.ndim < 3 or array.shape[-3] != inside.shape[0]:
        raise NeurosamError(
            "localisation: maps", f"got {array.shape} for {inside.shape[0]} masks; (..., B, H, W) is required"
        )
    size = (inside.shape[1], inside.shape[2])
    if array.shape[-2] > size[0] or array.shape[-1] > size[1]:
        got = f"are {size[0]} x {size[1]}, and maps {array.shape[-2]} x {array.shape[-1]}"
        raise NeurosamError("localisation: masks", f"{got}; a mask has the size of the input, and no map is larger")
    return (array.astype(np.float64) if array.shape[-2:] == size else upsample(array, size)), inside


def _masks(masks: npt.ArrayLike) -> npt.NDArray[np.bool_]:
    array = np.asarray(masks)
    if array.ndim != 3 or not array.size:
        raise NeurosamError(
            "localisation: masks", f"got shape {array.shape}; (B, H, W) with at least one mask is required"
        )
    inside: npt.NDArray[np.bool_] = array != 0
    empty = np.flatnonzero(~inside.any(axis=(1, 2)))
    if empty.size:
        raise NeurosamError("localisation: masks", f"mask {empty[0]} is empty; every sample must contain an object")
    return inside
