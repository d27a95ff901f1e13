"""Read IDX files, the format of the MNIST family, plain or gzipped, without trusting them.

Layout (Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits"), big endian throughout:

    offset  size      meaning
    0       2         0
    2       1         type: 0x08 uint8, 0x09 int8, 0x0B int16, 0x0C int32, 0x0D float32, 0x0E float64
    3       1         number of dimensions D
    4       4 D       sizes, unsigned 32-bit
    4+4D    the rest  the values, last dimension fastest

The header is checked against the file before anything is allocated: a plain file must have exactly the declared length,
and a gzipped one must be long enough to hold the declared values at the best ratio of deflate. At most one byte more
than the declared number is ever decompressed.
"""

from __future__ import annotations

import gzip
import math
import os
import stat
import struct
import zlib
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from neurosam._util.memory import available_bytes, size_text
from neurosam.data.imageset import ImageSet
from neurosam.errors import DataError

__all__ = ["load_idx_folder", "read_idx"]

_TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_MOST_DIMENSIONS = 8
_MOST_BYTES = 4 * 2**30
_DEFLATE_RATIO = 1032  # deflate codes at most 258 bytes in 2 bits (zlib technical notes, "Maximum compression factor")

_EXPANDED, _EXPANSION = 2**28, 64
"""A .gz may expand to so many bytes, or to so many times its own size if that is more."""

_PARTS = {"train": "train", "test": "t10k"}  # the part, and how its files begin


def read_idx(path: str | os.PathLike[str], max_bytes: int = _MOST_BYTES) -> NDArray[Any]:
    """Read one IDX file, gzipped if its name ends in ``.gz``.

    Parameters
    ----------
    path : path
        A regular file.
    max_bytes : int
        Largest accepted size of the values, in bytes.

    Returns
    -------
    array
        In the shape that the file declares and in native byte order: uint8, int8, int16, int32, float32 or float64.

    Raises
    ------
    DataError
        If the file cannot be read, is not an IDX file, has no values or more than `max_bytes`, or does not have the
        length that its header declares.
    """
    path = Path(path)
    try:
        status = path.stat()  # before open(), which would block on a pipe
        if not stat.S_ISREG(status.st_mode) and not stat.S_ISDIR(status.st_mode):
            raise DataError(str(path), "is not a regular file")
        size = status.st_size
        with path.open("rb") as file:
            if path.suffix == ".gz":
                with gzip.GzipFile(fileobj=file) as unzipped:
                    return _read(path, cast("BinaryIO", unzipped), size * _DEFLATE_RATIO, max_bytes, size)
            return _read(path, file, size, max_bytes, 0)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(str(path), f"is a damaged gzip file ({error})") from error
    except OSError as error:
        raise DataError(str(path), f"cannot be read ({error.strerror or error})") from error


