"""Kernels of the neurons: one pass over a block of steps integrates, fires, resets, packs the spikes, and traces.

Neurons run in vectors (simd/vectors.py): integer ones in lanes of int32, by the formulas of arithmetic.py compiled as
they stand; float ones in lanes of float32 or float64, by neuron.py's rule (:func:`_real_step`). A membrane is read and
written once per step, and the spikes are the bits of a comparison. State is O(neurons): membrane, current, and with a
trace (kernels/sam_by_spike.py) its value (float64 for all float neurons), the step of the last spike and (official
mode) the number of spikes.

Cost: neurons times steps. What limits integer neurons is the two 32-bit products of the exact decay.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from neurosam.backends.event.kernels.layout import (
    AMOUNT,
    BIAS,
    BOUNDED,
    CURRENT,
    CURRENTS,
    FACTOR_U,
    FACTOR_V,
    FIRES,
    LOWER_BOUND,
    MEMBRANE,
    PARAMETERS,
    SAM,
    SATURATED,
    SATURATES,
    TABLES,
    THRESHOLD,
    WRAPPED,
    WRAPS,
    ZERO,
    Rule,
    State,
)
from neurosam.backends.event.kernels.sam_by_spike import trace
from neurosam.backends.event.runtime.jit import formulas, inlined, kernel, overload
from neurosam.backends.event.simd.bits import mask_bits, popcount
from neurosam.backends.event.simd.int16 import TILE
from neurosam.backends.event.simd.load_store import (
    address,
    item,
    load,
    load_first,
    load_same_count,
    put,
    store,
    store_first,
)
from neurosam.backends.event.simd.vectors import LANES, Reals, select, zero_where

__all__ = [
    "NeuronView", "block", "neuron_view", "normalise_sums", "record_state", "scale_sums", "step_neurons",
    "to_membrane_units", "usual",
]  # fmt: skip

Array = npt.NDArray[Any]
Int = npt.NDArray[np.int64]


_arrive, _normalise, _decay, _wrap24 = formulas.arrive, formulas.normalise, formulas.decay, formulas.wrap24
_total, _saturate = formulas.total, formulas.saturate
_fire, _to_zero, _by_subtraction = formulas.fire, formulas.reset_to_zero, formulas.reset_by_subtraction
_larger = formulas.larger


@kernel
def record_state(at: int, begin: int, end: int, first: int, last: int, rule: Rule, state: State) -> None:
    """Record the states of pixels ``begin:end`` and of the existing ones of channels ``first:last`` in row `at`."""
    for p in range(begin, end):
        if rule.flags[MEMBRANE]:
            for c in range(first, min(last, state.membranes.shape[2])):
                state.membranes[at, p, c] = state.v[p, c]
        if rule.flags[CURRENTS]:
            for c in range(first, min(last, state.currents.shape[2])):
                state.currents[at, p, c] = state.u[p, c]


class NeuronView(NamedTuple):
    """What the innermost loops need of a rule and a state: addresses and switches instead of arrays."""

    u: Any
    v: Any
    parameters: Any
    counts: Any
    last: int
    current: bool
    narrow: bool
    zero: bool
    saturates: bool
    wraps: bool
    bounded: bool


@kernel
def neuron_view(rule: Rule, state: State, narrow: bool) -> NeuronView:
    """The view of a rule and a state; `narrow` if no input exceeds 24 bits, so that a current need not wrap."""
    flags = rule.flags
    return NeuronView(
        address(state.u, 0), address(state.v, 0), address(rule.parameters, 0), address(state.counts, 0),
        state.counts.size, flags[CURRENT] != 0, narrow and flags[TABLES] == 0, flags[ZERO] != 0, flags[SATURATES] != 0,
        flags[WRAPS] != 0, flags[BOUNDED] != 0,
    )  # fmt: skip


@inlined
def usual(view: NeuronView, counted: bool) -> NeuronView:
    """The same, for neurons that are known to have no current, not to be BOUNDED, and whether to count anything."""
    return NeuronView(
        view.u, view.v, view.parameters, view.counts, view.last, False, view.narrow, view.zero,
        counted and view.saturates, counted and view.wraps, False,
    )  # fmt: skip


@inlined
def _parameter(i: Any, which: int, c: int, view: NeuronView) -> Any:
    """One parameter (kernels/layout.py) of as many channels from `c` on as `i` has lanes, all of one tile."""
    return load_same_count(i, view.parameters, (c // TILE * PARAMETERS + which) * TILE + c % TILE)


@kernel
def _normalise_sums(sums: Array, first: int, t: int, rule: Rule) -> None:
    """Normalise the sums of the channels from `first` on in place, in 64-bit arithmetic; the last row goes on."""
    row = min(t, rule.gain.shape[0] - 1)
    for c in range(min(sums.size, rule.gain.shape[1] - first)):
        i = _arrive(np.int64(sums[c]))
        sums[c] = _normalise(i, rule.gain[row, first + c], rule.shift, rule.offset[row, first + c])


def scale_sums(i: Any, exponent: Any) -> Any:
    """Integer sums times ``2^exponent``, rounded down; float sums as they are."""
    raise NotImplementedError  # compiled only


@overload(scale_sums, forceinline=True)
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


def normalise_sums(i: Any, c: Any, t: Any, rule: Any, scratch: Any) -> Any:
    """The sums of the channels from `c` on, normalised by the tables of step `t`; `scratch` holds one vector.

    Called only where there are tables: passing a rule counts its arrays' references.
    """
    raise NotImplementedError  # compiled only


@overload(normalise_sums, forceinline=True)
def _normalised(i: Any, c: Any, t: Any, rule: Any, scratch: Any) -> Callable[..., Any]:
    def integers(i: Any, c: Any, t: Any, rule: Any, scratch: Any) -> Any:
        store(i, scratch, 0)
        _normalise_sums(scratch, c, t, rule)
        return load_same_count(i, scratch, 0)

    def reals(i: Any, c: Any, t: Any, rule: Any, scratch: Any) -> Any:
        at = min(t, rule.gain.shape[0] - 1) * rule.gain.shape[1] + c
        return load_same_count(i, rule.gain, at) * i + load_same_count(i, rule.offset, at)

    return reals if isinstance(i, Reals) else integers


def to_membrane_units(i: Any) -> Any:
    """Sums in the units of the membrane, for neurons without tables."""
    raise NotImplementedError  # compiled only


@overload(to_membrane_units, forceinline=True)
def _arrived(i: Any) -> Callable[..., Any]:
    def integers(i: Any) -> Any:
        return _arrive(i)

    def reals(i: Any) -> Any:
        return i

    return reals if isinstance(i, Reals) else integers


@inlined
def _count(lost: Any, which: int, view: NeuronView) -> None:
    """Count the lanes that lost something, which are few."""
    bits = mask_bits(lost)
    if bits != 0:
        put(item(view.counts, view.last + which) + popcount(bits), view.counts, view.last + which)


@inlined
def _integer_step(i: Any, u: Any, v: Any, c: int, view: NeuronView) -> tuple[Any, Any, Any]:
    """One step of the neurons of channels from `c` on: current, membrane, spikes. `i` is in membrane units.

    What saturates or wraps around is counted where it can happen (network/bounds.py); the plan gives this kernel only
    neurons whose sums stay within 32 bits (plan/compiled.py), so that a wrap is one around 24 bits.
    """
    if view.current:
        x = _decay(u, _parameter(i, FACTOR_U, c, view)) + i
        u = _wrap24(x)
        if view.wraps:
            _count(u != x, WRAPPED, view)
    elif view.narrow:
        u = i
    else:
        u = _wrap24(i)
        if view.wraps:
            _count(u != i, WRAPPED, view)
    x = _total(v, u, _parameter(i, FACTOR_V, c, view), _parameter(i, BIAS, c, view))
    v = _saturate(x)
    if view.saturates:
        _count(v != x, SATURATED, view)
    s = _fire(v, _parameter(i, THRESHOLD, c, view))
    if view.bounded:
        amount = _parameter(i, AMOUNT, c, view)
        v = select(s, amount, v) if view.zero else _by_subtraction(v, s, amount)
        v = _larger(v, _parameter(i, LOWER_BOUND, c, view))
    else:
        v = _to_zero(v, s) if view.zero else _by_subtraction(v, s, _parameter(i, AMOUNT, c, view))
    return u, v, s


@inlined
def _real_step(i: Any, u: Any, v: Any, c: int, view: NeuronView) -> tuple[Any, Any, Any]:
    """The same for float neurons: neuron.py's rule, each operation rounded once, in the order written here."""
    u = _parameter(i, FACTOR_U, c, view) * u + i if view.current else i
    v = (_parameter(i, FACTOR_V, c, view) * v + u) + _parameter(i, BIAS, c, view)
    s = v > _parameter(i, THRESHOLD, c, view)
    if view.bounded:
        amount, bound = _parameter(i, AMOUNT, c, view), _parameter(i, LOWER_BOUND, c, view)
        v = select(s, amount, v) if view.zero else v - s * amount
        v = select(bound > v, bound, v)
    else:
        v = zero_where(v, s) if view.zero else v - s * _parameter(i, AMOUNT, c, view)
    return u, v, s


