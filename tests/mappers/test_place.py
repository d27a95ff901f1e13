"""Places: each core one, hops never more than in order, neighbours on one chip."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import neurosam as ns

pytest.importorskip("tomllib", reason="chips are read since Python 3.11")

from neurosam_hw import chips as shipped
from neurosam_hw.chips import Chip, load_chip
from neurosam_hw.mappers import Ways, place, ways
from neurosam_hw.mappers.traffic import arrivals, traffic
from neurosam_hw.mapping import CoreMapping, Piece, packets
from support.mappings import hardware_case, random_mapping
from support.networks import KINDS
from support.toy_chip import toy_chip

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


def counted(mapping: CoreMapping, rates: Any) -> tuple[int, int]:
    """Packets to other chips, and hops within chips, synapse by synapse: a neuron a core, so a synapse is a packet."""
    matrix = mapping.network.projections[1].synapse.to_dense()  # type: ignore[union-attr]
    crossings = hops = 0
    for target, source in zip(*np.nonzero(matrix), strict=True):
        a, b = mapping.tile(int(source)), mapping.tile(int(target))
        if a.chip != b.chip:
            crossings += int(rates[source])
        else:
            hops += int(rates[source]) * (abs(a.column - b.column) + abs(a.row - b.row))
    return crossings, hops


@pytest.mark.parametrize(("cores", "density"), [(20, 0.2), (60, 0.1), (140, 0.03)])
def test_every_core_has_a_place_and_neither_crossings_nor_hops_rise(cores: int, density: float) -> None:
    rng = np.random.default_rng(cores)
    weight = rng.random((cores, cores)) < density
    rates = rng.integers(0, 9, cores)
    before = mapping(weight)
    placed = place(before, {"p": rates})
    places = placed.positions
    assert len(np.unique(places, axis=0)) == cores
    assert places[:, 1].max() < 128
    assert places[:, 0].max() == (cores - 1) // 128
    assert placed.pieces == before.pieces
    assert counted(placed, rates) < counted(before, rates)
    for one in (before, placed):
        found = ways(one, {"p": rates})
        assert (found.crossings, found.hops) == counted(one, rates)
        assert found.packets == cores + (rates[None, :] * weight).sum()


def test_no_swap_of_two_places_would_save_more() -> None:
    weight = np.random.default_rng(1).random((24, 24)) < 0.15
    placed = place(mapping(weight))
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
    placed = place(mapping(ring))
    for core in range(256):
        assert placed.tile(core).chip == placed.tile((core + 2) % 256).chip


def test_the_same_twice() -> None:
    weight = np.random.default_rng(2).random((40, 40)) < 0.2
    assert np.array_equal(place(mapping(weight)).positions, place(mapping(weight)).positions)


def test_no_swap_between_chips_would_save_more() -> None:
    """Cores of several chips that are not full: neither a swap nor a move saves a packet between chips."""
    weight = np.random.default_rng(3).random((30, 30)) < 0.15
    chip = toy_chip({"limits.cores": 8, "noc.mesh_width": 2, "noc.mesh_height": 4, "noc.cores_per_tile": 1})
    placed = place(replace(mapping(weight), chip=chip, positions=np.zeros((0, 2), np.int64)))
    on = placed.positions[:, 0]
    assert np.bincount(on).max() <= 8
    targets, sources = np.nonzero(weight)
    lowest = (on[targets] != on[sources]).sum()
    assert lowest < (targets // 8 != sources // 8).sum()
    for a in range(30):
        for b in range(a):
            swapped = on.copy()
            swapped[[a, b]] = swapped[[b, a]]
            assert (swapped[targets] != swapped[sources]).sum() >= lowest
        for free in np.flatnonzero(np.bincount(on, minlength=4) < 8):
            moved = on.copy()
            moved[a] = free
            assert (moved[targets] != moved[sources]).sum() >= lowest


def test_chips_without_a_mesh_stay_in_order() -> None:
    placed = place(mapping(np.ones((3, 3), dtype=bool), "spinnaker2"))
    assert ways(placed) == Ways(packets=3 + 9, hops=0, crossings=0)
    assert placed.positions.tolist() == [[0, 0], [0, 1], [0, 2]]


def test_traffic_is_counted_by_core() -> None:
    """Two neurons a core: a spike is one packet for both targets on a core; none for what comes from outside."""
    weight = np.array([[0, 1, 0, 0], [0, 1, 0, 0], [1, 0, 0, 0], [0, 1, 0, 0]])
    one = mapping(weight)
    halves = (Piece("p", 0, neurons=np.arange(2)), Piece("p", 1, neurons=np.arange(2, 4)))
    both = CoreMapping(one.network, one.chip, halves)
    assert traffic(both, {"p": np.array([10, 1, 100, 1000])}).tolist() == [[1, 11], [0, 0]]


@pytest.mark.parametrize("seed", range(6))
def test_arrivals_are_the_packets_of_every_population(seed: int) -> None:
    """Whatever the synapses, pools and pieces: what `packets` lists spike by spike, by sending core."""
    rng = np.random.default_rng(seed)
    network, _ = hardware_case(rng, KINDS[seed % len(KINDS)])
    case = random_mapping(rng, network)
    expected = np.zeros((case.cores + 1, case.cores), dtype=np.int64)
    for population in network.populations:
        found, core = packets(case, population.name), case.core_of(population.name)
        np.add.at(expected, (np.repeat(core, found.fan_out), found.cores), 1)
    assert np.array_equal(np.stack([counts for _, counts in arrivals(case)], axis=1), expected)
