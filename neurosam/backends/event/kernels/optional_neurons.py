"""Kernel of the neurons that have options: one pass over a block of steps, as kernels/neurons.py does for plain ones.

The step is that of network/dynamics.py, 16 neurons at a time: as it stands on lanes of int64, and bound to the
primitives below on floats. So every option, and every question whether a sum wrapped, is what it is in the reference.

Cost, on one core of an EPYC (Zen 5), per neuron and step, where kernels/neurons.py takes 0.25 ns (0.18 ns in float32):
0.9 ns in integers, 1.1 ns with a current, several spikes, or an adaptive threshold and a refractory period, 1.6 ns with
all of them; 0.5 to 0.6 ns in float32, 0.65 to 0.8 ns in float64. Twice as many vectors hold int64 as int32, and each
sum is also asked whether it wrapped. A switch is a branch per 16 neurons, always taken the same way.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from neurosam.backends.event.kernels.layout import (
    CURRENTS,
    FIRES,
    MEMBRANE,
    SAM,
    SATURATED,
    TABLES,
    WRAPPED,
    OptionalRule,
    OptionalState,
    Rule,
    State,
)
from neurosam.backends.event.kernels.neurons import record_state
from neurosam.backends.event.kernels.sam_by_spike import trace, trace_magnitudes
from neurosam.backends.event.runtime.jit import formulas, inlined, kernel, overload
from neurosam.backends.event.simd.bits import mask_bits, popcount
from neurosam.backends.event.simd.load_store import address, item, load_first, load_wide, store_first
from neurosam.backends.event.simd.vectors import (
    LANES,
    Reals,
    ones_where,
    reduce_add,
    round_down,
    round_up,
    select,
    to_int32_lanes,
    within,
)
from neurosam.network import dynamics
from neurosam.network.dynamics import RELATIVE, NeuronState, Parameters, Switches

__all__ = ["optional_block"]

Array = npt.NDArray[Any]

FACTOR_U, FACTOR_V, BIAS, THRESHOLD, AMOUNT, LOWER_BOUND, FACTOR_H, THRESHOLD_STEP, FACTOR_R = range(9)

_arrive, _wraps_arriving = formulas.arrive, formulas.wraps_arriving
_normalise, _wraps_normalised = formulas.normalise, formulas.wraps_normalised
_select = formulas.select


# --- the step ---


@inlined
def _fires_above(v: Any, threshold: Any) -> Any:
    return ones_where(v > threshold, v)


@inlined
def _fires_at(v: Any, threshold: Any) -> Any:
    return ones_where(v >= threshold, v)


_integer_step = inlined(dynamics.bind(**{**vars(formulas), "fire": _fires_above, "fire_at": _fires_at}))
"""Spikes are numbers, as they are where there can be several."""


@inlined
def _real_current(u: Any, i: Any, leak: Any) -> Any:
    return leak * u + i


@inlined
def _real_decay(x: Any, leak: Any) -> Any:
    return leak * x


@inlined
def _same(x: Any) -> Any:
    return x


@inlined
def _real_larger(a: Any, b: Any) -> Any:
    return select(b > a, b, a)


@inlined
def _real_lowered(x: Any, amount: Any) -> Any:
    return x - amount


@inlined
def _real_total(v: Any, u: Any, leak: Any, bias: Any) -> Any:
    return (leak * v + u) + bias


@inlined
def _real_spikes_above(v: Any, theta: Any, amount: Any, most: Any) -> Any:
    return within(round_up((v - (theta - amount)) / amount) - 1, most)


@inlined
def _real_spikes_at(v: Any, theta: Any, amount: Any, most: Any) -> Any:
    return within(round_down((v - (theta - amount)) / amount), most)


@inlined
def _never(x: Any, y: Any, *others: Any) -> Any:
    """Floats leave no bits."""
    return y > y


def _chosen(condition: Any, a: Any, b: Any) -> Any:
    """`a` where the condition holds (a mask, or a number above 0), else `b`."""
    raise NotImplementedError  # compiled only


@overload(_chosen, forceinline=True)
def _chosen_compiled(condition: Any, a: Any, b: Any) -> Callable[..., Any]:
    def integers(condition: Any, a: Any, b: Any) -> Any:
        return _select(condition, a, b)

    def number(condition: Any, a: Any, b: Any) -> Any:
        return select(condition > 0, ones_where(condition > 0, b) * a, b)

    def reals(condition: Any, a: Any, b: Any) -> Any:
        return select(condition > 0, a, b)

    if not isinstance(b, Reals):
        return integers
    return reals if isinstance(a, Reals) else number


_real_step = inlined(
    dynamics.bind(
        current=_real_current, decay=_real_decay, fire=_fires_above, fire_at=_fires_at, fresh=_same,
        larger=_real_larger, lowered=_real_lowered, saturate=_same, select=_chosen, spikes_above=_real_spikes_above,
        spikes_at=_real_spikes_at, total=_real_total, wraps_current=_never,
    )
)  # fmt: skip


def _step(i: Any, state: Any, parameters: Any, switches: Any) -> Any:
    """A step of 16 neurons, by the integer or the float rule."""
    raise NotImplementedError  # compiled only


@overload(_step, forceinline=True)
def _step_compiled(i: Any, state: Any, parameters: Any, switches: Any) -> Callable[..., Any]:
    def integers(i: Any, state: Any, parameters: Any, switches: Any) -> Any:
        return _integer_step(i, state, parameters, switches)

    def reals(i: Any, state: Any, parameters: Any, switches: Any) -> Any:
        return _real_step(i, state, parameters, switches)

    return reals if isinstance(i, Reals) else integers


def _normalised(a: Any, at: Any, left: Any, view: Any) -> Any:
    """Sums in membrane units, normalised by the tables from element `at` on, and where they wrapped."""
    raise NotImplementedError  # compiled only


@overload(_normalised, forceinline=True)
def _normalised_compiled(a: Any, at: Any, left: Any, view: Any) -> Callable[..., Any]:
    def integers(a: Any, at: Any, left: Any, view: Any) -> Any:
        i, wrapped = _arrive(a), _wraps_arriving(a)
        if view.tables:
            gain, offset = load_wide(view.gain, at, left), load_wide(view.offset, at, left)
            wrapped = wrapped | _wraps_normalised(i, gain, view.shift, offset)
            i = _normalise(i, gain, view.shift, offset)
        return i, wrapped

    def reals(a: Any, at: Any, left: Any, view: Any) -> Any:
        if view.tables:
            a = load_wide(view.gain, at, left) * a + load_wide(view.offset, at, left)
        return a, a > a

    return reals if isinstance(a, Reals) else integers


# --- the pass over a block ---


class _View(NamedTuple):
    """What the inner loop needs of a population: addresses and switches instead of arrays, whose references count."""

    u: Any
    v: Any
    wait: Any
    h: Any
    r: Any
    parameters: Any
    start: Any
    pitch: Any
    tables: bool
    gain: Any
    offset: Any
    shift: int
    switches: Switches


@kernel
def _view(rule: Rule, optional: OptionalRule, state: State, kept: OptionalState) -> _View:
    return _View(
        address(state.u, 0), address(state.v, 0), address(kept.wait, 0), address(kept.h, 0), address(kept.r, 0),
        address(optional.parameters, 0), address(optional.start, 0), address(optional.pitch, 0),
        rule.flags[TABLES] != 0, address(rule.gain, 0), address(rule.offset, 0), rule.shift, optional.switches,
    )  # fmt: skip


@kernel
def optional_block(
    sums: Array, steps: int, first: int, base: int, rule: Rule, optional: OptionalRule, state: State,
    kept: OptionalState,
) -> None:  # fmt: skip
    """Run all neurons of a population over a block of steps.

    Parameters
    ----------
    sums : (K, P, pitch) array
        Weighted sums, of the state's type (int32, float32, float64), padded from C to the pitch.
    steps, first : int
        ``sums[:steps]`` are the own steps from `first` on.
    base : int
        Own step of the state's first row.
    rule, optional, state, kept
        See kernels/layout.py; `state` and `kept` are updated in place.
    """
    view, fires, several = _view(rule, optional, state, kept), rule.flags[FIRES] != 0, optional.switches.max_spikes > 1
    recorded = rule.flags[MEMBRANE] != 0 or rule.flags[CURRENTS] != 0
    pixels, pitch, channels, width = sums.shape[1], sums.shape[2], state.v.shape[1], rule.gain.shape[1]
    inputs, planes, magnitudes = address(sums, 0), state.planes, address(kept.magnitude, 0)
    for k in range(steps):
        t = first + k
        row = min(t, rule.gain.shape[0] - 1)  # the last row of tables goes on
        count = saturations = wraps = 0
        for p in range(pixels):
            for w in range((channels + 63) // 64):
                fired = np.uint64(0)
                for c in range(64 * w, min(64 * w + 64, channels), LANES):
                    place, left = p * channels + c, channels - c
                    a = load_wide(inputs, (k * pixels + p) * pitch + c, left)
                    i, arriving = _normalised(a, row * width + c, left, view)
                    before, parameters = _load_state(a, place, left, view), _load_parameters(p, c, view)
                    new, s, saturated, wrapped = _step(i, before, parameters, view.switches)
                    _store_state(new, place, left, view)
                    fired |= mask_bits(s > 0) << np.uint64(c - 64 * w)
                    if several:
                        magnitude = to_int32_lanes(s)
                        count += reduce_add(magnitude)
                        at = ((t - base) * pixels + p) * channels + c
                        store_first(magnitude, magnitudes, at, left)
                    saturations += popcount(mask_bits(saturated))
                    wraps += popcount(mask_bits(arriving | wrapped))
                if fires:
                    planes[t - base, p, w] = fired
                    if not several:
                        count += popcount(fired)
        state.counts[t - base] += count
        state.counts[SATURATED] += saturations
        state.counts[WRAPPED] += wraps
        if recorded:
            record_state(t - base, 0, pixels, 0, channels, rule, state)
    if rule.flags[SAM] != 0:
        if several:
            trace_magnitudes(first, steps, first - base, rule, state, kept.magnitude)
        else:
            trace(first, steps, 0, pixels, first - base, rule, state)


@inlined
def _load_state(a: Any, place: int, left: int, view: _View) -> NeuronState:
    """The state of 16 neurons; what they do not have is anything."""
    o, wait, u, h, r = view.switches, to_int32_lanes(a), a, a, a
    if o.current:
        u = load_wide(view.u, place, left)
    if o.refractory > 0:
        wait = load_first(view.wait, place, left)
    if o.adaptive:
        h = load_wide(view.h, place, left)
    if o.reset == RELATIVE:
        r = load_wide(view.r, place, left)
    return NeuronState(u, load_wide(view.v, place, left), wait, h, r)


@inlined
def _store_state(new: NeuronState, place: int, left: int, view: _View) -> None:
    """Store the state of 16 neurons."""
    o = view.switches
    if o.current:
        store_first(new.u, view.u, place, left)
    store_first(new.v, view.v, place, left)
    if o.refractory > 0:
        store_first(new.wait, view.wait, place, left)
    if o.adaptive:
        store_first(new.h, view.h, place, left)
    if o.reset == RELATIVE:
        store_first(new.r, view.r, place, left)


@inlined
def _load_parameters(p: int, c: int, view: _View) -> Parameters:
    """The parameters of the 16 channels from `c` on at pixel `p`."""
    return Parameters(
        _parameter(FACTOR_U, p, c, view), _parameter(FACTOR_V, p, c, view), _parameter(BIAS, p, c, view),
        _parameter(THRESHOLD, p, c, view), _parameter(AMOUNT, p, c, view), _parameter(LOWER_BOUND, p, c, view),
        _parameter(FACTOR_H, p, c, view), _parameter(THRESHOLD_STEP, p, c, view), _parameter(FACTOR_R, p, c, view),
    )  # fmt: skip


@inlined
def _parameter(which: int, p: int, c: int, view: _View) -> Any:
    return load_wide(view.parameters, item(view.start, which) + p * item(view.pitch, which) + c, LANES)
