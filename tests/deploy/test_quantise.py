"""Quantisation: units, proven head-room, and refusal by name."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import neurosam as ns
from neurosam.arithmetic import STATE_MAX
from neurosam.deploy.dequantise import dequantise
from neurosam.deploy.error_model import Activity, expected_loss, observe
from neurosam.deploy.fixed_neuron import bias_mantissas
from neurosam.deploy.layer_report import layer_report
from neurosam.deploy.quantise import quantise
from neurosam.errors import ExportError
from neurosam.network.fixed_neuron import FixedLIF, FixedReadout
from neurosam.signals.inputs import Inputs

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
        check_alignment=False,  # lags are wanted
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
    with pytest.raises(ExportError, match=r"population 'a': current_leak: got 1, .* would never fade"):
        quantise(network(current_leak=1.0), LAVA)


def test_a_threshold_that_does_not_fit_is_refused_by_name() -> None:
    with pytest.raises(ExportError, match=r"population 'a': threshold"):
        quantise(network(threshold=1e7), LAVA)


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
    assert neuron.offset_64ths is not None
    np.testing.assert_allclose(neuron.gain / 2.0**neuron.gain_shift, gain, atol=2.0**-neuron.gain_shift)
    np.testing.assert_allclose(
        neuron.offset_64ths * report.populations[0].unit / 64, offset, atol=report.populations[0].unit / 64
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
    assert expected_loss(projection, fixed, 0.2, Activity(rate, rate, 200_000)) == pytest.approx(measured, rel=0.05)


def test_rates_and_peaks_are_those_of_the_run() -> None:
    net, shown = network(), events(7)
    seen = observe(net, Inputs.of(net, shown))
    recording = ns.run(net, shown, "reference", ns.Record(spikes=("a", "b"), membrane=("out",)))
    np.testing.assert_allclose(seen.sent["a"].rate, recording.spikes["a"].dense().mean(axis=(0, 1)))
    np.testing.assert_allclose(seen.sent["in"].rate, shown.dense().mean(axis=(0, 1)))
    np.testing.assert_allclose(seen.membrane_peaks["out"], np.abs(recording.membrane["out"]).max(axis=(0, 1)))


def test_a_fixed_network_is_not_quantised_twice() -> None:
    fixed, _ = quantise(network(), LAVA)
    with pytest.raises(ExportError, match="fixed point already"):
        quantise(fixed, LAVA)
    with pytest.raises(ExportError, match="no samples"):
        quantise(network(), LAVA, events(0))


# --- the choice of a unit ---------------------------------------------------------------------------------------------


def one_layer(weight: Any, neuron: ns.LIF | ns.Readout | None = None, *more: Any, magnitude: int = 1) -> ns.Network:
    """In -> out by a matrix, or by several."""
    weights = [np.asarray(w, np.float64) for w in (weight, *more)]
    target = ns.Population("out", (len(weights[0]),), ns.Readout() if neuron is None else neuron)
    return ns.Network(
        [ns.Population("in", (weights[0].shape[1],), magnitude=magnitude), target],
        [ns.Projection("in", "out", ns.Dense(w)) for w in weights],
    )


def spiking(rates: Any, steps: int = 200) -> ns.Events:
    """One sample in which source k spikes in exactly the share ``rates[k]`` of all steps."""
    phase = np.arange(steps)[:, None] / steps
    return ns.Events.from_dense((phase < np.asarray(rates)).astype(np.uint8)[:, None])


@pytest.mark.parametrize("fraction", [1.0, 0.95, 0.9, 0.85, 0.8, 0.7, 0.6, 0.5])
def test_the_unit_is_the_fraction_of_the_largest_weight_that_loses_least(fraction: float) -> None:
    """The largest weight is that of one target in 600; the next ones, `fraction` as large, would be missed if clipped.

    So the unit is that fraction of the largest weight over 127: errors of the small weights grow with the unit.
    """
    rng = np.random.default_rng(0)
    weight = rng.uniform(-0.4, 0.4, (600, 800))
    weight[0, 0], weight[:, 1] = 1.0, fraction
    rates = np.full(800, 0.02)
    rates[1] = 0.9
    fixed, report = quantise(one_layer(weight), LAVA, spiking(rates))
    assert report.populations[0].unit == pytest.approx(fraction / 127, rel=1e-12)
    assert report.populations[0].clipped == pytest.approx(0 if fraction == 1 else 1 / weight.size)
    assert fixed.projections[0].synapse.weight.max() == 127


@pytest.mark.parametrize("threshold", [0.77, 0.2507, 0.5001, np.array([0.77, 3.1]), np.array([3.1, 0.77])])
def test_a_unit_grows_until_the_smallest_threshold_is_whole(threshold: Any) -> None:
    """By less than one part in theta / q: from 1 / 127, where the largest weight fits, or 2^-k of it for 64 units."""
    weight = np.random.default_rng(0).uniform(-0.999, 0.999, (2, 300))
    weight[:, :2] = 1.0
    fixed, report = quantise(one_layer(weight, ns.LIF(0.5, threshold)), LAVA, spiking([0.9] * 2 + [0.02] * 298))
    least = float(np.min(threshold))
    k = max(0, int(np.ceil(np.log2(64 / (least * 127)))))
    assert fixed.projections[0].exponent == k
    assert report.populations[0].unit == pytest.approx(least / np.floor(least * 127 * 2**k), rel=1e-12)
    neuron = fixed["out"].neuron
    assert isinstance(neuron, FixedLIF)
    np.testing.assert_array_equal(neuron.threshold, np.rint(threshold / report.populations[0].unit))


def test_a_projection_without_weight_does_not_count() -> None:
    weight = np.array([[1.0, -0.5]])
    expected, alone = quantise(one_layer(weight), LAVA)
    for weights in ((weight, 0 * weight), (0 * weight, weight)):
        fixed, report = quantise(one_layer(weights[0], None, weights[1]), LAVA)
        assert report.populations[0].unit == alone.populations[0].unit
        assert [p.exponent for p in fixed.projections] == [0, 0]
        total = sum(p.synapse.weight.astype(int) for p in fixed.projections)
        np.testing.assert_array_equal(total, expected.projections[0].synapse.weight)
    nothing, _ = quantise(one_layer(0 * weight), LAVA)
    assert not nothing.projections[0].synapse.weight.any()


def test_traces_are_quantised_with_their_own_decay_and_mode() -> None:
    net = network().with_sam(ns.SamTrace(0.25, "official"), ["b"])
    fixed, _ = quantise(net, LAVA)
    assert list(fixed.sam) == ["a", "b"]
    for name, trace in net.sam.items():
        wanted = trace.quantise(channels=4)  # type: ignore[union-attr]  # of a float network
        found = fixed.sam[name]
        assert isinstance(found, ns.FixedSamTrace)
        assert (found.mode, found.shift, found.impulse) == (wanted.mode, wanted.shift, wanted.impulse)
        np.testing.assert_array_equal(found.table, wanted.table)


@pytest.mark.parametrize("step", [0.5**9, 0.5**30, 2.0**14])
@pytest.mark.parametrize("noise", [0.0, 1e-4])
def test_weights_on_the_grid_keep_the_largest_unit_and_every_value(step: float, noise: float) -> None:
    """On it to rounding, that is: to a part of its own step, however small this is."""
    mantissas = np.random.default_rng(1).integers(-127, 128, (4, 30))
    mantissas[0, 0] = 127
    weight = (mantissas + noise * (np.arange(30) % 2)) * step
    neuron = ns.LIF(leak=0.5, threshold=394.24 * step)
    fixed, report = quantise(one_layer(weight, neuron), LAVA)
    np.testing.assert_array_equal(fixed.projections[0].synapse.weight, mantissas)
    assert report.populations[0].unit == step
    if noise:
        assert 80 < report.populations[0].weight_snr_db < 140
    else:
        assert report.populations[0].weight_snr_db == float("inf")
    assert (report.populations[0].weight_low, report.populations[0].weight_high) == (mantissas.min(), 127)


@pytest.mark.parametrize("step", [0.5**9, 0.5**30, 2.0**14])
@pytest.mark.parametrize("off", [0.02, 0.1])
def test_weights_beside_the_grid_give_it_up_for_an_exact_threshold(off: float, step: float) -> None:
    """A fiftieth of a step is no rounding of float64: the unit then is the one that loses least."""
    mantissas = np.random.default_rng(1).integers(-120, 121, (4, 30)).astype(np.float64)
    mantissas[0, 0] = 127
    mantissas[1:] += off
    fixed, report = quantise(one_layer(mantissas * step, ns.LIF(leak=0.5, threshold=394.24 * step)), LAVA)
    neuron, unit = fixed["out"].neuron, report.populations[0].unit
    assert isinstance(neuron, FixedLIF)
    assert int(neuron.threshold) * unit / step == pytest.approx(394.24, rel=1e-12)
    assert unit != step


@pytest.mark.parametrize(
    ("over", "quarters"), [(0.99, 0), (1.1, 1), (1.3, 2), (1.5, 3), (1.9, 4), (130.0, 29), (200.0, 31)]
)
def test_a_coarser_unit_is_the_next_quarter_of_an_octave_that_fits(over: float, quarters: int) -> None:
    """A bias of more than 8190 units does not fit; units grow by 2^(1/4), as long as a weight is left."""
    weight = np.array([[1.0, -0.31357], [0.70711, 0.21131]])
    _, report = quantise(one_layer(weight, ns.Readout(bias=np.array([over * 8190 / 127, 0.0]))), LAVA)
    if quarters:
        assert report.populations[0].unit == pytest.approx(2 ** (quarters / 4) / 127, rel=1e-12)
    else:
        assert report.populations[0].unit <= 1 / 127
    with pytest.raises(ExportError, match=r"'out': bias: needs a unit of 2.02, 257 times .* all become 0"):
        quantise(one_layer(weight, ns.Readout(bias=257 * 8190 / 127)), LAVA)


def test_a_coarser_unit_is_not_taken_where_a_fraction_fits() -> None:
    """Though the only weight that is used would lie on the grid of a coarser one, and beside those of all fractions."""
    weight = 0.4401
    fixed, report = quantise(one_layer(np.array([[1.0, weight]])), LAVA, spiking([0.0, 0.5]))
    (row,) = report.populations
    assert row.unit <= 1 / 127
    mantissa = int(fixed.projections[0].synapse.weight[0, 1])
    error = {
        place: abs(np.rint(weight / unit) * unit - weight) * 127
        for place, unit in enumerate([2 ** (k / 4) / 127 for k in range(33)])
    }
    assert min(error.values()) < 0.01 < 0.05 < abs(mantissa * row.unit - weight) * 127


@pytest.mark.parametrize("ratio", [1.5, 100.0, 128.0, 1000.0, 1e6])
def test_projections_of_any_range_meet_in_one_population(ratio: float) -> None:
    """Exponents span 2^7; beyond, the smaller weights lose bits, and the largest do not clip."""
    rng = np.random.default_rng(2)
    small, large = rng.uniform(-1, 1, (5, 9)), rng.uniform(-1, 1, (5, 9)) * ratio
    small[0, 0], large[0, 0] = 1.0, -ratio
    fixed, report = quantise(one_layer(small, None, large), LAVA)
    unit = report.populations[0].unit
    for projection, weight in zip(fixed.projections, (small, large), strict=True):
        step = unit * 2.0**projection.exponent
        error = np.abs(projection.synapse.weight * step - weight)
        # a half of the largest weight is the most that clips; rounding is half a step
        assert error.max() <= max(step / 2, np.abs(weight).max() / 2) * (1 + 1e-9)
        assert error[np.abs(weight) <= 127 * step].max() <= step / 2 * (1 + 1e-9)
    assert fixed.projections[0].exponent == 0
    assert fixed.projections[1].exponent == min(7, int(np.log2(ratio)))  # the larger weights take all mantissas
    assert (
        0.49
        < np.abs(fixed.projections[1].synapse.weight).max() * unit * 2.0 ** fixed.projections[1].exponent / ratio
        <= 1.01
    )


@pytest.mark.parametrize("spikes", [60, 600])
def test_membranes_have_room_for_twice_the_largest_calibrated_value(spikes: int) -> None:
    """Integrated without a leak, 8 weights of 1 reach 8 x spikes: in units of 1 / 127, or in coarser ones."""
    shown = ns.Events.from_dense(np.ones((spikes, 1, 8)))
    weight = np.ones((2, 8))
    weight[1] = -0.31357
    _, report = quantise(one_layer(weight), LAVA, shown)
    (row,) = report.populations
    assert row.membrane_peak == pytest.approx(8 * spikes / row.unit * 64, rel=0.05)  # eight rounded weights
    assert row.membrane_peak <= 2**22 < 2**23 / 1.99
    assert (row.unit <= 1 / 127) == (8 * spikes * 127 <= 2**16)


def test_a_membrane_of_exactly_half_the_range_has_room() -> None:
    """1024 spikes through a weight of 64 on its grid: 2^16 units, 2^22 in membrane units."""
    _, report = quantise(one_layer(np.array([[127.0, 64.0]])), LAVA, spiking([0.0, 1.0], steps=1024))
    assert (report.populations[0].unit, report.populations[0].membrane_peak) == (1.0, 2**22)


# --- head-room --------------------------------------------------------------------------------------------------------


def currents_of_the_worst_input(fixed: ns.Network, steps: int) -> list[int]:
    """Largest and smallest current of `out` under the input that is worst for it, and under its opposite."""
    reached = []
    for sign in (1, -1):
        x = sign * np.sign(fixed.projections[0].synapse.weight[0])
        events = ns.Events.from_dense(np.broadcast_to(x, (steps, 1, x.size)))
        recording = ns.run(fixed, events, "reference", ns.Record(current=("out",)))
        reached += [int(recording.current["out"].max()), int(recording.current["out"].min())]
    return reached


def test_an_input_right_at_the_wrap_makes_the_unit_coarser() -> None:
    """-1127 units arrive, and a table's offset takes away the rest up to 2^17, to half a membrane unit: -2^23 wraps."""
    unit = 0.5**10
    weight = np.full((1, 8), -125 * unit)
    weight = np.append(weight, [[127 * unit]], axis=1)
    offset = -(2**17 - 1127 - 0.25 / 64) * unit
    neuron = ns.LIF(0.9, 1.0, current_leak=0.0, gain=np.array([[1.0]]), offset=np.array([[offset]]))
    fixed, report = quantise(one_layer(weight, neuron), LAVA)
    assert report.populations[0].unit > unit
    largest = max(currents_of_the_worst_input(fixed, 3))
    assert largest <= 0  # nothing but inhibition: a positive current can only have wrapped


