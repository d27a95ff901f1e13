"""Every back end does what the oracle says, whatever the options of neurons, projections and networks."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given

import neurosam as ns
from neurosam.signals.inputs import Inputs
from support.agreement import assert_agree, assert_identical
from support.backends import POOLLESS, STATELESS, networks
from support.networks import KINDS
from support.options import (
    OptionsCase,
    large_options_case,
    limits_case,
    many_channels_case,
    options_case,
    options_cases,
)
from support.oracle import simulate

SEEDS = 60

every_kind = pytest.mark.parametrize("kind", KINDS)


def execute(network: ns.Network, inputs: Inputs, backend: str) -> ns.Recording:
    record = ns.Record.everything(network)
    return ns.run(network, inputs, backend, record, threads=1, keep_state=backend not in STATELESS)


def held_to(backend: str, answer: ns.Recording) -> ns.Recording:
    """What a back end has to give: all, or all but the state."""
    return replace(answer, state=None) if backend in STATELESS else answer


@cache
def expected(kind: str, seed: int, fixed: bool, pools: bool = True) -> tuple[ns.Network, Inputs, ns.Recording]:
    """A case and the oracle's answer, worked out once for all back ends."""
    rng = np.random.default_rng([KINDS.index(kind), seed, fixed])
    network, inputs = options_case(rng, kind, fixed=fixed, pools=pools)
    return network, inputs, simulate(network, inputs, keep_state=True)


@every_kind
def test_fixed_networks_are_bit_exact(backend: str, kind: str) -> None:
    for seed in networks(backend, SEEDS):
        network, inputs, answer = expected(kind, seed, True, backend not in POOLLESS)
        assert_identical(held_to(backend, answer), execute(network, inputs, backend), (kind, seed))


@every_kind
def test_float_networks_agree(backend: str, kind: str) -> None:
    for seed in networks(backend, SEEDS // 2):
        network, inputs, answer = expected(kind, seed, False)
        assert_agree(held_to(backend, answer), execute(network, inputs, backend), (kind, seed))


@cache
def at_limits(seed: int, pools: bool) -> tuple[ns.Network, Inputs, ns.Recording]:
    network, inputs = limits_case(np.random.default_rng(seed), pools=pools)
    return network, inputs, simulate(network, inputs, keep_state=True)


def test_integer_limits_are_bit_exact(backend: str) -> None:
    for seed in networks(backend, SEEDS):
        network, inputs, answer = at_limits(seed, backend not in POOLLESS)
        assert_identical(held_to(backend, answer), execute(network, inputs, backend), seed)


@given(case=options_cases())
def test_any_fixed_network_is_bit_exact(backend: str, case: OptionsCase) -> None:
    network, inputs = case
    assert_identical(held_to(backend, simulate(network, inputs, keep_state=True)), execute(network, inputs, backend))


@every_kind
@pytest.mark.parametrize("seed", range(3))
def test_back_ends_are_identical_on_larger_fixed_networks(backend: str, kind: str, seed: int) -> None:
    network, inputs = large_options_case(np.random.default_rng([KINDS.index(kind), seed]), kind)
    assert_identical(of_the_reference(kind, seed, True), execute(network, inputs, backend))


@every_kind
def test_back_ends_agree_on_larger_float_networks(backend: str, kind: str) -> None:
    network, inputs = large_options_case(np.random.default_rng([KINDS.index(kind), 0]), kind, fixed=False)
    assert_agree(of_the_reference(kind, 0, False), execute(network, inputs, backend))


@every_kind
@pytest.mark.parametrize("fixed", [True, False])
def test_any_number_of_channels(backend: str, kind: str, fixed: bool) -> None:
    same = assert_identical if fixed else assert_agree
    network, inputs = many_channels_case(np.random.default_rng([KINDS.index(kind), fixed]), kind, fixed=fixed)
    same(execute(network, inputs, "reference"), execute(network, inputs, backend))


@cache
def of_the_reference(kind: str, seed: int, fixed: bool) -> ns.Recording:
    """What the reference makes of a large case: all others give the same."""
    rng = np.random.default_rng([KINDS.index(kind), seed])
    return execute(*large_options_case(rng, kind, fixed=fixed), "reference")


# --- what must hold whatever the network ---


@every_kind
def test_a_batch_is_its_samples_one_by_one(backend: str, kind: str) -> None:
    network, inputs = large_options_case(np.random.default_rng([KINDS.index(kind), 10]), kind)
    whole = execute(network, inputs, backend)
    for b in range(inputs.samples):
        one = execute(network, inputs.select(b, b + 1), backend)
        assert_identical(whole.select(b, b + 1), replace(one, operations={}), (kind, b))


@every_kind
@pytest.mark.parametrize("fixed", [True, False])
def test_what_is_not_recorded_changes_nothing(backend: str, kind: str, fixed: bool) -> None:
    """The state has traces, whether or not maps are recorded."""
    network, inputs = large_options_case(np.random.default_rng([KINDS.index(kind), 11, fixed]), kind, fixed=fixed)
    whole = execute(network, inputs, backend)
    nothing: dict[str, Any] = {"spikes": {}, "sam": {}, "sam_scale": {}, "membrane": {}, "current": {}}
    for threads in (1, 2):
        bare = ns.run(network, inputs, backend, threads=threads, keep_state=backend not in STATELESS)
        (assert_identical if fixed else assert_agree)(replace(whole, **nothing), bare, (kind, threads))


# --- the suite itself ---


def test_random_networks_use_every_option_and_are_alive() -> None:
    """Of the networks above: populations that fire, by option, and networks in which something happens at all."""
    fired, reached = Counter[str](), Counter[str]()
    populations = 0
    for kind in KINDS:
        for seed in range(SEEDS // 2):
            network, _, answer = expected(kind, seed, True)
            reached["saturated"] += any(count.any() for count in answer.saturated.values())
            reached["wrapped"] += any(count.any() for count in answer.wrapped.values())
            reached["several inputs"] += len(network.inputs) > 1
            reached["several outputs"] += len(network.answers) > 1
            reached["lag"] += any(network.lag(p) > 0 for p in network.projections)
            reached["pooled"] += any(p.pool is not None and p.fires for p in network.populations)
            reached["split"] += len({p.label for p in network.projections}) < len(network.projections)
            reached.update(network.answers.values())
            for population in network.populations:
                neuron = population.neuron
                populations += isinstance(neuron, ns.FixedLIF)
                if not isinstance(neuron, ns.FixedLIF) or not answer.spikes[population.name].count():
                    continue
                several = answer.spikes[population.name].magnitude
                fired.update([neuron.reset, neuron.reset_timing, neuron.fires])
                fired["more than one"] += several is not None and int(several.max()) > 1
                fired["as many as allowed"] += several is not None and int(several.max()) == neuron.max_spikes
                fired["bound"] += neuron.lower_bound_64ths is not None
                fired["refractory"] += neuron.refractory > 0
                fired["adaptive"] += neuron.threshold_decay is not None
                fired["adapted amount"] += neuron.reset == "subtract" and neuron.reset_amount_64ths is None
                fired["by neuron"] += np.ndim(neuron.threshold) == 3
                fired["from elsewhere"] += bool(np.any(neuron.initial_membrane_64ths))
    assert fired["above"] + fired["at"] > 0.6 * populations
    assert min(fired.values()) >= 5, fired
    assert len(fired) == 5 + 3 + 2 + 8, fired
    assert min(reached.values()) >= 2, reached
    assert len(reached) == 7 + 4, reached
