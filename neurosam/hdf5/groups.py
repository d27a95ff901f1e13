"""How groups name their members in HDF5: as symbol tables (since 1.0), or as links in a heap (since 1.8).

A symbol table is a B-tree whose leaves (SNOD) hold names and addresses; the names lie in a local heap. Links that are
too many for the group's header lie in a fractal heap, found by a B-tree of version 2. Both are walked here without the
HDF5 library, which trusts their fields. Heaps and trees of other shapes than HDF5 writes for groups are refused.

Source: HDF5 file format specification 3.0, III.A, III.B, III.D and III.G.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from neurosam.hdf5.messages import hard_link
from neurosam.hdf5.octets import UNDEFINED, Octets, damaged, forbidden

__all__ = ["Tree", "dense_links", "symbols"]

TREE = struct.Struct("<4sBBHQQ")
LOCAL_HEAP = struct.Struct("<4sB3xQQQ")
SNOD = struct.Struct("<4sBxH")
SYMBOL = struct.Struct("<QQI4xQQ")
FREE_BLOCK = struct.Struct("<QQ")
MAX_LEVEL = 8

BTHD = struct.Struct("<4sBBIHHBBQHQ4x")
FRHP = struct.Struct("<4sBHHBIQQQQQQQQQQQQHQQHHQH4x")
BLOCK_SIZES = (512, 512, 1024, 2048, 4096, 8192, 16384, 32768, 65536)
"""Of the heap's rows of four direct blocks."""
ROW = 4
RECORD = struct.Struct("<IBIH")
RECORDS = (45, 24, 22)
"""Most records of a node, by the height above the leaves, in nodes of 512 bytes."""
TOTALS = (0, 0, 2)
"""Bytes that say how many records are below a child, by the height of the node that says it."""


class Tree:
    """The nodes of a B-tree of version 1, walked in order; neighbours have to name each other.

    Parameters
    ----------
    octets : Octets
    at : str
        The object, for errors.
    kind : int
        0 for groups, 1 for chunks.
    key : int
        Bytes of a key.
    most : int
        Most children of a node.
    """

    def __init__(self, octets: Octets, at: str, kind: int, key: int, most: int) -> None:
        self.octets, self.at, self.kind, self.key, self.most = octets, at, kind, key, most
        self._last: dict[int, tuple[int, int]] = {}

    def leaves(self, root: int) -> Iterator[tuple[bytes, int]]:
        """The key and address of everything that the leaves name."""
        yield from self._walk(root, None)
        if any(right != UNDEFINED for _, right in self._last.values()):
            damaged(self.at, "a B-tree that names more nodes than it has")

    def _walk(self, address: int, expected: int | None) -> Iterator[tuple[bytes, int]]:
        signature, kind, level, used, left, right = self.octets.unpack(self.at, address, TREE)
        if signature != b"TREE" or kind != self.kind or used > self.most:
            damaged(self.at, f"no B-tree at {address}")
        if level > MAX_LEVEL or (expected is not None and level != expected):
            damaged(self.at, f"a B-tree of level {level}")
        before, names = self._last.get(level, (UNDEFINED, address))
        if left != before or names != address:
            damaged(self.at, "a B-tree whose nodes are not in a row")
        self._last[level] = (address, right)
        step = self.key + 8
        size = used * step + self.key
        self.octets.inside(self.at, address + TREE.size, self.most * step + self.key)  # HDF5 reads the whole node
        entries = self.octets.take(self.at, address + TREE.size, size)
        for i in range(used):
            key = entries[i * step : i * step + self.key]
            child = int.from_bytes(entries[i * step + self.key : (i + 1) * step], "little")
            if level:
                yield from self._walk(child, level - 1)
            else:
                yield key, child


def symbols(
    octets: Octets, at: str, tree: int, heap: int, widths: tuple[int, int]
) -> Iterator[tuple[str, int | None, tuple[int, int] | None]]:
    """Members of a group with a symbol table.

    Parameters
    ----------
    octets, at
        As for :class:`Tree`.
    tree, heap : int
        Addresses.
    widths : tuple of int
        Half the most entries of a leaf and of an inner node, as the file states.

    Yields
    ------
    tuple of str, int and tuple
        Name; address of the object, None for a soft link; and what is said of a group's own tree and heap, if it is.
    """
    names = _local_heap(octets, at, heap)
    leaf, inner = widths
    for _, address in Tree(octets, at, 0, 8, 2 * inner).leaves(tree):
        signature, version, count = octets.unpack(at, address, SNOD)
        if signature != b"SNOD" or version != 1 or count > 2 * leaf:
            damaged(at, f"no symbols at {address}")
        octets.inside(at, address, SNOD.size + 2 * leaf * SYMBOL.size)
        table = octets.take(at, address + SNOD.size, count * SYMBOL.size)
        for place, target, kind, first, second in SYMBOL.iter_unpack(table):
            end = names.find(b"\0", place) if place < len(names) else -1
            if end <= place or b"/" in names[place:end]:
                damaged(at, "a member without a name")
            name = names[place:end].decode("utf-8", "backslashreplace")
            if kind == 2:
                if names.find(b"\0", first & 0xFFFFFFFF) < 0:
                    damaged(at, "a soft link without an end")
                yield name, None, None
            elif kind in (0, 1):
                yield name, target, (first, second) if kind else None
            else:
                damaged(at, f"a member of kind {kind}")


