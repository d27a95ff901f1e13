"""Cluttered canvases: one item (or two) among distractors over texture, and the exact mask of each item's pixels.

On these an explanation can be right or wrong, because what the label names is known pixel by pixel. A scene is put
together from integers only, in this order:

1. **Background.** A smooth random texture (see ``texture``) with levels 0 .. `background`.
2. **Item.** Its ink (the pixels brighter than `ink`, or the item's own mask where the set has one) is lifted into the
   range from just above the background to 255, ``floor + (255 - floor) * level // 255`` with ``floor = background +
   16/255``, so that a garment's dark pixels still differ from any background pixel. Its place is uniform among those
   where all ink fits.
3. **Distractors.** Square crops of other items, lifted likewise and dimmed to a random share of their level. A crop is
   shorter than its donor's ink on a side at least, so a distractor is never a whole item. It stops one pixel short of
   an item's ink, and where several crops or the background meet, the brightest is seen.

The mask is the ink itself, nothing estimated: inside it the canvas shows the item, outside it the scene without the
item, and the two differ in exactly the pixels of the mask.

Scene ``i`` depends on the items, the settings, the seed and ``i`` alone: not on the batch, the machine or the NumPy
version. Split first, then clutter each part: distractors are then cut from that part's own items. The protocol is
that of cluttered MNIST (Mnih, Heess, Graves, Kavukcuoglu, "Recurrent models of visual attention", NeurIPS 2014),
with textures and masks added.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neurosam.data.draws import Purpose, below, check_seed, words
from neurosam.data.imageset import ImageSet, PairSet
from neurosam.data.scene import Sprites, dilate, paste
from neurosam.data.texture import textures
from neurosam.errors import DataError

__all__ = ["Clutter", "cluttered", "two_items"]

_GAP = 16  # levels between the brightest background and the darkest ink
_CHUNK = 256  # scenes made at once; a matter of memory, never of content


@dataclass(frozen=True)
class Clutter:
    """What surrounds an item.

    Parameters
    ----------
    canvas : int or (int, int)
        Height and width in pixels; one number for a square. 8 .. 1024 a side.
    background : float
        Brightest background level, in [0, 0.8] of full intensity.
    distractors : int
        Crops in a scene, 0 .. 64.
    crop : int
        Side of a crop in pixels, 2 .. canvas; items whose ink is no longer than this on either side give no crops.
    dim : (float, float)
        Least and greatest share of its level that a distractor keeps, ``0 < least <= greatest <= 1``.
    ink : float
        Pixels of an item brighter than this, in [0, 1), are the item, where the set has no masks of its own. The
        default leaves out the faint halo around some garments and keeps their dark parts.

    Raises
    ------
    DataError
        If a value is out of range.
    """

    canvas: int | tuple[int, int] = 48
    background: float = 0.25
    distractors: int = 4
    crop: int = 8
    dim: tuple[float, float] = (0.4, 0.8)
    ink: float = 0.02

    def __post_init__(self) -> None:
        for side in self.size:
            _check_integer("canvas", side, 8, 1024)
        _check_integer("distractors", self.distractors, 0, 64)
        _check_integer("crop", self.crop, 2, min(self.size))
        if not 0 <= self.background <= 0.8:
            raise DataError("background", f"got {self.background}; allowed is 0 .. 0.8")
        least, greatest = self.dim
        if not 0 < least <= greatest <= 1:
            raise DataError("dim", f"got {self.dim}; needed is (least, greatest) with 0 < least <= greatest <= 1")
        if not 0 <= self.ink < 1:
            raise DataError("ink", f"got {self.ink}; needed is 0 <= ink < 1")

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the canvas in pixels."""
        return self.canvas if isinstance(self.canvas, tuple) else (self.canvas, self.canvas)


