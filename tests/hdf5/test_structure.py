"""The structure of a file is checked before HDF5 sees it: what we and h5py's defaults write passes."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from h5py import h5g, h5p

from neurosam.errors import FormatError
from neurosam.hdf5 import load
from neurosam.hdf5.files import HEADER, KINDS
from neurosam.hdf5.foreign import opened_foreign
from neurosam.hdf5.octets import StructureError
from neurosam.hdf5.schema import RECORDS
from neurosam.hdf5.structure import check_structure

OURS = ("v108", "v108")


def made(fill: Callable[[Any], object], libver: Any = "earliest") -> bytes:
    """The bytes of a file."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w", libver=libver) as file:
        fill(file)
    return buffer.getvalue()


def check(octets: bytes) -> None:
    check_structure(io.BytesIO(octets), len(octets))


def refused(octets: bytes, match: str) -> None:
    with pytest.raises(StructureError, match=match):
        check(octets)


def patched(octets: bytes, at: int, layout: str, *values: Any) -> bytes:
    """The same with other numbers at a place."""
    out = bytearray(octets)
    struct.pack_into(layout, out, at, *values)
    return bytes(out)


def many(file: Any, count: int = 1500) -> None:
    """A group that has to have a tree, attributes, and a dataset in 300 chunks."""
    file.create_group("group")
    for i in range(count):
        file.create_group(f"group/with a name of some length {i}")
    file["group"].attrs["text"] = "of variable length"
    for i in range(7):
        file["group"].attrs[f"a{i}"] = np.arange(i)
    file.create_dataset("chunks", data=np.arange(3000.0).reshape(300, 10), chunks=(1, 10), compression="gzip")
    file["bool"], file["text"], file["texts"] = True, "text", ["a", "bc"]
    file["empty"], file["void"], file["half"] = np.zeros((0, 3)), h5py.Empty("f4"), np.zeros(3, ">f2")
    file["soft"], file["far"] = h5py.SoftLink("/text"), h5py.ExternalLink("b.h5", "/x")
    file["again"] = file["bool"]


@pytest.mark.parametrize("libver", ["earliest", OURS])
@pytest.mark.parametrize("count", [0, 9, 100, 1500])
def test_what_the_two_layouts_can_hold_passes(libver: Any, count: int) -> None:
    check(made(lambda file: many(file, count), libver))


@pytest.mark.parametrize("libver", ["earliest", OURS])
def test_names_that_were_removed_leave_nothing_that_is_refused(libver: Any) -> None:
    """Free blocks in heaps, trees with gaps."""

    def fill(file: Any) -> None:
        many(file, 300)
        for i in range(0, 300, 3):
            del file[f"group/with a name of some length {i}"]

    check(made(fill, libver))


# --- what is newer ----------------------------------------------------------------------------------------------------


def dense(libver: Any, fields: tuple[tuple[int, bytes], ...] = ()) -> bytes:
    """Attributes in a heap, found by a B-tree in whose header some bytes are changed; checksums are not looked at."""

    def fill(file: Any) -> None:
        plan = h5p.create(h5p.GROUP_CREATE)
        plan.set_attr_phase_change(0, 0)
        h5g.create(file.id, b"group", gcpl=plan)
        for name in "abc":
            file["group"].attrs[name] = 1

    octets = bytearray(made(fill, libver))
    start = octets.index(b"BTHD")
    for at, value in fields:
        octets[start + at : start + at + len(value)] = value
    return bytes(octets)


@pytest.mark.parametrize("fields", [
    (), ((10, b"\0\0"),), ((6, struct.pack("<I", 2**32 - 2**24)),), ((5, b"\0"),),
])  # fmt: skip
def test_attributes_in_a_heap_are_refused(fields: Any, tmp_path: Path) -> None:
    """HDF5 2.0.0 divides by 0, takes 5 GiB or ends with a segmentation fault for the last three."""
    refused(dense(OURS, fields), r"group has attributes in dense storage .*h5repack IN OUT.*default libver")
    (tmp_path / "a.h5").write_bytes(dense("latest", fields))
    for read in (load, lambda path: opened_foreign(path, "a file").__enter__()):
        with pytest.raises(FormatError, match=r"has superblock version 3 \(HDF5's newest layout\)"):
            read(tmp_path / "a.h5")


def virtual(file: Any) -> None:
    layout = h5py.VirtualLayout((3,), "f4")
    layout[:] = h5py.VirtualSource("other.h5", "x", (3,))
    file.create_virtual_dataset("x", layout)


