"""A session gives the bits of one long run, however it is cut: back ends with a way of their own, and those without."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import neurosam as ns
from neurosam.backends.registry import table_steps
from neurosam.network.trace import SamTrace
from support.agreement import assert_identical
from support.networks import KINDS, random_case
from support.pieces import cuts, joined, part, varied

every_kind = pytest.mark.parametrize("kind", KINDS)
BACKENDS = ("event", "reference")


def case(
    kind: str, seed: int, *, fixed: bool = True
) -> tuple[np.random.Generator, ns.Network, Mapping[str, ns.Events]]:
    """A network whose traces may run for ever, with its input."""
    rng = np.random.default_rng([KINDS.index(kind), seed, fixed, 2])
    network, events = random_case(rng, kind, fixed=fixed)
    mode = str(rng.choice(["strict", "inclusive", "official"]))
    network = replace(network, sam={}).with_sam(SamTrace(float(rng.choice([0.1, 0.5, 2.0])), mode))
    return rng, *varied(rng, network, events)


@every_kind
@pytest.mark.parametrize("engine", BACKENDS)
@pytest.mark.parametrize("seed", range(5))
def test_pieces_of_a_session_are_one_run(engine: str, kind: str, seed: int) -> None:
    rng, network, inputs = case(kind, seed)
    record = ns.Record.everything(network)
    whole = ns.run(network, inputs, engine, record, keep_state=True)
    with ns.Session(network, engine, samples=whole.samples, record=record) as session:
        pieces = []
        for first, end in cuts(rng, whole.steps):
            pieces.append(session.advance(part(inputs, first, end)))
            assert session.step_count == end
            for name, answer in session.outputs.items():
                given = pieces[-1].output if name == network.output else pieces[-1].other_outputs[name]
                assert given.dtype == answer.dtype
                np.testing.assert_array_equal(given, answer)
        assert session.state == whole.state
        assert_identical(whole, replace(joined(pieces), state=session.state), (kind, seed))


@every_kind
@pytest.mark.parametrize("engine", BACKENDS)
@pytest.mark.parametrize("fixed", [True, False])
@pytest.mark.parametrize("seed", range(3))
def test_single_steps_pieces_and_runs_follow_each_other(engine: str, fixed: bool, kind: str, seed: int) -> None:
    rng, network, inputs = case(kind, seed, fixed=fixed)
    whole = ns.run(network, inputs, engine, ns.Record(), keep_state=True)
    dense = {name: events.dense() for name, events in inputs.items()}
    begin = int(rng.integers(0, whole.steps))
    state = None
    if begin:
        state = ns.run(network, part(inputs, 0, begin), engine, keep_state=True).state
    session = ns.Session(network, engine, samples=whole.samples, initial=state)
    for _ in range(2):
        if state is not None:
            before = ns.run(network, part(inputs, 0, begin), engine).output
            np.testing.assert_array_equal(session.outputs[network.output], before)
        for first, end in cuts(rng, whole.steps):
            first, end = max(first, begin), max(end, begin)
            if first == end:
                continue
            if rng.random() < 0.3:
                output = session.advance(part(inputs, first, end)).output
            else:
                for t in range(first, end):
                    output = session.step({name: values[t] for name, values in dense.items()})
        assert session.step_count == whole.steps
        if fixed:
            assert session.state == whole.state
            np.testing.assert_array_equal(output, whole.output)
            assert output.dtype == whole.output.dtype
        else:
            np.testing.assert_allclose(output, whole.output, rtol=1e-9, atol=1e-12)
        session.reset()
        assert session.step_count == begin


def small(**options: object) -> ns.Network:
    return ns.Network(
        [
            ns.Population("in", (2, 2, 2), magnitude=3),
            ns.Population("a", (3, 2, 2), ns.FixedLIF(membrane_decay=300, threshold=20)),
            ns.Population("out", (4,), ns.FixedReadout()),
        ],
        [
            ns.Projection("in", "a", ns.Conv2d(np.full((3, 2, 1, 1), 15))),
            ns.Projection("a", "out", ns.Dense(np.full((4, 12), 3))),
        ],
        **options,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize("engine", BACKENDS)
def test_what_does_not_fit_is_refused_and_changes_nothing(engine: str) -> None:
    session = ns.Session(small(), engine, samples=2)
    with pytest.raises(ns.ArgumentError, match="no output before its first step"):
        _ = session.outputs
    ones = np.ones((2, 2, 2, 2))
    first = session.step(ones)
    for values, problem in (
        (ones[:1], r"values of 'in': got shape \(1, 2, 2, 2\); \(2, 2, 2, 2\) is required"),
        (ones * 4, "allows 3"),
        (ones * 0.5, "fractional"),
        (ones * np.nan, "NaN"),
        (ones.astype(str), "numbers are required"),
        ({"other": ones}, "are given for 'other'; the network's inputs are 'in'"),
    ):
        with pytest.raises(ns.EventError, match=problem):
            session.step(values)
    with pytest.raises(ns.EventError, match="got 1; the session has 2"):
        session.advance(ns.Events.from_dense(ones[None, :1]))
    with pytest.raises(ns.EventError, match="allows 3"):
        session.advance(ns.Events.from_dense(ones[None] * 4))
    assert session.step_count == 1
    np.testing.assert_array_equal(session.outputs["out"], first)
    session.step(ones * 3)
    assert session.step_count == 2


@pytest.mark.parametrize("engine", BACKENDS)
def test_a_session_ends_where_its_tables_do(engine: str) -> None:
    network = small()
    tables = {"gain": np.array([[1], [2], [0]]), "offset_64ths": np.array([[0], [5], [7]])}
    neuron: Any = network["a"].neuron
    a = replace(network["a"], neuron=replace(neuron, **tables))
    network = replace(network, populations=(network.input, a, network["out"]))
    assert table_steps(network) == 3
    ones = np.ones((1, 2, 2, 2), np.uint8)
    whole = ns.run(network, ns.Events.from_dense(np.stack([ones] * 3)), engine, keep_state=True)
    session = ns.Session(network, engine)
    for _ in range(3):
        session.step(ones[0])
    assert session.state == whole.state
    with pytest.raises(ns.EventError, match="got 1 after 3; the session ends after 3"):
        session.step(ones)
    again = ns.run(network, ns.Events.from_dense(np.stack([ones] * 2)), engine, keep_state=True)
    rest = ns.Session(network, engine, initial=again.state)
    rest.step(ones)
    assert rest.state == whole.state


@pytest.mark.parametrize("engine", BACKENDS)
def test_traces_that_never_fade_need_an_end(engine: str) -> None:
    network = small().with_sam(SamTrace(0.0), steps=5)
    with pytest.raises(ns.NetworkError, match="in a run of any length"):
        ns.Session(network, engine)
    session = ns.Session(network, engine, most_steps=5)
    ones = np.ones((5, 1, 2, 2, 2), np.uint8)
    whole = ns.run(network, ns.Events.from_dense(ones), engine, keep_state=True)
    session.advance(ns.Events.from_dense(ones))
    assert session.state == whole.state
    with pytest.raises(ns.EventError, match="got 1 after 5; the session ends after 5"):
        session.step(ones[0])


@pytest.mark.parametrize("engine", BACKENDS)
def test_an_interrupted_step_needs_a_reset(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    session = ns.Session(small(), engine)
    ones = np.ones((1, 2, 2, 2))
    expected = session.step(ones)

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(vars(session)["_running"], "step", interrupted)
        with pytest.raises(KeyboardInterrupt):
            session.step(ones)
    with pytest.raises(ns.ArgumentError, match="interrupted in the middle of a step"):
        session.step(ones)
    session.reset()
    np.testing.assert_array_equal(session.step(ones), expected)
    with session:
        pass
    with pytest.raises(ns.ArgumentError, match="has been closed"):
        session.step(ones)
