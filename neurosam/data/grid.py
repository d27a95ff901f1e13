"""Grids of pictures of different classes: whether an explanation of a class points at the cell that shows it.

Scene i shows picture ``i % N`` in a random cell, and random pictures of other classes, all different, in the others. It
depends only on the pictures, the seed and ``i``. The score is :func:`neurosam.evaluation.grid_pointing`. Show pictures
that the network classifies correctly (``items.subset(correct)``), as the authors do; others test the network.

Source: Böhle, Fritz & Schiele 2021 (Convolutional dynamic alignment networks for interpretable classifications,
arXiv 2104.00032), section 4: localisation.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from neurosam._util.arguments import integer
from neurosam.data.clutter import scene_numbers
from neurosam.data.draws import Purpose, below, words
from neurosam.data.imageset import GridSet, ImageSet
from neurosam.errors import DataError

__all__ = ["grids"]


def grids(items: ImageSet, side: int = 2, *, seed: int = 0, indices: Iterable[int] | None = None) -> GridSet:
    """Put pictures of different classes side by side.

    Parameters
    ----------
    items : ImageSet
        N pictures; their masks are not used, a cell is the whole picture.
    side : int
        Pictures in a row and in a column, 2 .. 8.
    seed : int
        0 .. 2**64 - 1.
    indices : iterable of int, optional
        Numbers of the scenes to make, as for :func:`cluttered`. Default ``range(N)``.

    Returns
    -------
    GridSet
        uint8 [M, C, side H, side W], labels [M, side^2], masks [M, side^2, side H, side W].

    Raises
    ------
    DataError
        If `items` shows fewer classes than a grid has cells.

    Examples
    --------
    >>> from neurosam.data import ImageSet, grids
    >>> levels = np.arange(4, dtype=np.uint8) * 10
    >>> items = ImageSet(np.tile(levels[:, None, None, None], (1, 1, 3, 3)), np.arange(4), None, tuple("abcd"), "flat")
    >>> scenes = grids(items, seed=1)
    >>> scenes.images.shape, scenes.masks.shape, np.sort(scenes.labels, axis=1).tolist()[0]
    ((4, 1, 6, 6), (4, 4, 6, 6), [0, 1, 2, 3])
    """
    scenes = scene_numbers(items, seed, indices)
    cells = integer("side", side, 2, 8, DataError) ** 2
    chosen = _chosen(items, cells, seed, scenes)
    channels, height, width = items.shape
    images = items.images[chosen].reshape(len(scenes), side, side, channels, height, width)
    images = images.transpose(0, 3, 1, 4, 2, 5).reshape(len(scenes), channels, side * height, side * width)
    cell = np.arange(cells).reshape(side, side).repeat(height, axis=0).repeat(width, axis=1)
    masks = np.tile(cell == np.arange(cells)[:, None, None], (len(scenes), 1, 1, 1))
    return GridSet(images, items.labels[chosen], masks, items.classes, f"grids of {items.name}")


def _chosen(items: ImageSet, cells: int, seed: int, scenes: NDArray[np.int64]) -> NDArray[np.int64]:
    """The pictures of each scene [M, cells], row by row."""
    by_class = np.argsort(items.labels, kind="stable")
    present, first, sizes = np.unique(items.labels[by_class], return_index=True, return_counts=True)
    if len(present) < cells:
        raise DataError(items.name, f"shows {len(present)} classes; a grid of {cells} cells takes as many, or give a "
                        "smaller side")  # fmt: skip
    drawn = words(seed, Purpose.GRID, scenes, len(present) + 2 * cells)
    order, member, place = drawn[:, : len(present)], drawn[:, len(present) : -cells], drawn[:, -cells:]
    own = np.searchsorted(present, items.labels[scenes % len(items)])
    rank = order.astype(np.int64)
    rank[np.arange(len(scenes)), own] = -1  # the class of the scene's own picture comes first
    classes = np.argsort(rank, axis=1, kind="stable")[:, :cells]
    pictures = by_class[first[classes] + below(member, sizes[classes])]
    pictures[:, 0] = scenes % len(items)
    return np.take_along_axis(pictures, np.argsort(place, axis=1, kind="stable"), axis=1)