@pytest.mark.parametrize("offsets", [(0.0, 900.0), (900.0, 0.0), (-900.0, 1.0)])
def test_head_room_counts_the_largest_offset_of_all_steps(offsets: tuple[float, float]) -> None:
    tables = {"gain": np.ones((2, 1)), "offset": np.array([[x] for x in offsets])}
    weight = np.random.default_rng(3).uniform(-1, 1, (6, 400))
    _, report = quantise(one_layer(weight, ns.LIF(0.9, 500.0, **tables)), LAVA)  # type: ignore[arg-type]
    (row,) = report.populations
    assert row.arrival_bound + 900 / row.unit < 2**17


def test_head_room_counts_the_slowest_current() -> None:
    leak = np.array([0.0, 0.998])
    fixed, _ = quantise(one_layer(np.ones((2, 9)), ns.LIF(0.9, 50.0, current_leak=leak)), LAVA)
    assert fixed.accumulator_bound("out") * 500 < 2**17


def test_a_sum_of_2_to_the_17_is_one_too_many() -> None:
    """1032 weights of 127 and one of 8: -2^17 would wrap. With 7 in its place the grid is kept."""
    for last, kept in ((7.0, True), (8.0, False)):
        weight = np.append(np.full((1, 1032), 127.0), [[last]], axis=1)
        _, report = quantise(one_layer(weight, ns.LIF(0.9, 127.0)), LAVA)
        assert (report.populations[0].unit == 1.0) is kept


