"""Read Tiny-ImageNet's layout with its object boxes as masks, without trusting it.

    wnids.txt                                  one class number a line (n02504458)
    words.txt                                  class number, tab, names, separated by commas; may name other classes too
    train/<class>/images/*.JPEG
    train/<class>/<class>_boxes.txt            file, x0, y0, x1, y1, separated by tabs; both corners are inside the box
    val/images/*.JPEG
    val/val_annotations.txt                    file, class, x0, y0, x1, y1

Recognised by ``wnids.txt`` beside ``train``. Pictures, their order and their labels are those of
:mod:`neurosam.data.folder` (classes in the order of their numbers); here they get masks, and the first name of their
class in ``words.txt`` (with the number where two classes share it). The part ``test`` has no labels. A part without any
box has no masks.

Where a size is given, a picture is cropped around its centre and resized; its box goes along: every pixel that touches
it is inside. A box that the crop leaves out becomes the pixels of the border beside it, so that no mask is empty.

Source: Stanford CS231n (http://cs231n.stanford.edu/tiny-imagenet-200.zip), 200 classes of ImageNet in 64 x 64.
"""

from __future__ import annotations

import math
import os
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from neurosam.data.folder import ANNOTATIONS, check_inside, list_images, load_image_folder, picture_size
from neurosam.data.imageset import ImageSet
from neurosam.errors import DataError

__all__ = ["is_tiny_imagenet", "load_tiny_imagenet"]

_NUMBERS, _WORDS = "wnids.txt", "words.txt"
_MOST_TEXT_BYTES = 16 * 2**20
_NAME_LENGTH = 100
_Box = tuple[int, int, int, int]
_Boxes = dict[str, tuple[str, _Box]]
"""Where the line stands, and the box, by "class/file"; empty if the set has no boxes."""


def is_tiny_imagenet(folder: Path) -> bool:
    """Whether a folder has the layout."""
    return (folder / _NUMBERS).is_file() and (folder / "train").is_dir()


def load_tiny_imagenet(
    folder: str | os.PathLike[str],
    part: str | None = None,
    *,
    size: int | tuple[int, int] | None = None,
    channels: int = 3,
) -> ImageSet:
    """Load a part of Tiny-ImageNet, or of a set in its layout.

    Parameters
    ----------
    folder : path
        The root, with ``wnids.txt``, ``train`` and ``val``.
    part : {"train", "val"}, optional
        Default ``train``.
    size, channels
        As for :func:`load_image_folder`.

    Returns
    -------
    ImageSet
        uint8 [N, channels, H, W], with boxes as masks if the set has any.

    Raises
    ------
    DataError
        As for :func:`load_image_folder`; also for a class without a number in ``wnids.txt``, a picture without a box,
        and a box outside its picture. The message names the file and the line.

    Examples
    --------
    >>> from neurosam.data import load_tiny_imagenet
    >>> pictures = load_tiny_imagenet("tiny-imagenet-200", "val")  # doctest: +SKIP
    >>> pictures.images.shape, pictures.masks.shape, pictures.classes[:2]  # doctest: +SKIP
    ((10000, 3, 64, 64), (10000, 64, 64), ('goldfish', 'European fire salamander'))
    """
    root = Path(folder).resolve()
    if not is_tiny_imagenet(root):
        raise DataError(str(folder), f"is not in the layout of Tiny-ImageNet: {_NUMBERS} and train are required")
    if part not in (None, "train", "val"):
        raise DataError(str(root), f"has no labelled part {part!r}; allowed are 'train' and 'val'")
    pictures = load_image_folder(root, part, size=size, channels=channels)
    numbers, files = list_images(root, part)
    known = {number for _, number in _lines(root, root / _NUMBERS)}
    if unknown := [number for number in numbers if number not in known]:
        raise DataError(str(root / _NUMBERS), f"does not list the class {unknown[0]!r} of {root / 'train'}")
    boxes = _val_boxes(root) if part == "val" else _train_boxes(root, numbers)
    masks = None
    if boxes:
        masks = _masks([(path, f"{numbers[label]}/{path.name}") for path, label in files], boxes, pictures, size)
    return replace(pictures, masks=masks, classes=_names(root, numbers))


