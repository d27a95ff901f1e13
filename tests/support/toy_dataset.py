"""A data set on which a network trains in a second: horizontal and vertical bars as IDX files."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import numpy.typing as npt

__all__ = ["ARCHITECTURE", "write_bars"]

ARCHITECTURE = "4C3-P2-D2"
SIDE = 12


def write_bars(folder: Path) -> Path:
    """Write 64 training and 24 test images, 12 x 12 pixels, in two classes; return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    for part, count in (("train", 64), ("t10k", 24)):
        labels = np.arange(count, dtype=np.uint8) % 2
        images = rng.integers(0, 20, (count, SIDE, SIDE)).astype(np.uint8)
        for image, label, place in zip(images, labels, rng.integers(1, SIDE - 2, count), strict=True):
            (image.T if label else image)[place : place + 2] = 230
        _write_idx(folder / f"{part}-images-idx3-ubyte", images)
        _write_idx(folder / f"{part}-labels-idx1-ubyte", labels)
    return folder


def _write_idx(path: Path, array: npt.NDArray[np.uint8]) -> None:
    path.write_bytes(struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes())
