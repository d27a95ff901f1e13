"""Quantisation: units, proven head-room, and refusal by name."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import neurosam as ns
from neurosam.arithmetic import STATE_MAX
from neurosam.deploy.error_model import expected_loss, observe
from neurosam.deploy.quantise import quantise
from neurosam.errors import ExportError
from neurosam.network.neuron import FixedLIF, FixedReadout

LAVA = ns.Precision.lava()


def network(scale: float = 1.0, **lif: Any) -> ns.Network:
    """Conv, sum pooling, dense, and a shortcut of another range into the same population."""
    rng = np.random.default_rng(3)
    neuron = ns.LIF(**{"leak": 0.9, "threshold": 1.0, "bias": rng.normal(0, 0.05, 4), **lif})
    return ns.Network(
        [
            ns.Population("in", (2, 8, 6)),
            ns.Population("a", (4, 8, 6), neuron),
            ns.Population("b", (4, 4, 3), ns.LIF(leak=np.array([0.5, 0.9, 1.0, 0.0]), threshold=0.7, reset="zero")),
            ns.Population("out", (5,), ns.Readout(bias=rng.normal(size=5))),
        ],
        [
            ns.Projection("in", "a", ns.Conv2d(rng.normal(0, 0.4, (4, 2, 3, 3)) * scale, padding=1)),
            ns.Projection("a", "b", ns.Conv2d(rng.normal(0, 0.1, (4, 4, 3, 3)), padding=1), pool=ns.SumPool2d(2)),
            ns.Projection("in", "b", ns.Dense(rng.normal(0, 0.6, (48, 96)))),
            ns.Projection("b", "out", ns.Dense(rng.normal(0, 0.3, (5, 48)))),
        ],
    ).with_sam()


def events(samples: int = 20) -> ns.Events:
    return ns.Events.from_dense((np.random.default_rng(4).random((10, samples, 2, 8, 6)) < 0.2).astype(np.uint8))


def test_integers_stand_for_the_floats() -> None:
    net = network()
    fixed, report = quantise(net, LAVA, events())
    for projection, whole in zip(net.projections, fixed.projections, strict=True):
        row = next(r for r in report.populations if r.population == projection.target)
        step = row.unit * 2.0**whole.exponent
        error = projection.synapse.weight - whole.synapse.weight * step
        inside = np.abs(projection.synapse.weight) <= 127 * step
        assert np.abs(error[inside]).max() <= step / 2 + 1e-12
    a, b, out = (fixed[name].neuron for name in ("a", "b", "out"))
    assert isinstance(a, FixedLIF)
    assert isinstance(b, FixedLIF)
    assert isinstance(out, FixedReadout)
    unit = {r.population: r.unit for r in report.populations}
    assert int(a.threshold) * unit["a"] == pytest.approx(1.0, abs=1e-12)  # a common threshold is met exactly
    assert a.membrane_decay == round(4096 * 0.1)
    np.testing.assert_array_equal(b.membrane_decay, [2048, 410, 0, 4096])
    bias = a.bias_mantissa * 2.0**a.bias_exponent * unit["a"] / 64
    original = net["a"].neuron
    assert isinstance(original, ns.LIF)
    np.testing.assert_allclose(bias, original.bias, atol=unit["a"] / 64 * 2.0 ** (a.bias_exponent - 1))
    assert fixed.projections[2].exponent > 0  # the shortcut has the larger weights
    assert all(isinstance(trace, ns.FixedSamTrace) for trace in fixed.sam.values())


def test_fixed_agrees_with_float_on_most_spikes() -> None:
    net, shown = network(), events()
    fixed, report = quantise(net, LAVA, shown)
    assert report.agreement >= 0.9
    record = ns.Record(spikes=("a", "b"))
    float_run, fixed_run = ns.run(net, shown, "reference", record), ns.run(fixed, shown, "reference", record)
    for name in record.spikes:
        x, y = float_run.spikes[name].dense(), fixed_run.spikes[name].dense()
        assert x.mean() > 0.02
        assert (x != y).mean() < 0.1 * x.mean()


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_weights_keep_to_their_bits(bits: int) -> None:
    fixed, _ = quantise(network(), ns.Precision.lava(bits))
    high = 2 ** (bits - 1) - 1
    assert all(np.abs(p.synapse.weight.astype(int)).max() <= high for p in fixed.projections)


def test_head_room_is_proven_for_many_inputs() -> None:
    weight = np.full((1, 4096), 0.3)
    net = ns.Network(
        [ns.Population("in", (4096,)), ns.Population("n", (1,), ns.LIF(leak=0.9, threshold=1.0))],
        [ns.Projection("in", "n", ns.Dense(weight))],
    )
    fixed, report = quantise(net, LAVA)
    assert 127 * 4096 >= 2**17  # at full mantissas the sum could wrap
    assert fixed.accumulator_bound("n") == report.populations[0].arrival_bound < 2**17
    everything = ns.run(fixed, ns.Events.from_dense(np.ones((1, 1, 4096))), "reference", ns.Record(membrane=("n",)))
    assert abs(int(everything.membrane["n"][0, 0, 0])) < STATE_MAX


def test_head_room_counts_what_a_current_builds_up() -> None:
    plain, _ = quantise(network(), LAVA)
    slow, _ = quantise(network(current_leak=0.998), LAVA)
    assert slow.accumulator_bound("a") * 500 < 2**17 <= plain.accumulator_bound("a") * 500


def test_a_current_that_never_decays_is_refused() -> None:
    with pytest.raises(ExportError, match=r"population 'a'.*head-room"):
        quantise(network(current_leak=1.0), LAVA)


def test_a_threshold_that_does_not_fit_is_refused_by_name() -> None:
    with pytest.raises(ExportError, match=r"population 'a': threshold"):
        quantise(network(threshold=1e5), LAVA)


def test_a_large_bias_makes_the_unit_coarser() -> None:
    net = ns.Network(
        [ns.Population("in", (2,)), ns.Population("out", (2,), ns.Readout(bias=np.array([300.0, -1.0])))],
        [ns.Projection("in", "out", ns.Dense(np.array([[0.5, -1.0], [1.0, 0.25]])))],
    )
    fixed, report = quantise(net, LAVA)
    neuron, unit = fixed["out"].neuron, report.populations[0].unit
    assert isinstance(neuron, FixedReadout)
    assert 300 / (1 / 127) > 8190  # at the finest unit the mantissa would not fit
    step = unit / 64 * 2.0**neuron.bias_exponent
    np.testing.assert_allclose(neuron.bias_mantissa * step, [300.0, -1.0], atol=step)


def test_gain_tables_become_integers() -> None:
    rng = np.random.default_rng(5)
    gain, offset = rng.uniform(0.5, 3, (10, 4)), rng.normal(0, 0.3, (10, 4))
    net = network(gain=gain, offset=offset)
    fixed, report = quantise(net, LAVA, events())
    neuron = fixed["a"].neuron
    assert isinstance(neuron, FixedLIF)
    assert neuron.gain is not None
    assert neuron.offset is not None
    np.testing.assert_allclose(neuron.gain / 2.0**neuron.gain_shift, gain, atol=2.0**-neuron.gain_shift)
    np.testing.assert_allclose(
        neuron.offset * report.populations[0].unit / 64, offset, atol=report.populations[0].unit / 64
    )
    assert report.agreement >= 0.9


def test_decay_offsets_belong_to_the_precision() -> None:
    lava, _ = quantise(network(current_leak=0.75), LAVA)
    nxsdk, _ = quantise(network(current_leak=0.75), ns.Precision.nxsdk())
    assert (lava["a"].neuron.current_decay, nxsdk["a"].neuron.current_decay) == (1023, 1024)  # type: ignore[union-attr]


def test_expected_loss_is_the_variance_of_bernoulli_input() -> None:
    rng = np.random.default_rng(6)
    rate = rng.uniform(0, 0.05, 40)
    weight = rng.normal(size=(3, 40))
    projection = ns.Projection("x", "y", ns.Dense(weight))
    fixed = ns.Projection("x", "y", ns.Dense(np.rint(weight / 0.2).astype(np.int8)))
    error = weight - np.rint(weight / 0.2) * 0.2
    spikes = (rng.random((200_000, 40)) < rate).astype(np.float64)
    measured = float(np.mean((spikes @ error.T) ** 2))
    assert expected_loss(projection, fixed, 0.2, rate) == pytest.approx(measured, rel=0.05)


def test_rates_and_peaks_are_those_of_the_run() -> None:
    net, shown = network(), events(7)
    seen = observe(net, shown)
    recording = ns.run(net, shown, "reference", ns.Record(spikes=("a", "b"), membrane=("out",)))
    np.testing.assert_allclose(seen.rates["a"], recording.spikes["a"].dense().mean(axis=(0, 1)))
    np.testing.assert_allclose(seen.rates["in"], shown.dense().mean(axis=(0, 1)))
    assert seen.membrane_peaks["out"] == pytest.approx(float(np.abs(recording.membrane["out"]).max()))


def test_a_fixed_network_is_not_quantised_twice() -> None:
    fixed, _ = quantise(network(), LAVA)
    with pytest.raises(ExportError, match="fixed point already"):
        quantise(fixed, LAVA)
    with pytest.raises(ExportError, match="no samples"):
        quantise(network(), LAVA, events(0))
