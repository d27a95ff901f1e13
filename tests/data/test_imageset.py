"""ImageSet: what it refuses, how it splits, and that its arithmetic is exact."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from neurosam.data import ImageSet, PairSet
from neurosam.errors import DataError


def numbered(labels: list[int], masks: bool = False) -> ImageSet:
    """A set whose i-th image is 2 x 3 pixels of level i."""
    count = len(labels)
    images = np.broadcast_to(np.arange(count, dtype=np.uint8)[:, None, None, None], (count, 1, 2, 3)).copy()
    return ImageSet(
        images,
        np.array(labels, dtype=np.int64),
        images[:, 0] % 2 == 1 if masks else None,
        tuple("abc"),
        "numbered",
    )


def numbers(items: ImageSet) -> list[int]:
    return [int(number) for number in items.images[:, 0, 0, 0]]


def test_float_is_the_byte_over_255_in_float32() -> None:
    items = numbered([0, 1, 2])
    items.images[:, 0, 0, 0] = (0, 51, 255)
    values = items.float()
    assert values.dtype == np.float32
    assert values[:, 0, 0, 0].tolist() == [0.0, np.float32(0.2), 1.0]
    values[:] = 7  # the caller's own
    assert items.images[2, 0, 0, 0] == 255


def test_length_and_shape() -> None:
    assert len(numbered([0, 1, 2])) == 3
    assert numbered([0, 1, 2]).shape == (1, 2, 3)


def test_subset_takes_images_labels_and_masks_together() -> None:
    items = numbered([0, 1, 2, 0], masks=True).subset([3, 1, 1])
    assert numbers(items) == [3, 1, 1]
    assert items.labels.tolist() == [0, 1, 1]
    assert items.masks is not None
    assert items.masks.all()
    assert numbers(numbered([0, 1, 2, 0]).subset(np.array([True, False, True, False]))) == [0, 2]


@pytest.mark.parametrize("indices", [[], [4], [-1], [0.0], [[0]], [True, False]])
def test_subset_refuses(indices: Any) -> None:
    with pytest.raises(DataError, match="numbered"):
        numbered([0, 1, 2, 0]).subset(indices)


def test_split_is_disjoint_and_stratified() -> None:
    labels = [0] * 60 + [1] * 30 + [2] * 10
    train, test = numbered(labels).split(50, 20, seed=3)
    assert (len(train), len(test)) == (50, 20)
    assert len({*numbers(train), *numbers(test)}) == 70
    assert np.abs(np.bincount(train.labels) - (30, 15, 5)).max() <= 1
    assert np.abs(np.bincount(test.labels) - (12, 6, 2)).max() <= 1
    assert [labels[number] for number in numbers(train)] == train.labels.tolist()


def test_split_divides_equal_classes_exactly() -> None:
    train, test = numbered([0, 1, 2] * 10).split(24, 6)
    assert np.bincount(train.labels).tolist() == [8, 8, 8]
    assert np.bincount(test.labels).tolist() == [2, 2, 2]


def test_split_depends_on_the_seed_and_on_nothing_else() -> None:
    items = numbered([0, 1, 2] * 10)
    first, _ = items.split(12, 6, seed=0)
    assert numbers(first) == numbers(items.split(12, 18, seed=0)[0])
    assert numbers(first) == numbers(items.split(24, 6, seed=0)[0])[:12]
    assert numbers(first) != numbers(items.split(12, 6, seed=1)[0])
    # The order is guaranteed for a seed: a change here changes every user's training set.
    assert numbers(first) == GOLDEN_SPLIT


GOLDEN_SPLIT = [1, 0, 5, 23, 6, 19, 3, 17, 28, 27, 11, 4]


@pytest.mark.parametrize(("train", "test"), [(0, 1), (1, 0), (8, 3), (-1, 2), (0.5, 1)])
def test_split_refuses(train: Any, test: Any) -> None:
    with pytest.raises(DataError):
        numbered([0, 1] * 5).split(train, test)


@pytest.mark.parametrize("seed", [-1, 2**64, 0.5, "0"])
def test_a_seed_is_an_unsigned_64_bit_integer(seed: Any) -> None:
    with pytest.raises(DataError, match="seed"):
        numbered([0, 1] * 5).split(2, 2, seed=seed)


def test_shrink_averages_areas() -> None:
    items = numbered([0])
    items.images[0, 0] = [[0, 30, 60], [90, 120, 150]]
    # Two columns of 1.5 pixels each: (0 + 30 / 2) / 1.5 and (30 / 2 + 60) / 1.5.
    assert items.shrink(2, 2).images[0, 0].tolist() == [[10, 50], [100, 140]]
    assert items.shrink(1, 1).images[0, 0].tolist() == [[75]]
    items.images[0, 0] = [[0, 0, 0], [0, 1, 2]]
    assert items.shrink(1, 1).images[0, 0].tolist() == [[1]]  # 3 / 6, and a half rounds up
    assert items.shrink(2, 3).images.tolist() == items.images.tolist()


def test_shrink_refuses_to_grow_or_to_blur_masks() -> None:
    with pytest.raises(DataError, match="may only shrink"):
        numbered([0]).shrink(3, 3)
    with pytest.raises(DataError, match="exact masks"):
        numbered([0], masks=True).shrink(1, 1)


IMAGES = np.zeros((2, 1, 4, 4), dtype=np.uint8)
LABELS = np.array([0, 1])
MASKS = np.zeros((2, 4, 4), dtype=np.bool_)


@pytest.mark.parametrize(
    ("images", "labels", "masks", "classes"),
    [
        (IMAGES.astype(np.float32), LABELS, None, ("a", "b")),
        (IMAGES[:, 0], LABELS, None, ("a", "b")),
        (IMAGES[:0], LABELS[:0], None, ("a", "b")),
        (IMAGES, LABELS[:1], None, ("a", "b")),
        (IMAGES, LABELS.astype(np.int32), None, ("a", "b")),
        (IMAGES, LABELS, None, ("a",)),
        (IMAGES, LABELS - 1, None, ("a", "b")),
        (IMAGES, LABELS, None, ("a", "a")),
        (IMAGES, LABELS, MASKS[:1], ("a", "b")),
        (IMAGES, LABELS, MASKS.astype(np.uint8), ("a", "b")),
    ],
)
def test_what_does_not_fit_is_refused(images: Any, labels: Any, masks: Any, classes: tuple[str, ...]) -> None:
    with pytest.raises(DataError, match="crooked"):
        ImageSet(images, labels, masks, classes, "crooked")


def test_a_pair_has_two_labels_and_two_masks() -> None:
    pair_labels, pair_masks = np.array([[0, 1], [1, 0]]), np.zeros((2, 2, 4, 4), dtype=np.bool_)
    assert len(PairSet(IMAGES, pair_labels, pair_masks, ("a", "b"), "pairs")) == 2
    with pytest.raises(DataError, match="labels"):
        PairSet(IMAGES, LABELS, pair_masks, ("a", "b"), "pairs")
    with pytest.raises(DataError, match="masks"):
        PairSet(IMAGES, pair_labels, MASKS, ("a", "b"), "pairs")
