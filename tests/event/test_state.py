"""States, several inputs and outputs: what one run leaves, the next one takes up, to the bit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import neurosam as ns
from support.agreement import assert_identical
from support.networks import KINDS, random_case
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
