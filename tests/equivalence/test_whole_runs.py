"""Everything that a run gives is compared: one changed number, wherever it is, is found and named."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import neurosam as ns
from neurosam.equivalence import comparison
from neurosam.equivalence.comparison import compare, report, verify
from neurosam.equivalence.network_diff import compare_networks
from neurosam.errors import NeurosamError
from neurosam.signals.recording import Recording, Spikes

Array = npt.NDArray[Any]
Change = Callable[[Recording], Recording]


def network(fixed: bool = True) -> ns.Network:
    """Two inputs; populations that keep every kind of state; an answer of each kind."""
    rng = np.random.default_rng(0)

    def dense(*shape: int) -> ns.Dense:
        w = rng.integers(-40, 90, shape)
        return ns.Dense(w.astype(np.int8) if fixed else w / 64)

    if fixed:
        first: Any = ns.FixedLIF(
            300, 90, current_decay=2000, refractory=1, threshold_decay=400, threshold_step_64ths=99
        )
        relative: Any = ns.FixedLIF(200, 80, "relative", relative_decay=900)
        several: Any = ns.FixedLIF(100, 40, max_spikes=5, fires="at", lower_bound_64ths=-2000)
        readout: Any = ns.FixedReadout(membrane_decay=100)
    else:
        first = ns.LIF(0.9, 1.5, current_leak=0.5, refractory=1, threshold_leak=0.9, threshold_step=0.1)
        relative = ns.LIF(0.95, 1.25, "relative", relative_leak=0.75)
        several = ns.LIF(0.97, 0.6, max_spikes=5, fires="at", lower_bound=-0.5)
        readout = ns.Readout(leak=0.97)
    net = ns.Network(
        (
            ns.Population("left", (3,)), ns.Population("right", (2, 1, 2), magnitude=2),
            ns.Population("first", (4,), first), ns.Population("relative", (2, 1, 2), relative),
            ns.Population("several", (3,), several), ns.Population("out", (2,), readout),
            ns.Population("mean", (2,), readout), ns.Population("most", (2,), readout),
        ),
        (
            ns.Projection("left", "first", dense(4, 3)), ns.Projection("right", "first", dense(4, 4), delay=3),
            ns.Projection("right", "relative", dense(4, 4)), ns.Projection("first", "several", dense(3, 4)),
            ns.Projection("relative", "several", dense(3, 4)), ns.Projection("several", "out", dense(2, 3)),
            ns.Projection("several", "mean", dense(2, 3)), ns.Projection("several", "most", dense(2, 3)),
        ),
        outputs={"out": "last", "mean": "mean", "most": "max", "several": "count"},
        check_alignment=False,  # lags are wanted
    )  # fmt: skip
    return net.with_sam(ns.SamTrace(0.5, "official"), ["first"])


def inputs(steps: int = 12, samples: int = 2) -> dict[str, ns.Events]:
    rng = np.random.default_rng(3)
    left, right = rng.integers(0, 2, (steps, samples, 3)), rng.integers(-2, 3, (steps, samples, 2, 1, 2))
    return {"left": ns.Events.from_dense(left), "right": ns.Events.from_dense(right)}


def recorded(net: ns.Network) -> Recording:
    return ns.run(net, inputs(), "reference", ns.Record.everything(net), keep_state=True)


def changed(x: Array) -> Array:
    """A copy with its last number changed."""
    y = np.array(x)
    y.reshape(-1)[-1] += 1
    return y


def with_entry(mapping: Any, name: str, value: Any) -> dict[str, Any]:
    return {**mapping, name: value}


def single_changes(made: Recording) -> Iterator[tuple[str, str, Change]]:
    """(population, variable, change) for every array that a recording holds."""
    yield "out", "output", lambda r: replace(r, output=changed(r.output))
    for name in made.other_outputs:
        yield (
            name,
            "output",
            lambda r, n=name: replace(  # type: ignore[misc]
                r, other_outputs=with_entry(r.other_outputs, n, changed(r.other_outputs[n]))
            ),
        )
    for kind in ("membrane", "current", "sam", "counts", "saturated", "wrapped"):
        for name in getattr(made, kind):
            yield (
                name,
                kind,
                lambda r, n=name, k=kind: replace(  # type: ignore[misc]
                    r, **{k: with_entry(getattr(r, k), n, changed(getattr(r, k)[n]))}
                ),
            )
    for name in made.spikes:
        yield (
            name,
            "spikes",
            lambda r, n=name: replace(  # type: ignore[misc]
                r, spikes=with_entry(r.spikes, n, Spikes.from_dense(changed(r.spikes[n].dense()), graded=True))
            ),
        )
    state = made.state
    assert state is not None
    for name, held in state.neurons.items():
        for variable in held:
            yield name, f"state.{variable}", lambda r, n=name, v=variable: replace(  # type: ignore[misc]
                r, state=replace(r.state, neurons=with_entry(
                    r.state.neurons, n, with_entry(r.state.neurons[n], v, changed(r.state.neurons[n][v]))
                )),
            )  # fmt: skip
    for part in ("recent", "answers"):
        for name in getattr(state, part):
            yield (
                name,
                f"state.{part}",
                lambda r, n=name, k=part: replace(  # type: ignore[misc]
                    r,
                    state=replace(r.state, **{k: with_entry(getattr(r.state, k), n, changed(getattr(r.state, k)[n]))}),
                ),
            )


@pytest.mark.parametrize("with_network", [True, False])
@pytest.mark.parametrize("fixed", [True, False])
def test_one_changed_number_is_found_wherever_it_is(fixed: bool, with_network: bool) -> None:
    net = network(fixed)
    given = net if with_network else None
    made = recorded(net)
    assert compare(made, made, given) is None
    kinds = set()
    for population, variable, change in single_changes(made):
        divergence = compare(made, change(made), given)
        assert divergence is not None, (population, variable)
        expected = "output" if (population, variable, with_network) == ("out", "output", False) else population
        assert (divergence.population, divergence.variable) == (expected, variable)
        assert divergence.value_b == divergence.value_a + 1
        assert (divergence.step, divergence.sample) == (11, 1)
        assert (divergence.neuron is None) == (variable in ("counts", "saturated", "wrapped"))
        kinds.add(variable)
    states = {f"state.{name}" for name in ("u", "v", "wait", "h", "r", "trace", "last", "fired", "recent", "answers")}
    counted = {"saturated", "wrapped"} if fixed else set()
    assert kinds == {"output", "membrane", "current", "sam", "counts", "spikes"} | states | counted


def test_every_field_of_a_recording_is_compared_or_describes_the_run() -> None:
    """A field that is added to Recording has to be compared, or named here."""
    description = {"backend", "steps", "samples", "sam_scale", "time_s", "first_step"}
    compared = {"output", "other_outputs", "spikes", "sam", "membrane", "current", "counts", "saturated", "wrapped"}
    compared |= {"operations"}
    assert {f.name for f in fields(Recording)} == description | compared | {"state"}


def test_how_often_a_neuron_fired_is_compared_not_only_whether() -> None:
    net = network()
    made = recorded(net)
    spikes = made.spikes["several"].dense()
    assert spikes.max() > 1
    at = tuple(int(i) for i in np.argwhere(spikes > 1)[0])
    fewer = spikes.copy()
    fewer[at] -= 1
    other = replace(made, spikes={**made.spikes, "several": Spikes.from_dense(fewer, graded=True)})
    assert np.array_equal(other.spikes["several"].planes, made.spikes["several"].planes)
    divergence = compare(made, other, net)
    assert divergence is not None
    assert (divergence.variable, divergence.step, divergence.value_a) == ("spikes", at[0], spikes[at])
    assert divergence.value_b == spikes[at] - 1
    only_planes = replace(made, spikes={**made.spikes, "several": Spikes.from_dense(spikes)})
    assert report(made, only_planes, net).tallies["several", "spikes"].mismatches == int((spikes > 1).sum())


def test_means_of_integers_have_no_tolerance() -> None:
    net = network()
    made = recorded(net)
    mean = made.other_outputs["mean"].copy()
    mean[0, 1] = np.nextafter(mean[0, 1], np.inf)
    other = replace(made, other_outputs={**made.other_outputs, "mean": mean})
    for given in (net, None):
        divergence = compare(made, other, given)
        assert divergence is not None
        assert (divergence.population, divergence.variable) == ("mean", "output")
    with pytest.raises(NeurosamError, match="integers have none"):
        report(made, made, net, tolerance=1e-9)


def test_what_only_one_recording_holds_of_a_whole_run_is_listed() -> None:
    net = network()
    made = recorded(net)
    other = replace(made, backend="other", saturated={}, state=None, other_outputs={"mean": made.other_outputs["mean"]})
    result = report(made, other, net)
    assert result.equal
    missing = set(result.not_compared)
    assert {"first: saturated (only in reference)", "first: state.wait (only in reference)",
            "right: state.recent (only in reference)", "several: output (only in reference)"} <= missing  # fmt: skip
    assert not any("wrapped" in line or "mean: output" in line for line in missing)


def test_states_of_different_times_are_refused() -> None:
    net = network()
    made = recorded(net)
    assert made.state is not None
    later = replace(made, state=replace(made.state, step=13))
    with pytest.raises(NeurosamError, match="end at own steps 12 and 13"):
        compare(made, later, net)


def test_verify_takes_several_inputs_and_a_state_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Back ends made of the reference: "bad" changes the final membrane of the last sample."""
    net = network()
    run = ns.run

    def fake(net: ns.Network, events: Any, backend: str, record: ns.Record, **options: Any) -> Recording:
        made = replace(run(net, events, "reference", record, **options), backend=backend)
        v = made.state.neurons["out"]["v"]  # type: ignore[union-attr]
        started.append(options["initial"].neurons["out"]["v"].tolist())
        if backend == "good" or v.shape[0] == 2:
            return made
        return {name: change for _, name, change in single_changes(made)}["state.v"](made)

    started: list[list[list[int]]] = []
    monkeypatch.setattr(comparison, "run", fake)
    size = sum(int(np.prod(p.shape)) for p in net.populations)
    monkeypatch.setattr(comparison, "CHUNK_BYTES", 64 * size * 12 * 2)
    before = run(net, inputs(samples=3), "reference", keep_state=True)
    start = before.state
    result = verify(net, inputs(samples=3), ("good", "bad"), initial=start, keep_state=True)["bad"]
    assert result.samples == 3
    assert [(d.population, d.variable, d.sample, d.step) for d in result.first] == [("most", "state.v", 2, 11)]
    assert start is not None
    v = start.neurons["out"]["v"].tolist()
    assert started == [v[:2], v[:2], v[2:], v[2:]]


