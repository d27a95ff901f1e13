"""Rules by which modules of other frameworks are read, where their stored runs (test_frameworks.py) say nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import neurosam as ns
from neurosam.deploy.readers import norse, sinabs, snntorch, spikingjelly
from neurosam.deploy.readers.rules import UNLIMITED, layer, nearest, number, without_equal

STEPS, NEURONS = 60, 12
on_both = pytest.mark.parametrize("backend", ["reference", "event"])


def drive() -> Any:
    return np.random.default_rng(0).normal(0.15, 0.6, (STEPS, NEURONS))


def spikes(neuron: dict[str, Any], x: Any, backend: str, *feedback: ns.Projection) -> Any:
    """Of a layer whose input are the numbers x themselves."""
    network = ns.Network(
        [ns.Population("in", (NEURONS,)), ns.Population("out", (NEURONS,), ns.LIF(**neuron))],
        [ns.Projection("in", "out", ns.Dense(np.eye(NEURONS))), *feedback],
    )
    events = ns.Events.from_dense(x[:, None])
    return ns.run(network, events, backend, ns.Record(spikes=("out",)), threads=1).spikes["out"].dense()[:, 0]


@on_both
def test_alpha_without_a_reset_is_two_filters_in_a_row(backend: str) -> None:
    """The module's own loop: e <- a e + x, i <- b i - x, v <- tau (e + i), which is ours one step later."""
    a, b, x = 0.9, 0.7, drive()
    tau = np.log(a) / (np.log(b) - np.log(a)) + 1
    e, i, theirs = np.zeros(NEURONS), np.zeros(NEURONS), []
    for step in x:
        e, i = a * e + step, b * i - step
        theirs.append(tau * (e + i) > 0.3)
    ours = spikes(snntorch.alpha(a, b, 0.3), x, backend)
    assert np.sum(theirs) > 50
    np.testing.assert_array_equal(ours[:-1], theirs[1:])
    assert not theirs[0].any()


@on_both
def test_a_recurrent_leaky_loses_the_step_after_a_spike(backend: str) -> None:
    """RLeaky, reset to zero, delayed: v <- (1 - p) (beta v + x + V s), where p is whether v was above the threshold."""
    x, v, s, theirs = drive(), np.zeros(NEURONS), np.zeros(NEURONS), []
    for step in x:
        p = v > 0.5
        v = np.where(p, 0.0, 0.8 * v + step + 0.4 * s)
        s = (v > 0.5).astype(float)
        theirs.append(s)
    feedback = ns.Projection("out", "out", ns.Dense(0.4 * np.eye(NEURONS)))
    ours = spikes(snntorch.recurrent_leaky(0.8, 0.5, "zero"), x, backend, feedback)
    assert np.sum(theirs) > 50
    np.testing.assert_array_equal(ours, theirs)


@on_both
def test_nodes_start_where_they_are_said_to(backend: str) -> None:
    """SpikingJelly's HalfThresholdIFNode starts at half its threshold, its SimpleLIFNode at 0 and not at v_reset."""
    half = spikingjelly.integrate(1.0, None, 0.5)
    simple = spikingjelly.leaky(0.5, True, 1.0, -0.25, 0.0)
    assert ns.LIF(**half).initial_membrane == 0.5
    assert ns.LIF(**simple).initial_membrane == 0.0
    x, v, theirs = drive(), np.full(NEURONS, 0.5), []
    for step in x:
        v = v + step
        theirs.append(v >= 1.0)
        v = v - theirs[-1]
    np.testing.assert_array_equal(spikes(half, x, backend), theirs)


@on_both
def test_a_fixed_amount_is_subtracted_where_a_module_says_so(backend: str) -> None:
    """Sinabs' MembraneSubtract(0.4) with SingleSpike."""
    rule = sinabs.leaky(0.9, 1.0, max_spikes=1, reset_to=None, reset_amount=0.4)
    x, v, theirs = 2 * drive(), np.zeros(NEURONS), []
    for step in x:
        v = 0.9 * v + step
        theirs.append(v >= 1.0)
        v = v - 0.4 * theirs[-1]
    assert np.sum(theirs) > 50
    np.testing.assert_array_equal(spikes(rule, x, backend), theirs)


@on_both
def test_a_bound_counts_from_the_value_that_is_added_in_every_step(backend: str) -> None:
    """Sinabs' MembraneReset(-0.2) with min_v_mem: v <- alpha v + x;  s = v >= theta;  v <- max(v (s == 0) + r, m)."""
    rule = sinabs.leaky(0.9, 1.0, max_spikes=1, reset_to=-0.2, lower_bound=-0.4)
    x, v, theirs = 2 * drive(), np.zeros(NEURONS), []
    for step in x:
        v = 0.9 * v + step
        theirs.append(v >= 1.0)
        v = np.maximum(v * ~theirs[-1] - 0.2, -0.4)
    assert np.sum(theirs) > 50
    np.testing.assert_array_equal(spikes(rule, x, backend), theirs)


def test_a_gain_for_each_neuron_of_a_picture_goes_in_front() -> None:
    rate = np.linspace(0.1, 0.9, 24).reshape(2, 3, 4)
    reading = layer(norse.box(rate, 0.0, 1.0, 0.0, False), time="first")
    assert isinstance(reading.neuron, ns.LIF)
    assert reading.neuron.gain is None
    np.testing.assert_array_equal(reading.weight, rate)
    flat = layer(norse.box(rate[0, 0], 0.0, 1.0, 0.0, False))
    assert isinstance(flat.neuron, ns.LIF)
    np.testing.assert_array_equal(flat.neuron.gain, rate[0, :1])
    assert flat.weight == 1.0


def test_quantising_names_the_layer_that_may_send_any_number_of_spikes() -> None:
    """Sinabs' default, MultiSpike, into a second layer."""
    rule = sinabs.leaky(1.0, 1.0, max_spikes=UNLIMITED, reset_to=None)
    network = ns.Network(
        [ns.Population("in", (4,)), *(ns.Population(name, (4,), ns.LIF(**rule)) for name in ("first", "second"))],
        [ns.Projection("in", "first", ns.Dense(np.eye(4))), ns.Projection("first", "second", ns.Dense(np.eye(4)))],
    )
    with pytest.raises(ns.ExportError, match=r"'second'.*'first' may send 8,388,607 spikes in a step; .*MaxSpike"):
        ns.quantise(network, ns.Precision.lava())


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((), ()), ((1,), ()), ((1, 1, 1), ()), ((6,), (6,)), ((1, 6), (6,)), ((6, 1, 1), (6,)), ((1, 6, 1, 1), (6,)),
        ((2, 3, 4), (2, 3, 4)),
    ],
)  # fmt: skip
def test_numbers_of_a_module_as_a_neuron_takes_them(shape: tuple[int, ...], expected: tuple[int, ...]) -> None:
    values = np.arange(1.0, 1 + np.prod(shape, dtype=int)).reshape(shape)
    got = number(values)
    assert np.shape(got) == expected
    np.testing.assert_array_equal(np.reshape(got, -1), values.reshape(-1))


def test_a_refusal_names_the_class_the_reason_and_the_nearest_neuron() -> None:
    class QIFNode:
        __module__ = "spikingjelly.activation_based.neuron.nonlinear_if"

    error = without_equal(QIFNode(), "its membrane is quadratic", nearest(spikingjelly.leaky(0.5, True, 1.0, None)))
    assert str(error) == (
        "spikingjelly's QIFNode: its membrane is quadratic; the nearest is "
        'ns.LIF(leak=0.5, threshold=1, fires="at", reset="subtract") behind weights times 0.5'
    )
