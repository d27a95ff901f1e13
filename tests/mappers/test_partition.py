"""Partitions: no neuron lost, no limit broken, no packet miscounted, and a pass never adds packets."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

import neurosam as ns
from neurosam_hw.errors import MappingError
from neurosam_hw.mappers import Nets, Partition, Room, partition
from neurosam_hw.mappers import metis as metis_module
from neurosam_hw.mappers.rates import whole_rates
from neurosam_hw.mappers.refine import AXONS_IN, AXONS_OUT, BITS, NEURONS, solve

division: Any = __import__("neurosam_hw.mappers.partition", fromlist=["_state"])

ROW_BITS = np.array([0, *(64 * -(-(8 * n + 10) // 64) for n in range(1, 400))])
"""Rows of n synapses of 8 bits with a header of 10, in words of 64."""


def random_nets(seed: int, neurons: int = 60, count: int = 80) -> Nets:
    """Nets of 1 to 12 targets; some sources are among the neurons, some outside; rates from 0."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 13, count)
    targets = [np.sort(rng.choice(neurons, size, replace=False)) for size in sizes]
    source = np.where(rng.random(count) < 0.6, -1, 0)
    inside = np.flatnonzero(source == 0)
    source[inside] = rng.choice(neurons, inside.size, replace=False)
    return Nets(
        neurons,
        np.concatenate([[0], np.cumsum(sizes)]),
        np.concatenate(targets),
        synapses=rng.integers(1, 4, sizes.sum()),
        source=source,
        rates=rng.integers(0, 5, count),
    )


def local_nets(neurons: int, reach: int, seed: int = 0) -> Nets:
    """Each neuron of a ring sends to its neighbours on both sides and itself; the ring is shuffled."""
    place = np.random.default_rng(seed).permutation(neurons)
    targets = np.empty((neurons, 2 * reach + 1), dtype=np.int64)
    targets[place] = place[(np.arange(neurons)[:, None] + np.arange(-reach, reach + 1)) % neurons]
    starts = np.arange(neurons + 1) * (2 * reach + 1)
    return Nets(neurons, starts, np.sort(targets, axis=1).ravel(), source=np.arange(neurons))


def count(nets: Nets, core: Any, room: Room, cores: int = 0) -> tuple[int, Any]:
    """Packets, and what each core uses, net by net and neuron by neuron."""
    packets, used = 0, np.zeros((int(cores or max(core) + 1), 4), dtype=np.int64)
    for v in range(nets.neurons):
        used[core[v], NEURONS] += 1
        used[core[v], BITS] += room.neuron_bits
        if room.neuron_axons is not None:
            used[core[v], AXONS_OUT] += room.neuron_axons[v]
    for net in range(nets.starts.size - 1):
        reached: dict[int, int] = {}
        for entry in range(nets.starts[net], nets.starts[net + 1]):
            at = int(core[nets.targets[entry]])
            reached[at] = reached.get(at, 0) + int(nets.synapses[entry])
        packets += int(nets.rates[net]) * len(reached)
        for at, synapses in reached.items():
            used[at, AXONS_IN] += 1
            used[at, BITS] += 0 if room.row_bits is None else room.row_bits[synapses]
        if nets.source[net] >= 0:
            used[core[nets.source[net]], AXONS_OUT] += len(reached)
    return packets, used


def check(nets: Nets, room: Room, found: Partition) -> None:
    """Nothing lost, no core empty, limits kept, packets as counted."""
    assert found.core.shape == (nets.neurons,)
    assert np.array_equal(np.unique(found.core), np.arange(found.cores))
    packets, used = count(nets, found.core, room)
    assert (found.packets, nets.packets(found.core)) == (packets, packets)
    assert (used <= room.limits).all(), used


ROOMS = [
    Room(8),
    Room(20, axons_in=40),
    Room(20, axons_out=30),
    Room(20, bits=2500, row_bits=ROW_BITS),
    Room(30, bits=2500, row_bits=ROW_BITS, neuron_bits=24),
    Room(16, axons_in=45, axons_out=40, bits=3500, row_bits=ROW_BITS, neuron_axons=np.arange(60) % 3),
]


@pytest.mark.parametrize("room", ROOMS)
@pytest.mark.parametrize("seed", range(4))
def test_nothing_lost_and_no_limit_broken(seed: int, room: Room) -> None:
    nets = random_nets(seed)
    check(nets, room, partition(nets, room, use_metis=False))


