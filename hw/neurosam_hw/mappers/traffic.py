"""Packets between cores, and how far they go."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from neurosam_hw.mappers.rates import whole_rates
from neurosam_hw.mapping.mapping import CoreMapping
from neurosam_hw.mapping.reach import fan_of

__all__ = ["Ways", "arrivals", "traffic", "ways"]

Counts = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Ways:
    """What spikes take on the way, if every neuron fires once, or with the rates that were given.

    Parameters
    ----------
    packets : int
        Pairs of a spike and a core that it is sent to, its own included; from inputs outside the chips too.
    hops : int
        Of packets between cores of one chip, from tile to tile.
    crossings : int
        Packets from one chip to another.
    """

    packets: int
    hops: int
    crossings: int


def ways(mapping: CoreMapping, rates: Mapping[str, npt.ArrayLike] | None = None) -> Ways:
    """Packets, hops and crossings of a mapping.

    Parameters
    ----------
    mapping : CoreMapping
    rates : mapping of str to array, optional
        Spikes of each neuron, by population (``whole_rates``); 1 for those of populations that are not named.
    """
    tiles = np.array([mapping.tile(core) for core in range(mapping.cores)], dtype=np.int64).reshape(-1, 3)
    sent = hops = crossings = 0
    for core, counts in arrivals(mapping, rates):
        sent += int(counts.sum())
        same = tiles[:, 0] == tiles[core, 0]
        hops += int((counts[:-1] * np.abs(tiles - tiles[core])[:, 1:].sum(axis=1))[same].sum())
        crossings += int(counts[:-1][~same].sum())
    return Ways(sent, hops, crossings)


def traffic(mapping: CoreMapping, rates: Mapping[str, npt.ArrayLike] | None = None) -> Counts:
    """Packets from core to core ``[cores, cores]``, those that stay on a core on the diagonal; none from outside."""
    between = np.zeros((mapping.cores, mapping.cores), dtype=np.int64)
    for core, counts in arrivals(mapping, rates):
        between[:, core] = counts[:-1]
    return between


def arrivals(mapping: CoreMapping, rates: Mapping[str, npt.ArrayLike] | None = None) -> Iterator[tuple[int, Counts]]:
    """Each core, and the packets that it gets from each core, and last from outside, ``[cores + 1]``.

    A spike is one packet to a core, by however many projections and onto however many pieces it arrives.
    """
    network, whole = mapping.network, whole_rates(mapping.network, rates)
    fans = {id(p): fan_of(network, p) for p in network.projections}
    for core in range(mapping.cores):
        counts = np.zeros(mapping.cores + 1, dtype=np.int64)
        pieces = mapping.pieces_on(core)
        for source in network.populations:
            heard = [
                fans[id(p)].of(piece)[0]
                for piece in pieces
                for p in network.incoming(piece.population)
                if p.source == source.name
            ]
            if not heard:
                continue
            some = heard[0] if len(heard) == 1 else np.unique(np.concatenate(heard))
            sender = mapping.core_of(source.name)[some]  # -1, outside, is the last
            np.add.at(counts, sender, whole[source.name][some] if source.name in whole else 1)
        yield core, counts
