"""Mappings of networks: nothing lost, nothing twice, no limit broken; the spikes do not depend on them; refusals."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import neurosam as ns
from neurosam.graph.matrices import as_sparse, pool_as_conv, product
from neurosam.network.synapse import neurons
from neurosam_hw.errors import MappingError
from neurosam_hw.mappers.build import map_in_order, map_network
from neurosam_hw.mapping import CoreMapping, HardwareSchedule, packets
from neurosam_hw.resources import use
from support.mappings import hardware_case
from support.networks import KINDS
from support.resource_oracle import explicit_use
from support.toy_chip import CRAMPED, LISTS, toy_chip

ROOM: dict[str, Any] = {
    "limits.cores": 4096,
    "limits.neurons_per_core": 40,
    "limits.axons_in_per_core": 160,
    "limits.axons_out_per_core": 400,
    "limits.synapse_memory_per_core": 12_000,
    "limits.decay_profiles_per_core": 3,
    "limits.threshold_profiles_per_core": 3,
}
"""So little that populations of a few dozen neurons are cut, and so much that one neuron always fits."""

NEURON = ns.FixedLIF(membrane_decay=410, threshold=64)


def has_schedule(network: ns.Network) -> bool:
    """Whether its cycles have a step for each hop."""
    try:
        HardwareSchedule.of(network)
    except MappingError:
        return False
    return True


@settings(max_examples=6)
@given(st.integers(0, 2**32 - 1), st.sampled_from(KINDS), st.booleans(), st.booleans())
def test_no_limit_is_broken(seed: int, kind: str, shared: bool, inputs: bool) -> None:
    """CoreMapping itself refuses a neuron without a place or with two (tests/mapping)."""
    network, _ = hardware_case(np.random.default_rng(seed), kind)
    if not has_schedule(network):
        return
    mapping = map_network(network, toy_chip({**(CRAMPED if shared else LISTS), **ROOM}), inputs_on_chip=inputs)
    placed = [p for p in network.populations if p.neuron is not None or inputs]
    assert sum(piece.size for piece in mapping.pieces) == sum(neurons(p.shape) for p in placed)
    for used in explicit_use(mapping):
        assert used["neurons"] <= 40
        assert used["axons_in"] <= 160
        assert used["axons_out"] <= 400
        assert used["synapse_bits"] <= 12_000
        assert used["decay_profiles"] <= 3
        assert used["threshold_profiles"] <= 3


def small_network() -> ns.Network:
    """Two convolutions with channels of different thresholds, one behind a pool, and readouts."""
    rng = np.random.default_rng(5)

    def weights(*shape: int) -> Any:
        return rng.integers(-40, 60, shape).astype(np.int8)

    second = ns.FixedLIF(membrane_decay=300, threshold=rng.integers(60, 160, 6))
    return ns.Network(
        [
            ns.Population("in", (2, 8, 8)), ns.Population("a", (4, 8, 8), NEURON),
            ns.Population("b", (6, 4, 4), second), ns.Population("out", (10,), ns.FixedReadout()),
        ],
        [
            ns.Projection("in", "a", ns.Conv2d(weights(4, 2, 3, 3), padding=1)),
            ns.Projection("a", "b", ns.Conv2d(weights(6, 2, 3, 3), padding=1, groups=2), pool=ns.SumPool2d(2)),
            ns.Projection("b", "out", ns.Dense(weights(10, 96))),
        ],
    )  # fmt: skip


def cut_apart(mapping: CoreMapping) -> ns.Network:
    """The network with a population for each piece, and all synapses written out as lists."""
    network = mapping.network
    populations = [p for p in network.populations if p.neuron is None]
    members = {p.name: [(p.name, np.arange(neurons(p.shape)))] for p in populations}
    for population in network.populations:
        for n, piece in enumerate(mapping.pieces_of(population.name)):
            own, name = piece.indices(population.shape), f"{population.name}.{n}"
            neuron: Any = population.neuron
            if isinstance(neuron, ns.FixedLIF) and np.ndim(neuron.threshold):
                thresholds = np.repeat(neuron.threshold, neurons(population.shape) // population.shape[0])[own]
                neuron = replace(neuron, threshold=thresholds, reset_amount_64ths=thresholds * 64)
            populations.append(ns.Population(name, (own.size,), neuron))
            members.setdefault(population.name, []).append((name, own))
    projections = []
    for projection in network.projections:
        shape = network[projection.source].shape
        matrix = as_sparse(projection.synapse, shape, projection.label) if projection.pool is None else None
        if matrix is None:
            assert projection.pool is not None
            pooled = projection.pool.output_shape(shape)
            windows = as_sparse(pool_as_conv(projection.pool, pooled[0]), shape, projection.label)
            matrix = product(as_sparse(projection.synapse, pooled, projection.label), windows, projection.label)
        dense = matrix.to_dense().astype(np.int8)
        for source, sources in members[projection.source]:
            projections += [
                ns.Projection(source, target, ns.Sparse.from_dense(dense[np.ix_(targets, sources)]))
                for target, targets in members[projection.target]
            ]
    return ns.Network(populations, projections, outputs=[name for name, _ in members["out"]])


def test_splitting_never_changes_a_spike() -> None:
    """The pieces as populations of their own, put together again, do what the whole does."""
    network = small_network()
    mapping = map_network(network, toy_chip({**CRAMPED, **ROOM}))
    apart = cut_apart(mapping)
    assert len(apart.populations) > 10
    events = ns.Events.from_dense((np.random.default_rng(1).random((12, 2, 2, 8, 8)) < 0.2).astype(np.uint8))
    whole = ns.run(network, events, record=ns.Record(spikes=("a", "b"), membrane=("out",)))
    parts = ns.run(apart, events, record=ns.Record(
        spikes=tuple(p.name for p in apart.populations if p.neuron is not None and p.fires),
        membrane=tuple(apart.answers),
    ))  # fmt: skip
    for name in ("a", "b"):
        spikes = whole.spikes[name].dense().reshape(12, 2, -1)
        together = np.zeros_like(spikes)
        for n, piece in enumerate(mapping.pieces_of(name)):
            together[:, :, piece.indices(network[name].shape)] = parts.spikes[f"{name}.{n}"].dense()
        assert spikes.sum() > 100
        assert np.array_equal(together, spikes)
    last = np.zeros_like(whole.membrane["out"])
    for n, piece in enumerate(mapping.pieces_of("out")):
        last[..., piece.indices((10,))] = parts.membrane[f"out.{n}"]
    assert np.array_equal(last, whole.membrane["out"])


def test_the_same_network_is_mapped_the_same() -> None:
    chip = toy_chip({**CRAMPED, **ROOM})
    first, second = (map_network(small_network(), chip) for _ in range(2))
    assert np.array_equal(first.positions, second.positions)
    assert [(p.population, p.core, p.box) for p in first.pieces] == [
        (p.population, p.core, p.box) for p in second.pieces
    ]


def test_fewer_packets_than_in_order() -> None:
    chip = toy_chip({**LISTS, **ROOM, "limits.synapse_memory_per_core": 200_000})
    tiled, plain = (mapper(small_network(), chip) for mapper in (map_network, map_in_order))
    sent = [sum(packets(mapping, name).cores.size for name in ("in", "a")) for mapping in (tiled, plain)]
    assert sent[0] < 0.8 * sent[1]


def test_small_pieces_share_a_core() -> None:
    one = ns.Dense(np.ones((9, 9), np.int8))
    network = ns.Network(
        [ns.Population("in", (9,)), *(ns.Population(name, (9,), NEURON) for name in "abcde")],
        [ns.Projection(p, q, one) for p, q in zip(["in", *"abcd"], "abcde", strict=True)],
    )
    mapping = map_network(network, toy_chip({"limits.cores": 8, "limits.neurons_per_core": 20}))
    assert [[piece.population for piece in mapping.pieces_on(core)] for core in range(mapping.cores)] == [
        ["a", "b"], ["c", "d"], ["e"],
    ]  # fmt: skip
    large = map_network(network, toy_chip({"limits.cores": 8, "limits.neurons_per_core": 17}))
    assert large.cores == 5


def test_inputs_take_cores_where_they_are_on_the_chip() -> None:
    chip = toy_chip({**CRAMPED, **ROOM})
    mapping = map_network(small_network(), chip, inputs_on_chip=True)
    assert mapping.core_of("in").min() >= 0
    assert map_network(small_network(), chip).core_of("in").max() == -1
    assert all(core.axons_out <= 400 for core in use(mapping))


def layers(widths: list[int], size: int = 8) -> ns.Network:
    """A chain of 3 x 3 convolutions with so many channels."""
    names = ["in", *(f"conv{n}" for n in range(1, len(widths)))]
    populations = [
        ns.Population(name, (c, size, size), NEURON if n else None)
        for n, (name, c) in enumerate(zip(names, widths, strict=True))
    ]
    projections = [
        ns.Projection(
            names[n], names[n + 1], ns.Conv2d(np.full((widths[n + 1], widths[n], 3, 3), 9, np.int8), padding=1)
        )
        for n in range(len(widths) - 1)
    ]
    return ns.Network(populations, projections)


SPECK: dict[str, Any] = {
    "limits.cores": 3,
    "limits.kernel_memory": (1024, 4096, 1024),
    "limits.neuron_memory": (1024, 1024, 512),
}


def test_a_layer_a_core() -> None:
    """conv1: 2 * 2^(4 + 3) weights and 8 * 64 neurons; conv2: 8 * 2^(4 + 4), 16 * 64; conv3: 16 * 2^(4 + 2), 4 * 64."""
    mapping = map_network(layers([2, 8, 16, 4]), toy_chip(SPECK))
    assert mapping.positions.tolist() == [[0, 2], [0, 1], [0, 0]]
    found = [(core.kernel_memory, core.neuron_memory) for core in use(mapping)]
    assert found == [(256, 512), (2048, 1024), (1024, 256)]


@pytest.mark.parametrize(
    ("network", "figures", "message"),
    [
        (layers([2, 4]), {}, "chip 'toy': limits.cores is unknown"),
        (layers([2, 32]), SPECK, "'conv1': needs 2,048 numbers of neuron memory; the best core of toy has 1,024"),
        (layers([2, 8, 16, 16]), SPECK, r"'conv3': finds no core left: toy has 3, of which 1 could hold it. Use fewer"),
        (layers([2, 4]), {"limits.cores": 1, "limits.neurons_per_core": 100}, "network: needs 3 cores; toy has one"),
        (layers([8, 4]), {"limits.cores": 9, "limits.fan_in": 71}, "'conv1': a single neuron needs 72 fan in"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(network: ns.Network, figures: dict[str, Any], message: str) -> None:
    with pytest.raises(MappingError, match=message):
        map_network(network, toy_chip(figures))


def test_a_pool_of_sums_is_refused() -> None:
    network = ns.Network(
        [ns.Population("in", (1, 4, 4)), ns.Population("conv", (1, 2, 2), NEURON, pool=ns.MaxPool2d(2))],
        [ns.Projection("in", "conv", ns.Conv2d(np.ones((1, 1, 1, 1), np.int8)))],
    )
    with pytest.raises(
        MappingError, match="takes the largest of several sums in a step, which no chip does; pool its spikes"
    ):
        map_network(network, toy_chip(ROOM))


@pytest.mark.parametrize("rates", [np.ones(5), np.full(128, -1.0), np.full(128, np.nan)])
def test_activity_of_another_network_is_refused(rates: Any) -> None:
    with pytest.raises(MappingError, match="activity of 'in'"):
        map_network(layers([2, 4]), toy_chip(ROOM), activity={"in": rates})


def test_output_axons_that_no_order_knows_are_mended() -> None:
    """Recurrence: what a core sends to is only known when all are cut; it is then cut again."""
    rng = np.random.default_rng(0)
    matrix = (rng.random((30, 30)) < 0.3).astype(np.int8)
    network = ns.Network(
        [ns.Population("in", (30,)), ns.Population("a", (30,), NEURON), ns.Population("b", (30,), NEURON)],
        [
            ns.Projection("in", "a", ns.Dense(np.ones((30, 30), np.int8))),
            ns.Projection("a", "b", ns.Dense(np.ones((30, 30), np.int8))),
            ns.Projection("b", "a", ns.Dense(matrix)),
        ],
        check_alignment=False,
    )
    chip = toy_chip({"limits.cores": 64, "limits.neurons_per_core": 15, "limits.axons_out_per_core": 40})
    mapping = map_network(network, chip)
    assert max(core.axons_out for core in use(mapping)) <= 40
    assert max(core["axons_out"] for core in explicit_use(mapping)) <= 40
