"""Saving and loading networks, recordings, events and states, and the kind and version that a file states."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

from neurosam._version import __version__
from neurosam.errors import FormatError
from neurosam.hdf5 import version3
from neurosam.hdf5.consistency import inconsistency
from neurosam.hdf5.fields import NotStorable
from neurosam.hdf5.manifest import Manifest
from neurosam.hdf5.reader import Reader, opened
from neurosam.hdf5.schema import LAYOUTS, VERSION, read_record, write_record
from neurosam.hdf5.stream import Stream, streamed
from neurosam.hdf5.writer import Root, created
from neurosam.network.network import Network
from neurosam.signals.events import Events
from neurosam.signals.inputs import Inputs
from neurosam.signals.recording import Record, Recording
from neurosam.signals.state import State

__all__ = [
    "digest",
    "file_digest",
    "file_kind",
    "kind_of",
    "load",
    "load_events",
    "load_network",
    "load_recording",
    "save",
    "stream_recording",
]

Stored: TypeAlias = Network | Recording | Events | Inputs | State
"""What a file can hold."""

KINDS: dict[str, type] = {
    "network": Network, "recording": Recording, "events": Events, "inputs": Inputs, "state": State
}  # fmt: skip
PHRASES = {
    "network": "a network", "recording": "a recording", "events": "events", "inputs": "events of several inputs",
    "state": "a state",
}  # fmt: skip
LOADERS = {"network": "load_network", "recording": "load_recording", "events": "load_events"}
PREFIX = "neurosam-"
HEADER = version3.HEADER | {"digest"}


def save(value: Stored | Mapping[str, Events], path: str | Path) -> None:
    """Write a network, recording, events or state to a file, atomically: if it fails, an older file is unchanged.

    Parameters
    ----------
    value : Network, Recording, Events, State, or mapping of str to Events
        A mapping has the events of several inputs, of equal length.
    path : str or Path
        Its folder must exist; an older file is replaced.

    Raises
    ------
    FormatError
        If the file cannot be written (folder, permission, disk full), or `value` holds what the format cannot (a name
        with a NUL).
    EventError
        If events of several inputs differ in steps or samples.

    Examples
    --------
    >>> left = ns.Events.from_unsorted([0, 2], [0, 0], [1, 3], steps=3, samples=1, shape=(4,))
    >>> ns.save(left, "events.h5")
    >>> len(ns.load_events("events.h5"))
    2
    >>> ns.save({"left": left, "right": left.select(0, 1)}, "inputs.h5")
    >>> list(ns.load("inputs.h5"))
    ['left', 'right']
    """
    value, kind = _storable(value, str(path))
    try:
        if problem := inconsistency(value):
            raise NotStorable(problem)
        with created(path) as root:
            _write_header(root, kind)
            write_record(root, value)
            root.text("digest", _manifest(value, kind).digest())
    except NotStorable as error:
        raise FormatError(str(path), f"is not written: {error}") from None


def digest(value: Stored | Mapping[str, Events]) -> str:
    """The name of a network, recording, events or state: a SHA-256 of all that it holds, to be compared by two parties.

    It is what :func:`save` writes into the file and :func:`load` checks. Equal values have equal digests, whatever
    software wrote them; networks whose metadata differ are different. How it is formed is in FORMAT.md.

    Returns
    -------
    str
        64 hexadecimal digits.

    Raises
    ------
    FormatError
        If a file could not hold the value.

    Examples
    --------
    >>> events = ns.Events.from_unsorted([0, 2], [0, 0], [1, 3], steps=3, samples=1, shape=(4,))
    >>> ns.digest(events)[:16], ns.digest(events.select(0, 1)) == ns.digest(events)
    ('bd6d1d2b99202c37', True)
    """
    value, kind = _storable(value, "digest")
    try:
        return _manifest(value, kind).digest()
    except NotStorable as error:
        raise FormatError("digest", str(error)) from None


def file_digest(path: str | Path) -> str | None:
    """The digest that a file states, without checking it; None for a file of versions 1 to 3, which have none.

    Raises
    ------
    FormatError
        If the file is missing, unreadable, truncated or not neurosam's.

    Examples
    --------
    Saved again, a network keeps its digest, whatever else the container holds:

    >>> import pathlib, tempfile
    >>> from neurosam.hdf5 import file_digest
    >>> net = ns.Network(
    ...     [ns.Population("in", (1,)), ns.Population("out", (1,), ns.Readout())],
    ...     [ns.Projection("in", "out", ns.Dense([[0.5]]))],
    ... )
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> net.save(folder / "a.h5")
    >>> ns.load(folder / "a.h5").save(folder / "b.h5")
    >>> file_digest(folder / "a.h5") == file_digest(folder / "b.h5"), len(file_digest(folder / "a.h5"))
    (True, 64)
    """
    with opened(path) as root:
        kind_of(root)
        return root.text("digest") if "digest" in root.attributes() else None


def _storable(value: Any, where: str) -> tuple[Stored, str]:
    """A value as it is stored, and its kind."""
    if isinstance(value, Mapping) and all(type(item) is Events for item in value.values()):
        value = Inputs(value)
    kind = next((kind for kind, stored in KINDS.items() if type(value) is stored), None)
    if kind is None:  # a subclass too: it could hold more than the file does
        allowed = ", ".join(stored.__name__ for stored in KINDS.values())
        raise FormatError(where, f"got {type(value).__name__} to save; allowed are {allowed}")
    return value, kind


def _manifest(value: Any, kind: str) -> Manifest:
    manifest = Manifest()
    manifest.text("format", PREFIX + kind)
    write_record(manifest, value)
    return manifest


@contextmanager
def stream_recording(path: str | Path, network: Network, record: Record, steps: int, samples: int) -> Iterator[Stream]:
    """A recording file that is filled while the network runs; :func:`load_recording` then reads it like any other.

    Disk space for all values is reserved at once, where the file system supports it. The file appears under its name
    when the block ends without an exception and :meth:`Stream.finish` has been called; otherwise nothing is left of it.

    Parameters
    ----------
    path : str or Path
        As for :func:`save`.
    network, record, steps, samples
        What will be recorded.

    Raises
    ------
    FormatError
        If the file cannot be written (folder, permission, disk full), or values are missing at the end.
    """
    try:
        with streamed(path, network, record, steps, samples, _write_header) as stream:
            yield stream
    except NotStorable as error:
        raise FormatError(str(path), f"is not written: {error}") from None


def load(path: str | Path, mapped: bool = False) -> Stored:
    """Read whatever a file of neurosam holds: a network, a recording, events (of one or several inputs) or a state.

    Parameters
    ----------
    path : str or Path
        A file that :func:`save` wrote. Reading takes no more memory than the file has bytes.
    mapped : bool
        For a recording: leave its arrays in the file, see :func:`load_recording`. The digest is then not checked.

    Raises
    ------
    FormatError
        If the file is missing, unreadable, truncated, not neurosam's, of a newer version or hostile, or describes
        something invalid.

    See Also
    --------
    load_network, load_recording, load_events
        The same for one kind, and an error for the others.

    Examples
    --------
    >>> ns.Events.from_unsorted([0, 2], [0, 0], [1, 3], steps=3, samples=1, shape=(4,)).save("events.h5")
    >>> ns.load("events.h5").time
    array([0, 2], dtype=int32)
    """
    value: Stored = _load(None, path, mapped)
    return value


def load_network(path: str | Path) -> Network:
    """Read a network; see :func:`load`.

    Examples
    --------
    >>> network = ns.Network(
    ...     populations=[ns.Population("in", shape=(2,)), ns.Population("out", shape=(1,), neuron=ns.Readout())],
    ...     projections=[ns.Projection("in", "out", ns.Dense([[0.5, -0.25]]))],
    ... )
    >>> network.save("network.h5")
    >>> ns.load_network("network.h5") == network
    True
    """
    network: Network = _load("network", path)
    return network


def load_recording(path: str | Path, mapped: bool = False) -> Recording:
    """Read a recording; see :func:`load`.

    With `mapped`, its arrays stay in the file: they are read-only, and values are read when they are used, so that the
    recording may be larger than the memory. The file must not be changed in place meanwhile (replacing it is safe), and
    its digest is not checked, which would read all of it: ``ns.digest(recording) == ns.file_digest(path)`` does.

    Examples
    --------
    >>> output = np.array([[0.5, 1.0], [2.0, 0.0]])
    >>> ns.Recording(backend="by hand", steps=1, samples=2, output=output).save("recording.h5")
    >>> ns.load_recording("recording.h5", mapped=True).predictions
    array([1, 0])
    """
    recording: Recording = _load("recording", path, mapped)
    return recording


def load_events(path: str | Path) -> Events:
    """Read events; see :func:`load`.

    Examples
    --------
    >>> ns.Events.from_unsorted([0, 2], [0, 0], [1, 3], steps=3, samples=1, shape=(4,)).save("events.h5")
    >>> ns.load_events("events.h5").neuron
    array([1, 3], dtype=int32)
    """
    events: Events = _load("events", path)
    return events


def file_kind(path: str | Path) -> str:
    """What a file of neurosam holds, whatever its version: "network", "recording", "events", "inputs" or "state".

    Raises
    ------
    FormatError
        If the file is missing, unreadable, truncated or not neurosam's.
    """
    with opened(path) as root:
        return kind_of(root)


def _write_header(root: Root, kind: str) -> None:
    """Write the attributes that identify the file."""
    root.text("format", PREFIX + kind)
    root.numbers("version", VERSION, "<i8")
    root.text("producer", f"neurosam {__version__}")


def _load(required: str | None, path: str | Path, mapped: bool = False) -> Any:
    """What a file holds; a FormatError if that is not of the required kind."""
    with opened(path, mapped) as root:
        kind = kind_of(root)
        if required not in (None, kind):
            loader = LOADERS.get(kind, "load")
            raise root.error("", f"holds {PHRASES[kind]}, not {PHRASES[required]}; use neurosam.{loader}")
        version = int(root.numbers("version", "<i8", (0,)))
        if version > VERSION:
            raise root.error(
                "",
                f"has version {version} of the format (written by {root.text('producer')}); "
                f"neurosam {__version__} reads versions 1 to {VERSION}. Upgrade neurosam",
            )
        if version < 1:
            raise root.error("version", f"is {version}; 1 to {VERSION} exist")
        if KINDS[kind] not in LAYOUTS[version]:
            raise root.error("", f"has version {version} of the format, which does not have {PHRASES[kind]}")
        root.text("producer")
        value = read_record(root.in_version(version), KINDS[kind], HEADER if version > 3 else version3.HEADER)
        if problem := inconsistency(value):
            raise root.error("", problem)
        if version > 3:
            stated = root.text("digest")
            if not mapped and (found := _manifest(value, kind).digest()) != stated:
                raise root.error(
                    "",
                    f"is not what was saved: its content has the digest {found[:12]}..., and {stated[:12]!r}... is "
                    "stated. Copy it again from where it came",
                )
        return value


def kind_of(root: Reader) -> str:
    """The kind that the root's ``format`` names; a FormatError for a file that is not neurosam's."""
    try:
        kind = root.text("format").removeprefix(PREFIX)
    except FormatError:
        kind = ""
    if kind not in KINDS:
        raise root.error("", "is an HDF5 file, but not one of neurosam's (FORMAT.md); another tool's: neurosam import")
    return kind
