"""The digest of a file's content: one name for a network, recording, events or a state, however it is stored.

Every attribute and dataset of the content is a line of text:

    PATH TYPE SHAPE SHA256

with its path in the file (``populations/1/neuron/threshold``), its type (``int8``, ..., or ``text``), its sides with
commas between (``-`` for none), and the SHA-256 of its values: little-endian, in C order; text in UTF-8. Lines are
sorted by their bytes and end with a newline; the digest is the SHA-256 of all. The root's ``version``, ``producer`` and
``digest`` are not in it, its ``format`` is. Nothing depends on how HDF5 lays a file out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

import numpy as np

from neurosam.hdf5.writer import Writer

__all__ = ["Manifest", "ReservedManifest"]


class Manifest(Writer):
    """What would be written to a group of a file, as lines; see :class:`~neurosam.hdf5.writer.Writer`.

    Parameters
    ----------
    at : str
        Path of the group.
    lines : list of str
        Appended to.
    """

    def __init__(self, at: str = "", lines: list[str] | None = None) -> None:
        super().__init__(None)
        self.at = at
        self.lines: list[str] = [] if lines is None else lines

    def group(self, name: str) -> Manifest:
        """A group in this one."""
        return Manifest(self._path(name), self.lines)

    def text(self, name: str, value: str) -> None:
        """A text attribute."""
        self._add(name, "text", (), hashlib.sha256(value.encode()).hexdigest())

    def text_dataset(self, name: str, value: str) -> None:
        """A text dataset."""
        self.text(name, value)

    def numbers(self, name: str, value: Any, dtype: str) -> None:
        """An attribute of one or a few numbers."""
        self.array(name, value, dtype)

    def array(self, name: str, value: Any, dtype: str) -> None:
        """A dataset."""
        array = np.asarray(value)
        octets = np.ascontiguousarray(array, dtype=dtype).reshape(-1).view(np.uint8)
        self.octets(name, np.dtype(dtype).name, array.shape, octets.data)

    def octets(self, name: str, kind: str, shape: tuple[int, ...], values: memoryview) -> None:
        """Values of any type, as bytes."""
        self._add(name, kind, shape, hashlib.sha256(values).hexdigest())

    def digest(self) -> str:
        """The SHA-256 of all lines, as 64 hexadecimal digits."""
        return hashlib.sha256(b"".join(sorted(line.encode() for line in self.lines))).hexdigest()

    def _path(self, name: str) -> str:
        return f"{self.at}/{name}" if self.at else name

    def _add(self, name: str, kind: str, shape: tuple[int, ...], digest: str) -> None:
        self.lines.append(f"{self._path(name)} {kind} {','.join(map(str, shape)) or '-'} {digest}\n")


class ReservedManifest(Manifest):
    """Likewise for datasets whose values are already in the file: their digests are given, in order of creation."""

    def __init__(self, at: str, lines: list[str], digests: Iterable[str]) -> None:
        super().__init__(at, lines)
        self._digests = iter(digests)

    def group(self, name: str) -> ReservedManifest:
        """A group in this one."""
        return ReservedManifest(self._path(name), self.lines, self._digests)

    def array(self, name: str, value: Any, dtype: str) -> None:
        """A dataset of this shape."""
        self._add(name, np.dtype(dtype).name, np.shape(value), next(self._digests))

    def numbers(self, name: str, value: Any, dtype: str) -> None:
        """An attribute, whose value is known."""
        Manifest.array(self, name, value, dtype)
