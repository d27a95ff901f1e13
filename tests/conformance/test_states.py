"""A run that is cut anywhere and goes on from its state is one long run, on every back end: bits, maps, answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import neurosam as ns
from neurosam.signals.state import State
from support.agreement import assert_agree, assert_identical
from support.backends import networks
from support.networks import KINDS
from support.options import options_case
from support.oracle import simulate
from support.pieces import cuts, in_pieces, joined, part

STATES = True
SEEDS = 12

every_kind = pytest.mark.parametrize("kind", KINDS)


@every_kind
@pytest.mark.parametrize("fixed", [True, False])
def test_a_run_in_pieces_is_the_oracles_whole_run(backend: str, kind: str, fixed: bool) -> None:
    same = assert_identical if fixed else assert_agree
    for seed in networks(backend, SEEDS):
        rng = np.random.default_rng([KINDS.index(kind), seed, fixed, 1])
        network, inputs = options_case(rng, kind, fixed=fixed)
        pieces, state = in_pieces(network, inputs, cuts(rng, inputs.steps), backend)
        same(simulate(network, inputs, keep_state=True), replace(pieces, state=state), (kind, seed))


def test_step_by_step_is_the_whole_run(backend: str) -> None:
    for seed in networks(backend, SEEDS):
        network, inputs = options_case(np.random.default_rng([2, seed]))
        where = [(t, t + 1) for t in range(inputs.steps)]
        pieces, state = in_pieces(network, inputs, where, backend)
        assert_identical(simulate(network, inputs, keep_state=True), replace(pieces, state=state), seed)


def test_a_state_goes_from_one_back_end_to_another(backend: str) -> None:
    """The first half on the reference, the second half on any: also what the oracle makes of it."""
    for seed in networks(backend, SEEDS):
        network, inputs = options_case(np.random.default_rng([3, seed]))
        record, half = ns.Record.everything(network), max(1, inputs.steps // 2)
        first = ns.run(network, part(inputs, 0, half), "reference", record, threads=1, keep_state=True)
        if half < inputs.steps:
            rest = part(inputs, half, inputs.steps)
            second = ns.run(network, rest, backend, record, threads=1, initial=first.state, keep_state=True)
            assert_identical(simulate(network, rest, first.state, keep_state=True), second, seed)
            whole = simulate(network, inputs, keep_state=True)
            assert_identical(whole, replace(joined([first, second]), state=second.state), seed)


# --- every part of a state matters ---


def eventful() -> tuple[ns.Network, ns.Events]:
    """A network whose state has every part, and an input that keeps all of them busy."""
    hidden = ns.FixedLIF(
        membrane_decay=100, current_decay=200, threshold=30, reset="relative", relative_decay=40, refractory=3,
        threshold_decay=30, threshold_step_64ths=500, fires="at",
    )  # fmt: skip
    rng = np.random.default_rng(1)
    network = ns.Network(
        (ns.Population("in", (4,)), ns.Population("hidden", (6,), hidden),
         ns.Population("out", (3,), ns.FixedReadout())),
        (ns.Projection("in", "hidden", ns.Dense(rng.integers(2, 40, (6, 4)))),
         ns.Projection("hidden", "out", ns.Dense(rng.integers(1, 40, (3, 6))), delay=3),
         ns.Projection("in", "out", ns.Dense(np.ones((3, 4), np.int8)))),
        outputs={"out": "mean", "hidden": "count"},
        check_alignment=False,  # lags are wanted
    )  # fmt: skip
    x = (rng.random((12, 2, 4)) < 0.7).astype(np.uint8)
    return network.with_sam(ns.SamTrace(0.1, "official")), ns.Events.from_dense(x)


def parts_of(state: State) -> dict[tuple[str, ...], npt.NDArray[Any]]:
    """Every array of a state, by where it is."""
    parts: dict[tuple[str, ...], npt.NDArray[Any]] = {}
    for name, held in state.neurons.items():
        parts |= {("neurons", name, variable): array for variable, array in held.items()}
    for kind in ("recent", "answers"):
        parts |= {(kind, name): array for name, array in getattr(state, kind).items()}
    return parts


def corrupted(state: State, where: tuple[str, ...], bit: int) -> State:
    """The state with one bit of the last number of one of its arrays changed."""
    array = parts_of(state)[where].copy()
    array.flat[-1] ^= 1 << bit
    kind, name, *variable = where
    whole: Mapping[str, Any] = getattr(state, kind)
    changed: Any = {**whole, name: {**whole[name], variable[0]: array} if variable else array}
    return replace(state, **{kind: changed})


def test_one_wrong_bit_of_a_state_shows(backend: str) -> None:
    network, events = eventful()
    record, inputs = ns.Record.everything(network), {"in": events}
    first = ns.run(network, part(inputs, 0, 6), backend, record, threads=1, keep_state=True).state
    assert first is not None
    rest = part(inputs, 6, 12)
    expected = ns.run(network, rest, backend, record, threads=1, initial=first, keep_state=True)
    parts = parts_of(first)
    variables = {where[2] for where in parts if where[0] == "neurons"}
    assert variables == {"u", "v", "wait", "h", "r", "trace", "last", "fired"}
    assert {where[0] for where in parts} == {"neurons", "recent", "answers"}
    for where in parts:
        bit = 8 if where[-1] in ("u", "v", "h", "r", "trace") else 0
        wrong = corrupted(first, where, bit)
        assert wrong != first
        got = ns.run(network, rest, backend, record, threads=1, initial=wrong, keep_state=True)
        with pytest.raises(AssertionError):
            assert_identical(expected, got)
        if where[-1] in ("u", "v") or where[0] != "neurons":  # at once, not in the last state alone
            with pytest.raises(AssertionError):
                assert_identical(replace(expected, state=None), replace(got, state=None))


@pytest.mark.parametrize("damage", ["steps", "samples", "missing", "dtype"])
def test_a_state_that_does_not_fit_is_refused(backend: str, damage: str) -> None:
    network, events = eventful()
    state = ns.run(network, events, backend, keep_state=True).state
    assert state is not None
    if damage == "samples":
        state = state.select(0, 1)
    elif damage == "missing":
        state = replace(state, recent={})
    elif damage == "steps":
        state = replace(state, recent={name: x[1:] for name, x in state.recent.items()})
    elif damage == "dtype":
        state = replace(state, recent={name: x.astype(np.int64) for name, x in state.recent.items()})
    with pytest.raises(ns.EventError, match="initial state"):
        ns.run(network, events, backend, initial=state)
