"""States, several inputs and outputs: what one run leaves, the next one takes up, to the bit."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import neurosam as ns
from neurosam.backends.event.plan import compiled
from neurosam.network.bounds import proven
from neurosam.signals.state import State
from support.agreement import assert_identical
from support.networks import KINDS, large_case, random_case
from support.pieces import cuts, in_pieces, varied

every_kind = pytest.mark.parametrize("kind", KINDS)


@every_kind
@pytest.mark.parametrize("seed", range(25))
def test_answers_inputs_and_states_are_those_of_the_reference(kind: str, seed: int) -> None:
    rng = np.random.default_rng([KINDS.index(kind), seed])
    network, inputs = varied(rng, *random_case(rng, kind))
    record = ns.Record.everything(network)
    expected = ns.run(network, inputs, "reference", record, keep_state=True)
    whole = ns.run(network, inputs, record=record, keep_state=True)
    assert_identical(expected, whole, (kind, seed))
    assert whole.state == expected.state
    stateless = ns.run(network, inputs, record=record)
    assert_identical(replace(whole, state=None), stateless, (kind, seed))
    for name, answer in expected.other_outputs.items():
        for got in (whole, stateless):
            assert got.other_outputs[name].dtype == answer.dtype
            np.testing.assert_array_equal(got.other_outputs[name], answer)


@every_kind
@pytest.mark.parametrize("fixed", [True, False])
@pytest.mark.parametrize("seed", range(12))
def test_any_cut_gives_the_same_bits(kind: str, fixed: bool, seed: int) -> None:
    rng = np.random.default_rng([KINDS.index(kind), fixed, seed, 1])
    network, inputs = varied(rng, *random_case(rng, kind, fixed=fixed))
    whole = ns.run(network, inputs, record=ns.Record.everything(network), keep_state=True)
    got, state = in_pieces(network, dict(inputs), cuts(rng, whole.steps), "event")
    assert_identical(replace(whole, state=None), got, (kind, seed))
    assert state == whole.state


@pytest.mark.parametrize("kind", ["pooled", "recurrent", "residual"])
def test_chunks_of_a_piece_follow_each_other(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of pieces longer and shorter than a chunk; what a projection with a lag reads crosses both borders."""
    rng = np.random.default_rng([KINDS.index(kind), 3])
    network, inputs = varied(rng, *large_case(rng, kind))
    whole = ns.run(network, inputs, "reference", ns.Record.everything(network), keep_state=True)
    monkeypatch.setattr(compiled, "CHUNK_STEPS", 2)
    got, state = in_pieces(network, dict(inputs), [(0, 5), (5, 6), (6, 10), (10, whole.steps)], "event")
    assert_identical(replace(whole, state=None), got, kind)
    assert state == whole.state


