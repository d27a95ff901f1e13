"""The bytes of an HDF5 file as its structure is checked: none outside the file, and no more work than it has bytes."""

from __future__ import annotations

import struct
from typing import Any, BinaryIO, NoReturn

__all__ = ["UNDEFINED", "Octets", "StructureError", "damaged", "forbidden"]

UNDEFINED = 2**64 - 1
"""The address of what is not there."""

REMEDY = "write the file anew with h5repack IN OUT, or save it again with h5py's default libver"


class StructureError(Exception):
    """What is wrong with the structure of a file; the text completes a sentence that begins with the file's name."""


def damaged(at: str, detail: str) -> NoReturn:
    """Refuse bytes that no HDF5 library writes."""
    raise StructureError(f"is damaged{at and f' at {at}'} ({detail}); copy or make it again")


def forbidden(at: str, what: str) -> NoReturn:
    """Refuse what HDF5 knows and this reader does not pass on."""
    raise StructureError(f"{at + ' ' if at else ''}has {what}, which is not read from files; {REMEDY}")


class Octets:
    """Reads parts of a file by address.

    Every part of an honest file is read once. So a file whose parts refer to each other many times, or in a circle, is
    noticed: all that is read is at most 4 times as much as the file has bytes.

    Parameters
    ----------
    file : binary file
    size : int
        Its bytes.
    """

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file = file
        self._left = 4 * size + 2**12
        self.end = size

    def take(self, at: str, address: int, count: int) -> bytes:
        """The bytes at an address; `at` names the object that they belong to."""
        if address + count > self.end:
            damaged(at, f"{count} bytes at {address} lie outside the file")
        self._left -= count
        if self._left < 0:
            damaged(at, "its parts refer to each other")
        self._file.seek(address)
        octets = self._file.read(count)
        if len(octets) != count:
            damaged(at, "the file became shorter")
        return octets

    def unpack(self, at: str, address: int, layout: struct.Struct) -> tuple[Any, ...]:
        """A structure at an address."""
        return layout.unpack(self.take(at, address, layout.size))

    def inside(self, at: str, address: int, count: int) -> None:
        """Refuse a part that is not read here, but does not lie in the file."""
        if address + count > self.end:
            damaged(at, f"{count} bytes at {address} lie outside the file")
