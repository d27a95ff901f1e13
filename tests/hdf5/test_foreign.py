"""Files of other software: what h5py writes comes back, chunked and compressed too; what is forged does not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from neurosam.errors import FormatError
from neurosam.hdf5.foreign import opened_foreign
from neurosam.hdf5.reader import EXPANDED

RNG = np.random.default_rng(0)
OPTIONS: list[dict[str, Any]] = [
    {}, {"chunks": (3, 5)}, {"compression": "gzip"}, {"chunks": (7, 2), "compression": 9, "shuffle": True},
    {"chunks": (4, 4), "fletcher32": True},
    {"chunks": (13, 11), "shuffle": True, "fletcher32": True, "compression": "gzip"},
]  # fmt: skip


def value(path: Path, name: str = "x") -> Any:
    with opened_foreign(path, "a file") as root:
        return root.value(name)


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("dtype", ["i1", "<u2", ">i4", "<i8", "f2", "<f4", ">f8"])
def test_arrays(options: dict[str, Any], dtype: str, tmp_path: Path) -> None:
    array = RNG.integers(0, 100, (16, 16)).astype(dtype)[:13, :11]
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("x", data=array, **options)
    got = value(tmp_path / "a.h5")
    assert got.dtype == np.dtype(dtype).newbyteorder("=")
    np.testing.assert_array_equal(got, array)


def test_texts_and_scalars(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["short"], file["fixed"] = "grüße", np.bytes_("grüße".encode())
        file["table"] = [("a", "bc"), ("", "def")]
        file.create_dataset("chunks", data=["x", "yz"], chunks=(1,), dtype=h5py.string_dtype())
        file["names"] = np.array([b"dense"], "S10")
        file["number"], file["empty"] = 7, np.zeros((0, 3))
        file["long"] = "n" * 100_000
    with opened_foreign(path, "a file") as opened:
        root: Any = opened
        assert (root.value("short"), root.value("fixed"), int(root.value("number"))) == ("grüße", "grüße", 7)
        assert root.value("table").tolist() == [["a", "bc"], ["", "def"]]
        assert root.value("chunks").tolist() == ["x", "yz"]
        assert root.value("names").tolist() == ["dense"]
        assert root.value("empty").shape == (0, 3)
        assert len(root.value("long")) == 100_000


def refused(path: Path, match: str) -> None:
    with pytest.raises(FormatError, match=match):
        value(path)


def test_what_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    cases: tuple[tuple[Callable[[Any], Any], str], ...] = (
        (
            lambda f: f.create_dataset("x", data=np.zeros(9), compression="lzf"),
            "HDF5 filter 32000; write the file with gzip",
        ),
        (lambda f: f.create_dataset("x", data=np.zeros(9), scaleoffset=2), "HDF5 filter 6"),
        (lambda f: f.create_dataset("x", data=np.array([(1, 2)], "i4,i4")), "64-bit compound type"),
        (lambda f: f.create_dataset("x", data=np.zeros(2, complex)), "compound type"),
        (lambda f: f.create_dataset("x", data=np.array([1], h5py.enum_dtype({"a": 1}))), "enum type"),
        (lambda f: f.create_dataset("x", data=h5py.Empty("f8")), "has no value"),
        (lambda f: f.create_dataset("x", data=["t" * 5000]), "declares a text of 5000 bytes; at most 4096"),
        (lambda f: f.create_dataset("x", data="t" * 2_000_000), "declares a text of 2000000 bytes; at most 1048576"),
        (lambda f: f.create_dataset("x", data=np.bytes_(b"\xff\xfe")), "is not UTF-8 text"),
        (lambda f: f.create_dataset("x", (9,), "f4", external=[("raw", 0, 36)]), "in another file"),
        (lambda f: f.create_dataset("x", (100,), "f4", chunks=(10,)), "in 10 chunks, of which 0 are in the file"),
        (lambda f: f.create_dataset("x", (100,), "f4"), "declares 400 bytes .* of which 0 are allocated"),
    )
    for make, match in cases:
        with h5py.File(path, "w") as file:
            make(file)
        refused(path, match)


def test_a_chunk_has_exactly_its_bytes(tmp_path: Path) -> None:
    """Shorter, longer, and far longer than declared: only the declared bytes are ever expanded."""
    import zlib

    path = tmp_path / "a.h5"
    for octets in (zlib.compress(bytes(396)), zlib.compress(bytes(404)), zlib.compress(bytes(10**8)), b"no deflate"):
        with h5py.File(path, "w") as file:
            file.create_dataset("x", (100,), "f4", chunks=(100,), compression="gzip").id.write_direct_chunk(
                (0,), octets
            )
        refused(path, "is damaged at x")


def test_small_files_do_not_expand_without_end(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    count = EXPANDED // 4
    with h5py.File(path, "w") as file:
        file.create_dataset("x", data=np.zeros(1, "f4"))
        for name in ("a", "b"):
            data = file.create_dataset(name, (count,), "f4", chunks=(count,), compression="gzip")
            data.id.write_direct_chunk((0,), b"x")
    with opened_foreign(path, "a file") as root:
        with pytest.raises(FormatError, match="damaged"):
            root.value("a")  # within the limit, so it is tried
        with pytest.raises(FormatError, match=f"would expand to {4 * count} bytes .* at most {EXPANDED} in all"):
            root.value("b")


def test_lengths_of_texts_are_examined_before_they_are_read(tmp_path: Path) -> None:
    """A text that claims 4 GB: the length stands in front of its place in the file's heap."""
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["x"] = [("some", "text")]
        offset = file["x"].id.get_offset()
    octets = bytearray(path.read_bytes())
    assert octets[offset : offset + 4] == b"\x04\0\0\0"
    octets[offset : offset + 4] = b"\xff\xff\xff\xff"
    path.write_bytes(octets)
    refused(path, "declares a text of 4294967295 bytes")


def test_addresses_of_texts_lie_in_the_file(tmp_path: Path) -> None:
    """One behind its end, one that no file system can seek."""
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["x"] = "text"
        offset = file["x"].id.get_offset()
    octets = bytearray(path.read_bytes())
    for address in (len(octets), 2**62, 2**64 - 1):
        octets[offset + 4 : offset + 12] = address.to_bytes(8, "little")
        path.write_bytes(octets)
        refused(path, "names a text that is not in the file")
