"""Edges are the synapses that the network has: the same sums, the same number from every neuron."""

from __future__ import annotations

import numpy as np
import pytest

import neurosam as ns
from neurosam.errors import ExportError
from neurosam.metrics import fan_out
from neurosam.network.elements import Projection
from neurosam.network.synapse import neurons
from neurosam_hw.sanafe.edges import edges
from support.delivery import deliver
from support.networks import KINDS, random_case


def assert_equal(network: ns.Network, projection: Projection, rng: np.random.Generator) -> None:
    shape = network[projection.source].shape
    found = edges(network, projection)
    x = rng.integers(-9, 10, neurons(shape))
    expected = [int(value) for value in deliver(projection, x.tolist(), shape)]
    sums = np.zeros(len(expected), dtype=np.int64)
    np.add.at(sums, found.target, found.weight * x[found.source])
    assert sums.tolist() == expected
    assert np.array_equal(np.bincount(found.source, minlength=x.size), fan_out(projection, shape).ravel())
    assert np.array_equal(np.lexsort((found.target, found.source)), np.arange(found.source.size))


@pytest.mark.parametrize("kind", KINDS)
def test_edges_of_random_networks(kind: str) -> None:
    rng = np.random.default_rng(1)
    checked = 0
    for _ in range(12):
        network, _ = random_case(rng, kind)
        for projection in network.projections:
            if projection.exponent >= 0 and network[projection.target].pool is None:
                assert_equal(network, projection, rng)
                checked += 1
    assert checked > 10


@pytest.mark.parametrize(
    "pool", [ns.SumPool2d(2), ns.SumPool2d(3, stride=2, padding=1), ns.SumPool2d((2, 3), stride=1)]
)
def test_edges_behind_a_pool(pool: ns.SumPool2d) -> None:
    """Windows that overlap, that leave pixels out, and that reach over the border."""
    rng = np.random.default_rng(2)
    source = ns.Population("in", (4, 7, 8))
    wide = rng.integers(-300, 300, (6, 2, 2, 2)).astype(np.int16)
    conv = ns.Conv2d(wide, stride=(1, 2), padding=1, dilation=(2, 1), groups=2)
    pooled = pool.output_shape(source.shape)
    dense = rng.integers(-128, 128, (3, neurons(pooled))).astype(np.int8)
    network = ns.Network(
        [
            source,
            ns.Population("conv", conv.output_shape(pooled), ns.FixedReadout()),
            ns.Population("out", (3,), ns.FixedReadout()),
        ],
        [ns.Projection("in", "conv", conv, pool=pool), ns.Projection("in", "out", ns.Dense(dense), pool=pool)],
        outputs="out",
    )
    assert len(network.projections) == 3  # 16 bits are two projections
    for projection in network.projections:
        assert_equal(network, projection, rng)


def test_a_negative_exponent_is_exact_where_nothing_is_rounded() -> None:
    def network(weight: int) -> ns.Network:
        return ns.Network(
            [ns.Population("in", (2,)), ns.Population("out", (1,), ns.FixedReadout())],
            [ns.Projection("in", "out", ns.Dense(np.array([[8, weight]], np.int8)), exponent=-2)],
        )

    even = network(-4)
    assert edges(even, even.projections[0]).weight.tolist() == [2, -1]
    odd = network(-6)
    with pytest.raises(ExportError, match=r"projection in->out: has exponent -2.*multiples of 4"):
        edges(odd, odd.projections[0])
