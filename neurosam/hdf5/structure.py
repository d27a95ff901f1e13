"""The structure of an HDF5 file of unknown origin, walked before the HDF5 library sees it.

libhdf5 trusts many fields of a file: a few bytes changed in one of its B-trees end the process with SIGSEGV or SIGFPE,
or take gigabytes. So what it will read is read here first, by code that cannot crash: the superblock, every object that
can be reached from the root, its messages, and the trees and heaps that they name. What passes is

- what HDF5 1.8 writes for neurosam's files (superblock 2, headers of version 2; links in a heap if they are many), and
- what h5py writes by default, and so lava-dl and NIR (superblock 0, headers of version 1, symbol tables);
- within the file, without circles, in work that is bounded by the file's size.

All else is refused by name: attributes in dense storage, shared messages and types, virtual and external data, chunk
indices of later versions. Checksums are left to HDF5, values to reader.py and foreign.py.

Source: HDF5 file format specification 3.0.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Iterator
from typing import Any, BinaryIO

from neurosam.hdf5 import messages
from neurosam.hdf5.groups import Tree, dense_links, symbols
from neurosam.hdf5.octets import UNDEFINED, Octets, StructureError, damaged, forbidden

__all__ = ["check_structure"]

SUPERBLOCK_0 = struct.Struct("<8sBBBxBBBxHHIQQQQQQI4xQQ")
SUPERBLOCK_2 = struct.Struct("<8sBBBBQQQQ4x")
CHUNK_CHILDREN = 64
"""Most chunks that a node of a dataset's B-tree names."""
MAX_DEPTH = 32
"""Of groups in groups."""

SPACE, LINKS, TYPE, OLD_FILL, FILL, LINK, EXTERNAL, LAYOUT = 1, 2, 3, 4, 5, 6, 7, 8
FILTERS, ATTRIBUTE, CONTINUATION, SYMBOLS, ATTRIBUTES = 11, 12, 16, 17, 21
IGNORED = frozenset({0, 10, 14, 18, 22})
"""Padding, hints for links, times, and the number of names: a few bytes that lead nowhere."""
ONCE = frozenset({SPACE, LINKS, TYPE, OLD_FILL, FILL, EXTERNAL, LAYOUT, FILTERS, SYMBOLS, ATTRIBUTES})


def check_structure(file: BinaryIO, size: int) -> None:
    """Refuse a file whose structure HDF5 should not be given.

    Parameters
    ----------
    file : binary file
        At any place.
    size : int
        Its bytes.

    Raises
    ------
    StructureError
    """
    _Walk(Octets(file, size)).file(size)


