"""Equal luminance: regions get the item's levels, keep their order, and brightness no longer finds the item."""

from __future__ import annotations

import numpy as np
import pytest

from neurosam.data import Clutter, ImageSet, cluttered, two_items
from neurosam.data.luminance import equalise, matched
from neurosam.errors import DataError
from neurosam.explain.localisation import area_share, intensity, mass_inside

RNG = np.random.default_rng(7)


def blobs(count: int = 30, whole: bool = False) -> ImageSet:
    """Pictures of 16 x 16 with levels of their own; their masks are 10 x 9 pixels, or everything."""
    images = np.clip(RNG.normal(RNG.uniform(60, 200, (count, 3, 1, 1)), 30, (count, 3, 16, 16)), 0, 255)
    masks = np.zeros((count, 16, 16), dtype=bool)
    masks[:, 0 if whole else 3 : 16 if whole else 13, 0 if whole else 2 : 16 if whole else 11] = True
    return ImageSet(images.astype(np.uint8), np.arange(count) % 3, masks, tuple("abc"), "blobs")


def test_matched_levels_are_the_quantiles_of_the_reference() -> None:
    levels = RNG.integers(0, 256, (3, 50), dtype=np.uint8)
    reference = RNG.integers(0, 256, (3, 70), dtype=np.uint8)
    out = matched(levels, reference)
    for c in range(3):
        order = np.argsort(levels[c], kind="stable")
        assert (np.diff(out[c][order].astype(int)) >= 0).all()  # the order stays
        middles = (np.arange(50) + 0.5) / 50
        want = np.quantile(reference[c], middles, method="inverted_cdf")
        assert np.mean(out[c][order] != want) < 0.1  # they differ where a middle falls on a step of the distribution
        assert abs(out[c].mean() - reference[c].mean()) <= 256 / (2 * 50)
    np.testing.assert_array_equal(matched(reference, reference), reference)  # its own levels change nothing


def test_every_region_has_the_mean_and_contrast_of_the_item() -> None:
    scene = RNG.integers(0, 256, (2, 40, 40), dtype=np.uint8) // np.arange(1, 41, dtype=np.uint8)[:, None]
    owner = np.zeros((40, 40), dtype=np.int64)
    owner[2:10, 3:12], owner[8:16, 8:18], owner[30, 30] = 1, 2, 3
    item = np.zeros((40, 40), dtype=bool)
    item[20:30, 5:20] = True
    out = equalise(scene, owner, item, background=True)
    np.testing.assert_array_equal(out[:, item], scene[:, item])
    for region in (0, 1, 2):
        pixels = (owner == region) & ~item
        for c in range(2):
            assert out[c, pixels].mean() == pytest.approx(scene[c, item].mean(), abs=1)
            assert out[c, pixels].std() == pytest.approx(scene[c, item].std(), abs=1)
    assert out[0, 30, 30] == np.sort(scene[0, item])[75]  # a single pixel: the median
    distractors_only = equalise(scene, owner, item, background=False)
    np.testing.assert_array_equal(distractors_only[:, owner == 0], scene[:, owner == 0])
    np.testing.assert_array_equal(distractors_only[:, owner == 1], out[:, owner == 1])


def test_brightness_finds_the_item_unless_the_canvas_is_equal() -> None:
    def gain(luminance: str, whole: bool) -> float:
        scenes = cluttered(blobs(whole=whole), Clutter(canvas=32, crop=8, distractors=6, luminance=luminance), seed=3)
        assert scenes.masks is not None
        return float(np.mean(mass_inside(intensity(scenes.images), scenes.masks) / area_share(scenes.masks)))

    assert gain("dimmed", False) > 2
    assert gain("canvas", False) == pytest.approx(1, abs=0.02)
    assert gain("canvas", True) == pytest.approx(1, abs=0.02)
    assert 1.02 < gain("distractors", False) < gain("dimmed", False)


def test_items_of_an_equal_canvas_stay_as_they_are_and_scenes_depend_on_their_number() -> None:
    items, clutter = blobs(), Clutter(canvas=24, crop=6, luminance="canvas")
    scenes = cluttered(items, clutter, seed=1)
    assert scenes.masks is not None
    assert items.masks is not None
    shown = np.stack([scene[:, mask] for scene, mask in zip(scenes.images, scenes.masks, strict=True)])
    before = np.stack([image[:, mask] for image, mask in zip(items.images, items.masks, strict=True)])
    assert np.abs(shown.astype(int) - before).max() <= 1
    for i in (4, 29, 31):
        alone = cluttered(items, clutter, seed=1, indices=[i]).images[0]
        np.testing.assert_array_equal(alone, cluttered(items, clutter, seed=1, indices=[i % 7, i]).images[1])
    pairs = two_items(items, Clutter(canvas=40, crop=6, luminance="canvas"), seed=1)
    inside, outside = pairs.images[0][:, pairs.masks[0].any(axis=0)], pairs.images[0][:, ~pairs.masks[0].any(axis=0)]
    assert inside.mean(axis=1) == pytest.approx(outside.mean(axis=1), abs=1)


def test_an_unknown_luminance_is_refused() -> None:
    with pytest.raises(DataError, match="luminance: got 'equal'; allowed is 'dimmed' or 'distractors' or 'canvas'"):
        Clutter(luminance="equal")
