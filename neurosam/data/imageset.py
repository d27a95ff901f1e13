"""Sets of labelled images, as frozen values: the result of every loader and the input of training and evaluation.

Pixels are bytes (0 .. 255) until ``float()`` divides them by 255, so a set is small, exact, and equal on every machine.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurosam.data.draws import Purpose, words
from neurosam.errors import DataError

__all__ = ["GridSet", "ImageSet", "PairSet"]


@dataclass(frozen=True, eq=False)
class _Images:
    """The images of a set."""

    images: NDArray[np.uint8]

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.images)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape (C, H, W) of one image."""
        _, channels, height, width = self.images.shape
        return channels, height, width

    def float(self) -> NDArray[np.float32]:
        """Return the intensities as a new float32 [N, C, H, W] array in [0, 1]: byte / 255, rounded once."""
        return self.images.astype(np.float32) / np.float32(255)


@dataclass(frozen=True, eq=False)
class ImageSet(_Images):
    """N images of one size, their labels and, if known, the pixels of the labelled items.

    Parameters
    ----------
    images : uint8 [N, C, H, W]
        Intensities 0 .. 255. N, C, H and W are at least 1.
    labels : int64 [N]
        Indices into `classes`.
    masks : bool [N, H, W] or None
        True on the pixels of the labelled item; None if they are not known.
    classes : tuple of str
        Distinct class names, in the order of the labels.
    name : str
        Name of the set in reports and error messages.

    Raises
    ------
    DataError
        If a shape, type or label is not valid.

    Examples
    --------
    >>> from neurosam.data import ImageSet
    >>> images = np.zeros((6, 1, 8, 8), np.uint8)
    >>> items = ImageSet(images, np.array([0, 0, 0, 1, 1, 1]), None, ("cat", "dog"), "pets")
    >>> len(items), items.shape, items.float().dtype
    (6, (1, 8, 8), dtype('float32'))
    >>> train, test = items.split(4, 2, seed=0)
    >>> sorted(train.labels.tolist()), sorted(test.labels.tolist())
    ([0, 0, 1, 1], [0, 1])
    >>> items.shrink(4, 4).images.shape
    (6, 1, 4, 4)
    """

    labels: NDArray[np.int64]
    masks: NDArray[np.bool_] | None
    classes: tuple[str, ...]
    name: str

    def __post_init__(self) -> None:
        _check_images(self.name, self.images)
        count, _, height, width = self.images.shape
        _check_labels(self.name, self.labels, (count,), self.classes)
        if self.masks is not None:
            _check_masks(self.name, self.masks, (count, height, width))

    def subset(self, indices: ArrayLike) -> ImageSet:
        """Return a copy with the given samples, in the given order.

        Parameters
        ----------
        indices : int [M] or bool [N]
            Sample numbers 0 .. N - 1, with repetitions allowed, or one boolean per sample. At least one sample.

        Raises
        ------
        DataError
            If `indices` is empty, has another type or shape, or is out of range.
        """
        chosen = np.asarray(indices)
        if chosen.dtype == np.bool_ and chosen.shape == (len(self),):
            chosen = np.flatnonzero(chosen)
        if chosen.ndim != 1 or not chosen.size or not np.issubdtype(chosen.dtype, np.integer):
            raise DataError(
                self.name,
                f"indices have shape {chosen.shape} and type {chosen.dtype}; a non-empty list of integers, or "
                f"{len(self)} booleans of which at least one is True, is required",
            )
        if chosen.min() < 0 or chosen.max() >= len(self):
            raise DataError(
                self.name, f"index {chosen.min() if chosen.min() < 0 else chosen.max()} is outside 0 .. {len(self) - 1}"
            )
        return replace(
            self,
            images=self.images[chosen],
            labels=self.labels[chosen],
            masks=None if self.masks is None else self.masks[chosen],
        )

    def split(self, train: int, test: int, seed: int = 0) -> tuple[ImageSet, ImageSet]:
        """Return two disjoint random subsets, each with the class proportions of the whole set.

        Both come from one random order: the m samples of a class, shuffled, get the ranks (0.5, 1.5, ..) / m, and all
        samples are sorted by rank. The first `train` samples are one subset, the next `test` samples the other. Any
        section of this order is balanced to within one sample per class at either end. With the same seed, a larger
        `train` starts with the same samples.

        Parameters
        ----------
        train, test : int
            Sizes, at least 1 each, together at most N.
        seed : int
            0 .. 2**64 - 1. The order depends only on the seed and the labels.

        Raises
        ------
        DataError
            If a size is not valid.
        """
        sizes = []
        for argument, size in (("train", train), ("test", test)):
            try:
                sizes.append(operator.index(size))
            except TypeError:
                raise DataError(argument, f"got {size!r}; an integer number of samples is required") from None
        if min(sizes) < 1 or sum(sizes) > len(self):
            raise DataError(
                self.name,
                f"cannot split {len(self)} samples into {train} + {test}; each size is at least 1, their sum at most "
                f"{len(self)}",
            )
        shuffled = np.argsort(words(seed, Purpose.SPLIT, [0], len(self))[0], kind="stable")
        rank = np.empty(len(self), dtype=np.float64)
        for label in np.unique(self.labels):
            members = np.flatnonzero(self.labels[shuffled] == label)
            rank[members] = (np.arange(len(members)) + 0.5) / len(members)
        order = shuffled[np.argsort(rank, kind="stable")]
        return self.subset(order[: sizes[0]]), self.subset(order[sizes[0] : sum(sizes)])

    def shrink(self, height: int, width: int) -> ImageSet:
        """Return the set with its images shrunk to height x width by area averaging, rounded to the nearest byte.

        Raises
        ------
        DataError
            If a size is larger than the image or below 1, or the set has masks (a shrunk mask would not be exact;
            shrink the items before placing them).
        """
        if self.masks is not None:
            raise DataError(
                self.name, "has exact masks, which shrinking would blur; shrink the items before placing them"
            )
        _, old_height, old_width = self.shape
        if not (1 <= height <= old_height and 1 <= width <= old_width):
            raise DataError(
                self.name,
                f"cannot shrink {old_height} x {old_width} pixels to {height} x {width}; sides may only shrink",
            )
        rows, columns = _area_weights(old_height, height), _area_weights(old_width, width)
        total = rows @ self.images.astype(np.float64) @ columns.T  # integers below 2**53: exact in any order
        area = old_height * old_width
        return replace(self, images=((total + area // 2) // area).astype(np.uint8))


@dataclass(frozen=True, eq=False)
class GridSet(_Images):
    """N grids of K pictures of different classes, and the cell of each (see :func:`neurosam.data.grids`).

    Parameters
    ----------
    images : uint8 [N, C, H, W]
        Intensities 0 .. 255.
    labels : int64 [N, K]
        Class in each cell, row by row.
    masks : bool [N, K, H, W]
        Pixels of each cell.
    classes : tuple of str
        Class names, in the order of the labels.
    name : str
        Name of the set in reports and error messages.

    Raises
    ------
    DataError
        If a shape, type or label is not valid.
    """

    labels: NDArray[np.int64]
    masks: NDArray[np.bool_]
    classes: tuple[str, ...]
    name: str

    def __post_init__(self) -> None:
        _check_images(self.name, self.images)
        count, _, height, width = self.images.shape
        several = self._several()
        _check_labels(self.name, self.labels, (count, several), self.classes)
        _check_masks(self.name, self.masks, (count, several, height, width))

    def _several(self) -> int:
        """Pictures or items in an image."""
        return self.labels.shape[1] if self.labels.ndim == 2 else 0


class PairSet(GridSet):
    """N images with two items each: ``labels`` and ``masks`` are those of the left item, then of the right one.

    As :class:`GridSet` with K = 2, but masks are the pixels of the items; no pixel is in both.
    """

    def _several(self) -> int:
        return 2


def _area_weights(old: int, new: int) -> NDArray[np.float64]:
    """Return integers, float64 [new, old]: overlap of each new pixel (of length `old`) with each old one (of `new`)."""
    edges = np.arange(new + 1) * old
    pixels = np.arange(old + 1) * new
    overlap = np.minimum(edges[1:, None], pixels[None, 1:]) - np.maximum(edges[:-1, None], pixels[None, :-1])
    return np.asarray(np.maximum(overlap, 0), dtype=np.float64)


def _check_images(name: str, images: NDArray[np.uint8]) -> None:
    if images.dtype != np.uint8 or images.ndim != 4 or 0 in images.shape:
        raise DataError(name, f"images are {images.dtype} {images.shape}; non-empty uint8 (N, C, H, W) is required")


def _check_labels(name: str, labels: NDArray[np.int64], shape: tuple[int, ...], classes: Sequence[str]) -> None:
    if labels.dtype != np.int64 or labels.shape != shape:
        raise DataError(name, f"labels are {labels.dtype} {labels.shape}; int64 {shape} is required")
    if len(set(classes)) != len(classes):
        raise DataError(name, "two classes have the same name")
    if labels.min() < 0 or labels.max() >= len(classes):
        raise DataError(name, f"labels lie in {labels.min()} .. {labels.max()}, but there are {len(classes)} classes")


def _check_masks(name: str, masks: NDArray[np.bool_], shape: tuple[int, ...]) -> None:
    if masks.dtype != np.bool_ or masks.shape != shape:
        raise DataError(name, f"masks are {masks.dtype} {masks.shape}; bool {shape} is required")
