"""Infidelity, sensitivity, rank accuracy, grid pointing, sparseness and skill: known answers and plain statements."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from neurosam import training
from neurosam.data import ImageSet, grids
from neurosam.errors import NeurosamError
from neurosam.evaluation import (
    grid_pointing,
    infidelity,
    max_sensitivity,
    pearson,
    relevance_rank,
    skill,
    sparseness,
    spearman,
    spiking_fgsm,
    support_spearman,
    top_iou,
)
from neurosam.explain.localisation import area_share

Array = npt.NDArray[np.float64]
RNG = np.random.default_rng(5)
WEIGHT = RNG.normal(size=(6, 1, 2, 5, 7))


def linear(x: npt.NDArray[Any]) -> Array:
    """Class 1 is a weighted sum of the input [T, B, C, H, W]; class 0 a constant."""
    return np.stack([np.zeros(x.shape[1]), (x * WEIGHT).sum(axis=(0, 2, 3, 4))], axis=1)


@pytest.mark.parametrize("perturbation", ["square", "noise"])
def test_infidelity_of_a_linear_models_gradient_is_0_and_of_others_what_is_missing(perturbation: str) -> None:
    x = RNG.random((6, 3, 2, 5, 7))
    gradient = np.broadcast_to(WEIGHT, x.shape)
    options: dict[str, Any] = {"perturbation": perturbation, "samples": 20, "window": 2, "baseline": 0.3, "seed": 4}
    np.testing.assert_allclose(infidelity(linear, x, gradient, 1, scaled=False, **options), 0, atol=1e-20)
    np.testing.assert_allclose(infidelity(linear, x, -3 * gradient, 1, **options), 0, atol=1e-20)
    nothing = infidelity(linear, x, np.zeros_like(x), 1, scaled=False, **options)
    np.testing.assert_allclose(infidelity(linear, x, 3 * gradient, 1, scaled=False, **options), 4 * nothing, rtol=1e-9)
    other = RNG.normal(size=x.shape)
    scaled, plain = (infidelity(linear, x, other, 1, scaled=s, **options) for s in (True, False))
    assert (scaled <= nothing * (1 + 1e-12)).all()
    assert (scaled <= plain).all()
    assert (scaled > 0).all()


def test_infidelity_of_a_map_is_that_of_its_values_everywhere() -> None:
    x, maps = RNG.random((6, 3, 2, 5, 7)), RNG.normal(size=(3, 5, 7))
    spread = np.broadcast_to(maps[:, None], x.shape)
    np.testing.assert_allclose(infidelity(linear, x, maps, 1), infidelity(linear, x, spread, 1), rtol=1e-12)


def test_infidelity_by_hand() -> None:
    """Two pixels, squares of one: p and d of blanking either, in shares near one half; f(x) = a^2 + b."""

    def predict(x: npt.NDArray[Any]) -> Array:
        return np.stack([x[..., 0].sum(axis=(1, 2)) ** 2 + x[..., 1].sum(axis=(1, 2)), np.zeros(len(x))], axis=1)

    found = infidelity(predict, np.array([[[[3.0, 2.0]]]]), np.array([[[[1.0, 1.0]]]]), 0, window=1, scaled=False,
                       samples=1000)  # fmt: skip
    assert found[0] == pytest.approx(((3 - 9) ** 2 + 0) / 2, rel=0.15)


def test_sensitivity_is_the_largest_relative_change() -> None:
    images = RNG.integers(30, 220, (3, 2, 4, 5), dtype=np.uint8)
    x = images / 255
    seen: list[Array] = []

    def explain(batch: npt.NDArray[np.float32]) -> Array:
        seen.append(batch.astype(np.float64))
        return batch.astype(np.float64) @ np.diag([1.0, 2, 3, 4, 5])

    found = max_sensitivity(explain, images, radius=0.05, samples=6, seed=2)
    assert len(seen) == 7
    moves = np.stack(seen[1:]) - x
    assert 0.04 < np.abs(moves).max() <= 0.05 + 1e-6
    scaled = np.linalg.norm((moves * np.arange(1, 6)).reshape(6, 3, -1), axis=2).max(axis=0)
    np.testing.assert_allclose(found, scaled / np.linalg.norm((x * np.arange(1, 6)).reshape(3, -1), axis=1), rtol=1e-5)
    assert max_sensitivity(lambda b: np.ones((3, 4, 4)), images).tolist() == [0, 0, 0]
    assert np.isnan(max_sensitivity(lambda b: np.zeros((3, 4, 4)), images)).all()
    edge = max_sensitivity(explain, np.ones((1, 1, 2, 5)), radius=1.0)
    assert edge[0] > 0
    assert seen[-1].min() >= 0
    assert seen[-1].max() <= 1


def test_rank_accuracy_counts_the_highest_pixels_inside() -> None:
    maps, masks = RNG.random((4, 3, 6, 7)), RNG.random((3, 6, 7)) < 0.3
    found = relevance_rank(maps, masks)
    for t in range(4):
        for b in range(3):
            k = int(masks[b].sum())
            highest = np.argsort(-maps[t, b], axis=None)[:k]
            assert found[t, b] == pytest.approx(masks[b].ravel()[highest].sum() / k)
    assert relevance_rank(masks.astype(float), masks).tolist() == [1, 1, 1]
    np.testing.assert_allclose(relevance_rank(np.ones((3, 6, 7)), masks), area_share(masks))
    assert np.isnan(relevance_rank(-maps[0], masks)).all()
    half = [[[3.0, 1.0], [1.0, 0.0]]]  # the second place is shared by a pixel inside and one outside
    assert relevance_rank(half, [[[1, 1], [0, 0]]]).tolist() == [0.75]


def test_grid_pointing_is_the_share_in_the_own_cell() -> None:
    items = ImageSet(RNG.integers(0, 256, (8, 1, 3, 4), dtype=np.uint8), np.arange(8) % 4, None, tuple("abcd"), "noise")
    scenes = grids(items, seed=3)
    maps = RNG.normal(size=(8, 4, 6, 8))
    found = grid_pointing(maps, scenes.masks)
    for b in range(8):
        for k in range(4):
            row, column = divmod(k, 2)
            positive = np.maximum(maps[b, k], 0)
            inside = positive[3 * row : 3 * row + 3, 4 * column : 4 * column + 4].sum()
            assert found[b, k] == pytest.approx(inside / positive.sum())
    same = np.repeat(np.abs(maps[:, :1]), 4, axis=1)  # a map that does not know the class
    np.testing.assert_allclose(grid_pointing(same, scenes.masks).sum(axis=1), 1)
    assert grid_pointing(scenes.masks.astype(float), scenes.masks).tolist() == np.ones((8, 4)).tolist()
    with pytest.raises(NeurosamError, match=r"\(B, K, h, w\)"):
        grid_pointing(maps[:, :3], scenes.masks)


def test_sparseness_is_the_mean_difference_over_twice_the_mean() -> None:
    maps = RNG.normal(size=(3, 4, 5))
    flat = np.abs(maps).reshape(3, -1)
    gini = np.abs(flat[:, :, None] - flat[:, None, :]).mean(axis=(1, 2)) / (2 * flat.mean(axis=1))
    np.testing.assert_allclose(sparseness(maps), gini, rtol=1e-12)
    one = np.zeros((1, 4, 5))
    one[0, 1, 2] = -7
    np.testing.assert_allclose(sparseness(one), 1 - 1 / 20)
    np.testing.assert_allclose(sparseness(np.full((1, 4, 5), 0.3)), 0, atol=1e-15)
    assert np.isnan(sparseness(np.zeros((1, 4, 5))))


def test_skill_is_1_for_the_exact_map_and_0_for_the_count() -> None:
    exact, count = RNG.random((5, 6, 6)), RNG.random((5, 6, 6))
    r_count = pearson(exact, count)
    np.testing.assert_allclose(skill(pearson(exact, exact), r_count), 1)
    assert skill(r_count, r_count).tolist() == [0] * 5
    np.testing.assert_allclose(skill(0.95, 0.9), 0.5)
    assert np.isnan(skill([0.5, 1.0], 1.0)).all()
    assert skill(0.7, 0.8) < 0


def test_top_pixels_are_those_of_a_sort_and_never_zeros() -> None:
    a, b = RNG.random((2, 4, 5, 6))
    found = top_iou(a, b)
    for i in range(4):
        first, second = (set(np.argsort(-maps[i], axis=None)[:6].tolist()) for maps in (a, b))
        assert found[i] == pytest.approx(len(first & second) / len(first | second))
    sparse = np.zeros((1, 5, 6))
    sparse[0, 0, :2] = 1, 2
    other = np.zeros((1, 5, 6))
    other[0, 0, 1:3] = 2, 1
    assert top_iou(sparse, other) == pytest.approx(1 / 3)
    assert top_iou(sparse, np.ones((1, 5, 6))) == pytest.approx(2 / 30)  # all share the k-th value
    assert np.isnan(top_iou(sparse * 0, sparse * 0))
    with pytest.raises(NeurosamError, match="share: got 0"):
        top_iou(a, b, share=0)


def test_rank_correlation_on_the_support() -> None:
    a, b = (np.where(RNG.random((3, 6, 6)) < 0.6, 0, RNG.random((3, 6, 6))) for _ in range(2))
    found = support_spearman(a, b)
    for i in range(3):
        pairs = np.array([(p, q) for p, q in zip(a[i].ravel(), b[i].ravel(), strict=True) if p or q])
        ranks = [[(column < v).sum() + (column == v).sum() / 2 for v in column] for column in pairs.T]
        assert found[i] == pytest.approx(np.corrcoef(ranks)[0, 1])
    full = RNG.random((3, 6, 6)) + 1
    np.testing.assert_allclose(support_spearman(full, a), spearman(full, a))
    assert np.isnan(support_spearman(a * 0, b * 0)).all()


def test_an_attack_over_draws_follows_the_sum_of_their_gradients() -> None:
    module, image = training.build("4C3-P2-D10", (1, 8, 8), seed=1), RNG.uniform(0.3, 0.7, (2, 1, 8, 8))
    attacks = [spiking_fgsm(module, image, [0, 1], 0.1, steps=6, seed=s) - image for s in (3, 4)]
    both = spiking_fgsm(module, image, [0, 1], 0.1, steps=6, seed=3, draws=2) - image
    agree = np.abs(attacks[0] - attacks[1]) < 1e-6
    assert 0 < agree.mean() < 1
    np.testing.assert_allclose(both[agree], attacks[0][agree], atol=1e-6)
    assert not np.allclose(both, attacks[0], atol=1e-6)