@pytest.mark.parametrize("seed", range(3))
def test_a_pass_never_adds_packets(seed: int) -> None:
    """From any start: within the limits after the repair, and from there on no more packets with each pass."""
    nets, room = random_nets(seed), ROOMS[5]
    start = np.random.default_rng(seed).integers(0, 9, nets.neurons)
    costs = []
    for passes in range(5):
        state = division._state(nets, room, ROW_BITS, 9)
        assert solve(state, start, passes, 8)
        packets, used = count(nets, state.neurons["core"], room, 9)
        assert (used <= room.limits).all()
        assert np.array_equal(used, state.used)
        assert packets == state.cost[0]
        costs.append(packets)
    assert all(later <= earlier for earlier, later in pairwise(costs))
    assert costs[-1] < costs[0]


def test_the_gain_of_every_move_is_exact() -> None:
    """After all the moves of a refinement, what each further move would save equals a count without and with it."""
    nets, room = random_nets(7, neurons=20, count=30), Room(5)
    state = division._state(nets, room, np.zeros(60, np.int64), 4)
    assert solve(state, np.zeros(0, np.int64), 5, 8)
    core = state.neurons["core"].copy()
    before, _ = count(nets, core, room)
    for v in range(nets.neurons):
        for to in set(range(4)) - {int(core[v])}:
            moved = core.copy()
            moved[v] = to
            after, _ = count(nets, moved, room)
            cell = state.neurons[v]
            assert before - after == cell["leave"] + state.meet[v, to] - cell["all"]


def test_a_shuffled_ring_is_found_again() -> None:
    """256 neurons that reach 4 on each side, on 8 full cores: ideal are 8 arcs, whose borders are crossed by 8 each."""
    nets = local_nets(256, 4)
    found = partition(nets, Room(32), use_metis=False)
    assert found.packets_in_order > 1400
    assert found.packets <= 1.1 * (256 + 8 * 8)
    assert np.bincount(found.core).tolist() == [32] * 8


@pytest.mark.skipif(not metis_module.has_metis(), reason="pymetis is not installed")
def test_fewer_packets_than_metis_alone() -> None:
    rng = np.random.default_rng(0)
    place = rng.permutation(1024)
    far = np.rint(rng.normal(0, 60, (1024, 30))).astype(int)
    rows = [np.unique(place[(i + far[i]) % 1024]) for i in range(1024)]
    starts = np.concatenate([[0], np.cumsum([row.size for row in rows])])
    nets = Nets(1024, starts, np.concatenate(rows), source=place)
    alone = nets.packets(metis_module.metis(nets, 8))
    found = partition(nets, Room(128), use_metis=True)
    check(nets, Room(128), found)
    assert found.start == "pymetis"
    assert found.packets < 0.97 * alone < alone < found.packets_in_order


@pytest.mark.skipif(not metis_module.has_metis(), reason="pymetis is not installed")
@pytest.mark.parametrize("rates", [0, 1, 2**40])
def test_metis_takes_any_rates(rates: int) -> None:
    """Its sums have 32 bits."""
    nets = random_nets(1)
    heavy = Nets(nets.neurons, nets.starts, nets.targets, nets.synapses, nets.source, np.full(80, rates))
    part = metis_module.metis(heavy, 4)
    assert np.bincount(part, minlength=4).max() < 25
    assert np.array_equal(part, metis_module.metis(heavy, 4))


@pytest.mark.parametrize("use_metis", [False, metis_module.has_metis()])
def test_the_same_twice(use_metis: bool) -> None:
    one, two = (partition(random_nets(3), ROOMS[5], use_metis=use_metis) for _ in range(2))
    assert np.array_equal(one.core, two.core)


def test_rates_decide() -> None:
    """Neuron 1 belongs with 0 by one net and with 2 by another: the one that fires more wins."""
    for rates, together in (([3, 1], (0, 1)), ([1, 3], (1, 2))):
        nets = Nets(4, np.array([0, 2, 4]), np.array([0, 1, 1, 2]), rates=np.array(rates))
        found = partition(nets, Room(2), use_metis=False)
        assert found.packets == 3 + 2 * 1
        assert found.core[together[0]] == found.core[together[1]]


