"""A recording that is written while it is made: first space for all values, then the values, and at last the rest.

    start     a file beside the old one, with every dataset of values in its place but empty; its space is allocated
    run       values of some steps and samples go to their bytes (place.py), from any thread, without HDF5
    finish    output, counts and all that is known at the end, through HDF5; the file takes the place of the old one

Memory does not grow with what is recorded, except for the counts (8 bytes per step, sample and population).
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from neurosam.errors import FormatError
from neurosam.hdf5.consistency import inconsistency
from neurosam.hdf5.fields import NotStorable
from neurosam.hdf5.manifest import Manifest, ReservedManifest
from neurosam.hdf5.place import Place, group_size
from neurosam.hdf5.schema import RECORDS, write_record
from neurosam.hdf5.writer import PAGE, Root, created
from neurosam.network.network import Network
from neurosam.signals.recording import Record, Recording, arranged, extents

__all__ = ["Stream", "streamed"]

VALUES = frozenset(Record.__dataclass_fields__)
"""Fields of a recording that are written while it is made."""
NO_ROOM = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)


class Stream:
    """A recording that is being written.

    Attributes
    ----------
    places : mapping of (variable, population) to Place
        Where recorded values go.
    """

    def __init__(self, where: str, root: Root, network: Network, record: Record, steps: int, samples: int) -> None:
        wanted = extents(network, record, steps, samples)
        blank = {key: np.broadcast_to(np.zeros((), dtype), shape) for key, (shape, dtype) in wanted.items()}
        room = root.reserving()
        self.form = Recording("", steps, samples, np.zeros((samples, 0)), **arranged(network, blank))
        write_record(room, self.form, VALUES)
        self.size = sum(array.nbytes for array in blank.values())
        group = group_size(wanted.values())
        self.places = {
            (variable, name): Place(where, f"{variable} of {name!r}", root.descriptor, offset, shape, dtype, group)
            for ((variable, name), (shape, dtype)), offset in zip(wanted.items(), room.places, strict=True)
        }
        self.rest: Recording | None = None
        self._extent = (steps, samples)

    def put(self, recording: Recording, start: int) -> None:
        """Store all values of a recording whose first sample is sample `start` of the whole."""
        where = slice(start, start + recording.samples)
        for (variable, name), place in self.places.items():
            place[: recording.steps, where] = _values(recording, variable, name)

    def finish(self, rest: Recording) -> None:
        """Provide all else that the recording has: output, counts, operations, scales and time."""
        self.rest = rest

    def manifest(self, lines: list[str]) -> None:
        """Add the lines of all values, which are read from the file."""
        write_record(ReservedManifest("", lines, [place.digest() for place in self.places.values()]), self.form, VALUES)

    def complete(self) -> Recording:
        """All else, if no value is missing."""
        for place in self.places.values():
            if place.missing:
                steps, samples = self._extent
                raise NotStorable(f"{place.label} lacks {place.missing} of {steps} x {samples} steps and samples")
        if self.rest is None:
            raise NotStorable("the recording was not finished")
        if (self.rest.steps, self.rest.samples) != self._extent:
            raise NotStorable(f"it ended with {self.rest.steps} steps and {self.rest.samples} samples")
        if problem := inconsistency(self.rest):
            raise NotStorable(problem)
        return self.rest


def _values(recording: Recording, variable: str, name: str) -> Any:
    """What a recording has for one of the arrays that :func:`~neurosam.signals.recording.extents` names."""
    if variable == "spikes":
        return recording.spikes[name].planes
    return recording.spikes[name].magnitude if variable == "magnitude" else getattr(recording, variable)[name]


class _Abandoned(Exception):
    """Ends the writing of a file whose run has failed; the user sees the failure of the run, not this."""


@contextmanager
def streamed(
    path: str | Path, network: Network, record: Record, steps: int, samples: int, begin: Callable[[Root, str], None]
) -> Iterator[Stream]:
    """A recording file to be filled; see :func:`neurosam.hdf5.stream_recording`. `begin` writes the file's header."""
    failure: BaseException | None = None
    manifest = Manifest()
    try:
        with created(path, PAGE) as root:
            begin(root, "recording")
            manifest.text("format", "neurosam-recording")
            stream = Stream(str(path), root, network, record, steps, samples)
            _allocate(root, path, stream.size)
            try:
                yield stream
            except BaseException as error:  # an error of the run, which must not be reported as one of the file
                failure = error
                raise _Abandoned from None
            rest, others = stream.complete(), RECORDS[Recording].keys() - VALUES
            write_record(root, rest, others)
            write_record(manifest, rest, others)
            stream.manifest(manifest.lines)
            root.text("digest", manifest.digest())
    except _Abandoned:
        pass
    if failure is not None:
        raise failure


def _allocate(root: Root, path: str | Path, size: int) -> None:
    try:
        root.allocate()
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        free = shutil.disk_usage(Path(os.path.realpath(path)).parent).free
        raise FormatError(
            str(path), f"could not be written: {error.strerror}. The recording takes {size:,} bytes, and {free:,} are "
            "free; record less, or write to another disk. An older file there is unchanged",
        ) from error  # fmt: skip
