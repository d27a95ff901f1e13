"""Comparisons of parts of runs and of two networks; what a pass is worth; what else two runs can differ in."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import neurosam as ns
from neurosam.equivalence import Tally, compare_behaviour, compare_networks, lacking, report
from neurosam.errors import ArgumentError, NeurosamError
from neurosam.metrics import deliveries
from support.networks import random_case
from support.oracle import simulate

STEPS, SAMPLES = 9, 3


def network(threshold: Any = 80, **options: Any) -> ns.Network:
    rng = np.random.default_rng(0)

    def weight(*shape: int) -> Any:
        return rng.integers(-30, 60, shape).astype(np.int8)

    lif = ns.FixedLIF(membrane_decay=300, current_decay=2000, threshold=80)
    made = ns.Network(
        [
            ns.Population("in", (1, 6, 6), magnitude=3),
            ns.Population("conv1", (3, 4, 4), replace(lif, threshold=threshold, **options)),
            ns.Population("conv2", (3, 3, 3), lif),
            ns.Population("out", (2,), ns.FixedReadout()),
        ],
        [
            ns.Projection("in", "conv1", ns.Conv2d(weight(3, 1, 3, 3))),
            ns.Projection("conv1", "conv2", ns.Conv2d(weight(3, 3, 2, 2))),
            ns.Projection("conv2", "out", ns.Dense(weight(2, 27))),
        ],
    )
    return made.with_sam(ns.SamTrace(0.5))


NETWORK = network()
EVENTS = ns.encode(np.random.default_rng(1).random((SAMPLES, 1, 6, 6)), STEPS, seed=5)
GOLDEN = simulate(NETWORK, EVENTS)


def part(first: int, stop: int, change: tuple[int, ...] | None = None, **options: Any) -> ns.Recording:
    """Spikes and membranes of conv2 in some steps, one spike changed."""
    spikes = GOLDEN.spikes["conv2"].dense()[first:stop].copy()
    if change is not None:
        spikes[change] ^= 1
    return ns.recording_from(
        NETWORK, spikes={"conv2": spikes}, membrane={"conv2": GOLDEN.membrane["conv2"][first:stop]}, first_step=first,
        name="dut", **options,
    )  # fmt: skip


# --- parts of a run ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("with_network", [True, False])
@pytest.mark.parametrize("dut_first", [True, False])
def test_the_steps_that_both_hold_are_compared(dut_first: bool, with_network: bool) -> None:
    net = NETWORK if with_network else None
    sides = (part(3, 7), GOLDEN) if dut_first else (GOLDEN, part(3, 7))
    whole = report(*sides, net)
    assert whole.equal
    assert (whole.first_step, whole.steps, whole.samples, whole.steps_in_one) == (3, 4, SAMPLES, STEPS - 4)
    assert dict(whole.tallies) == {
        ("conv2", "membrane"): Tally(4 * SAMPLES * 27), ("conv2", "spikes"): Tally(4 * SAMPLES * 27)
    }  # fmt: skip
    assert whole.not_compared[0] == "steps 0 to 2 and 7 to 8 (only in oracle)"
    assert {"conv1: spikes (only in oracle)", "operations (only in oracle)"} <= set(whole.not_compared)
    assert ("out", "output") in whole.in_one if with_network else ("output", "output") in whole.in_one


@pytest.mark.parametrize("with_network", [True, False])
def test_one_changed_bit_of_a_part_is_located_in_own_steps(with_network: bool) -> None:
    dut = part(3, 7, change=(2, 1, 0, 2, 1))
    divergence = ns.compare(GOLDEN, dut, NETWORK if with_network else None)
    assert divergence is not None
    assert (divergence.population, divergence.variable) == ("conv2", "spikes")
    assert (divergence.step, divergence.sample, divergence.coordinates) == (5, 1, (0, 2, 1))
    assert divergence.value_a ^ 1 == divergence.value_b  # type: ignore[operator]  # integers
    assert report(GOLDEN, dut, NETWORK).total.mismatches == 1


def test_two_parts_overlap_or_have_nothing_in_common() -> None:
    whole = report(part(2, 6), part(4, 9), NETWORK)
    assert (whole.first_step, whole.steps, whole.equal) == (4, 2, True)
    assert whole.not_compared[:2] == ("steps 2 to 3 (only in dut)", "steps 6 to 8 (only in dut)")
    with pytest.raises(NeurosamError, match="hold own steps 0 to 3 and 4 to 8, none of which is in both"):
        ns.compare(part(0, 4), part(4, 9), NETWORK)


def test_what_belongs_to_a_whole_run_is_not_compared_with_a_part_of_it() -> None:
    shorter = simulate(NETWORK, ns.Events.from_dense(EVENTS.dense()[:5]))
    whole = report(GOLDEN, replace(shorter, backend="short"), NETWORK)
    assert whole.equal
    assert "out: output (of other steps)" in whole.not_compared
    assert "operations (of other steps)" in whole.not_compared
    assert not any(variable in ("output", "saturated", "operations") for _, variable in whole.tallies)


def test_a_distance_that_earlier_steps_decide_is_not_stated() -> None:
    for options, known in (({}, True), ({"refractory": 2}, False)):
        net = network(**options)
        made = simulate(net, EVENTS)
        spikes = made.spikes["conv1"].dense()
        step, sample, c, y, x = (int(i) for i in np.argwhere(spikes[4:] == 0)[0])
        spikes = spikes[4:].copy()
        spikes[step, sample, c, y, x] = 1
        membrane = {"conv1": made.membrane["conv1"][4:]}
        dut = ns.recording_from(net, spikes={"conv1": spikes}, membrane=membrane, first_step=4)
        divergence = ns.compare(made, dut, net)
        assert divergence is not None
        assert divergence.step == step + 4
        expected = (80 << 6) - int(made.membrane["conv1"][step + 4, sample, c, y, x])
        assert divergence.distance == (expected if known else None)


# --- operations -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["chain", "dense", "pooled", "recurrent"])
def test_an_event_of_value_0_is_delivered_by_every_back_end(kind: str) -> None:
    net, _ = random_case(np.random.default_rng(3), kind, fixed=True)
    net = replace(net, populations=(replace(net.populations[0], magnitude=2), *net.populations[1:]))
    rng = np.random.default_rng(0)
    fired = rng.random((6, 2, int(np.prod(net.input.shape)))) < 0.4
    time, sample, neuron = np.nonzero(fired)
    events = ns.Events(time, sample, neuron, 6, 2, net.input.shape, rng.integers(-2, 3, time.size))
    made = {name: ns.run(net, events, name, ns.Record.everything(net)) for name in ("reference", "event")}
    assert dict(made["reference"].operations) == dict(made["event"].operations)
    assert dict(made["event"].operations) == deliveries(net, made["event"], events)
    result = ns.verify(net, events)["event"]
    assert result.equal
    assert {label for label, kind in result.tallies if kind == "operations"} == set(made["event"].operations)


def test_operations_that_differ_are_a_divergence() -> None:
    label = "conv1->conv2"
    other = replace(GOLDEN, operations={**GOLDEN.operations, label: GOLDEN.operations[label] - 1})
    whole = report(GOLDEN, other, NETWORK)
    assert not whole.equal
    assert whole.tallies[label, "operations"] == Tally(1, 1)
    assert str(whole.divergence) == (
        f"{label}: operations of the run: {GOLDEN.operations[label]} != {GOLDEN.operations[label] - 1}"
    )
    assert whole.to_dict()["first"][0]["variable"] == "operations"
    some = report(GOLDEN, replace(GOLDEN, operations={label: GOLDEN.operations[label]}, backend="dut"), NETWORK)
    assert some.equal
    assert "in->conv1: operations (only in oracle)" in some.not_compared


def test_operations_survive_chunks_of_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    from neurosam.equivalence import comparison

    monkeypatch.setattr(comparison, "CHUNK_BYTES", 1)
    other = replace(GOLDEN, operations={**GOLDEN.operations, "in->conv1": 1})
    whole = report(GOLDEN, other, NETWORK)
    assert [key for key, tally in whole.tallies.items() if tally.mismatches] == [("in->conv1", "operations")]
    assert ns.verify(NETWORK, EVENTS)["event"].tallies["in->conv1", "operations"] == Tally(SAMPLES)


# --- overflow and tolerance -------------------------------------------------------------------------------------------


def accumulating(weight: float = 1e200, magnitude: int = 1) -> ns.Network:
    return ns.Network(
        [ns.Population("in", (1,), magnitude=magnitude), ns.Population("out", (1,), ns.Readout())],
        [ns.Projection("in", "out", ns.Dense(np.array([[weight]])))],
    )


@pytest.mark.parametrize("with_network", [True, False])
def test_runs_that_overflow_alike_are_equal(with_network: bool) -> None:
    net = accumulating()
    values = np.array([[[1e200]], [[-1e200]], [[1.0]]])
    made = ns.run(net, ns.Events.from_dense(values), "reference", ns.Record(membrane=("out",)))
    assert not np.isfinite(made.membrane["out"][1:]).any()
    assert np.isnan(made.output).all()
    whole = report(made, made, net if with_network else None)
    assert whole.equal
    for at, value in ((0, 1.0), (1, np.inf), (2, 0.0)):
        wrong = made.membrane["out"].copy()
        wrong[at] = value
        assert report(made, replace(made, membrane={"out": wrong}), net if with_network else None).equal == (
            np.array_equal(wrong, made.membrane["out"], equal_nan=True)
        )


def test_one_infinity_does_not_excuse_finite_differences() -> None:
    a = ns.Recording("a", 1, 1, np.array([[np.inf, 1.0]]))
    b = replace(a, output=np.array([[np.inf, 2.0]]))
    assert report(a, b).total.mismatches == 1


def test_the_tolerance_follows_the_largest_event_of_the_run() -> None:
    net = accumulating(weight=0.1)
    made = ns.run(net, ns.Events.from_dense(np.full((2, 1, 1), 1e6)), "reference", ns.Record(membrane=("out",)))
    near = replace(made, membrane={"out": made.membrane["out"] - 1.5e-4})
    tiny = ns.run(net, ns.Events.from_dense(np.full((2, 1, 1), 1e-6)), "reference", ns.Record(membrane=("out",)))
    off = replace(tiny, membrane={"out": tiny.membrane["out"] + 1e-11}, output=tiny.output + 1e-11)
    assert report(made, near, net).total.mismatches == 1  # of 1e5 and 2e5, by 1.5e-4
    assert report(made, near, net, largest={"in": 1e6}).equal
    assert report(tiny, off, net).equal  # as if events of 1 had been added
    assert not report(tiny, off, net, largest={"in": 1e-6}).equal


def test_verify_measures_by_the_events_that_it_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    from neurosam.equivalence import comparison

    net = accumulating(weight=0.1)
    seen: list[Any] = []
    plain = comparison.report

    def noting(*arguments: Any) -> Any:
        seen.append(arguments[-1])
        return plain(*arguments)

    monkeypatch.setattr(comparison, "report", noting)
    ns.verify(net, ns.Events.from_dense(np.array([[[-70.5]], [[2.0]]])))
    assert seen == [{"in": 70.5}]


# --- what a pass is worth ---------------------------------------------------------------------------------------------


def test_a_pass_that_compared_less_lacks_what_was_required() -> None:
    spikes = ns.recording_from(NETWORK, spikes=dict(GOLDEN.spikes), output=GOLDEN.output, name="spikes")
    membranes = ns.recording_from(NETWORK, membrane=dict(GOLDEN.membrane), output=GOLDEN.output, name="membranes")
    result = report(spikes, membranes, NETWORK)
    assert result.equal  # of the answers alone
    for net in (NETWORK, None):
        assert lacking(result, ["spikes"], net) == ("spikes of conv1", "spikes of conv2")
        assert lacking(result, ["output", "steps"], net) == ()
        assert lacking(result, ["membrane.conv1"], net) == ("membrane of conv1",)
        with pytest.raises(NeurosamError, match=r"sam: (is in neither recording|neither recording has it)"):
            lacking(result, ["sam"], net)
    whole = report(GOLDEN, GOLDEN, NETWORK)
    assert lacking(whole, ["spikes", "membrane", "current", "sam", "counts", "output", "operations", "steps"]) == ()
    assert lacking(whole, ["saturated", "wrapped", "operations", "spikes.conv2"], NETWORK) == ()
    assert lacking(report(GOLDEN, part(3, 7), NETWORK), ["spikes", "steps"], NETWORK) == ("spikes of conv1", "5 steps")
    with pytest.raises(ArgumentError, match="'spike': is not known; allowed are spikes, membrane"):
        lacking(whole, ["spike"])
    with pytest.raises(ArgumentError, match="no such population; those are conv1, conv2"):
        lacking(whole, ["spikes.out"], NETWORK)


# --- layouts that only values tell ------------------------------------------------------------------------------------


def test_a_layout_that_the_shape_does_not_tell_is_told_by_values() -> None:
    dense = GOLDEN.spikes["conv2"].dense()  # (3, 3, 3): channels, rows and columns are as many

    def hint(changed: Any, golden: ns.Recording = GOLDEN) -> str:
        dut = ns.recording_from(NETWORK, spikes={"conv2": changed}, name="dut")
        return report(golden, dut, NETWORK).hint

    assert hint(dense) == ""
    later = np.zeros_like(dense)
    later[2:] = dense[:-2]
    assert hint(later) == (
        "spikes of conv2: dut is oracle, 2 step(s) later: it looks like global steps, not the population's own"
    )
    later[1:] = dense[:-1]
    assert hint(later) == "spikes of conv2: dut is oracle, 1 step(s) later"
    assert hint(dense[1:]) == "spikes of conv2: oracle is dut, 1 step(s) later"
    assert hint(np.moveaxis(dense, 2, -1)) == "spikes of conv2: equal if channels come last in dut"
    assert hint(dense.swapaxes(3, 4)) == "spikes of conv2: equal if x comes before y in dut"
    assert hint(dense ^ 1) == ""
    short = dense[:3].swapaxes(0, 1)
    assert hint(short) == "spikes of conv2: equal if steps and samples are exchanged in dut"


# --- two networks -----------------------------------------------------------------------------------------------------


def test_two_networks_are_compared_by_what_they_do() -> None:
    same = compare_behaviour(NETWORK, network(), EVENTS, ("reference", "event"))
    assert list(same) == ["reference", "event"]
    assert all(result.equal for result in same.values())
    other = network(threshold=np.array([80, 95, 80]))
    assert str(compare_networks(NETWORK, other)) == "population conv1: neuron.threshold[1]: 80 != 95"
    result = compare_behaviour(NETWORK, other, EVENTS, names=("a.h5", "b.h5"))["event"]
    assert result.backends == ("a.h5", "b.h5")
    assert not result.equal
    expected = ns.compare(GOLDEN, simulate(other, EVENTS), NETWORK)
    assert result.divergence is not None
    assert expected is not None
    assert result.divergence.place == expected.place
    assert expected.distance is not None  # to the threshold of the first, which is not that of the second
    assert result.divergence.distance is None
    assert "threshold" not in str(result.divergence)


def test_networks_with_other_populations_share_some() -> None:
    shorter = ns.Network(NETWORK.populations[:3], NETWORK.projections[:2], sam={"conv1": NETWORK.sam["conv1"]})
    result = compare_behaviour(NETWORK, shorter, EVENTS)["event"]
    assert result.equal
    assert result.tallies["conv2", "spikes"].compared == STEPS * SAMPLES * 27
    with pytest.raises(NeurosamError, match="hold no samples"):
        compare_behaviour(NETWORK, NETWORK, EVENTS.select(0, 0))
    floating = ns.Network(
        [ns.Population("in", (1, 6, 6)), ns.Population("out", (2,), ns.Readout())],
        [ns.Projection("in", "out", ns.Dense(np.ones((2, 36))))],
    )
    with pytest.raises(NeurosamError):
        compare_behaviour(NETWORK, floating, EVENTS)


def test_a_table_for_all_channels_is_that_of_each() -> None:
    def normalised(gain: Any) -> ns.Network:
        neuron = ns.LIF(0.9, 1.0, gain=gain, offset=np.zeros_like(gain))
        return ns.Network(
            [ns.Population("in", (1, 3, 3)), ns.Population("a", (4, 2, 2), neuron)],
            [ns.Projection("in", "a", ns.Conv2d(np.ones((4, 1, 2, 2))))],
        )

    one, each = np.array([[1.0], [2.0]]), np.repeat([[1.0], [2.0]], 4, axis=1)
    assert compare_networks(normalised(one), normalised(each)) is None
    each[1, 2] = 3.0
    assert str(compare_networks(normalised(one), normalised(each))) == "population a: neuron.gain[1, 2]: 2.0 != 3.0"
    longer = np.ones((3, 4))
    assert str(compare_networks(normalised(one), normalised(longer))).endswith("float64 (2, 1) != float64 (3, 4)")


def test_names_of_a_file_do_not_reach_the_terminal_as_they_are() -> None:
    """Neither its control characters nor what rich would take for markup."""
    from rich.console import Console

    hostile = ns.Recording("a\x1b]52;c;AA\x07[red]", steps=1, samples=1, output=np.ones((1, 2)))
    console = Console(record=True, width=200, file=io.StringIO())
    console.print(report(hostile, hostile).table())
    shown = console.export_text()
    assert "\x1b" not in shown
    assert r"a\x1b]52;c;AA\x07[red] and a\x1b" in shown
