"""What is left of a map, beyond what a plain spike count has as well.

A map of few bits that correlates .95 with the exact one has kept nothing if the spike count correlates .95 too. So

    skill = (r - r_count) / (1 - r_count)

with r the correlation of a map with the exact one, and r_count that of the spike count: 1 for the exact map, 0 for one
that is no better than counting spikes, negative for a worse one (a skill score as in forecasting, with the count as
reference). Two more measures look at the part that a reader looks at: the pixels that are not 0, and the highest ones.

Source: Murphy 1988 (Skill scores based on the mean square error, Monthly Weather Review 116), for the form.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from neurosam.errors import NeurosamError
from neurosam.evaluation.agreement import paired, spearman

__all__ = ["skill", "support_spearman", "top_iou"]

Array = npt.NDArray[np.float64]


def skill(r: npt.ArrayLike, r_count: npt.ArrayLike) -> Array:
    """``(r - r_count) / (1 - r_count)``, elementwise; NaN where r_count is 1, since nothing can be better than that.

    Examples
    --------
    >>> from neurosam.evaluation import skill
    >>> skill([0.9, 0.8, 0.7], 0.8).round(3)
    array([ 0.5,  0. , -0.5])
    """
    value, reference = np.broadcast_arrays(np.asarray(r, dtype=np.float64), np.asarray(r_count, dtype=np.float64))
    out: Array = np.full(value.shape, np.nan)
    np.divide(value - reference, 1 - reference, out=out, where=reference < 1)
    return out


def top_iou(a: npt.ArrayLike, b: npt.ArrayLike, share: float = 0.2) -> Array:
    """Intersection over union of the highest pixels of two maps, ``(..., H, W)`` to ``(...)``.

    The highest pixels are those above 0 and not below the k-th largest value, k = share of the pixels, rounded and at
    least 1. So all that share the k-th value belong to them, and the zeros of a sparse map never do.

    Parameters
    ----------
    a, b : (..., H, W) arrays of one shape
    share : float
        Above 0, at most 1.

    Returns
    -------
    array
        0..1; NaN if neither map is above 0 anywhere.

    Examples
    --------
    >>> from neurosam.evaluation import top_iou
    >>> top_iou([[[9, 8], [1, 0]]], [[[9, 1], [8, 0]]], share=0.5).round(3)
    array([0.333])
    """
    if not 0 < share <= 1:
        raise NeurosamError("top_iou: share", f"got {share}; allowed is above 0, at most 1")
    first, second = (_highest(maps, share) for maps in paired("top_iou", a, b))
    union = (first | second).sum(axis=-1)
    out: Array = np.full(union.shape, np.nan)
    np.divide((first & second).sum(axis=-1), union, out=out, where=union > 0)
    return out


def support_spearman(a: npt.ArrayLike, b: npt.ArrayLike) -> Array:
    """Rank correlation over the pixels where either map is not 0, ``(..., H, W)`` to ``(...)``.

    Over all pixels, two sparse maps correlate by their common zeros alone. NaN if a map is constant there.

    Examples
    --------
    >>> from neurosam.evaluation import spearman, support_spearman
    >>> a, b = [[[0, 0, 0, 0, 1, 2]]], [[[0, 0, 0, 0, 2, 1]]]
    >>> spearman(a, b).round(2), support_spearman(a, b).round(2)
    (array([0.92]), array([-1.]))
    """
    first, second = paired("support_spearman", a, b)
    out: Array = np.full(first.shape[:-2], np.nan)
    for index in np.ndindex(out.shape):
        support = (first[index] != 0) | (second[index] != 0)
        if support.any():
            out[index] = spearman(first[index][support][None, None], second[index][support][None, None])[0]
    return out


def _highest(maps: Array, share: float) -> npt.NDArray[np.bool_]:
    flat = maps.reshape(*maps.shape[:-2], -1)
    k = max(round(share * flat.shape[-1]), 1)
    limit = -np.partition(-flat, k - 1, axis=-1)[..., k - 1 : k]
    return np.asarray((flat >= limit) & (flat > 0))
