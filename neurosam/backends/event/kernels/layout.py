"""The memory that kernels share with their callers: convolutions, populations, a sample's state, a thread's workspace.

Arrays of numbers have named columns. Each name is a member of an IntEnum, for Python, and a plain integer, for kernels:
Numba freezes plain integers into a kernel at no cost.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from neurosam.backends.event.simd.vectors import CACHE_LINE
from neurosam.network.dynamics import Switches

__all__ = [
    "AMOUNT", "ANY_WAY", "BIAS", "BOUNDED", "CLOCK", "COUNTER_PITCH", "CURRENT", "CURRENTS", "DILATION_X", "DILATION_Y",
    "FACTOR_U", "FACTOR_V", "FIRES", "GATHER", "GATHERED", "GROUPS", "KERNEL_HEIGHT", "KERNEL_WIDTH", "LOOKED_UP",
    "LOOK_UP", "LOWER_BOUND", "MEMBRANE", "MODE", "OPERATIONS", "OUTPUTS", "PADDING_X", "PADDING_Y", "PARAMETERS",
    "SAM", "SATURATED", "SATURATES", "SCATTER", "SCATTERED", "STRIDE_X", "STRIDE_Y", "TABLES", "THRESHOLD",
    "VECTORISED", "WRAPPED", "WRAPS", "ZERO", "Conv", "Flag", "Geometry", "OptionalRule", "OptionalState", "Rule",
    "State", "Way", "Work", "Workspace",
]  # fmt: skip

Array = npt.NDArray[Any]
Int = npt.NDArray[np.int64]

COUNTER_PITCH = CACHE_LINE // 8
"""Distance of two int64 counters that threads use to synchronise: each has a cache line of its own."""


# --- convolutions ---


class Geometry(IntEnum):
    """Columns of a convolution's geometry; those of a pooling are the same, without groups and outputs."""

    KERNEL_HEIGHT = 0
    KERNEL_WIDTH = 1
    STRIDE_Y = 2
    STRIDE_X = 3
    PADDING_Y = 4
    PADDING_X = 5
    DILATION_Y = 6
    DILATION_X = 7
    GROUPS = 8
    OUTPUTS = 9
    """Output channels of each group."""


class Way(IntEnum):
    """How a layer adds up its sums (kernels/layer.py), if it is not free to choose."""

    ANY_WAY = 0
    SCATTER = 1
    GATHER = 2
    LOOK_UP = 3


class Work(IntEnum):
    """Columns of what a layer has done: blocks of steps by the way taken, and synaptic operations."""

    SCATTERED = 0
    GATHERED = 1
    LOOKED_UP = 2
    OPERATIONS = 3


class Conv(NamedTuple):
    """A convolution as the fast path takes it.

    Parameters
    ----------
    source : (C, H, W) of the source population
    geometry : (10,) int64 array
        See :class:`Geometry`; dilation and groups are 1.
    size : (H', W') of the target
    weight : (kH, kW, C, O) int8, float32 or float64 array, flat, followed by 15 spare weights
    pairs : array of the same type
        The same weights, ``(kH kW C, O)`` in tiles (int16.tiled), int8 as Pairs; empty if the layer cannot gather.
    tables : array of int16, or of the weights' float type
        By tile (kH, 2^(kW C), width), the sum of every pattern of spikes of a kernel row; flat; maybe empty.
    exponent : int
        Of the projection.
    narrow : bool
        Whether no input to a neuron can exceed 24 bits, so that a current need not wrap.
    """

    source: Int
    geometry: Int
    size: Int
    weight: Array
    pairs: Array
    tables: Array
    exponent: int
    narrow: bool


# --- populations ---


