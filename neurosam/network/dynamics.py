"""One step of a neuron with all its options, composed in one place, for integers and floats alike.

:func:`step` is written with the primitives of arithmetic.py. As it stands it computes integers: Python's, int64 arrays
and tensors, and (compiled) in kernels. :func:`bind` gives the same composition with other primitives, such as those of
floats. A neuron's parameters are the same for all back ends too: :func:`resolve` gives them in the units of a step.

    u     = current(u, i)                                      i: normalised input (arithmetic.py)
    p     = fires(v), v <- reset(v, p)                         reset_timing "next" or "both"
    x     = total(v, u) [- p amount]                           v <- saturate(x)
    v     stays where it was                                   while a refractory period lasts
    h, r  = decay(h), decay(r)                                 rise of the threshold, relative reset
    s     = spikes of v - r against threshold + h
    v, r  <- reset(v, r, s)      h <- h + s step      wait <- refractory period, if s      v <- larger(v, lower bound)

Costs nothing for an option that is not used: a switch is the same for a whole population.
"""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType
from typing import Any, NamedTuple

import numpy as np

from neurosam.arithmetic import (
    DECAY_ONE,
    FRACTION_BITS,
    current,
    decay,
    fire,
    fire_at,
    fresh,
    larger,
    lowered,
    saturate,
    select,
    shift_by,
    spikes_above,
    spikes_at,
    total,
    wraps_current,
)
from neurosam.network.fixed_neuron import FixedLIF, FixedReadout, Neuron
from neurosam.network.neuron import LIF, Readout
from neurosam.network.parameters import RESETS
from neurosam.network.precision import Precision

__all__ = [
    "NONE", "RELATIVE", "SUBTRACT", "UNREACHABLE", "VALUE", "ZERO", "NeuronState", "Parameters", "Switches", "bind",
    "bind_reals", "resolve", "step",
]  # fmt: skip

ZERO, SUBTRACT, VALUE, NONE, RELATIVE = range(5)
"""Values of ``Switches.reset``, in the order of RESETS."""

UNREACHABLE = 2**31 - 1
"""A threshold that no integer membrane reaches."""


class Switches(NamedTuple):
    """Which options a population uses; plain numbers, so that kernels take them.

    Parameters
    ----------
    current : bool
        Whether neurons have a synaptic current.
    reset : int
        ZERO, SUBTRACT, VALUE, NONE or RELATIVE.
    at : bool
        Whether a neuron fires at its threshold.
    delayed : bool
        Whether a reset acts in the next step: reset_timing "next" or "both".
    corrected : bool
        Whether what a delayed reset lacks is made up for at once: reset_timing "both".
    adapted : bool
        Whether "subtract" subtracts the threshold as it has risen, instead of a fixed amount.
    bounded : bool
        Whether there is a lower bound.
    adaptive : bool
        Whether the threshold rises with spikes.
    refractory : int
        Steps of the refractory period.
    max_spikes : int
        Most spikes per step.
    """

    current: bool
    reset: int
    at: bool
    delayed: bool
    corrected: bool
    adapted: bool
    bounded: bool
    adaptive: bool
    refractory: int
    max_spikes: int

    @property
    def plain(self) -> bool:
        """Whether a neuron has no state but u and v, and no option but its reset (to 0, by subtraction, none)."""
        return (
            self.reset in (ZERO, SUBTRACT, NONE)
            and not (self.delayed or self.bounded or self.adaptive or self.refractory)
            and self.max_spikes == 1
        )


class Parameters(NamedTuple):
    """Parameters in the units of a step: each a scalar, ``(C,)`` or ``(C, H, W)``; 0 where an option is not used.

    ``amount`` is what "subtract" subtracts, or what "value" leaves. A readout's ``threshold`` is out of reach.
    """

    factor_u: Any
    factor_v: Any
    bias: Any
    threshold: Any
    amount: Any
    lower_bound: Any
    factor_h: Any
    threshold_step: Any
    factor_r: Any


