"""Pieces and mappings: every neuron once, in a place of its own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import neurosam as ns
from neurosam_hw.errors import MappingError
from neurosam_hw.mapping import CoreMapping, HardwareSchedule, Piece, packets

pytest.importorskip("tomllib", reason="chips are read since Python 3.11")

from neurosam_hw.chips import load_chip

LIF = ns.FixedLIF(membrane_decay=410, threshold=64)


def network() -> ns.Network:
    """Input (2, 3, 4), a convolution of the same shape, six readouts."""
    shape = (2, 3, 4)
    return ns.Network(
        [ns.Population("in", shape), ns.Population("conv", shape, LIF), ns.Population("out", (6,), ns.FixedReadout())],
        [
            ns.Projection("in", "conv", ns.Conv2d(np.ones((2, 2, 3, 3), np.int8), padding=1)),
            ns.Projection("conv", "out", ns.Dense(np.ones((6, 24), np.int8))),
        ],
    )


def pieces() -> list[Piece]:
    """The convolution on two cores, the readouts with the second half."""
    return [
        Piece("conv", 0, ((0, 1), (0, 3), (0, 4))),
        Piece("conv", 1, ((1, 2), (0, 3), (0, 4))),
        Piece("out", 1, neurons=np.arange(6)),
    ]


def test_a_box_and_the_list_of_its_neurons_are_the_same() -> None:
    box = Piece("conv", 0, ((1, 2), (0, 2), (1, 3)))
    assert np.array_equal(box.indices((2, 3, 4)), [13, 14, 17, 18])
    assert np.array_equal(np.flatnonzero(np.pad(np.ones((1, 2, 2)), ((1, 0), (0, 1), (1, 1)))), box.indices((2, 3, 4)))
    assert box.size == Piece("conv", 0, neurons=box.indices((2, 3, 4))).size


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"box": ((0, 1), (0, 1), (0, 1)), "neurons": np.array([0])},
        {"box": ((0, 1), (1, 1), (0, 1))},
        {"box": ((-1, 1), (0, 1), (0, 1))},
        {"neurons": np.array([], np.int64)},
        {"neurons": np.array([2, 1])},
        {"neurons": np.array([1, 1])},
        {"neurons": np.array([-1, 1])},
    ],
)
def test_a_piece_is_a_box_or_a_rising_list(given: dict[str, Any]) -> None:
    with pytest.raises(MappingError, match="piece of 'conv' on core 0"):
        Piece("conv", 0, **given)


def test_where_neurons_are() -> None:
    mapping = CoreMapping(network(), load_chip("loihi1"), tuple(pieces()))
    assert np.array_equal(mapping.core_of("conv"), np.repeat([0, 1], 12))
    assert np.array_equal(mapping.core_of("in"), np.full(24, -1))
    assert [piece.population for piece in mapping.pieces_on(1)] == ["conv", "out"]
    assert (mapping.cores, mapping.chips, mapping.tiles) == (2, 1, 1)


def test_tiles_go_down_the_columns() -> None:
    """Four cores a tile, four rows: core 16 is the first of column 1; core 127 the last of column 7."""
    places = np.array([[0, 16], [1, 127]])
    mapping = CoreMapping(network(), load_chip("loihi1"), tuple(pieces()), places)
    assert mapping.tile(0) == (0, 1, 0)
    assert mapping.tile(1) == (1, 7, 3)
    assert mapping.chips == 2


def test_cores_fill_one_chip_after_the_other() -> None:
    many = ns.Network(
        [ns.Population("in", (1,)), ns.Population("out", (129,), ns.FixedReadout())],
        [ns.Projection("in", "out", ns.Dense(np.ones((129, 1), np.int8)))],
    )
    each = tuple(Piece("out", n, neurons=np.array([n])) for n in range(129))
    mapping = CoreMapping(many, load_chip("loihi1"), each)
    assert mapping.positions[[0, 127, 128]].tolist() == [[0, 0], [0, 127], [1, 0]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda p: p[:-1], "mapping of 'out': 6 of 6 neurons are on no core, the first is neuron 0"),
        (lambda p: [*p, Piece("out", 0, neurons=np.array([5]))], "mapping of 'out': neuron 5 is on 2 cores"),
        (lambda p: [*p[:-1], Piece("out", 1, neurons=np.arange(5))], "1 of 6 neurons are on no core, .* neuron 5"),
        (lambda p: [*p, Piece("other", 1, neurons=np.array([0]))], "no such population; it has in, conv, out"),
        (lambda p: [*p[:-1], Piece("out", 1, neurons=np.arange(7))], r"reaches beyond .* shape \(6,\)"),
        (lambda p: [*p[:-1], Piece("out", 3, neurons=np.arange(6))], "core 2: holds nothing"),
    ],
)
def test_what_is_lost_or_twice_is_named(change: Any, message: str) -> None:
    with pytest.raises(MappingError, match=message):
        CoreMapping(network(), load_chip("loihi1"), tuple(change(pieces())))


@pytest.mark.parametrize(
    ("places", "message"),
    [
        ([[0, 0], [0, 0]], "in the same place"),
        ([[0, 0], [0, 128]], "core 128 of a chip is used; loihi1 has 128"),
        ([[0, 0], [-1, 1]], "counted from 0"),
        ([[0, 0], [10**9, 1]], "chip 1000000000 is used; at most 4096 chips are allowed"),
        ([[0, 0]], r"shape \(1, 2\); \(2, 2\) is required"),
    ],
)
def test_places_exist_and_differ(places: list[list[int]], message: str) -> None:
    with pytest.raises(MappingError, match=message):
        CoreMapping(network(), load_chip("loihi1"), tuple(pieces()), np.array(places))


def test_one_packet_for_two_sets_of_synapses() -> None:
    """Weights of 9 bits are two projections, and a spike is sent once: 6 targets, 12 deliveries."""
    wide = ns.Network(
        [ns.Population("in", (1,)), ns.Population("out", (6,), ns.FixedReadout())],
        [ns.Projection("in", "out", ns.Dense(np.full((6, 1), 201, np.int16)))],
    )
    assert len(wide.projections) == 2
    mapping = CoreMapping(wide, load_chip("loihi1"), (Piece("out", 0, neurons=np.arange(6)),))
    found = packets(mapping, "in")
    assert (found.cores.tolist(), found.deliveries.tolist()) == ([0], [12])
    assert packets(mapping, "out").cores.size == 0


def chain(delays: dict[tuple[str, str], int]) -> ns.Network:
    names = dict.fromkeys(name for pair in delays for name in pair)
    one = ns.Dense(np.ones((1, 1), np.int8))
    populations = [ns.Population(name, (1,), None if name == "in" else LIF) for name in names]
    projections = [ns.Projection(p, q, one, delay=delay) for (p, q), delay in delays.items()]
    return ns.Network(populations, projections, check_alignment=False)


def test_a_hop_takes_a_step() -> None:
    """Whether the network says so (delay 1, which its own time takes out) or not (delay 0)."""
    for delay in (0, 1):
        schedule = HardwareSchedule.of(chain({("in", "a"): delay, ("a", "b"): delay}))
        assert (dict(schedule.depths), schedule.delays, schedule.steps(5)) == ({"in": 0, "a": 1, "b": 2}, (1, 1), 7)


def test_a_shortcut_waits() -> None:
    schedule = HardwareSchedule.of(chain({("in", "a"): 0, ("a", "b"): 0, ("in", "b"): 0}))
    assert schedule.delays == (1, 1, 2)
    late = HardwareSchedule.of(chain({("in", "a"): 1, ("a", "b"): 1, ("in", "b"): 1}))
    assert (dict(late.depths), late.delays) == ({"in": 0, "a": 1, "b": 1}, (1, 1, 1)), "a is used a step later: lag 1"


def test_a_loop_needs_a_step_for_each_hop() -> None:
    fits = HardwareSchedule.of(chain({("in", "a"): 0, ("a", "b"): 1, ("b", "a"): 1}))
    assert min(fits.delays) == 1
    with pytest.raises(MappingError, match="a cycle that takes fewer steps than it has projections"):
        HardwareSchedule.of(chain({("in", "a"): 0, ("a", "b"): 0, ("b", "a"): 1}))