def _step(i: Any, u: Any, v: Any, c: Any, view: Any) -> Any:
    """One step of the neurons of channels from `c` on, by the integer or the float rule."""
    raise NotImplementedError  # compiled only


@overload(_step, forceinline=True)
def _step_compiled(i: Any, u: Any, v: Any, c: Any, view: Any) -> Callable[..., Any]:
    def integers(i: Any, u: Any, v: Any, c: Any, view: Any) -> Any:
        return _integer_step(i, u, v, c, view)

    def reals(i: Any, u: Any, v: Any, c: Any, view: Any) -> Any:
        return _real_step(i, u, v, c, view)

    return reals if isinstance(i, Reals) else integers


@inlined
def step_neurons(i: Any, place: int, c: int, view: NeuronView) -> Any:
    """One step of the neurons from index `place` of the state on, channels `c` and on; returns spikes as a word."""
    u = load_same_count(i, view.u, place) if view.current else i
    u, v, s = _step(i, u, load_same_count(i, view.v, place), c, view)
    if view.current:
        store(u, view.u, place)
    store(v, view.v, place)
    return mask_bits(s)


@inlined
def _step_first(i: Any, place: int, c: int, left: int, view: NeuronView) -> Any:
    """As :func:`step_neurons`, for the first `left` of sixteen neurons."""
    u = load_first(view.u, place, left) if view.current else i
    u, v, s = _step(i, u, load_first(view.v, place, left), c, view)
    if view.current:
        store_first(u, view.u, place, left)
    store_first(v, view.v, place, left)
    return mask_bits(s)