NEWER: dict[str, tuple[Callable[[Any], object], str]] = {
    "order of creation": (
        lambda f: [f.create_group("g", track_order=True)] + [f.create_group(f"g/{i}") for i in range(20)],
        "g has links in the order of their creation in dense storage",
    ),
    "committed type": (
        lambda f: (f.__setitem__("t", np.dtype("f4")), f.create_dataset("x", (3,), f["t"])), "a shared message"
    ),
    "virtual": (virtual, "x has (a virtual layout|a data layout of version 4)"),
    "external": (lambda f: f.create_dataset("x", (9,), "f4", external=[("raw", 0, 36)]), "its data in another file"),
    "chunk index": (lambda f: f.create_dataset("x", (9, 9), "f4", chunks=(3, 3), maxshape=(None, 9)), "version 4"),
    "compound": (lambda f: f.create_dataset("x", (3,), "i4,i4"), "x has a 64-bit compound type"),
    "long double": (lambda f: f.create_dataset("x", (3,), np.longdouble), "128-bit floating-point type"),
    "sequence": (lambda f: f.create_dataset("x", (3,), h5py.vlen_dtype("i4")), "variable-length type"),
    "reference": (lambda f: f.create_dataset("x", (3,), h5py.ref_dtype), "64-bit reference type"),
    "long link": (
        lambda f: [f.create_group(f"g/{'n' * 5000}{i}") for i in range(9)], "g has (a heap of )?links of"
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", NEWER)
def test_what_is_newer_is_refused_by_name(case: str) -> None:
    fill, match = NEWER[case]
    octets = bytearray(made(fill, "latest" if case in ("virtual", "chunk index") else OURS))
    if octets[8] == 3:  # the rest of the file is looked at too
        octets[8] = 2
    refused(bytes(octets), match)


def test_no_object_of_ours_has_more_attributes_than_fit_its_header() -> None:
    """HDF5 puts the ninth into dense storage; a new field of such a record has to be a dataset."""
    for kind, fields in RECORDS.items():
        header = len(HEADER) if kind in KINDS.values() else 1  # format, version, producer, digest; or type
        assert header + sum(field.attribute for field in fields.values()) <= 8, kind


# --- what is forged ---------------------------------------------------------------------------------------------------


def test_sides_that_cannot_be_multiplied_are_refused() -> None:
    for libver in ("earliest", OURS):
        octets = made(lambda f: f.create_dataset("x", shape=(0, 2**62, 2**10), dtype="f8"), libver)
        refused(octets, r"is damaged at x \(the shape \(0, 4611686018427387904, 1024\)\)")


def test_trees_whose_nodes_name_each_other_in_a_circle_are_refused() -> None:
    """HDF5 follows the neighbours of a node to count the chunks."""
    octets = made(lambda f: f.create_dataset("x", data=np.zeros((300, 10)), chunks=(1, 10)))
    nodes = [i for i in range(len(octets)) if octets[i : i + 6] == b"TREE\1\0"]
    assert len(nodes) > 3
    for node in nodes:
        for at in (8, 16):
            refused(patched(octets, node + at, "<Q", node), "nodes are not in a row|more nodes than it has")


def test_nodes_that_are_their_own_children_are_refused() -> None:
    octets = made(lambda f: [f.create_group(f"g{i}") for i in range(300)])
    root = next(i for i in range(len(octets)) if octets[i : i + 6] == b"TREE\0\1")
    refused(patched(octets, root + 32, "<Q", root), "a B-tree of level 1")


def test_heaps_whose_free_blocks_go_in_a_circle_are_refused() -> None:
    octets = made(lambda f: f.create_group("g"))
    heap = octets.index(b"HEAP")
    size, free, start = struct.unpack_from("<QQQ", octets, heap + 8)
    assert free < size
    refused(patched(octets, start + free, "<Q", free), "free blocks do not end")
    refused(patched(octets, start + free + 8, "<Q", size), "a free block outside it")
    refused(patched(octets, heap + 16, "<Q", size), "free blocks do not end")


def test_groups_that_contain_each_other_are_refused() -> None:
    def loop(file: Any) -> None:
        file["a/b"] = file["/"]

    for libver in ("earliest", OURS):
        refused(made(loop, libver), r"is damaged at a/b \(groups that contain each other\)")
    deep = made(lambda f: f.create_group("/".join("abcd" * 10)))
    refused(deep, "groups that contain each other")


def test_parts_that_are_read_many_times_are_refused() -> None:
    """Fifty groups, each with the tree of one that has a thousand members."""

    def fill(file: Any) -> None:
        file["group/x"] = 0
        for i in range(1000):
            file[f"group/with a name of some length {i}"] = file["group/x"]
        for i in range(50):
            file.create_group(f"other{i}")

    octets = made(fill)
    trees = [i for i in range(len(octets)) if octets[i : i + 5] == b"TREE\0"]
    root = next(i for i in trees if octets[i + 5] == 1)
    place = octets.index(struct.pack("<Q", root))
    out = bytearray(octets)
    for tree in trees:
        if octets[tree + 5 : tree + 8] == b"\0\0\0":  # of an empty group: its header, and what names it
            own = octets.index(struct.pack("<Q", tree))
            pair = octets[own : own + 16]
            while own >= 0:
                out[own : own + 16] = octets[place : place + 16]
                own = octets.find(pair, own + 1)
    refused(bytes(out), "its parts refer to each other")


@pytest.mark.parametrize("libver", ["earliest", OURS])
def test_any_byte_may_be_another(libver: Any, tmp_path: Path) -> None:
    """The file is refused in words or read, whatever byte is changed; nothing else is raised."""

    def fill(file: Any) -> None:
        for i in range(10):
            file.create_group(f"g/{i}").attrs["number"] = i
        file.create_dataset("x", data=np.zeros((4, 4)), chunks=(2, 2))
        file["t"], file["u"] = "text", np.arange(3)

    octets = made(fill, libver)
    rng = np.random.default_rng(0)
    stopped = 0
    for at in rng.permutation(len(octets))[:1500]:
        changed = bytearray(octets)
        changed[at] = rng.integers(256)
        try:
            check(bytes(changed))
        except StructureError:
            stopped += 1
    assert stopped > 20


@pytest.mark.parametrize("libver", ["earliest", OURS])
def test_a_file_may_end_anywhere(libver: Any) -> None:
    octets = made(lambda f: many(f, 20), libver)
    for size in range(8, len(octets), 97):
        refused(octets[:size], "is truncated|lie outside the file")


def test_a_file_of_many_groups_is_checked_quickly() -> None:
    import time

    octets = made(lambda f: many(f, 4000), OURS)
    start = time.process_time()
    check(octets)
    assert time.process_time() - start < 2
