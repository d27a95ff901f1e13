"""Cut a population along its connections: what has lists of synapses, or recurrence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from neurosam.network.elements import Population
from neurosam.network.synapse import as_chw, neurons
from neurosam_hw.mappers.nets import Nets
from neurosam_hw.mappers.partition import Partition, Room, partition
from neurosam_hw.mappers.rates import whole_rates
from neurosam_hw.mapping.piece import Piece
from neurosam_hw.resources.arrival import Senders
from neurosam_hw.resources.cores import Demand

__all__ = ["connected"]

Counts = npt.NDArray[np.int64]


def connected(
    demand: Demand,
    population: Population,
    *,
    senders: Sequence[Senders] = (),
    rates: Mapping[str, npt.ArrayLike] | None = None,
    most: int | None = None,
    use_metis: bool | None = None,
) -> tuple[list[Piece], Partition]:
    """The pieces of a population, cut so that its neurons' inputs reach few cores.

    Memory is counted from above (the widest index, each list with its own header), so that the pieces fit.

    Parameters
    ----------
    demand : Demand
        Of the network on the chip.
    population : Population
    senders : sequence of Senders
        What each core that the population sends to needs from it, as far as they are known; its own synapses aside.
    rates : mapping of str to array, optional
        Spikes of each neuron, by population, in any unit; alike if None.
    most : int, optional
        Neurons of a piece at most, fewer than the chip allows.
    use_metis : bool, optional
        Whether to use pymetis; if it is installed, if None.

    Returns
    -------
    pieces : list of Piece
        On cores from 0.
    partition : Partition

    Raises
    ------
    MappingError
        If a neuron alone is more than a core can hold, or the neurons do not fit on as many cores as they are.

    Examples
    --------
    >>> from neurosam_hw.chips import load_chip
    >>> from neurosam_hw.mappers.connected import connected
    >>> from neurosam_hw.resources import Demand
    >>> neuron = ns.FixedLIF(membrane_decay=410, threshold=64)
    >>> three = np.sort((np.arange(8)[:, None] + [-2, 0, 2]) % 8)
    >>> ring = ns.Sparse(np.arange(0, 25, 3), three.ravel(), np.ones(24, np.int8), 8)
    >>> net = ns.Network(
    ...     [ns.Population("in", (8,)), ns.Population("ring", (8,), neuron)],
    ...     [ns.Projection("in", "ring", ns.Sparse.one_to_one((8,), 64)), ns.Projection("ring", "ring", ring)],
    ... )
    >>> pieces, found = connected(Demand(net, load_chip("loihi1")), net["ring"], most=4)
    >>> [piece.neurons for piece in pieces], found.packets
    ([array([0, 2, 4, 6]), array([1, 3, 5, 7])], 16)
    """
    nets = Nets.into(demand.network, (population.name,), whole_rates(demand.network, rates))
    found = partition(nets, _room(demand, population, senders, most, nets), use_metis=use_metis)
    if found.cores == 1:
        channels, height, width = as_chw(population.shape)
        return [Piece(population.name, 0, ((0, channels), (0, height), (0, width)))], found
    listed = [np.flatnonzero(found.core == core) for core in range(found.cores)]
    return [Piece(population.name, core, neurons=some) for core, some in enumerate(listed)], found


def _room(demand: Demand, population: Population, senders: Sequence[Senders], most: int | None, nets: Nets) -> Room:
    """The limits of the chip's cores, as far as they can be known before the population is cut."""
    size = neurons(population.shape)
    limit = demand.limits.get("neurons")
    held = min(size if value is None else value for value in (limit, most, size))
    longest = np.arange(nets.longest + 1)
    kinds = ("memory_bits", "synapse_bits", "synapses")  # chips have one of them
    what = next((kind for kind in kinds if demand.limits.get(kind) is not None), None)
    if what == "synapses":
        row_bits = longest
    else:
        formula, incoming = demand.wiring.formula, demand.wiring.incoming(population.name).values()
        each = max((demand.wiring.lists(n).format(0, held).bits for some in incoming for n in some), default=0)
        more = max(map(len, incoming), default=1) - 1  # lists of one source, each with a header and its own last word
        row_bits = formula.bits(longest, each) + (longest > 0) * more * (formula.header + formula.word)
    return Room(
        neurons=held,
        axons_in=demand.limits.get("axons_in"),
        axons_out=demand.limits.get("axons_out"),
        bits=None if what is None else demand.limits.get(what),
        row_bits=row_bits,
        neuron_bits=demand.neuron_bits[population.name] if what == "memory_bits" else 0,
        neuron_axons=_axons(population, senders),
    )


def _axons(population: Population, senders: Sequence[Senders]) -> Counts:
    """Output axons of each neuron by what it sends to; what neurons of a pixel could share is counted for each."""
    channels, height, width = as_chw(population.shape)
    found = np.zeros((channels, height * width), dtype=np.int64)
    for some in senders:
        if some.channels is None:
            np.add.at(found.reshape(-1), some.neurons, some.slots)
        else:
            found[some.channels[0] : some.channels[1], some.neurons] += some.slots
    return found.reshape(-1)
