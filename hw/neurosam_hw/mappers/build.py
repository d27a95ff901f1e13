"""From a network to its mapping.

1. Populations are cut, the last one first, so that it is known what they send to: convolutions, dense layers and inputs
   into tiles (tiles.py), what has lists of synapses or recurrence along its connections (partition.py), and what
   partitions cannot keep within the limits in order (in_order.py).
2. What takes less than half of a core shares one with others (share.py).
3. The whole is counted (resources/); a population with cores that hold too much is cut again, into smaller pieces.
4. Cores get places on the chips (place.py).

All of it is deterministic.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from neurosam.network.elements import Population
from neurosam.network.network import Network
from neurosam.network.synapse import Conv2d, Dense, as_chw, neurons
from neurosam_hw.chips.chip import Chip
from neurosam_hw.errors import MappingError
from neurosam_hw.mappers.connected import connected
from neurosam_hw.mappers.in_order import in_order
from neurosam_hw.mappers.layers import map_layers
from neurosam_hw.mappers.place import place
from neurosam_hw.mappers.share import share
from neurosam_hw.mappers.tiles import refused, remedy, sent, tiles
from neurosam_hw.mapping.mapping import CoreMapping
from neurosam_hw.mapping.piece import Piece
from neurosam_hw.resources.arrival import Senders
from neurosam_hw.resources.cores import Demand, Extra, axons_out, parts, use
from neurosam_hw.resources.figures import number
from neurosam_hw.resources.layers import takes_layers
from neurosam_hw.resources.use import Excess, Limits

__all__ = ["map_in_order", "map_network"]

ATTEMPTS = 12
"""Times that a mapping with overfull cores is cut again."""


def map_network(
    network: Network,
    chip: Chip,
    *,
    activity: Mapping[str, npt.NDArray[np.float64]] | None = None,
    inputs_on_chip: bool = False,
    extra: Mapping[str, Extra] | None = None,
) -> CoreMapping:
    """Put a network on the cores of a chip, or of several.

    Parameters
    ----------
    network : Network
    chip : Chip
    activity : mapping of str to (neurons,) float64 array, optional
        Spikes of each neuron, by population, in any unit; neurons are taken to be alike if None. Decides between
        mappings of as many cores.
    inputs_on_chip : bool
        Whether inputs are neurons on cores, as in SANA-FE; they come from outside if not.
    extra : mapping of str to Extra, optional
        Memory that is kept free for more state of neurons, by population, where the chip's file limits a core's memory.

    Returns
    -------
    CoreMapping

    Raises
    ------
    MappingError
        If the chip's file does not say how many cores it has, or a population or the network does not fit; says what is
        too much, and what to do.

    Examples
    --------
    >>> from neurosam_hw.chips import load_chip
    >>> neuron = ns.FixedLIF(membrane_decay=410, threshold=64)
    >>> net = ns.Network(
    ...     [ns.Population("in", (2, 32, 32)), ns.Population("conv", (16, 32, 32), neuron)],
    ...     [ns.Projection("in", "conv", ns.Conv2d(np.ones((16, 2, 3, 3), np.int8), padding=1))],
    ... )
    >>> mapping = map_network(net, load_chip("loihi1"))
    >>> mapping.cores, mapping.pieces[0].box
    (16, ((0, 16), (0, 8), (0, 8)))
    """
    _check(network, chip, activity)
    if takes_layers(chip):
        return map_layers(network, chip)
    demand = Demand(network, chip, extra)
    most: dict[str, int] = {}
    alone: set[str] = set()
    for _ in range(ATTEMPTS):
        pieces, axons = _cut(demand, activity, inputs_on_chip, most)
        mapping = CoreMapping(network, chip, share(demand, pieces, axons, alone))
        overfull = _overfull(mapping, extra)
        if not overfull:
            return place(_checked(mapping), activity)
        for core, excess in overfull.items():
            first, *others = mapping.pieces_on(core)
            if others:
                alone.update(piece.population for piece in (first, *others))
            elif first.size == 1:
                raise refused(first.population, excess, chip)
            else:
                fitting = max(1, min(first.size - 1, first.size * excess.allowed // excess.used))
                most[first.population] = min(fitting, most.get(first.population, fitting))
    core, excess = next(iter(overfull.items()))
    what = excess.what.replace("_", " ")
    raise MappingError(
        f"population {mapping.pieces_on(core)[0].population!r}",
        f"does not fit on cores of {chip.name}, however it is cut: {excess.used:,} {what}, where {excess.allowed:,} is "
        f"allowed. {remedy(excess.what).capitalize()}",
    )


def map_in_order(network: Network, chip: Chip, *, inputs_on_chip: bool = False) -> CoreMapping:
    """The base line: consecutive neurons on consecutive cores, as many as fit; output axons are not looked at."""
    _check(network, chip, None)
    demand = Demand(network, chip)
    pieces: list[Piece] = []
    for population in _mapped(network, inputs_on_chip):
        first = 1 + max((piece.core for piece in pieces), default=-1)
        pieces += [replace(piece, core=first + piece.core) for piece in in_order(demand, population)]
    return CoreMapping(network, chip, tuple(pieces))


def _mapped(network: Network, inputs_on_chip: bool) -> list[Population]:
    return [p for p in network.populations if p.neuron is not None or inputs_on_chip]


def _check(network: Network, chip: Chip, activity: Mapping[str, Any] | None) -> None:
    """Refuse what cannot be mapped at all."""
    if number(chip, "limits.cores") is None:
        raise MappingError(
            f"chip {chip.name!r}", "limits.cores is unknown, and a mapping needs it; write it into a copy of the file"
        )
    for population in network.populations:
        if population.pool is not None:
            raise MappingError(
                f"population {population.name!r}",
                "takes the largest of several sums in a step, which no chip does; pool its spikes instead (max_pool)",
            )
    for name, rate in (activity or {}).items():
        size, values = neurons(network[name].shape), np.asarray(rate)
        if values.shape != (size,) or not np.isfinite(values).all() or (values < 0).any():
            raise MappingError(
                f"activity of {name!r}", f"got an array of shape {values.shape}; ({size},) rates, from 0, are required"
            )


def _cut(
    demand: Demand, activity: Mapping[str, npt.NDArray[np.float64]] | None, inputs: bool, most: Mapping[str, int]
) -> tuple[list[Piece], list[int]]:
    """Pieces of all populations, each on a core of its own, and the slots of output axons that each needs."""
    network = demand.network
    wanted = _mapped(network, inputs)
    found: dict[str, tuple[list[Piece], list[int]]] = {}
    senders: dict[str, list[Senders]] = {}
    matters = any(demand.limits.get(what) is not None for what in ("axons_out", "destinations"))
    order = [name for group in network.groups for name in group]
    for population in sorted(wanted, key=lambda p: order.index(p.name), reverse=True):
        found[population.name] = _pieces(demand, population, senders.get(population.name, []), activity, most)
        for piece in found[population.name][0] if matters else ():
            for source, some in parts(demand.wiring, (piece,)).items():
                senders.setdefault(source, []).append(demand.wiring.senders(some))
    pieces: list[Piece] = []
    axons: list[int] = []
    for population in wanted:
        own, slots = found[population.name]
        pieces += [replace(piece, core=len(pieces) + n) for n, piece in enumerate(own)]
        axons += slots
    return pieces, axons


def _pieces(
    demand: Demand,
    population: Population,
    senders: list[Senders],
    activity: Mapping[str, npt.NDArray[np.float64]] | None,
    most: Mapping[str, int],
) -> tuple[list[Piece], list[int]]:
    """Pieces of a population, on cores from 0, and the slots of output axons that each needs."""
    limit = most.get(population.name)
    if _is_tiled(demand.network, population):
        tiling = tiles(demand, population, senders=senders, rates=activity, most=limit)
        pieces = [Piece(population.name, core, box) for core, box in enumerate(tiling.boxes())]
        return pieces, sent(tiling, senders)[0].tolist()
    pieces = _listed(demand, population, senders, activity, limit)
    core_of = np.empty(neurons(population.shape), dtype=np.int32)
    for piece in pieces:
        core_of[piece.indices(population.shape)] = piece.core
    slots = sum((axons_out(core_of, population.shape, len(pieces), some) for some in senders), np.zeros(len(pieces)))
    return pieces, np.asarray(slots, dtype=np.int64).tolist()


def _listed(
    demand: Demand,
    population: Population,
    senders: list[Senders],
    activity: Mapping[str, npt.NDArray[np.float64]] | None,
    most: int | None,
) -> list[Piece]:
    """Pieces along the connections; in order, if those take fewer cores."""
    plain = in_order(demand, population, most=most)
    try:
        cut, _ = connected(demand, population, senders=senders, rates=activity, most=most)
    except MappingError:  # memory is counted from above there
        return plain
    return cut if len(cut) <= 1 + max(piece.core for piece in plain) else plain


def _is_tiled(network: Network, population: Population) -> bool:
    """Whether tiles are right for it: maps with a convolution, dense layers, inputs; nothing recurrent but maps."""
    incoming = network.incoming(population.name)
    if any(isinstance(p.synapse, Conv2d) for p in incoming):
        return as_chw(population.shape)[1:] != (1, 1) or all(not hasattr(p.synapse, "indptr") for p in incoming)
    return all(isinstance(p.synapse, Dense) for p in incoming)


def _overfull(mapping: CoreMapping, extra: Mapping[str, Extra] | None) -> dict[int, Excess]:
    """The worst of what a core has too much of, by core."""
    limits = Limits.of(mapping.chip)
    found = ((core, limits.exceeded(used)) for core, used in enumerate(use(mapping, extra)))
    return {core: max(some, key=lambda excess: excess.used / excess.allowed) for core, some in found if some}


def _checked(mapping: CoreMapping) -> CoreMapping:
    """Refuse several chips where no source tells of a network between cores."""
    cores = mapping.cores_per_chip
    if cores == 1 and mapping.cores > 1:
        raise MappingError(
            "network",
            f"needs {mapping.cores} cores; {mapping.chip.name} has one. Use fewer or smaller layers",
        )
    return mapping
