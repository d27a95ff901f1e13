"""Recordings as the input of a network: whole, or in chunks; from files, arrays and data sets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from neurosam.errors import EventError, FormatError
from neurosam.formats.events.binning import Tally, binned, joined
from neurosam.formats.events.camera import SUFFIXES, camera_file, kind_of
from neurosam.formats.events.columns import columns_of
from neurosam.formats.events.nmnist import nmnist_file
from neurosam.formats.events.numpy_files import array_source, numpy_file, table_source
from neurosam.formats.events.rules import EventRules
from neurosam.formats.events.source import Source
from neurosam.formats.events.text import text_file
from neurosam.network.synapse import Shape
from neurosam.signals.events import Events

__all__ = ["NUMPY", "RECORDINGS", "chunks", "from_array", "from_dataset", "open_recording", "read_events_file"]

NMNIST, TABLES, NUMPY = (".bin", ".bs2"), (".csv", ".tsv", ".txt"), (".npy", ".npz")
RECORDINGS = (*NMNIST, *NUMPY, *SUFFIXES, *TABLES)
"""Suffixes of files that can hold a recording."""


def open_recording(path: str | PathLike[str], columns: str = "") -> Source | Events:
    """Open a file, by its first bytes or its suffix; dense arrays and spikes for a run come as they are.

    Raises
    ------
    FormatError
        If it does not exist, is of no known format, or damaged.
    """
    file = Path(path)
    if not file.is_file():
        raise FormatError(
            str(path), "is a folder; give one of its files" if file.is_dir() else "does not exist; check the name"
        )
    suffix = file.suffix.lower()
    if suffix in NUMPY:
        return numpy_file(file, columns)
    if kind_of(file) is not None:
        return camera_file(file)
    if suffix in NMNIST:
        return nmnist_file(file)
    if suffix in TABLES:
        return text_file(file, columns)
    raise FormatError(str(path), f"is of no known format; recordings are {', '.join(RECORDINGS)}")


def read_events_file(
    path: str | PathLike[str], shape: Shape, rules: EventRules, *, tally: Tally | None = None
) -> Events:
    """Read a recording.

    Parameters
    ----------
    path : path
        ``.bin``, ``.bs2`` (N-MNIST, slayer), ``.npy``, ``.npz`` (structured array or columns), ``.csv``, and by faery
        (``pip install 'neurosam[events]'``) ``.aedat4``, ``.raw``, ``.dat``, ``.es``. A dense array and the spikes of a
        run are taken as they are: no rules apply to them.
    shape : tuple of int
        Of the input population, (C, H, W) or (N,).
    rules : EventRules
    tally : Tally, optional
        Counts what was read, left out and joined.

    Returns
    -------
    Events
        Of one sample.

    Raises
    ------
    FormatError
        If the file is missing, cut off, or of no known format.
    EventError
        If time runs backwards, an event lies beyond the sensor, or sensor, rules and shape do not fit.
    BackendError
        If faery is needed and not installed.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from neurosam.formats.events import EventRules, read_events_file
    >>> path = Path(tempfile.mkdtemp()) / "two.bin"  # x, y, polarity and time of two events, at 0 and 1,500 us
    >>> _ = path.write_bytes(bytes([3, 1, 0x80, 0, 0, 0, 2, 0, 5, 0xDC]))
    >>> events = read_events_file(path, (2, 4, 4), EventRules(dt_us=1000))
    >>> events.steps, [tuple(int(i) for i in index) for index in np.argwhere(events.dense())]
    (2, [(0, 0, 1, 1, 3), (1, 0, 0, 2, 0)])
    """
    return _whole(open_recording(path, rules.columns), shape, rules, tally)


def chunks(
    path: str | PathLike[str] | Source,
    shape: Shape,
    rules: EventRules,
    steps_per_chunk: int,
    *,
    tally: Tally | None = None,
) -> Iterator[Events]:
    """Read a recording in pieces of `steps_per_chunk` steps (the last may be shorter), in bounded memory.

    Each piece is input for :meth:`neurosam.Session.advance`; together they are what :func:`read_events_file` returns.

    Raises
    ------
    EventError, FormatError, BackendError
        As :func:`read_events_file`, when the piece that is at fault is reached.
    """
    if steps_per_chunk < 1:
        raise EventError("steps_per_chunk", f"got {steps_per_chunk}; at least 1 is required")
    source = path if isinstance(path, Source) else open_recording(path, rules.columns)
    if isinstance(source, Events):
        raise EventError(str(path), "is no recording but events of steps; read it whole")
    return binned(source, shape, rules, steps_per_chunk, tally)


def from_array(
    array: npt.ArrayLike | Mapping[str, npt.ArrayLike] | Sequence[npt.NDArray[Any]],
    shape: Shape,
    rules: EventRules,
    *,
    tally: Tally | None = None,
) -> Events:
    """Events of a structured array, a mapping of columns, or a list of arrays (one per sample).

    Parameters
    ----------
    array : structured (n,) array, mapping of str to (n,) arrays, (n, 4) array, or a list of them
        With fields x, y, t, p, or t, x, y, on, in any order and under any of their usual names. A plain array needs the
        order of its columns in ``rules.columns``.
    shape, rules, tally
        As in :func:`read_events_file`.

    Raises
    ------
    EventError
        If a column is missing, or the events do not fit.

    Examples
    --------
    >>> from neurosam.formats.events import EventRules, from_array
    >>> records = np.array(
    ...     [(0, 0, 100, 1), (1, 0, 900, 0), (1, 0, 950, 0)], dtype=[("x", "i2"), ("y", "i2"), ("t", "i8"), ("p", "i1")]
    ... )
    >>> from_array(records, (2, 1, 2), EventRules(dt_us=1000)).dense().ravel()  # off: two events in column 1; on: one
    array([0, 2, 1, 0], dtype=int32)
    """
    if isinstance(array, (list, tuple)) and array and isinstance(array[0], np.ndarray):
        parts = [_whole(_source(f"sample {i}", each, rules), shape, rules, tally) for i, each in enumerate(array)]
        return joined(parts)
    return _whole(_source("array", array, rules), shape, rules, tally)


def from_dataset(
    dataset: Any, shape: Shape, rules: EventRules, indices: Sequence[int] | None = None, *, tally: Tally | None = None
) -> tuple[Events, npt.NDArray[Any]]:
    """Events and targets of a data set such as those of Tonic: ``dataset[i]`` is (events, target).

    Parameters
    ----------
    dataset : object
        With ``__getitem__`` and ``sensor_size`` (width, height, channels), which gives the sensor. Events are a
        structured array, or frames [T, C, H, W] if the data set was given a transform that makes them.
    shape, rules, tally
        As in :func:`read_events_file`.
    indices : sequence of int, optional
        Samples to take; all of them if None.

    Returns
    -------
    events : Events
        One sample each; shorter ones are followed by silence.
    targets : (B,) array

    Raises
    ------
    EventError
        If the object is no data set, or a sample does not fit; the message names the sample.

    Examples
    --------
    >>> from neurosam.formats.events import EventRules, from_dataset
    >>> class Two:
    ...     sensor_size = (2, 1, 2)
    ...
    ...     def __len__(self):
    ...         return 2
    ...
    ...     def __getitem__(self, i):
    ...         return np.array([(i, 0, 7, True)], dtype=[("x", int), ("y", int), ("t", int), ("p", bool)]), 10 * i
    >>> events, targets = from_dataset(Two(), (2, 1, 2), EventRules(dt_us=1000))
    >>> events.samples, events.neuron, targets
    (2, array([2, 3], dtype=int32), array([ 0, 10]))
    """
    size = getattr(dataset, "sensor_size", None)
    if size is None or not hasattr(dataset, "__getitem__"):
        raise EventError("dataset", f"got {type(dataset).__name__}; an object with sensor_size and [i] -> (events, "
                         "target) is required, as Tonic's data sets are")  # fmt: skip
    sensor = rules.sensor or (int(size[0]), int(size[1]))
    chosen = range(len(dataset)) if indices is None else indices
    parts, targets = [], []
    for i in chosen:
        events, target = dataset[i]
        name = f"sample {i}"
        array = np.asarray(events)
        if array.dtype.names is None and array.ndim == 4:
            parts.append(_checked(name, Events.from_dense(array[:, None]), shape))
        else:
            source = _source(name, array, rules)
            if isinstance(source, Source):
                source = Source(name, source.blocks, rules.unit or source.unit, sensor, source.size)
            parts.append(_whole(source, shape, rules, tally))
        targets.append(target)
    if not parts:
        raise EventError("dataset", "has no samples; at least 1 is required")
    return joined(parts), np.asarray(targets)


def _source(name: str, array: Any, rules: EventRules) -> Source | Events:
    """A recording in memory."""
    if isinstance(array, Mapping):
        names = columns_of(array)
        return table_source(name, {column: np.asarray(array[key]) for column, key in names.items()})
    return array_source(name, np.asarray(array), rules.columns)


def _whole(source: Source | Events, shape: Shape, rules: EventRules, tally: Tally | None) -> Events:
    if isinstance(source, Events):
        return _checked("events", source, shape)
    return next(binned(source, shape, rules, None, tally))


def _checked(name: str, events: Events, shape: Shape) -> Events:
    if events.shape != tuple(shape):
        raise EventError(name, f"have shape {events.shape}; the input has {tuple(shape)}")
    return events
