"""How far a membrane was from the threshold that decided a spike, from recorded spikes and membranes.

Of two sides with different numbers of spikes in a step, the silent one is that with fewer, s (mostly 0); the other one
fired. What decided is spike s + 1, for which both had to pass the bar

    b = threshold + h + r + s amount        (h: rise of the threshold, r: relative reset, amount: subtracted per spike)

with the membrane x before the reset (network/dynamics.py). Recorded is the membrane after the reset; what a side
subtracted is added again, and h and r follow from its own earlier spikes. x is not known after a reset to 0 or to a
value, nor where the lower bound has clipped the membrane, nor in a part of a run for options that look back.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from neurosam.arithmetic import decay, saturate
from neurosam.equivalence.divergence import Mismatches, Values, Variable
from neurosam.network import dynamics
from neurosam.network.dynamics import Parameters, Switches
from neurosam.network.fixed_neuron import FixedLIF
from neurosam.network.network import Network
from neurosam.network.neuron import LIF
from neurosam.network.synapse import as_chw
from neurosam.signals.state import State

__all__ = ["Distances", "decided", "silent_distance"]

Array = npt.NDArray[Any]
Reals = npt.NDArray[np.float64]


class Distances(NamedTuple):
    """Distances to the bar at mismatches, in the unit of the membrane.

    Attributes
    ----------
    silent : array
        Bar minus the membrane of the silent side; NaN where the spikes agree or the membrane is not known.
    fired : array
        Membrane of the side that fired minus bar, likewise.
    """

    silent: Reals
    fired: Reals


def silent_distance(
    where: Mismatches, spikes: Variable, membrane: Variable, network: Network, initial: State | None = None
) -> Distances:
    """Distances to the bar at mismatches of one population.

    Parameters
    ----------
    where : Mismatches
        Of any variable of the population with one value per neuron.
    spikes, membrane : Variable
        Of the same population.
    network : Network
    initial : State, optional
        In which both runs started, if it was not the network's own initial state.
    """
    neuron = network[spikes.population].neuron
    if not isinstance(neuron, (LIF, FixedLIF)) or not len(where):
        return Distances(np.full(len(where), np.nan), np.full(len(where), np.nan))
    where = replace(where, step=where.step - spikes.first_step)  # in rows of what was recorded
    at = (where.step, where.sample, where.neuron)
    of_a, of_b = spikes.a[at].astype(np.int64), spikes.b[at].astype(np.int64)
    fewer = np.minimum(of_a, of_b)
    start = (State.initial(network, spikes.a.shape[1]) if initial is None else initial).neurons[spikes.population]
    p, o = dynamics.resolve(neuron, network.precision)
    if spikes.first_step and (o.adaptive or o.refractory or o.corrected or o.reset == dynamics.RELATIVE):
        return Distances(np.full(len(where), np.nan), np.full(len(where), np.nan))  # depends on earlier steps
    p = Parameters(*(_by_neuron(value, network[spikes.population].shape, where.neuron) for value in p))
    a = _Side(p, o, spikes.a, membrane.a, start, network.fixed)
    b = _Side(p, o, spikes.b, membrane.b, start, network.fixed)
    beyond_a, beyond_b = a.beyond(where, fewer), b.beyond(where, fewer)
    differ, a_fired = of_a != of_b, of_a > of_b
    silent = np.where(differ, -np.where(a_fired, beyond_b, beyond_a), np.nan)
    fired = np.where(differ, np.where(a_fired, beyond_a, beyond_b), np.nan)
    waits = np.where(a_fired, b.waits(where), a.waits(where))
    return Distances(np.where(waits, np.nan, silent), fired)


def decided(
    spikes: Variable, membrane: Variable, network: Network, initial: State | None = None
) -> tuple[Reals, npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Every decision of side a of one population, ``(T, B, N)`` each.

    Returns
    -------
    margin : array
        Membrane minus the bar of its last spike in the step, or of the first one if there was none; NaN where the
        membrane is not known.
    fired : bool array
    waits : bool array
        Whether the neuron was in its refractory period.
    """
    neuron: Any = network[spikes.population].neuron
    at = np.indices(spikes.a.shape).reshape(3, -1)
    where = Mismatches(spikes, at[0], at[1], at[2])
    start = (State.initial(network, spikes.a.shape[1]) if initial is None else initial).neurons[spikes.population]
    p, o = dynamics.resolve(neuron, network.precision)
    p = Parameters(*(_by_neuron(value, network[spikes.population].shape, where.neuron) for value in p))
    side = _Side(p, o, spikes.a, membrane.a, start, network.fixed)
    count = spikes.a.reshape(-1).astype(np.int64)
    margin = side.beyond(where, np.maximum(count - 1, 0))
    return tuple(x.reshape(spikes.a.shape) for x in (margin, count > 0, side.waits(where)))  # type: ignore[return-value]


