"""Where the sums of a map stand: H x W accumulators a layer, as neurons of the chip.

A traced layer of shape (C, H, W) gets a population of H x W accumulators and a projection that adds the channels of a
pixel, a 1 x 1 convolution of ones; a layer (N,) has one pixel. An accumulator forgets in every step what it had, so its
membrane is the map M[t]. Reading a map out is not part of this, as reading the output is not.

Rule of placement, layer by layer: a pixel's sum goes to the core that holds most of the pixel's neurons and still has
room (`limits.neurons_per_core`); pixels for which several cores hold as many are dealt out among these, in even runs,
so that no core has to take all messages. If no core with neurons of the pixel has room, a core of its own takes the
sum, and is filled up with others. A core of its own gets the free place with the fewest hops from the cores that send
to it, weighted by neurons. The network's own neurons stay where they are.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from neurosam.network.elements import MAX_NAME, Population, Projection
from neurosam.network.fixed_neuron import FixedReadout
from neurosam.network.network import Network
from neurosam.network.synapse import Conv2d, Dense, as_chw
from neurosam_hw.cost.sam.state import fixed_traces
from neurosam_hw.errors import MappingError
from neurosam_hw.mapping.mapping import CoreMapping, Tile
from neurosam_hw.mapping.piece import Piece

__all__ = ["map_names", "place_maps", "with_maps"]

SUFFIX = ".map"
FORGET = 4096

Index = npt.NDArray[np.int64]


def map_names(network: Network, layers: Iterable[str]) -> dict[str, str]:
    """Names of the accumulators' populations, by layer; none that the network has already."""
    taken = {population.name for population in network.populations}
    names: dict[str, str] = {}
    for layer in layers:
        name, number = layer[: MAX_NAME - len(SUFFIX)] + SUFFIX, 1
        while name in taken:
            number += 1
            tail = f"{SUFFIX}{number}"
            name = layer[: MAX_NAME - len(tail)] + tail
        taken.add(name)
        names[layer] = name
    return names


def with_maps(network: Network, layers: Iterable[str] | None = None) -> Network:
    """The network with accumulators for the maps of its traced layers (of these if given), behind all others.

    It says what stands on a chip and who sends to whom; its accumulators receive scores, not spikes, so no back end
    computes maps with it.

    Examples
    --------
    >>> from neurosam_hw.cost.sam import with_maps
    >>> net = ns.Network(
    ...     [ns.Population("in", (1, 6, 6)), ns.Population("conv1", (8, 4, 4), ns.FixedLIF(410, 64))],
    ...     [ns.Projection("in", "conv1", ns.Conv2d(np.ones((8, 1, 3, 3), np.int8)))],
    ... ).with_sam()
    >>> [(p.name, p.shape) for p in with_maps(net).populations]
    [('in', (1, 6, 6)), ('conv1', (8, 4, 4)), ('conv1.map', (1, 4, 4))]
    """
    traces = fixed_traces(network, layers)
    populations, projections = list(network.populations), list(network.projections)
    for layer, name in map_names(network, traces).items():
        shape = network[layer].shape
        channels = shape[0]
        box = len(shape) == 3
        populations.append(Population(name, (1, *shape[1:]), FixedReadout(membrane_decay=FORGET)))
        ones = np.ones((1, channels, 1, 1) if box else (1, channels), dtype=np.int8)
        projections.append(Projection(layer, name, Conv2d(ones) if box else Dense(ones)))
    return replace(network, populations=tuple(populations), projections=tuple(projections))


def place_maps(mapping: CoreMapping, layers: Iterable[str] | None = None, full: Collection[int] = ()) -> CoreMapping:
    """The mapping with the accumulators placed by the rule of this module; none on the cores of `full`.

    Raises
    ------
    NetworkError
        If the network has no integer traces.
    MappingError
        If a traced layer is not on the chip.
    """
    traces = fixed_traces(mapping.network, layers)
    limit = mapping.chip.figure("limits.neurons_per_core").value_si
    most = int(limit) if isinstance(limit, (int, float)) else None
    sizes = [sum(piece.size for piece in mapping.pieces_on(core)) for core in range(mapping.cores)]
    pieces, sources = list(mapping.pieces), dict[int, Index]()
    for layer, name in map_names(mapping.network, traces).items():
        shares = _shares(mapping, layer)
        cores = _assign(shares, sizes, mapping.cores, most, full)
        pieces += _pieces(name, cores, as_chw(mapping.network[layer].shape)[2])
        for core in np.unique(cores[cores >= mapping.cores]):
            weights = sources.setdefault(int(core), np.zeros(mapping.cores, dtype=np.int64))
            weights += shares[cores == core].sum(axis=0)
    positions = [*map(tuple, mapping.positions.tolist())]
    for core in range(mapping.cores, len(sizes)):
        positions.append(_nearest(mapping, sources[core], set(positions)))
    return CoreMapping(
        with_maps(mapping.network, tuple(traces)), mapping.chip, tuple(pieces), np.array(positions, dtype=np.int64)
    )


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


def _assign(shares: Index, sizes: list[int], own: int, most: int | None, full: Collection[int]) -> Index:
    """The core of each pixel's sum; `sizes` grows by what is placed, and by cores of their own."""
    found = np.empty(len(shares), dtype=np.int64)
    alike, group = np.unique(shares, axis=0, return_inverse=True)
    for number in dict.fromkeys(group.ravel().tolist()):
        held, pixels = alike[number], np.flatnonzero(group.ravel() == number)
        order = [int(c) for c in np.argsort(-held, kind="stable")[: np.count_nonzero(held)] if c not in full]
        equal = [core for core in order if held[core] == held[order[0]]]
        for k, pixel in enumerate(pixels):
            first = k * len(equal) // len(pixels)
            near = (*equal[first:], *equal[:first], *order[len(equal) :], *range(own, len(sizes)))
            core = next((c for c in near if most is None or sizes[c] < most), len(sizes))
            if core == len(sizes):
                sizes.append(0)
            sizes[core] += 1
            found[pixel] = core
    return found


def _pieces(name: str, cores: Index, width: int) -> list[Piece]:
    """A piece for each core: a box where its pixels are one, so that a shared kernel stays one."""
    pieces = []
    for core in np.unique(cores):
        pixels = np.flatnonzero(cores == core)
        rows, columns = np.divmod(pixels, width)
        box = (0, 1), (int(rows[0]), int(rows[-1]) + 1), (int(columns.min()), int(columns.max()) + 1)
        area = (box[1][1] - box[1][0]) * (box[2][1] - box[2][0])
        whole = area == pixels.size
        pieces.append(Piece(name, int(core), box=box) if whole else Piece(name, int(core), neurons=pixels))
    return pieces


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
