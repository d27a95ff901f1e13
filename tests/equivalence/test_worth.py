"""What a pass is worth: mutants, isolation and margins, against running whole networks."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from neurosam.backends.registry import run
from neurosam.equivalence.detection import LEVELS, Original
from neurosam.equivalence.equivalents import proof
from neurosam.equivalence.isolation import EQUAL, FAULTY, PASSED_ON, UNKNOWN, isolate
from neurosam.equivalence.margins import margins
from neurosam.equivalence.mutants import score
from neurosam.equivalence.mutation import Mutant, draw, sites
from neurosam.equivalence.search import search
from neurosam.errors import ArgumentError, NeurosamError
from neurosam.network.elements import Population, Projection
from neurosam.network.fixed_neuron import FixedLIF, FixedReadout
from neurosam.network.network import Network
from neurosam.network.neuron import LIF
from neurosam.network.synapse import Conv2d, Dense, SumPool2d
from neurosam.network.trace import SamTrace
from neurosam.signals.events import Events
from neurosam.signals.inputs import Inputs
from neurosam.signals.recording import Record
from support.mutants import brute_force
from support.networks import random_case

RESET: dict[str, Any] = {"reset": "zero"}


def chain(seed: int = 0) -> tuple[Network, Events]:
    """Two convolutions, of which one is pooled, a dense layer and a readout; a trace on each that fires."""
    rng = np.random.default_rng(seed)
    network = Network(
        [
            Population("in", (1, 6, 6)),
            Population("first", (3, 6, 6), FixedLIF(410, 60, bias_mantissa=np.array([0, 3, -2]))),
            Population("second", (4, 3, 3), FixedLIF(300, 190, **RESET)),
            Population("third", (5,), FixedLIF(1200, 700, current_decay=1000)),
            Population("out", (2,), FixedReadout()),
        ],
        [
            Projection("in", "first", Conv2d(rng.integers(-40, 90, (3, 1, 3, 3)).astype(np.int8), padding=1)),
            Projection("first", "second", Conv2d(rng.integers(-50, 90, (4, 3, 3, 3)).astype(np.int8), padding=1),
                       pool=SumPool2d(2)),
            Projection("second", "third", Dense(rng.integers(-60, 90, (5, 36)).astype(np.int8))),
            Projection("third", "out", Dense(rng.integers(-60, 90, (2, 5)).astype(np.int8))),
        ],
    )  # fmt: skip
    events = Events.from_dense((rng.random((10, 4, 1, 6, 6)) < 0.15).astype(np.uint8))
    return network.with_sam(SamTrace(gamma=0.5, mode="strict")), events


def cases() -> list[tuple[Network, Events]]:
    return [
        chain(),
        *(random_case(np.random.default_rng(seed), kind) for seed, kind in ((3, "recurrent"), (5, "pooled"))),
    ]


@pytest.mark.filterwarnings("ignore::neurosam.errors.RangeWarning")
def test_a_mutant_is_told_apart_by_the_samples_that_tell_its_whole_network_apart() -> None:
    seen = np.zeros(len(LEVELS), int)
    for network, events in cases():
        mutants = draw(network, 40, seed=1, steps=events.steps)
        expected = brute_force(network, events, mutants)
        found = Original(network, Inputs.of(network, events)).told(mutants, every=True)
        for i, mutant in enumerate(mutants):
            np.testing.assert_array_equal(found[:, i], expected[:, i], str(mutant))
            assert not (proof(network, mutant, events.steps) and expected[:, i].any()), str(mutant)
        seen += expected.any(axis=2).sum(axis=1)
    assert (np.diff(seen) > 0).all()
    assert seen[0] > 0


def test_the_first_sample_that_tells_a_mutant_apart_gives_the_score_of_any_number_of_samples() -> None:
    network, events = chain()
    result = score(network, events, 60, seed=2)
    for samples in (1, 2, 4):
        shorter = score(network, events.select(0, samples), mutants=[o.mutant for o in result.outcomes])
        for level in LEVELS:
            assert result.told(level, samples) == shorter.told(level)
    assert result.told("answers")[0] <= result.told("spikes")[0] < result.told("membranes")[0]
    told, possible = result.told("spikes")
    assert possible == len(result.outcomes) - len(result.equivalent) == told + len(result.survivors("spikes"))
    assert sum(result.told("spikes", kind=k)[0] for k in {o.mutant.site.kind for o in result.outcomes}) == told
    assert result.to_dict()["told"]["spikes"] == told


def test_numbers_are_drawn_once_evenly_and_within_their_range() -> None:
    network, _ = chain()
    every = draw(network, 10**6, seed=0)
    places = [(m.site, m.index) for m in every]
    assert len(set(places)) == len(places)
    assert all(m.change in (1, -1) for m in every)
    # the last entry of a trace's table is 0 in each of three layers, and the entry before it may be fixed too
    assert sum(s.size for s in sites(network)) - len(every) == sum(
        1 for s in sites(network) if s.kind == "trace table" for i in [s.shape[0] - 1] if (s, (i,)) not in places
    )
    few = draw(network, 45, seed=3)
    counts = [sum(m.site == site for m in few) for site in sites(network)]
    assert max(counts) <= 3
    assert len(few) >= 42
    assert draw(network, 45, seed=3) == few != draw(network, 45, seed=4)
    assert {m.change for m in few} == {1, -1}


def test_mutants_at_the_ends_of_their_range_go_the_way_that_is_left() -> None:
    neuron = FixedLIF(membrane_decay=4096, threshold=1, bias_mantissa=4095, **RESET)
    network = Network(
        [Population("in", (2,)), Population("out", (1,), neuron)],
        [Projection("in", "out", Dense(np.array([[127, -128]], np.int8)))],
    )
    for seed in range(8):
        change = {m.label: m.change for m in draw(network, 100, seed)}
        assert change["in->out: weight[0, 0]"] == -1
        assert change["in->out: weight[0, 1]"] == 1
        assert change["out: threshold[0]"] == 1
        assert change["out: membrane_decay[0]"] == -1
        assert change["out: bias_mantissa[0]"] == -1


def test_what_no_input_can_tell_apart_is_proven() -> None:
    weight = np.zeros((1, 1, 3, 3), np.int8)
    network = Network(
        [
            Population("in", (1, 1, 5)),
            Population("a", (1, 1, 5), FixedLIF(4096, 100)),  # 9 weights of 0: never fires
            Population("b", (1,), FixedLIF(4096, 20, **RESET)),
        ],
        [
            Projection("in", "a", Conv2d(weight, padding=1)),  # of one row: the outer taps only meet the border
            Projection("a", "b", Dense(np.full((1, 5), 9, np.int8))),
            Projection("in", "b", Dense(np.full((1, 5), 3, np.int8)), delay=2),
        ],
    )
    proofs = {m.label: proof(network, m, 10) for m in draw(network, 100)}
    assert proofs["in->a: weight[0, 0, 0, 1]"] == "it only meets the border"
    assert not proofs["in->a: weight[0, 0, 1, 1]"]
    assert not proofs["in->b: weight[0, 2]"]
    assert proofs["a->b: weight[0, 0]"] == "its source can never fire"
    assert proofs["a: threshold[0]"] == "its neurons can never reach it"
    assert not proofs["b: threshold[0]"]
    assert proofs["a: reset_amount_64ths[0]"] == "its neurons can never fire"
    assert proofs["b: membrane_decay[0]"] == "every membrane decays to the same"  # at most 20 * 64, of which 1 / 4096


def test_a_survivor_says_why_the_stimulus_did_not_reach_it() -> None:
    network, events = chain()
    silent = events.dense()
    silent[:] = 0
    result = score(network, Events.from_dense(silent), 60)
    reasons = {o.mutant.site.kind: o.reason for o in result.survivors("membranes")}
    assert reasons["weight"] == "nothing arrives at it"
    assert reasons["reset_amount_64ths"] == "its neurons never fire"


def fault(network: Network, number: int, bit: int = 4) -> Network:
    """One bit of one weight of a projection, turned over."""
    projection = network.projections[number]
    weight = np.array(projection.synapse.weight)
    weight.reshape(-1)[0] ^= 1 << bit
    projections = list(network.projections)
    projections[number] = replace(projection, synapse=replace(projection.synapse, weight=weight))
    return replace(network, projections=projections)


def test_isolation_names_the_layer_with_the_fault_and_no_other() -> None:
    network, events = chain()
    record = Record.everything(network)
    for number, name in enumerate(("first", "second", "third", "out")):
        other = run(fault(network, number), events, record=record)
        result = isolate(network, events, other)
        verdicts = {layer.name: layer.verdict for layer in result.layers}
        names = list(verdicts)
        assert result.faulty == (name,)
        assert not result.equal
        assert [verdicts[n] for n in names[:number]] == [EQUAL] * number
        assert FAULTY not in [verdicts[n] for n in names[number + 1 :]]
    first = isolate(network, events, run(fault(network, 0), events, record=record))
    assert {layer.verdict for layer in first.layers[1:]} == {PASSED_ON}
    assert first.layers[0].by_itself is not None
    assert first.layers[0].by_itself.divergence is not None
    assert first.layers[0].by_itself.divergence.population == "first"


def test_two_faults_are_both_found_and_none_in_the_same_run() -> None:
    network, events = chain()
    record = Record.everything(network)
    golden = run(network, events, "reference", record)
    two = run(fault(fault(network, 0), 2), events, record=record)
    assert isolate(network, events, two, golden).faulty == ("first", "third")
    assert isolate(network, events, golden).equal


def test_a_fault_in_a_recurrent_population_is_its_own() -> None:
    network, events = random_case(np.random.default_rng(3), "recurrent")
    record = Record.everything(network)
    assert isolate(network, events, run(network, events, "reference", record)).equal
    loops = [
        i for i, p in enumerate(network.projections) if any({p.source, p.target} <= set(g) for g in network.groups)
    ]
    for number in loops:
        other = run(fault(network, number), events, record=record)
        faulty = isolate(network, events, other).faulty
        assert faulty in ((), (network.projections[number].target,))


def test_isolation_says_which_spikes_it_lacks() -> None:
    network, events = chain()
    other = run(network, events, record=Record(spikes=("first", "third"), membrane=("second",)))
    verdicts = {layer.name: (layer.verdict, layer.missing) for layer in isolate(network, events, other).layers}
    assert verdicts["second"][0] == EQUAL
    assert verdicts["out"][0] == EQUAL
    assert verdicts["third"] == (UNKNOWN, "the spikes of 'second' are not recorded")

    less = run(network, events, record=Record(spikes=("first",)))  # of the golden run: what the other side has counts
    wrong = run(fault(network, 0), events, record=Record(spikes=("first", "second", "third"), membrane=("second",)))
    verdicts = {layer.name: (layer.verdict, layer.missing) for layer in isolate(network, events, wrong, less).layers}
    assert verdicts["first"][0] == FAULTY
    assert verdicts["second"][0] == PASSED_ON
    with pytest.raises(NeurosamError, match="4 samples; its input has 10 and 2"):
        isolate(network, events.select(0, 2), other)
    with pytest.raises(NeurosamError, match="begins at step 1"):
        isolate(network, events, replace(other, first_step=1))


def test_margins_count_every_decision_where_it_was() -> None:
    neuron = FixedLIF(membrane_decay=0, threshold=3)
    network = Network(
        [Population("in", (1,)), Population("out", (2,), neuron)],
        [Projection("in", "out", Dense(np.array([[2], [3]], np.int8)))],
    )
    recording = run(network, Events.from_dense(np.ones((4, 2, 1), np.uint8)), record=Record.everything(network))
    found = margins(network, recording)
    # neuron 0: 2, 4 - 3, 1 + 2, 3 + 2 - 3: margins -64, 64, 0, 128; neuron 1: 3, 6 - 3, ...: 0, then 192 each time
    silent, fired = (np.zeros(26, int) for _ in range(2))
    silent[[0, 7]] = 4, 2
    fired[[7, 8]] = 2, 2 + 6
    np.testing.assert_array_equal(found.silent["out"], silent)
    np.testing.assert_array_equal(found.fired["out"], fired)
    assert found.near == {"out": 2}
    assert found.size == {"out": 2}
    assert found.unknown == {"out": 0}


def test_a_threshold_is_told_apart_where_a_margin_is_within_its_unit() -> None:
    network, events = chain()
    recording = run(network, events, record=Record.everything(network))
    near = margins(network, recording).near
    for layer in ("first", "third"):
        shape, neurons = network[layer].shape, int(np.prod(network[layer].shape))
        thresholds = [
            Mutant(next(s for s in sites(network) if (s.kind, s.layer) == ("threshold", layer)), (c,), change, 60, "")
            for c in range(shape[0]) for change in (1, -1)
        ]  # fmt: skip
        told = score(network, events, mutants=thresholds, answers=False).told("spikes")[0]
        assert (told > 0) == (near[layer] > 0)
        assert near[layer] <= neurons


def test_a_search_keeps_what_tells_survivors_apart_and_is_the_same_each_time() -> None:
    network, events = chain()
    weak = events.select(0, 1)
    survivors = [o.mutant for o in score(network, weak, 60, answers=False).survivors("spikes")]
    found = search(network, survivors, weak.steps, 48, level="spikes", seed=5)
    again = search(network, survivors, weak.steps, 48, level="spikes", seed=5)
    assert found.inputs is not None
    assert again.inputs is not None
    assert found.told
    np.testing.assert_array_equal(found.inputs["in"].dense(), again.inputs["in"].dense())
    assert found.inputs.samples == len(found.origins) <= len(found.told)
    assert {*found.told, *found.survivors} == set(survivors)
    check = score(network, found.inputs, mutants=survivors, answers=False)
    assert {o.mutant for o in check.outcomes if "spikes" in o.first} == set(found.told)
    data = search(
        network, survivors, weak.steps, 4, data=lambda first, n: Inputs.of(network, events.select(first, first + n))
    )
    assert all(origin.startswith("data") for origin in data.origins)


def test_refusals() -> None:
    network, events = chain()
    with pytest.raises(ArgumentError, match="mutants"):
        score(network, events, 0)
    floats = Network(
        [Population("in", (1,)), Population("out", (1,), LIF(leak=0.5, threshold=1.0))],
        [Projection("in", "out", Dense(np.array([[1.0]])))],
    )
    one = Events.from_dense(np.ones((2, 1, 1), np.uint8))
    with pytest.raises(NeurosamError, match="integer"):
        score(floats, one, 5)
    with pytest.raises(NeurosamError, match="last place"):
        margins(floats, run(network, events))
