"""Divide neurons among cores along their connections: sparse and recurrent populations.

What is minimised is the number of packets: sum over source neurons of rate * cores that hold one of their targets. The
start is the best of three: the neurons in order; cores grown one after the other; and a graph partition by METIS
(Karypis and Kumar, SIAM J. Sci. Comput. 20(1), 1998), if pymetis is installed. It cuts the fewest edges, which is not
the same, and cores may be too full. So cores are then brought within their limits, and the partition is refined
(refine.py). All of it is deterministic.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from neurosam_hw.errors import MappingError
from neurosam_hw.mappers.metis import has_metis, metis
from neurosam_hw.mappers.nets import Nets
from neurosam_hw.mappers.refine import (
    AXONS_IN,
    AXONS_OUT,
    BITS,
    NET,
    NEURON,
    NEURONS,
    NONE,
    PIN,
    SLOT,
    State,
    solve,
)

__all__ = ["Partition", "Room", "partition"]

Cores = npt.NDArray[np.int32]
Counts = npt.NDArray[np.int64]

PASSES, DEPTH = 20, 10
"""Of the refinement: chains from every neuron so many times at most, and moves in a chain at most."""

LARGEST_TABLE = 2**26
"""Entries (neurons * cores) of the table of gains: 512 MiB. Larger problems are halved first."""

UNLIMITED = 2**40

MOST_EDGES = 2**21
"""With more synapses METIS takes minutes."""

MOST_WORK = 2**30
"""Sum over nets of targets * destinations that are possible. More is for networks that reach every core anyway."""

NOWHERE = np.zeros(0, dtype=np.int64)


@dataclass(frozen=True, eq=False)
class Room:
    """What a core can hold; None: no limit that is known.

    Parameters
    ----------
    neurons : int
    axons_in : int, optional
        Source neurons with synapses on the core.
    axons_out : int, optional
        Pairs of a neuron of the core and a core that it sends to.
    bits : int, optional
        Memory for synapses, and for neurons if they take of the same.
    row_bits : (n + 1,) int64 array, optional
        Bits that n synapses of one source neuron on one core take; needed with `bits`.
    neuron_bits : int
        Bits that a neuron takes.
    neuron_axons : (neurons,) int64 array, optional
        Output axons that each neuron needs for what it sends to neurons that are not divided here.
    """

    neurons: int
    axons_in: int | None = None
    axons_out: int | None = None
    bits: int | None = None
    row_bits: Counts | None = None
    neuron_bits: int = 0
    neuron_axons: Counts | None = None

    @property
    def limits(self) -> Counts:
        """As the kernels have them."""
        limits = np.full(4, UNLIMITED, dtype=np.int64)
        given = {NEURONS: self.neurons, AXONS_IN: self.axons_in, AXONS_OUT: self.axons_out, BITS: self.bits}
        for column, limit in given.items():
            if limit is not None:
                limits[column] = limit
        return limits


@dataclass(frozen=True, eq=False)
class Partition:
    """A core for each neuron.

    Parameters
    ----------
    core : (n,) int32 array
        0 .. cores - 1; each holds at least one neuron.
    cores : int
    packets : int
        Sum over nets of rate * cores that they reach.
    start : str
        What the refinement started from: "in order", "grown" or "pymetis".
    packets_in_order : int
        The same for the neurons in order, as many on each core.
    """

    core: Cores
    cores: int
    packets: int
    start: str
    packets_in_order: int


def partition(
    nets: Nets, room: Room, cores: int | None = None, *, max_cores: int | None = None, use_metis: bool | None = None
) -> Partition:
    """Divide neurons among as few cores as hold them, with few packets.

    Parameters
    ----------
    nets : Nets
    room : Room
        What each core can hold.
    cores : int, optional
        Cores to begin with; as few as the sums of neurons and memory allow if None. One after the other is added until
        all limits are kept.
    max_cores : int, optional
        Cores at most; one for each neuron if None.
    use_metis : bool, optional
        Whether to use pymetis; if it is installed, if None.

    Returns
    -------
    Partition

    Raises
    ------
    MappingError
        If a neuron alone is more than a core can hold, `max_cores` are not enough, or there are too many synapses.

    Examples
    --------
    Two rings of four, whose neurons are interleaved, on cores for four:

    >>> from neurosam_hw.mappers import Nets, Room, partition
    >>> three = np.sort((np.arange(8)[:, None] + [-2, 0, 2]) % 8)
    >>> nets = Nets(8, starts=np.arange(0, 25, 3), targets=three.ravel(), source=np.arange(8))
    >>> found = partition(nets, Room(neurons=4), use_metis=False)
    >>> found.core, found.packets, found.packets_in_order
    (array([0, 1, 0, 1, 0, 1, 0, 1], dtype=int32), 8, 16)
    """
    row_bits = _row_bits(nets, room)
    _check_each(nets, room, row_bits)
    most = nets.neurons if max_cores is None else min(max_cores, nets.neurons)
    count = _fewest(nets, room, row_bits) if cores is None else cores
    sizes = np.diff(nets.starts)
    use_metis, first = has_metis() if use_metis is None else use_metis, True
    while count <= most:
        if int((sizes * np.minimum(sizes, count)).sum()) > MOST_WORK:
            raise MappingError(
                "partition",
                f"{nets.targets.size:,} synapses on {count:,} cores are too many to cut along; cut in order",
            )
        found = _divide(nets, room, row_bits, count, use_metis, first)
        if isinstance(found, Partition):
            return found
        count, first = max(found, count + 1 + count // 16), False
    raise MappingError("partition", f"the {nets.neurons:,} neurons do not fit on {most:,} cores")


def _divide(nets: Nets, room: Room, row_bits: Counts, cores: int, use_metis: bool, first: bool) -> Partition | int:
    """The partition on so many cores; if the limits cannot be kept, how many to try next."""
    if nets.neurons * cores > LARGEST_TABLE:
        return _halves(nets, room, row_bits, cores, use_metis, first)
    in_order = np.arange(nets.neurons) * cores // max(nets.neurons, 1)
    best: tuple[int, str, Counts] | None = None
    needed = nets.neurons
    for name in ("in order", "grown", "pymetis")[: 3 if cores > 1 else 1]:
        if name == "pymetis" and not (use_metis and nets.targets.size <= MOST_EDGES and (first or best)):
            continue  # it takes the longest, and is of no use where the limits are out of reach
        start = metis(nets, cores) if name == "pymetis" else NOWHERE if name == "grown" else in_order
        state = _state(nets, room, row_bits, cores)
        if solve(state, start, 0, 0) and (best is None or state.cost[0] < best[0]):
            best = int(state.cost[0]), name, state.neurons["core"].copy()
        needed = min(needed, int((-(-state.used.sum(axis=0) // room.limits)).max()))
    if best is None:
        return needed  # what is used on so many cores is no less on more
    state = _state(nets, room, row_bits, cores)
    solve(state, best[2], PASSES, DEPTH)
    used, core = np.unique(state.neurons["core"], return_inverse=True)
    return Partition(core.astype(np.int32), used.size, int(state.cost[0]), best[1], nets.packets(in_order))


def _halves(nets: Nets, room: Room, row_bits: Counts, cores: int, use_metis: bool, first: bool) -> Partition | int:
    """Two problems in place of a large one. The cost is a sum over cores, so theirs add up to that of the whole."""
    in_order = np.arange(nets.neurons) * cores // nets.neurons
    side = metis(nets, 2).astype(bool) if use_metis else in_order >= cores // 2
    if side.all() or not side.any():
        side = in_order >= cores // 2
    found = []
    for half in (~side, side):
        part, axons = nets.within(half), None if room.neuron_axons is None else room.neuron_axons[half]
        share = max(1, -(-part.neurons * cores // nets.neurons))
        found.append(_divide(part, replace(room, neuron_axons=axons), row_bits, share, use_metis, first))
    one, two = found
    if isinstance(one, int) or isinstance(two, int):
        return cores + 1
    core = np.zeros(nets.neurons, dtype=np.int32)
    core[~side], core[side] = one.core, two.core + one.cores
    packets = one.packets + two.packets
    return Partition(core, one.cores + two.cores, packets, one.start, nets.packets(in_order))


def _state(nets: Nets, room: Room, row_bits: Counts, cores: int) -> State:
    """A State in which no neuron is on a core yet."""
    size, count, owners = nets.neurons, nets.starts.size - 1, nets.owners
    order = np.argsort(nets.targets, kind="stable")
    pins = np.empty(order.size, dtype=PIN)
    pins["net"], pins["synapses"] = owners[order], nets.synapses[order]
    cell = np.zeros(size, dtype=NEURON)
    for name in ("core", "best", "after", "before", "own"):
        cell[name] = NONE
    bounds = np.searchsorted(nets.targets[order], np.arange(size + 1))
    cell["first"], cell["stop"] = bounds[:-1], bounds[1:]
    np.add.at(cell["all"], nets.targets, nets.rates[owners])
    cell["bits"] = room.neuron_bits
    if room.neuron_axons is not None:
        cell["axons_out"] = room.neuron_axons
    known = np.flatnonzero(nets.source >= 0)
    cell["own"][nets.source[known]] = known
    net = np.zeros(count, dtype=NET)
    net["rate"], net["source"] = nets.rates, np.where(nets.source >= 0, nets.source, NONE)
    net["first"], net["stop"] = nets.starts[:-1], nets.starts[1:]
    slots = np.minimum(np.diff(nets.starts), cores)  # a net has no more destinations than neurons or cores
    net["slot"] = np.cumsum(slots) - slots
    return State(
        cell, net, nets.targets, pins, np.zeros(int(slots.sum()), dtype=SLOT),
        np.zeros((size, cores), np.int64), np.full(cores, NONE, np.int64), np.zeros((cores, 4), np.int64),
        room.limits, row_bits, np.zeros(2, np.int64),
    )  # fmt: skip


def _row_bits(nets: Nets, room: Room) -> Counts:
    """The table of `room`, or of zeros if memory does not matter; long enough for every net."""
    longest = nets.longest
    if room.bits is None:
        return np.zeros(longest + 1, dtype=np.int64)
    if room.row_bits is None or np.size(room.row_bits) <= longest:
        raise MappingError("room: row_bits", f"must be given for up to {longest} synapses, the most of one source")
    return np.asarray(room.row_bits, dtype=np.int64)


def _check_each(nets: Nets, room: Room, row_bits: Counts) -> None:
    """Refuse a neuron that is too much for a core of its own."""
    fan_in = np.bincount(nets.targets, minlength=nets.neurons)
    memory = np.bincount(nets.targets, row_bits[nets.synapses], nets.neurons).astype(np.int64) + room.neuron_bits
    for what, used, limit in (("input axons", fan_in, room.axons_in), ("bits of memory", memory, room.bits)):
        if limit is not None and used.size and used.max() > limit:
            raise MappingError(
                f"neuron {used.argmax()}",
                f"needs {used.max():,} {what}; a core has {limit:,}. Give it fewer synapses, or choose another chip",
            )
    if room.neurons < 1:
        raise MappingError("room: neurons", f"got {room.neurons}; a core must hold at least 1")


def _fewest(nets: Nets, room: Room, row_bits: Counts) -> int:
    """Cores without which neurons or memory cannot be enough; cutting rows apart takes more."""
    fewest = max(1, -(-nets.neurons // room.neurons))
    if room.bits is not None:
        memory = int(row_bits[nets.sums].sum()) + nets.neurons * room.neuron_bits
        fewest = max(fewest, -(-memory // max(room.bits, 1)))
    return fewest
