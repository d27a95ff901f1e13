"""The examined HDF5 file: what it lets through, what it refuses, and the limits, exactly."""

from __future__ import annotations

import fcntl
import io
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from neurosam.errors import FormatError
from neurosam.hdf5.reader import MAX_MEMBERS, MAX_TEXT, MAX_TEXT_DATASET, Reader, _File, opened

VALUES = np.arange(5000, dtype=np.int32).reshape(50, 100) - 2500


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file in the layout of old HDF5, which has no checksums: two datasets, a group, some attributes."""
    path = tmp_path / "a.h5"
    with h5py.File(path, "w", libver="earliest") as root:
        root.create_dataset("first", data=np.arange(7, dtype="<f8"))
        root.create_dataset("values", data=VALUES.astype("<i4"))
        root.create_dataset("empty", data=np.zeros((0, 4), "<i4"))
        root.create_dataset("note", data=np.bytes_("grüße".encode()))
        root.create_group("inner").create_dataset("deep", data=np.ones(3, "i1"))
        root.attrs["name"] = np.bytes_(b"some text")
        root.attrs["three"] = np.array([1, 2, 3], "<i8")
        root.attrs["real"] = np.float64(0.5)
        root.attrs["nothing"] = h5py.Empty("<i8")
    return path


def refused(match: str, call: Callable[[], Any]) -> None:
    with pytest.raises(FormatError, match=match):
        call()


@pytest.mark.parametrize("mapped", [False, True])
def test_what_is_in_the_file_comes_back(path: Path, mapped: bool) -> None:
    with opened(path, mapped) as root:
        values = root.array("values", ("int8", "<i4"), (1, 2))
        first, empty = root.array("first", ("<f8",), (1,)), root.array("empty", ("<i4",), (2,))
        assert root.numbers("three", "<i8", (1,)).tolist() == [1, 2, 3]
        assert float(root.numbers("real", "<f8", (0,))) == 0.5
        assert (root.text("name"), root.text_dataset("note")) == ("some text", "grüße")
        assert sorted(root.members()) == ["empty", "first", "inner", "note", "values"]
        assert sorted(root.attributes()) == ["name", "nothing", "real", "three"]
        assert root.group("inner").array("deep", ("int8",), (1,)).tolist() == [1, 1, 1]
    np.testing.assert_array_equal(values, VALUES)  # mapped ones outlive the open file
    np.testing.assert_array_equal(first, np.arange(7.0))
    assert empty.shape == (0, 4)
    assert [x.dtype.str for x in (values, first, empty)] == [np.dtype(t).str for t in ("i4", "f8", "i4")]
    assert values.flags.writeable != mapped
    assert first.flags.writeable != mapped


@pytest.mark.parametrize("offset", [0, 1, 2048, 8192, 20_000])
def test_an_array_is_mapped_wherever_it_lies(offset: int, tmp_path: Path) -> None:
    """Windows into a file begin at pages; arrays do not."""
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as root:
        root.create_dataset("before", data=np.zeros(offset + 4096, "i1"))
        root.create_dataset("values", data=VALUES.astype("<i4"))
    with opened(path, mapped=True) as root:
        np.testing.assert_array_equal(root.array("values", ("<i4",), (2,)), VALUES)
        assert not root.array("before", ("int8",), (1,)).any()


@pytest.mark.parametrize(("shape", "stays"), [((1, 4), True), ((4, 1), True), ((1, 1), True), ((0, 4), False)])
def test_an_array_of_any_shape_stays_in_the_file_unless_it_is_empty(
    shape: tuple[int, int], stays: bool, tmp_path: Path
) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as root:
        root.create_dataset("values", data=np.ones(shape, "<i4"))
    with opened(path, mapped=True) as root:
        values = root.array("values", ("<i4",), (2,))
    assert values.shape == shape
    assert values.flags.owndata is not stays


# --- addresses and sizes that lie -------------------------------------------------------------------------------------


def moved(path: Path, name: str, to: int) -> None:
    """Let a dataset begin at another byte."""
    with h5py.File(path) as root:
        offset = root[name].id.get_offset()
    data = path.read_bytes()
    assert data.count(struct.pack("<Q", offset)) == 1
    path.write_bytes(data.replace(struct.pack("<Q", offset), struct.pack("<Q", to)))


@pytest.mark.parametrize("mapped", [False, True])
@pytest.mark.parametrize("short", [1, 4, VALUES.nbytes - 1])
def test_an_array_that_ends_beyond_the_file_is_refused(path: Path, short: int, mapped: bool) -> None:
    """Its size fits into the file, but not from where it is said to begin. HDF5 1.14 notices that itself."""
    moved(path, "values", path.stat().st_size - VALUES.nbytes + short)
    refused(r"is damaged at values \(20000 bytes at \d+ lie outside the file\)", opened(path, mapped).__enter__)


@pytest.mark.parametrize("mapped", [False, True])
def test_the_end_of_an_array_is_held_against_the_file_whatever_hdf5_says(path: Path, mapped: bool) -> None:
    """A mapping beyond the end of a file would end the process: the last byte has to be in it."""
    with h5py.File(path) as file:
        end = file["values"].id.get_offset() + VALUES.nbytes
    with opened(path, mapped) as root:
        root._file.size = end
        assert root.array("values", ("<i4",), (2,)).shape == (50, 100)
        root._file.size, root._file.left = end - 1, 2**20
        refused(
            rf"values declares 20000 bytes \(shape \(50, 100\)\), of which 20000 are allocated in a file of {end - 1}; "
            "the file is damaged or forged",
            lambda: root.array("values", ("<i4",), (2,)),
        )


@pytest.mark.parametrize("mapped", [False, True])
def test_an_array_may_end_with_the_file(path: Path, mapped: bool) -> None:
    moved(path, "values", path.stat().st_size - VALUES.nbytes)
    with opened(path, mapped) as root:
        assert root.array("values", ("<i4",), (2,)).shape == (50, 100)


@pytest.mark.parametrize("mapped", [False, True])
def test_no_more_is_read_than_the_file_has_bytes(path: Path, mapped: bool) -> None:
    """The bytes of all arrays, attributes and texts count, each time; what is left may be used up to the last one."""
    size = path.stat().st_size
    with opened(path, mapped) as root:
        assert root._file.left == root._file.size == size
        root.array("values", ("<i4",), (2,))
        assert root._file.left == size - VALUES.nbytes
        root.group("inner").array("deep", ("int8",), (1,))
        root.numbers("three", "<i8", (1,))
        root.text("name")
        root.text_dataset("note")
        assert root._file.left == size - VALUES.nbytes - 3 - 24 - 9 - 7
        root._file.left = VALUES.nbytes
        root.array("values", ("<i4",), (2,))
        assert root._file.left == 0
        root.array("empty", ("<i4",), (2,))
        refused("name declares 9 bytes .* damaged or forged", lambda: root.text("name"))
        root._file.left = VALUES.nbytes - 1
        refused("values declares 20000 bytes", lambda: root.array("values", ("<i4",), (2,)))
        root._file.size = 9  # an attribute has no place of its own: its size alone is held against the file's
        assert root.text("name") == "some text"
        root._file.size = 8
        refused("name declares 9 bytes", lambda: root.text("name"))


def test_a_value_that_is_not_there_is_refused(path: Path) -> None:
    """A dataspace without a value has no dimensions, and is no scalar. HDF5 itself fails for an attribute."""
    with h5py.File(path, "r+") as file:
        file["void"] = h5py.Empty("<i4")
    with opened(path) as root:
        refused("is damaged at nothing", lambda: root.numbers("nothing", "<i8", (0, 1)))
        refused(r"void has no value; 0 or 2 dimension\(s\) are required", lambda: root.array("void", ("<i4",), (0, 2)))


# --- limits of number and length --------------------------------------------------------------------------------------


def in_memory(fill: Callable[[Any], None]) -> tuple[Any, Reader]:
    """A file that is not on the disk: as it is open, and its reader."""
    file = h5py.File(io.BytesIO(), "w", track_order=False)
    fill(file)
    return file, Reader(file["/"].id, "memory", "", _File(2**24))


def test_the_limits_are_those_that_the_format_states() -> None:
    assert (MAX_MEMBERS, MAX_TEXT, MAX_TEXT_DATASET) == (4096, 4096, 2**20)


def test_a_group_has_at_most_4096_members() -> None:
    def fill(root: Any) -> None:
        for k in range(4096):
            root[f"m{k}"] = h5py.SoftLink("/")

    file, reader = in_memory(fill)
    assert len(reader.members()) == 4096
    file["one more"] = h5py.SoftLink("/")
    refused("memory: has 4097 members; at most 4096 are allowed", reader.members)


def test_a_group_has_at_most_4096_attributes() -> None:
    file = h5py.File(io.BytesIO(), "w", libver="latest")
    space, number = h5py.h5s.create(h5py.h5s.SCALAR), h5py.h5t.STD_I8LE
    for k in range(4096):
        h5py.h5a.create(file.id, b"a%d" % k, number, space)
    reader = Reader(file["/"].id, "memory", "", _File(2**24))
    h5py.h5a.create(file.id, b"one more", number, space)
    refused("memory: has 4097 attributes; at most 4096 are allowed", reader.attributes)


def test_texts_have_at_most_4096_bytes_as_attributes_and_a_mebibyte_as_datasets() -> None:
    def fill(root: Any) -> None:
        root.attrs["long"], root.attrs["longer"] = np.bytes_(b"a" * 4096), np.bytes_(b"a" * 4097)
        root["long"], root["longer"] = np.bytes_(b"b" * 2**20), np.bytes_(b"b" * (2**20 + 1))

    _, reader = in_memory(fill)
    assert reader.text("long") == "a" * 4096
    assert reader.text_dataset("long") == "b" * 2**20
    refused("longer has a 4097-byte string type; .* at most 4096 bytes", lambda: reader.text("longer"))
    refused("longer has a 1048577-byte string type", lambda: reader.text_dataset("longer"))


# --- words ------------------------------------------------------------------------------------------------------------


def test_errors_name_the_file_and_the_path_inside_it(path: Path) -> None:
    with opened(path) as root:
        inner = root.group("inner")
        for message, call in (
            (f"{path}: lacks the member 'nothing'", lambda: root.group("nothing")),
            (f"{path}: inner lacks the member 'nothing'", lambda: inner.array("nothing", ("int8",), (1,))),
            (f"{path}: inner lacks the attribute 'nothing'", lambda: inner.text("nothing")),
            (f"{path}: inner/deep is not a group", lambda: inner.group("deep")),
            (f"{path}: inner is not a dataset", lambda: root.array("inner", ("int8",), (1,))),
            (
                f"{path}: inner/deep has shape (3,); 0 or 2 dimension(s) are required",
                lambda: inner.array("deep", ("int8",), (0, 2)),
            ),
            (
                f"{path}: inner/deep has a 8-bit integer type; int32 or float64 (little-endian) is required",
                lambda: inner.array("deep", ("<i4", "<f8"), (1,)),
            ),
            (f"{path}: three has shape (3,); 0 dimension(s) are required", lambda: root.numbers("three", "<i8", (0,))),
            (
                f"{path}: real has a 64-bit floating-point type; "
                "a fixed-length string of at most 4096 bytes is required",
                lambda: root.text("real"),
            ),
            (
                f"{path}: has the unknown member(s) 'empty', 'first'; the format knows inner, note, values",
                lambda: root.expect({"name", "nothing", "three", "real"}, {"note", "inner", "values"}),
            ),
            (f"{path}: has the unknown attribute(s) 'name', 'nothing', 'real', 'three'; the format knows none",
             lambda: root.expect(set(), set())),
        ):  # fmt: skip
            with pytest.raises(FormatError) as caught:
                call()
            assert str(caught.value) == message
        root.expect({"name", "nothing", "three", "real", "more"}, {"empty", "first", "inner", "note", "values", "more"})


def test_at_most_five_unknown_names_are_told_and_none_at_length() -> None:
    def fill(root: Any) -> None:
        for k in range(7):
            root[f"{k}" * 80] = h5py.SoftLink("/")

    _, reader = in_memory(fill)
    with pytest.raises(FormatError) as caught:
        reader.expect(set(), {"known"})
    told = ", ".join(repr(str(k) * 64) for k in range(5))
    assert caught.value.problem == f"has the unknown member(s) {told}; the format knows known"


# --- the file itself --------------------------------------------------------------------------------------------------


def test_a_file_that_another_process_has_locked_can_be_read(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are replaced and never changed, so that no lock means anything; on some network disks there are none."""
    monkeypatch.delenv("HDF5_USE_FILE_LOCKING", raising=False)
    with path.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with opened(path) as root:
            assert root.text("name") == "some text"


def test_nothing_stays_open(path: Path) -> None:
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    for mapped in (False, True):
        with opened(path, mapped) as root:
            root.array("first", ("<f8",), (1,))
        with pytest.raises(FormatError), opened(path, mapped) as root:
            raise root.error("", "is left early")
    assert before == (len(os.listdir("/proc/self/fd")) if before else 0)


def test_signatures_are_read_and_not_only_opened(path: Path) -> None:
    data = path.read_bytes()
    for length, match in (
        (0, "is empty"),
        (7, "is not an HDF5 file"),
        (8, "is damaged"),
        (len(data) - 1, "is truncated; copy or make it again"),
    ):
        path.write_bytes(data[:length])
        refused(match, lambda: opened(path).__enter__())
    path.write_bytes(b"x" + data[1:])
    refused("is not an HDF5 file; a file that neurosam saved is required", lambda: opened(path).__enter__())
