"""The messages of an HDF5 object header: what each may hold before the HDF5 library is allowed to read it.

An object (group or dataset) is a list of messages: dataspace, datatype, fill value, layout, filters, attributes, links
(HDF5 file format specification 3.0, IV.A.2). Each function takes the bytes of one message, refuses what is damaged or
belongs to newer HDF5, and returns what the check of the whole file needs (structure.py).
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass

from neurosam.hdf5.octets import UNDEFINED, damaged, forbidden

__all__ = [
    "Dataspace",
    "Datatype",
    "Layout",
    "attribute_name",
    "check_attribute_info",
    "check_fill",
    "check_filters",
    "dataspace",
    "datatype",
    "hard_link",
    "layout",
    "link_info",
]

MAX_RANK = 32
MAX_BYTES = 2**62
"""Of a dataset with the sides that are 0 taken as 1, so that every product of sides is a number."""
MAX_FILTERS = 8

CLASSES = (
    "integer", "floating-point", "time", "string", "bit field", "opaque", "compound", "reference", "enum",
    "variable-length", "array", "complex",
)  # fmt: skip
INTEGER, FLOAT, STRING, ENUM, VARIABLE = 0, 1, 3, 8, 9
IEEE = {2: (16, 10, 5, 0, 10, 15), 4: (32, 23, 8, 0, 23, 127), 8: (64, 52, 11, 0, 52, 1023)}
"""By bytes: precision, place and size of the exponent, place and size of the mantissa, and the exponent's bias."""
FLOAT_FIELDS = struct.Struct("<HHBBBBI")


@dataclass(frozen=True)
class Dataspace:
    """Sides of a dataset or attribute; `null` for one without a value."""

    shape: tuple[int, ...]
    null: bool


@dataclass(frozen=True)
class Datatype:
    """Class and bytes of an element, and how many bytes describe it."""

    kind: int
    size: int
    length: int


@dataclass(frozen=True)
class Layout:
    """Where a dataset lies: at an address (contiguous), in its header (`compact`), or in chunks named by a B-tree."""

    address: int
    size: int
    chunk: tuple[int, ...] = ()
    compact: bool = False


def _cut(at: str, octets: bytes, start: int, layout: str) -> tuple[int, ...]:
    """The numbers at a place of a message; refused if it is too short."""
    try:
        return struct.unpack_from(layout, octets, start)
    except struct.error:
        damaged(at, "a message of its header is cut")


def dataspace(at: str, octets: bytes) -> Dataspace:
    """A message of type 1, of version 1 or 2."""
    version, rank, flags, kind = _cut(at, octets, 0, "<BBBB")
    if version not in (1, 2) or rank > MAX_RANK or flags > 1:
        damaged(at, f"a dataspace of version {version} with {rank} dimensions")
    start = 8 if version == 1 else 4
    shape = _cut(at, octets, start, f"<{rank}Q")
    if flags:
        _cut(at, octets, start + 8 * rank, f"<{rank}Q")
    null = version == 2 and kind == 2
    if version == 2 and (kind > 2 or (rank > 0) != (kind == 1)):
        damaged(at, f"a dataspace of kind {kind} with {rank} dimensions")
    return Dataspace(shape, null)


