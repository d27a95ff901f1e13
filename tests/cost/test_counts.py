"""Counts of a run on a mapping: all of them against one spike and one synapse at a time, on random networks."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import neurosam as ns
from neurosam.errors import ArgumentError, NeurosamError
from neurosam.metrics.connections import deliveries
from neurosam.signals.recording import Recording, Spikes
from neurosam_hw.cost import firing, traffic
from neurosam_hw.cost.counts import Counts, count
from neurosam_hw.errors import MappingError
from neurosam_hw.mapping.mapping import CoreMapping
from neurosam_hw.mapping.piece import Piece
from support.chip_oracle import FIELDS, census, depths
from support.mappings import Inputs, hardware_case, mesh_chip, on_one_core, random_mapping
from support.networks import KINDS

SEEDS = range(8)


def drawn(seed: int, kind: str, *, fixed: bool = True) -> tuple[np.random.Generator, ns.Network, Inputs, Recording]:
    """A random network that a chip can hold, and its run."""
    rng = np.random.default_rng(seed)
    while True:
        network, inputs = hardware_case(rng, kind, fixed=fixed)
        if depths(network) is not None:
            return rng, network, inputs, ns.run(network, inputs, "reference", ns.Record.everything(network))


def stacked(counts: Counts) -> npt.NDArray[np.int64]:
    """All counts in the order of FIELDS, ``[S, B, cores, fields]``."""
    arrays: list[Any] = [counts.deliveries[n] if n in counts.deliveries else getattr(counts, n) for n in FIELDS]
    assert all(array.dtype == np.int64 for array in arrays)
    return np.stack(arrays, axis=-1)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", SEEDS)
def test_every_count_is_that_of_single_spikes_and_synapses(seed: int, kind: str) -> None:
    rng, network, inputs, recording = drawn(seed, kind, fixed=seed % 3 > 0)
    mapping = random_mapping(rng, network)
    expected = census(mapping, recording, inputs)
    found = stacked(count(mapping, recording, inputs))
    for at, name in enumerate(FIELDS):
        assert np.array_equal(found[..., at], expected[..., at]), name


def test_the_random_runs_hold_all_that_is_counted() -> None:
    """Or the comparison above would show nothing."""
    total = np.zeros(len(FIELDS), dtype=np.int64)
    for seed, kind in enumerate(KINDS):
        rng, network, inputs, recording = drawn(seed, kind)
        total += stacked(count(random_mapping(rng, network), recording, inputs)).sum(axis=(0, 1, 2))
    assert total.min() > 5, dict(zip(FIELDS, total.tolist(), strict=True))


@pytest.mark.parametrize("kind", KINDS)
def test_a_window_of_steps_is_the_beginning(kind: str) -> None:
    rng, network, inputs, recording = drawn(2, kind)
    mapping = random_mapping(rng, network)
    whole = stacked(count(mapping, recording, inputs))
    for steps in range(1, len(whole) + 1):
        assert np.array_equal(stacked(count(mapping, recording, inputs, steps=steps)), whole[:steps])


@pytest.mark.parametrize("size", [1, 40, 300])
@pytest.mark.parametrize("kind", KINDS)
def test_memory_in_parts_changes_nothing(monkeypatch: pytest.MonkeyPatch, kind: str, size: int) -> None:
    """Parts of one step of one sample, of some steps, of some samples."""
    rng, network, inputs, recording = drawn(7 if kind == "chain" else 4, kind)
    assert recording.samples > 1
    mapping = random_mapping(rng, network)
    whole = stacked(count(mapping, recording, inputs))
    monkeypatch.setattr(firing, "PART", size)
    monkeypatch.setattr(traffic, "CHUNK", size)
    assert np.array_equal(stacked(count(mapping, recording, inputs)), whole)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(4))
def test_on_one_core_deliveries_are_those_of_the_back_ends(seed: int, kind: str) -> None:
    """But for spikes that arrive after the last step, which the chip delivers and a run leaves out."""
    _, network, inputs, recording = drawn(seed, kind)
    mapping = on_one_core(network, mesh_chip())
    found = sum(int(x.sum()) for x in count(mapping, recording, inputs).deliveries.values())
    expected = sum(deliveries(network, recording, inputs).values())
    lags = any(network.lag(p) for p in network.projections)
    assert found >= expected if lags else found == expected


def test_batches_add_up() -> None:
    rng, network, inputs, recording = drawn(7, "chain")
    assert recording.samples > 1
    mapping = random_mapping(rng, network)
    whole = count(mapping, recording, inputs)
    caused = traffic.traffic(mapping)
    batches = [
        count(mapping, recording.select(b, b + 1), {n: e.select(b, b + 1) for n, e in inputs.items()}, caused=caused)
        for b in range(recording.samples)
    ]
    assert np.array_equal(np.concatenate([stacked(x) for x in batches], axis=1), stacked(whole))
    total = batches[0]
    for batch in batches[1:]:
        total += batch
    assert total.samples == whole.samples == recording.samples
    assert np.array_equal(stacked(total), stacked(whole).sum(axis=1, keepdims=True))
    assert np.array_equal(stacked(whole.summed()), stacked(total))
    shorter = count(mapping, recording, inputs, steps=1)
    with pytest.raises(NeurosamError, match=f"counts: of {whole.steps} steps .* do not add to 1 steps"):
        total + shorter


@pytest.mark.parametrize("size", [1, firing.PART])
def test_what_makes_an_update_active(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    """Each alone: a membrane or a current from the start, a bias, an offset in some steps, a weight of 0."""
    monkeypatch.setattr(firing, "PART", size)
    plain: Any = {"membrane_decay": 4096, "threshold": 1000}
    second: Any = [0, 1]  # of two neurons
    gain = np.ones((3, 1), int)
    neurons: dict[str, tuple[Any, list[int]]] = {
        "idle": (ns.FixedLIF(**plain), [0, 0, 0]),
        "membrane": (ns.FixedLIF(**plain, initial_membrane_64ths=second), [1, 0, 0]),
        "current": (ns.FixedLIF(**plain, current_decay=4095, initial_current_64ths=second), [1, 0, 0]),
        "bias": (ns.FixedLIF(**plain, bias_mantissa=second), [1, 1, 1]),
        "offset": (ns.FixedLIF(**plain, gain=gain, offset_64ths=np.array([[0, 0], [0, 0], [0, 9]])), [0, 0, 1]),
        "always": (ns.FixedLIF(**plain, gain=gain[:1], offset_64ths=np.array([[0, 9]])), [1, 1, 1]),
        "out": (ns.FixedReadout(), [0, 0, 0]),
    }
    network = ns.Network(
        [ns.Population("in", (1,)), *(ns.Population(name, (2,), neuron) for name, (neuron, _) in neurons.items())],
        [ns.Projection("in", name, ns.Dense(np.zeros((2, 1), np.int8))) for name in neurons],
    )
    pieces = [Piece(name, core, neurons=np.arange(2)) for core, name in enumerate(neurons)]
    mapping = CoreMapping(network, mesh_chip(), tuple(pieces))
    for spikes in ([0, 0, 0], [0, 1, 0]):
        events = ns.Events.from_dense(np.array(spikes).reshape(3, 1, 1))
        found = count(mapping, ns.run(network, events, "event", ns.Record.everything(network)), events).active
        assert found is not None
        for core, (name, (_, expected)) in enumerate(neurons.items()):
            updates = [2 if reached else alone for reached, alone in zip(spikes, expected, strict=True)]
            assert found[:, 0, core].tolist() == [0, *updates], name


def test_no_samples_have_no_counts() -> None:
    rng, network, inputs, recording = drawn(1, "pooled")
    counts = count(random_mapping(rng, network), recording.select(0, 0), {n: e.select(0, 0) for n, e in inputs.items()})
    assert counts.spikes.shape[1] == 0
    assert counts.summed().packets.sum() == 0


# --- what a recording must hold ---------------------------------------------------------------------------------------


def chain() -> tuple[CoreMapping, Recording, ns.Events]:
    """Two inputs, a layer of three with a current, two readouts; two steps of two samples."""
    lif = ns.FixedLIF(membrane_decay=0, threshold=2, current_decay=0)
    network = ns.Network(
        [ns.Population("in", (2,)), ns.Population("a", (3,), lif), ns.Population("out", (2,), ns.FixedReadout())],
        [
            ns.Projection("in", "a", ns.Dense(np.ones((3, 2), np.int8))),
            ns.Projection("a", "out", ns.Dense(np.ones((2, 3), np.int8))),
        ],
    )
    events = ns.Events.from_dense(np.ones((2, 2, 2), int))
    recording = ns.run(network, events, "reference", ns.Record.everything(network))
    return on_one_core(network, mesh_chip(), inputs=False), recording, events


def without(recorded: Any, name: str) -> Any:
    return {key: values for key, values in recorded.items() if key != name}


@pytest.mark.parametrize(
    ("variable", "name", "lacking"),
    [
        ("membrane", "a", "membrane of 'a'"),
        ("membrane", "out", "membrane of 'out'"),
        ("current", "a", "current of 'a'"),
    ],
)
def test_active_updates_need_membranes_and_currents(variable: str, name: str, lacking: str) -> None:
    """The rest is counted all the same."""
    mapping, recording, events = chain()
    whole = count(mapping, recording, events)
    less = count(mapping, replace(recording, **{variable: without(getattr(recording, variable), name)}), events)
    assert less.active is None
    assert less.idle is None
    assert less.missing == (lacking,)
    assert np.array_equal(less.packets, whole.packets)
    assert np.array_equal(less.neuron_steps, whole.neuron_steps)
    assert (whole + less).missing == (lacking,)
    assert (less + whole).active is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda r: replace(r, spikes={}), "counts: requires the spikes of 'a'; record them"),
        (
            lambda r: replace(r, spikes={**r.spikes, "b": r.spikes["a"]}),
            "recording: is of another network: it holds spikes of 'b'; the network has in, a, out",
        ),
        (
            lambda r: replace(r, membrane={**r.membrane, "b": r.membrane["a"]}),
            "recording: is of another network: it holds membrane of 'b'",
        ),
        (
            lambda r: replace(r, spikes={"a": Spikes.from_dense(np.zeros((2, 2, 4)))}),
            r"recording: is of another network: spikes of 'a' have the shape \(4,\); \(3,\) is required",
        ),
        (
            lambda r: replace(r, spikes={"a": Spikes.from_dense(np.zeros((1, 2, 3)))}),
            r"spikes planes of 'a' have the shape \(1, 2, 1, 1, 1\); \(2, 2, 1, 1, 1\) is required",
        ),
        (
            lambda r: replace(r, membrane={"a": r.membrane["a"], "out": r.membrane["a"]}),
            r"membrane of 'out' have the shape \(2, 2, 3\); \(2, 2, 2\) is required",
        ),
        (
            lambda r: r.select(0, 1),
            "counts: events: have 2 steps and 2 samples; the recording has 2 and 1",
        ),
    ],
)
def test_a_recording_of_another_network_or_run_is_refused(change: Any, message: str) -> None:
    mapping, recording, events = chain()
    with pytest.raises(NeurosamError, match=message):
        count(mapping, change(recording), events)


def test_events_of_another_run_are_refused() -> None:
    mapping, recording, _ = chain()
    with pytest.raises(NeurosamError, match="counts: events: have 3 steps and 2 samples"):
        count(mapping, recording, ns.Events.from_dense(np.ones((3, 2, 2), int)))
    with pytest.raises(NeurosamError, match=r"events: have shape \(3,\); the input population 'in'"):
        count(mapping, recording, ns.Events.from_dense(np.ones((2, 2, 3), int)))


@pytest.mark.parametrize("steps", [0, 5])
def test_only_steps_that_there_are_can_be_counted(steps: int) -> None:
    mapping, recording, events = chain()
    with pytest.raises(ArgumentError, match=r"counts: steps: .*1\.\.4"):
        count(mapping, recording, events, steps=steps)


def test_a_network_that_is_on_no_chip_is_refused() -> None:
    network = ns.Network(
        [ns.Population("in", (1, 4, 4)), ns.Population("a", (1, 2, 2), ns.LIF(0.9, 1.0), pool=ns.MaxPool2d(2))],
        [ns.Projection("in", "a", ns.Conv2d(np.ones((1, 1, 1, 1))))],
    )
    events = ns.Events.from_dense(np.ones((1, 1, 1, 4, 4)))
    recording = ns.run(network, events, "reference", ns.Record.everything(network))
    with pytest.raises(MappingError, match="population 'a': takes the largest of several sums"):
        count(on_one_core(network, mesh_chip()), recording, events)
