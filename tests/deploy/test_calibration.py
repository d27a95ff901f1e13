"""What a calibration does not represent: sources that never fired, graded input, few steps, no events."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import neurosam as ns
from neurosam.deploy.error_model import PRIOR_STEPS, Activity, expected_errors, expected_loss, observe
from neurosam.deploy.quantise import quantise
from neurosam.signals.inputs import Inputs

LAVA = ns.Precision.lava()


def layer(weight: Any, neuron: Any = None, magnitude: int = 1) -> ns.Network:
    weight = np.asarray(weight, np.float64)
    return ns.Network(
        [ns.Population("in", (weight.shape[1],), magnitude=magnitude),
         ns.Population("n", (len(weight),), ns.LIF(0.9, 1.0) if neuron is None else neuron)],
        [ns.Projection("in", "n", ns.Dense(weight))],
    )  # fmt: skip


def strong_inhibition() -> tuple[ns.Network, npt.NDArray[np.uint8]]:
    """A network with one large weight, and input in which its source, number 7, never spikes."""
    rng = np.random.default_rng(0)
    weight = rng.normal(0, 0.3, (5, 20))
    weight[2, 7] = -4.0
    shown = (rng.random((30, 16, 20)) < 0.2).astype(np.uint8)
    shown[:, :, 7] = 0
    return layer(weight), shown


@pytest.mark.parametrize("bits", [8, 7, 6, 5, 4])
def test_the_largest_weight_is_kept_though_its_source_was_silent(bits: int) -> None:
    """It became -2.016, at an agreement of 1.0."""
    net, shown = strong_inhibition()
    fixed, report = quantise(net, ns.Precision.lava(bits), ns.Events.from_dense(shown))
    (row,) = report.populations
    (projection,) = fixed.projections
    assert projection.synapse.weight[2, 7] * row.unit * 2.0**projection.exponent == pytest.approx(-4.0, rel=0.13)
    assert row.largest_clip < 0.13
    assert (row.sources, row.silent_sources) == (20, 1)
    (warning,) = report.warnings
    assert warning.startswith(
        "population 'n': 1 of 20 sources never fired in the calibration, and the largest weight (4)"
    )


def test_a_silent_source_changes_nothing_at_8_bits() -> None:
    net, shown = strong_inhibition()
    fixed, _ = quantise(net, LAVA, ns.Events.from_dense(shown))
    shown[:, :, 7] = np.random.default_rng(1).random((30, 16)) < 0.2
    typical, report = quantise(net, LAVA, ns.Events.from_dense(shown))
    np.testing.assert_array_equal(fixed.projections[0].synapse.weight, typical.projections[0].synapse.weight)
    assert report.warnings == ()
    assert report.populations[0].silent_sources == 0


def test_most_sources_silent_is_told() -> None:
    shown = np.zeros((20, 4, 6), np.uint8)
    shown[::3, :, :2] = 1
    weight = np.random.default_rng(0).uniform(0.5, 1, (3, 6))
    (warning,) = quantise(layer(weight), LAVA, ns.Events.from_dense(shown))[1].warnings
    assert (
        warning
        == "population 'n': 4 of 6 sources never fired in the calibration; calibrate with input in which they do"
    )


def test_sources_of_convolutions_are_channels() -> None:
    rng = np.random.default_rng(0)
    net = ns.Network(
        [ns.Population("in", (3, 4, 4)), ns.Population("n", (2, 4, 4), ns.LIF(0.9, 1.0))],
        [ns.Projection("in", "n", ns.Conv2d(rng.uniform(-1, 1, (2, 3, 3, 3)), padding=1))],
    )
    shown = (rng.random((10, 3, 3, 4, 4)) < 0.3).astype(np.uint8)
    shown[:, :, 1] = 0
    shown[:, :, :, 0, 0] = 0  # one position of all channels
    row = quantise(net, LAVA, ns.Events.from_dense(shown))[1].populations[0]
    assert (row.sources, row.silent_sources) == (3, 1)


def test_no_events_are_no_calibration() -> None:
    net, shown = strong_inhibition()
    plain, _ = quantise(net, LAVA)
    fixed, report = quantise(net, LAVA, ns.Events.from_dense(0 * shown))
    np.testing.assert_array_equal(fixed.projections[0].synapse.weight, plain.projections[0].synapse.weight)
    assert np.isnan(report.agreement)  # all classes tie, in all samples
    assert report.warnings[0] == (
        "calibration: has no events; scales are chosen as without one, and membranes may saturate"
    )


def test_one_step_of_one_sample_says_little_about_a_source() -> None:
    """The source of the second largest weight spikes in the only step; with 200 such steps the largest one clips."""
    weight = np.random.default_rng(0).uniform(-0.4, 0.4, (600, 800))
    weight[0, 0], weight[:, 1] = 1.0, 0.5
    step = np.random.default_rng(1).random((1, 1, 800)) < 0.02
    step[0, 0, 0] = 0
    _, once = quantise(layer(weight, ns.Readout()), LAVA, ns.Events.from_dense(step.astype(np.uint8)))
    assert once.populations[0].silent_sources > 700
    assert once.warnings[0].startswith("calibration: has 1 step(s) in all samples together")


def test_a_source_counts_by_what_was_seen_and_by_what_is_typical() -> None:
    projection = ns.Projection("in", "n", ns.Dense(np.array([[1.25, 0.0]])))
    fixed = ns.Projection("in", "n", ns.Dense(np.array([[1, 0]], np.int8)))
    for steps in (0, PRIOR_STEPS, 10**9):
        rate = np.array([0.0, 0.4])
        seen = PRIOR_STEPS / (steps + PRIOR_STEPS) * 0.4
        loss = expected_loss(projection, fixed, 1.0, Activity(rate, rate, steps))
        assert loss == pytest.approx(0.25**2 * seen + (0.25 * seen) ** 2)


def test_a_clipped_weight_costs_what_it_does_where_its_source_is_typical() -> None:
    projection = ns.Projection("in", "n", ns.Dense(np.array([[4.0, 0.0]])))
    fixed = ns.Projection("in", "n", ns.Dense(np.array([[1, 0]], np.int8)))
    rate = np.array([0.0, 0.4])
    assert expected_loss(projection, fixed, 1.0, Activity(rate, rate, 10**9)) == pytest.approx(9 * 0.4)
    rate = np.array([0.6, 0.4])  # more active than is typical
    assert expected_loss(projection, fixed, 1.0, Activity(rate, rate, 10**9)) == pytest.approx(9 * 0.6 + (3 * 0.6) ** 2)


def test_graded_input_counts_by_its_power() -> None:
    """An event of value 9 is not nine spikes: its squared error is 81 times that of one."""
    rng = np.random.default_rng(2)
    values = rng.integers(1, 10, (4000, 1, 30)) * (rng.random((4000, 1, 30)) < 0.02)
    weight = rng.normal(size=(3, 30))
    net = layer(weight, ns.Readout(), magnitude=9)
    sent = observe(net, Inputs.of(net, ns.Events.from_dense(values))).sent["in"]
    np.testing.assert_allclose(sent.power, np.square(values.astype(float)).mean(axis=(0, 1)))
    fixed = ns.Projection("in", "n", ns.Dense(np.rint(weight / 0.2).astype(np.int8)))
    error = weight - np.rint(weight / 0.2) * 0.2
    measured = np.mean((values[:, 0] @ error.T) ** 2)
    assert expected_loss(net.projections[0], fixed, 0.2, sent) == pytest.approx(measured, rel=0.1)


def test_a_negative_exponent_costs_what_rounding_the_sum_down_does() -> None:
    rng = np.random.default_rng(3)
    mantissa = rng.integers(-127, 128, (4, 60)).astype(np.int8)
    weight = mantissa * 2.0**-6  # exact, but for the sum
    projection, fixed = (ns.Projection("in", "n", ns.Dense(w), exponent=e) for w, e in ((weight, 0), (mantissa, -6)))
    spikes = (rng.random((20_000, 60)) < 0.1).astype(np.float64)
    sums = spikes @ weight.T
    measured = np.mean((sums - np.floor(sums)) ** 2, axis=0)
    rate = spikes.mean(axis=0)
    np.testing.assert_allclose(
        expected_errors(projection, fixed, 1.0, Activity(rate, rate, 20_000)), measured, rtol=0.05
    )


def test_agreement_leaves_out_samples_without_an_answer() -> None:
    """Nine empty samples tie in both networks, and agree on nothing."""
    shown = np.zeros((10, 10, 3), np.uint8)
    shown[:, 0, 1] = 1
    report = quantise(
        layer(np.array([[1.0, 0.1, 0.3], [0.2, 0.9, 0.1]]), ns.Readout()), LAVA, ns.Events.from_dense(shown)
    )[1]
    assert report.agreement == 1.0
    shown[:] = 0
    report = quantise(layer(np.ones((2, 3)), ns.Readout()), LAVA, ns.Events.from_dense(shown))[1]
    assert np.isnan(report.agreement)


def test_channels_that_die_and_populations_that_fall_silent_are_told() -> None:
    weight = np.full((3, 8), 0.0011)
    weight[0] = [900.0, *[0.0] * 7]
    net = layer(weight, ns.LIF(1.0, 0.001))
    shown = np.ones((5, 2, 8), np.uint8)
    shown[:, :, 0] = 0
    _, report = quantise(net, LAVA, ns.Events.from_dense(shown))
    assert report.populations[0].dead_channels == 2
    text = "\n".join(report.warnings)
    assert "all weights of 2 channel(s) became 0" in text
    assert "population 'n': fires on the calibration events in floating point, and never in fixed point" in text
