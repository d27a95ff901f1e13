"""The grid pointing game: which share of the map of a class lies in the cell that shows this class.

    score of cell k = positive mass of the map of class k inside cell k / its whole positive mass

in a grid of pictures of different classes (:func:`neurosam.data.grids`). A uniform map scores 1 / K, and so does, on
average, a map that does not depend on the class, such as plain SAM: its K scores add up to 1.

Source: Böhle, Fritz & Schiele 2021 (arXiv 2104.00032), section 4: localisation.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from neurosam.errors import NeurosamError
from neurosam.explain.localisation import mass_inside

__all__ = ["grid_pointing"]


def grid_pointing(maps: npt.ArrayLike, masks: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Share of each class's map inside the cell of this class, ``[B, K]``.

    Parameters
    ----------
    maps : (B, K, h, w) array
        Map k explains the class of cell k: ``labels[:, k]`` of a :class:`~neurosam.data.GridSet`. Negative values count
        as 0; maps are resized to the masks.
    masks : (B, K, H, W) array
        ``masks`` of the set.

    Returns
    -------
    (B, K) float64 array
        0..1; NaN for a map without positive values.

    Examples
    --------
    >>> from neurosam.evaluation import grid_pointing
    >>> masks = np.array([[[[1, 0]], [[0, 1]]]])
    >>> grid_pointing([[[[3.0, 1.0]], [[3.0, 1.0]]]], masks)
    array([[0.75, 0.25]])
    """
    array, cells = np.asarray(maps), np.asarray(masks)
    if array.ndim != 4 or cells.ndim != 4 or array.shape[:2] != cells.shape[:2]:
        raise NeurosamError(
            "grid_pointing",
            f"got maps {array.shape} and masks {cells.shape}; (B, K, h, w) and (B, K, H, W) are required",
        )
    return np.stack([mass_inside(array[:, k], cells[:, k]) for k in range(cells.shape[1])], axis=1)