class NeuronState(NamedTuple):
    """State of a neuron: current, membrane, steps left to wait, rise of the threshold, relative reset."""

    u: Any
    v: Any
    wait: Any
    h: Any
    r: Any


def step(i: Any, state: NeuronState, p: Parameters, o: Switches) -> tuple[NeuronState, Any, Any, Any]:
    """One step of a neuron, or of an array of neurons.

    Parameters
    ----------
    i : number or array
        Input, normalised, in membrane units.
    state : NeuronState
    p : Parameters
    o : Switches

    Returns
    -------
    state : NeuronState
    spikes : bool or number
        How often it fires; a bool if it can fire once only.
    saturated, wrapped : bool
        Whether the membrane was clipped, and whether a sum left its bits; both False for floats.
    """
    u, v, wait, h, r = state
    if o.current:
        wrapped = wraps_current(u, i, p.factor_u)
        u = current(u, i, p.factor_u)
    else:
        wrapped = wraps_current(0, i, 0)
        u = fresh(i)
    start = v
    if o.delayed:
        late = fire_at(v, p.threshold) if o.at else fire(v, p.threshold)
        if o.reset == ZERO:
            start = select(late, 0, v)
        elif o.reset == VALUE:
            start = select(late, p.amount, v)
    x = total(start, u, p.factor_v, p.bias)
    if o.delayed and o.reset == SUBTRACT:
        x = lowered(x, (late * 1) * p.amount)
    integrated = saturate(x)
    saturated = integrated != x
    if o.refractory > 0:
        held = wait > 0
        v = select(held, v, integrated)
        saturated = saturated & (wait == 0)
        wait = wait - held * 1
    else:
        v = integrated
    if o.adaptive:
        h = decay(h, p.factor_h)
    if o.reset == RELATIVE:
        r = decay(r, p.factor_r)
    theta = p.threshold + h if o.adaptive else p.threshold
    amount = theta if o.adapted or o.reset != SUBTRACT else p.amount
    if o.max_spikes > 1:
        s = spikes_at(v, theta, amount, o.max_spikes) if o.at else spikes_above(v, theta, amount, o.max_spikes)
    else:
        level = v - r if o.reset == RELATIVE else v
        s = fire_at(level, theta) if o.at else fire(level, theta)
    if o.refractory > 0:
        s = s * (held == 0)
        wait = select(s > 0, o.refractory, wait)
    if o.corrected:
        v = v - (s * 1 - late * 1) * p.amount
    if not o.delayed:
        if o.reset == SUBTRACT:
            v = v - s * amount
        elif o.reset == ZERO:
            v = select(s > 0, 0, v)
        elif o.reset == VALUE:
            v = select(s > 0, p.amount, v)
        elif o.reset == RELATIVE:
            r = saturate(r + s * (2 * theta))
    if o.adaptive:
        h = saturate(h + s * p.threshold_step)
    if o.bounded:
        v = larger(v, p.lower_bound)
    return NeuronState(u, v, wait, h, r), s, saturated, wrapped


def bind(**primitives: Any) -> Callable[[Any, NeuronState, Parameters, Switches], tuple[NeuronState, Any, Any, Any]]:
    """:func:`step` with other primitives in place of arithmetic.py's, by their names."""
    return FunctionType(step.__code__, {**globals(), **primitives}, "step", step.__defaults__)


def bind_reals(
    select: Any, larger: Any, ceil: Any, floor: Any, clip: Any
) -> Callable[[Any, NeuronState, Parameters, Switches], tuple[NeuronState, Any, Any, Any]]:
    """:func:`step` of floats, in the order written in neuron.py, with an array library's functions."""

    def spikes_above(v: Any, theta: Any, amount: Any, most: int) -> Any:
        return clip(ceil((v - (theta - amount)) / amount) - 1, 0, most)

    def spikes_at(v: Any, theta: Any, amount: Any, most: int) -> Any:
        return clip(floor((v - (theta - amount)) / amount), 0, most)

    return bind(
        current=lambda u, i, leak: leak * u + i,
        decay=lambda x, leak: leak * x,
        fresh=lambda i: i,
        larger=larger,
        lowered=lambda x, amount: x - amount,
        saturate=lambda x: x,
        select=select,
        spikes_above=spikes_above,
        spikes_at=spikes_at,
        total=lambda v, u, leak, bias: (leak * v + u) + bias,
        wraps_current=lambda u, i, leak: False,
    )


