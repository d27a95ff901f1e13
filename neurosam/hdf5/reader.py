"""An HDF5 file of unknown origin, opened so that it can neither mislead nor exhaust the reader.

What is checked before anything is opened or allocated:

- the path is a regular file that starts with HDF5's signature;
- all of its structure, before the HDF5 library sees it (structure.py);
- a member is reached through a hard link (no soft or external ones), and is of the kind that the format wants;
- a dataset is contiguous or compact, without filters, external files or virtual sources (so nothing expands);
- its type is exactly the stated one, its rank is allowed, and its bytes are allocated within the file;
- all that is read is, in total, no larger than the file, which catches false sizes and many names for one dataset, and
  no larger than EXPANSION times what the file takes on disk, which catches holes (EXPANDED bytes are always allowed);
- groups have a limited number of members, and strings a limited length.

An array that is mapped instead of read passes the same checks. Its file must not change while the array is in use;
neurosam replaces files and never changes them.

Every failure of h5py or HDF5 becomes a FormatError. Nothing is unpickled.
"""

from __future__ import annotations

import math
import mmap
import os
import stat
import sys
from collections.abc import Iterator, Set
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
from h5py import h5a, h5d, h5g, h5l, h5o, h5s, h5t

from neurosam.errors import FormatError
from neurosam.hdf5.octets import StructureError
from neurosam.hdf5.structure import check_structure

__all__ = ["EXPANDED", "EXPANSION", "MAX_MEMBERS", "MAX_TEXT", "MAX_TEXT_DATASET", "Reader", "opened"]

EXPANDED = 2**28
"""Bytes to which a file may expand, however small it is."""

EXPANSION = 64
"""Times its own size to which a larger file may expand. Deflate reaches 1032, arrays of one value nearly as much."""

MAX_MEMBERS = 4096
"""Most members of one group, and so populations or projections of a file."""

MAX_TEXT = 4096
"""Longest text attribute in bytes of UTF-8."""

MAX_TEXT_DATASET = 2**20
"""Longest text dataset in bytes."""

SIGNATURE = b"\x89HDF\r\n\x1a\n"
CLASSES = {
    h5t.INTEGER: "integer", h5t.FLOAT: "floating-point", h5t.STRING: "string", h5t.COMPOUND: "compound",
    h5t.ENUM: "enum", h5t.REFERENCE: "reference", h5t.VLEN: "variable-length", h5t.ARRAY: "array",
    h5t.OPAQUE: "opaque", h5t.BITFIELD: "bit field",
}  # fmt: skip


@contextmanager
def opened(path: str | Path, mapped: bool = False, wanted: str = "a file that neurosam saved") -> Iterator[Reader]:
    """The root group of an HDF5 file; the file is closed when the block ends.

    With `mapped`, arrays are not read but mapped into memory: their values come from the file when they are used.
    `wanted` names the kind of file in messages.

    Raises
    ------
    FormatError
        If the file is missing, unreadable, not a regular file, not HDF5, truncated or damaged.
    """
    where = str(path)
    size, on_disk = _examine(where, path, wanted)
    with _damage(where):
        file = h5py.File(path, "r", locking=False)  # files are replaced, never changed: there is nothing to lock
    try:
        with _damage(where):
            descriptor = file.id.get_vfd_handle() if mapped and sys.byteorder == "little" else None
            allowed = size if descriptor is not None else min(size, max(EXPANDED, EXPANSION * on_disk))
            root = Reader(h5g.open(file.id, b"/"), where, "", _File(size, allowed, descriptor))
        yield root
    finally:
        with _damage(where):
            file.close()


