"""Sparseness of a map: the Gini coefficient of its absolute values.

    G = sum over k of (2 k - n - 1) |x|_(k) / (n sum |x|)        |x|_(1) <= .. <= |x|_(n)

0 if all pixels have the same value, 1 - 1/n if one pixel has everything. It says how focused a map is, not whether on
the right place.

Source: Chalasani, Chen, Chowdhury, Jha & Wu 2020 (Concise explanations of neural networks using adversarial training,
arXiv 1810.06583), section 2.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from neurosam.evaluation.agreement import checked_maps

__all__ = ["sparseness"]


def sparseness(maps: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Gini coefficient of each map, ``(..., H, W)`` to ``(...)``; NaN for a map that is 0 everywhere.

    Examples
    --------
    >>> from neurosam.evaluation import sparseness
    >>> sparseness([[[1, 1], [1, 1]], [[0, 0], [0, 5]], [[0, 0], [1, 1]]])
    array([0.  , 0.75, 0.5 ])
    """
    array = checked_maps("sparseness", maps)
    values = np.sort(np.abs(array).reshape(*array.shape[:-2], -1), axis=-1)
    n, total = values.shape[-1], values.sum(axis=-1)
    weighted = values @ (2.0 * np.arange(1, n + 1) - n - 1)
    out: npt.NDArray[np.float64] = np.full(total.shape, np.nan)
    np.divide(weighted, n * total, out=out, where=total > 0)
    return out
