"""Runs longer than the calibration: readouts get room for the steps that are planned, and the report says how many."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import neurosam as ns
from neurosam.arithmetic import STATE_MAX
from neurosam.deploy.headroom import safe_steps
from neurosam.deploy.quantise import quantise
from neurosam.errors import ArgumentError, ExportError

LAVA = ns.Precision.lava()
RATE = 0.2


def classes(seed: int = 0) -> tuple[ns.Network, np.random.Generator]:
    """Ten classes, of which the seventh wins by far, that integrate 512 inputs."""
    rng = np.random.default_rng(seed)
    weight = rng.normal(0.02, 0.1, (10, 512))
    weight[7] += 0.02
    return ns.Network(
        [ns.Population("in", (512,)), ns.Population("out", (10,), ns.Readout())],
        [ns.Projection("in", "out", ns.Dense(weight))],
    ), rng


def spikes(rng: np.random.Generator, steps: int, samples: int = 2, size: int = 512) -> ns.Events:
    return ns.Events.from_dense((rng.random((steps, samples, size)) < RATE).astype(np.uint8))


@pytest.mark.parametrize("steps", [150, 500, 2000, 8000])
def test_a_readout_has_room_for_the_planned_steps(steps: int) -> None:
    """Calibrated on 8 steps, it said 7 for 100 steps, 4 at 150, 1 and 0 at 500."""
    net, rng = classes()
    fixed, report = quantise(net, LAVA, spikes(rng, 8, 50), steps=steps)
    (row,) = report.populations
    assert report.steps == steps
    assert row.safe_steps is not None
    assert steps <= row.safe_steps < 3 * steps  # and no more room than it has to have
    run = ns.run(fixed, spikes(rng, steps))
    assert run.predictions.tolist() == [7, 7]
    assert np.abs(run.output).max() < STATE_MAX
    assert row.weight_snr_db > 35  # the sums are rounded, not the weights


def test_the_report_says_for_how_long_a_readout_is_safe() -> None:
    net, rng = classes()
    fixed, report = quantise(net, LAVA, spikes(rng, 8, 50))
    safe = report.populations[0].safe_steps
    assert safe is not None
    assert safe >= 16
    assert np.abs(ns.run(fixed, spikes(rng, safe)).output).max() < STATE_MAX
    assert np.abs(ns.run(fixed, spikes(rng, 2 * safe)).output).max() == STATE_MAX


def test_shorter_runs_than_the_calibration_need_no_less() -> None:
    net, rng = classes()
    shown = spikes(rng, 40, 5)

    def quantised(steps: int | None) -> ns.Network:
        """Without its metadata, which says how long a run was planned."""
        return replace(quantise(net, LAVA, shown, steps=steps)[0], metadata={})

    for steps in (1, 39, 40):
        assert quantised(steps) == quantised(None)
    assert quantised(120) != quantised(None)


def test_steps_need_a_calibration_and_are_positive() -> None:
    net, rng = classes()
    with pytest.raises(ArgumentError, match="steps: needs a calibration"):
        quantise(net, LAVA, steps=100)
    with pytest.raises(ArgumentError, match="steps: got 0"):
        quantise(net, LAVA, spikes(rng, 2), steps=0)


def test_a_run_that_no_unit_allows_is_refused_by_name() -> None:
    net, rng = classes()
    with pytest.raises(ExportError, match=r"'out': membrane: needs a unit of .* times .* or plan shorter runs"):
        quantise(net, LAVA, spikes(rng, 8), steps=10**7)


def test_a_readout_that_forgets_needs_no_more_for_longer_runs() -> None:
    net, rng = classes()
    shown = spikes(rng, 40, 5)

    def unit(leak: float, steps: int | None) -> float:
        leaky = replace(net, populations=(net["in"], ns.Population("out", (10,), ns.Readout(leak=leak))))
        return quantise(leaky, LAVA, shown, steps=steps)[1].populations[0].unit

    assert unit(0.9, 10**6) == pytest.approx(unit(0.9, None), rel=0.02)  # 1 / (1 - leak) bounds it
    assert unit(0.999, 10**6) > 10 * unit(0.999, None)
    assert unit(0.999, 10**6) < unit(1.0, 2000)


@pytest.mark.parametrize("leak", [0.5, 1.0])
def test_neurons_that_fire_get_no_room_for_longer_runs(leak: float) -> None:
    """Inhibition drives them to the limit, where they stay silent; finer weights are worth more. It is told."""
    rng = np.random.default_rng(0)
    net = ns.Network(
        [ns.Population("in", (50,)), ns.Population("n", (4,), ns.LIF(leak, 1.0))],
        [ns.Projection("in", "n", ns.Dense(-np.abs(rng.normal(0, 0.3, (4, 50)))))],
    )
    shown = spikes(rng, 4, 8, 50)
    plain, planned = (quantise(net, LAVA, shown, steps=steps)[1] for steps in (None, 10**6))
    assert planned.populations == plain.populations
    assert (planned.populations[0].safe_steps is None) == (leak < 1)
    assert len(planned.warnings) == (leak == 1)
    assert all("1,000,000 are planned" in warning for warning in planned.warnings)


@pytest.mark.parametrize("leak", [0.0, 0.5, 0.99, 1.0])
def test_safe_steps_are_the_last_below_the_limit(leak: float) -> None:
    population = ns.Population("n", (1,), ns.LIF(leak, 1.0))
    drive, seen = 20_000.0, 5
    membranes = [0.0]
    for _ in range(2000):
        membranes.append(leak * membranes[-1] + drive)
    found = safe_steps(population, membranes[seen], seen)
    within = [t for t, v in enumerate(membranes) if v <= STATE_MAX]
    if len(within) == len(membranes):
        assert found is None
    else:
        assert found == pytest.approx(within[-1], abs=1)
    assert safe_steps(population, 0, seen) is None


def test_without_calibration_safe_steps_are_proven() -> None:
    """For the worst input there is: its sources spike in every step."""
    net = ns.Network(
        [ns.Population("in", (40,)), ns.Population("out", (2,), ns.Readout(bias=np.array([0.25, -0.5])))],
        [ns.Projection("in", "out", ns.Dense(np.array([[1.0] * 40, [0.5] * 40])))],
    )
    fixed, report = quantise(net, LAVA)
    safe = report.populations[0].safe_steps
    assert safe is not None
    for steps, saturates in ((safe, False), (safe + 2, True)):
        output = ns.run(fixed, ns.Events.from_dense(np.ones((steps, 1, 40)))).output
        assert (np.abs(output).max() == STATE_MAX) == saturates


def test_a_membrane_that_saturates_on_the_calibration_is_told() -> None:
    """Room is for twice the float membrane; the fixed one is larger, because its leak is rounded to 1."""
    net = ns.Network(
        [ns.Population("in", (1,)), ns.Population("n", (1,), ns.LIF(1 - 1 / 10_000, 1.0))],
        [ns.Projection("in", "n", ns.Dense(np.array([[-1.0]])))],
    )
    _, report = quantise(net, LAVA, ns.Events.from_dense(np.ones((50_000, 1, 1), np.uint8)))
    assert report.populations[0].membrane_peak == STATE_MAX
    assert report.warnings[-1] == "population 'n': its membrane saturates on the calibration events"


def test_a_sum_beyond_32_bits_makes_the_unit_coarser() -> None:
    """65,536 x (127 + 32,770) is more than 2^31 in the finest unit."""
    weight = np.full((1, 32_771), 0.008)
    weight[0, 0] = 1.0
    net = ns.Network(
        [ns.Population("in", weight.shape[1:], magnitude=2**16), ns.Population("n", (1,), ns.LIF(0.9, 100.0))],
        [ns.Projection("in", "n", ns.Dense(weight))],
    )
    fixed, report = quantise(net, LAVA)
    assert fixed.projections[0].synapse.weight[0, 0] > 0
    assert report.populations[0].arrival_bound < 2**17
    assert report.populations[0].coarsened_by == "input"


@pytest.mark.parametrize(
    ("name", "neuron"),
    [
        ("threshold", ns.LIF(0.9, 2000.0)),
        ("reset_amount", ns.LIF(0.9, 100.0, reset_amount=2000.0)),
        ("bias", ns.LIF(0.9, 100.0, bias=130.0)),
        ("offset", ns.LIF(0.9, 100.0, gain=np.ones((3, 1)), offset=np.array([[1.0], [-2000.0], [3.0]]))),
    ],
)
def test_a_parameter_beyond_its_range_makes_the_unit_coarser(name: str, neuron: ns.LIF) -> None:
    weight = np.array([[1.0, -0.31357], [0.70711, 0.21131]])
    net = ns.Network(
        [ns.Population("in", (2,)), ns.Population("n", (2,), neuron)], [ns.Projection("in", "n", ns.Dense(weight))]
    )
    fixed, report = quantise(net, LAVA)
    (row,) = report.populations
    assert row.coarsened_by == name
    assert 1.8 < row.unit * 127 < 2.6
    assert fixed["n"].neuron is not None
    (warning,) = report.warnings if row.coarsening >= 2 else ("coarser",)
    assert "coarser" in warning