def _train_boxes(root: Path, numbers: list[str]) -> _Boxes:
    files = [root / "train" / number / f"{number}_boxes.txt" for number in numbers]
    present = [path for path in files if path.exists()]
    boxes: _Boxes = {}
    for path in files if present else []:
        if path not in present:
            raise DataError(str(path), "does not exist, but other classes have boxes; add it, or remove those")
        for where, line in _lines(root, path):
            name, *corners = line.split("\t")
            boxes[f"{path.parent.name}/{name}"] = where, _box(where, corners)
    return boxes


def _val_boxes(root: Path) -> _Boxes:
    lines = [(where, line.split("\t")) for where, line in _lines(root, root / "val" / ANNOTATIONS)]
    if all(len(fields) < 3 for _, fields in lines):
        return {}
    return {f"{fields[1]}/{fields[0]}": (where, _box(where, fields[2:])) for where, fields in lines if len(fields) > 1}


def _box(where: str, corners: list[str]) -> _Box:
    if len(corners) != 4 or not all(corner.isascii() and corner.isdecimal() and len(corner) < 6 for corner in corners):
        raise DataError(where, f"has the box {' '.join(corners)[:80]!r}; four integers x0 y0 x1 y1 are required")
    left, top, right, bottom = map(int, corners)
    if right < left or bottom < top:
        raise DataError(where, f"has the box {left} {top} {right} {bottom}; x0 <= x1 and y0 <= y1 are required")
    return left, top, right, bottom


def _masks(
    files: list[tuple[Path, str]], boxes: _Boxes, pictures: ImageSet, size: int | tuple[int, int] | None
) -> NDArray[np.bool_]:
    """The boxes of files, each with its key, in the pictures as they were cropped and resized to `size`."""
    _, height, width = pictures.shape
    masks = np.zeros((len(files), height, width), dtype=np.bool_)
    for mask, (path, key) in zip(masks, files, strict=True):
        if key not in boxes:
            raise DataError(str(path), "has no box in the list of its class; add a line, or remove the picture")
        where, (left, top, right, bottom) = boxes[key]
        tall, wide = (height, width) if size is None else picture_size(path)
        if right >= wide or bottom >= tall:
            raise DataError(where, f"has the box {left} {top} {right} {bottom} in a picture of {wide} x {tall}")
        rows = _covered(top, bottom, tall, height, Fraction(wide, width))
        mask[rows, _covered(left, right, wide, width, Fraction(tall, height))] = True
    return masks


def _covered(first: int, last: int, side: int, new: int, other_scale: Fraction) -> slice:
    """The pixels, of `new` along a side that is cropped as little as possible, that pixels first..last touch."""
    scale = min(Fraction(side, new), other_scale)
    cut = (side - scale * new) / 2
    start, stop = math.floor((first - cut) / scale), math.ceil((last + 1 - cut) / scale)
    return slice(min(max(start, 0), new - 1), max(min(stop, new), 1))


def _names(root: Path, numbers: list[str]) -> tuple[str, ...]:
    path = root / _WORDS
    if not path.is_file():
        return tuple(numbers)
    words = dict(line.partition("\t")[::2] for _, line in _lines(root, path))
    first = {number: words.get(number, "").split(",")[0].strip()[:_NAME_LENGTH] or number for number in numbers}
    taken = list(first.values())
    return tuple(name if taken.count(name) == 1 else f"{name} ({number})" for number, name in first.items())


def _lines(root: Path, path: Path) -> list[tuple[str, str]]:
    """Where each line that is not empty stands, and the line."""
    check_inside(root, path)
    if not path.is_file():
        raise DataError(str(path), "does not exist, or is not a regular file")
    if path.stat().st_size > _MOST_TEXT_BYTES:
        raise DataError(str(path), f"has {path.stat().st_size} bytes; at most {_MOST_TEXT_BYTES} are read")
    text = path.read_text("utf-8", errors="replace")
    return [(f"{path}:{number}", line.strip()) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