@pytest.mark.parametrize("gain", [0.25, 1.0, 60.0, -60.0])
def test_head_room_counts_gains_and_offsets(gain: float) -> None:
    """The largest |i| that tables can make of the largest sum, below 2^17 units; a gain below 1 makes no room."""
    weight = np.random.default_rng(3).uniform(-1, 1, (6, 400))
    neuron = ns.LIF(0.9, 5.0, gain=np.array([[gain], [0.1]]), offset=np.array([[-3.0], [2.0]]))
    fixed, report = quantise(one_layer(weight, neuron), LAVA)
    (row,) = report.populations
    assert fixed.accumulator_bound("out") >> -fixed.projections[0].exponent == pytest.approx(row.arrival_bound, abs=1)
    reach = max(row.arrival_bound, row.arrival_bound * abs(gain) + 3.0 / row.unit)
    assert reach < 2**17
    assert row.unit < 1.01 / 127 or 2 * reach > 2**17  # and no coarser than it has to be


def test_head_room_holds_for_the_gain_that_is_stored() -> None:
    """A gain is rounded to 2^-14 here, by up to 2.7 units of 89 535: a sum that is proven to fit then wraps."""
    inputs = 705
    largest = 127 * inputs  # all mantissas are 127
    stored = int(np.ceil(2**17 * 2**14 / largest))
    gain = (stored - 0.49) / 2**14
    assert largest * gain + 1 < 2**17 < largest * stored / 2**14  # as the numbers are chosen
    neuron = ns.LIF(0.9, 1.0, current_leak=0.0, gain=np.array([[gain]]), offset=np.array([[0.0]]))
    fixed, _ = quantise(one_layer(np.full((1, inputs), 1.0), neuron), LAVA)
    assert currents_of_the_worst_input(fixed, 2)[0] > 0  # all weights are excitatory, and every source spikes