def cluttered(
    items: ImageSet, clutter: Clutter | None = None, *, seed: int = 0, indices: Iterable[int] | None = None
) -> ImageSet:
    """Place each item at random on a cluttered canvas.

    Parameters
    ----------
    items : ImageSet
        N items; bright on dark where they have no masks.
    clutter : Clutter, optional
        What surrounds them.
    seed : int
        0 .. 2**64 - 1.
    indices : iterable of int, optional
        Scenes to make, >= 0; scene i shows item ``i % N``, so numbers from N on are the same items in other places.
        Default ``range(N)``: one scene an item, in the items' order.

    Returns
    -------
    ImageSet
        uint8 [M, C, height, width] with masks, the labels and classes of the items.

    Raises
    ------
    DataError
        If an item has no ink or more than fits, or no other item is large enough to give crops.
    """
    clutter = clutter or Clutter()
    scenes = _scene_numbers(items, seed, indices)
    sprites = Sprites.cut(items, ink=clutter.ink, floor=_floor(clutter))
    chosen = (scenes % len(items))[:, None]
    height, width = clutter.size
    draw = words(seed, Purpose.PLACE, scenes, 2)[:, None]
    places = sprites.place(chosen, draw, height, np.array([0]), width)
    images, masks, _ = _render(sprites, clutter, seed, scenes, chosen, places)
    return ImageSet(images, items.labels[chosen[:, 0]], masks[:, 0], items.classes, f"cluttered {items.name}")