def _examine(where: str, path: str | Path, wanted: str) -> tuple[int, int]:
    """Size of a regular file with HDF5's signature and a structure that HDF5 can be trusted with, and that on disk."""
    try:
        status = os.stat(path)  # before open(), which would block on a pipe
        if stat.S_ISDIR(status.st_mode):
            raise FormatError(where, "is a folder; the name of an HDF5 file is required")
        if not stat.S_ISREG(status.st_mode):
            raise FormatError(
                where, "is not a regular file (but a pipe, socket or device); copy its content to one first"
            )
        with open(path, "rb") as file:
            head = file.read(len(SIGNATURE))
            if head == SIGNATURE:
                check_structure(file, status.st_size)
    except StructureError as error:
        raise FormatError(where, str(error)) from None
    except FileNotFoundError:
        raise FormatError(where, "does not exist; check the name") from None
    except (OSError, ValueError) as error:
        raise FormatError(where, f"cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if head != SIGNATURE:
        what = "is empty" if not head else "is not an HDF5 file"
        raise FormatError(where, f"{what}; {wanted} is required")
    blocks = getattr(status, "st_blocks", 0)  # of 512 bytes; none where the system does not say
    return status.st_size, 512 * blocks or status.st_size


@contextmanager
def _damage(where: str, at: str = "") -> Iterator[None]:
    """Surrounds calls of h5py alone: whatever these raise means that the file is broken."""
    try:
        yield
    except Exception as error:
        text = str(error.args[0]) if error.args else type(error).__name__
        if "truncated file" in text:
            problem = "is truncated"
        else:
            problem = f"is damaged{at and f' at {at}'} (HDF5 says: {text.splitlines()[0][:200]})"
        raise FormatError(where, f"{problem}; copy or make it again") from None


class _File:
    """The budget of bytes that may still be read, as a file holds no more than its size; and its descriptor, to map.

    `expanded` counts what compressed data became (foreign.py).
    """

    def __init__(self, size: int, left: int | None = None, descriptor: int | None = None) -> None:
        self.size, self.left = size, size if left is None else left
        self.expanded = 0
        self.descriptor = descriptor


class Reader:
    """A group of an open file.

    Parameters
    ----------
    group : h5py GroupID
    where : str
        The file, as the user named it.
    at : str
        Path of the group in the file.
    file : _File
        Shared by all groups of the file.
    version : int
        Of the format, which says what its records consist of (schema.py); 0 as long as it is not known.
    """

    def __init__(self, group: Any, where: str, at: str, file: _File, version: int = 0) -> None:
        self._group = group
        self._where = where
        self._at = at
        self._file = file
        self.version = version

    def in_version(self, version: int) -> Reader:
        """The same group, to be read as one of this version of the format."""
        return Reader(self._group, self._where, self._at, self._file, version)

    def error(self, name: str, problem: str) -> FormatError:
        """The error for a member or attribute `name` of this group ("" for the group itself), to be raised."""
        at = self._path(name)
        return FormatError(self._where, f"{at} {problem}" if at else problem)

    def attributes(self) -> list[str]:
        """Names of the attributes."""
        with _damage(self._where, self._at):
            count = h5a.get_num_attrs(self._group)
        self._limit(count, "attributes")
        with _damage(self._where, self._at):
            return [h5a.open(self._group, index=i).name.decode("utf-8", "backslashreplace") for i in range(count)]

    def members(self) -> list[str]:
        """Names of the members."""
        with _damage(self._where, self._at):
            count = self._group.get_num_objs()
        self._limit(count, "members")
        with _damage(self._where, self._at):
            return [name.decode("utf-8", "backslashreplace") for name in self._group]

    def expect(self, attributes: Set[str], members: Set[str]) -> None:
        """Refuse attributes and members that the format does not know, by name."""
        for kind, known, names in (("attribute", attributes, self.attributes()), ("member", members, self.members())):
            if unknown := sorted(set(names) - known):
                listed = ", ".join(repr(name[:64]) for name in unknown[:5])
                raise self.error(
                    "",
                    f"has the unknown {kind}(s) {listed}; the format knows {', '.join(sorted(known)) or 'none'}",
                )

    def group(self, name: str) -> Reader:
        """A member group."""
        member = self._member(name, h5g.GroupID, "a group")
        return Reader(member, self._where, self._path(name), self._file, self.version)

    def text(self, name: str) -> str:
        """A text attribute."""
        return self._text(name, self._attribute(name), MAX_TEXT)

    def text_dataset(self, name: str) -> str:
        """A scalar dataset of text."""
        return self._text(name, self._dataset(name), MAX_TEXT_DATASET)

    def numbers(self, name: str, dtype: str, ndims: tuple[int, ...]) -> npt.NDArray[Any]:
        """An attribute of one or a few numbers of exactly this type."""
        return self._numbers(name, self._attribute(name), (dtype,), ndims)

    def array(self, name: str, dtypes: tuple[str, ...], ndims: tuple[int, ...]) -> npt.NDArray[Any]:
        """A dataset of one of these types, in the machine's byte order: a new array, or a mapped, read-only one."""
        return self._numbers(name, self._dataset(name), dtypes, ndims)

    def _path(self, name: str) -> str:
        return f"{self._at}/{name}" if self._at and name else self._at or name

    def _limit(self, count: int, what: str) -> None:
        if count > MAX_MEMBERS:
            raise self.error("", f"has {count} {what}; at most {MAX_MEMBERS} are allowed")

    def _attribute(self, name: str) -> Any:
        with _damage(self._where, self._path(name)):
            attribute = h5a.open(self._group, name.encode()) if h5a.exists(self._group, name.encode()) else None
        if attribute is None:
            raise self.error("", f"lacks the attribute {name!r}")
        return attribute

    def _member(self, name: str, kind: type, phrase: str) -> Any:
        key = name.encode()
        with _damage(self._where, self._path(name)):
            link = self._group.links.get_info(key).type if self._group.links.exists(key) else None
        if link is None:
            raise self.error("", f"lacks the member {name!r}")
        if link != h5l.TYPE_HARD:
            raise self.error(name, "is a soft or external link; only what lies in the file itself is read")
        with _damage(self._where, self._path(name)):
            member = h5o.open(self._group, key)
        if not isinstance(member, kind):
            raise self.error(name, f"is not {phrase}")
        return member

    def _dataset(self, name: str) -> Any:
        """A member dataset whose bytes are all in the file, unfiltered and contiguous."""
        dataset = self._member(name, h5d.DatasetID, "a dataset")
        with _damage(self._where, self._path(name)):
            plan = dataset.get_create_plist()
            layout, filters, external = plan.get_layout(), plan.get_nfilters(), plan.get_external_count()
        if external:
            raise self.error(name, "keeps its data in another file; only what lies in the file itself is read")
        if layout not in (h5d.CONTIGUOUS, h5d.COMPACT) or filters:
            raise self.error(name, "is chunked, filtered or virtual; datasets are contiguous here (see FORMAT.md)")
        return dataset

    def _numbers(self, name: str, item: Any, dtypes: tuple[str, ...], ndims: tuple[int, ...]) -> npt.NDArray[Any]:
        with _damage(self._where, self._path(name)):
            stored = item.get_type()
            dtype = next((np.dtype(d) for d in dtypes if stored == h5t.py_create(np.dtype(d))), None)
        if dtype is None:
            allowed = " or ".join(np.dtype(d).name for d in dtypes)
            raise self.error(name, f"has a {_described(stored)} type; {allowed} (little-endian) is required")
        shape = self._extent(name, item, dtype.itemsize, ndims)
        if self._file.descriptor is not None and isinstance(item, h5d.DatasetID) and 0 not in shape:
            offset = item.get_offset()
            if offset is not None:  # not among the metadata, as a compact dataset is
                return self._map(name, self._file.descriptor, offset, shape, dtype)
        return self._fill(name, item, shape, dtype.newbyteorder("="), None)

    def _text(self, name: str, item: Any, limit: int) -> str:
        with _damage(self._where, self._path(name)):
            stored = item.get_type()
            plain = stored.get_class() == h5t.STRING and not stored.is_variable_str()
            size = stored.get_size()
        if not plain or size > limit:
            raise self.error(
                name, f"has a {_described(stored)} type; a fixed-length string of at most {limit} bytes is required"
            )
        octets = self._fill(name, item, self._extent(name, item, size, (0,)), np.dtype(f"S{size}"), stored)
        try:
            text = bytes(octets[()]).decode("utf-8")
        except UnicodeDecodeError:
            raise self.error(name, "is not UTF-8 text") from None
        if "\0" in text:  # behind the padding's NULs, which NumPy drops
            raise self.error(name, "is text with a NUL inside; it is damaged or forged")
        return text

    def _extent(self, name: str, item: Any, itemsize: int, ndims: tuple[int, ...]) -> tuple[int, ...]:
        """Shape of a dataset or attribute whose bytes are really in the file; they are charged to the budget."""
        with _damage(self._where, self._path(name)):
            space = item.get_space()
            null = space.get_simple_extent_type() == h5s.NULL
            shape: tuple[int, ...] = () if null else tuple(int(side) for side in space.shape)
            allocated = int(item.get_storage_size())
            offset = item.get_offset() if isinstance(item, h5d.DatasetID) else None
        if null or len(shape) not in ndims:
            extent = "no value" if null else f"shape {shape}"
            raise self.error(name, f"has {extent}; {' or '.join(map(str, ndims))} dimension(s) are required")
        size = itemsize
        for side in shape:
            size *= side
        if size != allocated or size > self._file.left or (offset or 0) + size > self._file.size:
            raise self.error(
                name,
                f"declares {size} bytes (shape {shape}), of which {allocated} are allocated in a file of "
                f"{self._file.size}; the file is damaged or forged, or has holes where its values should be",
            )
        self._file.left -= size
        return shape

    def _map(
        self, name: str, descriptor: int, offset: int, shape: tuple[int, ...], dtype: np.dtype[Any]
    ) -> npt.NDArray[Any]:
        """The bytes of a dataset as an array, read-only."""
        count = math.prod(shape)
        start = offset % mmap.ALLOCATIONGRANULARITY  # a mapping starts at a multiple of it
        try:
            window = mmap.mmap(
                descriptor, start + count * dtype.itemsize, access=mmap.ACCESS_READ, offset=offset - start
            )
        except (OSError, ValueError) as error:
            raise self.error(name, f"cannot be mapped into memory ({error})") from None
        return np.frombuffer(window, dtype.newbyteorder("="), count, start).reshape(shape)

    def _fill(
        self, name: str, item: Any, shape: tuple[int, ...], dtype: np.dtype[Any], stored: Any
    ) -> npt.NDArray[Any]:
        """Read into a new array, as the type `stored` in memory (None: that of `dtype`)."""
        try:
            out: npt.NDArray[Any] = np.empty(shape, dtype=dtype)
        except MemoryError as error:  # a really large file, or a sparse one
            raise self.error(name, f"does not fit into memory ({error})") from None
        with _damage(self._where, self._path(name)):
            if isinstance(item, h5d.DatasetID):
                item.read(h5s.ALL, h5s.ALL, out, mtype=stored)
            else:
                item.read(out, mtype=stored)
        return out


def _described(stored: Any) -> str:
    """An HDF5 type in words."""
    kind = CLASSES.get(stored.get_class(), "foreign")
    if kind == "string":
        return "variable-length string" if stored.is_variable_str() else f"{stored.get_size()}-byte string"
    return f"{8 * stored.get_size()}-bit {kind}"
