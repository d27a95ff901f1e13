"""Kernels of the neurons: one pass over a block of steps integrates, fires, resets, packs the spikes, and traces.

Neurons run in vectors (simd/vectors.py): integer ones in lanes of int32, by the formulas of arithmetic.py compiled as
they stand; float ones in lanes of float32 or float64, by neuron.py's rule (:func:`_real_step`). A membrane is read and
written once a step, and a comparison is a spike's bit. State is O(neurons): membrane, current, and where there is a
trace (kernels/sam_by_spike.py) its value (float64 for all float neurons), the step of the last spike and (official
mode) the number of spikes.

Cost: neurons times steps. What limits integer neurons is the two 32-bit products of the exact decay.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from numba.extending import overload

from neurosam.backends.event.kernels.layout import (
    AMOUNT,
    BIAS,
    CURRENT,
    CURRENTS,
    FACTOR_U,
    FACTOR_V,
    FIRES,
    MEMBRANE,
    PARAMETERS,
    SAM,
    TABLES,
    THRESHOLD,
    ZERO,
    Rule,
    State,
)
from neurosam.backends.event.kernels.sam_by_spike import trace
from neurosam.backends.event.runtime.jit import formulas, inlined, kernel
from neurosam.backends.event.simd.bits import bits, ones
from neurosam.backends.event.simd.int16 import TILE
from neurosam.backends.event.simd.load_store import address, load, load_as, load_some, store, store_some
from neurosam.backends.event.simd.vectors import LANES, Reals, cleared, zeros_as

__all__ = ["Cell", "advance", "arrived", "block", "cell", "keep", "normalised", "scaled", "without_current"]

Array = npt.NDArray[Any]
Int = npt.NDArray[np.int64]


_arrive, _normalise, _current, _membrane = formulas.arrive, formulas.normalise, formulas.current, formulas.membrane
_fire, _to_zero, _by_subtraction = formulas.fire, formulas.reset_to_zero, formulas.reset_by_subtraction


@kernel
def keep(at: int, begin: int, end: int, first: int, last: int, rule: Rule, state: State) -> None:
    """Record the states of pixels ``begin:end`` and channels ``first:last``, as far as there are, in row `at`."""
    for p in range(begin, end):
        if rule.flags[MEMBRANE]:
            for c in range(first, min(last, state.membranes.shape[2])):
                state.membranes[at, p, c] = state.v[p, c]
        if rule.flags[CURRENTS]:
            for c in range(first, min(last, state.currents.shape[2])):
                state.currents[at, p, c] = state.u[p, c]


class Cell(NamedTuple):
    """What the innermost loops touch of a rule and a state: addresses and switches, no arrays."""

    u: Any
    v: Any
    parameters: Any
    current: bool
    narrow: bool
    zero: bool


@kernel
def cell(rule: Rule, state: State, narrow: bool) -> Cell:
    """Addresses of a rule and a state; `narrow` if no input leaves 24 bits, so that a current need not wrap."""
    flags = rule.flags
    return Cell(
        address(state.u, 0), address(state.v, 0), address(rule.parameters, 0), flags[CURRENT] != 0,
        narrow and flags[TABLES] == 0, flags[ZERO] != 0,
    )  # fmt: skip


@inlined
def without_current(cell: Cell) -> Cell:
    """The same, known not to have a current of its own."""
    return Cell(cell.u, cell.v, cell.parameters, False, cell.narrow, cell.zero)


@inlined
def _parameter(i: Any, which: int, c: int, cell: Cell) -> Any:
    """One parameter (kernels/layout.py) of channels `c` and on, as many as `i` has lanes; all are of one tile."""
    return load_as(i, cell.parameters, (c // TILE * PARAMETERS + which) * TILE + c % TILE)


@kernel
def _normalise_sums(sums: Array, first: int, t: int, rule: Rule) -> None:
    """Turn the sums of channels `first` and on into normalised input, in 64 bits."""
    for c in range(min(sums.size, rule.gain.shape[1] - first)):
        i = _arrive(np.int64(sums[c]))
        sums[c] = _normalise(i, rule.gain[t, first + c], rule.shift, rule.offset[t, first + c])


def scaled(i: Any, exponent: Any) -> Any:
    """Sums that are worth ``2^exponent``, floored. Floats have no exponent."""
    raise NotImplementedError  # compiled only


@overload(scaled, jit_options={"forceinline": True})
def _scaled(i: Any, exponent: Any) -> Callable[..., Any]:
    def integers(i: Any, exponent: Any) -> Any:
        if exponent > 0:
            i = i << exponent
        elif exponent < 0:
            i = i >> -exponent
        return i

    def reals(i: Any, exponent: Any) -> Any:
        return i

    return reals if isinstance(i, Reals) else integers


def normalised(i: Any, c: Any, t: Any, rule: Any, scratch: Any) -> Any:
    """The sums of channels `c` and on by the tables of step `t`; `scratch` has room for them.

    To be called where there are tables, and only there: a rule that is handed over has its references counted.
    """
    raise NotImplementedError  # compiled only


@overload(normalised, jit_options={"forceinline": True})
def _normalised(i: Any, c: Any, t: Any, rule: Any, scratch: Any) -> Callable[..., Any]:
    def integers(i: Any, c: Any, t: Any, rule: Any, scratch: Any) -> Any:
        store(i, scratch, 0)
        _normalise_sums(scratch, c, t, rule)
        return load_as(i, scratch, 0)

    def reals(i: Any, c: Any, t: Any, rule: Any, scratch: Any) -> Any:
        at = t * rule.gain.shape[1] + c
        return load_as(i, rule.gain, at) * i + load_as(i, rule.offset, at)

    return reals if isinstance(i, Reals) else integers


def arrived(i: Any) -> Any:
    """Sums as neurons without tables take them."""
    raise NotImplementedError  # compiled only


@overload(arrived, jit_options={"forceinline": True})
def _arrived(i: Any) -> Callable[..., Any]:
    def integers(i: Any) -> Any:
        return _arrive(i)

    def reals(i: Any) -> Any:
        return i

    return reals if isinstance(i, Reals) else integers


@inlined
def _integer_step(i: Any, u: Any, v: Any, c: int, cell: Cell) -> tuple[Any, Any, Any]:
    """One step of the neurons of channels `c` and on: current, membrane, and who fired. `i` is in membrane units."""
    if cell.current:
        u = _current(u, i, _parameter(i, FACTOR_U, c, cell))
    elif cell.narrow:
        u = i
    else:
        u = _current(zeros_as(i), i, 0)
    v = _membrane(v, u, _parameter(i, FACTOR_V, c, cell), _parameter(i, BIAS, c, cell))
    s = _fire(v, _parameter(i, THRESHOLD, c, cell))
    v = _to_zero(v, s) if cell.zero else _by_subtraction(v, s, _parameter(i, AMOUNT, c, cell))
    return u, v, s


@inlined
def _real_step(i: Any, u: Any, v: Any, c: int, cell: Cell) -> tuple[Any, Any, Any]:
    """The same for float neurons: neuron.py's rule, each operation rounded once, in the order written here."""
    u = _parameter(i, FACTOR_U, c, cell) * u + i if cell.current else i
    v = (_parameter(i, FACTOR_V, c, cell) * v + u) + _parameter(i, BIAS, c, cell)
    s = v > _parameter(i, THRESHOLD, c, cell)
    v = cleared(v, s) if cell.zero else v - s * _parameter(i, AMOUNT, c, cell)
    return u, v, s