def datatype(at: str, octets: bytes, start: int = 0, inner: bool = False) -> Datatype:
    """A message of type 3: integers, IEEE floats, strings, enumerations of integers, strings of variable length."""
    head, flags, flags_1, flags_2, size = _cut(at, octets, start, "<BBBBI")
    version, kind = head >> 4, head & 15
    if version not in (1, 2, 3) or not size:
        damaged(at, f"a datatype of version {version} and {size} bytes")
    length = 8
    if kind == INTEGER:
        offset, precision = _cut(at, octets, start + 8, "<HH")
        if size not in (1, 2, 4, 8) or (offset, precision) != (0, 8 * size):
            forbidden(at, f"a {8 * size}-bit integer type with {precision} bits at {offset}")
        length = 12
    elif kind == FLOAT:
        fields = _cut(at, octets, start + 8, "<HHBBBBI")
        if size not in IEEE or fields != (0, *IEEE[size]) or flags & ~0x21 or flags_1 != 8 * size - 1:
            forbidden(at, f"a {8 * size}-bit floating-point type that is not IEEE's")
        length = 20
    elif kind == STRING:
        pass
    elif kind == ENUM and not inner:
        length = 8 + _enumeration(at, octets, start, version, flags | flags_1 << 8, size)
    elif kind == VARIABLE and not inner and flags & 15 == 1:
        base = datatype(at, octets, start + 8, inner=True)
        if size != 16 or (base.kind, base.size) not in ((STRING, 1), (INTEGER, 1)):
            damaged(at, f"a string of variable length of {size} bytes")
        length = 8 + base.length
    else:
        name = CLASSES[kind] if kind < len(CLASSES) else "foreign"
        forbidden(at, f"a {8 * size}-bit {name} type (integers, floats, bools and text are read)")
    if flags_2 or start + length > len(octets):
        damaged(at, "a datatype that does not fit into its message")
    return Datatype(kind, size, length)


def _enumeration(at: str, octets: bytes, start: int, version: int, count: int, size: int) -> int:
    """Bytes that follow the head of an enumeration: its type, names and values."""
    base = datatype(at, octets, start + 8, inner=True)
    if base.kind != INTEGER or base.size != size:
        damaged(at, "an enumeration of other values than integers")
    place = start + 8 + base.length
    for _ in range(count):
        end = octets.find(b"\0", place)
        if end < 0:
            damaged(at, "an enumeration whose names do not end")
        place = end + 1 if version == 3 else place + (end - place + 8) // 8 * 8
    place += count * size
    return place - start - 8


def size_of(at: str, space: Dataspace, kind: Datatype) -> int:
    """Bytes of the values; refused where the sides alone cannot be multiplied."""
    if math.prod(max(side, 1) for side in space.shape) * kind.size > MAX_BYTES:
        damaged(at, f"the shape {space.shape}")
    return 0 if space.null else math.prod(space.shape) * kind.size


def check_fill(at: str, octets: bytes, old: bool) -> None:
    """A message of type 4 (`old`) or 5: the value of what was not written."""
    if old:
        place = 0
    else:
        version, flags = _cut(at, octets, 0, "<BB")
        if version in (1, 2):
            defined = _cut(at, octets, 0, "<BBBB")[3]
            if version == 2 and not defined:
                return
            place = 4
        elif version == 3:
            if not flags & 0x20:
                return
            place = 2
        else:
            forbidden(at, f"a fill value of version {version}")
    size = _cut(at, octets, place, "<I")[0]
    if size > len(octets) - place - 4 and not (size == 2**32 - 1 and not old):
        damaged(at, f"a fill value of {size} bytes")


def layout(at: str, octets: bytes) -> Layout:
    """A message of type 8, of version 3."""
    version, kind = _cut(at, octets, 0, "<BB")
    if version != 3:
        what = "a virtual layout" if version > 3 and kind == 3 else f"a data layout of version {version}"
        forbidden(at, what)
    if kind == 0:
        size = _cut(at, octets, 2, "<H")[0]
        if size > len(octets) - 4:
            damaged(at, f"{size} bytes in its header")
        return Layout(UNDEFINED, size, compact=True)
    if kind == 1:
        address, size = _cut(at, octets, 2, "<QQ")
        return Layout(address, size)
    if kind != 2:
        damaged(at, f"a data layout of class {kind}")
    rank, address = _cut(at, octets, 2, "<BQ")
    if not 2 <= rank <= MAX_RANK + 1:
        damaged(at, f"chunks of {rank} dimensions")
    chunk = _cut(at, octets, 11, f"<{rank}I")
    if 0 in chunk or math.prod(chunk) >= 2**32:
        damaged(at, f"chunks of {chunk}")
    return Layout(address, 0, chunk)


