"""Cluttered canvases: one item (or two) among distractors on a texture, with the exact mask of the item's pixels.

On these canvases an explanation can be right or wrong, because the pixels of the labelled item are known. A scene is
composed in integer arithmetic, in this order:

1. **Background.** A smooth random texture (see ``texture``) with levels 0 .. `background`.
2. **Item.** Its ink (the pixels brighter than `ink`, or the item's own mask if the set has masks) is mapped to the
   range from just above the background to 255, ``floor + (255 - floor) * level // 255`` with ``floor = background +
   16/255``, so that dark pixels of a garment still differ from every background pixel. Its position is uniform among
   those where all ink fits.
3. **Distractors.** Square crops of other items, mapped likewise and dimmed to a random fraction of their level. On at
   least one side a crop is shorter than the ink of its donor, so a distractor is never a whole item. It ends one pixel
   before the ink of an item. Where crops and background overlap, the brightest is visible.

In these scenes the item is the brightest part, so a map of brightness finds it. ``luminance="distractors"`` leaves the
crops undimmed, the later above the earlier, and gives each the levels of the item (see ``luminance``): an explanation
must tell shapes apart. ``luminance="canvas"``, for real pictures, does so with the background too, and leaves items as
they are; there no statistic of single pixels tells where the item is.

The mask is the ink itself, not an estimate: inside it the canvas shows the item, outside it the scene without the
item, and the two differ in exactly the pixels of the mask.

Scene ``i`` depends only on the items, the settings, the seed and ``i``, not on the batch, the machine or the NumPy
version. Split a set first and clutter each part separately, so that distractors come from the same part. The protocol
is that of cluttered MNIST (Mnih, Heess, Graves, Kavukcuoglu, "Recurrent models of visual attention", NeurIPS 2014),
with textures and masks added.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neurosam._util.arguments import choice, integer
from neurosam.data.draws import Purpose, below, check_seed, words
from neurosam.data.imageset import ImageSet, PairSet
from neurosam.data.luminance import equalise
from neurosam.data.scene import Sprites, dilate, paste
from neurosam.data.texture import textures
from neurosam.errors import DataError

__all__ = ["Clutter", "cluttered", "scene_numbers", "two_items"]

_GAP = 16  # levels between the brightest background and the darkest ink
_LUMINANCE = ("dimmed", "distractors", "canvas")
_CHUNK = 256  # scenes composed at once; it bounds the memory and does not affect the result


@dataclass(frozen=True)
class Clutter:
    """Settings of a cluttered scene: what surrounds an item.

    Parameters
    ----------
    canvas : int or (int, int)
        Height and width in pixels, or the side of a square; 8 .. 1024 per side.
    background : float
        Brightest background level, in [0, 0.8] of full intensity.
    distractors : int
        Number of crops per scene, 0 .. 64.
    crop : int
        Side of a crop in pixels, 2 .. canvas. Items whose ink is no longer than this on either side give no crops.
    dim : (float, float)
        Range of the fraction of its level that a distractor keeps, ``0 < least <= greatest <= 1``.
    ink : float
        Pixels of an item brighter than this, in [0, 1), belong to the item if the set has no masks. The default
        excludes the faint halo around some garments and keeps their dark parts.
    luminance : {"dimmed", "distractors", "canvas"}
        Which parts have the item's levels: none, the distractors, or these and the background. Unless "dimmed", `dim`
        has no effect; with "canvas", neither has `background`.

    Raises
    ------
    DataError
        If a value is out of range.

    Examples
    --------
    >>> from neurosam.data import Clutter
    >>> Clutter(canvas=64).size
    (64, 64)
    >>> Clutter(canvas=(48, 96), distractors=8).size
    (48, 96)
    """

    canvas: int | tuple[int, int] = 48
    background: float = 0.25
    distractors: int = 4
    crop: int = 8
    dim: tuple[float, float] = (0.4, 0.8)
    ink: float = 0.02
    luminance: str = "dimmed"

    def __post_init__(self) -> None:
        for side in self.size:
            integer("canvas", side, 8, 1024, DataError)
        integer("distractors", self.distractors, 0, 64, DataError)
        integer("crop", self.crop, 2, min(self.size), DataError)
        if not 0 <= self.background <= 0.8:
            raise DataError("background", f"got {self.background}; allowed is 0 .. 0.8")
        least, greatest = self.dim
        if not 0 < least <= greatest <= 1:
            raise DataError("dim", f"got {self.dim}; allowed is (least, greatest) with 0 < least <= greatest <= 1")
        if not 0 <= self.ink < 1:
            raise DataError("ink", f"got {self.ink}; allowed is 0 <= ink < 1")
        choice("luminance", self.luminance, _LUMINANCE, DataError)

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
        N items; bright on dark unless they have masks.
    clutter : Clutter, optional
        Settings of the scenes.
    seed : int
        0 .. 2**64 - 1.
    indices : iterable of int, optional
        Numbers of the scenes to make, >= 0. Scene i shows item ``i % N``, so numbers from N on show the same items in
        other places. Default ``range(N)``: one scene per item, in the order of the items.

    Returns
    -------
    ImageSet
        uint8 [M, C, height, width] with masks, and with the labels and classes of the items.

    Raises
    ------
    DataError
        If an item has no ink or does not fit, or no other item is large enough to give crops.

    Examples
    --------
    >>> from neurosam.data import Clutter, ImageSet, cluttered
    >>> digits = np.zeros((4, 1, 16, 16), np.uint8)
    >>> digits[:, :, 2:14, 5:11] = 255
    >>> items = ImageSet(digits, np.array([0, 1, 0, 1]), None, ("zero", "one"), "bars")
    >>> scenes = cluttered(items, Clutter(canvas=32), seed=1)
    >>> scenes.images.shape, scenes.masks.sum(axis=(1, 2)).tolist()
    ((4, 1, 32, 32), [72, 72, 72, 72])
    """
    clutter = clutter or Clutter()
    scenes = scene_numbers(items, seed, indices)
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

    Scene i shows item ``i % N`` on the left and a random item of another class on the right. Train with `cluttered` on
    a canvas of the same size. A half, without its margin at the middle line, is 23 pixels wide on a canvas of 48, which
    fits every MNIST digit (20), and 31 pixels wide on a canvas of 64, which fits items of 28.

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
        As for `cluttered`; also if an item does not fit into half a canvas, or all items have the same class.

    Examples
    --------
    >>> from neurosam.data import ImageSet, two_items
    >>> digits = np.zeros((4, 1, 16, 16), np.uint8)
    >>> digits[:, :, 2:14, 5:11] = 255
    >>> pairs = two_items(ImageSet(digits, np.array([0, 1, 0, 1]), None, ("zero", "one"), "bars"), seed=2)
    >>> pairs.images.shape, pairs.masks.shape, pairs.labels.tolist()
    ((4, 1, 48, 48), (4, 2, 48, 48), [[0, 1], [1, 0], [0, 1], [1, 0]])
    """
    clutter = clutter or Clutter()
    scenes = scene_numbers(items, seed, indices)
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
    """Compose scenes.

    `chosen` [M, K] holds the items of each scene, `places` [M, K, 2] the top left corners of their ink. Returns the
    images [M, C, H, W], the masks [M, K, H, W], and the scenes without their items [M, C, H, W].
    """
    (height, width), per_scene = clutter.size, chosen.shape[1]
    channels = sprites.levels.shape[1]
    images = np.empty((len(scenes), channels, height, width), dtype=np.uint8)
    backdrops = np.empty_like(images)
    masks = np.empty((len(scenes), per_scene, height, width), dtype=np.bool_)
    donors = sprites.donors(clutter.crop, per_scene) if clutter.distractors else np.empty(0, dtype=np.int64)
    for start in range(0, len(scenes), _CHUNK):
        part = slice(start, start + _CHUNK)
        brightest = 255 if clutter.luminance == "canvas" else _level(clutter.background)
        texture = textures(seed, scenes[part], height, width, brightest)
        backdrop = np.repeat(texture[:, None], channels, axis=1)
        items = np.zeros_like(backdrop)
        for k in range(per_scene):
            levels, ink = sprites.levels[chosen[part, k]], sprites.ink[chosen[part, k], None]
            corner = places[part, k] - sprites.corner[chosen[part, k]]
            items = np.maximum(items, paste(levels, corner, height, width))
            masks[part, k] = paste(ink, corner, height, width)[:, 0]
        covered: NDArray[np.bool_] = np.any(masks[part], axis=1)
        clear = ~dilate(covered)[:, None]
        owner = np.zeros(covered.shape, dtype=np.int64)
        if clutter.distractors:
            for number, crop in enumerate(_crops(sprites, clutter, donors, seed, scenes[part], chosen[part]), start=1):
                shown = np.where(clear, crop, np.uint8(0))
                on_top: NDArray[np.bool_] = np.any(shown, axis=1)
                owner[on_top] = number
                dimmed = clutter.luminance == "dimmed"
                backdrop = np.maximum(backdrop, shown) if dimmed else np.where(on_top[:, None], shown, backdrop)
        images[part] = np.where(covered[:, None], items, backdrop)
        if clutter.luminance != "dimmed":
            for i, scene in enumerate(images[part]):
                scene[:] = equalise(scene, owner[i], covered[i], background=clutter.luminance == "canvas")
            backdrop = np.where(covered[:, None], backdrop, images[part])
        backdrops[part] = backdrop
    return images, masks, backdrops


def _crops(
    sprites: Sprites,
    clutter: Clutter,
    donors: NDArray[np.int64],
    seed: int,
    scenes: NDArray[np.int64],
    chosen: NDArray[np.int64],
) -> Iterator[NDArray[np.uint8]]:
    """Yield each distractor of all scenes, uint8 [M, C, H, W] on black."""
    height, width = clutter.size
    least, greatest = (round(share * 256) for share in clutter.dim) if clutter.luminance == "dimmed" else (256, 256)
    draw = words(seed, Purpose.DISTRACTOR, scenes, 6 * clutter.distractors).reshape(len(scenes), -1, 6)
    for which in range(clutter.distractors):
        donor_word, *crop_words, row_word, column_word, dim_word = draw[:, which].T
        donor = sprites.other(donors, chosen, donor_word)
        room = np.array([height, width]) - clutter.crop + 1
        corner = below(np.stack([row_word, column_word], axis=1), room)
        crop = sprites.crop(donor, clutter.crop, np.stack(crop_words, axis=1)).astype(np.int64)
        dim = least + below(dim_word, greatest - least + 1)
        dimmed = (crop * dim[:, None, None, None] // 256).astype(np.uint8)
        yield paste(dimmed, corner, height, width)


def _partners(items: ImageSet, left: NDArray[np.int64], word: NDArray[np.uint32]) -> NDArray[np.int64]:
    """Draw, for each item on the left, an item of another class, uniformly among all such items."""
    by_class = np.argsort(items.labels, kind="stable")
    sizes = np.bincount(items.labels, minlength=len(items.classes))
    if sizes.max() == len(items):
        raise DataError(items.name, "all items are of one class; a pair requires two classes")
    label = items.labels[left]
    first = (np.cumsum(sizes) - sizes)[label]
    position = below(word, len(items) - sizes[label])
    return by_class[np.where(position < first, position, position + sizes[label])]


def scene_numbers(items: ImageSet, seed: int, indices: Iterable[int] | None) -> NDArray[np.int64]:
    """Numbers of the scenes to make, int64 [M]; a DataError for others, or for a seed out of range."""
    check_seed(seed)
    numbers = np.array(list(range(len(items)) if indices is None else indices))
    if numbers.ndim != 1 or not numbers.size or not np.issubdtype(numbers.dtype, np.integer) or numbers.min() < 0:
        raise DataError(items.name, "indices must be a non-empty list of scene numbers, each an integer >= 0")
    return numbers.astype(np.int64)


def _level(share: float) -> int:
    return round(share * 255)


def _floor(clutter: Clutter) -> int:
    return 1 if clutter.luminance == "canvas" else _level(clutter.background) + _GAP