@kernel
def block(
    sums: Array, exponent: int, steps: int, first: int, begin: int, base: int, rule: Rule, state: State
) -> None:  # fmt: skip
    """Run neurons over a block of steps.

    Parameters
    ----------
    sums : (K, pixels, pitch) array
        Weighted sums of a range of pixels, of the state's type (int32, float32, float64), padded from C to the pitch.
    exponent : int
        Integer sums are multiplied by ``2^exponent``, and rounded down.
    steps, first : int
        ``sums[:steps]`` are the own steps from `first` on.
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
    view = neuron_view(rule, state, False)
    pixels, pitch, row = sums.shape[1], sums.shape[2], state.v.shape[1]
    channels = min(rule.gain.shape[1], row)  # fewer in a part of a population, more in whole tiles
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
                        i = scale_sums(load(inputs, at), exponent)
                        i = normalise_sums(i, c, t, rule, scratch) if tables else to_membrane_units(i)
                        bits = step_neurons(i, place, c, view)
                    else:
                        i = scale_sums(load_first(inputs, at, left), exponent)
                        i = normalise_sums(i, c, t, rule, scratch) if tables else to_membrane_units(i)
                        bits = _step_first(i, place, c, left, view)
                    fired |= bits << np.uint64(c - 64 * w)
                if fires:
                    planes[t - base, p, w] = fired
                    count += popcount(fired)
        state.counts[t - base] += count
        if kept:
            record_state(t - base, begin, begin + pixels, 0, channels, rule, state)
    if traced:
        trace(first, steps, begin, begin + pixels, first - base, rule, state)