def _step(i: Any, u: Any, v: Any, c: Any, cell: Any) -> Any:
    """One step of the neurons of channels `c` and on, by the rule of their numbers."""
    raise NotImplementedError  # compiled only


@overload(_step, jit_options={"forceinline": True})
def _step_compiled(i: Any, u: Any, v: Any, c: Any, cell: Any) -> Callable[..., Any]:
    def integers(i: Any, u: Any, v: Any, c: Any, cell: Any) -> Any:
        return _integer_step(i, u, v, c, cell)

    def reals(i: Any, u: Any, v: Any, c: Any, cell: Any) -> Any:
        return _real_step(i, u, v, c, cell)

    return reals if isinstance(i, Reals) else integers


@inlined
def advance(i: Any, place: int, c: int, cell: Cell) -> Any:
    """One step of the neurons from `place` of the state on, which are channels `c` and on; the spikes as a word."""
    u = load_as(i, cell.u, place) if cell.current else i
    u, v, s = _step(i, u, load_as(i, cell.v, place), c, cell)
    if cell.current:
        store(u, cell.u, place)
    store(v, cell.v, place)
    return bits(s)


@inlined
def _advance_some(i: Any, place: int, c: int, left: int, cell: Cell) -> Any:
    """As :func:`advance`, for the first `left` of sixteen neurons."""
    u = load_some(cell.u, place, left) if cell.current else i
    u, v, s = _step(i, u, load_some(cell.v, place, left), c, cell)
    if cell.current:
        store_some(u, cell.u, place, left)
    store_some(v, cell.v, place, left)
    return bits(s)


@kernel
def block(
    sums: Array, exponent: int, steps: int, first: int, begin: int, base: int, rule: Rule, state: State
) -> None:  # fmt: skip
    """Neurons over a block of steps.

    Parameters
    ----------
    sums : (K, pixels, pitch) array
        Weighted sums of a range of pixels, of the state's type (int32, float32, float64); the first C of a pitch count.
    exponent : int
        Integer sums are worth ``2^exponent``, floored.
    steps, first : int
        ``sums[:steps]`` are own steps `first` and on.
    begin : int
        First pixel.
    base : int
        Own step of the state's first row.
    rule, state
        See :class:`Rule` and :class:`State`; the state is updated in place.
    """
    fires, tables = rule.flags[FIRES] != 0, rule.flags[TABLES] != 0
    traced, kept = rule.flags[SAM] != 0, rule.flags[MEMBRANE] != 0 or rule.flags[CURRENTS] != 0
    planes, inputs = state.planes, address(sums, 0)
    own = cell(rule, state, False)
    pixels, pitch, row = sums.shape[1], sums.shape[2], state.v.shape[1]
    channels = min(rule.gain.shape[1], row)  # a part of a population has fewer, whole tiles more
    scratch = np.empty(LANES, np.int32)
    for k in range(steps):
        t = first + k
        count = 0
        for q in range(pixels):
            p = begin + q
            for w in range((channels + 63) // 64):
                fired = np.uint64(0)
                for c in range(64 * w, min(64 * w + 64, channels), LANES):
                    at, place, left = (k * pixels + q) * pitch + c, p * row + c, channels - c
                    if left >= LANES:
                        i = scaled(load(inputs, at), exponent)
                        i = normalised(i, c, t, rule, scratch) if tables else arrived(i)
                        some = advance(i, place, c, own)
                    else:
                        i = scaled(load_some(inputs, at, left), exponent)
                        i = normalised(i, c, t, rule, scratch) if tables else arrived(i)
                        some = _advance_some(i, place, c, left, own)
                    fired |= some << np.uint64(c - 64 * w)
                if fires:
                    planes[t - base, p, w] = fired
                    count += ones(fired)
        state.counts[t - base] += count
        if kept:
            keep(t - base, begin, begin + pixels, 0, channels, rule, state)
    if traced:
        trace(first, steps, begin, begin + pixels, first - base, rule, state)
