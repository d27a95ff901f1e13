"""Events in .npy and .npz: a structured array, columns, a plain (N, 4) array, dense frames, or spikes for a run.

.npz archives, by what they hold:

- ``time``, ``sample``, ``neuron``, ``steps``, ``samples``, ``shape``, perhaps ``value``: an :class:`Events` as it is;
- columns t, x, y, p by any of their usual names (columns.py), or one structured array: a recording;
- one array of numbers [T, B, C, H, W] or [T, B, N]: dense;
- beside each of them, perhaps ``labels``: the class of each sample.

Nothing is unpickled. A .npy is mapped, so that a long one is read in pieces; an archive is read whole, after its
members' sizes have been compared with what the archive declares.
"""

from __future__ import annotations

import lzma
import struct
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np
import numpy.typing as npt

from neurosam._util.untrusted import MALFORMED_ARCHIVE
from neurosam.errors import EventError, FormatError
from neurosam.formats.events.columns import block, columns_of, is_event_record, ordered
from neurosam.formats.events.source import BLOCK, Block, Source
from neurosam.signals.events import Events

__all__ = ["array_source", "labels_in", "load_array", "numpy_file", "read_archive", "table_source"]

MOST_BYTES = 2**32
"""Largest archive, unpacked. A longer recording belongs into a .npy, which is read in pieces."""
REMEDY = "Save it as .npy"
DAMAGE = (*MALFORMED_ARCHIVE, TokenError, struct.error, lzma.LZMAError)
"""What NumPy and zipfile raise for a file that is none, or damaged."""
SPIKES = ("time", "sample", "neuron")
LABELS = "labels"
"""An array beside the events of a .npz: the class of each sample."""


def numpy_file(path: Path, columns: str = "") -> Source | Events:
    """Open a .npy or .npz."""
    if path.suffix.lower() == ".npz":
        return _archive(path, columns)
    where, array = str(path), load_array(path)
    source = array_source(where, array, columns)
    if isinstance(source, Events):
        return source

    def blocks() -> Iterator[Block]:
        for start in range(0, max(len(array), 1), BLOCK):
            part = load_array(path)[start : start + BLOCK]  # a map of its own, whose pages are given back
            yield block(where, _fields(where, part, columns), start)

    return replace(source, blocks=blocks)


def load_array(path: Path) -> npt.NDArray[Any]:
    """Map a .npy.

    Raises
    ------
    FormatError
        If it does not exist, is cut off, or holds objects.
    """
    if path.exists() and not path.is_file():
        raise FormatError(str(path), "is not a regular file; give the name of a .npy")
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)  # a header with a huge shape allocates nothing
    except FileNotFoundError:
        raise FormatError(str(path), "does not exist; check the name") from None
    except DAMAGE as error:
        reason = str(error).split(". ")[0]  # the rest of the message suggests unpickling
        raise FormatError(str(path), f"is not a readable .npy array of numbers ({reason})") from None
    if not isinstance(array, np.ndarray):
        array.close()
        raise FormatError(str(path), "is an .npz archive; give it this suffix")
    return array


def array_source(where: str, array: npt.NDArray[Any], columns: str = "") -> Source | Events:
    """A recording in one array, or the events of a dense one.

    Raises
    ------
    EventError
        If the array is none of these.
    """
    if array.dtype.names is not None or columns or (array.ndim == 2 and array.shape[1] in (3, 4)):
        return table_source(where, _fields(where, array, columns))
    try:
        return Events.from_dense(array)
    except EventError as error:
        raise EventError(f"{where}{error.where.removeprefix('events')}", error.problem) from None


def _fields(where: str, array: npt.NDArray[Any], columns: str) -> dict[str, npt.NDArray[Any]]:
    """The columns t, x, y, p of a structured array, or of a plain one in the given order."""
    if array.dtype.names is None:
        return ordered(where, array, columns)
    if not is_event_record(array.dtype) or array.ndim != 1:
        raise EventError(where, f"has fields {', '.join(array.dtype.names)} and shape {array.shape}; one row of "
                         "records with t, x, y and p is required")  # fmt: skip
    return {column: array[name] for column, name in columns_of(array.dtype.names).items()}


