"""What one spike of each neuron causes on the chip: packets and hops at its own core, work at the cores it reaches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from neurosam_hw.mapping.mapping import OUTSIDE, CoreMapping
from neurosam_hw.mapping.reach import Reach, kind, packets, reach

__all__ = ["SENDER", "Traffic", "expand", "traffic"]

Counts = npt.NDArray[np.int64]

SENDER = ("packets", "hops_east", "hops_west", "hops_north", "hops_south", "crossings")
"""What is counted at the core of the neuron that fires."""

CHUNK = 2**18
"""Entries that are expanded at once: few enough for the cache."""


@dataclass(frozen=True, eq=False)
class Traffic:
    """What the spikes of one population cause.

    Parameters
    ----------
    core : (neurons,) int32 array
        OUTSIDE where events come from outside the chip.
    sender : mapping of str to (neurons,) int64 array
        By SENDER: what a spike adds at its own core; nothing of events from outside.
    messages : Reach
        Cores that receive a packet.
    deliveries : tuple of (str, Reach)
        By kind of synapse; a kind may occur several times.
    """

    core: npt.NDArray[np.int32]
    sender: Mapping[str, Counts]
    messages: Reach
    deliveries: tuple[tuple[str, Reach], ...]

    @property
    def outside(self) -> bool:
        """Whether events come from outside the chip, as those of all neurons of an input do or those of none."""
        return int(self.core[0]) == OUTSIDE


def traffic(mapping: CoreMapping) -> dict[str, Traffic]:
    """What a spike causes, by population.

    Raises
    ------
    MappingError
        If a population takes the largest of several sums, which no chip does.
    """
    tiles = np.array([mapping.tile(core) for core in range(mapping.cores)], dtype=np.int64).reshape(-1, 3)
    found = {}
    for population in mapping.network.populations:
        core = mapping.core_of(population.name)
        sent = packets(mapping, population.name)
        outgoing = mapping.network.outgoing(population.name)
        kinds = {kind(p) for p in outgoing}
        deliveries = (
            tuple((name, sent) for name in kinds)  # packets() has added them up
            if len(kinds) < 2
            else tuple((kind(p), reach(mapping, p)) for p in outgoing)
        )
        found[population.name] = Traffic(core, _at_sender(core, sent, tiles), sent, deliveries)
    return found


def _at_sender(core: npt.NDArray[np.int32], sent: Reach, tiles: Counts) -> dict[str, Counts]:
    """Sums over the packets of each neuron: Manhattan distances on one chip, and changes of chip.

    How boards join chips is unknown, so a packet to another chip is a crossing and has no hops.
    """
    home = np.repeat(core, sent.fan_out)
    if (home == OUTSIDE).all():
        return {name: np.zeros(core.size, dtype=np.int64) for name in SENDER}
    chip, column, row = (tiles[sent.cores] - tiles[home]).T
    same = chip == 0
    each = {
        "hops_east": same * np.maximum(column, 0),
        "hops_west": same * np.maximum(-column, 0),
        "hops_north": same * np.maximum(row, 0),
        "hops_south": same * np.maximum(-row, 0),
        "crossings": ~same,
    }
    return {"packets": sent.fan_out} | {name: _by_neuron(values, sent.starts) for name, values in each.items()}


def _by_neuron(values: npt.NDArray[np.generic], starts: Counts) -> Counts:
    """Sums of the entries of each neuron."""
    before = np.zeros(len(values) + 1, dtype=np.int64)
    np.cumsum(values, out=before[1:])
    found: Counts = before[starts[1:]] - before[starts[:-1]]
    return found


def expand(starts: Counts, neuron: Counts) -> Iterator[tuple[Counts, Counts]]:
    """The entries of a compressed table that a list of neurons has, some spikes at a time.

    Yields
    ------
    spike : (n,) int64 array
        Place in the list of neurons, as often as that neuron has entries.
    entry : (n,) int64 array
        Place in the table.
    """
    lengths = starts[neuron + 1] - starts[neuron]
    end = np.cumsum(lengths)
    first = 0
    while first < len(neuron):
        done = int(end[first - 1]) if first else 0
        stop = max(int(np.searchsorted(end, done + CHUNK, side="right")), first + 1)
        some = lengths[first:stop]
        offset = starts[neuron[first:stop]] - (end[first:stop] - some - done)
        entry = np.arange(int(some.sum())) + np.repeat(offset, some)
        yield np.repeat(np.arange(first, stop), some), entry
        first = stop