def resolve(neuron: Neuron, precision: Precision | None) -> tuple[Parameters, Switches]:
    """A neuron's parameters in the units of a step, and its switches.

    Parameters
    ----------
    neuron : LIF, Readout, FixedLIF or FixedReadout
    precision : Precision, optional
        Of an integer neuron; its decay offsets are included in the factors.
    """
    if isinstance(neuron, (FixedLIF, FixedReadout)):
        return _resolve_fixed(neuron, Precision.lava() if precision is None else precision)
    retained = 0.0 if neuron.current_leak is None else neuron.current_leak
    current_ = neuron.current_leak is not None
    if isinstance(neuron, Readout):
        parameters = Parameters(retained, neuron.leak, neuron.bias, np.inf, 0.0, 0.0, 0.0, 0.0, 0.0)
        return parameters, Switches(current_, NONE, False, False, False, False, False, False, 0, 1)
    parameters = Parameters(
        retained, neuron.leak, neuron.bias, neuron.threshold, _first(neuron.reset_amount, neuron.reset_value),
        _first(neuron.lower_bound), _first(neuron.threshold_leak), _first(neuron.threshold_step),
        _first(neuron.relative_leak),
    )  # fmt: skip
    return parameters, _switches(
        neuron, neuron.current_leak, neuron.reset_amount, neuron.lower_bound, neuron.threshold_leak
    )


def _resolve_fixed(neuron: FixedLIF | FixedReadout, precision: Precision) -> tuple[Parameters, Switches]:
    """:func:`resolve` of an integer neuron."""
    bias = shift_by(neuron.bias_mantissa, neuron.bias_exponent)
    retained: Any = 0
    if neuron.current_decay is not None:
        retained = DECAY_ONE - neuron.current_decay - precision.current_decay_offset
    current_ = neuron.current_decay is not None
    kept: Any = DECAY_ONE
    if neuron.membrane_decay is not None:
        kept = DECAY_ONE - neuron.membrane_decay - precision.membrane_decay_offset
    if isinstance(neuron, FixedReadout):
        parameters = Parameters(retained, kept, bias, UNREACHABLE, 0, 0, 0, 0, 0)
        return parameters, Switches(current_, NONE, False, False, False, False, False, False, 0, 1)
    parameters = Parameters(
        retained, kept, bias, neuron.threshold << FRACTION_BITS,
        _first(neuron.reset_amount_64ths, neuron.reset_value_64ths), _first(neuron.lower_bound_64ths),
        0 if neuron.threshold_decay is None else DECAY_ONE - neuron.threshold_decay,
        _first(neuron.threshold_step_64ths), 0 if neuron.relative_decay is None else DECAY_ONE - neuron.relative_decay,
    )  # fmt: skip
    return parameters, _switches(
        neuron, neuron.current_decay, neuron.reset_amount_64ths, neuron.lower_bound_64ths, neuron.threshold_decay
    )


def _switches(neuron: LIF | FixedLIF, current_: Any, amount: Any, bound: Any, adaptation: Any) -> Switches:
    """The switches of a neuron that fires; the other arguments are its optional parameters."""
    return Switches(
        current=current_ is not None,
        reset=RESETS.index(neuron.reset),
        at=neuron.fires == "at",
        delayed=neuron.reset_timing != "now",
        corrected=neuron.reset_timing == "both" and neuron.reset == "subtract",
        adapted=neuron.reset == "subtract" and amount is None,
        bounded=bound is not None,
        adaptive=adaptation is not None,
        refractory=neuron.refractory,
        max_spikes=neuron.max_spikes,
    )


def _first(*values: Any) -> Any:
    """The first value that is given; 0 if none is."""
    return next((value for value in values if value is not None), 0)
