"""The bytes of one array in a file that is being written: values arrive for any steps and samples, in any order.

A dataset [T, B, ...] is contiguous, so the row of step t and sample b starts at (t B + b) times the size of a row.
Writing small rows one by one is expensive, and the rows of neighbouring samples are adjacent: in short runs, the values
of a group of samples are collected in memory first and then written step by step.
"""

from __future__ import annotations

import hashlib
import math
import os
import threading
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from neurosam.errors import FormatError
from neurosam.hdf5.fields import NotStorable
from neurosam.network.synapse import Shape

__all__ = ["Place", "group_size"]

Array = npt.NDArray[Any]

LARGE_ROW_BYTES = 2**15
"""Rows of at least this size are written one by one."""
GROUP_BYTES = 2**25
"""Most bytes that a group of samples may take in memory, all arrays together."""
MOST_SAMPLES = 64
BLOCK_BYTES = 2**17
"""Of what is read back at a time."""


def group_size(arrays: Collection[tuple[Shape, np.dtype[Any]]]) -> int:
    """Number of samples whose small rows are collected, from the shapes and dtypes of all arrays; 1 for none."""
    sample = sum(shape[0] * _row_bytes(shape, dtype) for shape, dtype in arrays if _is_small(shape, dtype))
    return max(1, min(MOST_SAMPLES, GROUP_BYTES // max(sample, 1)))


def _row_bytes(shape: Shape, dtype: np.dtype[Any]) -> int:
    return math.prod(shape[2:]) * dtype.itemsize


def _is_small(shape: Shape, dtype: np.dtype[Any]) -> bool:
    return shape[1] > 1 and _row_bytes(shape, dtype) < LARGE_ROW_BYTES


@dataclass
class _Group:
    """All steps of some samples while they are collected: their numbers, values, and how many rows are missing."""

    samples: range
    values: Array
    missing: int


class Place:
    """Where the values of one array go: ``place[steps, samples] = values``, each value once, from any thread.

    Parameters
    ----------
    where, label : str
        File and array, for errors.
    descriptor : int
        The open file.
    offset : int
        First byte of the array.
    shape : tuple of int
        ``(T, B, ...)``.
    dtype : dtype
        Of the values, in the machine's byte order.
    group : int
        Number of samples that are collected if rows are small.

    Attributes
    ----------
    missing : int
        Number of rows that have not been stored; when it is 0, all have been written.
    """

    def __init__(
        self, where: str, label: str, descriptor: int, offset: int, shape: Shape, dtype: np.dtype[Any], group: int
    ) -> None:
        self.where, self.label, self.descriptor, self.offset = where, label, descriptor, offset
        self.shape, self.dtype = shape, dtype
        self.row = _row_bytes(shape, dtype)
        self.group = min(group, shape[1]) if _is_small(shape, dtype) else 1
        self.missing = shape[0] * shape[1]
        self._lock = threading.Lock()
        self._groups: dict[int, _Group] = {}
        self._spare: list[Array] = []

    def __setitem__(self, where: tuple[slice, slice], values: Array) -> None:
        """Store the values of a range of steps and a range of samples.

        Raises
        ------
        NotStorable
            If they have another shape or type than this place; float32 is widened to float64.
        FormatError
            If they cannot be written.
        """
        steps, samples = range(self.shape[0])[where[0]], range(self.shape[1])[where[1]]
        wanted = (len(steps), len(samples), *self.shape[2:])
        accepted = (np.float32, np.float64) if self.dtype == np.float64 else (self.dtype,)
        if values.shape != wanted or values.dtype not in accepted:
            raise NotStorable(
                f"{self.label} got {values.dtype} of shape {values.shape}; {self.dtype} of shape {wanted} is required"
            )
        if self.group == 1:
            self._write(steps, samples, values)
        else:
            for i, sample in enumerate(samples):
                self._collect(steps, sample, values[:, i])
        with self._lock:
            self.missing -= len(steps) * len(samples)

    def digest(self) -> str:
        """SHA-256 of all values, read from the file in blocks."""
        whole = hashlib.sha256()
        at, end = self.offset, self.offset + self.shape[0] * self.shape[1] * self.row
        while at < end and (block := os.pread(self.descriptor, min(BLOCK_BYTES, end - at), at)):
            whole.update(block)
            at += len(block)
        return whole.hexdigest()

    def _collect(self, steps: range, sample: int, values: Array) -> None:
        """Add values of a sample to those of its group, and write the group when it is complete."""
        with self._lock:
            group = self._groups.get(sample // self.group) or self._begin(sample // self.group)
        group.values[steps.start : steps.stop, sample - group.samples.start] = values
        with self._lock:
            group.missing -= len(steps)
            if group.missing:
                return
            del self._groups[sample // self.group]
        self._write(range(self.shape[0]), group.samples, group.values[:, : len(group.samples)])
        with self._lock:
            self._spare.append(group.values)

    def _begin(self, number: int) -> _Group:
        """A new group, in the memory of an earlier one if there is any."""
        size = (self.shape[0], self.group, *self.shape[2:])
        values = self._spare.pop() if self._spare else np.empty(size, self.dtype)
        samples = range(self.shape[1])[number * self.group : (number + 1) * self.group]
        self._groups[number] = _Group(samples, values, self.shape[0] * len(samples))
        return self._groups[number]

    def _write(self, steps: range, samples: range, values: Array) -> None:
        """Write rows, adjacent ones at once."""
        stored = np.ascontiguousarray(values, dtype=self.dtype.newbyteorder("<"))
        octets = stored.reshape(-1).view(np.uint8).data
        whole = len(samples) == self.shape[1]
        pieces, size = (1, octets.nbytes) if whole else (len(steps), len(samples) * self.row)
        first = self.offset + (steps.start * self.shape[1] + samples.start) * self.row
        try:
            for piece in range(pieces if octets.nbytes else 0):
                _write_all(self.descriptor, octets[piece * size : (piece + 1) * size], first)
                first += self.shape[1] * self.row
        except OSError as error:
            raise FormatError(
                self.where, f"could not be written: {error.strerror}. An older file there is unchanged"
            ) from error


def _write_all(descriptor: int, octets: memoryview, at: int) -> None:
    while octets.nbytes:
        written = os.pwrite(descriptor, octets, at)
        octets, at = octets[written:], at + written
