"""Where the sums of maps stand. The network's own neurons stay where they are.

A pixel's sum goes to the core that holds most of the pixel's neurons and still has room; pixels for which several cores
hold as many are dealt out among these, in even runs, so that no core has to take all messages. What finds no room on
any core with neurons of its pixels goes to cores of its own, each filled up before the next. A core of its own gets
the free place with the fewest hops from the cores that send to it, weighted by neurons.

A core has room as long as it uses no more than the chip gives it, by the chip's own formulas (room.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import numpy as np
import numpy.typing as npt

from neurosam.network.synapse import as_chw
from neurosam_hw.cost.sam.maps import map_names, with_maps
from neurosam_hw.cost.sam.room import Room
from neurosam_hw.cost.sam.state import TraceState
from neurosam_hw.errors import MappingError
from neurosam_hw.mapping.mapping import CoreMapping, Tile

__all__ = ["place_maps"]

Index = npt.NDArray[np.int64]


def place_maps(mapping: CoreMapping, states: Mapping[str, TraceState]) -> CoreMapping:
    """The mapping with the sums of these layers.

    Parameters
    ----------
    mapping : CoreMapping
    states : mapping of str to TraceState
        By layer (:func:`trace_state`).

    Raises
    ------
    MappingError
        If a traced layer is not on the chip.
    """
    names = map_names(mapping.network, states)
    network = with_maps(mapping.network, tuple(states))
    room = Room(mapping, network, states)
    senders: dict[int, Index] = {}
    for layer, name in names.items():
        shares = _shares(mapping, layer)
        left: list[Index] = []
        for cores, pixels in _runs(shares):
            for core in cores:
                pixels = room.take(core, name, pixels)
            left.append(pixels)
        rest = np.sort(np.concatenate(left))
        for core in room.own:
            rest = _on_its_own(room, core, name, rest, shares, senders)
        while rest.size:
            rest = _on_its_own(room, room.open(), name, rest, shares, senders)
    positions = [*map(tuple, mapping.positions.tolist())]
    for core in room.own:
        positions.append(_nearest(mapping, senders[core], set(positions)))
    return CoreMapping(network, mapping.chip, room.pieces, np.array(positions, dtype=np.int64))


def _shares(mapping: CoreMapping, layer: str) -> Index:
    """How many neurons of each pixel each core holds, ``[pixels, cores]``."""
    channels, height, width = as_chw(mapping.network[layer].shape)
    core = mapping.core_of(layer).astype(np.int64)
    if (core < 0).any():
        raise MappingError(f"SAM: layer {layer!r}", "is not on the chip; only neurons on a core have a trace")
    pixel = np.tile(np.arange(height * width), channels)
    shares = np.zeros((height * width, mapping.cores), dtype=np.int64)
    np.add.at(shares, (pixel, core), 1)
    return shares


def _on_its_own(room: Room, core: int, name: str, rest: Index, shares: Index, senders: dict[int, Index]) -> Index:
    """Put what there is room for on a core of its own, and note who sends there; what is left."""
    left = room.take(core, name, rest)
    senders[core] = senders.get(core, 0) + shares[rest[: rest.size - left.size]].sum(axis=0)
    return left


def _runs(shares: Index) -> Iterator[tuple[list[int], Index]]:
    """Runs of pixels, with the cores to try for each: those that hold most first, equal ones in turn."""
    alike, group = np.unique(shares, axis=0, return_inverse=True)
    for number in dict.fromkeys(group.ravel().tolist()):
        held, pixels = alike[number], np.flatnonzero(group.ravel() == number)
        order = [int(core) for core in np.argsort(-held, kind="stable")[: np.count_nonzero(held)]]
        equal = [core for core in order if held[core] == held[order[0]]]
        for first, run in enumerate(np.array_split(pixels, len(equal))):
            yield [*equal[first:], *equal[:first], *order[len(equal) :]], run


def _nearest(mapping: CoreMapping, weights: Index, taken: set[tuple[int, int]]) -> tuple[int, int]:
    """The free place with the fewest hops from the cores that send there, on the chip that most of them are on."""
    chips = np.bincount(mapping.positions[:, 0], weights=weights)
    for chip in (*(int(c) for c in np.argsort(-chips, kind="stable") if chips[c]), *range(len(taken) + 1)):
        used = {number for place, number in taken if place == chip}
        each = mapping.cores_per_chip
        free = [n for n in range(max(used, default=-1) + 2 if each is None else each) if n not in used]
        if free:
            senders = [int(c) for c in np.flatnonzero(weights) if mapping.positions[c, 0] == chip]
            return chip, min(free, key=lambda number: _hops(mapping, weights, senders, mapping.tile_at(chip, number)))
    raise MappingError("SAM: maps", "no chip has a free core")


def _hops(mapping: CoreMapping, weights: Index, senders: Iterable[int], to: Tile) -> int:
    """Hops from all senders to a tile of their chip."""
    tiles = ((core, mapping.tile(core)) for core in senders)
    return sum(int(weights[core]) * (abs(at.column - to.column) + abs(at.row - to.row)) for core, at in tiles)
