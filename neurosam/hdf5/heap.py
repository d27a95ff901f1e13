"""Text of variable length in a file of other software, read by its own bytes.

A ``str`` that h5py stores is a reference of 16 bytes to an object in a heap of the file: its length (uint32), the
address of a collection (uint64) and the object's number in it (uint32). A collection is

    "GCOL", version 1, 3 bytes, size of the collection (uint64), objects

and an object its number (uint16), a count (uint16), 4 bytes, its size (uint64) and its bytes, padded to a multiple of
8; all little-endian (HDF5 file format specification 3.0, III.E). HDF5 itself would allocate whatever length the
reference states before it looks at the heap; here nothing is read that is not in the file.
"""

from __future__ import annotations

import os
import struct

__all__ = ["REFERENCE", "heap_text"]

REFERENCE = struct.Struct("<IQI")
COLLECTION = struct.Struct("<4sB3xQ")
OBJECT = struct.Struct("<HH4xQ")
MAX_COLLECTION = 2**20
"""Most bytes of a collection that are searched; HDF5 makes them of 4096."""


def heap_text(descriptor: int, reference: bytes, limit: int) -> bytes | None:
    """The bytes that a reference names, at most `limit`; None if it leads nowhere.

    Parameters
    ----------
    descriptor : int
        The open file.
    reference : bytes
        As stored in the dataset.
    limit : int
    """
    if len(reference) != REFERENCE.size:
        return None
    length, address, wanted = REFERENCE.unpack(reference)
    if not 0 < length <= limit or not 0 < address < 2**62:
        return b"" if length == 0 else None
    head = os.pread(descriptor, COLLECTION.size, address)
    if len(head) != COLLECTION.size:
        return None
    signature, version, size = COLLECTION.unpack(head)
    if signature != b"GCOL" or version != 1:
        return None
    octets = os.pread(descriptor, min(size, MAX_COLLECTION), address)
    at = COLLECTION.size
    while at + OBJECT.size <= len(octets):
        number, _, held = OBJECT.unpack_from(octets, at)
        at += OBJECT.size
        if number == wanted and number != 0:
            return octets[at : at + length] if length <= held and at + length <= len(octets) else None
        if number == 0:  # free space, up to the end
            return None
        at += -(-held // 8) * 8
    return None
