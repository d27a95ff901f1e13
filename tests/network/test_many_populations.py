"""The work for a network grows with its populations, not with their square: 4,096 of them fit into a file."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

import neurosam as ns
from neurosam.metrics.layers import layers, neuron_layers
from neurosam.signals.state import State


class Counted(ns.Projection):
    """Counts how often anyone asks which populations it joins."""

    looks = 0

    def __getattribute__(self, name: str) -> Any:
        if name in ("source", "target"):
            Counted.looks += 1
        return super().__getattribute__(name)


def chain(count: int) -> ns.Network:
    names = [f"p{i}" for i in range(count)]
    populations = [ns.Population(name, (1,), ns.LIF(0.9, 1.0) if i else None) for i, name in enumerate(names)]
    return ns.Network(populations, [Counted(a, b, ns.Dense(np.ones((1, 1)))) for a, b in pairwise(names)])


@pytest.mark.parametrize(
    "work",
    [
        lambda network: ns.Network(network.populations, network.projections),
        lambda network: State.initial(network, 1),
        layers,
        neuron_layers,
        lambda network: [network.incoming(p.name) + network.outgoing(p.name) for p in network.populations],
    ],
    ids=["network", "state", "layers", "neuron_layers", "incoming and outgoing"],
)
def test_twice_the_populations_are_twice_the_work(work: Callable[[ns.Network], Any]) -> None:
    looks = []
    for count in (100, 200):
        network = chain(count)
        Counted.looks = 0
        work(network)
        looks.append(Counted.looks)
    assert 0 < looks[1] <= 2.2 * looks[0]


def test_projections_of_a_population_are_in_the_networks_order() -> None:
    one = ns.Dense(np.ones((1, 1)))
    network = ns.Network(
        [ns.Population("in", (1,)), *(ns.Population(name, (1,), ns.LIF(0.9, 1.0), onset=1) for name in "ab")],
        [ns.Projection(*ends, one, delay=1) for ends in (("in", "b"), ("a", "b"), ("in", "a"), ("b", "b"))],
    )
    assert [p.source for p in network.incoming("b")] == ["in", "a", "b"]
    assert [p.target for p in network.outgoing("in")] == ["b", "a"]
    assert network.incoming("in") == network.outgoing("none") == ()
