"""Which differences rounding explains: the formula of a near miss, and what a spike of one side can have changed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import neurosam as ns
from neurosam.equivalence.divergence import Divergence, Variable, mismatches
from neurosam.equivalence.rounding import Consequences, reach, rounded
from neurosam.equivalence.threshold import silent_distance

Array = npt.NDArray[Any]
STEPS, SAMPLES = 5, 2
SCALE = 2.0
TOLERANCE = 0.25  # powers of two, so that both sides of a boundary are exact


def network(neuron: Any = None, delay: int = 0, fixed: bool = False) -> ns.Network:
    """In -> a (2 channels of 1 x 2 pixels) -> b (4 neurons) -> out; b comes back to a after `delay` steps, if any."""
    a = neuron if neuron is not None else ns.LIF(0.5, np.array([1.0, 2.0]), current_leak=0.5)
    b, out = (ns.FixedLIF(0, 1), ns.FixedReadout()) if fixed else (ns.LIF(0.5, 1.0, current_leak=0.5), ns.Readout())
    one = ns.Sparse.one_to_one((4,), 1 if fixed else 1.0)
    full = ns.Dense(np.ones((1, 4), np.int8 if fixed else np.float64))
    to_a = ns.Sparse.one_to_one((2, 1, 2), 1 if fixed else 1.0)
    projections = [
        ns.Projection("in", "a", to_a), ns.Projection("a", "b", one), ns.Projection("b", "out", full),
        *([ns.Projection("b", "a", to_a, delay=delay)] if delay else []),
    ]  # fmt: skip
    return ns.Network(
        (
            ns.Population("in", (2, 1, 2)), ns.Population("a", (2, 1, 2), a), ns.Population("b", (4,), b),
            ns.Population("out", (1,), out),
        ),
        projections,
    )  # fmt: skip


def variable(name: str, population: str = "a", order: int = 1, channels: int = 4, dtype: Any = None) -> Variable:
    """Both sides silent and at rest."""
    kinds = {"spikes": np.uint8, "counts": np.int64}
    a = np.zeros((STEPS, SAMPLES, channels), dtype or kinds.get(name, np.float64))
    return Variable(population, name, order, 0, (channels,) if channels > 1 else (), a, a.copy(), SCALE)


def near_miss(
    step: int, sample: int, neuron: int, silent: float, fired: float, side: str = "a"
) -> tuple[Variable, Variable]:
    """One side fires; membranes of the silent side and, after its reset, of the fired one."""
    spikes, membrane = variable("spikes"), variable("membrane")
    getattr(spikes, side)[step, sample, neuron] = 1
    getattr(membrane, side)[step, sample, neuron] = fired
    getattr(membrane, "b" if side == "a" else "a")[step, sample, neuron] = silent
    return spikes, membrane


def judged(net: ns.Network, *variables: Variable, tolerance: float = TOLERANCE) -> list[Divergence]:
    return rounded(variables, net, SAMPLES, tolerance)[0]


# --- near misses ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("side", ["a", "b"])
@pytest.mark.parametrize(
    ("distance", "excused"),
    [  # |threshold - v| <= (SCALE + |threshold - v|) / 4, that is <= 2/3: beyond the 1/2 that the scale alone gives
        (0.0, True), (0.5, True), (0.625, True), (0.6875, False), (-0.625, True), (-0.6875, False), (1.0, False),
    ],
)  # fmt: skip
def test_the_silent_side_is_near_its_threshold(distance: float, excused: bool, side: str) -> None:
    net = network(ns.LIF(0.5, 1.0, "zero"))
    near = judged(net, *near_miss(2, 1, 3, 1.0 - distance, 0.0, side))
    assert [(d.step, d.sample, d.neuron, d.distance) for d in near] == ([(2, 1, 3, distance)] if excused else [])


def test_the_bound_itself_is_near_enough() -> None:
    """(1.5 + 0.5) / 4 is 0.5, for the silent and for the fired side."""
    spikes, membrane = near_miss(2, 1, 3, 1.0 - 0.5, 1.0 + 0.5 - 4.0)
    lif = ns.LIF(0.5, 1.0, "subtract", 4.0)
    assert len(judged(network(lif), spikes, replace(membrane, scale=1.5))) == 1
    assert not judged(network(lif), spikes, replace(membrane, scale=np.nextafter(1.5, 0.0)))


@pytest.mark.parametrize("side", ["a", "b"])
@pytest.mark.parametrize(
    ("excess", "excused"),
    [  # the fired side is within the bound of the silent one, (2 + 0.5) / 4 = 0.625, on either side of the threshold
        (0.625, True), (0.6875, False), (-0.625, True), (-0.6875, False), (0.0, True),
    ],
)  # fmt: skip
def test_the_fired_side_is_near_it_too_where_its_reset_is_undone(excess: float, excused: bool, side: str) -> None:
    lif = ns.LIF(0.5, 1.0, "subtract", 4.0)
    near = judged(network(lif), *near_miss(0, 0, 2, 0.5, 1.0 + excess - 4.0, side))
    assert len(near) == excused
    assert not judged(network(lif), *near_miss(0, 0, 2, -3.0, 1.0 - 4.0, side))  # the silent side still counts
    free = judged(network(ns.LIF(0.5, 1.0, "zero")), *near_miss(0, 0, 2, 0.5, 1.0 + excess - 4.0, side))
    assert len(free) == 1  # a reset to zero leaves nothing to judge by


def test_thresholds_and_amounts_are_those_of_the_neurons_channel() -> None:
    lif = ns.LIF(0.5, np.array([1.0, 2.0]), "subtract", np.array([4.0, 8.0]))
    for neuron, threshold, amount in ((0, 1.0, 4.0), (1, 1.0, 4.0), (2, 2.0, 8.0), (3, 2.0, 8.0)):
        spikes, membrane = near_miss(1, 0, neuron, threshold - 0.25, threshold + 0.125 - amount)
        silent, fired = silent_distance(mismatches(spikes, 0.0), spikes, membrane, network(lif))
        assert (silent.tolist(), fired.tolist()) == ([0.25], [0.125])


def test_levels_of_integers_are_in_membrane_units() -> None:
    lif = ns.FixedLIF(0, np.array([3, 5]), reset_amount_64ths=np.array([100, 200]))
    spikes, membrane = near_miss(1, 0, 2, 5 * 64 - 7, 5 * 64 + 9 - 200, "b")
    silent, fired = silent_distance(mismatches(spikes, 0.0), spikes, membrane, network(lif, fixed=True))
    assert (silent.tolist(), fired.tolist()) == ([7.0], [9.0])


def test_no_distance_where_both_sides_fire_or_none_has_a_threshold() -> None:
    spikes, membrane = near_miss(1, 0, 2, 0.5, 0.0)
    membrane.a[1, 0, 1] = 5.0  # a membrane that differs, with the same spikes
    silent, fired = silent_distance(mismatches(membrane, 0.0), spikes, membrane, network(ns.LIF(0.5, 1.0)))
    assert np.isnan(silent).tolist() == np.isnan(fired).tolist() == [True, False]
    spikes = replace(spikes, population="in")  # without a threshold
    silent, fired = silent_distance(mismatches(spikes, 0.0), spikes, membrane, network())
    assert np.isnan([*silent, *fired]).tolist() == [True, True]


# --- consequences -----------------------------------------------------------------------------------------------------


def consequences(net: ns.Network, step: int = 2, sample: int = 1, neuron: int = 3) -> Consequences:
    effects = Consequences(net, SAMPLES)
    effects.add(mismatches(near_miss(step, sample, neuron, 0.0, 0.0)[0], 0.0))
    return effects


def covered(effects: Consequences, name: str, population: str = "a", channels: int = 4) -> list[tuple[int, int, int]]:
    """(step, sample, neuron) that are excused, of a variable that differs everywhere."""
    v = variable(name, population, channels=channels)
    v.b[:] = 1
    found = mismatches(v, 0.0)
    assert len(found) == STEPS * SAMPLES * channels
    kept = found.at(effects.cover(found))
    return list(zip(kept.step.tolist(), kept.sample.tolist(), kept.neuron.tolist(), strict=True))


def test_its_own_neuron_is_excused_from_its_step_on_but_not_its_current() -> None:
    """A spike acts on the membrane of its neuron by the reset; on its current only by way of a loop."""
    effects = consequences(network())
    for name in ("membrane", "spikes"):
        assert covered(effects, name) == [(2, 1, 3), (3, 1, 3), (4, 1, 3)]
    assert covered(effects, "current") == []
    assert covered(consequences(network(delay=1)), "current") == [(4, 1, k) for k in range(4)]  # lag 2


def test_counts_and_maps_are_excused_where_the_neuron_is_in_them() -> None:
    effects = consequences(network(), neuron=1)  # channel 0, pixel 1
    assert covered(effects, "counts", channels=1) == [(2, 1, 0), (3, 1, 0), (4, 1, 0)]
    assert covered(effects, "sam", channels=2) == [(2, 1, 1), (3, 1, 1), (4, 1, 1)]
    effects.add(mismatches(near_miss(1, 1, 2, 0.0, 0.0)[0], 0.0))  # channel 1, pixel 0
    assert covered(effects, "counts", channels=1) == [(1, 1, 0), (2, 1, 0), (3, 1, 0), (4, 1, 0)]
    assert covered(effects, "sam", channels=2) == [(1, 1, 0), *((t, 1, k) for t in (2, 3, 4) for k in (0, 1))]


def test_everything_that_it_reaches_is_excused_from_the_step_of_arrival() -> None:
    effects = consequences(network())
    every = [(t, 1, k) for t in (2, 3, 4) for k in range(4)]
    assert covered(effects, "membrane", "b") == covered(effects, "current", "b") == every
    assert covered(effects, "membrane", "in") == []
    assert covered(effects, "output", "out", 1) == [(2, 1, 0), (3, 1, 0), (4, 1, 0)]
    effects.add(mismatches(near_miss(4, 1, 0, 0.0, 0.0)[0], 0.0))  # a later spike changes nothing of it
    effects.add(mismatches(near_miss(4, 0, 0, 0.0, 0.0)[0], 0.0))
    assert covered(effects, "membrane", "b") == [*every[:8], *((4, 0, k) for k in range(4)), *every[8:]]


def test_reach_adds_lags_along_the_shortest_way() -> None:
    """The direct way is not always the quickest, and a neuron comes back to itself by the shortest loop."""
    lif, one = ns.LIF(0.5, 1.0), ns.Dense(np.ones((1, 1)))
    edges = [("in", "a", 0), ("a", "c", 5), ("a", "b", 1), ("b", "c", 1), ("c", "a", 4), ("b", "b", 9), ("c", "b", 1)]
    net = ns.Network(
        (ns.Population("in", (1,), onset=0), *(ns.Population(name, (1,), lif, onset=0) for name in "cba")),
        [ns.Projection(source, target, one, delay=delay) for source, target, delay in edges],
    )
    assert reach(net, "a") == {"b": 1, "c": 2, "a": 6}
    assert reach(net, "b") == {"c": 1, "b": 2, "a": 5}
    assert reach(net, "in") == {"a": 0, "b": 1, "c": 2}


# --- in causal order --------------------------------------------------------------------------------------------------


def two_populations() -> tuple[Variable, Variable, Variable, Variable]:
    """A near miss of a[3] at step 2, and of b[0] (thresholds 1), each with the silent side at its threshold."""
    spikes, membrane = near_miss(2, 1, 3, 1.0, 0.0)
    later, held = variable("spikes", "b", order=2), variable("membrane", "b", order=2)
    return spikes, membrane, later, held


def test_what_follows_from_a_near_miss_is_not_listed_as_another() -> None:
    net = network(ns.LIF(0.5, 1.0, "zero"))
    spikes, membrane, later, held = two_populations()
    later.a[2, 1, 0] = later.a[4, 1, 2] = later.a[1, 1, 1] = later.a[2, 0, 1] = 1
    held.b[2, 1, 0] = held.b[4, 1, 2] = held.b[1, 1, 1] = held.b[2, 0, 1] = 1.0
    near, effects = rounded([spikes, membrane, later, held], net, SAMPLES, TOLERANCE)
    assert [(d.population, d.step, d.sample, d.neuron) for d in near] == [
        ("b", 1, 1, 1), ("a", 2, 1, 3), ("b", 2, 0, 1),
    ]  # fmt: skip
    assert covered(effects, "output", "out", 1) == [
        (1, 1, 0), (2, 0, 0), (2, 1, 0), (3, 0, 0), (3, 1, 0), (4, 0, 0), (4, 1, 0),
    ]  # fmt: skip


def test_a_spike_that_is_no_near_miss_has_no_consequences() -> None:
    net = network(ns.LIF(0.5, 1.0, "zero"))
    spikes, membrane, later, held = two_populations()
    membrane.b[2, 1, 3] = -100.0
    later.a[3, 1, 0], held.b[3, 1, 0] = 1, 1.0
    near, effects = rounded([spikes, membrane, later, held], net, SAMPLES, TOLERANCE)
    assert [(d.population, d.step) for d in near] == [("b", 3)]
    assert covered(effects, "membrane", "a") == []


def test_spikes_are_judged_where_the_membrane_is_recorded() -> None:
    net = network(ns.LIF(0.5, 1.0, "zero"))
    spikes, membrane, later, _ = two_populations()
    later.a[1, 1, 0] = 1
    assert len(judged(net, spikes, membrane, later)) == 1
    assert judged(net, later) == judged(net, membrane) == judged(net) == []


def test_each_of_many_near_misses_of_a_step_is_listed_in_order() -> None:
    net = network(ns.LIF(0.5, 1.0, "zero"))
    spikes, membrane = near_miss(2, 1, 3, 1.0, 0.0)
    for sample, neuron, silent in ((0, 1, 0.75), (1, 0, 1.25), (1, 2, -9.0)):
        spikes.b[2, sample, neuron], membrane.a[2, sample, neuron] = 1, silent
    near = judged(net, spikes, membrane)
    assert [(d.sample, d.neuron, d.distance) for d in near] == [(0, 1, 0.25), (1, 0, -0.25), (1, 3, 0.0)]
    assert [d.place for d in near] == [(2, 1, 2, 0, 1), (2, 1, 2, 1, 0), (2, 1, 2, 1, 3)]
