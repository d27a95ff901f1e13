"""Kernels of the neurons: one pass over a block of steps integrates, fires, resets, packs the spikes, and traces.

Integer neurons run in vectors of sixteen int32 lanes (event_vector.py), by the formulas of arithmetic.py compiled as
they stand: a membrane is read and written once a step, and a comparison is a spike's bit. Float neurons are plain
loops. Only neurons that fired touch their trace. State is O(neurons): membrane, current, and where there is a trace
its value, the step of the last spike and (official mode) the number of spikes.

Cost: neurons times steps, and spikes for the traces. What limits it is the two 32-bit products of the exact decay.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import types
from numba.extending import overload

from neurosam import arithmetic
from neurosam.backends.event_compile import formulas, kernel
from neurosam.backends.event_vector import LANES, bits, lanes, load, load_some, ones, store, store_some, trailing_zeros
from neurosam.trace import MODES

__all__ = ["Flag", "Rule", "State", "fixed_block", "float_block"]

Array = npt.NDArray[Any]
Int = npt.NDArray[np.int64]


class Flag(IntEnum):
    """Places in a rule's `flags`: seven switches, and the trace's mode."""

    FIRES = 0
    ZERO = 1
    CURRENT = 2
    TABLES = 3
    MEMBRANE = 4
    CURRENTS = 5
    SAM = 6
    MODE = 7


class Rule(NamedTuple):
    """The parameters of a population: int32 and int64 (arithmetic.py), or float64 (neuron.py).

    Parameters a channel are filled up to whole vectors; `threshold` is out of reach where neurons do not fire, and
    `factor_u` is 0 without a current. `gain` and `offset` are ``(T, C)``. `table`, `trace_shift` and `impulse`
    belong to the trace (trace.py).
    """

    flags: Int
    factor_u: Array
    factor_v: Array
    bias: Array
    threshold: Array
    amount: Array
    gain: Array
    shift: int
    offset: Array
    table: Array
    trace_shift: int
    impulse: Any


class State(NamedTuple):
    """The state and the records of a population in one sample: P pixels of C channels, and the last K steps.

    `u`, `v`, `trace`, `last`, `spikes` are ``(P, C)``; `planes` ``(K, P, words)``; `counts` ``(K,)``; `sam` ``(K, P)``;
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
def _trace(t: int, begin: int, end: int, at: int, rule: Rule, state: State) -> None:
    """Update the traces of the neurons of some pixels that fired in step `t` (trace.py), and write their maps."""
    planes, trace, last, spikes, sam = state.planes, state.trace, state.last, state.spikes, state.sam
    table, shift, impulse, mode = rule.table, rule.trace_shift, rule.impulse, rule.flags[MODE]
    fade_out = table.size - 1
    for p in range(begin, end):
        total = impulse - impulse
        for w in range(planes.shape[2]):
            fired = planes[at, p, w]
            while fired != np.uint64(0):
                c = 64 * w + trailing_zeros(fired)
                fired &= fired - np.uint64(1)
                decayed = _faded(trace[p, c], table[min(t - last[p, c], fade_out)], shift)
                trace[p, c] = decayed + impulse
                last[p, c] = t
                total += decayed if mode == STRICT else decayed + impulse
                if mode == OFFICIAL:
                    spikes[p, c] += 1
                    total += _faded((t + 1 - spikes[p, c]) * impulse, table[min(t, fade_out)], shift)
        sam[at, p] = total


@kernel
def _keep(at: int, begin: int, end: int, rule: Rule, state: State) -> None:
    """Record the states of some pixels in row `at`."""
    for p in range(begin, end):
        if rule.flags[MEMBRANE]:
            for c in range(state.v.shape[1]):
                state.membranes[at, p, c] = state.v[p, c]
        if rule.flags[CURRENTS]:
            for c in range(state.v.shape[1]):
                state.currents[at, p, c] = state.u[p, c]


@kernel
def _normalise_pixel(sums: Array, t: int, rule: Rule) -> None:
    """Turn sums into normalised input, in 64 bits."""
    for c in range(rule.gain.shape[1]):
        sums[c] = _normalise(_arrive(np.int64(sums[c])), rule.gain[t, c], rule.shift, rule.offset[t, c])


