"""Mutants that do what the original does whatever the input, by proof; and why a stimulus did not reach others.

A proof rests on bounds of what can arrive at a channel (its weights times the largest events, with signs), of its
current and of its membrane: a state that keeps ``f / 4096`` of itself, and gets at most d in each step, stays within
``4096 d / (4096 - f)``. Where a bound leaves its 24 bits nothing is claimed; nor with tables of gain.

- A weight: its source can never fire, or it only ever meets the border.
- A threshold, and what a spike changes (reset, rise, refractory period, trace): the channel can never fire.
- A decay: every state that it can meet decays to the same integer (all of them are tried).
- A lower bound: the membrane stays above it. An initial state: it decays to the same integer in the first step.
- Entry 0 of a trace's table: no interval between two spikes is 0. Other entries: every trace fades to the same integer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from neurosam.arithmetic import DECAY_ONE, FRACTION_BITS, STATE_MAX, contribution, decay, shift_by
from neurosam.equivalence.mutation import TRACE, Mutant, channel_of
from neurosam.network import dynamics
from neurosam.network.elements import Projection
from neurosam.network.fixed_neuron import FixedLIF, FixedReadout
from neurosam.network.network import Network
from neurosam.network.synapse import Conv2d, as_chw, neurons
from neurosam.network.trace import FixedSamTrace

__all__ = ["proof", "unreached"]

AT_SPIKES = (
    "reset_amount_64ths", "reset_value_64ths", "threshold_step_64ths", "threshold_decay", "relative_decay",
    "refractory", *TRACE,
)  # fmt: skip
"""What acts only if a neuron fires."""

MOST_TRIED = 2**20
"""States that are tried one by one."""

Activity = Mapping[str, npt.NDArray[np.bool_]]


@dataclass(frozen=True)
class _Bounds:
    """Of what arrives at one channel, its current or its membrane, in membrane units."""

    low: int
    high: int


def proof(network: Network, mutant: Mutant, steps: int) -> str:
    """Why no input of `steps` steps can tell a mutant from its original; empty if that is not proven."""
    site = mutant.site
    population = network[site.layer]
    if site.projection is not None:
        return _of_weight(network, network.projections[site.projection], mutant)
    channels = range(as_chw(population.shape)[0])
    channel = channel_of(network, mutant)
    own = channels if channel is None else [channel]
    if site.kind in AT_SPIKES and all(_silent(network, site.layer, c) for c in own):
        return "its neurons can never fire"
    if site.kind in TRACE:
        return _of_trace(network, mutant, steps)
    if channel is None:
        return ""
    if site.kind == "threshold":
        return "its neurons can never reach it" if _silent(network, site.layer, channel, min(0, mutant.change)) else ""
    if site.kind == "membrane_decay":
        return _of_decay(network, mutant, channel)
    if site.kind == "lower_bound_64ths":
        bounds = _membrane(network, site.layer, channel, floor=False)
        never = bounds is not None and bounds.low > mutant.value + max(0, mutant.change)
        return "its neurons can never reach it" if never else ""
    if site.kind in ("initial_membrane_64ths", "initial_current_64ths"):
        return _of_initial(network, mutant)
    return ""


def unreached(network: Network, mutant: Mutant, activity: Activity, steps: int) -> str:
    """Why a stimulus did not reach a mutant, where that is plain; else empty.

    Parameters
    ----------
    network, mutant
    activity : mapping of str to bool array of the population's shape
        Which neurons sent anything.
    steps : int
    """
    site = mutant.site
    if site.projection is not None:
        projection = network.projections[site.projection]
        active = activity[projection.source]
        where = _source(network, projection, mutant)
        return "" if active[where].any() else "nothing arrives at it"
    if site.kind == TRACE[0] and mutant.index[0] >= steps:
        return f"intervals of {mutant.index[0]} steps do not occur in {steps}"
    if site.kind not in AT_SPIKES:
        return ""
    active = activity[site.layer].reshape(as_chw(network[site.layer].shape))
    channel = channel_of(network, mutant)
    fired = active.any() if channel is None else active[channel].any()
    return "" if fired else "its neurons never fire"


def _source(network: Network, projection: Projection, mutant: Mutant) -> Any:
    """Index of the neurons of the source that a weight may carry."""
    shape, index = network[projection.source].shape, mutant.index
    pooled = shape if projection.pool is None else projection.pool.output_shape(shape)
    synapse = projection.synapse
    if isinstance(synapse, Conv2d):
        group = index[0] // (synapse.weight.shape[0] // synapse.groups)
        return group * synapse.weight.shape[1] + index[1]
    flat = index[1] if synapse.weight.ndim == 2 else int(synapse.indices[index[0]])  # type: ignore[union-attr]
    if projection.pool is not None:
        return flat // (neurons(pooled) // pooled[0])
    return np.unravel_index(flat, shape)


def _of_weight(network: Network, projection: Projection, mutant: Mutant) -> str:
    source = network[projection.source]
    channels = as_chw(source.shape)[0]
    if source.neuron is not None:
        where = np.zeros(source.shape, bool)
        where[_source(network, projection, mutant)] = True
        own = np.flatnonzero(where.reshape(channels, -1).any(axis=1))
        if all(_silent(network, source.name, int(c)) for c in own):
            return "its source can never fire"
    if isinstance(projection.synapse, Conv2d):
        shape = source.shape if projection.pool is None else projection.pool.output_shape(source.shape)
        out = projection.synapse.output_shape(shape)
        strides, paddings, dilations = projection.synapse.geometry
        for axis in (0, 1):
            at = np.arange(out[1 + axis]) * strides[axis] + mutant.index[2 + axis] * dilations[axis] - paddings[axis]
            if not ((at >= 0) & (at < shape[1 + axis])).any():
                return "it only meets the border"
    return ""


def _of_trace(network: Network, mutant: Mutant, steps: int) -> str:
    trace = network.sam[mutant.site.layer]
    if mutant.site.kind != TRACE[0] or not isinstance(trace, FixedSamTrace):
        return ""
    if mutant.index == (0,):
        return "no interval is 0"  # nor is a silent step of the official mode at step 0
    if trace.mode == "official":
        return ""
    spikes = network[mutant.site.layer].largest_event
    largest = trace.largest(steps, spikes) // spikes + trace.impulse * spikes
    if largest > MOST_TRIED:
        return ""
    x = np.arange(largest + 1)
    old, new = (contribution(x, mutant.value + change, trace.shift) for change in (0, mutant.change))
    return "every trace fades to the same" if (old == new).all() else ""


def _of_decay(network: Network, mutant: Mutant, channel: int) -> str:
    bounds = _membrane(network, mutant.site.layer, channel)
    if bounds is None or bounds.high - bounds.low > MOST_TRIED:
        return ""
    neuron = replace(network[mutant.site.layer].neuron, membrane_decay=mutant.value)  # type: ignore[type-var]
    factor = dynamics.resolve(neuron, network.precision)[0].factor_v  # type: ignore[arg-type]
    x = np.arange(bounds.low, bounds.high + 1)
    return "every membrane decays to the same" if (decay(x, factor) == decay(x, factor - mutant.change)).all() else ""


def _of_initial(network: Network, mutant: Mutant) -> str:
    neuron, precision = network[mutant.site.layer].neuron, network.precision
    if isinstance(neuron, FixedLIF) and neuron.reset_timing != "now":
        return ""
    parameters, _ = dynamics.resolve(neuron, precision)  # type: ignore[arg-type]  # of a layer
    factors = parameters.factor_v if mutant.site.kind.startswith("initial_membrane") else parameters.factor_u
    factor = int(_of_channel(factors, mutant.index))
    same = decay(mutant.value, factor) == decay(mutant.value + mutant.change, factor)
    return "it is forgotten in the first step" if same else ""


def _of_channel(value: Any, index: tuple[int, ...]) -> Any:
    """A parameter at ``(channel,)`` or ``(channel, y, x)``."""
    array = np.asarray(value)
    if array.ndim == 0:
        return array
    return array[index[0]] if array.ndim == 1 or len(index) < 3 else array[index]


def _arriving(network: Network, name: str, channel: int) -> _Bounds | None:
    """What can arrive at a neuron of a channel in one step."""
    neuron: Any = network[name].neuron
    if getattr(neuron, "gain", None) is not None:
        return None
    low = high = 0
    _, *sides = as_chw(network.drive_shape(name))
    pixels = sides[0] * sides[1]
    for projection in network.incoming(name):
        source = network[projection.source]
        most = source.largest_event * (projection.pool.area if projection.pool else 1)
        rows = slice(channel, channel + 1)
        if not isinstance(projection.synapse, Conv2d):
            rows = slice(channel * pixels, (channel + 1) * pixels)
        negative, positive = (sums[rows] for sums in projection.synapse.row_sums())
        if source.neuron is None:  # events of an input may be negative
            positive, negative = positive - negative, negative - positive
        low += shift_by(int(negative.min()) * most, projection.exponent)
        high += shift_by(int(positive.max()) * most, projection.exponent)
    return _held(low << FRACTION_BITS, high << FRACTION_BITS)


def _membrane(network: Network, name: str, channel: int, floor: bool = True, fired: bool = True) -> _Bounds | None:
    """Membranes of a channel: at the end of a step, or, without `fired`, before a spike is decided.

    With `floor`, its lower bound is taken into account.
    """
    neuron, arriving = network[name].neuron, _arriving(network, name, channel)
    if not isinstance(neuron, (FixedLIF, FixedReadout)) or arriving is None:
        return None
    p, o = dynamics.resolve(neuron, network.precision)
    own = dynamics.Parameters(*(np.asarray(_of_channel(value, (channel,))) for value in p))
    starts = [np.asarray(_of_channel(neuron.initial_membrane_64ths, (channel,)))]  # what a membrane may begin with
    if o.reset == dynamics.VALUE:
        starts.append(own.amount)
    elif o.reset == dynamics.SUBTRACT and not o.adapted:
        starts.append(own.threshold - own.amount)
    if floor and o.bounded:
        starts.append(own.lower_bound)
    first = [np.asarray(_of_channel(neuron.initial_current_64ths, (channel,)))]
    current = _kept(arriving, own.factor_u, first) if o.current else arriving
    if current is None or o.delayed:
        return None
    added = _held(current.low + int(own.bias.min()), current.high + int(own.bias.max()))
    bounds = None if added is None else _kept(added, own.factor_v, starts)
    if bounds is None:
        return None
    low, high = bounds.low, bounds.high
    if floor and o.bounded:
        low = max(low, int(own.lower_bound.min()))
    if fired and o.reset == dynamics.ZERO and not o.adaptive:
        high = min(high, max(int(own.threshold.max()), *(int(start.max()) for start in starts)))
    return _held(low, high)


def _kept(added: _Bounds, factors: Any, starts: Sequence[npt.NDArray[Any]]) -> _Bounds | None:
    """A state that keeps a factor of 4096, gets something in each step, and may begin with these values."""
    factor = int(np.max(factors))
    if factor >= DECAY_ONE:
        return None
    low, high = (-(limit * DECAY_ONE // (DECAY_ONE - factor)) for limit in (-min(added.low, 0), -max(added.high, 0)))
    return _held(
        min(low - 1, 0, *(int(start.min()) for start in starts)),
        max(high + 1, 0, *(int(start.max()) for start in starts)),
    )


def _held(low: int, high: int) -> _Bounds | None:
    return _Bounds(low, high) if max(-low, high) <= STATE_MAX else None


def _silent(network: Network, name: str, channel: int, change: int = 0) -> bool:
    """Whether a channel can never fire, with its threshold changed by so much."""
    neuron = network[name].neuron
    bounds = _membrane(network, name, channel, fired=False)
    if bounds is None or not isinstance(neuron, FixedLIF):
        return False
    threshold = (int(np.min(_of_channel(neuron.threshold, (channel,)))) + change) << FRACTION_BITS
    return bounds.high < threshold + (neuron.fires == "above")
