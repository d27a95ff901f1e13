"""Distances to the threshold with every option of a neuron, against the membrane that the step itself compared."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import neurosam as ns
from neurosam.arithmetic import decay
from neurosam.equivalence.divergence import Mismatches, Variable
from neurosam.equivalence.threshold import Distances, silent_distance
from neurosam.network import dynamics
from neurosam.network.dynamics import NeuronState
from neurosam.signals.state import State

Array = npt.NDArray[Any]
STEPS, NEURONS = 40, 6
FIXED: dict[str, dict[str, Any]] = {
    "subtract": {},
    "an amount": {"reset_amount_64ths": [900, 1500, 700]},
    "at": {"fires": "at"},
    "zero": {"reset": "zero"},
    "value": {"reset": "value", "reset_value_64ths": -300},
    "none": {"reset": "none"},
    "next": {"reset_timing": "next"},
    "both": {"reset_timing": "both", "reset_amount_64ths": 1000},
    "zero, next": {"reset": "zero", "reset_timing": "next"},
    "bounded": {"lower_bound_64ths": -200, "reset_amount_64ths": 2600},
    "refractory": {"refractory": 2, "reset": "none"},
    "adaptive": {"threshold_decay": 300, "threshold_step_64ths": 500, "reset": "none"},
    "adaptive, subtracted": {"threshold_decay": 900, "threshold_step_64ths": 250},
    "relative": {"reset": "relative", "relative_decay": 700, "threshold_decay": 500, "threshold_step_64ths": 100},
    "several": {"max_spikes": 4, "fires": "at"},
    "several, an amount": {"max_spikes": 3, "reset_amount_64ths": 400},
    "several, zero": {"max_spikes": 3, "reset": "zero"},
    "several, adaptive": {"max_spikes": 3, "threshold_decay": 400, "threshold_step_64ths": 90},
}


def network(options: dict[str, Any]) -> ns.Network:
    lif = ns.FixedLIF(membrane_decay=500, threshold=np.array([16, 20, 12]), initial_membrane_64ths=1400, **options)
    return ns.Network(
        (ns.Population("in", (NEURONS,)), ns.Population("a", (3, 1, 2), lif)),
        (ns.Projection("in", "a", ns.Sparse.one_to_one((3, 1, 2), 1)),),
    )


def by_hand(net: ns.Network, first: int = 0) -> tuple[Array, Array, Array, Array, Array, list[Any]]:
    """Spikes and membranes of a population with random input; the membrane compared, the bar, the amount; states."""
    neuron = net["a"].neuron
    assert isinstance(neuron, ns.FixedLIF)
    p, o = dynamics.resolve(neuron, net.precision)
    p = dynamics.Parameters(*(np.repeat(np.broadcast_to(np.asarray(x), 3), 2) for x in p))
    unreset = o._replace(bounded=False, corrected=False, reset=o.reset if o.delayed else dynamics.NONE)
    zeros = np.zeros(NEURONS, np.int64)
    state = NeuronState(zeros, zeros + 1400, zeros, zeros, zeros)
    rng = np.random.default_rng(5)
    columns: list[tuple[Array, ...]] = []
    states = [state]
    for _ in range(STEPS):
        i = rng.integers(-900, 1500, NEURONS) * o.max_spikes
        x = dynamics.step(i, state, p, unreset)[0].v
        theta = p.threshold + decay(state.h, p.factor_h)
        amount = theta if o.adapted or o.reset != dynamics.SUBTRACT else p.amount
        bar = theta + (decay(state.r, p.factor_r) if o.reset == dynamics.RELATIVE else 0)
        waits = state.wait > 0
        state, s, _, _ = dynamics.step(i, state, p, o)
        states.append(state)
        columns.append((s * 1, state.v, x, bar, np.broadcast_to(amount, NEURONS), waits))
    spikes, v, x, bar, amount, waits = (np.stack(column)[first:, None] for column in zip(*columns, strict=True))
    known = np.where(waits, np.nan, x.astype(np.float64))
    return spikes, v, known, bar, amount, states


def unknown(net: ns.Network, spikes: Array, v: Array) -> Array:
    """Where the membrane that was compared cannot be told from the recorded one."""
    neuron: Any = net["a"].neuron
    if neuron.reset in ("zero", "value") and neuron.reset_timing == "now":
        return spikes > 0
    bounded = neuron.lower_bound_64ths is not None
    return v <= int(neuron.lower_bound_64ths) if bounded else np.zeros(v.shape, bool)


@pytest.mark.parametrize("first", [0, 13])
@pytest.mark.parametrize("options", FIXED.values(), ids=FIXED)
def test_the_distance_is_that_of_the_step(options: dict[str, Any], first: int) -> None:
    """Side a is the run; side b has one spike more than it everywhere, or one less."""
    net = network(options)
    spikes, v, x, bar, amount, states = by_hand(net, first)
    assert spikes.max() == options.get("max_spikes", 1)
    initial = None
    if first:
        held = {name: getattr(states[first], name).reshape(1, 3, 1, 2) for name in ("v", "wait", "h", "r")}
        initial = replace(State.initial(net, 1), step=first, neurons={"a": held})
    membrane = Variable("a", "membrane", 1, 0, (3, 1, 2), v, v, 1.0)
    at = np.nonzero(spikes >= 0)

    def distances(change: int) -> Distances:
        both = Variable("a", "spikes", 1, 0, (3, 1, 2), spikes, spikes + change, 1.0)
        return silent_distance(Mismatches(both, *at), both, membrane, net, initial)

    hidden = unknown(net, spikes, v)
    silent, fired = distances(1).silent, distances(-1).fired
    np.testing.assert_array_equal(silent, np.where(hidden, np.nan, bar + spikes * amount - x)[at])
    seen = ~(hidden | np.isnan(x))[at]
    np.testing.assert_array_equal(fired[seen], (x - (bar + (spikes - 1) * amount))[at][seen])
    s = spikes[at][seen]
    decided = np.where(s > 0, fired[seen], -silent[seen])
    assert np.array_equal(decided >= 0 if options.get("fires") == "at" else decided > 0, s > 0)


def test_a_neuron_in_its_refractory_period_has_no_distance() -> None:
    net = network({"refractory": 2, "reset": "none"})
    spikes, v, _, _, _, _ = by_hand(net)
    other = spikes.copy()
    step, _, neuron = (int(i) for i in np.argwhere(spikes)[0])
    other[step + 1, 0, neuron] = 1  # a back end that does not wait
    where = Mismatches(
        Variable("a", "spikes", 1, 0, (3, 1, 2), spikes, other, 1.0),
        np.array([step + 1]), np.array([0]), np.array([neuron]),
    )  # fmt: skip
    membrane = Variable("a", "membrane", 1, 0, (3, 1, 2), v, v, 1.0)
    assert np.isnan(silent_distance(where, where.variable, membrane, net).silent).all()
