"""Kernels of the neurons: one pass over a block of steps integrates, fires, resets, packs the spikes, and traces.

Each step of a pixel is two short loops over its channels: one updates the states by the formulas of arithmetic.py,
compiled as they stand; one packs spikes into bit planes and touches the traces of those neurons that fired, and of no
other. State is O(neurons): membrane, current, and where there is a trace its value, the step of the last spike and
the number of spikes.

Cost: neurons times steps for the first loop, spikes for the traces. What limits it is the 64-bit arithmetic of the
exact decay.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import types
from numba.extending import overload

from neurosam import arithmetic
from neurosam.backends.event_compile import formulas, kernel
from neurosam.trace import MODES

__all__ = ["Flag", "fixed_block", "float_block"]

Array = npt.NDArray[Any]
Int = npt.NDArray[np.int64]


class Flag(IntEnum):
    """Places in a block's `flags`: seven switches, and the trace's mode."""

    FIRES = 0
    ZERO = 1
    CURRENT = 2
    TABLES = 3
    MEMBRANE = 4
    CURRENTS = 5
    SAM = 6
    MODE = 7


# Numba freezes plain integers into a kernel at no cost
FIRES, ZERO, CURRENT, TABLES, MEMBRANE, CURRENTS, SAM, MODE = (int(flag) for flag in Flag)
STRICT, OFFICIAL = MODES.index("strict"), MODES.index("official")

_arrive, _normalise, _current, _membrane = formulas.arrive, formulas.normalise, formulas.current, formulas.membrane
_fire, _to_zero, _by_subtraction = formulas.fire, formulas.reset_to_zero, formulas.reset_by_subtraction
_contribution = formulas.contribution


def _faded(trace: Any, table: Any, shift: Any) -> Any:
    """A trace after some steps: the integer rule for an integer trace, a product for a float one."""
    return arithmetic.contribution(trace, table, shift) if isinstance(trace, (int, np.integer)) else trace * table


@overload(_faded)
def _faded_compiled(trace: Any, table: Any, shift: Any) -> Callable[..., Any]:
    def integer(trace: Any, table: Any, shift: Any) -> Any:
        return _contribution(trace, table, shift)

    def real(trace: Any, table: Any, shift: Any) -> Any:
        return trace * table

    return integer if isinstance(trace, types.Integer) else real


@kernel
def _pack(fired: Array, p: int, t: int, planes: Array) -> int:
    """Spikes of one pixel's channels as bits; returns their number."""
    count = 0
    for w in range(planes.shape[2]):
        bits = np.uint64(0)
        for c in range(64 * w, min(fired.size, 64 * w + 64)):
            bits |= np.uint64(fired[c]) << np.uint64(c - 64 * w)
            count += fired[c]
        planes[t, p, w] = bits
    return count


@kernel
def _trace(
    fired: Array,
    p: int,
    t: int,
    mode: int,
    table: Array,
    shift: int,
    impulse: Any,
    trace: Array,
    last: Int,
    spikes: Int,
) -> Any:
    """Update the traces of the neurons of a pixel that fired (trace.py), and return the sum of their scores."""
    total = impulse - impulse
    end = table.size - 1
    for c in range(fired.size):
        if fired[c]:
            spikes[p, c] += 1
            decayed = _faded(trace[p, c], table[min(t - last[p, c], end)], shift)
            trace[p, c] = decayed + impulse
            last[p, c] = t
            total += decayed if mode == STRICT else decayed + impulse
            if mode == OFFICIAL:
                total += _faded((t + 1 - spikes[p, c]) * impulse, table[min(t, end)], shift)
    return total


