"""The report by layer: rounded parameters, hybrids, observers, and what the numbers say of a layer made worse."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import neurosam as ns
from neurosam.deploy.dequantise import dequantise, hybrid
from neurosam.deploy.fidelity import Fidelity, measure_fidelity, snr_db
from neurosam.deploy.fixed_neuron import fixed_neuron
from neurosam.deploy.layer_report import LayerReport, layer_report
from neurosam.deploy.quantise import quantise
from neurosam.errors import EventError, NetworkError
from neurosam.report.layers import layer_figure
from support.networks import KINDS, random_case

LAVA = ns.Precision.lava()


def network(**lif: Any) -> ns.Network:
    """Conv, sum pooling, a shortcut, recurrence, and a readout."""
    rng = np.random.default_rng(3)
    neuron: dict[str, Any] = {"leak": 0.9, "threshold": 1.0, "bias": rng.normal(0, 0.1, 4)}
    return ns.Network(
        [
            ns.Population("in", (2, 8, 6)),
            ns.Population("a", (4, 8, 6), ns.LIF(**{**neuron, **lif})),
            ns.Population("b", (12,), ns.LIF(leak=0.7, threshold=rng.uniform(0.5, 1.5, 12), reset="zero")),
            ns.Population("out", (5,), ns.Readout(bias=rng.normal(0, 0.1, 5))),
        ],
        [
            ns.Projection("in", "a", ns.Conv2d(rng.normal(0, 0.4, (4, 2, 3, 3)), padding=1)),
            ns.Projection("a", "b", ns.Dense(rng.normal(0, 0.2, (12, 48))), pool=ns.SumPool2d(2)),
            ns.Projection("in", "b", ns.Dense(rng.normal(0, 0.1, (12, 96)))),
            ns.Projection("b", "b", ns.Dense(rng.normal(0, 0.3, (12, 12)))),
            ns.Projection("b", "out", ns.Dense(rng.normal(0, 0.3, (5, 12)))),
        ],
        check_alignment=False,  # lags are wanted
    )


def events(samples: int = 24, steps: int = 9) -> ns.Events:
    rng = np.random.default_rng(4)
    return ns.Events.from_dense((rng.random((steps, samples, 2, 8, 6)) < 0.2).astype(np.uint8))


def units(report: Any) -> dict[str, float]:
    return {row.population: row.unit for row in report.populations}


TABLES = {
    "gain": np.random.default_rng(0).uniform(0.5, 1.5, (9, 4)),
    "offset": np.random.default_rng(1).normal(size=(9, 4)),
}


@pytest.mark.parametrize("lif", [{}, {"current_leak": 0.5}, {"bias": 0.0, **TABLES}])
@pytest.mark.parametrize("precision", [ns.Precision.lava(8), ns.Precision.nxsdk(4)])
def test_quantising_what_was_dequantised_gives_the_same_integers(lif: dict[str, Any], precision: ns.Precision) -> None:
    """So each formula of the one is the inverse of the other's."""
    net = network(**lif)
    fixed, report = quantise(net, precision, events())
    rounded = dequantise(net, fixed, units(report))
    assert not rounded.fixed
    for p, q in zip(rounded.projections, fixed.projections, strict=True):
        scale = units(report)[p.target] * 2.0**q.exponent
        np.testing.assert_array_equal(np.rint(p.synapse.weight / scale), q.synapse.weight)
        np.testing.assert_allclose(p.synapse.weight, scale * q.synapse.weight, rtol=1e-12)
    for population in rounded.populations[1:]:
        again = fixed_neuron(population.name, population.neuron, units(report)[population.name], precision)
        expected: Any = fixed[population.name].neuron
        for name in again.__dataclass_fields__:
            if name not in ("bias_mantissa", "bias_exponent"):
                np.testing.assert_array_equal(getattr(again, name), getattr(expected, name), name)
        np.testing.assert_array_equal(
            again.bias_mantissa << again.bias_exponent, expected.bias_mantissa << expected.bias_exponent
        )


def test_dequantise_refuses_what_does_not_correspond() -> None:
    net = network()
    fixed, report = quantise(net, LAVA)
    with pytest.raises(NetworkError, match="a float network and its fixed-point form"):
        dequantise(fixed, net, units(report))
    with pytest.raises(NetworkError, match="lack 'b'"):
        dequantise(net, fixed, {name: unit for name, unit in units(report).items() if name != "b"})
    other = replace(fixed, projections=fixed.projections[::-1])
    with pytest.raises(NetworkError, match="different populations or projections"):
        dequantise(net, other, units(report))
    with pytest.raises(NetworkError, match="hybrid: got 'c'; populations are in, a, b, out"):
        hybrid(net, net, ["c"])