@pytest.mark.parametrize("sign", [1, -1])
def test_the_reported_range_is_that_of_the_mantissas(sign: int) -> None:
    fixed, report = quantise(one_layer(sign * np.array([[0.5, 1.0, 0.75]]), ns.LIF(0.9, 1.0)), LAVA)
    weight, (row,) = fixed.projections[0].synapse.weight, report.populations
    assert (row.weight_low, row.weight_high) == (weight.min(), weight.max())
    assert row.weight_low * row.weight_high > 0


def test_a_current_that_would_never_fade_is_refused() -> None:
    """0.9999 is 1 in twelve bits."""
    with pytest.raises(ExportError, match=r"population 'out': current_leak: got 0.9999, which is 1 in twelve bits"):
        quantise(one_layer(np.full((1, 6), 1.0), ns.LIF(0.9, 1.0, current_leak=0.9999)), LAVA)


@pytest.mark.parametrize("leak", [0.9997, 0.99987])
def test_head_room_holds_for_the_leak_that_is_stored(leak: float) -> None:
    """Both become 4095 / 4096, 0.9997 a fifth nearer to 1."""
    weight = np.full((1, 6), 1.0)
    fixed, report = quantise(one_layer(weight, ns.LIF(0.9, 1.0, current_leak=leak)), LAVA)
    neuron, (row,) = fixed["out"].neuron, report.populations
    assert isinstance(neuron, FixedLIF)
    assert neuron.current_decay is not None
    stored = (4096 - int(np.max(neuron.current_decay)) - LAVA.current_decay_offset) / 4096
    assert stored < 1
    assert row.arrival_bound / (1 - stored) <= 2**17