def test_a_rounded_spike_of_an_adaptive_neuron_excuses_its_state_and_what_it_reaches() -> None:
    """Side b moves the thresholds of `several` by one part in 10^15, so that a tie is decided otherwise."""
    weight = np.array([[0.1, 0.2]])
    lif = ns.LIF(1.0, 0.3, threshold_leak=0.5, threshold_step=0.25, max_spikes=3, reset_amount=0.3)

    def net(neuron: ns.LIF) -> ns.Network:
        made = ns.Network(
            (ns.Population("in", (2,)), ns.Population("a", (1,), neuron), ns.Population("out", (1,), ns.Readout())),
            (ns.Projection("in", "a", ns.Dense(weight)), ns.Projection("a", "out", ns.Dense(np.ones((1, 1))))),
            outputs={"out": "mean", "a": "count"},
        )
        return made.with_sam(ns.SamTrace(0.5), ["a"])

    events = ns.Events.from_dense(np.array([[[1, 1]], [[0, 0]], [[0, 0]]]))
    record = ns.Record.everything(net(lif))
    a, b = (
        ns.run(net(replace(lif, threshold=lif.threshold + nudge)), events, "reference", record, keep_state=True)
        for nudge in (0.0, 1e-15)
    )
    assert (a.spikes["a"].count(), b.spikes["a"].count()) == (1, 0)
    result = report(a, replace(b, backend="other"), net(lif))
    assert result.equal
    assert [(d.population, d.step) for d in result.rounded] == [("a", 0)]
    for key in (("a", "state.h"), ("a", "state.trace"), ("a", "output"), ("out", "output"), ("out", "state.answers")):
        assert result.tallies[key].caused == 1, key
    assert compare(a, replace(b, state=replace(a.state, step=3)), net(lif)) is None  # type: ignore[type-var]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"fires": "at"}, "population a: neuron.fires: above != at"),
        ({"refractory": 2}, "population a: neuron.refractory: 0 != 2"),
        ({"lower_bound_64ths": -5}, "population a: neuron.lower_bound_64ths: None != -5"),
        ({"reset_amount_64ths": 65}, "population a: neuron.reset_amount_64ths: 64 != 65"),
        ({"max_spikes": 3}, "population a: neuron.max_spikes: 1 != 3"),
        ({"threshold": np.array([1, 1, 2])}, "population a: neuron.threshold[2]: 1 != 2"),
        ({"membrane_decay": np.arange(6).reshape(3, 1, 2) % 5}, "population a: neuron.membrane_decay[0, 0, 1]: 0 != 1"),
        ({"initial_membrane_64ths": 7}, "population a: neuron.initial_membrane_64ths: 0 != 7"),
    ],
)
def test_the_first_difference_of_two_neurons(change: dict[str, Any], text: str) -> None:
    def net(**options: Any) -> ns.Network:
        lif = ns.FixedLIF(**{"membrane_decay": 0, "threshold": 1, "reset_amount_64ths": 64, **options})
        return ns.Network(
            (ns.Population("in", (6,)), ns.Population("a", (3, 1, 2), lif)),
            (ns.Projection("in", "a", ns.Sparse.one_to_one((3, 1, 2), 1)),),
        )

    assert str(compare_networks(net(), net(**change))) == text


def test_networks_that_answer_otherwise() -> None:
    net = network()
    other = replace(net, outputs={**net.answers, "mean": "max"})
    assert str(compare_networks(net, other)) == "output mean: mean != max"
    assert str(compare_networks(net, replace(net, outputs=("out", "mean")))) == (
        "outputs: (out, mean, most, several) != (out, mean)"
    )