@pytest.mark.parametrize("mode", ["strict", "inclusive", "official"])
def test_tables_of_float_traces_grow_with_a_session(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A trace that fades in 10^5 steps, in a session whose first tables reach 4 steps."""
    monkeypatch.setattr(compiled, "HORIZON", 4)
    network = ns.Network(
        [ns.Population("in", (3,)), ns.Population("out", (20, 1, 1), ns.LIF(leak=0.5, threshold=1.0))],
        [ns.Projection("in", "out", ns.Dense(np.random.default_rng(0).normal(0.5, 0.5, (20, 3))))],
    ).with_sam(ns.SamTrace(0.01, mode))
    x = (np.random.default_rng(1).random((60, 1, 3)) < 0.2).astype(np.uint8)
    record = ns.Record(sam=("out",))
    whole = ns.run(network, ns.Events.from_dense(x), record=record, keep_state=True)
    assert whole.sam["out"].any()
    session = ns.Session(network, record=record)
    for t in range(7):
        session.step(x[t])
    pieces = [session.advance(ns.Events.from_dense(x[first:end])) for first, end in ((7, 8), (8, 30), (30, 60))]
    np.testing.assert_array_equal(np.concatenate([piece.sam["out"] for piece in pieces]), whole.sam["out"][7:])
    assert session.state == whole.state


def test_an_input_may_turn_from_spikes_to_values() -> None:
    """With a projection that still has to deliver earlier spikes."""
    network = ns.Network(
        [ns.Population("in", (2, 2, 2), magnitude=9), ns.Population("out", (3,), ns.FixedReadout(), onset=0)],
        [ns.Projection("in", "out", ns.Dense(np.arange(24).reshape(3, 8)), delay=2)],
        outputs={"out": "mean"},
    )
    x = np.random.default_rng(0).integers(0, 2, (6, 1, 2, 2, 2))
    x[3:] *= np.random.default_rng(1).integers(-9, 10, (3, 1, 2, 2, 2))
    expected = ns.run(network, ns.Events.from_dense(x), "reference", keep_state=True)
    session = ns.Session(network)
    for t in range(6):
        output = session.step(x[t])
    np.testing.assert_array_equal(output, expected.output)
    assert session.state == expected.state
    session.reset()
    session.advance(ns.Events.from_dense(x[:3]))
    session.advance(ns.Events.from_dense(x[3:4]))
    session.advance(ns.Events.from_dense(x[4:]))
    assert session.state == expected.state


def test_sessions_of_one_network_are_independent() -> None:
    network, events = random_case(np.random.default_rng(5), "recurrent")
    network = replace(network, sam={})
    x = events.dense()
    alone = ns.Session(network, samples=events.samples)
    expected = [alone.step(values) for values in x]
    first, second = (ns.Session(network, samples=events.samples) for _ in range(2))
    for t in range(1, len(x)):
        np.testing.assert_array_equal(first.step(x[t - 1]), expected[t - 1])
        if t > 1:
            np.testing.assert_array_equal(second.step(x[t - 2]), expected[t - 2])
        ns.run(network, events)


def test_a_session_makes_no_plan_and_no_memory_for_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    network, events = random_case(np.random.default_rng(5), "chain")
    session = ns.Session(network, samples=events.samples, most_steps=events.steps)
    x = events.dense()
    session.step(x[0] != 0)

    def refused(*_: object) -> None:
        raise AssertionError("made again")

    for name in ("Plan", "Worker", "Frame"):
        monkeypatch.setattr(f"neurosam.backends.event.session.{name}", refused)
    for values in x[1:]:
        session.step(values != 0)


@pytest.mark.parametrize("reset", ["subtract", "zero", "none"])
@pytest.mark.parametrize("outputs", [None, {"pool": "last"}, {"pool": "max"}])
def test_a_state_has_the_membranes_of_a_max_pooling(reset: str, outputs: dict[str, str] | None) -> None:
    """Though its kernel keeps none."""
    rng = np.random.default_rng(0)
    lif = ns.FixedLIF(membrane_decay=500, threshold=30)
    a = ns.Population("a", (3, 6, 6), lif)
    pool, into_pool = ns.max_pool(a, "pool", 2, fixed=True)
    neuron: Any = pool.neuron
    network = ns.Network(
        [
            ns.Population("in", (2, 6, 6)), a, replace(pool, neuron=replace(neuron, reset=reset)),
            ns.Population("out", (4,), ns.FixedReadout()),
        ],
        [
            ns.Projection("in", "a", ns.Conv2d(rng.integers(-20, 40, (3, 2, 1, 1)))), replace(into_pool, delay=1),
            ns.Projection("in", "out", ns.Dense(rng.integers(-9, 9, (4, 72))), delay=3),
            ns.Projection("pool", "out", ns.Dense(rng.integers(-9, 9, (4, 27)))),
        ],
        outputs=outputs,
    )  # fmt: skip
    x = (rng.random((9, 2, 2, 6, 6)) < 0.3).astype(np.uint8)
    expected = ns.run(network, ns.Events.from_dense(x), "reference", keep_state=True)
    whole = ns.run(network, ns.Events.from_dense(x), keep_state=True)
    assert whole.state == expected.state
    assert dict(whole.operations) == dict(expected.operations)
    np.testing.assert_array_equal(whole.output, expected.output)
    session = ns.Session(network, samples=2)
    for t in range(4):
        session.step(x[t])
    middle = ns.run(network, ns.Events.from_dense(x[:4]), "reference", keep_state=True).state
    assert session.state == middle
    assert ns.Session(network, samples=2, initial=middle).state == middle
    piece = session.advance(ns.Events.from_dense(x[4:]))
    assert session.state == expected.state
    np.testing.assert_array_equal(piece.counts["pool"], expected.counts["pool"][4:])


def test_a_state_beyond_what_was_proven_is_counted() -> None:
    """Proofs start from the neurons' own initial state; a given current may be at the limit, and stay there."""
    neuron = ns.FixedLIF(2048, 100, reset="none", current_decay=100)
    network = ns.Network(
        [ns.Population("in", (1,)), ns.Population("out", (3,), neuron)],
        [ns.Projection("in", "out", ns.Dense(np.array([[64], [-64], [1]])))],
    )
    assert proven(network, "out") == (True, True)
    limit = np.array([[2**23 - 1, 1 - 2**23, 2**23 - 1]], np.int32)
    state = replace(State.initial(network, 1), neurons={"out": {"u": limit, "v": limit}})
    events = ns.Events.from_dense(np.ones((4, 1, 1), np.uint8))
    expected, got = (ns.run(network, events, backend, initial=state) for backend in ("reference", "event"))
    assert expected.saturated["out"].tolist() == got.saturated["out"].tolist()
    assert expected.saturated["out"].sum() > 2