# --- integers of parameters -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("largest", [1e-5, 1e-4, 2.0**-16, 0.3, 0.6, 1.0, 1.99, 32767 / 2**14, 77.0, 20_000.0])
def test_gains_keep_15_bits_or_the_largest_shift(largest: float) -> None:
    gain = np.array([[largest], [-largest / 3]])
    neuron = ns.LIF(0.9, 1.0, gain=gain, offset=np.zeros((2, 1)))
    fixed, _ = quantise(one_layer(np.full((1, 3), 0.1), neuron), LAVA)
    stored = fixed["out"].neuron
    assert isinstance(stored, FixedLIF)
    assert stored.gain is not None
    assert stored.gain_shift == 30 or 2**14 <= int(np.abs(stored.gain).max()) < 2**15
    np.testing.assert_allclose(stored.gain / 2.0**stored.gain_shift, gain, atol=2.0**-stored.gain_shift / 2)
    assert np.abs(stored.gain).max() < 2**15 <= max(np.abs(stored.gain).max() * 2, 2 ** (stored.gain_shift - 15))


@pytest.mark.parametrize(
    ("bias", "mantissa", "exponent"),
    [
        (0.0, 0, 0), (4095 / 64, 4095, 0), (4096 / 64, 2048, 1), (-4095 / 64, -4095, 0), (8191 / 64, 2048, 2),
        (8180.0, 4090, 7), (8190.0, 4095, 7), (-8190.0, -4095, 7),
    ],
)  # fmt: skip
def test_a_bias_has_the_finest_exponent_that_holds_it(bias: float, mantissa: int, exponent: int) -> None:
    """In units of 1/64, at a unit of 1 that a weight of 127 on its grid fixes."""
    fixed, report = quantise(one_layer(np.array([[127.0, 1.0]]), ns.Readout(bias=bias)), LAVA)
    assert report.populations[0].unit == 1.0
    neuron = fixed["out"].neuron
    assert isinstance(neuron, FixedReadout)
    assert (int(neuron.bias_mantissa), neuron.bias_exponent) == (mantissa, exponent)


