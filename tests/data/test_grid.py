"""Grids: cells hold whole pictures of different classes, every class and cell is reached, scenes depend on a number."""

from __future__ import annotations

import numpy as np
import pytest

from neurosam.data import ImageSet, grids
from neurosam.errors import DataError

IMAGES = np.random.default_rng(3).integers(0, 256, (23, 2, 4, 5), dtype=np.uint8)
LABELS = np.array([6, 1, 1, 3, 4, 4, 4, 5, 6, 7, 7, 1, 3, 3, 3, 3, 4, 6, 6, 6, 5, 5, 5])  # 0, 2 and 8 have no picture
ITEMS = ImageSet(IMAGES, LABELS, None, tuple("abcdefghi"), "noise")


@pytest.mark.parametrize("side", [2])
def test_cells_are_whole_pictures_of_different_classes(side: int) -> None:
    scenes = grids(ITEMS, side, seed=4, indices=range(60))
    assert scenes.images.shape == (60, 2, 4 * side, 5 * side)
    assert scenes.masks.sum(axis=1).tolist() == np.ones((60, 4 * side, 5 * side), dtype=int).tolist()
    for i, (image, labels, masks) in enumerate(zip(scenes.images, scenes.labels, scenes.masks, strict=True)):
        assert len(set(labels.tolist())) == side**2
        shown = []
        for cell, mask in enumerate(masks):
            row, column = divmod(cell, side)
            assert mask[4 * row : 4 * row + 4, 5 * column : 5 * column + 5].all()
            picture = image[:, mask].reshape(2, 4, 5)
            number = int(np.flatnonzero((picture == IMAGES).all(axis=(1, 2, 3)))[0])
            assert LABELS[number] == labels[cell]
            shown.append(number)
        assert i % 23 in shown


def test_every_class_and_every_cell_is_reached_alike() -> None:
    scenes = grids(ITEMS, seed=0, indices=[0, *list(range(0, 23 * 400, 23))])  # picture 0 in 400 scenes
    labels = scenes.labels[1:]
    np.testing.assert_array_equal(scenes.labels[0], labels[0])
    where = np.bincount(np.argwhere(labels == 6)[:, 1], minlength=4)
    assert np.abs(where - 100).max() < 45  # five standard deviations
    others = np.bincount(labels[labels != 6], minlength=9)
    assert others[[0, 2, 8]].tolist() == [0, 0, 0]
    assert np.abs(others[[1, 3, 4, 5, 7]] - 240).max() < 50


def test_a_scene_depends_on_its_number_and_the_seed_alone() -> None:
    whole = grids(ITEMS, seed=9)
    np.testing.assert_array_equal(grids(ITEMS, seed=9, indices=[17]).images[0], whole.images[17])
    assert not np.array_equal(grids(ITEMS, seed=8).images, whole.images)


def test_too_few_classes_and_other_sides_are_refused() -> None:
    with pytest.raises(DataError, match="shows 6 classes; a grid of 9 cells"):
        grids(ITEMS, 3)
    with pytest.raises(DataError, match=r"side: got 1; allowed is 2\.\.8"):
        grids(ITEMS, 1)
