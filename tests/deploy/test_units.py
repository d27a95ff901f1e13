"""Units, and the exponents that go with them: per population, per channel, per projection; rounding and bits."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import neurosam as ns
from neurosam.deploy.dequantise import dequantise
from neurosam.deploy.layer_report import layer_report
from neurosam.deploy.quantise import quantise
from neurosam.deploy.units import MEASURED, base_units, fitting_exponents, grid_units
from neurosam.errors import ArgumentError, ExportError
from support.agreement import assert_identical

LAVA = ns.Precision.lava()


def two_scales(scale: float) -> tuple[ns.Network, ns.Events]:
    """Two projections into one population, whose weights differ by `scale`."""
    rng = np.random.default_rng(1)
    large, small = rng.normal(0, 0.5, (20, 40)), rng.normal(0, 0.5, (20, 40)) * scale
    net = ns.Network(
        [
            ns.Population("x", (40,)),
            ns.Population("y", (40,), ns.LIF(0.0, 0.5, reset="zero")),
            ns.Population("n", (20,), ns.LIF(0.9, 1.0)),
        ],
        [
            ns.Projection("x", "y", ns.Dense(np.eye(40))),
            ns.Projection("y", "n", ns.Dense(large)),
            ns.Projection("x", "n", ns.Dense(small), delay=2),
        ],
    )
    return net, ns.Events.from_dense((rng.random((60, 16, 40)) < 0.2).astype(np.uint8))


def spikes_that_differ(net: ns.Network, fixed: ns.Network, events: ns.Events, name: str = "n") -> int:
    record = ns.Record(spikes=(name,))
    a, b = (ns.run(n, events, record=record).spikes[name].dense() for n in (net, fixed))
    return int((a != b).sum())


@pytest.mark.parametrize(("scale", "most"), [(1, 110), (0.1, 110), (0.03, 90), (0.01, 80), (0.003, 60), (0.001, 50)])
def test_exponents_are_chosen_in_the_unit_that_head_room_allows(scale: float, most: int) -> None:
    """At 0.01, 287 of 3,193 spikes differed: exponents were those of a finer unit, so that mantissas used 6 bits."""
    net, events = two_scales(scale)
    fixed, report = quantise(net, LAVA, events)
    assert spikes_that_differ(net, fixed, events) <= most
    assert np.abs(fixed.projections[1].synapse.weight).max() >= 119
    assert report.warnings == ()


def test_base_units_let_each_projection_take_all_mantissas() -> None:
    assert base_units([1.0]) == [1.0]
    assert base_units([0.0, 0.0]) == [1.0]
    assert base_units([0.0, 3.0]) == [3.0]
    assert base_units([1.0, 1.5]) == [1.0, 1.5]
    assert base_units([5.0, 1.0, 4.0]) == [1.0, 1.25]
    assert base_units([1.0, 1024.0]) == [8.0]  # exponents end at 7
    units = [np.asarray(x) for x in (1.0, 1.0001, 2.0, 3.0, 1e9, 1e-9, 0.0)]
    assert fitting_exponents(units, 1.0) == [0, 1, 1, 2, 7, -8, 0]


# --- whole numbers ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("step", [1.0, 0.25, 0.1])
def test_a_network_on_a_grid_changes_no_spike(seed: int, step: float) -> None:
    """Small whole numbers were scaled to 127 and rounded: -3..3 became -127, -85, -42, 0, 42, ... and 3 is not 3 x 42.

    The thresholds lie between the sums that can occur, so that float64 rounding decides nothing.
    """
    rng = np.random.default_rng(seed)
    high = int(rng.integers(2, 20))
    net = ns.Network(
        [
            ns.Population("in", (30,), magnitude=3),
            ns.Population("n", (12,), ns.LIF(1.0, 4.625 * step, bias=np.arange(12) / 4 * step, reset_amount=3 * step)),
            ns.Population("m", (9,), ns.LIF(0.0, 2.5 * step, reset="zero")),
            ns.Population("out", (5,), ns.Readout()),
        ],
        [
            ns.Projection("in", "n", ns.Dense(rng.integers(-high, high + 1, (12, 30)) * step)),
            ns.Projection("n", "m", ns.Dense(rng.integers(-3, 4, (9, 12)) * step)),
            ns.Projection("in", "m", ns.Dense(rng.integers(-5, 6, (9, 30)) * 8 * step), delay=2),
            ns.Projection("m", "out", ns.Dense(rng.integers(-2, 3, (5, 9)) * step)),
        ],
    )
    events = ns.Events.from_dense(rng.integers(-3, 4, (50, 8, 30)) * (rng.random((50, 8, 30)) < 0.2))
    fixed, report = quantise(net, LAVA, events)
    assert [spikes_that_differ(net, fixed, events, name) for name in ("n", "m")] == [0, 0]
    assert all(row.weight_snr_db > 200 for row in report.populations)
    output = ns.run(fixed, events).output * report.populations[-1].unit / 64
    np.testing.assert_allclose(output, ns.run(net, events).output, atol=1e-9)


@pytest.mark.parametrize("fires", ["above", "at"])
@pytest.mark.parametrize("reset", ["zero", "subtract"])
def test_ties_on_a_grid_are_decided_alike(fires: str, reset: str) -> None:
    """Whole numbers meet whole thresholds all the time."""
    rng = np.random.default_rng(8)
    bias = rng.integers(-1, 2, 20).astype(float)
    neuron = ns.LIF(1.0, np.array([2.0, 3.0, 5.0, 4.0] * 5), reset, fires=fires, bias=bias)
    net = ns.Network(
        [ns.Population("in", (16,)), ns.Population("n", (20,), neuron)],
        [ns.Projection("in", "n", ns.Dense(rng.integers(-3, 5, (20, 16)).astype(float)))],
    )
    events = ns.Events.from_dense((rng.random((60, 8, 16)) < 0.2).astype(np.uint8))
    record = ns.Record(spikes=("n",), membrane=("n",))
    fixed, report = quantise(net, LAVA, events)
    a, b = (ns.run(n, events, record=record) for n in (net, fixed))
    np.testing.assert_array_equal(a.spikes["n"].dense(), b.spikes["n"].dense())
    np.testing.assert_array_equal(a.membrane["n"], b.membrane["n"] * report.populations[0].unit / 64)
    opposite = replace(neuron, fires="at" if fires == "above" else "above")
    other, _ = quantise(replace(net, populations=(net["in"], ns.Population("n", (20,), opposite))), LAVA, events)
    assert spikes_that_differ(net, other, events) > 100  # so many ties there are


def test_of_all_grids_the_one_that_suits_the_threshold_comes_first() -> None:
    projection = ns.Projection("in", "n", ns.Dense(np.array([[3.0, -2.0, 1.0]])))
    units = grid_units([projection], [127], ns.LIF(1.0, 2.5))
    assert sorted(np.rint(1 / np.array(units))) == list(range(1, 43))  # the grid's step is 1: 42 x 3 = 126
    assert 2.5 / units[0] == pytest.approx(105.0, abs=1e-9)
    assert units[0] == pytest.approx(1 / 42)
    assert grid_units([projection], [127], ns.LIF(1.0, 0.7))[0] == pytest.approx(1 / 40)
    assert grid_units([ns.Projection("in", "n", ns.Dense(np.array([[1.0, np.pi / 4]])))], [127], ns.Readout()) == []


def test_a_threshold_has_64_units_where_bits_are_few() -> None:
    """At 2 bits it was 1 or 2 units, and a unit that met it exactly changed the weights by a third."""
    rng = np.random.default_rng(0)
    net = ns.Network(
        [ns.Population("in", (30,)), ns.Population("n", (9,), ns.LIF(0.9, np.linspace(1.0, 1.9, 9)))],
        [ns.Projection("in", "n", ns.Dense(rng.normal(0, 0.3, (9, 30))))],
    )
    for bits in (2, 3, 4):
        fixed, report = quantise(net, ns.Precision.lava(bits))
        neuron: Any = fixed["n"].neuron
        assert neuron.threshold.min() >= 64
        np.testing.assert_allclose(neuron.threshold * report.populations[0].unit, np.linspace(1.0, 1.9, 9), rtol=0.01)
        assert np.abs(fixed.projections[0].synapse.weight).max() == 2 ** (bits - 1) - 1


# --- a unit per channel -----------------------------------------------------------------------------------------------


def uneven(channels: int = 6, seed: int = 0) -> ns.Network:
    """Channels whose weights and thresholds differ by up to a thousand; convolutions, dense and sparse projections."""
    rng = np.random.default_rng(seed)
    size = np.geomspace(1, 1000, channels)
    by_channel, by_neuron = size[:, None, None, None], np.repeat(size, 4)
    deep = rng.normal(0, 0.4, (channels, channels, 3, 3))
    sparse = rng.normal(0, 0.3, (4 * channels, 32)) * by_neuron[:, None] * (rng.random((4 * channels, 32)) < 0.3)
    return ns.Network(
        [
            ns.Population("in", (2, 4, 4)),
            ns.Population("a", (channels, 4, 4), ns.LIF(0.9, size, bias=size / 10, reset_amount=size * 1.1)),
            ns.Population("b", (channels, 2, 2), ns.LIF(0.5, size, reset="zero", current_leak=0.5)),
            ns.Population("out", (3,), ns.Readout(bias=np.array([0.1, 0.0, -0.1]))),
        ],
        [
            ns.Projection("in", "a", ns.Conv2d(rng.normal(0, 0.4, (channels, 2, 3, 3)) * by_channel, padding=1)),
            ns.Projection("a", "b", ns.Conv2d(deep * by_channel, padding=1), pool=ns.SumPool2d(2)),
            ns.Projection("in", "b", ns.Sparse.from_dense(sparse, (channels, 2, 2))),
            ns.Projection("b", "out", ns.Dense(rng.normal(0, 0.3, (3, 4 * channels)))),
        ],
        check_alignment=False,  # lags are wanted
    ).with_sam()  # fmt: skip


def shown(seed: int = 5) -> ns.Events:
    return ns.Events.from_dense((np.random.default_rng(seed).random((12, 10, 2, 4, 4)) < 0.25).astype(np.uint8))


def test_a_unit_per_channel_keeps_the_weights_of_each() -> None:
    net, events = uneven(), shown()
    common, plain = quantise(net, LAVA, events)
    fixed, report = quantise(net, LAVA, events, scale="channel")
    assert plain.populations[0].dead_channels >= 1
    assert any("all weights of" in warning for warning in plain.warnings)
    assert report.warnings == ()
    neuron: Any = fixed["a"].neuron
    row = report.populations[0]
    assert row.unit == max(row.channel_units)
    size = np.geomspace(1, 1000, 6)
    np.testing.assert_allclose(neuron.threshold * row.channel_units, size, rtol=1e-9)
    np.testing.assert_allclose(neuron.reset_amount_64ths * np.array(row.channel_units) / 64, size * 1.1, rtol=1e-3)
    fine = np.array(row.channel_units) / 64 * 2.0**neuron.bias_exponent
    np.testing.assert_allclose(neuron.bias_mantissa * fine, size / 10, atol=fine.max())
    for projection, whole in list(zip(net.projections, fixed.projections, strict=True))[:2]:
        units = next(r for r in report.populations if r.population == projection.target).channel_units
        error = projection.synapse.weight - whole.synapse.weight * (
            np.array(units)[:, None, None, None] * 2.0**whole.exponent
        )
        power = [
            10 * np.log10((w**2).sum() / (e**2).sum()) for w, e in zip(projection.synapse.weight, error, strict=True)
        ]
        assert min(power) > 30  # of each channel
    assert report.populations[-1].channel_units == ()  # classes are compared: one unit for the readout
    for name in ("a", "b"):
        few = spikes_that_differ(net, fixed, events, name)
        assert few < spikes_that_differ(net, common, events, name)


def test_what_units_per_channel_stand_for_is_what_was_given() -> None:
    """Dequantised, every parameter that is measured in the unit: scalars, per channel, and per neuron."""
    rng = np.random.default_rng(7)
    size = np.array([1.0, 30.0, 900.0])

    def each(low: float, high: float) -> Any:
        return rng.uniform(low, high, (3, 2, 2)) * size[:, None, None]

    neuron = ns.LIF(
        0.9, each(1.0, 1.5), "value", reset_value=each(-0.5, 0.5), bias=each(-0.2, 0.2), current_leak=0.5,
        lower_bound=-0.25, threshold_leak=0.9, threshold_step=size / 4, initial_membrane=each(-1, 1),
        initial_current=size / 8, gain=np.ones((4, 3)), offset=rng.uniform(-0.1, 0.1, (4, 3)) * size, fires="at",
    )  # fmt: skip
    weight = rng.normal(0, 0.3, (12, 9)) * np.repeat(size, 4)[:, None]
    net = ns.Network(
        [ns.Population("in", (9,)), ns.Population("n", (3, 2, 2), neuron), ns.Population("out", (2,), ns.Readout())],
        [
            ns.Projection("in", "n", ns.Dense(weight)),
            ns.Projection("n", "out", ns.Dense(rng.normal(size=(2, 12)))),
        ],
    )
    events = ns.Events.from_dense((rng.random((4, 5, 9)) < 0.3).astype(np.uint8))
    fixed, report = quantise(net, LAVA, events, scale="channel")
    units = {row.population: row.unit_by_channel for row in report.populations}
    assert units["n"].shape == (3,)
    assert units["n"].max() > 500 * units["n"].min()
    found: Any = dequantise(net, fixed, units)["n"].neuron
    for name in MEASURED:
        given = getattr(neuron, name)
        if given is not None:
            scale = size[:, None, None] if np.ndim(given) == 3 else size
            difference = np.broadcast_to(getattr(found, name) - given, np.broadcast_shapes(given.shape, scale.shape))
            assert np.abs(difference / scale).max() < 0.01, name
    layers = layer_report(net, fixed, report, events).layers
    assert layers[0].weight_snr_db > 40
    assert layers[0].deployed.input_snr_db > 40
    record = ns.Record.everything(fixed)
    assert_identical(ns.run(fixed, events, "reference", record), ns.run(fixed, events, "event", record))


def test_back_ends_agree_on_units_per_channel() -> None:
    net, events = uneven(), shown()
    fixed, _ = quantise(net, LAVA, events, scale="channel")
    record = ns.Record.everything(fixed)
    assert_identical(ns.run(fixed, events, "reference", record), ns.run(fixed, events, "event", record))


def test_one_channel_has_the_unit_of_its_population() -> None:
    weight = np.random.default_rng(0).normal(size=(1, 9))
    net = ns.Network(
        [ns.Population("in", (9,)), ns.Population("n", (1,), ns.LIF(0.9, 1.3))],
        [ns.Projection("in", "n", ns.Dense(weight))],
    )
    (common, plain), (fixed, report) = (quantise(net, LAVA, scale=scale) for scale in ("population", "channel"))
    np.testing.assert_array_equal(fixed.projections[0].synapse.weight, common.projections[0].synapse.weight)
    assert report.populations[0].channel_units == (plain.populations[0].unit,)


def test_loihi_1_has_few_thresholds() -> None:
    with pytest.raises(ExportError, match=r"population 'a': has 9 channels; .* a core of nxsdk has 8. Use scale 'pop"):
        quantise(uneven(9), ns.Precision.nxsdk(), scale="channel")
    quantise(uneven(8), ns.Precision.nxsdk(), scale="channel")


# --- rounding and bits ------------------------------------------------------------------------------------------------


def test_stochastic_rounding_is_seeded_and_right_on_average() -> None:
    weight = np.random.default_rng(0).uniform(-1, 1, (8, 50))
    net = ns.Network(
        [ns.Population("in", (50,)), ns.Population("n", (8,), ns.LIF(0.9, 1.0))],
        [ns.Projection("in", "n", ns.Dense(weight))],
    )
    nearest, plain = quantise(net, LAVA)
    drawn = [quantise(net, LAVA, rounding="stochastic", seed=seed) for seed in range(200)]
    unit = plain.populations[0].unit
    assert {report.populations[0].unit for _, report in drawn} == {unit}
    again, _ = quantise(net, LAVA, rounding="stochastic", seed=3)
    assert again == drawn[3][0] != drawn[4][0]
    mantissas = np.stack([fixed.projections[0].synapse.weight.astype(float) for fixed, _ in drawn])
    assert np.abs(mantissas - weight / unit).max() < 1
    inside = np.abs(weight) <= 126 * unit
    np.testing.assert_allclose(mantissas.mean(axis=0)[inside], (weight / unit)[inside], atol=5 * 0.5 / np.sqrt(200))
    assert np.abs(mantissas[0] - nearest.projections[0].synapse.weight).max() == 1
    assert (
        drawn[0][1].populations[0].weight_snr_db < plain.populations[0].weight_snr_db - 1
    )  # the report is of what is stored


def test_whole_numbers_are_not_rounded_at_random() -> None:
    weight = np.array([[127.0, 3.0, -5.0]])
    net = ns.Network(
        [ns.Population("in", (3,)), ns.Population("n", (1,), ns.LIF(0.9, 100.0))],
        [ns.Projection("in", "n", ns.Dense(weight))],
    )
    fixed, _ = quantise(net, LAVA, rounding="stochastic", seed=1)
    np.testing.assert_array_equal(fixed.projections[0].synapse.weight, weight)


def test_bits_per_projection_and_per_population() -> None:
    net, events = two_scales(0.3)
    fixed, _ = quantise(net, LAVA, events, weight_bits={"n": 4, "x->n": 6})
    four, six = (int(np.abs(p.synapse.weight).max()) for p in fixed.projections[1:])
    assert four == 7
    assert 15 < six <= 31
    assert fixed.precision == LAVA
    for bits, message in (
        ({"z": 4}, "'z': is no projection or target; allowed: n, x->n, x->y, y, y->n"),
        ({"n": 9}, "'n': got 9"),
    ):
        with pytest.raises(ArgumentError, match=message):
            quantise(net, LAVA, weight_bits=bits)
    with pytest.raises(ArgumentError, match="'n': got 6"):
        quantise(net, ns.Precision.lava(4), weight_bits={"n": 6})


@pytest.mark.parametrize(("name", "value"), [("scale", "layer"), ("rounding", "up")])
def test_unknown_options_are_refused(name: str, value: str) -> None:
    with pytest.raises(ns.NeurosamError, match=f"{name}: got '{value}'"):
        quantise(uneven(), LAVA, **{name: value})  # type: ignore[arg-type]


@pytest.mark.parametrize("bits", range(2, 10))
def test_more_bits_are_more_exact_up_to_nine(bits: int) -> None:
    """Nine bits are two projections (expand.py); both back ends run what was quantised."""
    rng = np.random.default_rng(0)
    network = ns.Network(
        [ns.Population("in", (20,)), ns.Population("out", (16,), ns.LIF(0.9, 3.0))],
        [ns.Projection("in", "out", ns.Dense(rng.normal(0, 0.4, (16, 20))))],
    )
    events = ns.Events.from_dense((rng.random((20, 8, 20)) < 0.3).astype(np.uint8))
    fixed, report = ns.quantise(network, ns.Precision.lava(bits), events)
    unit = report.populations[0].unit
    stored = np.sum([p.synapse.weight * (unit * 2.0**p.exponent) for p in fixed.projections], axis=0)
    weight = network.projections[0].synapse.weight
    snr_db = 10 * np.log10(np.square(weight).sum() / np.square(stored - weight).sum())
    assert snr_db == pytest.approx(report.populations[0].weight_snr_db)
    assert snr_db > 6 * bits - 10
    assert (len(fixed.projections) == 2) == (bits == 9)
    record = ns.Record.everything(fixed)
    event, reference = (ns.run(fixed, events, backend, record) for backend in ("event", "reference"))
    assert ns.compare(event, reference) is None


@pytest.mark.parametrize("sign", ["excitatory", "inhibitory"])
def test_weights_of_one_sign_take_all_eight_bits(sign: str) -> None:
    direction = 1 if sign == "excitatory" else -1
    weight = direction * np.linspace(0.1, 1.0, 12).reshape(3, 4)
    network = ns.Network(
        [ns.Population("in", (4,)), ns.Population("out", (3,), ns.Readout())],
        [ns.Projection("in", "out", ns.Dense(weight))],
    )
    fixed, _ = ns.quantise(network, ns.Precision.lava(sign=sign))
    total = sum(p.synapse.weight.astype(int) << p.exponent for p in fixed.projections)
    assert np.abs(total).max() > 127
    mixed = replace(network, projections=[replace(network.projections[0], synapse=ns.Dense(weight * [[1], [-1], [1]]))])
    with pytest.raises(ns.ExportError, match=rf"in->out: weight: lies in .* sign '{sign}' holds one sign"):
        ns.quantise(mixed, ns.Precision.lava(sign=sign))