def table_source(where: str, fields: dict[str, npt.NDArray[Any]]) -> Source:
    """A recording in columns t, x, y, p, which may be mapped from a file."""
    t = fields.get("t")
    size = 0 if t is None or t.ndim != 1 else len(t)

    def blocks() -> Iterator[Block]:
        for start in range(0, max(size, 1), BLOCK):
            yield block(where, {name: column[start : start + BLOCK] for name, column in fields.items()}, start)

    return Source(where, blocks, size=size)


def read_archive(path: Path, most: int, remedy: str) -> dict[str, npt.NDArray[Any]]:
    """The arrays of an .npz by name, if they take `most` bytes at most; nothing is unpickled.

    Raises
    ------
    FormatError
        If it does not exist, is damaged, holds objects, or is larger, with what to do then.
    """
    where = str(path)
    try:
        with zipfile.ZipFile(path) as members:
            total = sum(member.file_size for member in members.infolist())
        if total > most:
            raise FormatError(where, f"unpacks to {total} bytes; at most {most} are accepted. {remedy}")
        with np.load(path, allow_pickle=False) as archive:
            return {name: _member(where, archive, name, total) for name in archive.files}
    except FileNotFoundError:
        raise FormatError(where, "does not exist; check the name") from None
    except FormatError:
        raise
    except DAMAGE as error:
        reason = str(error).split(". ")[0][:200]
        raise FormatError(where, f"is not a readable .npz archive of numbers ({reason})") from None


def labels_in(path: Path) -> npt.NDArray[Any] | None:
    """The array `labels` of an archive, as it is; None if it has none, or the file is no .npz."""
    return read_archive(path, MOST_BYTES, REMEDY).get(LABELS) if path.suffix.lower() == ".npz" else None


def _archive(path: Path, columns: str) -> Source | Events:
    where = str(path)
    arrays = read_archive(path, MOST_BYTES, REMEDY)
    arrays.pop(LABELS, None)
    if set(SPIKES) <= arrays.keys():
        return _spikes(where, arrays)
    names = columns_of(arrays)
    if {"t", "x"} <= names.keys():
        return table_source(where, {column: arrays[name] for column, name in names.items()})
    if len(arrays) == 1:
        return array_source(where, next(iter(arrays.values())), columns)
    raise FormatError(where, f"holds {', '.join(arrays) or 'nothing'}; one array, columns t, x, y, p, or spikes (time, "
                      "sample, neuron, steps, samples, shape) are required")  # fmt: skip


def _member(where: str, archive: Any, name: str, total: int) -> npt.NDArray[Any]:
    """One array, whose header may not claim more than the archive declares."""
    entry = name if name in archive.zip.namelist() else f"{name}.npy"
    with archive.zip.open(entry) as file:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(file)
    if dtype.hasobject or float(np.prod(shape, dtype=np.float64)) * dtype.itemsize > total:
        raise FormatError(where, f"has {name!r} of {dtype} and shape {shape}, which is not in the file; it is damaged")
    array: npt.NDArray[Any] = archive[name]
    return array


def _spikes(where: str, arrays: dict[str, npt.NDArray[Any]]) -> Events:
    """Events for a run, as they are."""
    if missing := [name for name in ("steps", "shape") if name not in arrays]:
        latest = int(arrays["time"].max(initial=0)) if arrays["time"].dtype.kind in "iu" else 0
        hint = f"; times up to {latest} look like microseconds: give t, x, y, p and dt_us instead" * (latest >= 10**5)
        raise EventError(where, f"has time, sample and neuron but no {' and '.join(missing)}{hint}")
    try:
        return Events.from_unsorted(
            arrays["time"], arrays["sample"], arrays["neuron"],
            steps=_scalar(arrays["steps"]), samples=_scalar(arrays.get("samples", arrays["sample"].max(initial=0) + 1)),
            shape=tuple(int(side) for side in arrays["shape"].ravel()), value=arrays.get("value"),
        )  # fmt: skip
    except (TypeError, ValueError, OverflowError) as error:
        raise EventError(where, f"has steps, samples or a shape that are no integers ({error})") from None
    except EventError as error:
        raise EventError(f"{where}: {error.where}", error.problem) from None


def _scalar(value: Any) -> int:
    return int(np.asarray(value).item())