@kernel
def fixed_block(sums: Array, steps: int, first: int, begin: int, base: int, rule: Rule, state: State) -> None:
    """Integer neurons over a block of steps.

    Parameters
    ----------
    sums : (K, pixels, pitch) int32 array
        Weighted sums of a range of pixels; the first C of a pitch count. Overwritten where there are tables.
    steps, first : int
        ``sums[:steps]`` are own steps `first` and on.
    begin : int
        First pixel.
    base : int
        Own step of the state's first row.
    rule, state
        See :class:`Rule` and :class:`State`; the state is updated in place.
    """
    # All that the inner loop touches has a name of its own: reaching into a tuple there costs reference counts.
    fires, zero, with_current, tables = (
        rule.flags[FIRES] != 0, rule.flags[ZERO] != 0, rule.flags[CURRENT] != 0, rule.flags[TABLES] != 0,
    )  # fmt: skip
    traced, kept = rule.flags[SAM] != 0, rule.flags[MEMBRANE] != 0 or rule.flags[CURRENTS] != 0
    factor_u, factor_v, bias, threshold, amount = rule.factor_u, rule.factor_v, rule.bias, rule.threshold, rule.amount
    currents, membranes, planes = state.u, state.v, state.planes
    pixels, pitch = sums.shape[1], sums.shape[2]
    channels = membranes.shape[1]
    simple = not tables and not with_current and channels % LANES == 0
    for k in range(steps):
        t = first + k
        count = 0
        for q in range(pixels):
            p = begin + q
            if tables:
                _normalise_pixel(sums[k, q], t, rule)
            for w in range((channels + 63) // 64):
                fired = np.uint64(0)
                end = min(64 * w + 64, channels)
                whole = end if simple else 64 * w  # channels whose vectors need none of the options
                for c in range(64 * w, whole, LANES):
                    i = _current(lanes(0), _arrive(load(sums, (k * pixels + q) * pitch + c)), 0)
                    v = _membrane(load(membranes, p * channels + c), i, load(factor_v, c), load(bias, c))
                    s = _fire(v, load(threshold, c))
                    v = _to_zero(v, s) if zero else _by_subtraction(v, s, load(amount, c))
                    store(v, membranes, p * channels + c)
                    fired |= bits(s) << np.uint64(c - 64 * w)
                for c in range(whole, end, LANES):
                    at, place, left = (k * pixels + q) * pitch + c, p * channels + c, min(LANES, channels - c)
                    i = load_some(sums, at, left)
                    if not tables:
                        i = _arrive(i)
                    if with_current:
                        i = _current(load_some(currents, place, left), i, load(factor_u, c))
                        store_some(i, currents, place, left)
                    else:
                        i = _current(lanes(0), i, 0)
                    v = _membrane(load_some(membranes, place, left), i, load(factor_v, c), load(bias, c))
                    s = _fire(v, load(threshold, c))
                    v = _to_zero(v, s) if zero else _by_subtraction(v, s, load(amount, c))
                    store_some(v, membranes, place, left)
                    fired |= bits(s) << np.uint64(c - 64 * w)
                if fires:
                    planes[t - base, p, w] = fired
                    count += ones(fired)
        state.counts[t - base] += count
        if traced:
            _trace(t, begin, begin + pixels, t - base, rule, state)
        if kept:
            _keep(t - base, begin, begin + pixels, rule, state)


@kernel
def float_block(sums: Array, steps: int, first: int, begin: int, base: int, rule: Rule, state: State) -> None:
    """Float neurons over a block of steps; parameters as in :func:`fixed_block`, all values float64 (neuron.py)."""
    channels = state.v.shape[1]
    for k in range(steps):
        t = first + k
        count = 0
        for q in range(sums.shape[1]):
            p = begin + q
            for w in range((channels + 63) // 64):
                fired = np.uint64(0)
                for c in range(64 * w, min(64 * w + 64, channels)):
                    i = sums[k, q, c]
                    if rule.flags[TABLES]:
                        i = rule.gain[t, c] * i + rule.offset[t, c]
                    u = rule.factor_u[c] * state.u[p, c] + i if rule.flags[CURRENT] else i
                    v = (rule.factor_v[c] * state.v[p, c] + u) + rule.bias[c]
                    if v > rule.threshold[c]:
                        v = 0.0 if rule.flags[ZERO] else v - rule.amount[c]
                        fired |= np.uint64(1) << np.uint64(c - 64 * w)
                    state.u[p, c] = u
                    state.v[p, c] = v
                if rule.flags[FIRES]:
                    state.planes[t - base, p, w] = fired
                    count += ones(fired)
        state.counts[t - base] += count
        if rule.flags[SAM]:
            _trace(t, begin, begin + sums.shape[1], t - base, rule, state)
        if rule.flags[MEMBRANE] or rule.flags[CURRENTS]:
            _keep(t - base, begin, begin + sums.shape[1], rule, state)
