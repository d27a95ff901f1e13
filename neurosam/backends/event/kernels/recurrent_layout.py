"""The tables by which the kernel of recurrent groups finds its populations and projections (kernels/recurrent.py).

A kernel's argument types are fixed when it is compiled, while a group holds any number of populations and projections.
So a group is a few tables: a row of numbers for each population (or part of one) and for each projection, and their
arrays by *descriptor*, four integers ``(address, sides...)``.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = [
    "BASE", "CHANNELS", "CONV", "DENSE", "DRIVE_HEIGHT", "DRIVE_WIDTH", "END_PROJECTION", "EXPONENT",
    "FIRST_PROJECTION", "FIRST_TARGET", "GAIN_SHIFT", "GEOMETRY", "GRADED", "HEIGHT", "IMPULSE", "INDEX", "KIND",
    "OFFSET", "PACKED", "PARTS", "PITCH", "PLANES", "POOL", "POOLED", "POOLS", "POPULATION_DTYPES", "PROJECTION_DTYPES",
    "ROW", "ROWS", "SIZE", "SOURCE", "SPARSE", "START", "TARGET", "TRACE_SHIFT", "VALUE", "WEIGHT", "WIDTH", "WINDOWS",
    "WORDS", "PartColumn", "ProjectionArray", "ProjectionColumn", "RecurrentWorkspace", "Tables",
]  # fmt: skip

Array = npt.NDArray[Any]
Int = npt.NDArray[np.int64]


class PartColumn(IntEnum):
    """Columns of the table of parts; PARTS is how many its population has.

    DRIVE_HEIGHT and DRIVE_WIDTH are of the sums that arrive, of which a population that POOLS takes the largest in each
    window: its six numbers (layout.Geometry) are in the columns from WINDOWS on.
    """

    PARTS = 0
    HEIGHT = 1
    WIDTH = 2
    CHANNELS = 3
    PITCH = 4
    FIRST_TARGET = 5
    BASE = 6
    FIRST_PROJECTION = 7
    END_PROJECTION = 8
    GAIN_SHIFT = 9
    TRACE_SHIFT = 10
    IMPULSE = 11
    DRIVE_HEIGHT = 12
    DRIVE_WIDTH = 13
    POOLS = 14
    WINDOWS = 15


class ProjectionColumn(IntEnum):
    """Columns of the table of projections; OFFSET is the plane (or step of a list) that arrives in own step 0."""

    KIND = 0
    EXPONENT = 1
    GRADED = 2
    OFFSET = 3
    SIZE = 4


class ProjectionArray(IntEnum):
    """The arrays of a projection, in the order of their descriptors."""

    SOURCE = 0
    POOL = 1
    POOLED = 2
    PLANES = 3
    START = 4
    INDEX = 5
    VALUE = 6
    WEIGHT = 7
    GEOMETRY = 8
    ROW = 9
    TARGET = 10
    WORDS = 11


_I32, _I64, _U64 = np.int32, np.int64, np.uint64
POPULATION_DTYPES: tuple[type[np.generic], ...] = (
    _I64, _I32, _I64, _I64, _I64,
    _I32, _I32, _I32, _I32, _I32, _U64, _I64, _I32, _I32, _I32,
)  # fmt: skip
"""Types of a population's arrays: those of a Rule, then of a State."""
PROJECTION_DTYPES: tuple[type[np.generic], ...] = (
    _I64, _I64, _I64, _U64, _I32, _I32, _I32, np.int8, _I64, _I64, np.uint32, _U64,
)  # fmt: skip
"""Types of a projection's arrays, in the order of ProjectionArray."""

# Numba freezes plain integers into a kernel at no cost
(
    PARTS, HEIGHT, WIDTH, CHANNELS, PITCH, FIRST_TARGET, BASE, FIRST_PROJECTION, END_PROJECTION, GAIN_SHIFT,
    TRACE_SHIFT, IMPULSE, DRIVE_HEIGHT, DRIVE_WIDTH, POOLS, WINDOWS,
) = (int(column) for column in PartColumn)  # fmt: skip
KIND, EXPONENT, GRADED, OFFSET, SIZE = (int(column) for column in ProjectionColumn)
SOURCE, POOL, POOLED, PLANES, START, INDEX, VALUE, WEIGHT, GEOMETRY, ROW, TARGET, WORDS = (
    int(array) for array in ProjectionArray
)
SPARSE, DENSE, CONV, ROWS, PACKED = range(5)
"""Values of KIND: which kernel delivers a projection's spikes. Only the first three take graded events."""


class Tables(NamedTuple):
    """A group as the kernel takes it.

    Parameters
    ----------
    parts : (parts, columns of PartColumn, and five more of its last) int64 array
        In order of evaluation; the parts of one population follow each other.
    part_arrays : (parts, 15, 4) int64 array
        Descriptors of the arrays of a Rule, then of a State.
    projections : (projections, columns of ProjectionColumn) int64 array
    projection_arrays : (projections, members of ProjectionArray, 4) int64 array
    """

    parts: Int
    part_arrays: Int
    projections: Int
    projection_arrays: Int


class RecurrentWorkspace(NamedTuple):
    """Scratch memory of one thread.

    `sums` are those of a part, `projection_sums` of one projection alone, `halves` its 16-bit sums, `largest` what a
    pool takes of `sums`. `start`, `listed` and `value` are a list of spikes, and `operations` counts synaptic
    operations by projection.
    """

    sums: Array
    projection_sums: Array
    largest: Array
    halves: Array
    start: Array
    listed: Array
    value: Array
    operations: Int
