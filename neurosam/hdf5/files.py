"""Saving and loading networks, recordings and events: what a file says that it is, and its version."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from neurosam._version import __version__
from neurosam.errors import FormatError
from neurosam.hdf5.fields import NotStorable
from neurosam.hdf5.reader import Reader, opened
from neurosam.hdf5.schema import inconsistency, read_record, write_record
from neurosam.hdf5.stream import Stream, streamed
from neurosam.hdf5.writer import Root, created
from neurosam.network.network import Network
from neurosam.signals.events import Events
from neurosam.signals.recording import Record, Recording

__all__ = [
    "VERSION",
    "file_kind",
    "load_events",
    "load_network",
    "load_recording",
    "save",
    "save_events",
    "save_network",
    "save_recording",
    "stream_recording",
]

VERSION = 1
"""Version of the format that is written; files of versions 1 to this one are read."""

KINDS: dict[str, type] = {"network": Network, "recording": Recording, "events": Events}
PREFIX = "neurosam-"
HEADER = frozenset({"format", "version", "producer"})


def save(value: Network | Recording | Events, path: str | Path) -> None:
    """Write a network, a recording or events, atomically: after a failure the file at `path` is what it was before.

    Parameters
    ----------
    value : Network, Recording or Events
    path : str or Path
        Its folder must exist; an older file is replaced.

    Raises
    ------
    FormatError
        If it cannot be written (folder, permission, disk full), or holds what a file cannot (a NUL in a name).
    """
    kinds = {held: kind for kind, held in KINDS.items()}
    if type(value) not in kinds:  # a subclass could hold more than the file does
        allowed = ", ".join(held.__name__ for held in kinds)
        raise FormatError(str(path), f"got {type(value).__name__} to save; allowed are {allowed}")
    _save(kinds[type(value)], value, path)


def save_network(network: Network, path: str | Path) -> None:
    """Write a network, atomically: after a failure the file at `path` is what it was before.

    Parameters
    ----------
    network : Network
    path : str or Path
        Its folder must exist; an older file is replaced.

    Raises
    ------
    FormatError
        If it cannot be written (folder, permission, disk full), or holds what a file cannot (a NUL in a name).
    """
    _save("network", network, path)


def save_recording(recording: Recording, path: str | Path) -> None:
    """Write a recording, atomically; see :func:`save_network`."""
    _save("recording", recording, path)


def save_events(events: Events, path: str | Path) -> None:
    """Write events, atomically; see :func:`save_network`."""
    _save("events", events, path)


@contextmanager
def stream_recording(path: str | Path, network: Network, record: Record, steps: int, samples: int) -> Iterator[Stream]:
    """A recording file that is filled while the recording is made; :func:`load_recording` then reads it as any other.

    The space for all values is taken from the disk at once, where the file system can. The file appears under its name
    when the block ends without an exception, and :meth:`Stream.finish` was called; else nothing is left of it.

    Parameters
    ----------
    path : str or Path
        As for :func:`save_network`.
    network, record, steps, samples
        What will be recorded.

    Raises
    ------
    FormatError
        If the file cannot be written (folder, permission, disk full), or not all values came.
    """
    try:
        with streamed(path, network, record, steps, samples, _begin) as stream:
            yield stream
    except NotStorable as error:
        raise FormatError(str(path), f"is not written: {error}") from None


def load_network(path: str | Path) -> Network:
    """Read a network.

    Parameters
    ----------
    path : str or Path
        A file that :func:`save_network` wrote. What is read takes no more memory than the file has bytes.

    Raises
    ------
    FormatError
        If the file is missing, unreadable, truncated, foreign, newer or hostile, or holds an impossible network.
    """
    network: Network = _load("network", path)
    return network


def load_recording(path: str | Path, mapped: bool = False) -> Recording:
    """Read a recording; see :func:`load_network`.

    With `mapped`, its arrays stay in the file, which must not be changed in place meanwhile, and are read-only: values
    are read when they are used, so that a recording larger than the memory can be looked at.
    """
    recording: Recording = _load("recording", path, mapped)
    return recording


def load_events(path: str | Path) -> Events:
    """Read events; see :func:`load_network`."""
    events: Events = _load("events", path)
    return events


def file_kind(path: str | Path) -> str:
    """What a file of neurosam holds, of whichever version: ``"network"``, ``"recording"`` or ``"events"``.

    Raises
    ------
    FormatError
        If the file is missing, unreadable, truncated or foreign.
    """
    with opened(path) as root:
        return _kind(root)


def _save(kind: str, value: Any, path: str | Path) -> None:
    if type(value) is not KINDS[kind]:  # a subclass could hold more than the file does
        raise FormatError(str(path), f"got {type(value).__name__} to save; a {KINDS[kind].__name__} is required")
    try:
        if isinstance(value, Recording) and (problem := inconsistency(value)):
            raise NotStorable(problem)
        with created(path) as root:
            _begin(root, kind)
            write_record(root, value)
    except NotStorable as error:
        raise FormatError(str(path), f"is not written: {error}") from None


def _begin(root: Root, kind: str) -> None:
    """Say what the file is."""
    root.text("format", PREFIX + kind)
    root.numbers("version", VERSION, "<i8")
    root.text("producer", f"neurosam {__version__}")


def _load(kind: str, path: str | Path, mapped: bool = False) -> Any:
    with opened(path, mapped) as root:
        found = _kind(root)
        if found != kind:
            raise root.error("", f"holds {_phrase(found)}, not {_phrase(kind)}; use neurosam.hdf5.load_{found}")
        version = int(root.numbers("version", "<i8", (0,)))
        if version > VERSION:
            raise root.error(
                "",
                f"has version {version} of the format (written by {root.text('producer')}); "
                f"neurosam {__version__} reads versions 1 to {VERSION}. Upgrade neurosam",
            )
        if version < 1:
            raise root.error("version", f"is {version}; 1 to {VERSION} exist")
        root.text("producer")
        value = read_record(root, KINDS[kind], HEADER)
        if isinstance(value, Recording) and (problem := inconsistency(value)):
            raise root.error("", problem)
        return value


def _kind(root: Reader) -> str:
    """The kind that the root's ``format`` names; a FormatError for a file of another make."""
    try:
        kind = root.text("format").removeprefix(PREFIX)
    except FormatError:
        kind = ""
    if kind not in KINDS:
        raise root.error("", "is an HDF5 file, but not one of neurosam's (FORMAT.md)")
    return kind


def _phrase(kind: str) -> str:
    return {"network": "a network", "recording": "a recording", "events": "events"}[kind]
