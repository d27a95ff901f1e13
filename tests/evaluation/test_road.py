"""ROAD: imputation is the stated linear system; removal of a linear model's pixels does what the formula says."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from neurosam.errors import NeurosamError
from neurosam.evaluation import impute, road

Array = npt.NDArray[np.float64]
RNG = np.random.default_rng(11)


def solved(image: Array, removed: npt.NDArray[np.bool_]) -> Array:
    """The stated system of one channel, written out pixel by pixel and solved as a dense one."""
    height, width = image.shape
    places = [(int(r), int(c)) for r, c in np.argwhere(removed)]
    matrix, right = np.zeros((len(places), len(places))), np.zeros(len(places))
    for i, (r, c) in enumerate(places):
        for dr in (-1, 0, 1):
            for dc in (-1, 0, 1):
                y, x = r + dr, c + dc
                if (dr or dc) and 0 <= y < height and 0 <= x < width:
                    weight = 1 / 12 if dr and dc else 1 / 6
                    matrix[i, i] += weight
                    if removed[y, x]:
                        matrix[i, places.index((y, x))] -= weight
                    else:
                        right[i] += weight * image[y, x]
    out = image.copy()
    out[removed] = np.linalg.solve(matrix, right)
    return out


@pytest.mark.parametrize("share", [0.1, 0.6, 0.95])
def test_imputation_solves_the_stated_system(share: float) -> None:
    images, removed = RNG.random((3, 2, 9, 7)), RNG.random((3, 9, 7)) < share
    removed[:, 4, 4] = False
    found = impute(images, removed)
    for b in range(3):
        for c in range(2):
            np.testing.assert_allclose(found[b, c], solved(images[b, c], removed[b]), atol=1e-7)
    np.testing.assert_array_equal(found[~np.broadcast_to(removed[:, None], images.shape)],
                                  images[~np.broadcast_to(removed[:, None], images.shape)])  # fmt: skip
    flat = np.full((3, 2, 9, 7), 0.7)
    np.testing.assert_allclose(impute(flat, removed), flat, atol=1e-7)  # nothing to see of what was removed


def halves(x: npt.NDArray[Any]) -> Array:
    return np.stack([x[..., :5].sum(axis=(1, 2, 3)), x[..., 5:].sum(axis=(1, 2, 3))], axis=1).astype(float)


def test_the_model_sees_filled_pictures_of_the_stated_pixels() -> None:
    images, maps = RNG.random((4, 2, 6, 10)), RNG.random((4, 6, 10))
    order = np.argsort(np.argsort(-maps.reshape(4, -1), axis=1), axis=1).reshape(maps.shape)
    for name, rank in (("most", order), ("least", 59 - order)):
        curve = road(halves, images, maps, 0, shares=(0.2, 0.5), order=name, measure="logit", noise=0)
        assert curve.shares.tolist() == [0, 0.2, 0.5]
        for at, count in enumerate((0, 12, 30)):
            wanted = halves(np.clip(impute(images, rank < count), 0, 1))[:, 0]
            np.testing.assert_allclose(curve.values[at], wanted, rtol=1e-5)


def test_noise_is_seeded_and_on_filled_pixels_alone() -> None:
    seen: list[npt.NDArray[Any]] = []

    def predict(x: npt.NDArray[Any]) -> Array:
        seen.append(x)
        return halves(x)

    images = np.full((2, 1, 20, 10), 128, np.uint8)
    for seed in (0, 0, 1):
        road(predict, images, RNG.random((2, 20, 10)) * 0, 0, shares=(0.5,), noise=0.05, seed=seed)
    first, second, third = seen[2], seen[5], seen[8]
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, third)
    changed = first != np.float32(128 / 255)
    assert changed.sum(axis=(1, 2, 3)).tolist() == [100, 100]
    assert np.std(first[changed]) == pytest.approx(0.05, rel=0.3)


def test_what_does_not_fit_is_refused() -> None:
    images, maps = np.full((2, 1, 4, 10), 0.5), np.ones((2, 4, 10))
    for arguments, says in (
        ((images * 3, maps), r"floats in \[0, 1\]"),
        ((images, maps[:1]), r"maps \(\[T,\] 2, h, w\) are required"),
    ):
        with pytest.raises(NeurosamError, match=says):
            road(halves, *arguments)
    for shares in ((), (0.0, 0.5), (0.5, 0.5), (0.5, 1.0)):
        with pytest.raises(NeurosamError, match="they rise, above 0 and below 1"):
            road(halves, images, maps, shares=shares)
    with pytest.raises(NeurosamError, match="order"):
        road(halves, images, maps, order="best")
    with pytest.raises(NeurosamError, match="one pixel left"):
        impute(images, np.ones((2, 4, 10), dtype=bool))