def two_items(
    items: ImageSet, clutter: Clutter | None = None, *, seed: int = 0, indices: Iterable[int] | None = None
) -> PairSet:
    """Place two items of different classes side by side, one in each half of a cluttered canvas.

    Scene i has item ``i % N`` on the left and a random item of another class on the right. Train with `cluttered` on
    the same canvas: a half less its margin at the middle line is 23 pixels wide on a canvas of 48, room for any MNIST
    digit (20), and 31 on one of 64, room for items of 28.

    Parameters
    ----------
    items, clutter, seed, indices
        As for `cluttered`.

    Returns
    -------
    PairSet
        uint8 [M, C, height, width], labels [M, 2], masks [M, 2, height, width], the left item first.

    Raises
    ------
    DataError
        As `cluttered`; if an item does not fit into half a canvas, or all items are of one class.
    """
    clutter = clutter or Clutter()
    scenes = _scene_numbers(items, seed, indices)
    sprites = Sprites.cut(items, ink=clutter.ink, floor=_floor(clutter))
    left = scenes % len(items)
    right = _partners(items, left, words(seed, Purpose.PARTNER, scenes, 1)[:, 0])
    chosen = np.stack([left, right], axis=1)
    height, width = clutter.size
    draw = words(seed, Purpose.PLACE, scenes, 4).reshape(-1, 2, 2)
    places = sprites.place(chosen, draw, height, np.array([0, width // 2 + 1]), width // 2 - 1)
    images, masks, _ = _render(sprites, clutter, seed, scenes, chosen, places)
    return PairSet(images, items.labels[chosen], masks, items.classes, f"pairs of {items.name}")


def _render(
    sprites: Sprites,
    clutter: Clutter,
    seed: int,
    scenes: NDArray[np.int64],
    chosen: NDArray[np.int64],
    places: NDArray[np.int64],
) -> tuple[NDArray[np.uint8], NDArray[np.bool_], NDArray[np.uint8]]:
    """Put scenes together.

    `chosen` [M, K] holds the items of each scene, `places` [M, K, 2] the top left corners of their ink. Returns the
    images [M, C, H, W], the masks [M, K, H, W], and the scenes without their items [M, C, H, W].
    """
    (height, width), kinds = clutter.size, chosen.shape[1]
    channels = sprites.levels.shape[1]
    images = np.empty((len(scenes), channels, height, width), dtype=np.uint8)
    backdrops = np.empty_like(images)
    masks = np.empty((len(scenes), kinds, height, width), dtype=np.bool_)
    donors = sprites.donors(clutter.crop, kinds) if clutter.distractors else np.empty(0, dtype=np.int64)
    for start in range(0, len(scenes), _CHUNK):
        part = slice(start, start + _CHUNK)
        texture = textures(seed, scenes[part], height, width, _level(clutter.background))
        backdrop = np.repeat(texture[:, None], channels, axis=1)
        item = np.zeros_like(backdrop)
        for kind in range(kinds):
            levels, ink = sprites.levels[chosen[part, kind]], sprites.ink[chosen[part, kind], None]
            corner = places[part, kind] - sprites.corner[chosen[part, kind]]
            item = np.maximum(item, paste(levels, corner, height, width))
            masks[part, kind] = paste(ink, corner, height, width)[:, 0]
        taken: NDArray[np.bool_] = np.any(masks[part], axis=1)
        if clutter.distractors:
            crops = _distractors(sprites, clutter, donors, seed, scenes[part], chosen[part])
            backdrop = np.maximum(backdrop, np.where(dilate(taken)[:, None], np.uint8(0), crops))
        backdrops[part] = backdrop
        images[part] = np.where(taken[:, None], item, backdrop)
    return images, masks, backdrops


def _distractors(
    sprites: Sprites,
    clutter: Clutter,
    donors: NDArray[np.int64],
    seed: int,
    scenes: NDArray[np.int64],
    chosen: NDArray[np.int64],
) -> NDArray[np.uint8]:
    """Return uint8 [M, C, H, W]: each scene's distractors on black."""
    height, width = clutter.size
    least, greatest = (round(share * 256) for share in clutter.dim)
    draw = words(seed, Purpose.DISTRACTOR, scenes, 6 * clutter.distractors).reshape(len(scenes), -1, 6)
    canvas = np.zeros((len(scenes), sprites.levels.shape[1], height, width), dtype=np.uint8)
    for which in range(clutter.distractors):
        donor_word, *crop_words, row_word, column_word, dim_word = draw[:, which].T
        donor = sprites.other(donors, chosen, donor_word)
        room = np.array([height, width]) - clutter.crop + 1
        corner = below(np.stack([row_word, column_word], axis=1), room)
        crop = sprites.crop(donor, clutter.crop, np.stack(crop_words, axis=1)).astype(np.int64)
        dim = least + below(dim_word, greatest - least + 1)
        dimmed = (crop * dim[:, None, None, None] // 256).astype(np.uint8)
        canvas = np.maximum(canvas, paste(dimmed, corner, height, width))
    return canvas


def _partners(items: ImageSet, left: NDArray[np.int64], word: NDArray[np.uint32]) -> NDArray[np.int64]:
    """Draw, for each item on the left, an item of another class, uniformly among all such items."""
    by_class = np.argsort(items.labels, kind="stable")
    sizes = np.bincount(items.labels, minlength=len(items.classes))
    if sizes.max() == len(items):
        raise DataError(items.name, "all items are of one class; a pair needs two classes")
    label = items.labels[left]
    first = (np.cumsum(sizes) - sizes)[label]
    position = below(word, len(items) - sizes[label])
    return by_class[np.where(position < first, position, position + sizes[label])]


def _scene_numbers(items: ImageSet, seed: int, indices: Iterable[int] | None) -> NDArray[np.int64]:
    check_seed(seed)
    numbers = np.array(list(range(len(items)) if indices is None else indices))
    if numbers.ndim != 1 or not numbers.size or not np.issubdtype(numbers.dtype, np.integer) or numbers.min() < 0:
        raise DataError(items.name, "indices must be a non-empty list of scene numbers, each an integer >= 0")
    return numbers.astype(np.int64)


def _level(share: float) -> int:
    return round(share * 255)


def _floor(clutter: Clutter) -> int:
    return _level(clutter.background) + _GAP


def _check_integer(name: str, value: int, least: int, greatest: int) -> None:
    try:
        number = operator.index(value)
    except TypeError:
        raise DataError(name, f"got {value!r}; needed is an integer") from None
    if not least <= number <= greatest:
        raise DataError(name, f"got {number}; allowed are {least} .. {greatest}")