def _read(path: Path, file: BinaryIO, most: int, max_bytes: int, compressed: int) -> NDArray[Any]:
    """Read the values; `most` is an upper bound of the number of (uncompressed) bytes, header included."""
    where = str(path)
    zeros, code, dimensions = struct.unpack(">HBB", _exactly(where, file, 4))
    if zeros or code not in _TYPES:
        raise DataError(
            where, f"is not an IDX file: it starts with {zeros:04x} {code:02x}, allowed are 0000 and 08 09 0b .. 0e"
        )
    if not 1 <= dimensions <= _MOST_DIMENSIONS:
        raise DataError(where, f"declares {dimensions} dimensions; allowed are 1 .. {_MOST_DIMENSIONS}")
    shape = struct.unpack(f">{dimensions}I", _exactly(where, file, 4 * dimensions))
    dtype = np.dtype(_TYPES[code])
    declared = math.prod(shape) * dtype.itemsize  # Python integers cannot overflow
    if not declared:
        raise DataError(where, f"declares no values: its shape is {shape}")
    if declared > max_bytes:
        raise DataError(where, f"declares {declared} bytes (shape {shape}); at most {max_bytes} are accepted")
    if compressed > 2 * declared + 2**16:  # gzip would look for an end among zeros behind it, byte by byte
        raise DataError(where, f"has {compressed} bytes for a shape of {shape}, which is {declared} bytes of values")
    if declared > most - 4 - 4 * dimensions:
        raise DataError(
            where, f"is truncated: shape {shape} requires {declared} bytes of values, and it cannot hold as many"
        )
    if compressed and declared > (limit := max(_EXPANDED, compressed * _EXPANSION)):
        raise DataError(where, f"declares {declared} bytes (shape {shape}); at most {limit} are unpacked, gunzip it")
    room_bytes = available_bytes()
    if room_bytes is not None and declared > room_bytes:
        raise DataError(where, f"takes {size_text(declared)} of memory, and {size_text(room_bytes)} are free")
    values = np.empty(shape, dtype=dtype)
    room = memoryview(values.reshape(-1).view(np.uint8).data)
    filled = 0
    while filled < declared:
        got = file.readinto(room[filled:])  # type: ignore[attr-defined]  # BinaryIO lacks readinto, both readers have it
        if not got:
            raise DataError(where, f"is truncated: shape {shape} requires {declared} bytes of values, it has {filled}")
        filled += got
    if file.read(1):
        raise DataError(where, f"is longer than shape {shape} says, which is {declared} bytes of values")
    return values.astype(dtype.newbyteorder("="), copy=False)


def _exactly(where: str, file: BinaryIO, count: int) -> bytes:
    """Read exactly `count` bytes of the header, or raise."""
    read = file.read(count)
    if len(read) != count:
        raise DataError(where, "is truncated: it ends within its header")
    return read


def load_idx_folder(
    folder: str | os.PathLike[str],
    part: str = "train",
    *,
    classes: tuple[str, ...] | None = None,
    name: str | None = None,
) -> ImageSet:
    """Load a folder in the layout of MNIST and Fashion-MNIST.

    Parameters
    ----------
    folder : path
        Contains ``train-images-idx3-ubyte``, ``train-labels-idx1-ubyte`` and the two ``t10k-...`` files of the test
        part. The names may have a dot before ``idx`` (``train-images.idx3-ubyte``) and may end in ``.gz``.
    part : {"train", "test"}
        Which part to load.
    classes : tuple of str, optional
        Class names; by default the numbers 0 to the largest label.
    name : str, optional
        Name of the set; by default that of the folder.

    Returns
    -------
    ImageSet
        uint8 [N, 1, H, W], no masks.

    Raises
    ------
    DataError
        If a file is missing, does not contain what its name says, or images and labels do not match.
    """
    folder = Path(folder)
    if part not in _PARTS:
        raise DataError(str(folder), f"has no part {part!r}; an IDX folder has {' and '.join(_PARTS)}")
    images = read_idx(_find(folder, part, "images", 3))
    labels = read_idx(_find(folder, part, "labels", 1))
    if images.ndim != 3 or images.dtype != np.uint8 or labels.ndim != 1 or labels.dtype != np.uint8:
        raise DataError(
            str(folder),
            f"images are {images.dtype} {images.shape} and labels {labels.dtype} {labels.shape}; "
            "uint8 (N, H, W) and uint8 (N,) are required",
        )
    return ImageSet(
        images=images[:, None],
        labels=labels.astype(np.int64),
        masks=None,
        classes=classes or tuple(str(label) for label in range(int(labels.max()) + 1)),
        name=name or folder.resolve().name,
    )


def is_idx_folder(folder: Path) -> bool:
    """Whether the folder contains an IDX file of images."""
    return any((folder / name).is_file() for part in _PARTS for name in _names(part, "images", 3))


def _find(folder: Path, part: str, what: str, dimensions: int) -> Path:
    names = _names(part, what, dimensions)
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise DataError(str(folder), f"has no {what} of the {part} part; looked for {', '.join(names)}")


def _names(part: str, what: str, dimensions: int) -> list[str]:
    stems = [f"{_PARTS[part]}-{what}{mark}idx{dimensions}-ubyte" for mark in "-."]
    return [stem + suffix for stem in stems for suffix in ("", ".gz")]
