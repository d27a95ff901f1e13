"""Relevance rank accuracy: how many of the K highest pixels of a map lie inside a mask of K pixels.

Its companion, relevance mass accuracy, is :func:`neurosam.explain.localisation.mass_inside`.

Source: Arras, Osman & Samek 2022 (CLEVR-XAI, Information Fusion 81, arXiv 2003.07258), section 3.2.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from neurosam.explain.localisation import fitted

__all__ = ["relevance_rank"]


def relevance_rank(maps: npt.ArrayLike, masks: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Fraction of a map's K highest pixels that lie inside the mask, K the number of pixels of the mask.

    Pixels that share the K-th value count in parts, as if drawn at random, so that a uniform map scores
    :func:`~neurosam.explain.localisation.area_share`.

    Parameters
    ----------
    maps : (..., B, H, W) array
        Negative values count as 0.
    masks : (B, H', W') array
        Nonzero inside the object.

    Returns
    -------
    (..., B) float64 array
        0..1; NaN for a map without positive values.

    Examples
    --------
    >>> from neurosam.evaluation import relevance_rank
    >>> relevance_rank([[[5.0, 4.0], [1.0, 0.0]]], [[[1, 0], [1, 0]]])
    array([0.5])
    """
    x, inside = fitted(maps, masks)
    flat = np.maximum(x, 0.0).reshape(*x.shape[:-2], -1)
    member = np.broadcast_to(inside.reshape(len(inside), -1), flat.shape)
    count = inside.sum(axis=(1, 2))
    descending = -np.sort(-flat, axis=-1)
    last = np.take_along_axis(descending, np.broadcast_to(count - 1, flat.shape[:-1])[..., None], axis=-1)
    above, tied = flat > last, flat == last
    share = (count - above.sum(axis=-1)) / tied.sum(axis=-1)
    hits = (above & member).sum(axis=-1) + share * (tied & member).sum(axis=-1)
    return np.where(descending[..., 0] > 0, hits / count, np.nan)
