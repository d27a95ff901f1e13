"""The training part and the held-out part of a data set; no sample is in both.

| source | training | held out |
|---|---|---|
| fashion, a folder of IDX files | train | test |
| an image folder with ``val/val_annotations.txt`` (Tiny-ImageNet, whose ``test`` has no labels) | train | val |
| an image folder with ``train`` and ``test``, or ``train`` and ``val`` | train | test, else val |
| any other | four fifths of each class, chosen by a seed | the rest |
"""

from __future__ import annotations

import os
from pathlib import Path

from neurosam.data.folder import ANNOTATIONS
from neurosam.data.idx import is_idx_folder
from neurosam.data.imageset import ImageSet
from neurosam.data.sources import has_name, load

__all__ = ["load_held_out", "load_training"]

_SHARE = 5
"""One in this many samples is held out if the data set is not divided into parts."""


def load_training(
    source: str | os.PathLike[str], *, seed: int = 0, size: int | tuple[int, int] | None = None
) -> ImageSet:
    """Load the training part of a data set.

    Parameters
    ----------
    source : str or path
        As for :func:`load`, but without ``cluttered-``, because canvases must be made after the division.
    seed : int
        Seed of the division, if the source is not divided into parts.
    size : int or (int, int), optional
        For an image folder: see :func:`load_image_folder`.

    Raises
    ------
    DataError
        As for :func:`load`.
    """
    part = _held_out_part(os.fspath(source))
    return _divided(source, seed, size)[0] if part is None else load(source, part="train", size=size)


def load_held_out(
    source: str | os.PathLike[str], *, seed: int = 0, size: int | tuple[int, int] | None = None
) -> ImageSet:
    """Load the held-out part of a data set; parameters and errors as for :func:`load_training`."""
    part = _held_out_part(os.fspath(source))
    return _divided(source, seed, size)[1] if part is None else load(source, part=part, size=size)


def _held_out_part(source: str) -> str | None:
    """Name of the source's held-out part; None if the source is not divided into parts."""
    if has_name(source):
        return "test" if source == "fashion" else None
    folder = Path(source)
    if is_idx_folder(folder):
        return "test"
    if not (folder / "train").is_dir():
        return None
    parts = ("val", "test") if (folder / "val" / ANNOTATIONS).is_file() else ("test", "val")
    return next((part for part in parts if (folder / part).is_dir()), None)


def _divided(
    source: str | os.PathLike[str], seed: int, size: int | tuple[int, int] | None
) -> tuple[ImageSet, ImageSet]:
    everything = load(source, size=size)
    held_out = len(everything) // _SHARE
    return everything.split(len(everything) - held_out, held_out, seed=seed)
