"""Read a folder of images with one subfolder per class, without trusting its contents.

Layouts, in the order in which they are tried:

    <root>/<part>/...                    if `part` is given, or the root has a folder `train`; inside it:
    <part>/<class>/*.png                 the usual layout
    <part>/<class>/images/*.JPEG         the training part of Tiny-ImageNet
    <part>/images/*.JPEG                 the validation part of Tiny-ImageNet, recognised by its ``val_annotations.txt``

A line of ``val_annotations.txt`` is a file name, a tab, a class, a tab, and a box, which is ignored here:
:mod:`neurosam.data.tiny_imagenet` reads the boxes.

Classes are numbered in the order of their names, in every part as in ``train`` if there is one; files are in the order
of their names. Files without the suffix of an image are skipped. An image is refused, by name, if its file or its
number of pixels is too large, if pillow cannot decode it, or if it is outside the root, for example through a symbolic
link. All sizes are checked before pixels are decoded.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from neurosam._util.untrusted import MALFORMED_ARCHIVE
from neurosam.data.imageset import ImageSet
from neurosam.errors import DataError

__all__ = [
    "ANNOTATIONS",
    "check_inside",
    "image_files",
    "is_image",
    "list_images",
    "load_image_folder",
    "load_images",
    "picture_size",
    "target_size",
]

_SUFFIXES = (".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".webp")
_FORMATS = ("BMP", "JPEG", "PNG", "PPM", "WEBP")
_MODES = {1: "L", 3: "RGB"}
_MOST_FILE_BYTES = 32 * 2**20
_MOST_PIXELS = 2**24
_MOST_BYTES = 4 * 2**30
_SCAN = b"\xff\xda"
"""What a scan of a JPEG begins with; a progressive one has about ten, of which each costs a pass over all pixels."""
_MOST_SCANS = 100
ANNOTATIONS = "val_annotations.txt"


def load_image_folder(
    folder: str | os.PathLike[str],
    part: str | None = None,
    *,
    size: int | tuple[int, int] | None = None,
    channels: int = 3,
    max_file_bytes: int = _MOST_FILE_BYTES,
    max_pixels: int = _MOST_PIXELS,
) -> ImageSet:
    """Load a folder of images.

    Parameters
    ----------
    folder : path
        The root; the supported layouts are listed at the top of this module.
    part : str, optional
        Folder in the root to load, such as ``"train"`` or ``"val"``; default ``train`` if it exists, otherwise the
        root.
    size : int or (int, int), optional
        Height and width, or the side of a square. An image is cropped around its centre to this aspect ratio, as little
        as possible, then resized (bilinear). Without it, all images must have the same size.
    channels : {3, 1}
        Colour or grey (ITU-R 601 luma, as pillow converts). Transparency is dropped.
    max_file_bytes, max_pixels : int
        Limits for the size of a file, and for width times height; larger files are refused.

    Returns
    -------
    ImageSet
        uint8 [N, channels, H, W], no masks.

    Raises
    ------
    DataError
        If the folder has none of the layouts, a class is empty or not among those of ``train``, a file is refused,
        sizes differ, or pillow is not installed.
    """
    root = Path(folder).resolve()
    if not root.is_dir():
        raise DataError(str(folder), "is not a folder")
    if channels not in _MODES:
        raise DataError("channels", f"got {channels!r}; allowed are 3 (colour) and 1 (grey)")
    target = target_size(size)
    classes, files = list_images(root, part)
    paths = [path for path, _ in files]
    first = _decode(root, paths[0], target, channels, max_file_bytes, max_pixels)
    if first.nbytes * len(files) > _MOST_BYTES:
        raise DataError(
            str(root),
            f"{len(files)} images of {first.shape[1]} x {first.shape[2]} are more than {_MOST_BYTES} bytes; "
            "give a smaller size",
        )
    images = np.empty((len(files), *first.shape), dtype=np.uint8)
    for row, path in zip(images, paths, strict=True):
        pixels = _decode(root, path, target, channels, max_file_bytes, max_pixels)
        if pixels.shape != first.shape:
            raise DataError(
                str(path),
                f"is {pixels.shape[1]} x {pixels.shape[2]}, but {paths[0].name} is {first.shape[1]} x "
                f"{first.shape[2]}; give a size to crop and resize all images to (--size, or size=... in Python)",
            )
        row[:] = pixels
    labels = np.array([label for _, label in files], dtype=np.int64)
    return ImageSet(images, labels, None, tuple(classes), root.name)


def load_images(
    paths: Sequence[str | os.PathLike[str]], *, size: int | tuple[int, int] | None = None, channels: int = 3
) -> NDArray[np.uint8]:
    """Load image files without labels, uint8 [N, channels, H, W], in the given order; links are followed.

    Parameters
    ----------
    paths : sequence of path
        At least one; all of one size, unless `size` is given.
    size, channels
        As for :func:`load_image_folder`.

    Raises
    ------
    DataError
        If there is none, one is refused, or sizes differ.
    """
    files = [Path(path).resolve() for path in paths]
    if not files:
        raise DataError("images", "got none; at least 1 is required")
    target, first = target_size(size), files[0]
    out: list[NDArray[np.uint8]] = []
    for path in files:
        if not path.exists():
            raise DataError(str(path), "does not exist; check the name")
        pixels = _decode(path.parent, path, target, channels, _MOST_FILE_BYTES, _MOST_PIXELS)
        if out and pixels.shape != out[0].shape:
            raise DataError(str(path), f"is {pixels.shape[1]} x {pixels.shape[2]}, but {first.name} is "
                            f"{out[0].shape[1]} x {out[0].shape[2]}; give a size (--size, or size=...)")  # fmt: skip
        if pixels.nbytes * (len(out) + 1) > _MOST_BYTES:
            raise DataError(str(path), f"is one image too many: together they are more than {_MOST_BYTES} bytes")
        out.append(pixels)
    return np.stack(out)


def image_files(folder: str | os.PathLike[str]) -> list[Path]:
    """The image files in a folder, but not in its sub-folders, in the order of their names."""
    return _image_files(Path(folder).resolve(), Path(folder).resolve())


def is_image(path: str | os.PathLike[str]) -> bool:
    """Whether a file has the suffix of an image."""
    return Path(path).suffix.lower() in _SUFFIXES


def picture_size(path: Path) -> tuple[int, int]:
    """Height and width of a picture that was decoded before."""
    from PIL import Image

    with Image.open(path, formats=_FORMATS) as picture:
        return picture.height, picture.width


def _part(root: Path, part: str | None) -> Path:
    if part is None:
        return root / "train" if (root / "train").is_dir() else root
    if not part or part in (".", "..") or Path(part).name != part or not (root / part).is_dir():
        raise DataError(str(root), f"has no folder {part!r}; `part` is the name of a folder in it")
    return root / part


def target_size(size: int | tuple[int, int] | None) -> tuple[int, int] | None:
    """Height and width in pixels, each 1 .. 4096; None for pictures as they are."""
    if size is None:
        return None
    height, width = size if isinstance(size, tuple) else (size, size)
    if not (1 <= height <= 4096 and 1 <= width <= 4096):
        raise DataError("size", f"got {size}; a side has 1 .. 4096 pixels")
    return height, width


def list_images(root: Path, part: str | None) -> tuple[list[str], list[tuple[Path, int]]]:
    """Return the class names and, in a fixed order, each image with its label; `root` is resolved."""
    folder = _part(root, part)
    if (folder / ANNOTATIONS).is_file():
        return _annotated(root, folder)
    present = _folders(root, folder)
    if not present:
        raise DataError(str(folder), "has no class folders; one folder per class, with images in it, is required")
    classes = present if folder == root or not (root / "train").is_dir() else _folders(root, root / "train")
    unknown = [name for name in present if name not in classes]
    if unknown:
        raise DataError(
            str(folder), f"has the class folder {unknown[0]!r}, and {root / 'train'} has none of that name; the parts "
            "of a data set must agree on its classes",
        )  # fmt: skip
    files = []
    for label, name in enumerate(classes):
        if name not in present:
            continue
        inner = folder / name / "images"
        images = _image_files(root, inner if inner.is_dir() else folder / name)
        if not images:
            raise DataError(str(folder / name), f"has no images ({' '.join(_SUFFIXES)}); add some or remove the folder")
        files += [(path, label) for path in images]
    return classes, files


def _annotated(root: Path, folder: Path) -> tuple[list[str], list[tuple[Path, int]]]:
    """Read the validation part of Tiny-ImageNet."""
    annotations = folder / ANNOTATIONS
    check_inside(root, annotations)
    if annotations.stat().st_size > _MOST_FILE_BYTES:
        raise DataError(str(annotations), f"is larger than {_MOST_FILE_BYTES} bytes")
    if not (root / "train").is_dir():
        raise DataError(str(root), f"has {ANNOTATIONS} but no folder 'train', whose class folders number the classes")
    classes = _folders(root, root / "train")
    label = {name: number for number, name in enumerate(classes)}
    by_name = {path.name: path for path in _image_files(root, folder / "images")}
    files = []
    for number, line in enumerate(annotations.read_text("utf-8", errors="replace").splitlines(), start=1):
        name, _, rest = line.partition("\t")
        class_name = rest.partition("\t")[0]
        if name not in by_name or class_name not in label:
            raise DataError(f"{annotations}:{number}", f"image {name!r} or class {class_name!r} does not exist")
        files.append((by_name[name], label[class_name]))
    if not files:
        raise DataError(str(annotations), "names no images")
    return classes, sorted(files)


def _folders(root: Path, folder: Path) -> list[str]:
    check_inside(root, folder)
    names = sorted(entry.name for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    for name in names:
        if any("\ud800" <= character <= "\udfff" for character in name):
            raise DataError(str(folder), f"has a folder {name!a}, whose name is not UTF-8; rename it")
    return names


def _image_files(root: Path, folder: Path) -> list[Path]:
    check_inside(root, folder)
    if not folder.is_dir():
        return []
    return sorted(
        entry for entry in folder.iterdir() if entry.suffix.lower() in _SUFFIXES and not entry.name.startswith(".")
    )


def check_inside(root: Path, path: Path) -> None:
    """Raise a DataError unless a path, with its links resolved, lies in `root`, which is resolved."""
    try:
        inside = path.resolve().is_relative_to(root)
    except (OSError, RuntimeError):  # a link to itself
        inside = False
    if not inside:
        raise DataError(str(path), f"is a link that leaves {root}; copy the file there instead")


def _decode(
    root: Path, path: Path, size: tuple[int, int] | None, channels: int, max_file_bytes: int, max_pixels: int
) -> NDArray[np.uint8]:
    """Return one image as uint8 [channels, H, W]."""
    try:
        from PIL import Image, ImageOps
    except ImportError:
        raise DataError(str(root), "reading images requires pillow: pip install neurosam[viz]") from None
    check_inside(root, path)
    where = str(path)
    try:
        if not path.is_file():
            raise DataError(where, "is not a regular file")
        if path.stat().st_size > max_file_bytes:
            raise DataError(where, f"has {path.stat().st_size} bytes; at most {max_file_bytes} are accepted")
        octets = path.read_bytes()
        if octets.startswith(b"\xff\xd8") and (scans := octets.count(_SCAN)) > _MOST_SCANS:
            raise DataError(
                where, f"is a JPEG of {scans} scans of the whole picture; at most {_MOST_SCANS} are accepted"
            )
        with Image.open(path, formats=_FORMATS) as picture:
            if picture.width * picture.height > max_pixels:
                raise DataError(
                    where, f"has {picture.width} x {picture.height} pixels; at most {max_pixels} in total are accepted"
                )
            if picture.mode[0] in "IF":
                raise DataError(where, f"has pixels of mode {picture.mode}; only 8 bits per channel are supported")
            pixels = picture.convert(_MODES[channels])
            if size is not None:
                pixels = ImageOps.fit(pixels, (size[1], size[0]), Image.Resampling.BILINEAR)
            array = np.asarray(pixels, dtype=np.uint8)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise DataError(where, f"has too many pixels; at most {max_pixels} are accepted") from error
    except (*MALFORMED_ARCHIVE, struct.error) as error:
        raise DataError(where, f"cannot be read as an image ({error})") from error
    return array.reshape(*array.shape[:2], channels).transpose(2, 0, 1)