def test_a_gain_beyond_16_bits_is_refused_and_none_is_none() -> None:
    tables = {"gain": np.array([[33_000.0]]), "offset": np.zeros((1, 1))}
    with pytest.raises(ExportError, match=r"population 'out': gain: becomes 33000..33000; allowed is -32768..32767"):
        quantise(one_layer(np.zeros((1, 3)), ns.LIF(0.9, 1.0, **tables)), LAVA)  # type: ignore[arg-type]
    plain = quantise(one_layer(np.ones((1, 3)), ns.LIF(0.9, 1.0)), LAVA)[0]["out"].neuron
    assert isinstance(plain, FixedLIF)
    assert (plain.gain, plain.offset_64ths, plain.gain_shift) == (None, None, 0)


def test_the_ends_of_ranges_are_allowed() -> None:
    """At a unit of 1: the largest threshold, and an amount of one 64th; half of that is nothing to subtract."""
    weight = np.array([[127.0, 1.0], [1.0, 2.0]])
    neuron = ns.LIF(0.9, np.array([131071.0, 1.0]), "subtract", np.array([1 / 64, 2.0]))
    stored = quantise(one_layer(weight, neuron), LAVA)[0]["out"].neuron
    assert isinstance(stored, FixedLIF)
    assert np.asarray(stored.threshold).tolist() == [131071, 1]
    assert np.asarray(stored.reset_amount_64ths).tolist() == [1, 128]
    for amounts in ([1 / 200, 2.0], [2.0, 1 / 200]):
        with pytest.raises(ExportError, match=r"population 'out': reset_amount: becomes 0..128; allowed is 1..8388607"):
            quantise(one_layer(weight, ns.LIF(0.9, 64.0, "subtract", np.array(amounts))), LAVA)


