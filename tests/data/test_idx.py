"""IDX files: valid ones are read bit for bit, invalid ones are refused before memory is allocated."""

from __future__ import annotations

import gzip
import os
import struct
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from neurosam.data import load, load_idx_folder, read_idx
from neurosam.errors import DataError

CODES = {"u1": 8, "i1": 9, "i2": 11, "i4": 12, "f4": 13, "f8": 14}


def idx(values: NDArray[Any]) -> bytes:
    code = CODES[values.dtype.str[1:]]
    header = struct.pack(f">HBB{values.ndim}I", 0, code, values.ndim, *values.shape)
    return header + values.astype(values.dtype.newbyteorder(">")).tobytes()


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("kind", CODES)
def test_values_come_back(tmp_path: Path, kind: str, suffix: str) -> None:
    values = np.arange(-30, 30).reshape(3, 4, 5).astype(kind)
    path = tmp_path / f"values{suffix}"
    path.write_bytes(gzip.compress(idx(values)) if suffix else idx(values))
    read = read_idx(path)
    assert read.dtype == values.dtype
    assert read.dtype.isnative
    np.testing.assert_array_equal(read, values)


GOOD = idx(np.arange(24, dtype=np.uint8).reshape(2, 3, 4))


def declares(*shape: int, code: int = 8) -> bytes:
    return struct.pack(f">HBB{len(shape)}I", 0, code, len(shape), *shape)


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "truncated"),
        (GOOD[:3], "truncated"),
        (GOOD[:10], "truncated"),
        (GOOD[:-1], "truncated"),
        (GOOD + b"\0", "longer"),
        (b"\x01" + GOOD[1:], "not an IDX file"),
        (b"\x89PNG\r\n\x1a\n" + GOOD, "not an IDX file"),
        (declares(2, 3, code=10) + bytes(6), "not an IDX file"),
        (declares() + bytes(6), "0 dimensions"),
        (declares(*[1] * 9) + bytes(1), "9 dimensions"),
        (declares(0, 3), "no values"),
        (declares(2**32 - 1, 2**32 - 1, 2**32 - 1, 2**32 - 1), "at most"),
        (declares(2**16, 2**16, 2**16, 2**16), "at most"),  # the product is 0 modulo 2**64
        (declares(2**31), "truncated"),
    ],
)
def test_hostile_files_are_refused_cheaply(tmp_path: Path, content: bytes, complaint: str, zipped: bool) -> None:
    path = tmp_path / ("file.gz" if zipped else "file")
    path.write_bytes(gzip.compress(content) if zipped else content)
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match=complaint) as refusal:
            read_idx(path)
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()
    assert str(path) in str(refusal.value)


def test_a_gzip_bomb_is_not_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "bomb.gz"
    path.write_bytes(gzip.compress(declares(2, 3) + bytes(6 + 2**25)))
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match="longer"):
            read_idx(path)
        assert tracemalloc.get_traced_memory()[1] < 2**22
    finally:
        tracemalloc.stop()


def test_the_size_limit_is_the_callers(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(GOOD)
    assert read_idx(path, max_bytes=24).size == 24
    with pytest.raises(DataError, match="at most 23"):
        read_idx(path, max_bytes=23)


@pytest.mark.parametrize(
    "content",
    [GOOD, gzip.compress(GOOD)[:-12], gzip.compress(GOOD)[:-8] + bytes(8)],
    ids=["not zipped", "cut", "wrong sum"],
)
def test_damaged_gzip_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file.gz"
    path.write_bytes(content)
    with pytest.raises(DataError, match="damaged gzip"):
        read_idx(path)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        read_idx(tmp_path / "absent")
    with pytest.raises(DataError, match="cannot be read"):
        read_idx(tmp_path)
    if os.path.exists("/dev/zero"):
        with pytest.raises(DataError, match="not a regular file"):
            read_idx("/dev/zero")


IMAGES = np.arange(3 * 4 * 5, dtype=np.uint8).reshape(3, 4, 5)
LABELS = np.array([0, 2, 1], dtype=np.uint8)


@pytest.mark.parametrize("mark", ["-", "."])
@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize(("part", "stem"), [("train", "train"), ("test", "t10k")])
def test_both_namings_of_a_folder(tmp_path: Path, mark: str, suffix: str, part: str, stem: str) -> None:
    for what, values, dimensions in (("images", IMAGES, 3), ("labels", LABELS, 1)):
        content = gzip.compress(idx(values)) if suffix else idx(values)
        (tmp_path / f"{stem}-{what}{mark}idx{dimensions}-ubyte{suffix}").write_bytes(content)
    items = load(tmp_path, part=part)
    np.testing.assert_array_equal(items.images[:, 0], IMAGES)
    assert items.labels.tolist() == [0, 2, 1]
    assert items.classes == ("0", "1", "2")
    assert items.name == tmp_path.name


def test_a_folder_must_be_whole(tmp_path: Path) -> None:
    (tmp_path / "train-images-idx3-ubyte").write_bytes(idx(IMAGES))
    with pytest.raises(DataError, match=r"no labels of the train part; looked for train-labels-idx1-ubyte"):
        load(tmp_path)
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx(LABELS[:2]))
    with pytest.raises(DataError, match="labels are"):
        load(tmp_path)
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx(LABELS.astype(np.int32)))
    with pytest.raises(DataError, match="int32"):
        load(tmp_path)
    with pytest.raises(DataError, match="no part 'val'"):
        load_idx_folder(tmp_path, "val")
