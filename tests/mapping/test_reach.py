"""What spikes reach and when, held against lists of synapses and of paths, on random networks and mappings."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

import neurosam as ns
from neurosam.network.synapse import neurons
from neurosam_hw.errors import MappingError
from neurosam_hw.mapping.mapping import CoreMapping
from neurosam_hw.mapping.reach import Reach, packets, reach
from neurosam_hw.mapping.schedule import HardwareSchedule
from support.chip_oracle import core_of, delays, depths, edges, place
from support.mappings import hardware_case, mesh_chip, on_one_core, random_mapping
from support.networks import KINDS

SEEDS = range(6)

Entries = dict[tuple[int, int], int]


def entries(found: Reach, size: int) -> Entries:
    """Synapses by source and core, of a table that keeps its own order."""
    assert found.starts.shape == (size + 1,)
    assert found.starts[-1] == found.cores.size == found.deliveries.size
    sources = np.repeat(np.arange(size), np.diff(found.starts)).tolist()
    pairs = list(zip(sources, found.cores.tolist(), strict=True))
    assert pairs == sorted(set(pairs))  # cores rise within a source, without repeats
    return dict(zip(pairs, found.deliveries.tolist(), strict=True))


def counted(mapping: CoreMapping, projections: list[ns.Projection]) -> Entries:
    """The same, synapse by synapse."""
    cores = {p.target: core_of(mapping, p.target) for p in projections}
    return Counter(
        (source, cores[p.target][target]) for p in projections for source, target in edges(mapping.network, p)
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", SEEDS)
def test_synapses_and_packets_are_those_of_the_list(seed: int, kind: str) -> None:
    rng = np.random.default_rng(seed)
    network, _ = hardware_case(rng, kind, fixed=seed % 3 > 0)
    mapping = random_mapping(rng, network)
    for projection in network.projections:
        size = neurons(network[projection.source].shape)
        assert entries(reach(mapping, projection), size) == counted(mapping, [projection])
    for population in network.populations:
        outgoing = [p for p in network.projections if p.source == population.name]
        found = packets(mapping, population.name)
        assert entries(found, neurons(population.shape)) == counted(mapping, outgoing)
        assert found.fan_out.tolist() == np.diff(found.starts).tolist()


@pytest.mark.parametrize("seed", range(12))
def test_groups_of_channels_reach_their_own(seed: int) -> None:
    """Several outputs of each group, behind a pool now and then, and boxes that cut through groups."""
    rng = np.random.default_rng(seed)
    groups, inputs, outputs = (int(n) for n in rng.integers(2, 4, 3))
    conv = ns.Conv2d(
        np.ones((groups * outputs, inputs, int(rng.integers(1, 4)), int(rng.integers(1, 4)))),
        stride=(int(rng.integers(1, 3)), int(rng.integers(1, 3))), padding=(int(rng.integers(0, 2)), 1),
        dilation=(1, int(rng.integers(1, 3))), groups=groups,
    )  # fmt: skip
    pool = ns.SumPool2d((2, 3), (1, 2), (1, 0)) if seed % 3 == 0 else None
    source = ns.Population("in", (groups * inputs, 7, 10))
    shape = conv.output_shape(source.shape if pool is None else pool.output_shape(source.shape))
    network = ns.Network(
        [source, ns.Population("out", shape, ns.LIF(0.9, 1.0))], [ns.Projection("in", "out", conv, pool=pool)]
    )
    mapping = random_mapping(rng, network)
    found = entries(reach(mapping, network.projections[0]), neurons(source.shape))
    assert found == counted(mapping, list(network.projections))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", SEEDS)
def test_neurons_are_where_their_pieces_say(seed: int, kind: str) -> None:
    rng = np.random.default_rng(seed)
    network, _ = hardware_case(rng, kind)
    mapping = random_mapping(rng, network)
    for population in network.populations:
        placed = core_of(mapping, population.name)
        assert mapping.core_of(population.name).tolist() == [
            placed.get(n, -1) for n in range(neurons(population.shape))
        ]
    assert [tuple(mapping.tile(core)) for core in range(mapping.cores)] == [
        place(mapping, core) for core in range(mapping.cores)
    ]


def random_graph(rng: np.random.Generator) -> ns.Network | None:
    """Up to five populations of one neuron, joined at random, with loops; None if it is no network."""
    names = ["in", *"abcd"[: rng.integers(1, 5)]]
    pairs = [(p, q) for p in names for q in names[1:] if rng.random() < 0.4]
    pairs += [(names[int(rng.integers(0, k))], names[k]) for k in range(1, len(names)) if rng.random() < 0.9]
    one = ns.Dense(np.ones((1, 1)))
    onset = 0 if rng.random() < 0.5 else None
    populations = [ns.Population(n, (1,), None if n == "in" else ns.LIF(0.9, 1.0), onset=onset) for n in names]
    projections = [ns.Projection(p, q, one, delay=int(rng.integers(0, 3))) for p, q in pairs]
    try:
        return ns.Network(populations, projections, check_alignment=False)
    except ns.NeurosamError:
        return None


def test_the_schedule_is_that_of_the_longest_paths() -> None:
    """Depths are the smallest that leave every hop a step; a cycle that is too short has none."""
    drawn = [hardware_case(np.random.default_rng(seed), kind)[0] for kind in KINDS for seed in range(4)]
    graphs = [random_graph(np.random.default_rng(seed)) for seed in range(150)]
    outcomes = Counter[str]()
    for network in [*drawn, *(graph for graph in graphs if graph is not None)]:
        expected = depths(network)
        outcomes["none" if expected is None else f"{max(expected.values())}"] += 1
        if expected is None:
            with pytest.raises(MappingError, match=r"in \(or behind\) a cycle"):
                HardwareSchedule.of(network)
            continue
        schedule = HardwareSchedule.of(network)
        assert dict(schedule.depths) == expected
        assert list(schedule.delays) == delays(network)
        assert min(schedule.delays) >= 1
        assert schedule.steps(7) == 7 + max(expected.values())
    assert min(outcomes[name] for name in ("none", "0", "1", "2", "3")) > 2, outcomes


def test_the_largest_of_several_sums_is_on_no_chip() -> None:
    network = ns.Network(
        [ns.Population("in", (1, 4, 4)), ns.Population("a", (1, 2, 2), ns.LIF(0.9, 1.0), pool=ns.MaxPool2d(2))],
        [ns.Projection("in", "a", ns.Conv2d(np.ones((1, 1, 1, 1))))],
    )
    mapping = on_one_core(network, mesh_chip())
    with pytest.raises(MappingError, match="population 'a': takes the largest"):
        reach(mapping, network.projections[0])
