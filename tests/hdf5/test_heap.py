"""Texts of variable length in files of other software are found as HDF5 finds them; a forged heap ends in an error."""

from __future__ import annotations

import struct
from pathlib import Path

import h5py
import numpy as np
import pytest

from neurosam.errors import FormatError
from neurosam.hdf5.foreign import opened_foreign
from neurosam.hdf5.reader import MAX_TEXT

TEXTS = ["CUBA", "", "grüße", "x" * 500, *(f"text {i}" for i in range(300))]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Single texts, an array of them, and one that has a collection of its own."""
    path = tmp_path / "texts.h5"
    with h5py.File(path, "w") as file:
        for i, text in enumerate(TEXTS[:6]):
            file[f"t{i}"] = text
        file.create_dataset("all", data=np.array(TEXTS, dtype=object), dtype=h5py.string_dtype())
        file.create_dataset("packed", data=np.array(TEXTS, dtype=object), dtype=h5py.string_dtype(), compression="gzip")
        file["long"] = "y" * 100_000
    return path


def test_texts_come_back(path: Path) -> None:
    with opened_foreign(path, "a file") as root:
        assert [root.value(f"t{i}") for i in range(6)] == TEXTS[:6]
        for name in ("all", "packed"):
            assert np.asarray(root.value(name)).tolist() == TEXTS
        assert root.value("long") == "y" * 100_000


@pytest.mark.parametrize(
    ("at", "value", "name"),
    [
        (0, b"gcol", "t0"),  # the signature
        (8, struct.pack("<Q", 2**40), "t0"),  # the size of the collection
        (16, struct.pack("<H", 0), "t0"),  # the number of the first object: free space
        (24, struct.pack("<Q", 260), "t2"),  # its size: HDF5 2.0.0 searches what is then the next object for ever
        (24, struct.pack("<Q", 2**63), "t0"),
        (24, struct.pack("<Q", 1), "t0"),
    ],
)
def test_a_forged_collection_is_refused(path: Path, at: int, value: bytes, name: str) -> None:
    octets = bytearray(path.read_bytes())
    start = octets.index(b"GCOL")
    octets[start + at : start + at + len(value)] = value
    path.write_bytes(octets)
    with (
        opened_foreign(path, "a file") as root,
        pytest.raises(FormatError, match="names a text that is not in the file"),
    ):
        root.value(name)


@pytest.mark.parametrize(
    ("field", "message"),
    [((2**32 - 1, None, None), "declares a text of 4294967295"), ((None, 2**63, None), "names a text"),
     ((None, 64, None), "names a text"), ((None, None, 9999), "names a text"), ((5, None, None), "names a text")],
)  # fmt: skip
def test_a_forged_reference_is_refused(path: Path, field: tuple[int | None, ...], message: str) -> None:
    """The length of a text, the address of its collection, its number."""
    with h5py.File(path) as file:
        at = file["t0"].id.get_offset()
    octets = bytearray(path.read_bytes())
    old = struct.unpack("<IQI", octets[at : at + 16])
    octets[at : at + 16] = struct.pack("<IQI", *(o if f is None else f for o, f in zip(old, field, strict=True)))
    path.write_bytes(octets)
    with opened_foreign(path, "a file") as root, pytest.raises(FormatError, match=message):
        root.value("t0")


def test_texts_of_an_array_are_short(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("a", data=np.array(["z" * (MAX_TEXT + 1)], dtype=object), dtype=h5py.string_dtype())
    with opened_foreign(tmp_path / "a.h5", "a file") as root, pytest.raises(FormatError, match="at most 4096"):
        root.value("a")


def test_bools_are_read(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["a"] = np.array([True, False])
    with opened_foreign(tmp_path / "a.h5", "a file") as root:
        assert np.asarray(root.value("a")).tolist() == [True, False]
