"""Texts of variable length in a file of other software, read by their own bytes.

What a dataset holds of such a text is a reference of 16 bytes: its length (uint32), the address of a collection in the
file (uint64) and the text's number in it (uint32). A collection is

    "GCOL", version 1, 3 bytes, size of the collection (uint64), objects

and an object its number (uint16), a count (uint16), 4 bytes, its size (uint64) and its bytes, padded to a multiple of
8; number 0 is free space (HDF5 file format specification 3.0, III.E). HDF5 2.0.0 itself searches some forged
collections for ever. Here every object is passed once, and nothing is read that is not in the file.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from os import SEEK_END
from typing import BinaryIO

__all__ = ["REFERENCE", "Heap"]

REFERENCE = struct.Struct("<IQI")
COLLECTION = struct.Struct("<4sB3xQ")
OBJECT = struct.Struct("<HH4xQ")
MAX_COLLECTION = 2**21
"""Most bytes of a collection; HDF5 makes them of 4096, or as large as one text."""


class Heap:
    """The collections of a file that have been used.

    Parameters
    ----------
    file : binary file
        Stays open while texts are read.
    charge : callable
        Called with the bytes of each collection before it is read; may raise.
    """

    def __init__(self, file: BinaryIO, charge: Callable[[int], None]) -> None:
        self._file = file
        self._size = file.seek(0, SEEK_END)
        self._charge = charge
        self._collections: dict[int, dict[int, bytes]] = {}

    def text(self, reference: bytes) -> bytes | None:
        """What a reference names; None if it leads nowhere."""
        length, address, number = REFERENCE.unpack(reference)
        if not length:
            return b""
        if address not in self._collections:
            self._collections[address] = self._objects(address)
        found = self._collections[address].get(number)
        return None if found is None or len(found) < length else found[:length]

    def _objects(self, address: int) -> dict[int, bytes]:
        """The objects of a collection by number; none where there is no collection."""
        if not 0 < address < self._size:
            return {}
        self._file.seek(address)
        head = self._file.read(COLLECTION.size)
        if len(head) != COLLECTION.size:
            return {}
        signature, version, size = COLLECTION.unpack(head)
        if signature != b"GCOL" or version != 1 or not COLLECTION.size <= size <= MAX_COLLECTION:
            return {}
        self._charge(size)
        octets = self._file.read(size - COLLECTION.size)
        objects: dict[int, bytes] = {}
        at = 0
        while at + OBJECT.size <= len(octets):
            number, _, held = OBJECT.unpack_from(octets, at)
            at += OBJECT.size
            if number == 0 or at + held > len(octets):
                break
            objects[number] = octets[at : at + held]
            at += -(-held // 8) * 8
        return objects
