"""Retiming: every projection of a network is scheduled on Lava's clock, or refused by name."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import neurosam as ns
from neurosam.backends import Options
from neurosam.errors import BackendError
from neurosam.signals.inputs import Inputs
from neurosam_hw.lava.backend import LavaBackend
from neurosam_hw.lava.timing import own_steps, timing
from support.networks import KINDS, random_case


def chain(*delays: int) -> ns.Network:
    weight = np.array([[2]], dtype=np.int8)
    neuron = ns.FixedLIF(membrane_decay=0, threshold=1)
    populations = [ns.Population("p0", (1,)), *(ns.Population(f"p{i + 1}", (1,), neuron) for i in range(len(delays)))]
    projections = [ns.Projection(f"p{i}", f"p{i + 1}", ns.Dense(weight), delay=d) for i, d in enumerate(delays)]
    return ns.Network(populations, projections)


def loop(there: int, back: int) -> ns.Network:
    network = chain(1, there)
    again = ns.Projection("p2", "p1", ns.Dense(np.array([[2]], dtype=np.int8)), delay=back)
    return replace(network, projections=(*network.projections, again))


@pytest.mark.parametrize("kind", KINDS)
def test_messages_arrive_with_the_lag_of_the_network(kind: str) -> None:
    for seed in range(60):
        network, _ = random_case(np.random.default_rng(seed), kind)
        try:
            schedule = timing(network)
        except BackendError:
            continue
        assert schedule.start[network.input.name] == 0
        for projection, wait in zip(network.projections, schedule.wait, strict=True):
            assert wait >= 0
            arrives = schedule.start[projection.source] + own_steps(projection) + wait
            assert arrives == schedule.start[projection.target] + network.lag(projection)


def test_a_chain_needs_no_relay_whatever_its_delays() -> None:
    for delays in ((1, 1, 1), (0, 0, 0), (5, 0, 2)):
        assert timing(chain(*delays)).wait == (0, 0, 0)
        assert timing(chain(*delays)).start == {"p0": 0, "p1": 1, "p2": 2, "p3": 3}


@pytest.mark.parametrize(("there", "back"), [(1, 1), (0, 2), (2, 0), (3, 4)])
def test_a_cycle_with_enough_delay_is_scheduled(there: int, back: int) -> None:
    assert sum(timing(loop(there, back)).wait[1:]) == there + back - 2


@pytest.mark.parametrize(("there", "back"), [(1, 0), (0, 1)])
def test_a_cycle_faster_than_lava_is_refused_by_name(there: int, back: int) -> None:
    with pytest.raises(BackendError, match=r"projection p\d->p\d: lies on a cycle with too little delay for Lava"):
        timing(loop(there, back))


def test_a_pool_in_front_of_neurons_is_refused_by_name() -> None:
    """Before Lava is looked for."""
    neuron = ns.FixedLIF(membrane_decay=0, threshold=1)
    network = ns.Network(
        [ns.Population("in", (1, 2, 2)), ns.Population("a", (1, 1, 1), neuron, pool=ns.MaxPool2d(2))],
        [ns.Projection("in", "a", ns.Conv2d(np.ones((1, 1, 1, 1), np.int8)))],
    )
    events = ns.Events.from_dense(np.ones((2, 1, 1, 2, 2)))
    with pytest.raises(BackendError, match=r"population 'a': takes the largest sum of each window \(pool\)"):
        LavaBackend().run(network, Inputs.of(network, events), ns.Record(), Options())
