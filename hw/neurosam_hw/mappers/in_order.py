"""Cut a population in order: consecutive neurons, on each core as many as fit. The base line of the other mappers."""

from __future__ import annotations

import numpy as np

from neurosam.network.elements import Population
from neurosam.network.synapse import as_chw, neurons
from neurosam_hw.mapping.piece import Piece
from neurosam_hw.resources.cores import Demand

__all__ = ["in_order", "stretch"]


def stretch(population: Population, core: int, first: int, stop: int) -> Piece:
    """The neurons ``first : stop`` as a piece: a box where they are whole channels, or whole rows of one channel."""
    _, height, width = as_chw(population.shape)
    size = height * width
    if first % size == 0 and stop % size == 0:
        return Piece(population.name, core, ((first // size, stop // size), (0, height), (0, width)))
    channel = first // size
    if first % width == 0 and stop % width == 0 and channel == (stop - 1) // size:
        rows = (first - channel * size) // width, (stop - channel * size) // width
        return Piece(population.name, core, ((channel, channel + 1), rows, (0, width)))
    return Piece(population.name, core, neurons=np.arange(first, stop))


def in_order(demand: Demand, population: Population, *, most: int | None = None) -> list[Piece]:
    """The pieces of a population on as many cores, from core 0.

    Output axons are not looked at: how many are needed depends on where the targets are.

    Parameters
    ----------
    demand : Demand
        Of the network on the chip.
    population : Population
    most : int, optional
        Neurons of a core at most, fewer than the chip allows. A core holds one neuron at least, whether it fits or not.

    Returns
    -------
    list of Piece

    Examples
    --------
    >>> from neurosam_hw.chips import load_chip
    >>> net = ns.Network(
    ...     [ns.Population("in", (9,)), ns.Population("out", (2500,), ns.FixedReadout())],
    ...     [ns.Projection("in", "out", ns.Dense(np.ones((2500, 9), np.int8)))],
    ... )
    >>> [piece.size for piece in in_order(Demand(net, load_chip("loihi1")), net["out"])]
    [1024, 1024, 452]
    """
    size = neurons(population.shape)
    limit = min(size, demand.limits.get("neurons") or size, most or size)
    pieces: list[Piece] = []
    first, guess = 0, limit
    while first < size:
        count = _most(demand, population, first, min(limit, size - first), guess)
        pieces.append(stretch(population, len(pieces), first, first + count))
        first, guess = first + count, count
    return pieces


def _most(demand: Demand, population: Population, first: int, limit: int, guess: int) -> int:
    """The most neurons from `first` on that fit, looked for around `guess`; at least 1."""
    low, high = 0, limit
    attempt, step = min(guess, limit), 1
    while low < high:
        if not demand.excesses((stretch(population, 0, first, first + attempt),)):
            low = attempt
            attempt = min(high, attempt + step)
        else:
            high = attempt - 1
            attempt = max(low + 1, attempt - step)
        step *= 2
        if not low < attempt <= high:
            attempt = (low + high + 1) // 2
    return max(low, 1)