@kernel
def fixed_block(
    acc: Array, first: int, flags: Int, u: Array, v: Array, factor_u: Int, factor_v: Int, bias: Int, threshold: Int,
    amount: Int, gain: Int, shift: int, offset: Int, planes: Array, counts: Int, table: Int, trace_shift: int,
    impulse: int,
    trace: Int, last: Int, spikes: Int, sam: Array, membranes: Array, currents: Array,
) -> None:  # fmt: skip
    """Integer neurons over a block of steps.

    Parameters
    ----------
    acc : (steps, P, C) int32 array
        Weighted sums of P pixels of C channels.
    first : int
        Own step of ``acc[0]``.
    flags : see :class:`Flag`; the last is the trace's mode
    u, v : (P, C) int32 array
        Current and membrane, updated in place.
    factor_u, factor_v, bias, threshold, amount : (C,) array
        As arithmetic.py takes them; `factor_u` is 0 without a current.
    gain, shift, offset : (T, C) array, int, (T, C) array
        Used if flagged.
    planes : (T, P, words) uint64 array; counts : (T,) array
        Spikes, written.
    table, trace_shift, impulse, trace, last, spikes, sam
        Trace (trace.py), its state ``(P, C)`` and the map ``(T, P)``; used if flagged.
    membranes, currents : (T, P, C) int32 array
        Records; written if flagged.
    """
    steps, pixels, channels = acc.shape
    fired = np.zeros(channels, dtype=np.uint8)
    for k in range(steps):
        t = first + k
        count = 0
        for p in range(pixels):
            for c in range(channels):
                i = _arrive(np.int64(acc[k, p, c]))
                if flags[TABLES]:
                    i = _normalise(i, gain[t, c], shift, offset[t, c])
                w = _current(np.int64(u[p, c]), i, factor_u[c])
                x = _membrane(np.int64(v[p, c]), w, factor_v[c], bias[c])
                s = (flags[FIRES] != 0) & _fire(x, threshold[c])
                u[p, c] = w
                v[p, c] = _to_zero(x, s) if flags[ZERO] else _by_subtraction(x, s, amount[c])
                fired[c] = s
            if flags[FIRES]:
                some = _pack(fired, p, t, planes)
                count += some
                if flags[SAM] and some:
                    sam[t, p] = _trace(fired, p, t, flags[MODE], table, trace_shift, impulse, trace, last, spikes)
        counts[t] = count
        if flags[MEMBRANE]:
            membranes[t] = v
        if flags[CURRENTS]:
            currents[t] = u


@kernel
def float_block(
    acc: Array, first: int, flags: Int, u: Array, v: Array, factor_u: Array, factor_v: Array, bias: Array,
    threshold: Array,
    amount: Array, gain: Array, shift: int, offset: Array, planes: Array, counts: Int, table: Array, trace_shift: int,
    impulse: float, trace: Array, last: Int, spikes: Int, sam: Array, membranes: Array, currents: Array,
) -> None:  # fmt: skip
    """Float neurons over a block of steps; parameters as in :func:`fixed_block`, all values float64 (neuron.py)."""
    steps, pixels, channels = acc.shape
    fired = np.zeros(channels, dtype=np.uint8)
    for k in range(steps):
        t = first + k
        count = 0
        for p in range(pixels):
            for c in range(channels):
                i = acc[k, p, c]
                if flags[TABLES]:
                    i = gain[t, c] * i + offset[t, c]
                w = factor_u[c] * u[p, c] + i if flags[CURRENT] else i
                x = (factor_v[c] * v[p, c] + w) + bias[c]
                s = (flags[FIRES] != 0) & (x > threshold[c])
                u[p, c] = w
                if s:
                    x = 0.0 if flags[ZERO] else x - amount[c]
                v[p, c] = x
                fired[c] = s
            if flags[FIRES]:
                some = _pack(fired, p, t, planes)
                count += some
                if flags[SAM] and some:
                    sam[t, p] = _trace(fired, p, t, flags[MODE], table, trace_shift, impulse, trace, last, spikes)
        counts[t] = count
        if flags[MEMBRANE]:
            membranes[t] = v
        if flags[CURRENTS]:
            currents[t] = u