def test_a_bias_beyond_the_largest_exponent_is_told() -> None:
    """No unit that fits leads there; the last guard before the integers all the same."""
    assert bias_mantissas("here", np.array([1.0, -8190.0]), 1.0)[1] == 7
    with pytest.raises(ExportError, match=r"here: bias: 8200 is more than 524160 units of 0.015625; rescale the layer"):
        bias_mantissas("here", np.array([1.0, -8200.0]), 1.0)


def test_amounts_decays_and_thresholds_are_rounded_in_their_own_units() -> None:
    """At a unit of 1: thresholds in units, amounts in 64ths, decays in 4096ths less their precision's offset."""
    neuron = ns.LIF(
        np.array([0.75, 0.1]), np.array([300.0, 2040.4]), "subtract", np.array([2.5, 10.01]),
        current_leak=np.array([0.5, 0.0]),
    )  # fmt: skip
    fixed, report = quantise(one_layer(np.array([[127.0, 1.0], [-3.0, 7.0]]), neuron), ns.Precision.lava())
    stored = fixed["out"].neuron
    assert isinstance(stored, FixedLIF)
    assert np.asarray(stored.threshold).tolist() == [300, 2040]
    assert np.asarray(stored.reset_amount_64ths).tolist() == [160, 641]
    assert np.asarray(stored.membrane_decay).tolist() == [1024, 4096 - 410]
    assert np.asarray(stored.current_decay).tolist() == [2047, 4095]
    assert (report.populations[0].threshold, report.populations[0].arrival_bound) == (2040, 128)


def test_the_range_in_a_report_is_that_of_all_projections() -> None:
    small, large = np.array([[1.0, -3.0, 2.0]]), np.array([[60.0, -20.0, 5.0]])
    for order in ((small, large), (large, small)):
        fixed, report = quantise(one_layer(order[0], None, order[1]), LAVA)
        lows, highs = zip(*((p.synapse.weight.min(), p.synapse.weight.max()) for p in fixed.projections), strict=True)
        assert lows[0] != lows[1]
        assert highs[0] != highs[1]
        assert (report.populations[0].weight_low, report.populations[0].weight_high) == (min(lows), max(highs))


def test_the_losses_in_a_report_are_those_of_the_weights() -> None:
    """10 log10 of power over error, and the share that clips; a single weight has no error; a readout no threshold."""
    rng = np.random.default_rng(0)
    weight = rng.uniform(-0.4, 0.4, (600, 800))
    weight[0, 0], weight[:, 1] = 1.0, 0.5
    rates = np.full(800, 0.02)
    rates[1] = 0.9
    fixed, report = quantise(one_layer(weight), LAVA, spiking(rates))
    (row,) = report.populations
    error = weight - fixed.projections[0].synapse.weight * row.unit
    assert row.weight_snr_db == pytest.approx(10 * np.log10((weight**2).sum() / (error**2).sum()), rel=1e-12)
    assert row.clipped == 1 / weight.size
    assert row.largest_clip == pytest.approx(0.5)
    assert row.threshold == 0
    lone = quantise(one_layer(np.array([[1.0]])), LAVA)[1].populations[0]
    assert (lone.clipped, lone.weight_snr_db) == (0.0, float("inf"))


