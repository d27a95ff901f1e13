"""The comparator is tested by corruption: it must find what was changed, where, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import neurosam as ns
from neurosam.equivalence import comparison
from neurosam.equivalence.comparison import Divergence, Tally, compare, compare_networks, report, verify
from neurosam.equivalence.divergence import VARIABLES
from neurosam.equivalence.rounding import reach
from neurosam.equivalence.tolerance import magnitude
from neurosam.errors import NeurosamError
from neurosam.network.trace import SamTrace
from neurosam.signals.inputs import Inputs
from neurosam.signals.recording import Record, Recording, Spikes
from support.networks import KINDS, random_case
from support.oracle import simulate

Array = npt.NDArray[Any]


def network(fixed: bool = True) -> ns.Network:
    """In -> conv1 -> conv2 -> out, and a shortcut in -> conv2 that waits for two steps."""
    rng = np.random.default_rng(0)

    def weight(*shape: int) -> Array:
        w = rng.integers(-30, 60, shape)
        return w.astype(np.int8) if fixed else w.astype(np.float64)

    def lif(threshold: int) -> ns.FixedLIF | ns.LIF:
        if fixed:
            return ns.FixedLIF(membrane_decay=300, current_decay=2000, threshold=threshold)
        return ns.LIF(0.9, float(threshold), current_leak=0.5)

    made = ns.Network(
        (
            ns.Population("in", (1, 6, 6)),
            ns.Population("conv1", (4, 4, 4), lif(80)),
            ns.Population("conv2", (3, 3, 3), lif(120)),
            ns.Population("out", (2,), ns.FixedReadout() if fixed else ns.Readout()),
        ),
        (
            ns.Projection("in", "conv1", ns.Conv2d(weight(4, 1, 3, 3))),
            ns.Projection("conv1", "conv2", ns.Conv2d(weight(3, 4, 2, 2))),
            ns.Projection("in", "conv2", ns.Conv2d(weight(3, 1, 4, 4)), delay=3),
            ns.Projection("conv2", "out", ns.Dense(weight(2, 27))),
        ),
        check_alignment=False,  # lags are wanted
    )
    return made.with_sam(SamTrace(0.5))


def recording(net: ns.Network, steps: int = 6, samples: int = 3) -> Recording:
    images = np.random.default_rng(1).random((samples, *net.input.shape))
    return simulate(net, ns.encode(images, steps, seed=5))


def with_value(made: Recording, kind: str, name: str, at: tuple[int, ...], change: Callable[[Any], Any]) -> Recording:
    """The recording with one value of one variable changed."""
    if kind == "output":
        output = made.output.copy()
        output[at] = change(output[at])
        return replace(made, output=output)
    table = dict(getattr(made, kind))
    array = table[name].dense() if kind == "spikes" else table[name].copy()
    array[at] = change(array[at])
    table[name] = Spikes.from_dense(array) if kind == "spikes" else array
    changed: Recording = replace(made, **{kind: table})  # type: ignore[arg-type]  # one of its mappings
    return changed


def to(new: float, _: float) -> float:
    """A change to `new`."""
    return new


def found(a: Recording, b: Recording, net: ns.Network | None = None) -> Divergence:
    divergence = compare(a, b, net)
    assert divergence is not None
    return divergence


# --- corruption, fixed point ------------------------------------------------------------------------------------------

CORRUPTIONS = [
    ("current", "conv1", (2, 1, 3, 2, 1), 57, (3, 2, 1)),
    ("membrane", "conv2", (4, 2, 1, 0, 2), 11, (1, 0, 2)),
    ("membrane", "out", (0, 0, 1), 1, (1,)),
    ("spikes", "conv1", (5, 0, 0, 3, 3), 15, (0, 3, 3)),
    ("counts", "conv2", (1, 2), None, ()),
    ("counts", "in", (0, 0), None, ()),
    ("sam", "conv2", (3, 1, 2, 0), 6, (2, 0)),
]


@pytest.mark.parametrize("with_network", [True, False])
@pytest.mark.parametrize(("kind", "name", "at", "neuron", "coordinates"), CORRUPTIONS)
def test_one_changed_bit_is_located(
    kind: str, name: str, at: tuple[int, ...], neuron: int | None, coordinates: tuple[int, ...], with_network: bool
) -> None:
    net = network()
    a = recording(net)
    b = with_value(a, kind, name, at, lambda value: value ^ 1)
    divergence = found(a, b, net if with_network else None)
    assert (divergence.population, divergence.variable) == (name, kind)
    assert (divergence.step, divergence.sample) == at[:2]
    assert (divergence.neuron, divergence.coordinates) == (neuron, coordinates)
    assert divergence.value_a ^ 1 == divergence.value_b  # type: ignore[operator]  # integers
    counts = report(a, b, net).tallies
    assert [key for key, tally in counts.items() if tally.mismatches] == [(name, kind)]
    assert counts[name, kind].mismatches == 1


def test_one_changed_output_is_located() -> None:
    net = network()
    a = recording(net)
    b = with_value(a, "output", "", (2, 1), lambda value: value + 1)
    divergence = found(a, b, net)
    assert str(divergence) == f"out: output at step 5, sample 2, neuron (1,): {a.output[2, 1]} != {a.output[2, 1] + 1}"
    assert found(a, b).population == "output"


@pytest.mark.parametrize("fixed", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_the_same_is_equal(kind: str, fixed: bool) -> None:
    net, events = random_case(np.random.default_rng(3), kind, fixed=fixed)
    a, b = simulate(net, events), simulate(net, events)
    assert compare(a, b) is None
    whole = report(a, b, net)
    assert compare(a, b, net) is None
    assert whole.equal
    assert whole.total.mismatches == whole.total.rounded == whole.total.caused == 0
    parts = (a.membrane, a.current, a.sam, a.counts, a.saturated, a.wrapped, a.other_outputs)
    sizes = [len(a.operations), *(x.size for part in parts for x in part.values())]
    assert whole.total.compared == sum(sizes) + sum(s.dense().size for s in a.spikes.values()) + a.output.size


def test_the_earliest_step_comes_first_then_the_order_of_evaluation_then_the_variable() -> None:
    net = network()
    a = recording(net)
    chain = [
        ("sam", "conv2", (5, 0, 0, 0)),
        ("membrane", "out", (4, 0, 0)),
        ("spikes", "conv2", (4, 0, 0, 0, 0)),
        ("sam", "conv1", (4, 2, 3, 3)),
        ("spikes", "conv1", (4, 2, 3, 3, 3)),
        ("spikes", "conv1", (4, 2, 3, 3, 2)),
        ("spikes", "conv1", (4, 1, 3, 3, 3)),
        ("membrane", "conv1", (4, 2, 3, 3, 3)),
        ("current", "conv1", (4, 2, 3, 3, 3)),
        ("membrane", "out", (3, 0, 0)),
    ]
    b = with_value(a, "output", "", (0, 0), lambda value: value + 1)
    assert found(a, b, net).variable == "output"
    for kind, name, at in chain:
        b = with_value(b, kind, name, at, lambda value: value ^ 1)
        divergence = found(a, b, net)
        assert (divergence.variable, divergence.population, divergence.step, divergence.sample) == (kind, name, *at[:2])


def test_order_without_a_network_is_that_of_the_recording() -> None:
    a = recording(network())
    a = replace(a, counts={}, spikes=dict(reversed(list(a.spikes.items()))), membrane={}, current={}, sam={})
    b = with_value(a, "spikes", "conv1", (1, 0, 0, 0, 0), lambda value: value ^ 1)
    b = with_value(b, "spikes", "conv2", (1, 0, 0, 0, 0), lambda value: value ^ 1)
    assert found(a, b).population == "conv2"
    assert found(a, b, network()).population == "conv1"


def test_first_divergence_of_each_sample() -> None:
    net = network()
    a = recording(net)
    b = with_value(a, "spikes", "conv2", (1, 2, 0, 0, 0), lambda value: value ^ 1)
    b = with_value(b, "spikes", "conv1", (3, 0, 0, 0, 0), lambda value: value ^ 1)
    b = with_value(b, "spikes", "conv1", (4, 0, 0, 0, 0), lambda value: value ^ 1)
    whole = report(a, b, net)
    assert [(d.sample, d.step, d.population) for d in whole.first] == [(0, 3, "conv1"), (2, 1, "conv2")]
    assert whole.divergence == whole.first[1]
    assert whole.tallies["conv1", "spikes"] == Tally(compared=6 * 3 * 64, mismatches=2)
    assert not whole.equal


def test_distance_of_a_wrong_spike_is_told_in_membrane_units() -> None:
    net = network()
    a = recording(net)
    step, sample, c, y, x = (int(i) for i in np.argwhere(a.spikes["conv1"].dense() == 0)[0])
    b = with_value(a, "spikes", "conv1", (step, sample, c, y, x), lambda _: 1)
    distance = (80 << 6) - int(a.membrane["conv1"][step, sample, c, y, x])
    assert found(a, b, net).distance == distance
    assert found(b, a, net).distance == distance
    assert found(a, b).distance is None
    assert "below the network's threshold" in str(found(a, b, net))


@pytest.mark.parametrize("fixed", [True, False])
def test_one_changed_weight_bit_is_found_in_the_network_and_in_the_run(fixed: bool) -> None:
    net = network(fixed)
    projection = net.projections[1]
    weight = projection.synapse.weight.copy()
    old = weight[2, 3, 0, 1].item()
    weight[2, 3, 0, 1] = old + 1
    changed = replace(projection, synapse=replace(projection.synapse, weight=weight))
    other = replace(net, projections=(net.projections[0], changed, *net.projections[2:]))
    difference = compare_networks(net, other)
    assert str(difference) == f"projection conv1->conv2: weight[2, 3, 0, 1]: {old} != {old + 1}"
    divergence = found(recording(net), recording(other), net)
    assert (divergence.population, divergence.variable, divergence.coordinates[0]) == ("conv2", "current", 2)


# --- refusals ---------------------------------------------------------------------------------------------------------


def test_what_only_one_side_holds_is_listed_and_not_compared() -> None:
    net = network()
    a = recording(net)
    b = replace(a, backend="other", sam={}, membrane={"conv1": a.membrane["conv1"]})
    whole = report(a, b, net)
    assert whole.equal
    assert whole.not_compared == (
        "conv1: sam (only in oracle)",
        "conv2: membrane (only in oracle)",
        "conv2: sam (only in oracle)",
        "out: membrane (only in oracle)",
    )
    assert ("conv1", "sam") not in whole.tallies


def test_comparing_nothing_is_an_error() -> None:
    a = Recording("a", steps=3, samples=0, output=np.zeros((0, 2), dtype=np.int32))
    with pytest.raises(NeurosamError, match="nothing can be compared"):
        compare(a, replace(a, backend="b"))


def test_recordings_of_another_form_are_refused() -> None:
    net = network()
    a = recording(net)
    for other, message in (
        (replace(a, steps=7), r"in: counts: has shape \(6, 3\) in 'oracle', whose 7 steps of 3 samples come first"),
        (replace(a, samples=2), "have 3 and 2 samples"),
        (replace(a, output=a.output[:, :1]), r"output: has shape \(1, 3, 2\) in 'oracle' and \(1, 3, 1\)"),
        (replace(a, membrane={**a.membrane, "conv1": a.membrane["conv1"][1:]}), "conv1: membrane: has shape"),
        (replace(a, membrane={**a.membrane, "conv1": a.membrane["conv1"] * 1.0}), "int32 in 'oracle' and float64"),
        (replace(a, sam_scale={"conv1": 2.0, "conv2": 2.0}), "has scale"),
        (replace(a, membrane={"nobody": a.membrane["conv1"]}), "is not in the network"),
    ):
        with pytest.raises(NeurosamError, match=message):
            compare(a, other, net)


def test_integers_have_no_tolerance() -> None:
    a = recording(network())
    with pytest.raises(NeurosamError, match="tolerance"):
        report(a, a, tolerance=1e-9)
    b = recording(network(False))
    with pytest.raises(NeurosamError, match="tolerance"):
        report(b, b, tolerance=-1.0)


# --- float64: what rounding explains ----------------------------------------------------------------------------------


def two_layers(reset: str = "zero", threshold: float = 0.3) -> ns.Network:
    """In (3) -> a (2) -> b (2) -> out; a[0] can get 0.1 + 0.2, which is 0.30000000000000004 in float64, a[1] 0.7."""
    weight = np.array([[0.1, 0.2, 0.0], [0.1, 0.0, 0.7]])
    return ns.Network(
        (
            ns.Population("in", (3,)),
            ns.Population("a", (2,), ns.LIF(0.5, threshold, reset)),
            ns.Population("b", (2,), ns.LIF(0.5, 0.9, "zero")),
            ns.Population("out", (1,), ns.Readout()),
        ),
        (
            ns.Projection("in", "a", ns.Dense(weight)),
            ns.Projection("a", "b", ns.Dense(np.eye(2))),
            ns.Projection("b", "out", ns.Dense(np.ones((1, 2)))),
        ),
        sam={"a": SamTrace(0.5, "inclusive"), "b": SamTrace(0.5)},
    )


def both_sides(
    net: ns.Network, nudge: float, steps: int = 3, first: int = 0, neuron: int = 0
) -> tuple[Recording, Recording]:
    """The same input, where side b moves the threshold of one neuron of `a`: it stays silent when side a fires."""
    dense = np.zeros((steps, 2, 3), dtype=np.uint8)
    dense[first, 1, :2] = 1
    dense[first + 1, :, 2] = 1
    events = ns.Events.from_dense(dense)
    lif = net["a"].neuron
    assert isinstance(lif, ns.LIF)
    threshold = np.full(2, lif.threshold)
    threshold[neuron] += nudge
    other = replace(net, populations=tuple(replace(p, neuron=replace(lif, threshold=threshold)) if p.name == "a" else p
                                           for p in net.populations))  # fmt: skip
    return simulate(net, events), replace(simulate(other, events), backend="other")


@pytest.mark.parametrize("reset", ["zero", "subtract"])
def test_a_spike_that_rounding_decides_is_listed_and_its_consequences_are_not_judged(reset: str) -> None:
    net = two_layers(reset)
    a, b = both_sides(net, 1e-15)
    assert a.spikes["a"].dense()[0, 1].tolist() == [1, 0]
    assert b.spikes["a"].dense()[0, 1].tolist() == [0, 0]
    whole = report(a, b, net)
    assert whole.equal
    assert whole.divergence is None
    assert compare(a, b, net) is None
    (near,) = whole.rounded
    assert (near.population, near.step, near.sample, near.neuron, near.variable) == ("a", 0, 1, 0, "spikes")
    assert near.distance is not None
    assert abs(near.distance) < 1e-15
    spikes = whole.tallies["a", "spikes"]
    assert (spikes.rounded, spikes.mismatches) == (1, 0)
    assert whole.tallies["a", "membrane"].caused == 3  # 0 against 0.3, 0.15, 0.075
    assert whole.tallies["a", "counts"].caused == 1
    assert whole.tallies["a", "sam"].caused == 1
    assert whole.tallies["b", "spikes"].caused == 1
    assert whole.tallies["out", "output"].caused == 1
    assert compare(a, b) is not None  # without the network no distance is known, so nothing is excused


@pytest.mark.parametrize(("threshold", "nudge", "neuron", "step", "distance"), [
    (0.3 - 1e-6, 2e-6, 0, 0, -1e-6),  # a near miss, yet a thousand times further than rounding
    (0.3, 0.5, 1, 1, -0.45),
])  # fmt: skip
def test_a_spike_far_from_threshold_is_a_divergence(
    threshold: float, nudge: float, neuron: int, step: int, distance: float
) -> None:
    net = two_layers(threshold=threshold)
    a, b = both_sides(net, nudge, neuron=neuron)
    whole = report(a, b, net)
    assert not whole.equal
    assert whole.rounded == ()
    divergence = whole.first[-1]
    assert (divergence.population, divergence.step, divergence.sample, divergence.neuron) == ("a", step, 1, neuron)
    assert divergence.distance == pytest.approx(distance)
    assert "above the network's threshold" in str(divergence)


def test_consequences_reach_only_where_they_can() -> None:
    net = two_layers()
    a, b = both_sides(net, 1e-15)
    excused = (
        with_value(b, "membrane", "a", (2, 1, 0), lambda v: v + 1),  # the same neuron, later
        with_value(b, "membrane", "b", (0, 1, 1), lambda v: v + 1),  # downstream, same own step
        with_value(b, "membrane", "out", (1, 1, 0), lambda v: v + 1),
    )
    for changed in excused:
        assert report(a, changed, net).equal
    judged = (
        ("membrane", "a", (0, 1, 1)),  # another neuron of the same population
        ("membrane", "a", (0, 0, 0)),  # another sample
        ("membrane", "b", (2, 0, 0)),
        ("spikes", "a", (1, 1, 1)),
    )
    for kind, name, at in judged:
        divergence = found(a, with_value(b, kind, name, at, lambda v: 1 - v), net)
        assert (divergence.variable, divergence.population, divergence.step, divergence.sample) == (kind, name, *at[:2])


def test_values_before_a_rounded_spike_are_judged() -> None:
    net = two_layers()
    a, b = both_sides(net, 1e-15, first=1)
    assert report(a, b, net).rounded[0].step == 1
    assert report(a, with_value(b, "membrane", "out", (1, 1, 0), lambda v: v + 1), net).equal
    divergence = found(a, with_value(b, "membrane", "out", (0, 1, 0), lambda v: v + 1), net)
    assert (divergence.population, divergence.step) == ("out", 0)


def test_a_fired_side_far_above_threshold_is_no_rounding() -> None:
    net = two_layers("subtract")
    a, b = both_sides(net, 1e-15)
    wrong = with_value(a, "membrane", "a", (0, 1, 0), lambda v: v + 0.5)
    assert not report(wrong, b, net).equal


def test_floats_may_differ_by_rounding_only() -> None:
    net = network(False)
    a = recording(net)
    for kind, name, at in (
        ("membrane", "conv1", (2, 1, 0, 1, 1)),
        ("current", "conv2", (3, 0, 2, 1, 1)),
        ("sam", "conv1", (5, 2, 0, 1)),
    ):
        bound = 1e-9 * (1.0 if kind == "sam" else magnitude(net, name))
        value = getattr(a, kind)[name][at]
        near, far = value + bound / 2, value + 100 * bound
        assert compare(a, with_value(a, kind, name, at, partial(to, near)), net) is None
        worse = with_value(a, kind, name, at, partial(to, far))
        assert found(a, worse, net).variable == kind
        assert report(a, worse, net, tolerance=1e-6).equal
        assert not report(a, with_value(a, kind, name, at, lambda v: float("nan")), net).equal
    assert not report(a, with_value(a, "membrane", "conv1", (2, 1, 0, 1, 1), lambda v: v + 1e-12), net, 0.0).equal


def test_magnitude_is_what_a_step_can_add_up() -> None:
    weight = np.array([[1.0, -2.0], [0.5, 0.25]])
    gain, offset = np.array([[2.0], [-3.0]]), np.array([[0.1], [-0.4]])
    lif = ns.LIF(0.9, 2.0, "subtract", 1.5, 0.125, gain=gain, offset=offset)
    net = ns.Network(
        (
            ns.Population("in", (2,), magnitude=4),
            ns.Population("a", (2,), lif),
            ns.Population("out", (2,), ns.Readout(0.5)),
        ),
        (ns.Projection("in", "a", ns.Dense(weight)), ns.Projection("a", "out", ns.Dense(weight))),
    )
    assert magnitude(net, "a") == pytest.approx(3 * 4 * 3 + 0.4 + 0.125 + 2.0 + 1.5)
    assert magnitude(net, "out") == pytest.approx(3 + 0.5)


def test_reach_is_the_least_lag() -> None:
    net = network()
    assert reach(net, "in") == {"conv1": 0, "conv2": 0, "out": 0}
    loop = ns.Network(
        (
            ns.Population("in", (1,)),
            ns.Population("a", (1,), ns.LIF(0.9, 1.0)),
            ns.Population("b", (1,), ns.LIF(0.9, 1.0)),
        ),
        (
            ns.Projection("in", "a", ns.Dense([[1.0]])),  # type: ignore[arg-type]  # a list is an array-like
            ns.Projection("a", "b", ns.Dense([[1.0]])),  # type: ignore[arg-type]
            ns.Projection("b", "a", ns.Dense([[1.0]]), delay=2),  # type: ignore[arg-type]
        ),
    )
    assert reach(loop, "a") == {"a": 3, "b": 0}
    assert reach(loop, "b") == {"a": 3, "b": 3}


# --- networks ---------------------------------------------------------------------------------------------------------


def test_networks_that_are_equal() -> None:
    assert compare_networks(network(), network()) is None
    assert compare_networks(network(False), network(False)) is None


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda n: replace(n, outputs="conv2"), "outputs: (out) != (conv2)"),
        (lambda n: replace(n, precision=ns.Precision.nxsdk()), "precision: name: lava != nxsdk"),
        (lambda n: replace(n, sam={"conv1": n.sam["conv1"]}), "sam: (conv1, conv2) != (conv1)"),
        (lambda n: n.with_sam(SamTrace(0.5, "official"), ["conv2"]), "sam conv2: mode: strict != official"),
        (
            lambda n: replace(n, populations=(*n.populations[:3], ns.Population("exit", (2,), ns.FixedReadout())),
                              projections=(*n.projections[:3], replace(n.projections[3], target="exit")),
                              outputs="exit"),
            "populations: (in, conv1, conv2, out) != (in, conv1, conv2, exit)",
        ),
        (lambda n: replace(n, projections=(replace(n.projections[0], delay=2), *n.projections[1:])),
         "projection in->conv1: delay: 1 != 2"),
        (lambda n: replace(n, populations=(n.populations[0], replace(n.populations[1], neuron=ns.FixedLIF(300, 81)),
                                           *n.populations[2:])),
         "population conv1: neuron.threshold: 80 != 81"),
        (lambda n: n.with_sam(SamTrace(0.1), ["conv2"]), "sam conv2: table: int64 (25,) != int64 (119,)"),
        (lambda n: replace(n, metadata={"by": "hand"}), "metadata 'by': None != hand"),
    ],
)  # fmt: skip
def test_the_first_difference_of_networks(change: Callable[[ns.Network], ns.Network], text: str) -> None:
    net = network()
    other = change(net)
    assert net != other
    assert str(compare_networks(net, other)) == text


def test_metadata_can_be_left_out_and_float_bits_count() -> None:
    net = network(False)
    assert compare_networks(net, replace(net, metadata={"by": "hand"}), metadata=False) is None
    weight = net.projections[3].synapse.weight.copy()
    weight[1, 5] = np.nextafter(weight[1, 5], 1e9)
    other = replace(net, projections=(*net.projections[:3], replace(net.projections[3], synapse=ns.Dense(weight))))
    difference = compare_networks(net, other)
    assert difference is not None
    assert difference.path == "projection conv2->out: weight[1, 5]"
    assert difference.value_b == weight[1, 5]
    assert compare_networks(net, network()) is not None


# --- reports ----------------------------------------------------------------------------------------------------------


def test_a_report_is_json_and_a_table() -> None:
    from rich.console import Console

    net = two_layers()
    whole = report(*both_sides(net, 0.5, neuron=1), net)
    data = json.loads(whole.to_json())
    assert data == whole.to_dict()
    assert data["equal"] is False
    assert data["backends"] == ["oracle", "other"]
    assert data["total"]["mismatches"] == whole.total.mismatches > 0
    assert {line["variable"] for line in data["variables"]} <= {*VARIABLES, "operations"}
    assert data["first"][0]["population"] == "a"
    console = Console(width=160)
    with console.capture() as capture:
        console.print(whole.table())
    text = capture.get()
    assert "NOT equal" in text
    assert "first divergence: a: membrane at step 1, sample 0, neuron (1,)" in text
    with console.capture() as capture:
        console.print(report(*both_sides(net, 1e-15), net).table())
    assert "NOT" not in capture.get()


def test_non_finite_values_survive_json() -> None:
    net = network(False)
    a = recording(net)
    b = with_value(a, "membrane", "conv1", (0, 0, 0, 0, 0), lambda v: float("nan"))
    assert json.loads(report(a, b, net).to_json())["first"][0]["value_b"] == "nan"


# --- verify -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def fakes(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """Back ends made of the oracle: "good", "also" and "bad", which flips one spike of its second chunk."""
    calls: list[tuple[str, int]] = []

    def run(net: ns.Network, inputs: Inputs, backend: str, record: Record, **options: Any) -> Recording:
        calls.append((backend, inputs.samples))
        made = replace(simulate(net, inputs[net.input.name]), backend=backend)
        if backend == "bad" and sum(name == "bad" for name, _ in calls) == 2:
            return with_value(made, "spikes", "conv2", (3, 1, 2, 1, 0), lambda v: v ^ 1)
        return made

    monkeypatch.setattr(comparison, "run", run)
    return calls


def test_verify_runs_in_chunks_and_locates_by_the_whole_input(
    fakes: list[tuple[str, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    net = network()
    images = np.random.default_rng(1).random((5, 1, 6, 6))
    events = ns.encode(images, 4)
    cells = 36 + 64 + 27 + 2
    monkeypatch.setattr(comparison, "CHUNK_BYTES", 64 * cells * 4 * 2)
    seen: list[tuple[int, int]] = []
    reports = verify(net, events, ("good", "also", "bad"), progress=lambda done, total: seen.append((done, total)))
    assert seen == [(2, 5), (4, 5), (5, 5)]
    assert [samples for name, samples in fakes if name == "good"] == [2, 2, 1]
    assert list(reports) == ["also", "bad"]
    assert reports["also"].equal
    assert reports["also"].samples == 5
    assert reports["also"].backends == ("good", "also")
    assert reports["also"].tallies["conv1", "spikes"].compared == 4 * 5 * 64
    bad = reports["bad"]
    assert not bad.equal
    assert bad.total.mismatches == 1
    divergence = bad.divergence
    assert divergence is not None
    assert (divergence.sample, divergence.step, divergence.coordinates) == (3, 3, (2, 1, 0))


def test_verify_refuses_to_compare_nothing(fakes: list[tuple[str, int]]) -> None:
    net = network()
    events = ns.encode(np.zeros((1, 1, 6, 6)), 2)
    for names in ((), ("good",), ("good", "good")):
        with pytest.raises(NeurosamError, match="different"):
            verify(net, events, names)
    with pytest.raises(NeurosamError, match="no samples"):
        verify(net, events.select(0, 0), ("good", "also"))


@pytest.mark.parametrize("fixed", [True, False])
def test_verify_real_back_ends(fixed: bool) -> None:
    net = network(fixed)
    events = ns.encode(np.random.default_rng(1).random((3, 1, 6, 6)), 8)
    reports = verify(net, events)
    assert list(reports) == ["event"]
    assert reports["event"].equal
    assert reports["event"].not_compared == ()
    assert reports["event"].tallies["conv2", "spikes"].compared == 8 * 3 * 27