class _Walk:
    """All objects of one file, each once."""

    def __init__(self, octets: Octets) -> None:
        self.octets = octets
        self.widths = (4, 16)
        self.tables: dict[int, tuple[int, int] | None] = {}
        """Tree and heap of each object that has been walked; None for one without."""
        self.open: set[int] = set()

    def file(self, size: int) -> None:
        version = self.octets.take("", 8, 1)[0]
        stated: tuple[int, int] | None = None
        if version == 0:
            head = self.octets.unpack("", 0, SUPERBLOCK_0)
            offsets, lengths, leaf, inner, _, base, free, end, driver, _, root, kind, *table = head[5:]
            fine = not any(head[1:5]) and free == driver == UNDEFINED and 0 < leaf <= 1024 and 0 < inner <= 1024
            self.widths = (leaf, inner)
            stated = (table[0], table[1]) if kind == 1 else None
        elif version == 2:
            _, _, offsets, lengths, _, base, extension, end, root = self.octets.unpack("", 0, SUPERBLOCK_2)
            fine = extension == UNDEFINED
        else:
            forbidden("", f"superblock version {version} (HDF5's newest layout)")
        if base or offsets != 8 or lengths != 8 or not fine:
            forbidden("", "a superblock of another shape than HDF5 gives it by default")
        if end > size:
            raise StructureError("is truncated; copy or make it again")
        self.octets.end = end
        self.member("", root, stated, 0)

    def member(self, at: str, address: int, stated: tuple[int, int] | None, depth: int) -> None:
        """An object, and all that can be reached from it; `stated` is what a name says of its tree and heap."""
        if address in self.open or depth > MAX_DEPTH:
            damaged(at, "groups that contain each other")
        if address not in self.tables:
            self.open.add(address)
            self.tables[address] = self.object(at, address, depth)
            self.open.discard(address)
        table = self.tables[address]
        if stated is not None and table is not None and stated != table:  # HDF5 leaves an old one where links moved
            damaged(at, "a name that states another table than its group")

    def object(self, at: str, address: int, depth: int) -> tuple[int, int] | None:
        """Check an object; its tree and heap, if it is a group with a symbol table."""
        found: dict[int, Any] = {}
        names: set[str] = set()
        members: list[tuple[str, int | None, tuple[int, int] | None]] = []
        for kind, octets in self.messages(at, address):
            if kind in ONCE and kind in found:
                damaged(at, f"two messages of type {kind}")
            if kind == LINK:
                members.append((*messages.hard_link(at, octets), None))
            elif kind == ATTRIBUTE:
                name = messages.attribute_name(at, octets)
                if name in names:
                    damaged(at, f"two attributes {name!r}")
                names.add(name)
            else:
                found[kind] = self.message(at, kind, octets)
        table = found.get(SYMBOLS)
        if LINKS in found:
            heap, tree = found[LINKS]
            if (heap == UNDEFINED) != (tree == UNDEFINED) or (table is not None):
                damaged(at, "a group with half of its links")
            if heap != UNDEFINED:
                members += [(*link, None) for link in dense_links(self.octets, at, heap, tree)]
        elif table is not None:
            members += symbols(self.octets, at, table[0], table[1], self.widths)
        if LAYOUT in found:
            self.dataset(at, found)
        if members and (LAYOUT in found or (LINKS not in found and table is None)):
            damaged(at, "members of what is no group")
        for name, target, stated in members:
            if target is not None:
                self.member(f"{at}/{name}" if at else name, target, stated, depth + 1)
        return table

    def message(self, at: str, kind: int, octets: bytes) -> Any:
        """What one message says."""
        if kind == SPACE:
            return messages.dataspace(at, octets)
        if kind == TYPE:
            return messages.datatype(at, octets)
        if kind == LAYOUT:
            return messages.layout(at, octets)
        if kind == LINKS:
            return messages.link_info(at, octets)
        if kind == SYMBOLS:
            if len(octets) < 16:
                damaged(at, "a symbol table without addresses")
            return struct.unpack_from("<QQ", octets)
        if kind in (FILL, OLD_FILL):
            messages.check_fill(at, octets, kind == OLD_FILL)
        elif kind == FILTERS:
            messages.check_filters(at, octets)
        elif kind == ATTRIBUTES:
            messages.check_attribute_info(at, octets)
        elif kind == EXTERNAL:
            forbidden(at, "its data in another file")
        elif kind not in IGNORED:
            forbidden(at, f"a message of type {kind}")
        return None

    def dataset(self, at: str, found: dict[int, Any]) -> None:
        """The place of a dataset's values."""
        if SPACE not in found or TYPE not in found:
            damaged(at, "a dataset without a type or shape")
        space, kind, where = found[SPACE], found[TYPE], found[LAYOUT]
        size = messages.size_of(at, space, kind)
        if where.chunk:
            if len(where.chunk) != len(space.shape) + 1 or where.chunk[-1] != kind.size:
                damaged(at, f"chunks of {where.chunk} in a shape of {space.shape}")
            if where.address != UNDEFINED:
                tree = Tree(self.octets, at, 1, 8 + 8 * len(where.chunk), CHUNK_CHILDREN)
                for key, child in tree.leaves(where.address):
                    self.octets.inside(at, child, int.from_bytes(key[:4], "little"))
        elif where.address != UNDEFINED:
            self.octets.inside(at, where.address, where.size)
            if where.size < size:
                damaged(at, f"{where.size} bytes for the shape {space.shape}")

    def messages(self, at: str, address: int) -> Iterator[tuple[int, bytes]]:
        """Type and bytes of the messages of an object, through all parts of its header."""
        head = self.octets.take(at, address, 16)
        modern = head[:4] == b"OHDR"
        if modern:
            flags = head[5]
            start = 6 + (16 if flags & 0x20 else 0) + (4 if flags & 0x10 else 0)
            width = 1 << (flags & 3)
            size = int.from_bytes(self.octets.take(at, address + start, width), "little")
            first = (address + start + width, size)
            tracked = 2 if flags & 4 else 0
            if head[4] != 2 or flags & 0xC0:
                damaged(at, f"a header of version {head[4]}")
        else:
            version, _, most, _, size = struct.unpack("<BBHII4x", head)
            first, tracked = (address + 16, size), 0
            if version != 1:
                damaged(at, f"no object at {address}")
        count = 0
        parts = deque([first])
        while parts:
            octets = self.octets.take(at, *parts.popleft())
            place, step = 0, 4 + tracked if modern else 8
            while place + step <= len(octets):
                if modern:
                    kind, size, flags = struct.unpack_from("<BHB", octets, place)
                else:
                    kind, size, flags = struct.unpack_from("<HHB", octets, place)
                    count += 1
                    if count > most:
                        damaged(at, "more messages than its header states")
                place += step
                message = octets[place : place + size]
                if len(message) != size or (not modern and size % 8):
                    damaged(at, "a message that does not end")
                place += size
                if flags & 2:
                    forbidden(at, "a shared message or a committed type")
                if kind != CONTINUATION:
                    yield kind, message
                    continue
                if size < 16:
                    damaged(at, "a header without its next part")
                following, length = struct.unpack_from("<QQ", message)
                if modern:
                    if length < 8 or self.octets.take(at, following, 4) != b"OCHK":
                        damaged(at, f"no part of a header at {following}")
                    following, length = following + 4, length - 8
                    self.octets.inside(at, following, length + 4)
                parts.append((following, length))
