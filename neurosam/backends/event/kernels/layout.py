"""What kernels know of a population: its parameters (Rule), and its state and records in one sample (State)."""

from __future__ import annotations

from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = [
    "AMOUNT", "BIAS", "CURRENT", "CURRENTS", "FACTOR_U", "FACTOR_V", "FIRES", "MEMBRANE", "MODE", "PARAMETERS", "SAM",
    "TABLES", "THRESHOLD", "TOGETHER", "ZERO", "Flag", "Rule", "State",
]  # fmt: skip

Array = npt.NDArray[Any]
Int = npt.NDArray[np.int64]


class Flag(IntEnum):
    """Places in a rule's `flags`: switches, and the trace's mode; TOGETHER is the switch of kernels/sam_vector.py."""

    FIRES = 0
    ZERO = 1
    CURRENT = 2
    TABLES = 3
    MEMBRANE = 4
    CURRENTS = 5
    SAM = 6
    MODE = 7
    TOGETHER = 8


class Rule(NamedTuple):
    """The parameters of a population: int32 and int64 (arithmetic.py), or float32 or float64 (neuron.py).

    `parameters` are ``(tiles, 5, 64)``: of 64 channels FACTOR_U (0 without a current), FACTOR_V, BIAS, THRESHOLD (out
    of reach where neurons do not fire) and AMOUNT, side by side, so that a kernel needs one address for all. `gain`
    and `offset` are ``(T, C)``, C of float ones filled up to whole tiles. `table` (float64 for all float neurons),
    `trace_shift` and `impulse` belong to the trace (trace.py).
    """

    flags: Int
    parameters: Array
    gain: Array
    shift: int
    offset: Array
    table: Array
    trace_shift: int
    impulse: Any


class State(NamedTuple):
    """The state and the records of a population in one sample: P pixels of C channels, and the last K steps.

    `u`, `v`, `trace`, `last`, `spikes` are ``(P, C)``, C filled up to whole tiles where kernels take tiles; `trace`
    without `last` is that of kernels/sam_vector.py; `planes` ``(K, P, words)``; `counts` ``(K,)``; `sam` ``(K, P)``;
    `membranes` and `currents` ``(K, P, C)``. What is not needed has no rows. Row 0 is the step `base` of a kernel.
    """

    u: Array
    v: Array
    trace: Array
    last: Array
    spikes: Array
    planes: Array
    counts: Int
    sam: Array
    membranes: Array
    currents: Array


FACTOR_U, FACTOR_V, BIAS, THRESHOLD, AMOUNT = range(5)
PARAMETERS = 5
# Numba freezes plain integers into a kernel at no cost
FIRES, ZERO, CURRENT, TABLES, MEMBRANE, CURRENTS, SAM, MODE, TOGETHER = (int(flag) for flag in Flag)
