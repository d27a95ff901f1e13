"""Creation of an HDF5 file that appears whole or not at all.

The file is written beside the old one and takes its place when it is complete (atomic_write.py). HDF5 must not notice a
full disk: HDF5 2.0.0 keeps what it could not write and tries again when the interpreter exits, which ends in a
segmentation fault. So it writes through :class:`_PatientFile`, which hides the first failure until HDF5 is done.

Datasets are contiguous, without filters; the layout is that of HDF5 1.8, whose metadata have checksums. A dataset whose
values come later (stream.py) gets its place at once, so that they do not have to pass through HDF5.
"""

from __future__ import annotations

import errno
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from h5py import h5d, h5p

from neurosam._util.atomic_write import replacing
from neurosam.errors import FormatError

__all__ = ["PAGE", "Reserving", "Root", "Writer", "created"]

PAGE = 4096
"""Reserved datasets start at multiples of it, as pages of the disk and of memory do."""


class Writer:
    """A group of the new file."""

    def __init__(self, group: Any) -> None:
        self._group = group

    def group(self, name: str) -> Writer:
        """A new group in this one."""
        return Writer(self._group.create_group(name))

    def text(self, name: str, value: str) -> None:
        """An attribute of fixed-length UTF-8."""
        self._group.attrs.create(name, _fixed(value))

    def text_dataset(self, name: str, value: str) -> None:
        """A scalar dataset of fixed-length UTF-8."""
        self._group.create_dataset(name, data=_fixed(value))

    def numbers(self, name: str, value: Any, dtype: str) -> None:
        """An attribute of one or a few numbers."""
        self._group.attrs.create(name, np.asarray(value, dtype=dtype), dtype=np.dtype(dtype))

    def array(self, name: str, value: Any, dtype: str) -> None:
        """A dataset."""
        self._group.create_dataset(name, data=value, dtype=np.dtype(dtype))


class Reserving(Writer):
    """A group whose datasets are given a place in the file, but no values.

    Parameters
    ----------
    group
        As h5py has it.
    places : list of int
        First byte of each dataset, in order of creation; appended to.
    """

    def __init__(self, group: Any, places: list[int]) -> None:
        super().__init__(group)
        self.places = places

    def group(self, name: str) -> Reserving:
        """A new group in this one."""
        return Reserving(self._group.create_group(name), self.places)

    def array(self, name: str, value: Any, dtype: str) -> None:
        """Reserve a dataset of this shape; the values of `value` are ignored."""
        plan = h5p.create(h5p.DATASET_CREATE)
        plan.set_layout(h5d.CONTIGUOUS)
        plan.set_alloc_time(h5d.ALLOC_TIME_EARLY)
        plan.set_fill_time(h5d.FILL_TIME_NEVER)
        made = self._group.create_dataset(name, shape=value.shape, dtype=np.dtype(dtype), dcpl=plan)
        self.places.append(made.id.get_offset() or 0)  # no place without values


class Root(Writer):
    """The root group of a file."""

    def __init__(self, group: Any, file: _PatientFile) -> None:
        super().__init__(group)
        self._file = file

    @property
    def descriptor(self) -> int:
        """The open file, for values of reserved datasets."""
        return self._file.fileno()

    def reserving(self) -> Reserving:
        """The same group, to reserve datasets in."""
        return Reserving(self._group, [])

    def allocate(self) -> None:
        """Allocate disk space for what has been reserved, where the system can, so that the disk cannot be full later.

        Raises
        ------
        OSError
            If there is not enough space left.
        """
        size = self._group.file.id.get_filesize()
        try:
            os.posix_fallocate(self.descriptor, 0, size)
        except AttributeError:  # not on this system
            os.ftruncate(self.descriptor, size)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP):  # not on this file system
                raise
            os.ftruncate(self.descriptor, size)


def _fixed(value: str) -> Any:
    """A fixed-length string; HDF5 has no empty ones, so "" becomes one NUL."""
    octets = value.encode("utf-8")
    return np.array(octets, dtype=h5py.string_dtype("utf-8", max(len(octets), 1)))


@contextmanager
def created(path: str | Path, alignment: int = 1) -> Iterator[Root]:
    """The root of a new file, which takes the place of `path` when the block ends without an exception.

    Datasets larger than `alignment` bytes start at a multiple of it.

    Raises
    ------
    FormatError
        If the file cannot be written. `path` is then as it was, and nothing else is left in its folder.
    """
    where = str(path)
    if "\0" in where:
        raise FormatError(where, "is not the name of a file: it holds a NUL")
    target = Path(os.path.realpath(path))
    try:
        if target.is_dir():
            raise FormatError(where, "is a folder; give the name of a file")
        if target.exists() and not target.is_file():
            raise FormatError(where, "is not a regular file and cannot be replaced; give another name")
        with replacing(target) as temporary, _PatientFile(temporary, "x+") as file:
            aligned = {"alignment_threshold": alignment, "alignment_interval": alignment}
            with h5py.File(file, "w", libver=("v108", "v108"), **aligned) as root:
                yield Root(root, file)
            if file.failure is not None:
                raise file.failure
    except FileNotFoundError:
        raise FormatError(
            where, f"cannot be written: the folder {str(target.parent)!r} does not exist; create it first"
        ) from None
    except (OSError, RuntimeError) as error:  # from the system, or from HDF5
        reason = getattr(error, "strerror", None) or error
        raise FormatError(where, f"could not be written: {reason}. An older file there is unchanged") from error


class _PatientFile(io.FileIO):
    """A file that hides its first failure, and drops all writes after it, so that the HDF5 library sees neither."""

    failure: OSError | None = None

    def write(self, data: Any, /) -> int:
        rest = memoryview(data).cast("B")
        size = rest.nbytes
        try:
            while self.failure is None and rest.nbytes:
                rest = rest[super().write(rest) :]
        except OSError as error:
            self.failure = error
        return size

    def truncate(self, size: int | None = None, /) -> int:
        try:
            return super().truncate(size)
        except OSError as error:
            self.failure = self.failure or error
            return size or 0