def test_one_parameter_that_does_not_fit_is_enough() -> None:
    for low, high in ((1.0, 1e6), (1e6, 1.0)):
        with pytest.raises(ExportError, match=r"population 'out': threshold: needs a unit of 7.63, 969 times"):
            quantise(one_layer(np.ones((2, 2)), ns.LIF(0.9, np.array([low, high]))), LAVA)


def test_each_sample_of_the_calibration_counts_up_to_64() -> None:
    """Sample 63 is the only busy one of the first 64, sample 64 is busier still and left out."""
    x = np.zeros((20, 70, 2), np.uint8)
    x[:5, 63], x[:, 64] = 1, 1
    net = one_layer(np.array([[1.0, 1.0], [0.5, 0.0]]))
    _, report = quantise(net, LAVA, ns.Events.from_dense(x))
    (row,) = report.populations
    assert row.membrane_peak == round(10 / row.unit) * 64
    assert report.agreement == 1.0


def test_the_report_is_numbers_that_json_takes() -> None:
    _, report = quantise(network(), LAVA)
    assert np.isnan(report.agreement)
    assert [row["population"] for row in report.to_dict()["populations"]] == ["a", "b", "out"]
    assert report.to_dict()["precision"] == "lava"
    for row in report.populations:
        assert row.weight_low >= -127
        assert row.weight_high <= 127
        assert row.membrane_peak == 0
        assert 20 < row.weight_snr_db < 60


# --- pools in front of neurons ---


def pooled(rng: np.random.Generator, scale: npt.ArrayLike = 1.0) -> ns.Network:
    """Weights of up to 127 64ths, by channel times `scale`, thresholds likewise: nothing is lost in integers."""

    def weight(*shape: int) -> npt.NDArray[np.float64]:
        whole = rng.integers(-60, 61, shape)
        whole.reshape(len(whole), -1)[:, 0] = 127
        return whole / 64

    factor = np.broadcast_to(np.asarray(scale, np.float64), (3,))
    first = ns.Conv2d(weight(3, 2, 3, 3) * factor[:, None, None, None], padding=1)
    return ns.Network(
        [
            ns.Population("in", (2, 8, 6)),
            ns.Population("a", (3, 4, 3), ns.LIF(1.0, factor * 1.5), pool=ns.MaxPool2d(2)),
            ns.Population("b", (4, 2, 2), ns.LIF(1.0, 2.0, "zero"), pool=ns.MaxPool2d(3, 2, 1)),
            ns.Population("out", (5,), ns.Readout()),
        ],
        [
            ns.Projection("in", "a", first),
            ns.Projection("a", "b", ns.Conv2d(weight(4, 3, 2, 2), padding=(0, 1))),
            ns.Projection("in", "b", ns.Dense(weight(48, 96)), delay=2),
            ns.Projection("b", "out", ns.Dense(weight(5, 16))),
        ],
    )


@pytest.mark.parametrize(("scale", "factors"), [("population", 1.0), ("channel", [1.0, 4.0, 2.0**-7])])
def test_the_largest_sum_is_the_largest_in_any_unit(scale: str, factors: Any) -> None:
    """A unit is positive, and a pool stays within a channel: the quantised network spikes as the float one does."""
    net, shown = pooled(np.random.default_rng(8), factors), events()
    fixed, report = quantise(net, LAVA, shown, scale=scale)
    record = ns.Record(spikes=("a", "b"))
    floats, integers = (ns.run(n, shown, record=record) for n in (net, fixed))
    for name in record.spikes:
        assert fixed[name].pool == net[name].pool
        assert floats.spikes[name].count() > 100
        np.testing.assert_array_equal(integers.spikes[name].dense(), floats.spikes[name].dense())
    rounded = dequantise(net, fixed, {row.population: row.unit for row in report.populations})
    assert [p.pool for p in rounded.populations] == [p.pool for p in net.populations]
    layers = {layer.population: layer for layer in layer_report(net, fixed, report, shown).layers}
    assert layers["a"].deployed.input_snr_db > 100
    assert layers["b"].deployed.differing == 0
