"""The threshold search: it undoes thresholds that were made wrong, keeps only gains, and reports on other samples."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import neurosam as ns
from neurosam.arithmetic import STATE_MAX
from neurosam.deploy.quantisation_report import QuantisationReport
from neurosam.deploy.quantise import quantise
from neurosam.deploy.threshold_search import search_thresholds
from neurosam.errors import ArgumentError, EventError, NetworkError
from neurosam.network.fixed_neuron import THRESHOLD_MAX, FixedLIF


def network() -> ns.Network:
    rng = np.random.default_rng(7)
    return ns.Network(
        [
            ns.Population("in", (20,)),
            ns.Population("a", (16,), ns.LIF(leak=0.9, threshold=1.0)),
            ns.Population("b", (16,), ns.LIF(leak=0.9, threshold=1.0, reset="zero")),
            ns.Population("out", (4,), ns.Readout()),
        ],
        [
            ns.Projection("in", "a", ns.Dense(rng.normal(0.1, 0.4, (16, 20)))),
            ns.Projection("a", "b", ns.Dense(rng.normal(0.05, 0.4, (16, 16)))),
            ns.Projection("b", "out", ns.Dense(rng.normal(0, 0.5, (4, 16)))),
        ],
    )


def events(samples: int = 200) -> ns.Events:
    rng = np.random.default_rng(8)
    rates = rng.random((1, samples, 20)) * 0.5
    return ns.Events.from_dense((rng.random((12, samples, 20)) < rates).astype(np.uint8))


def scaled(fixed: ns.Network, name: str, factor: float) -> ns.Network:
    """The network with one threshold, and what is subtracted, multiplied by hand."""
    neuron = fixed[name].neuron
    assert isinstance(neuron, FixedLIF)
    amount = None if neuron.reset_amount_64ths is None else np.rint(neuron.reset_amount_64ths * factor).astype(int)
    changed = replace(neuron, threshold=np.rint(neuron.threshold * factor).astype(int), reset_amount_64ths=amount)
    return replace(fixed, populations=[replace(p, neuron=changed) if p.name == name else p for p in fixed.populations])


@pytest.fixture(scope="module")
def case() -> tuple[ns.Network, ns.Network, QuantisationReport]:
    net = network()
    return (net, *quantise(net, ns.Precision.lava(8), events()))


@pytest.mark.parametrize("name", ["a", "b"])
def test_a_wrong_threshold_is_found_and_undone(
    case: tuple[ns.Network, ns.Network, QuantisationReport], name: str
) -> None:
    net, fixed, report = case
    wrong = scaled(fixed, name, 1.25)
    better, search = search_thresholds(net, wrong, report, events())
    assert search.measure == "agreement"
    assert search.factors[name] == 0.8
    assert search.search_after > search.search_before
    assert search.held_out_after > search.held_out_before  # which the search did not see
    assert (search.search_samples, search.held_out_samples) == (100, 100)
    restored, original = better[name].neuron, fixed[name].neuron
    assert isinstance(restored, FixedLIF)
    assert isinstance(original, FixedLIF)
    assert np.allclose(restored.threshold, original.threshold, rtol=0.01)
    if original.reset_amount_64ths is not None:
        assert restored.reset_amount_64ths is not None
        assert np.allclose(restored.reset_amount_64ths, original.reset_amount_64ths, rtol=0.01)
    half = events().select(0, 100)
    agreement = np.mean(ns.run(better, half).predictions == ns.run(net, half).predictions)
    assert search.search_after == agreement


def test_what_cannot_be_bettered_stays(case: tuple[ns.Network, ns.Network, QuantisationReport]) -> None:
    net, fixed, report = case
    same, search = search_thresholds(net, fixed, report, events(), factors=(0.5, 2.0))
    assert same == fixed
    assert search.factors == {"a": 1.0, "b": 1.0}
    assert (search.search_after, search.held_out_after) == (search.search_before, search.held_out_before)


def test_labels_are_what_is_wanted(case: tuple[ns.Network, ns.Network, QuantisationReport]) -> None:
    """With the predictions of a network of other thresholds as labels, the search goes there."""
    net, fixed, report = case
    labels = ns.run(scaled(fixed, "a", 0.8), events()).predictions
    better, search = search_thresholds(net, fixed, report, events(), labels, sweeps=2)
    assert search.measure == "accuracy"
    assert search.factors["a"] < 1
    assert (
        search.held_out_after
        > search.held_out_before
        == np.mean(ns.run(fixed, events().select(100, 200)).predictions == labels[100:])
    )
    assert better.projections == fixed.projections


def test_thresholds_stay_in_their_range() -> None:
    net = ns.Network(
        [ns.Population("in", (2,)), ns.Population("n", (2,), ns.LIF(leak=1.0, threshold=np.array([1.0, 1e5]))),
         ns.Population("out", (2,), ns.Readout())],
        [ns.Projection("in", "n", ns.Dense(np.array([[100.0, 127.0], [50.0, -3.0]]))),
         ns.Projection("n", "out", ns.Dense(np.eye(2)))],
    )  # fmt: skip
    fixed, report = quantise(net, ns.Precision.lava())
    shown = ns.Events.from_dense((np.random.default_rng(0).random((6, 8, 2)) < 0.5).astype(np.uint8))
    labels = np.zeros(8, dtype=np.int64)
    better, _ = search_thresholds(net, fixed, report, shown, labels, factors=(1e-9, 1e9))
    neuron = better["n"].neuron
    assert isinstance(neuron, FixedLIF)
    assert neuron.reset_amount_64ths is not None
    assert 1 <= np.min(neuron.threshold) <= np.max(neuron.threshold) <= THRESHOLD_MAX
    assert 1 <= np.min(neuron.reset_amount_64ths) <= np.max(neuron.reset_amount_64ths) <= STATE_MAX


def test_progress_counts_every_run(case: tuple[ns.Network, ns.Network, QuantisationReport]) -> None:
    net, fixed, report = case
    ticks: list[tuple[int, int]] = []
    search_thresholds(net, fixed, report, events(20), factors=(0.9, 1.1), progress=lambda *tick: ticks.append(tick))
    assert ticks == [(i + 1, 7) for i in range(7)]


def test_wrong_arguments_are_refused(case: tuple[ns.Network, ns.Network, QuantisationReport]) -> None:
    net, fixed, report = case
    with pytest.raises(NetworkError, match="is a float network; quantise it first"):
        search_thresholds(net, net, report, events())
    with pytest.raises(EventError, match="got 1 samples; at least 2"):
        search_thresholds(net, fixed, report, events(1))
    with pytest.raises(EventError, match=r"got \(3,\); one for each of 200"):
        search_thresholds(net, fixed, report, events(), np.zeros(3, dtype=np.int64))
    with pytest.raises(ArgumentError, match="above 0"):
        search_thresholds(net, fixed, report, events(), factors=(0.0,))
    with pytest.raises(ArgumentError, match="at least 1"):
        search_thresholds(net, fixed, report, events(), sweeps=0)
