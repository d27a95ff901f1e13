"""What is proven never happens: where a population cannot wrap or saturate, no back end ever counts that it did."""

from __future__ import annotations

import numpy as np
import pytest

import neurosam as ns
from neurosam.network.bounds import Proven, proven
from support.networks import KINDS, edge_case, random_case


def test_what_is_proven_never_happens() -> None:
    seen = {"wraps": [0, 0], "saturates": [0, 0]}  # proven and not; happened
    for seed in range(120):
        rng = np.random.default_rng([5, seed])
        network, events = edge_case(rng) if seed % 2 else random_case(rng, KINDS[seed % len(KINDS)])
        recording = ns.run(network, events, "reference")
        for population in network.populations:
            if population.neuron is None:
                continue
            name = population.name
            known = proven(network, name)
            wrapped, saturated = (int(part[name].sum()) for part in (recording.wrapped, recording.saturated))
            assert not (known.no_wrap and wrapped), (seed, name)
            assert not (known.no_saturation and saturated), (seed, name)
            for kind, holds, count in (
                ("wraps", known.no_wrap, wrapped),
                ("saturates", known.no_saturation, saturated),
            ):
                seen[kind][0] += holds
                seen[kind][1] += count > 0
    assert min(*seen["wraps"], *seen["saturates"]) > 10, seen


def one(neuron: ns.FixedLIF | ns.FixedReadout, weight: int, magnitude: int = 1, exponent: int = 0) -> Proven:
    """What is proven of a single neuron behind one synapse."""
    network = ns.Network(
        [ns.Population("in", (1,), magnitude=magnitude), ns.Population("out", (1,), neuron)],
        [ns.Projection("in", "out", ns.Dense(np.array([[weight]])), exponent=exponent)],
    )
    return proven(network, "out")


@pytest.mark.parametrize("largest", [2**17 - 1, 2**17])
def test_the_current_is_proven_up_to_24_bits(largest: int) -> None:
    forgetting = ns.FixedLIF(4096, 1, reset="none")
    assert one(forgetting, 1, largest) == Proven(largest < 2**17, largest < 2**17)


def test_a_neuron_that_keeps_everything_is_not_proven() -> None:
    assert one(ns.FixedReadout(), 1) == Proven(True, False)
    assert one(ns.FixedLIF(0, 1), 1) == Proven(True, False)


def test_a_leak_bounds_the_membrane() -> None:
    """It adds up to 64 * 100 * 4096 / 1024 = 25,600 and below 2^23; 30,000 times as much exceeds it."""
    assert one(ns.FixedLIF(1024, 1, reset="none"), 100) == Proven(True, True)
    assert one(ns.FixedLIF(4, 1, reset="none"), 127, 100).no_saturation is False


def test_a_current_adds_up_first() -> None:
    slow = ns.FixedLIF(4096, 1, reset="none", current_decay=31)  # keeps 4064 of 4096: 128 times the input
    assert one(slow, 1, 2**10 - 1) == Proven(True, True)
    assert one(slow, 1, 2**10).no_wrap is False


@pytest.mark.parametrize("option", ["amount", "value", "initial", "bias"])
def test_what_a_reset_leaves_counts(option: str) -> None:
    large = 2**23 - 1
    neuron = {
        "amount": ns.FixedLIF(2048, 1, reset_amount_64ths=large),
        "value": ns.FixedLIF(2048, 1, reset="value", reset_value_64ths=-large),
        "initial": ns.FixedLIF(2048, 1, initial_membrane_64ths=large),
        "bias": ns.FixedLIF(2, 1, bias_mantissa=4095, bias_exponent=7),
    }[option]
    assert one(neuron, 1) == Proven(True, False)