def test_large_problems_are_halved(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(division, "LARGEST_TABLE", 256 * 3)
    nets = local_nets(256, 4)
    found = partition(nets, Room(32), use_metis=False)
    check(nets, Room(32), found)
    assert found.cores == 8
    assert found.packets < found.packets_in_order


def test_one_core_and_no_nets() -> None:
    assert partition(random_nets(0), Room(60), use_metis=False).cores == 1
    nothing = Nets(5, np.array([0]), np.zeros(0, np.int64))
    found = partition(nothing, Room(2))
    assert (found.cores, found.packets) == (3, 0)


def test_more_cores_where_axons_are_short() -> None:
    nets = random_nets(5)
    wide, narrow = (partition(nets, Room(60, axons_in=axons), use_metis=False) for axons in (80, 30))
    assert wide.cores == 1
    assert narrow.cores > 2


@pytest.mark.parametrize(
    ("room", "most", "message"),
    [
        (Room(8), 4, "the 60 neurons do not fit on 4 cores"),
        (Room(0), None, "room: neurons: got 0"),
        (Room(60, axons_in=2), None, r"neuron \d+: needs \d+ input axons; a core has 2"),
        (Room(60, bits=64, row_bits=ROW_BITS), None, r"needs \d+ bits of memory; a core has 64"),
        (Room(60, bits=64), None, "room: row_bits: must be given for up to"),
        (Room(60, axons_in=15), 5, "do not fit on 5 cores"),
    ],
)
def test_what_does_not_fit(room: Room, most: int | None, message: str) -> None:
    with pytest.raises(MappingError, match=message):
        partition(random_nets(0), room, max_cores=most, use_metis=False)


def test_what_would_take_hours_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(division, "MOST_WORK", 1000)
    with pytest.raises(MappingError, match="too many to cut along"):
        partition(random_nets(0), Room(8), use_metis=False)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"starts": [0, 1]}, "must rise from 0 to the 2 targets"),
        ({"starts": [0, 0, 2]}, "no net is empty"),
        ({"targets": [1, 3]}, r"must be in 0\.\.2"),
        ({"targets": [1, 1]}, "must rise within a net"),
        ({"source": [3]}, "a neuron of its own"),
        ({"rates": [-1]}, "from 0 and 1"),
        ({"synapses": [1, 0]}, "from 0 and 1"),
    ],
)
def test_nets_that_do_not_fit(change: dict[str, Any], message: str) -> None:
    given = {"starts": [0, 2], "targets": [0, 1], **change}
    with pytest.raises(MappingError, match=message):
        Nets(3, **{name: np.array(value) for name, value in given.items()})


def test_nets_of_a_network_hold_every_synapse() -> None:
    """A pooled convolution, a dense and a recurrent sparse projection into one population, synapse by synapse."""
    rng = np.random.default_rng(0)
    lif = ns.FixedLIF(membrane_decay=410, threshold=64)
    recurrent = rng.integers(0, 2, (18, 18)).astype(np.int8)
    kernel = rng.integers(-1, 2, (2, 1, 2, 2)).astype(np.int8)
    dense = rng.integers(-1, 2, (18, 3)).astype(np.int8)
    net = ns.Network(
        [ns.Population("in", (1, 8, 8)), ns.Population("few", (3,)), ns.Population("p", (2, 3, 3), lif)],
        [
            ns.Projection("in", "p", ns.Conv2d(kernel), pool=ns.SumPool2d(2)),
            ns.Projection("few", "p", ns.Sparse.from_dense(dense, (2, 3, 3))),
            ns.Projection("p", "p", ns.Sparse.from_dense(recurrent, (2, 3, 3))),
        ],
    )
    nets = Nets.into(net, ("p",), whole_rates(net, {"in": np.arange(64.0).reshape(1, 8, 8)}))
    found = {}
    for e in range(nets.starts.size - 1):
        for entry in range(nets.starts[e], nets.starts[e + 1]):
            found[int(nets.source[e]), int(nets.rates[e]), e, int(nets.targets[entry])] = int(nets.synapses[entry])
    expected: dict[tuple[int, int], int] = {}
    for y in range(8):
        for x in range(8):
            for o in range(2):
                for ky in range(2):
                    for kx in range(2):
                        ty, tx = y // 2 - ky, x // 2 - kx
                        if 0 <= ty < 3 and 0 <= tx < 3:
                            key = (y * 8 + x, o * 9 + ty * 3 + tx)
                            expected[key] = expected.get(key, 0) + 1
    for t, s in zip(*np.nonzero(dense), strict=True):
        expected[64 + int(s), int(t)] = 1
    for t, s in zip(*np.nonzero(recurrent), strict=True):
        expected[67 + int(s), int(t)] = 1
    sources = sorted({s for s, _ in expected})
    renamed = {(sources[e], t): n for (_, _, e, t), n in found.items()}
    assert renamed == expected
    assert {e: s for s, _, e, _ in found if s >= 0} == {
        sources.index(67 + n): n for n in range(18) if 67 + n in sources
    }
    assert all(rate == (sources[e] if sources[e] < 64 else 1) for _, rate, e, _ in found)


@pytest.mark.parametrize(
    ("rates", "message"),
    [([1, 2], "got 2 of dtype"), ([1, 2, -1], "at least 0"), ([1, 2, np.nan], "finite"), (["a", "b", "c"], "numbers")],
)
def test_rates_that_do_not_fit(rates: list[Any], message: str) -> None:
    net = ns.Network(
        [ns.Population("in", (3,)), ns.Population("out", (1,), ns.Readout())],
        [ns.Projection("in", "out", ns.Dense(np.ones((1, 3))))],
    )
    with pytest.raises(MappingError, match=message):
        whole_rates(net, {"in": rates})
