"""Cut items out of their frames and paste them elsewhere, many at once and without rounding.

Used by ``clutter``; all coordinates are (row, column) in pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from neurosam.data.draws import below
from neurosam.data.imageset import ImageSet
from neurosam.errors import DataError

_Pixel = TypeVar("_Pixel", bound=np.generic)


@dataclass(frozen=True, eq=False)
class Sprites:
    """Items that were cut out: their levels, their ink (the pixels of the item), and its bounding box.

    Attributes
    ----------
    name : str
        The set that they come from, for error messages.
    levels : uint8 [N, C, h, w]
        ``floor .. 255`` on the ink, 0 elsewhere.
    ink : bool [N, h, w]
        The pixels of the item; at least one per item.
    corner : int64 [N, 2]
        First row and first column with ink.
    box : int64 [N, 2]
        Height and width of the box around the ink, >= 1.
    """

    name: str
    levels: NDArray[np.uint8]
    ink: NDArray[np.bool_]
    corner: NDArray[np.int64]
    box: NDArray[np.int64]

    @classmethod
    def cut(cls, items: ImageSet, *, ink: float, floor: int) -> Sprites:
        """Cut the items out.

        Parameters
        ----------
        items : ImageSet
            If it has masks, these are the ink.
        ink : float
            Otherwise the ink is the pixels whose brightest channel exceeds ``ink * 255``.
        floor : int
            1 .. 255, the lowest level of an ink pixel: ``floor + (255 - floor) * level // 255``.

        Raises
        ------
        DataError
            If an item has no ink.
        """
        mask: NDArray[np.bool_] = items.images.max(axis=1) > ink * 255 if items.masks is None else items.masks
        rows: NDArray[np.bool_] = np.any(mask, axis=2)
        columns: NDArray[np.bool_] = np.any(mask, axis=1)
        blank = np.flatnonzero(~rows.any(axis=1))
        if blank.size:
            raise DataError(
                items.name,
                f"{blank.size} item(s) have no ink, the first is number {blank[0]}; "
                "lower the ink threshold or leave them out with subset()",
            )
        corner = np.stack([rows.argmax(axis=1), columns.argmax(axis=1)], axis=1)
        end = np.stack([line.shape[1] - line[:, ::-1].argmax(axis=1) for line in (rows, columns)], axis=1)
        lifted = np.array([floor + (255 - floor) * level // 255 for level in range(256)], dtype=np.uint8)
        levels = np.where(mask[:, None], lifted[items.images], np.uint8(0))
        return cls(items.name, levels, mask, corner, end - corner)

    def place(
        self, chosen: NDArray[np.int64], draw: NDArray[np.uint32], height: int, left: NDArray[np.int64], width: int
    ) -> NDArray[np.int64]:
        """Draw positions for the ink of the chosen items.

        Parameters
        ----------
        chosen : int64 [M, K]
            Items.
        draw : uint32 [M, K, 2]
            Random words for the row and the column.
        height : int
            Rows that may be used, from 0.
        left : int64 [K]
            First column that may be used by the k-th item of a scene.
        width : int
            Columns that may be used by each.

        Returns
        -------
        int64 [M, K, 2]
            Position of the top left corner of the bounding box of the ink.

        Raises
        ------
        DataError
            If an item's ink does not fit.
        """
        room = np.array([height, width]) - self.box[chosen] + 1
        if room.min() < 1:
            item = chosen[(room < 1).any(axis=2)][0]
            tall, wide = self.box[item]
            raise DataError(
                self.name,
                f"the ink of item {item} is {tall} x {wide} pixels, and the space for it is {height} x {width}; "
                "use a larger canvas, or shrink the items first with shrink()",
            )
        corner = below(draw, room)
        corner[..., 1] += left
        return corner

    def donors(self, crop: int, shown: int) -> NDArray[np.int64]:
        """Return the items whose ink is longer than `crop` on a side, so that no crop contains all of it.

        Parameters
        ----------
        crop : int
            Side of a crop in pixels.
        shown : int
            Number of items that a scene shows; a scene takes no crops from these.

        Raises
        ------
        DataError
            If a crop is larger than the frame of the items, or there are not enough other items to take crops from.
        """
        tall, wide = self.ink.shape[1:]
        if crop > min(tall, wide):
            raise DataError("crop", f"got {crop} pixels, but the items of {self.name} are {tall} x {wide}")
        long = np.flatnonzero((self.box > crop).any(axis=1))
        if len(long) <= shown:
            raise DataError(
                self.name,
                f"{len(long)} item(s) are longer than a crop of {crop} pixels, {shown + 1} are required: distractors "
                "are cut from items that a scene does not show; give more items, a smaller `crop`, or no `distractors`",
            )
        return long

    def other(
        self, donors: NDArray[np.int64], chosen: NDArray[np.int64], word: NDArray[np.uint32]
    ) -> NDArray[np.int64]:
        """Draw a donor for each scene; if the scene shows it, take the next one."""
        position = below(word, len(donors))
        for _ in range(chosen.shape[1]):
            position = (position + (donors[position][:, None] == chosen).any(axis=1)) % len(donors)
        return donors[position]

    def crop(self, item: NDArray[np.int64], side: int, draw: NDArray[np.uint32]) -> NDArray[np.uint8]:
        """Cut a square out of the bounding box of each item's ink.

        If the box is narrower than the square, the square starts where the box does (or ends at the frame).

        Parameters
        ----------
        item : int64 [M]
            Items.
        side : int
            Pixels.
        draw : uint32 [M, 2]
            Random words for the row and the column.

        Returns
        -------
        uint8 [M, C, side, side]
        """
        start = self.corner[item] + below(draw, np.maximum(self.box[item] - side + 1, 1))
        start = np.minimum(start, np.array(self.ink.shape[1:]) - side)
        rows, columns = _window(start, side, side)
        channel = np.arange(self.levels.shape[1])[:, None, None]
        return self.levels[item[:, None, None, None], channel, rows[:, None], columns[:, None]]


def paste(frames: NDArray[_Pixel], corner: NDArray[np.int64], height: int, width: int) -> NDArray[_Pixel]:
    """Put each frame on a blank canvas of its own.

    Parameters
    ----------
    frames : [M, C, h, w]
        What to paste; of any type.
    corner : int64 [M, 2]
        Position of a frame's top left pixel, from ``(-h, -w)`` to ``(height, width)``; what extends beyond the canvas
        is cut off.
    height, width : int
        Size of the canvas.

    Returns
    -------
    [M, C, height, width], of the frames' type
    """
    count, channels, tall, wide = frames.shape
    canvas = np.zeros((count, channels, height + 2 * tall, width + 2 * wide), dtype=frames.dtype)
    rows, columns = _window(corner + np.array([tall, wide]), tall, wide)
    channel = np.arange(channels)[:, None, None]
    canvas[np.arange(count)[:, None, None, None], channel, rows[:, None], columns[:, None]] = frames
    return canvas[:, :, tall : tall + height, wide : wide + width]


def dilate(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the mask [M, H, W] grown by one pixel in all eight directions."""
    grown = mask.copy()
    grown[:, 1:] |= mask[:, :-1]
    grown[:, :-1] |= mask[:, 1:]
    wide = grown.copy()
    wide[:, :, 1:] |= grown[:, :, :-1]
    wide[:, :, :-1] |= grown[:, :, 1:]
    return wide


def _window(start: NDArray[np.int64], tall: int, wide: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the rows [M, tall, 1] and the columns [M, 1, wide] of windows that start at `start` [M, 2]."""
    return start[:, 0, None, None] + np.arange(tall)[:, None], start[:, 1, None, None] + np.arange(wide)
