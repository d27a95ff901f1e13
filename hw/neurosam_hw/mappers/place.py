"""Give the cores of a mapping their places: those that talk to each other close together, on the same chip first.

What is minimised is

    cost = sum over pairs of cores of packets * distance,

where the distance is the hops between their tiles on one chip, and between two chips one more than the longest way on a
chip, so that no hop saved is worth a packet that leaves its chip. (How far chips are apart is not in their files.) The
start is the better of two: cores in order, and a greedy placement, in which the core with the most packets to and from
those already placed comes next, and takes the free place that costs the least. Then pairs of cores swap places (or one
moves to a free place) as long as that lowers the cost:

    change = C[a, q] - C[a, p] + C[b, p] - C[b, q] + 2 W[a, b] D[p, q]     a from place p, b from place q

with W the packets between cores in both directions, D the distances, and C[a, p] the sum over b of W[a, b] D[p, place
of b].
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from neurosam_hw.mappers.rates import whole_rates
from neurosam_hw.mapping.mapping import OUTSIDE, CoreMapping
from neurosam_hw.mapping.reach import packets

__all__ = ["Placement", "distances", "place", "traffic"]

Counts = npt.NDArray[np.int64]

LARGEST_TABLE = 2**24
"""Pairs of cores and places: tables of 128 MiB. More cores than about 4,000 stay in order."""
PASSES = 50
"""Of swaps, at most; four or five are usual."""


@dataclass(frozen=True, eq=False)
class Placement:
    """A placed mapping, and what it took.

    Parameters
    ----------
    mapping : CoreMapping
    cost, cost_in_order : int or None
        Packets times distance, and the same for cores in order; None if there are so many cores that they stay so.
    """

    mapping: CoreMapping
    cost: int | None
    cost_in_order: int | None


def place(mapping: CoreMapping, rates: Mapping[str, npt.ArrayLike] | None = None) -> Placement:
    """Give the cores places with few hops.

    Parameters
    ----------
    mapping : CoreMapping
        Its own positions are not used.
    rates : mapping of str to array, optional
        Spikes of each neuron, by population, in any unit (:func:`whole_rates`); 1 for those of populations that are not
        named.

    Returns
    -------
    Placement

    Examples
    --------
    Two neurons that talk to each other, and eight that do not, a neuron a core: the two get cores of one tile.

    >>> from neurosam_hw.chips import load_chip
    >>> from neurosam_hw.mappers import place
    >>> from neurosam_hw.mapping import CoreMapping, Piece
    >>> weight = np.zeros((10, 10), np.int8)
    >>> weight[0, 9] = weight[9, 0] = 1
    >>> net = ns.Network(
    ...     [ns.Population("in", (10,)), ns.Population("a", (10,), ns.FixedLIF(membrane_decay=0, threshold=1))],
    ...     [
    ...         ns.Projection("in", "a", ns.Sparse.one_to_one((10,), 1)),
    ...         ns.Projection("a", "a", ns.Sparse.from_dense(weight)),
    ...     ],
    ... )
    >>> pieces = tuple(Piece("a", n, neurons=np.array([n])) for n in range(10))
    >>> placed = place(CoreMapping(net, load_chip("loihi1"), pieces))
    >>> placed.cost_in_order, placed.cost, placed.mapping.tile(0) == placed.mapping.tile(9)
    (4, 0, True)
    """
    cores, each = mapping.cores, mapping.cores_per_chip or mapping.cores
    slots = np.stack(np.divmod(np.arange(-(-cores // max(each, 1)) * each), max(each, 1)), axis=1)
    if cores * len(slots) > LARGEST_TABLE:
        return Placement(replace(mapping, positions=slots[:cores]), None, None)
    sent = traffic(mapping, whole_rates(mapping.network, rates))
    both = sent + sent.T
    np.fill_diagonal(both, 0)
    table = distances(mapping, slots)
    starts = [np.arange(cores), _greedy(both, table)]
    costs = [_total(both, table, start) for start in starts]
    chosen = _swapped(both, table, starts[int(np.argmin(costs))])
    return Placement(replace(mapping, positions=slots[chosen]), _total(both, table, chosen), costs[0])


def traffic(mapping: CoreMapping, rates: Mapping[str, Counts]) -> Counts:
    """Packets from core to core ``[cores, cores]``, those that stay on a core on the diagonal; none from outside."""
    between = np.zeros((mapping.cores, mapping.cores), dtype=np.int64)
    for population in mapping.network.populations:
        reached, core = packets(mapping, population.name), mapping.core_of(population.name)
        rate = rates.get(population.name, np.ones(core.size, np.int64))
        inside = np.repeat(core != OUTSIDE, reached.fan_out)
        sender, sent = np.repeat(core, reached.fan_out)[inside], np.repeat(rate, reached.fan_out)[inside]
        np.add.at(between, (sender, reached.cores[inside]), sent)
    return between


def distances(mapping: CoreMapping, slots: Counts) -> Counts:
    """Distance between any two places (chip, core on the chip)."""
    tiles = np.array([mapping.tile_at(chip, core) for chip, core in slots.tolist()], dtype=np.int64).reshape(-1, 3)
    chip, column, row = tiles.T
    hops: Counts = np.abs(column[:, None] - column) + np.abs(row[:, None] - row)
    hops[chip[:, None] != chip] = hops.max(initial=0) + 1
    return hops


def _total(both: Counts, table: Counts, place: Counts) -> int:
    """The cost, each pair once."""
    return int((both * table[np.ix_(place, place)]).sum()) // 2


def _greedy(both: Counts, table: Counts) -> Counts:
    """The core with the most packets to those placed comes next, and takes the free place that costs the least."""
    cores, slots = len(both), len(table)
    place = np.full(cores, -1)
    free, waiting = np.ones(slots, dtype=bool), np.ones(cores, dtype=bool)
    weight = both.sum(axis=1)
    to_placed = np.zeros(cores, dtype=np.int64)
    for _ in range(cores):
        left = np.flatnonzero(waiting)
        core = left[np.lexsort((-weight[left], -to_placed[left]))[0]]
        placed = np.flatnonzero(~waiting)
        candidates = np.flatnonzero(free)
        cost = table[np.ix_(candidates, place[placed])] @ both[core, placed]
        place[core] = candidates[np.argmin(cost)]
        free[place[core]], waiting[core] = False, False
        to_placed += both[core]
    return place


def _swapped(both: Counts, table: Counts, place: Counts) -> Counts:
    """Swap pairs of cores, the best partner of each in turn, until no swap lowers the cost."""
    cores, slots = len(both), len(table)
    place = place.copy()
    at = np.full(slots, -1)  # the core in each place, or none
    at[place] = np.arange(cores)
    cost = both @ table[place]  # C[a, p]
    for _ in range(PASSES):
        swaps = 0
        for a in range(cores):
            p, taken = place[a], np.flatnonzero(at >= 0)
            change = cost[a] - cost[a, p]
            b = at[taken]
            change[taken] += cost[b, p] - cost[b, taken] + 2 * both[a, b] * table[p, taken]
            change[p] = 0
            q = int(np.argmin(change))
            if change[q] >= 0:
                continue
            swaps += 1
            other = at[q]
            moved = table[q] - table[p]
            rows = np.flatnonzero(both[a])
            cost[rows] += both[rows, a, None] * moved
            at[p], at[q], place[a] = other, a, q
            if other >= 0:
                rows = np.flatnonzero(both[other])
                cost[rows] -= both[rows, other, None] * moved
                place[other] = p
        if not swaps:
            break
    return place
