"""The samples of one seed: canvases, pictures or recordings, for training and held out, and pairs of two items.

Recordings of an event camera are kept as images of T x C channels, channel t C + c of which has the spikes of channel c
at step t ("frames"); everything else goes to the networks as Poisson spikes.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
import numpy.typing as npt

from neurosam.data import (
    Clutter,
    ImageSet,
    PairSet,
    RecordingSet,
    cluttered,
    load_held_out,
    load_recordings,
    load_training,
    two_items,
)
from neurosam.errors import DataError
from neurosam.formats.events.rules import EventRules
from neurosam.signals.events import Events, encode
from neurosam.training.input_coding import FRAMES
from neurosam_study.plan import RECORDING_US, Plan

__all__ = ["HELD_OUT", "Samples", "encoded", "side_by_side"]

HELD_OUT = 1
"""Seed of the held-out samples, which all seeds share; those of training have even seeds and other items."""
SENSOR = (2, 34, 34)
"""Polarities, rows and columns of N-MNIST."""
GREY = 128
"""Level around two pictures side by side."""


def encoded(
    images: npt.NDArray[np.generic], steps: int, coding: str, seed: int, first: int = 0, magnitude: int = 1
) -> Events:
    """The input spikes of images, of which the first has a number; frames have theirs already."""
    if coding == FRAMES:
        by_step = images.reshape(len(images), steps, -1, *images.shape[2:]).swapaxes(0, 1)
        return Events.from_dense(by_step.astype(np.int32))
    return encode(images, steps, coding, seed, first, magnitude)


class Samples:
    """Samples of one seed, each made on first use.

    Parameters
    ----------
    plan : Plan
    seed : int
    """

    def __init__(self, plan: Plan, seed: int) -> None:
        self.plan, self.seed = plan, seed

    @cached_property
    def coding(self) -> str:
        """Code of the input spikes."""
        return FRAMES if self.plan.recordings else "poisson"

    @cached_property
    def input_shape(self) -> tuple[int, int, int]:
        """Shape of a network's input at one step."""
        if self.plan.canvases:
            return (self._items[0].shape[0], *self._clutter.size)
        return SENSOR if self.plan.recordings else self._items[0].shape

    @cached_property
    def _items(self) -> tuple[ImageSet, ImageSet]:
        """Items for training, and items that no seed trains on."""
        data, size = self.plan.data, self.plan.size
        if self.plan.recordings:
            train, test = (frames(load_recordings(data, part), self.plan.steps) for part in ("train", "test"))
            return train, test
        return load_training(data, seed=0, size=size), load_held_out(data, seed=0, size=size)

    @property
    def count(self) -> int:
        """Number of training images, before they are made."""
        wanted, items = self.plan.train, len(self._items[0])
        return items if wanted is None else wanted if self.plan.canvases else min(wanted, items)

    @cached_property
    def train(self) -> ImageSet:
        """Training images."""
        return self._images(self._items[0], 2 * self.seed, self.plan.train)

    @cached_property
    def test(self) -> ImageSet:
        """Held-out images, the same for all seeds."""
        return self._images(self._items[1], HELD_OUT, self.plan.test)

    @cached_property
    def explained(self) -> ImageSet:
        """Held-out images whose maps are evaluated."""
        return self.test.subset(np.arange(min(self.plan.explained, len(self.test))))

    @cached_property
    def pairs(self) -> PairSet | None:
        """Images with two held-out items side by side, the same for all seeds; None without masks."""
        if self.plan.canvases:
            items, side = self._items[1], self.pair_side
            items = items if side is None else items.shrink(side, side)
            return two_items(items, self._clutter, seed=HELD_OUT, indices=range(self.plan.test))
        return None if self.test.masks is None else side_by_side(self.test)

    @property
    def pair_side(self) -> int | None:
        """Side to which items that fill their frame are shrunk so that two fit; None for digits, which fit."""
        if self.plan.canvases:
            return self.plan.canvas // 2 - 1 if self.plan.data == "fashion" else None
        return self.input_shape[2] // 2

    def _images(self, items: ImageSet, seed: int, count: int | None) -> ImageSet:
        """Make `count` canvases with the items; without canvases, select `count` images in random order."""
        if self.plan.canvases:
            return cluttered(items, self._clutter, seed=seed, indices=range(len(items) if count is None else count))
        return items.subset(np.random.default_rng(seed).permutation(len(items))[:count])

    @property
    def _clutter(self) -> Clutter:
        return Clutter(canvas=self.plan.canvas, luminance=self.plan.luminance)


def frames(recordings: RecordingSet, steps: int) -> ImageSet:
    """Recordings of N-MNIST, each in equal steps, as images of T x 2 channels; one spike per step and pixel."""
    rules = EventRules(dt_us=RECORDING_US // steps, steps=steps, coincident="clip", order="sort")
    dense = recordings.events(SENSOR, rules).dense()
    images = dense.swapaxes(0, 1).reshape(len(recordings), -1, *SENSOR[1:]).astype(np.uint8)
    return ImageSet(images, recordings.labels, None, recordings.classes, recordings.name)


def side_by_side(pictures: ImageSet) -> PairSet:
    """Pairs of pictures of different classes at half their side, the next one of another class on the right, on grey.

    The masks are those of the pictures; a pixel belongs to one if any of the four that it stands for does.
    """
    count, (channels, height, width) = len(pictures), pictures.shape
    high, wide = height // 2, width // 2
    small = pictures.images[:, :, : 2 * high, : 2 * wide].reshape(count, channels, high, 2, wide, 2)
    small = small.mean(axis=(3, 5)).round().astype(np.uint8)
    masks = np.zeros((count, 1, height, width), np.bool_) if pictures.masks is None else pictures.masks[:, None]
    small_masks = np.asarray(masks[:, 0, : 2 * high, : 2 * wide].reshape(count, high, 2, wide, 2).any(axis=(2, 4)))
    labels = pictures.labels
    others = [next((j % count for j in range(i + 1, i + count) if labels[j % count] != labels[i]), i)
              for i in range(count)]  # fmt: skip
    pair = np.stack([np.arange(count), np.array(others)], axis=1)
    pair = pair[labels[pair[:, 0]] != labels[pair[:, 1]]]
    if not len(pair):
        raise DataError(pictures.name, "are all of one class; pairs need two")
    images = np.full((len(pair), channels, height, width), GREY, np.uint8)
    where = np.zeros((len(pair), 2, height, width), np.bool_)
    top = (height - high) // 2
    for side in (0, 1):
        columns = slice(0, wide) if side == 0 else slice(width - wide, width)
        images[:, :, top : top + high, columns] = small[pair[:, side]]
        where[:, side, top : top + high, columns] = small_masks[pair[:, side]]
    return PairSet(images, labels[pair], where, pictures.classes, f"pairs of {pictures.name}")
