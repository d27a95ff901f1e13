"""How single values are stored in a file: one class per kind of field, with `write` beside `read`.

What `write` stores, `read` returns bit for bit; what `read` would refuse, `write` refuses too.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np

from neurosam._util.arguments import integer
from neurosam.errors import NetworkError
from neurosam.hdf5.reader import MAX_TEXT, MAX_TEXT_DATASET, Reader
from neurosam.hdf5.writer import Writer

__all__ = ["Array", "Field", "NotStorable", "Real", "Text", "Texts", "Whole", "WholeMember", "Wholes", "storable"]

INT64 = 2**63 - 1


class NotStorable(Exception):
    """A value that the format cannot hold; becomes a FormatError with the file's name."""


@dataclass(frozen=True, kw_only=True)
class Field(ABC):
    """How one field is stored.

    Parameters
    ----------
    optional : bool
        Whether it may be absent, which means `absent`.
    absent : object
        None, or a number.
    """

    optional: bool = False
    absent: int | None = None

    attribute = False
    """Whether it is an attribute of its group, or a member (dataset or group)."""

    @abstractmethod
    def write(self, group: Writer, name: str, value: Any) -> None:
        """Store a value that is not that of an absent field."""

    @abstractmethod
    def read(self, group: Reader, name: str) -> Any:
        """The value of a field that is present."""


@dataclass(frozen=True)
class Text(Field):
    """A text attribute."""

    attribute = True

    def write(self, group: Writer, name: str, value: Any) -> None:
        """Store it as UTF-8."""
        group.text(name, storable(name, value, MAX_TEXT))

    def read(self, group: Reader, name: str) -> str:
        """The text."""
        return group.text(name)


@dataclass(frozen=True)
class Texts(Field):
    """A mapping of str to str: a text dataset with a JSON object."""

    def write(self, group: Writer, name: str, value: Any) -> None:
        """Store it in pure ASCII."""
        group.text_dataset(name, storable(name, json.dumps(value), MAX_TEXT_DATASET))

    def read(self, group: Reader, name: str) -> dict[str, str]:
        """The mapping, in its order."""
        text = group.text_dataset(name)
        try:
            pairs = json.loads(text, object_pairs_hook=tuple) if text.startswith("{") else None
        except (ValueError, RecursionError):
            pairs = None
        texts = dict(pairs) if pairs is not None else {}
        if pairs is None or len(texts) != len(pairs) or not all(isinstance(value, str) for value in texts.values()):
            raise group.error(name, "is not a JSON object of texts with distinct keys")
        return texts


@dataclass(frozen=True)
class Whole(Field):
    """An int64 attribute."""

    low: int = -INT64
    attribute = True

    def write(self, group: Writer, name: str, value: Any) -> None:
        """Store it."""
        group.numbers(name, integer(name, value, self.low, INT64), "<i8")

    def read(self, group: Reader, name: str) -> int:
        """The int."""
        return integer(name, group.numbers(name, "<i8", (0,))[()], self.low, INT64)


@dataclass(frozen=True)
class WholeMember(Whole):
    """An int64 dataset of one number: for a group that has 8 attributes, the most that HDF5 stores compactly."""

    attribute = False

    def write(self, group: Writer, name: str, value: Any) -> None:
        """Store it."""
        group.array(name, np.asarray(integer(name, value, self.low, INT64)), "<i8")

    def read(self, group: Reader, name: str) -> int:
        """The int."""
        return integer(name, group.array(name, ("<i8",), (0,))[()], self.low, INT64)


@dataclass(frozen=True)
class Wholes(Field):
    """An attribute of a few int64, such as a shape: a tuple with one of the allowed lengths."""

    lengths: tuple[int, ...]
    low: int = 1
    attribute = True

    def write(self, group: Writer, name: str, value: Any) -> None:
        """Store them."""
        group.numbers(name, self._check(name, tuple(value)), "<i8")

    def read(self, group: Reader, name: str) -> tuple[int, ...]:
        """The tuple."""
        return self._check(name, tuple(group.numbers(name, "<i8", (1,))))

    def _check(self, name: str, value: tuple[Any, ...]) -> tuple[int, ...]:
        if len(value) not in self.lengths:
            raise NetworkError(name, f"got {len(value)} numbers; {' or '.join(map(str, self.lengths))} are required")
        return tuple(integer(name, item, self.low, 2**31 - 1) for item in value)


@dataclass(frozen=True)
class Real(Field):
    """A float64 attribute."""

    attribute = True

    def write(self, group: Writer, name: str, value: Any) -> None:
        """Store it."""
        group.numbers(name, value, "<f8")

    def read(self, group: Reader, name: str) -> float:
        """The float."""
        return float(group.numbers(name, "<f8", (0,))[()])


@dataclass(frozen=True)
class Array(Field):
    """A dataset of one of the allowed types and ranks; if one integer type is allowed, integers are converted to it."""

    dtypes: tuple[str, ...]
    ndims: tuple[int, ...]

    def write(self, group: Writer, name: str, value: Any) -> None:
        """Store it without loss."""
        array = np.asarray(value)
        dtype = next((d for d in self.dtypes if array.dtype == np.dtype(d)), None)
        if dtype is None and len(self.dtypes) == 1 and array.dtype.kind in "iu":
            limits = np.iinfo(self.dtypes[0])
            if not array.size or (limits.min <= int(array.min()) and int(array.max()) <= limits.max):
                dtype = self.dtypes[0]
        if dtype is None or array.ndim not in self.ndims:
            allowed = " or ".join(np.dtype(d).name for d in self.dtypes)
            ranks = " or ".join(map(str, self.ndims))
            raise NotStorable(
                f"{name} is {array.dtype} of shape {array.shape}; {allowed} with {ranks} dimension(s) is required"
            )
        group.array(name, array, dtype)

    def read(self, group: Reader, name: str) -> Any:
        """The array."""
        return group.array(name, self.dtypes, self.ndims)


def storable(name: str, value: Any, limit: int) -> str:
    """A text that HDF5 can hold."""
    if not isinstance(value, str):
        raise NotStorable(f"{name} is a {type(value).__name__}; text is required")
    try:
        size = len(value.encode("utf-8"))
    except UnicodeEncodeError:
        raise NotStorable(f"{name} is not valid Unicode") from None
    if size > limit or "\0" in value:
        raise NotStorable(f"{name} has {size} bytes; at most {limit}, without NUL, are allowed")
    return value
