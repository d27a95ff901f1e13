"""Cluttered canvases: masks are exact, scenes depend only on their number, distractors are never whole items."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from neurosam.data import Clutter, ImageSet, cluttered, two_items
from neurosam.data.clutter import _render
from neurosam.data.draws import Purpose, below, words
from neurosam.data.scene import Sprites, dilate, paste
from neurosam.data.texture import _blend, textures
from neurosam.errors import DataError


def items(count: int = 12, channels: int = 1) -> ImageSet:
    """Random blobs of 14 x 13 pixels in a frame of 16 x 16, three classes, ink at every level from 1 to 255."""
    raw = np.random.Philox(key=5).random_raw(count * channels * 14 * 13).reshape(count, channels, 14, 13)
    images = np.zeros((count, channels, 16, 16), dtype=np.uint8)
    images[:, :, 1:15, 2:15] = np.where(raw % 3 == 0, 0, raw % 255 + 1)
    images[:, :, 1, 2] = images[:, :, 14, 14] = 200  # the box is 14 x 13 for all
    return ImageSet(images, np.arange(count) % 3, None, tuple("abc"), "blobs")


CANVAS = Clutter(canvas=(32, 36))


def test_the_mask_is_where_the_item_changes_the_scene() -> None:
    blobs = items(channels=2)
    sprites = Sprites.cut(blobs, ink=CANVAS.ink, floor=80)
    scenes = np.arange(12)
    places = np.stack([scenes, 2 * scenes], axis=1)[:, None]
    images, masks, without = _render(sprites, CANVAS, 3, scenes, scenes[:, None], places)
    np.testing.assert_array_equal((images != without).any(axis=1), masks[:, 0])
    assert np.where(masks, without, 0).max() <= 64  # behind the item there is texture only
    for i in scenes:
        ink = blobs.images[i, :, 1:15, 2:15].max(axis=0) > 5
        np.testing.assert_array_equal(masks[i, 0, i : i + 14, 2 * i : 2 * i + 13], ink)
        assert masks[i].sum() == ink.sum()
        shown = images[i, :, i : i + 14, 2 * i : 2 * i + 13][:, ink].astype(int)
        np.testing.assert_array_equal(shown, 80 + 175 * blobs.images[i, :, 1:15, 2:15][:, ink].astype(int) // 255)


def test_without_clutter_a_scene_is_the_item_on_black() -> None:
    scenes = cluttered(items(), Clutter(canvas=20, background=0, distractors=0))
    assert scenes.masks is not None
    np.testing.assert_array_equal(scenes.images[:, 0] > 0, scenes.masks)
    np.testing.assert_array_equal(scenes.masks.sum(axis=(1, 2)), (items().images > 5).sum(axis=(1, 2, 3)))


def test_ink_is_brighter_than_any_background() -> None:
    scenes = cluttered(items(), Clutter(canvas=20, background=0.5, distractors=0))
    assert scenes.masks is not None
    images = scenes.images[:, 0]
    assert images[~scenes.masks].max() <= 128
    assert images[scenes.masks].min() > 128 + 8


def test_a_set_with_masks_keeps_its_own() -> None:
    blobs = items()
    corner = np.zeros((12, 16, 16), dtype=np.bool_)
    corner[:, 3:13, 4:9] = True
    own = ImageSet(blobs.images, blobs.labels, corner, blobs.classes, "own")
    scenes = cluttered(own, CANVAS)
    assert scenes.masks is not None
    assert (scenes.masks.sum(axis=(1, 2)) == 50).all()


def test_a_scene_depends_on_its_number_and_the_seed_alone() -> None:
    blobs = items()
    whole = cluttered(blobs, CANVAS, seed=7, indices=range(700))  # more than one chunk
    some = [699, 3, 300, 3]
    part = cluttered(blobs, CANVAS, seed=7, indices=some)
    np.testing.assert_array_equal(part.images, whole.images[some])
    assert part.masks is not None
    assert whole.masks is not None
    np.testing.assert_array_equal(part.masks, whole.masks[some])
    assert part.labels.tolist() == [699 % 12 % 3, 0, 0, 0]
    assert len(np.unique(whole.images, axis=0)) == 700
    assert (cluttered(blobs, CANVAS, seed=8).images != whole.images[:12]).any(axis=(1, 2, 3)).all()


def test_places_reach_every_corner() -> None:
    scenes = cluttered(items(), Clutter(canvas=(16, 15), distractors=0), indices=range(200))
    assert scenes.masks is not None
    tops = {int(row) for row in scenes.masks.any(axis=2).argmax(axis=1)}
    lefts = {int(column) for column in scenes.masks.any(axis=1).argmax(axis=1)}
    assert (tops, lefts) == ({0, 1, 2}, {0, 1, 2})


def test_distractors_come_from_other_items_and_are_never_whole() -> None:
    blobs = items(3)
    sprites = Sprites.cut(blobs, ink=0, floor=16)
    donors = sprites.donors(13, shown=2)
    chosen = np.array([[0, 2], [1, 0], [2, 1]] * 50)
    drawn = words(0, Purpose.DISTRACTOR, range(150), 3)
    donor = sprites.other(donors, chosen, drawn[:, 0])
    assert (donor == np.array([1, 2, 0] * 50)).all()
    crops = sprites.crop(donor, 13, drawn[:, 1:])
    assert ((crops > 0).sum(axis=(1, 2, 3)) < sprites.ink[donor].sum(axis=(1, 2))).all()
    for item, crop in zip(donor, crops, strict=True):  # the box is 14 rows from 1, 13 columns from 2
        assert any((crop == sprites.levels[item, :, top : top + 13, 2:15]).all() for top in (1, 2))
    with pytest.raises(DataError, match="longer than a crop"):
        sprites.donors(14, shown=1)
    with pytest.raises(DataError, match="longer than a crop"):
        sprites.donors(8, shown=3)
    with pytest.raises(DataError, match="16 x 16"):
        sprites.donors(17, shown=1)


def test_distractors_are_there_and_keep_their_distance() -> None:
    kinds = {"background": 0.0, "canvas": 32}
    empty = cluttered(items(), Clutter(distractors=0, **kinds))  # type: ignore[arg-type]
    full = cluttered(items(), Clutter(distractors=8, dim=(0.5, 0.5), **kinds))  # type: ignore[arg-type]
    assert empty.masks is not None
    added = (full.images != empty.images)[:, 0]
    assert added.any(axis=(1, 2)).all()
    assert not (added & dilate(empty.masks)).any()
    assert full.images[:, 0][added].max() <= 128


def test_two_items_stand_side_by_side() -> None:
    blobs = items()
    pairs = two_items(blobs, CANVAS, seed=1, indices=range(300))
    assert (pairs.labels[:, 0] != pairs.labels[:, 1]).all()
    np.testing.assert_array_equal(pairs.labels[:, 0], np.arange(300) % 12 % 3)
    assert not pairs.masks[:, 0, :, 17:].any()
    assert not pairs.masks[:, 1, :, :19].any()
    assert pairs.masks.any(axis=(2, 3)).all()
    ink = {int(size) for size in (blobs.images > 5).sum(axis=(1, 2, 3))}
    assert {int(size) for size in pairs.masks[:, 1].sum(axis=(1, 2))} == ink  # every item appears on the right
    again = two_items(blobs, CANVAS, seed=1, indices=[299])
    np.testing.assert_array_equal(again.images[0], pairs.images[299])


def test_two_items_need_room_and_two_classes() -> None:
    with pytest.raises(DataError, match=r"ink of item \d+ is 14 x 13 pixels, and the space for it is 32 x 11"):
        two_items(items(), Clutter(canvas=(32, 24)))
    with pytest.raises(DataError, match="one class"):
        two_items(items().subset([0, 3, 6]), CANVAS)


def test_items_that_cannot_be_shown_are_refused() -> None:
    blobs = items()
    with pytest.raises(DataError, match="larger canvas"):
        cluttered(blobs, Clutter(canvas=13))
    blobs.images[5] = 0
    with pytest.raises(DataError, match="the first is number 5"):
        cluttered(blobs, CANVAS)
    with pytest.raises(DataError, match="longer than a crop"):
        cluttered(items(1), CANVAS)
    for indices in ([], [-1], [0.5]):
        with pytest.raises(DataError, match="scene numbers"):
            cluttered(items(), CANVAS, indices=indices)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "settings",
    [
        {"canvas": 7},
        {"canvas": (48, 2000)},
        {"canvas": 48.0},
        {"background": -0.1},
        {"background": float("nan")},
        {"distractors": -1},
        {"crop": 49},
        {"dim": (0.5, 0.4)},
        {"dim": (0.0, 1.0)},
        {"ink": 1.0},
    ],
)
def test_settings_out_of_range(settings: dict[str, Any]) -> None:
    with pytest.raises(DataError, match=next(iter(settings))):
        Clutter(**settings)


def test_textures_fill_their_range_and_are_smooth() -> None:
    made = textures(0, range(20), 48, 40, 64)
    assert made.shape == (20, 48, 40)
    assert (made.min(axis=(1, 2)) == 0).all()
    assert (made.max(axis=(1, 2)) == 64).all()
    assert np.abs(np.diff(made.astype(int), axis=1)).mean() < 8
    assert not textures(0, [0], 8, 8, 0).any()
    # Bytes, not tolerances: the same on every machine and with every NumPy.
    assert int((made.astype(np.int64) * np.arange(1, made.size + 1).reshape(made.shape)).sum()) == GOLDEN_TEXTURE


GOLDEN_TEXTURE = 24_098_604_361


@pytest.mark.parametrize("pixels", [8, 48, 1000])
def test_a_blend_shares_64_parts_among_neighbours(pixels: int) -> None:
    parts = _blend(pixels, 4)
    assert (parts.sum(axis=1) == 64).all()
    assert parts[0].tolist() == [64, 0, 0, 0, 0]
    assert parts[pixels // 8].tolist() == [32, 32, 0, 0, 0]  # halfway to the next knot
    assert ((parts > 0).sum(axis=1) <= 2).all()


def test_words_are_philox() -> None:
    generator = np.random.Philox(key=[9, Purpose.PLACE], counter=[0, 4, 0, 0])
    expected = generator.random_raw(2)
    drawn = words(9, Purpose.PLACE, [3, 4], 3)
    assert drawn[1].tolist() == [
        int(expected[0]) & 0xFFFFFFFF,
        int(expected[0]) >> 32,
        int(expected[1]) & 0xFFFFFFFF,
    ]
    assert (drawn[0] != drawn[1]).all()


def test_below_covers_the_range() -> None:
    edge = np.array([0, 2**31, 2**32 - 1], dtype=np.uint32)
    assert below(edge, 10).tolist() == [0, 5, 9]
    assert below(edge, 1).tolist() == [0, 0, 0]


def test_paste_loses_what_hangs_over() -> None:
    frame = np.arange(1, 7, dtype=np.uint8).reshape(1, 1, 2, 3)
    assert paste(frame, np.array([[1, 1]]), 3, 4)[0, 0].tolist() == [[0, 0, 0, 0], [0, 1, 2, 3], [0, 4, 5, 6]]
    assert paste(frame, np.array([[-1, -1]]), 2, 3)[0, 0].tolist() == [[5, 6, 0], [0, 0, 0]]
    assert not paste(frame, np.array([[2, 3]]), 2, 3).any()


def test_dilate_grows_by_one_pixel_in_eight_directions() -> None:
    point = np.zeros((1, 5, 5), dtype=np.bool_)
    point[0, 2, 2] = True
    grown = dilate(point)
    assert grown.sum() == 9
    assert grown[0, 1:4, 1:4].all()
    assert point.sum() == 1