class _Side:
    """Spikes and membranes of one population in one recording; parameters by mismatch."""

    def __init__(
        self, p: Parameters, o: Switches, spikes: Values, membrane: Values, start: Any, fixed: bool
    ) -> None:  # fmt: skip
        self._p, self._o, self._fixed = p, o, fixed
        self._spikes, self._membrane = spikes, membrane
        self._start = {name: value.reshape(value.shape[0], -1) for name, value in start.items()}

    def beyond(self, where: Mismatches, fewer: Array) -> Reals:
        """Membrane before the reset minus the bar of spike ``fewer + 1``."""
        o, p = self._o, self._p
        at = (where.step, where.sample, where.neuron)
        s, v = self._spikes[at].astype(np.int64), self._membrane[at].astype(np.float64)
        h, r = self._risen(where)
        threshold = p.threshold + h
        amount = threshold if o.adapted or o.reset != dynamics.SUBTRACT else p.amount
        lowered = np.zeros(len(where), np.int64)  # how often the recorded membrane has been lowered by the reset
        if o.corrected:
            lowered = s - self._late(where)
        elif o.reset == dynamics.SUBTRACT and not o.delayed:
            lowered = s
        x = v + lowered * amount
        known = np.ones(len(where), bool)
        if o.bounded:
            known &= v > p.lower_bound
        if o.reset in (dynamics.ZERO, dynamics.VALUE) and not o.delayed:
            known &= s == 0
        return np.where(known, x - (threshold + r + fewer * amount), np.nan)

    def waits(self, where: Mismatches) -> npt.NDArray[np.bool_]:
        """Whether a neuron is in its refractory period, in which it cannot fire whatever its membrane."""
        waiting = np.zeros(len(where), bool)
        if self._o.refractory:
            waiting = self._start["wait"][where.sample, where.neuron] > where.step
        for back in range(1, min(self._o.refractory, len(self._spikes) - 1) + 1):
            before = np.maximum(where.step - back, 0)
            waiting |= (where.step >= back) & self._spikes[before, where.sample, where.neuron].astype(bool)
        return waiting

    def _late(self, where: Mismatches) -> Array:
        """Whether the step started with the reset of the spike before it."""
        before = self._membrane[np.maximum(where.step - 1, 0), where.sample, where.neuron].astype(np.float64)
        v = np.where(where.step > 0, before, self._start["v"][where.sample, where.neuron])
        late: Array = (v >= self._p.threshold) if self._o.at else (v > self._p.threshold)
        return late.astype(np.int64)

    def _risen(self, where: Mismatches) -> tuple[Any, Any]:
        """Rise of the threshold and relative reset with which a spike was decided, from the spikes before it."""
        o, p = self._o, self._p
        if not o.adaptive and o.reset != dynamics.RELATIVE:
            return 0, 0
        of = (where.sample, where.neuron)
        h, r = (self._start[name][of] if name in self._start else np.zeros(len(where)) for name in ("h", "r"))
        at_h, at_r = np.zeros(len(where)), np.zeros(len(where))
        for step in range(int(where.step.max()) + 1):
            h, r = self._decayed(h, p.factor_h), self._decayed(r, p.factor_r)
            now = where.step == step
            at_h[now], at_r[now] = h[now], r[now]
            s = self._spikes[step][of].astype(np.int64)
            r = self._held(r + s * 2 * (p.threshold + h)) if o.reset == dynamics.RELATIVE else r
            h = self._held(h + s * p.threshold_step)
        return at_h, at_r

    def _decayed(self, x: Array, factor: Array) -> Array:
        return np.asarray(decay(x.astype(np.int64), factor) if self._fixed else factor * x)

    def _held(self, x: Array) -> Array:
        return np.asarray(saturate(x) if self._fixed else x)


def _by_neuron(value: Any, shape: tuple[int, ...], neuron: Array) -> Array:
    """A parameter of the neurons at these indices."""
    array = np.asarray(value)
    by_channel = array.reshape(-1, 1, 1) if array.ndim == 1 else array
    return np.broadcast_to(by_channel, as_chw(shape)).reshape(-1)[neuron]