def check_filters(at: str, octets: bytes) -> None:
    """A message of type 11, of version 1 or 2: whether its entries lie in it."""
    version, count = _cut(at, octets, 0, "<BB")
    if version not in (1, 2) or count > MAX_FILTERS:
        damaged(at, f"{count} filters of version {version}")
    place = 8 if version == 1 else 2
    for _ in range(count):
        number = _cut(at, octets, place, "<H")[0]
        named = version == 1 or number >= 256
        name, _, values = _cut(at, octets, place + 2, "<HHH") if named else (0, *_cut(at, octets, place + 2, "<HH"))
        place += (8 if named else 6) + (-(-name // 8) * 8 if version == 1 else name) + 4 * values
        place += 4 * (values % 2) if version == 1 else 0
    if place > len(octets):
        damaged(at, "filters that do not fit into their message")


def attribute_name(at: str, octets: bytes) -> str:
    """A message of type 12, of version 1 to 3: its type, shape and values fit into it; the name, to be shown."""
    version, flags, *sizes = _cut(at, octets, 0, "<BBHHH")
    if version not in (1, 2, 3) or (version > 1 and flags):
        damaged(at, f"an attribute of version {version}")
    place = 9 if version == 3 else 8
    parts = []
    for size in sizes:
        parts.append(octets[place : place + size])
        place += -(-size // 8) * 8 if version == 1 else size
    name = parts[0].split(b"\0")[0].decode("utf-8", "backslashreplace")
    where = f"{at}/{name}" if at else name
    if place > len(octets) or not parts[0].endswith(b"\0"):
        damaged(where, "an attribute that does not fit into its message")
    if size_of(where, dataspace(where, parts[2]), datatype(where, parts[1])) > len(octets) - place:
        damaged(where, "an attribute whose values do not fit into its message")
    return name


def check_attribute_info(at: str, octets: bytes) -> None:
    """A message of type 21: no attributes in dense storage."""
    version, flags = _cut(at, octets, 0, "<BB")
    place = 4 if flags & 1 else 2
    if version or any(a != UNDEFINED for a in _cut(at, octets, place, "<QQQ" if flags & 2 else "<QQ")):
        forbidden(at, "attributes in dense storage (HDF5's newest layout)")


def link_info(at: str, octets: bytes) -> tuple[int, int]:
    """A message of type 2: addresses of the heap and of the B-tree that hold a group's links."""
    version, flags = _cut(at, octets, 0, "<BB")
    place = 10 if flags & 1 else 2
    heap, tree = _cut(at, octets, place, "<QQ")
    if version or (flags & 2 and _cut(at, octets, place + 16, "<Q")[0] != UNDEFINED):
        forbidden(at, "links in the order of their creation in dense storage")
    return heap, tree


def hard_link(at: str, octets: bytes) -> tuple[str, int | None]:
    """A message of type 6: its name, and the address of an object; None for a soft or external link."""
    version, flags = _cut(at, octets, 0, "<BB")
    if version != 1 or flags & 0xE0:
        damaged(at, f"a link of version {version}")
    place, kind = 2, 0
    if flags & 8:
        kind, place = octets[2] if len(octets) > 2 else 255, 3
    place += (8 if flags & 4 else 0) + (1 if flags & 16 else 0)
    length = _cut(at, octets, place, "<" + "BHIQ"[flags & 3])[0]
    place += 1 << (flags & 3)
    name = octets[place : place + length]
    if len(name) != length or not name or b"\0" in name or b"/" in name:
        damaged(at, "a link whose name is cut")
    shown = name.decode("utf-8", "backslashreplace")
    place += length
    if kind == 0:
        return shown, _cut(at, octets, place, "<Q")[0]
    if kind not in (1, 64) or _cut(at, octets, place, "<H")[0] > len(octets) - place - 2:
        damaged(at, f"a link of kind {kind}")
    return shown, None