def _local_heap(octets: Octets, at: str, address: int) -> bytes:
    """The names of a symbol table; the HDF5 library would follow its list of free blocks in a circle for ever."""
    signature, version, size, free, start = octets.unpack(at, address, LOCAL_HEAP)
    if signature != b"HEAP" or version:
        damaged(at, f"no heap of names at {address}")
    names = octets.take(at, start, size)
    steps = 0
    while free not in (1, UNDEFINED):
        steps += 1
        if free + FREE_BLOCK.size > size or free % 8 or steps > size // FREE_BLOCK.size:
            damaged(at, "a heap of names whose free blocks do not end")
        following, length = FREE_BLOCK.unpack_from(names, free)
        if not FREE_BLOCK.size <= length <= size - free:
            damaged(at, "a heap of names with a free block outside it")
        free = following
    return names


def dense_links(octets: Octets, at: str, heap: int, tree: int) -> Iterator[tuple[str, int | None]]:
    """Name and address of the members of a group whose links lie in a fractal heap; None for a soft link."""
    blocks = _blocks(octets, at, heap)
    signature, version, kind, node, record, depth, split, merge, root, count, total = octets.unpack(at, tree, BTHD)
    if (signature, version, kind, node, record, split, merge) != (b"BTHD", 0, 5, 512, 11, 100, 40) or depth > 2:
        damaged(at, f"no B-tree of links at {tree}")
    found = 0
    for head, place, length in _records(octets, at, root, count, depth) if count else ():
        found += 1
        start, block = next(((s, b) for s, b in blocks if s <= place and place + length <= s + len(b)), (0, b""))
        if head or not block or not length:
            damaged(at, "a link that is not in its heap")
        yield hard_link(at, block[place - start : place - start + length])
    if found != total:
        damaged(at, f"{found} links instead of {total}")


def _records(octets: Octets, at: str, address: int, count: int, depth: int) -> Iterator[tuple[int, int, int]]:
    """The identifiers of all links below a node."""
    if not 0 < count <= RECORDS[depth]:
        damaged(at, f"a B-tree node of {count} links")
    node = octets.take(at, address, 512)
    if node[:6] != (b"BTIN" if depth else b"BTLF") + b"\0\5":
        damaged(at, f"no B-tree node at {address}")
    end = 6 + count * RECORD.size
    for _, head, place, length in RECORD.iter_unpack(node[6:end]):
        yield head, place, length
    if depth:
        step = 8 + 1 + TOTALS[depth]
        for i in range(count + 1):
            child = int.from_bytes(node[end + i * step : end + i * step + 8], "little")
            below = node[end + i * step + 8]
            yield from _records(octets, at, child, below, depth - 1)


def _blocks(octets: Octets, at: str, address: int) -> list[tuple[int, bytes]]:
    """The direct blocks of a group's heap: where each begins in the heap, and its bytes."""
    signature, version, *fields = octets.unpack(at, address, FRHP)
    names, filters, flags, largest, _, huge, _, _, _, _, _, _, _, many, _, tiny, *shape, root, rows = fields
    if signature != b"FRHP" or version:
        damaged(at, f"no heap of links at {address}")
    if (names, filters, flags, largest, shape) != (7, 0, 2, 4096, [ROW, 512, 65536, 32, 1]) or many or tiny:
        forbidden(at, "a heap of links of another shape than HDF5 gives them")
    if huge != UNDEFINED or rows > len(BLOCK_SIZES):
        forbidden(at, "links of more than 4096 bytes, or too many")
    if root == UNDEFINED:
        return []
    if not rows:
        return [(0, _direct(octets, at, address, root, 0, 512))]
    head = octets.take(at, root, 17 + 8 * ROW * rows)
    if head[:17] != b"FHIB\0" + address.to_bytes(8, "little") + bytes(4):
        damaged(at, f"no table of blocks at {root}")
    blocks, start = [], 0
    for i, (child,) in enumerate(struct.iter_unpack("<Q", head[17:])):
        size = BLOCK_SIZES[i // ROW]
        if child != UNDEFINED:
            blocks.append((start, _direct(octets, at, address, child, start, size)))
        start += size
    return blocks


def _direct(octets: Octets, at: str, heap: int, address: int, start: int, size: int) -> bytes:
    block = octets.take(at, address, size)
    if block[:17] != b"FHDB\0" + heap.to_bytes(8, "little") + start.to_bytes(4, "little"):
        damaged(at, f"no block of links at {address}")
    return block