def test_a_hybrid_takes_neurons_and_incoming_projections() -> None:
    net = network()
    fixed, report = quantise(net, ns.Precision.lava(3), events())
    rounded = dequantise(net, fixed, units(report))
    mixed = hybrid(net, rounded, ["b"])
    assert [p.synapse is q.synapse for p, q in zip(mixed.projections, rounded.projections, strict=True)] == [
        False, True, True, True, False,
    ]  # fmt: skip
    assert mixed["b"].neuron is rounded["b"].neuron
    assert mixed["a"].neuron is net["a"].neuron
    assert hybrid(net, rounded, []) == net
    assert hybrid(net, rounded, [p.name for p in net.populations]) == rounded


def test_observers_see_the_weighted_sums() -> None:
    """Inputs of the report equal sums computed here, in float and in integers, gain and offset included."""
    net = network(bias=0.0, **TABLES)
    shown = events(samples=3)
    fixed, report = quantise(net, ns.Precision.lava(4), shown)
    rounded = dequantise(net, fixed, units(report))
    alone, deployed = measure_fidelity(net, rounded, fixed, units(report), shown)["a"]
    dense = shown.dense().astype(np.float64)

    def sums(weight: Any) -> Any:
        padded = np.pad(dense, ((0, 0), (0, 0), (0, 0), (1, 1), (1, 1)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(3, 4))
        return np.einsum("tbchwyx,ocyx->tbohw", windows, weight)

    def affine(x: Any, neuron: Any) -> Any:
        return x * neuron.gain[:, None, :, None, None] + neuron.offset[:, None, :, None, None]

    x = affine(sums(net.projections[0].synapse.weight), net["a"].neuron)
    y = affine(sums(rounded.projections[0].synapse.weight), rounded["a"].neuron)
    assert alone.input_snr_db == pytest.approx(snr_db((x**2).sum(), ((x - y) ** 2).sum()), abs=1e-6)
    neuron: Any = fixed["a"].neuron
    whole = sums(fixed.projections[0].synapse.weight.astype(np.int64) << fixed.projections[0].exponent).astype(np.int64)
    z = (whole * 64 * neuron.gain[:, None, :, None, None]) >> neuron.gain_shift
    z = (z + neuron.offset_64ths[:, None, :, None, None]) * (units(report)["a"] / 64)
    assert deployed.input_snr_db == pytest.approx(snr_db((x**2).sum(), ((x - z) ** 2).sum()), abs=1e-6)


def test_fidelity_equals_that_of_two_recordings() -> None:
    net, shown = network(), events()
    fixed, report = quantise(net, ns.Precision.lava(5), shown)
    measured = measure_fidelity(net, dequantise(net, fixed, units(report)), fixed, units(report), shown)
    record = ns.Record(spikes=("a", "b"), membrane=("a", "b", "out"))
    x, y = ns.run(net, shown, record=record), ns.run(fixed, shown, record=record)
    for name in record.membrane:
        a, b = x.membrane[name], y.membrane[name] * (units(report)[name] / 64)
        found = measured[name][1]
        assert found.membrane_snr_db == pytest.approx(snr_db((a**2).sum(), ((a - b) ** 2).sum()))
        if name in record.spikes:
            s, t = x.spikes[name].dense().astype(int), y.spikes[name].dense().astype(int)
            assert found.differing == (s != t).mean() > 0
            assert found.spike_snr_db == pytest.approx(10 * np.log10(s.sum() / (s != t).sum()))
            assert (found.rate, found.quantised_rate) == (s.mean(), t.mean())
    assert np.isnan(measured["out"][0].spike_snr_db)


def test_memory_is_bounded_by_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    net, shown = network(), events()
    fixed, report = quantise(net, ns.Precision.lava(5), shown)
    arguments = net, dequantise(net, fixed, units(report)), fixed, units(report), shown
    whole = measure_fidelity(*arguments)
    monkeypatch.setattr("neurosam.deploy.fidelity.MEMORY_BYTES", 1)
    ticks: list[tuple[int, int]] = []
    parts = measure_fidelity(*arguments, progress=lambda *tick: ticks.append(tick))
    assert ticks == [(i + 1, 24) for i in range(24)]
    for name in whole:
        for a, b in zip(whole[name], parts[name], strict=True):
            np.testing.assert_allclose(list(vars(a).values()), list(vars(b).values()), rtol=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_any_float_network_has_a_report(kind: str) -> None:
    net, shown = random_case(np.random.default_rng(5), kind, fixed=False)
    limit = net.input.magnitude
    net, shown = replace(net, sam={}), ns.Events.from_dense(np.rint(shown.dense()).clip(-limit, limit))
    fixed, report = quantise(net, LAVA, shown)
    measured = layer_report(net, fixed, report, shown)
    simulated = {p.name for p in net.populations if p.neuron is not None}
    assert {layer.population for layer in measured.layers} == simulated
    json.dumps(measured.to_dict(), allow_nan=False)


def test_a_report_finds_the_layer_made_worse() -> None:
    net, shown = network(), events(200)
    fixed, report = quantise(net, LAVA, shown)
    wrecked = list(fixed.projections)
    wrecked[1] = replace(wrecked[1], synapse=replace(wrecked[1].synapse, weight=-wrecked[1].synapse.weight))
    measured = layer_report(net, replace(fixed, projections=wrecked), report, shown)
    a, b, out = measured.layers
    assert min(a.only_this.agreement, out.only_this.agreement) > 0.95 > b.only_this.agreement + 0.2
    assert a.up_to_this.agreement > 0.95 > b.up_to_this.agreement + 0.2
    assert b.alone.input_snr_db < 10 < min(a.alone.input_snr_db, out.alone.input_snr_db)
    assert b.weight_snr_db < 3
    assert out.alone.input_snr_db > out.deployed.input_snr_db + 10  # it receives what b gets wrong


def test_what_remains_is_the_integer_rule() -> None:
    """With parameters that are exact in integers, only the rule differs, and only where a decay truncates."""
    rng = np.random.default_rng(0)
    exact = ns.Network(
        [ns.Population("in", (6,)), ns.Population("a", (8,), ns.LIF(leak=1.0, threshold=32.0)),
         ns.Population("out", (3,), ns.Readout())],
        [ns.Projection("in", "a", ns.Dense(rng.integers(-127, 128, (8, 6)).astype(float))),
         ns.Projection("a", "out", ns.Dense(rng.integers(-127, 128, (3, 8)).astype(float)))],
    )  # fmt: skip
    shown = ns.Events.from_dense((rng.random((8, 16, 6)) < 0.3).astype(np.uint8))
    fixed, report = quantise(exact, LAVA, shown)
    measured = layer_report(exact, fixed, report, shown, labels=ns.run(exact, shown).predictions)
    assert all(np.isinf(x.weight_snr_db) and str(x.deployed) == str(x.alone) for x in measured.layers)
    assert measured.fixed.agreement == measured.fixed.accuracy == measured.float_accuracy == 1.0
    assert measured.fixed.output_snr_db == np.inf


@pytest.fixture(scope="module")
def measured() -> LayerReport:
    net, shown = network(), events()
    fixed, report = quantise(net, ns.Precision.lava(4), shown)
    return layer_report(net, fixed, report, shown, labels=np.zeros(24, dtype=np.int64))


def test_tables_name_every_layer_and_fit_a_terminal(measured: LayerReport) -> None:
    from rich.console import Console

    console = Console(width=90, record=True, file=io.StringIO())
    for table in measured.tables():
        console.print(table)
    text = console.export_text()
    assert [text.count(f"\n {name} ") for name in ("a", "b", "out")] == [3, 3, 3]
    assert "all, in integers" in text
    assert f"accuracy {measured.float_accuracy:.2%}" in text


def test_json_holds_the_numbers(measured: LayerReport) -> None:
    out = json.loads(json.dumps(measured.to_dict(), allow_nan=False))
    assert out["layers"][0]["alone"]["differing"] == measured.layers[0].alone.differing
    assert out["layers"][2]["alone"]["spike_snr_db"] == "nan"
    assert out["fixed"]["accuracy"] == measured.fixed.accuracy


def test_the_picture_shows_each_layer(measured: LayerReport) -> None:
    figure = layer_figure(measured, title="a title")
    noise: Any
    lost: Any
    noise, lost = figure.axes
    assert [label.get_text() for label in noise.get_xticklabels()] == ["a", "b", "out"]
    assert [label.get_text() for label in lost.get_xticklabels()] == ["a", "b", "out", "integers"]
    heights = [bar.get_height() for bar in noise.containers[0]]
    np.testing.assert_allclose(heights, [x.weight_snr_db for x in measured.layers])
    agreement = lost.lines[1].get_ydata()
    assert list(agreement) == [*(x.up_to_this.agreement for x in measured.layers), measured.fixed.agreement]


def test_wrong_input_is_refused() -> None:
    net, shown = network(), events()
    fixed, report = quantise(net, LAVA, shown)
    with pytest.raises(EventError, match="have no samples"):
        layer_report(net, fixed, report, shown.select(0, 0))
    with pytest.raises(EventError, match=r"labels: got \(3,\) for 24 samples; one each is required"):
        layer_report(net, fixed, report, shown, labels=np.zeros(3, dtype=np.int64))


def test_ratios_at_the_ends() -> None:
    assert np.isnan(snr_db(0.0, 0.0))
    assert snr_db(1.0, 0.0) == np.inf
    assert snr_db(100.0, 1.0) == 20.0
    assert np.isnan(Fidelity(1.0, 1.0, 1.0, 0.0, 0.0, 0.5).rate_change)
    assert Fidelity(1.0, 1.0, 1.0, 0.0, 0.5, 0.25).rate_change == -0.5
