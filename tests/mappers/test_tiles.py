"""Tiles against all sizes there are: as few cores, then as few packets, for convolutions of every form."""

from __future__ import annotations

from itertools import groupby
from typing import Any

import numpy as np
import pytest

import neurosam as ns
from neurosam.network.synapse import as_chw
from neurosam_hw.errors import MappingError
from neurosam_hw.mappers.tiles import Tiling, sent, tiles
from neurosam_hw.mapping import CoreMapping, Piece, packets
from neurosam_hw.resources import Demand, use
from neurosam_hw.resources.cores import parts
from support.toy_chip import CRAMPED, LISTS, toy_chip

NEURON = ns.FixedLIF(membrane_decay=410, threshold=64)
ROOM: dict[str, Any] = {
    "limits.cores": 4096,
    "limits.neurons_per_core": 24,
    "limits.axons_in_per_core": 60,
    "limits.synapse_memory_per_core": 4000,
}


def ones(*shape: int) -> Any:
    return np.full(shape, 101, dtype=np.int8)


LAYERS = {
    "plain": ((2, 7, 6), ns.Conv2d(ones(5, 2, 3, 3), padding=1), None),
    "strided": ((2, 9, 8), ns.Conv2d(ones(6, 2, 3, 3), stride=2), None),
    "dilated": ((2, 8, 8), ns.Conv2d(ones(4, 2, 3, 2), dilation=(2, 3)), None),
    "grouped": ((4, 6, 6), ns.Conv2d(ones(8, 2, 3, 3), padding=1, groups=2), None),
    "depthwise": ((6, 6, 6), ns.Conv2d(ones(6, 1, 3, 3), padding=1, groups=6), None),
    "pooled": ((2, 9, 9), ns.Conv2d(ones(4, 2, 2, 2)), ns.SumPool2d(2)),
    "overlapping": ((2, 9, 9), ns.Conv2d(ones(4, 2, 2, 2)), ns.SumPool2d(3, 2, 1)),
    "pointwise": ((3, 5, 5), ns.Conv2d(ones(9, 3, 1, 1)), None),
}


def layer(name: str, neuron: ns.FixedLIF = NEURON) -> ns.Network:
    source, synapse, pool = LAYERS[name]
    shape = synapse.output_shape(pool.output_shape(source) if pool else source)
    return ns.Network(
        [ns.Population("in", source), ns.Population("conv", shape, neuron)],
        [ns.Projection("in", "conv", synapse, pool=pool)],
    )


def pieces(tiling: Tiling) -> tuple[Piece, ...]:
    return tuple(Piece("conv", core, box) for core, box in enumerate(tiling.boxes()))


def best(demand: Demand) -> tuple[int, int]:
    """Cores and packets of the best of all sizes; of several that give as many tiles along a side, the smallest."""
    shape = as_chw(demand.network["conv"].shape)
    sizes = [Tiling(c + 1, y + 1, x + 1, shape) for c, y, x in np.ndindex(*shape)]
    even = [t for t in sizes if t.sides == tuple(-(-side // n) for side, n in zip(shape, t.counts, strict=True))]
    for cores, some in groupby(sorted(even, key=lambda tiling: tiling.cores), key=lambda tiling: tiling.cores):
        fitting = [t for t in some if not any(demand.excesses((piece,)) for piece in pieces(t))]
        if fitting:
            found = (CoreMapping(demand.network, demand.chip, pieces(tiling)) for tiling in fitting)
            return cores, min(packets(mapping, "in").cores.size for mapping in found)
    raise AssertionError("nothing fits")


@pytest.mark.parametrize("figures", [CRAMPED, LISTS], ids=["shared", "lists"])
@pytest.mark.parametrize("name", LAYERS)
def test_the_best_of_all_sizes(name: str, figures: dict[str, Any]) -> None:
    demand = Demand(layer(name), toy_chip({**figures, **ROOM}))
    tiling = tiles(demand, demand.network["conv"])
    mapping = CoreMapping(demand.network, demand.chip, pieces(tiling))
    assert (mapping.cores, packets(mapping, "in").cores.size) == best(demand)


def test_busy_pixels_decide() -> None:
    """Of two ways to halve a map, that whose seam has no spikes beside it."""
    network = ns.Network(
        [ns.Population("in", (1, 4, 4)), ns.Population("conv", (1, 4, 4), NEURON)],
        [ns.Projection("in", "conv", ns.Conv2d(ones(1, 1, 3, 3), padding=1))],
    )
    demand = Demand(network, toy_chip({"limits.neurons_per_core": 8}))
    rows, columns = np.zeros((4, 4)), np.zeros((4, 4))
    rows[1:3], columns[:, 1:3] = 1, 1
    assert tiles(demand, network["conv"], rates={"in": rows.ravel()}).sides == (1, 4, 2)
    assert tiles(demand, network["conv"], rates={"in": columns.ravel()}).sides == (1, 2, 4)


def test_thresholds_of_a_channel_keep_others_away() -> None:
    """Nine channels with thresholds of their own, two profiles a core."""
    network = layer("pointwise", ns.FixedLIF(membrane_decay=410, threshold=np.arange(1, 10)))
    demand = Demand(network, toy_chip({"limits.threshold_profiles_per_core": 2}))
    tiling = tiles(demand, network["conv"])
    assert (tiling.sides, tiling.cores) == ((2, 5, 5), 5)


@pytest.mark.parametrize("figures", [CRAMPED, LISTS], ids=["shared", "lists"])
@pytest.mark.parametrize("name", ["plain", "grouped", "pooled"])
def test_output_axons_are_those_of_the_mapping(name: str, figures: dict[str, Any]) -> None:
    """What tiles of the source need to send to tiles of the target."""
    network = layer(name)
    demand = Demand(network, toy_chip({**figures, **ROOM}))
    target = tiles(demand, network["conv"])
    senders = [
        demand.wiring.senders(some) for piece in pieces(target) for some in parts(demand.wiring, (piece,)).values()
    ]
    source = Tiling(1, 3, 4, as_chw(network["in"].shape))
    boxes = tuple(Piece("in", target.cores + n, box) for n, box in enumerate(source.boxes()))
    found = use(CoreMapping(network, demand.chip, (*pieces(target), *boxes)))[target.cores :]
    slots, destinations = sent(source, senders)
    assert slots.tolist() == [core.axons_out for core in found]
    assert destinations.tolist() == [core.destinations for core in found]
    limit = int(slots.max()) - 1
    tight = Demand(network, toy_chip({**figures, "limits.axons_out_per_core": limit}))
    assert sent(tiles(tight, network["in"], senders=senders), senders)[0].max() <= limit


@pytest.mark.parametrize(
    ("limit", "message"),
    [
        ({"limits.fan_in": 17}, "population 'conv': a single neuron needs 18 fan in; a core of toy has 17. Use fewer"),
        ({"limits.axons_in_per_core": 8}, "needs 9 axons in; a core of toy has 8.*pool the source first"),
        ({"limits.synapse_memory_per_core": 100}, r"needs \d+ synapse bits; a core of toy has 100"),
    ],
)
def test_what_does_not_fit_is_named(limit: dict[str, Any], message: str) -> None:
    network = layer("plain")
    with pytest.raises(MappingError, match=message):
        tiles(Demand(network, toy_chip({**CRAMPED, **limit})), network["conv"])
