"""Places: each core one, hops never more than in order, neighbours on one chip."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import neurosam as ns

pytest.importorskip("tomllib", reason="chips are read since Python 3.11")

from neurosam_hw import chips as shipped
from neurosam_hw.chips import Chip, load_chip
from neurosam_hw.mappers import place
from neurosam_hw.mappers.place import traffic
from neurosam_hw.mapping import CoreMapping, Piece

LIF = ns.FixedLIF(membrane_decay=410, threshold=64)
FOLDER = Path(shipped.__path__[0])


def chip(name: str = "loihi1") -> Chip:
    return load_chip(FOLDER / f"{name}.toml")


def mapping(weight: np.ndarray, name: str = "loihi1") -> CoreMapping:
    """A recurrent population, a neuron a core."""
    n = len(weight)
    net = ns.Network(
        [ns.Population("in", (n,)), ns.Population("p", (n,), LIF)],
        [
            ns.Projection("in", "p", ns.Sparse.one_to_one((n,), 1)),
            ns.Projection("p", "p", ns.Sparse.from_dense(weight.astype(np.int8))),
        ],
    )
    return CoreMapping(net, chip(name), tuple(Piece("p", core, neurons=np.array([core])) for core in range(n)))


def distance(mapping: CoreMapping, one: int, two: int) -> int:
    """Hops on a chip of 8 x 4 tiles, and 11 between chips: one more than from corner to corner."""
    a, b = mapping.tile(one), mapping.tile(two)
    return 11 if a.chip != b.chip else abs(a.column - b.column) + abs(a.row - b.row)


def cost(mapping: CoreMapping, rates: np.ndarray) -> int:
    """Packets times distance, synapse by synapse: a neuron a core, so that a synapse is a packet."""
    matrix = mapping.network.projections[1].synapse.to_dense()  # type: ignore[union-attr]
    targets, sources = np.nonzero(matrix)
    return sum(int(rates[s]) * distance(mapping, int(s), int(t)) for t, s in zip(targets, sources, strict=True))


@pytest.mark.parametrize(("cores", "density"), [(20, 0.2), (60, 0.1), (140, 0.03)])
def test_every_core_has_a_place_and_hops_never_rise(cores: int, density: float) -> None:
    rng = np.random.default_rng(cores)
    weight = rng.random((cores, cores)) < density
    rates = rng.integers(0, 9, cores)
    before = mapping(weight)
    placed = place(before, {"p": rates})
    places = placed.mapping.positions
    assert len(np.unique(places, axis=0)) == cores
    assert places[:, 1].max() < 128
    assert places[:, 0].max() == (cores - 1) // 128
    assert placed.cost_in_order == cost(before, rates)
    assert placed.cost == cost(placed.mapping, rates)
    assert placed.cost < placed.cost_in_order
    assert placed.mapping.pieces == before.pieces


def test_no_swap_of_two_places_would_save_more() -> None:
    weight = np.random.default_rng(1).random((24, 24)) < 0.15
    placed = place(mapping(weight)).mapping
    targets, sources = np.nonzero(weight)
    tiles = np.array([placed.tile(core)[1:] for core in range(24)])
    lowest = np.abs(tiles[targets] - tiles[sources]).sum()
    for a in range(24):
        for b in range(a):
            swapped = tiles.copy()
            swapped[[a, b]] = swapped[[b, a]]
            assert np.abs(swapped[targets] - swapped[sources]).sum() >= lowest


def test_talkers_share_a_chip() -> None:
    """Two halves of 128 cores that talk within themselves only, interleaved: no packet leaves its chip."""
    ring = np.zeros((256, 256), dtype=bool)
    ring[np.arange(256), (np.arange(256) + 2) % 256] = True
    placed = place(mapping(ring)).mapping
    for core in range(256):
        assert placed.tile(core).chip == placed.tile((core + 2) % 256).chip


def test_the_same_twice() -> None:
    weight = np.random.default_rng(2).random((40, 40)) < 0.2
    assert np.array_equal(place(mapping(weight)).mapping.positions, place(mapping(weight)).mapping.positions)


def test_chips_without_a_mesh_stay_in_order() -> None:
    placed = place(mapping(np.ones((3, 3), dtype=bool), "spinnaker2"))
    assert (placed.cost_in_order, placed.cost) == (0, 0)
    assert placed.mapping.positions.tolist() == [[0, 0], [0, 1], [0, 2]]


def test_traffic_is_counted_by_core() -> None:
    """Two neurons a core: a spike is one packet for both targets on a core; none for what comes from outside."""
    weight = np.array([[0, 1, 0, 0], [0, 1, 0, 0], [1, 0, 0, 0], [0, 1, 0, 0]])
    one = mapping(weight)
    both = CoreMapping(
        one.network, one.chip, (Piece("p", 0, neurons=np.arange(2)), Piece("p", 1, neurons=np.arange(2, 4)))
    )
    assert traffic(both, {"p": np.array([10, 1, 100, 1000])}).tolist() == [[1, 11], [0, 0]]