class Flag(IntEnum):
    """Columns of a rule's `flags`: switches, and the trace's mode; VECTORISED chooses kernels/sam_vector.py.

    ZERO is a reset to 0. BOUNDED is what neurons have that are reset to a value, or have a lower bound: their membrane
    is raised to LOWER_BOUND, and ZERO resets it to AMOUNT.
    CLOCK is the own step with which the run begins: kernels count steps from there on, traces from the very first.
    SATURATES and WRAPS: whether membranes may saturate and currents wrap around, so that it has to be counted.
    """

    FIRES = 0
    ZERO = 1
    CURRENT = 2
    TABLES = 3
    MEMBRANE = 4
    CURRENTS = 5
    SAM = 6
    MODE = 7
    VECTORISED = 8
    CLOCK = 9
    SATURATES = 10
    WRAPS = 11
    BOUNDED = 12


class Rule(NamedTuple):
    """The parameters of a population: int32 and int64 (arithmetic.py), or float32 or float64 (neuron.py).

    `parameters` are ``(tiles, 6, 64)``: of 64 channels FACTOR_U (0 without a current), FACTOR_V, BIAS, THRESHOLD (out
    of reach where neurons do not fire), AMOUNT (that is subtracted, or left) and LOWER_BOUND, side by side, so that a
    kernel needs one address for all. `gain` and `offset` are ``(T, C)``, with C padded to whole tiles for floats.
    `table` (float64 for all float neurons), `trace_shift` and `impulse` belong to the trace (trace.py).
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

    `u`, `v`, `trace`, `last`, `spikes` are ``(P, C)``, with C padded to whole tiles where kernels take tiles; `trace`
    without `last` is that of kernels/sam_vector.py; `planes` ``(K, P, words)``; `counts` ``(K + 2,)``: the spikes
    of each step, then how often in these steps a membrane saturated, and a sum wrapped around (SATURATED, WRAPPED);
    `sam` ``(K, P)``; `membranes` and `currents` ``(K, P, C)``. What is not needed has no rows. Row 0 is the step
    `base` of a kernel.
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


class OptionalRule(NamedTuple):
    """What a population has besides its rule if it needs kernels/optional_neurons.py.

    Parameters
    ----------
    switches : Switches
    parameters : array of the state's type
        Those of dynamics.Parameters, each a row of C (padded to whole vectors) or one such row per pixel; flat. They
        take the place of the rule's parameters.
    start, pitch : (9,) int64 array
        Where each parameter begins, and the distance of its rows (0 if there is one).
    """

    switches: Switches
    parameters: Array
    start: Int
    pitch: Int


class OptionalState(NamedTuple):
    """What such a population keeps in one sample besides its state; what it does not need is empty.

    Parameters
    ----------
    wait : (P, C) int32 array
        Steps left of a refractory period.
    h, r : (P, C) array of the state's type
        Rise of the threshold, relative reset.
    magnitude : (K, P, C) int32 array
        How often neurons fired in each step, where that can be more than once.
    """

    wait: Array
    h: Array
    r: Array
    magnitude: Array


# --- threads ---


class Workspace(NamedTuple):
    """Scratch memory of one thread, for any layer.

    `start` and `spikes` list spikes, whole or modulo 2^16 (spike_lists.decode_short). `rows` lists weight rows by
    output pixel, those of pixel i from ``edges[i]`` on, or the patterns of kernel rows (uint16); `sums` are those of
    the scatter (flat).
    """

    start: Array
    spikes: Array
    rows: Array
    edges: Array
    sums: Array


# --- the names as plain integers ---

FACTOR_U, FACTOR_V, BIAS, THRESHOLD, AMOUNT, LOWER_BOUND = range(6)
PARAMETERS = 6
SATURATED, WRAPPED = -2, -1
FIRES, ZERO, CURRENT, TABLES, MEMBRANE, CURRENTS, SAM, MODE, VECTORISED, CLOCK, SATURATES, WRAPS, BOUNDED = (
    int(flag) for flag in Flag
)
(
    KERNEL_HEIGHT, KERNEL_WIDTH, STRIDE_Y, STRIDE_X, PADDING_Y, PADDING_X, DILATION_Y, DILATION_X, GROUPS, OUTPUTS,
) = (int(column) for column in Geometry)  # fmt: skip
ANY_WAY, SCATTER, GATHER, LOOK_UP = (int(way) for way in Way)
SCATTERED, GATHERED, LOOKED_UP, OPERATIONS = (int(column) for column in Work)
