"""Give the cores of a mapping their places: those that talk to each other on one chip, and close together there.

Chips come first: what is minimised is the packets that leave their chip. How far chips are from each other is not in
their files, so all are alike. On each chip then the hops of its packets are minimised, from tile to tile.

Both begin with the better of two: cores in order; and a greedy placement, in which the core with the most packets to
and from those already placed comes next, and takes the free place that costs the least (or, of chips, the chip that is
being filled). Then pairs of cores swap places, or one moves to a free place, as long as that saves something:

    change = C[a, q] - C[a, p] + C[b, p] - C[b, q] + 2 W[a, b] D[p, q]     a from place p, b from place q

with W the packets between two cores in both directions, D the distance of two places (1 between chips), and C[a, p]
the sum over cores b of W[a, b] D[p, place of b].
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from neurosam_hw.mappers.traffic import traffic
from neurosam_hw.mapping.mapping import CoreMapping

__all__ = ["place"]

Counts = npt.NDArray[np.int64]

MOST_CORES = 2**13
"""More cores stay in order: the table of packets between them would take more than 512 MiB."""
PASSES = 50
"""Of swaps, at most; four or five are usual."""


def place(mapping: CoreMapping, rates: Mapping[str, npt.ArrayLike] | None = None) -> CoreMapping:
    """Give the cores places with few packets between chips, and few hops on each.

    Neither is more than with cores in order; hops are, where that saves packets between chips.

    Parameters
    ----------
    mapping : CoreMapping
        Its own positions are not used.
    rates : mapping of str to array, optional
        Spikes of each neuron, by population, in any unit (``whole_rates``); 1 for those of populations that are not
        named.

    Returns
    -------
    CoreMapping
        The same pieces on the same logical cores, at other positions.

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
    >>> in_order = CoreMapping(net, load_chip("loihi1"), tuple(Piece("a", n, neurons=np.array([n])) for n in range(10)))
    >>> placed = place(in_order)
    >>> in_order.tile(0) == in_order.tile(9), placed.tile(0) == placed.tile(9)
    (False, True)
    """
    cores, each = mapping.cores, mapping.cores_per_chip or mapping.cores
    if cores > MOST_CORES or cores < 2:
        return mapping
    sent = traffic(mapping, rates)
    both = sent + sent.T
    np.fill_diagonal(both, 0)
    chips = -(-cores // each)
    chip = np.zeros(cores, dtype=np.int64) if chips == 1 else _on_chips(both, chips, each)
    numbers, hops = _places(mapping, min(cores, each))
    positions = np.empty((cores, 2), dtype=np.int64)
    for number in range(chips):
        here = np.flatnonzero(chip == number)
        positions[here, 0] = number
        positions[here, 1] = numbers[_on_chip(both[np.ix_(here, here)], hops)]
    return replace(mapping, positions=positions)


def _places(mapping: CoreMapping, cores: int) -> tuple[Counts, Counts]:
    """Cores of a chip that come into question for so many cores, in order, and the hops between them.

    The first ones, and a block of tiles in the corner with room for twice as many.
    """
    each = mapping.cores_per_chip or cores
    tiles = np.array([mapping.tile_at(0, number)[1:] for number in range(each)], dtype=np.int64).reshape(-1, 2)
    side = 1
    while (tiles < side).all(axis=1).sum() < min(2 * cores, each):
        side += 1
    numbers = np.flatnonzero((tiles < side).all(axis=1) | (np.arange(each) < cores))
    if not tiles.any():
        numbers = np.arange(cores)
    some = tiles[numbers]
    return numbers, np.abs(some[:, None] - some).sum(axis=2)


def _on_chips(both: Counts, chips: int, each: int) -> Counts:
    """A chip for each core, with few packets between chips."""
    cores = len(both)
    in_order = np.arange(cores) // each
    filled = np.empty(cores, dtype=np.int64)
    for count, core in enumerate(_next(both, each)):
        filled[core] = count // each
    starts = [in_order, filled]
    apart = [int(both[start[:, None] != start].sum()) for start in starts]
    chip = starts[int(np.argmin(apart))].copy()
    to_chip = np.stack([both[:, chip == k].sum(axis=1) for k in range(chips)], axis=1)  # packets with each chip
    size = np.bincount(chip, minlength=chips)
    everyone = np.arange(cores)
    for _ in range(PASSES):
        moves = 0
        for a in range(cores):
            p = chip[a]
            other = to_chip[a, p] - to_chip[a]  # more packets between chips, if a moves to each
            change = other[chip] + to_chip[everyone, chip] - to_chip[:, p] + 2 * both[a]
            change[chip == p] = 0
            b = int(np.argmin(change))
            free = np.where(size < each, other, 0)
            q = int(np.argmin(free))
            if min(free[q], change[b]) >= 0:
                continue
            moves += 1
            if free[q] > change[b]:
                q = chip[b]
                chip[b] = p
                to_chip[:, q] -= both[b]
                to_chip[:, p] += both[b]
            else:
                size[p], size[q] = size[p] - 1, size[q] + 1
            chip[a] = q
            to_chip[:, p] -= both[a]
            to_chip[:, q] += both[a]
        if not moves:
            break
    return chip


def _on_chip(both: Counts, hops: Counts) -> Counts:
    """A place on one chip for each core, with few hops."""
    if not hops.any():
        return np.arange(len(both))
    starts = [np.arange(len(both)), _greedy(both, hops)]
    cost = [int((both * hops[np.ix_(start, start)]).sum()) for start in starts]
    return _swapped(both, hops, starts[int(np.argmin(cost))])


def _next(both: Counts, each: int) -> list[int]:
    """Cores, the one with the most packets to and from those before it first; after `each` of them all over again."""
    cores = len(both)
    waiting, weight = np.ones(cores, dtype=bool), both.sum(axis=1)
    order: list[int] = []
    to_placed = np.zeros(cores, dtype=np.int64)
    for count in range(cores):
        if count % each == 0:
            to_placed[:] = 0
        left = np.flatnonzero(waiting)
        best = left[to_placed[left] == to_placed[left].max()]
        order.append(int(best[np.argmax(weight[best])]))
        waiting[order[-1]] = False
        to_placed += both[order[-1]]
    return order


def _greedy(both: Counts, hops: Counts) -> Counts:
    """Each core in its turn takes the free place that costs the least."""
    cores, slots = len(both), len(hops)
    place, free = np.full(cores, -1), np.ones(slots, dtype=bool)
    placed: list[int] = []
    for core in _next(both, cores):
        candidates = np.flatnonzero(free)
        cost = hops[np.ix_(candidates, place[placed])] @ both[core, placed]
        place[core] = candidates[np.argmin(cost)]
        free[place[core]] = False
        placed.append(core)
    return place


def _swapped(both: Counts, hops: Counts, start: Counts) -> Counts:
    """Swap pairs of cores, the best partner of each in turn, until no swap saves anything."""
    cores, place = len(both), start.copy()
    at = np.full(len(hops), -1)  # the core in each place, or none
    at[place] = np.arange(cores)
    cost = both @ hops[place]  # C[a, p]
    for _ in range(PASSES):
        swaps = 0
        for a in range(cores):
            p, taken = place[a], np.flatnonzero(at >= 0)
            change = cost[a] - cost[a, p]
            b = at[taken]
            change[taken] += cost[b, p] - cost[b, taken] + 2 * both[a, b] * hops[p, taken]
            change[p] = 0
            q = int(np.argmin(change))
            if change[q] >= 0:
                continue
            swaps += 1
            other, moved = at[q], hops[q] - hops[p]
            cost += both[:, a, None] * moved
            at[p], at[q], place[a] = other, a, q
            if other >= 0:
                cost -= both[:, other, None] * moved
                place[other] = p
        if not swaps:
            break
    return place
