"""A network on the cores of a chip, or of several.

Logical cores are numbered from 0; `positions` says which core of which chip each one is. A mapping says nothing of
limits: a mapping that no chip can hold can be written down, and the rules (rules/) say what it breaks. What it must do
is hold each neuron once.

Tiles are numbered down the columns of the mesh: tile n is in column ``n // height`` and row ``n % height``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from neurosam.network.elements import Population
from neurosam.network.network import Network
from neurosam.network.synapse import neurons
from neurosam_hw.chips.chip import Chip
from neurosam_hw.errors import MappingError
from neurosam_hw.mapping.piece import Piece

__all__ = ["MOST_CORES", "OUTSIDE", "CoreMapping", "Tile"]

MOST_CHIPS = 2**12
"""Chips of a mapping; the largest machine of Loihi 2 has 1,152."""
MOST_CORES = 2**20
"""Cores of a chip whose file does not say how many it has."""
OUTSIDE = -1
"""The core of inputs that come from outside the chip."""


class Tile(NamedTuple):
    """A router and the cores around it."""

    chip: int
    column: int
    row: int


@dataclass(frozen=True, eq=False)
class CoreMapping:
    """Which core holds which neurons.

    Parameters
    ----------
    network : Network
    chip : Chip
    pieces : tuple of Piece
        Together every neuron once. An input population may have none: its events then come from outside the chip.
    positions : (cores, 2) int64 array, optional
        Chip, and core on that chip, of each logical core; in order, chip after chip, if empty.

    Raises
    ------
    MappingError
        If a neuron is left out or placed twice, a piece does not fit its population, a core is empty, or two cores are
        in one place.

    Examples
    --------
    >>> from neurosam_hw.chips import load_chip
    >>> from neurosam_hw.mapping import CoreMapping, Piece
    >>> net = ns.Network(
    ...     [ns.Population("in", (2,)), ns.Population("out", (3,), ns.FixedReadout())],
    ...     [ns.Projection("in", "out", ns.Dense(np.ones((3, 2), np.int8)))],
    ... )
    >>> pieces = (Piece("out", 0, neurons=np.array([0, 2])), Piece("out", 1, neurons=np.array([1])))
    >>> mapping = CoreMapping(net, load_chip("loihi1"), pieces)
    >>> mapping.core_of("out"), mapping.core_of("in"), mapping.tile(1)
    (array([0, 1, 0], dtype=int32), array([-1, -1], dtype=int32), Tile(chip=0, column=0, row=0))
    """

    network: Network
    chip: Chip
    pieces: tuple[Piece, ...]
    positions: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros((0, 2), dtype=np.int64))

    def __post_init__(self) -> None:
        object.__setattr__(self, "pieces", tuple(self.pieces))
        self._check_pieces()
        cores = 1 + max((piece.core for piece in self.pieces), default=-1)
        if empty := sorted(set(range(cores)) - {piece.core for piece in self.pieces}):
            raise MappingError(f"mapping: core {empty[0]}", "holds nothing; number the cores without gaps")
        if not np.size(self.positions):
            each = self.cores_per_chip
            placed = np.stack(np.divmod(np.arange(cores, dtype=np.int64), max(each or cores, 1)), axis=1)
        else:
            placed = np.array(self.positions, dtype=np.int64)
        self._check_positions(placed, cores)
        placed.setflags(write=False)
        object.__setattr__(self, "positions", placed)

    @property
    def cores(self) -> int:
        """Number of cores in use."""
        return len(self.positions)

    @property
    def chips(self) -> int:
        """Number of chips: up to the last that is in use."""
        return int(self.positions[:, 0].max(initial=-1)) + 1

    @property
    def cores_per_chip(self) -> int | None:
        """Cores of a chip; None if the chip's file does not say."""
        return _whole(self.chip, "limits.cores")

    @cached_property
    def _by_population(self) -> dict[str, tuple[Piece, ...]]:
        found: dict[str, list[Piece]] = {p.name: [] for p in self.network.populations}
        for piece in self.pieces:
            found[piece.population].append(piece)
        return {name: tuple(pieces) for name, pieces in found.items()}

    @cached_property
    def _by_core(self) -> tuple[tuple[Piece, ...], ...]:
        found: list[list[Piece]] = [[] for _ in range(self.cores)]
        for piece in self.pieces:
            found[piece.core].append(piece)
        return tuple(map(tuple, found))

    @cached_property
    def _cores_of(self) -> dict[str, npt.NDArray[np.int32]]:
        return {}

    def pieces_of(self, population: str) -> tuple[Piece, ...]:
        """The pieces of a population; none for an input that comes from outside."""
        return self._by_population[self.network[population].name]

    def pieces_on(self, core: int) -> tuple[Piece, ...]:
        """The pieces on a core."""
        return self._by_core[core]

    def core_of(self, population: str) -> npt.NDArray[np.int32]:
        """Core of each neuron, flat; OUTSIDE (-1) for inputs that come from outside."""
        if population not in self._cores_of:
            shape = self.network[population].shape
            found = np.full(neurons(shape), OUTSIDE, dtype=np.int32)
            for piece in self.pieces_of(population):
                found[piece.indices(shape)] = piece.core
            found.setflags(write=False)
            self._cores_of[population] = found
        return self._cores_of[population]

    def tile(self, core: int) -> Tile:
        """The tile of a core; on a chip without a mesh, a chip is one tile."""
        chip, number = (int(value) for value in self.positions[core])
        return self.tile_at(chip, number)

    def tile_at(self, chip: int, number: int) -> Tile:
        """The tile of a core by its number on a chip, in use or not."""
        cores_per_tile, height = _whole(self.chip, "noc.cores_per_tile"), _whole(self.chip, "noc.mesh_height")
        if height is None:
            return Tile(chip, 0, 0)
        return Tile(chip, *divmod(number // (cores_per_tile or 1), height))

    @property
    def tiles(self) -> int:
        """Number of tiles in use, over all chips."""
        return len({self.tile(core) for core in range(self.cores)})

    def _check_pieces(self) -> None:
        """Refuse unknown populations, neurons outside, left out, or placed twice."""
        names = [p.name for p in self.network.populations]
        for piece in self.pieces:
            where = f"piece of {piece.population!r} on core {piece.core}"
            if piece.population not in names:
                raise MappingError(where, f"the network has no such population; it has {', '.join(names)}")
            shape = self.network[piece.population].shape
            if not piece.fits(shape):
                raise MappingError(where, f"reaches beyond the population, which has the shape {shape}")
        for population in self.network.populations:
            _check_complete(population, [p for p in self.pieces if p.population == population.name])

    def _check_positions(self, placed: npt.NDArray[np.int64], cores: int) -> None:
        """Refuse places that do not exist or are taken twice."""
        where = "mapping: positions"
        if placed.shape != (cores, 2):
            raise MappingError(where, f"got an array of shape {placed.shape}; ({cores}, 2) is required: chip and core")
        if placed.size and placed.min() < 0:
            raise MappingError(where, "chips and cores are counted from 0")
        limit = self.cores_per_chip
        if limit is not None and placed.size and placed[:, 1].max() >= limit:
            raise MappingError(where, f"core {int(placed[:, 1].max())} of a chip is used; {self.chip.name} has {limit}")
        if placed.size and placed[:, 0].max() >= MOST_CHIPS:
            raise MappingError(where, f"chip {int(placed[:, 0].max())} is used; at most {MOST_CHIPS} chips are allowed")
        if limit is None and placed.size and placed[:, 1].max() >= MOST_CORES:
            raise MappingError(where, f"core {int(placed[:, 1].max())} of a chip is used; at most {MOST_CORES} fit")
        if len(np.unique(placed, axis=0)) != cores:
            raise MappingError(where, "two cores of the mapping are in the same place")


def _whole(chip: Chip, name: str) -> int | None:
    """A whole number of a chip's file, or None."""
    value = chip.figure(name).value_si
    return int(value) if isinstance(value, (int, float)) else None


def _check_complete(population: Population, pieces: Iterable[Piece]) -> None:
    """Refuse a population of which a neuron is missing or has two places."""
    times = np.zeros(neurons(population.shape), dtype=np.int64)
    placed = False
    for piece in pieces:
        times[piece.indices(population.shape)] += 1
        placed = True
    if not placed and population.neuron is None:
        return
    where = f"mapping of {population.name!r}"
    if (missing := np.flatnonzero(times == 0)).size:
        raise MappingError(
            where, f"{missing.size} of {times.size} neurons are on no core, the first is neuron {missing[0]}"
        )
    if (twice := np.flatnonzero(times > 1)).size:
        raise MappingError(where, f"neuron {twice[0]} is on {times[twice[0]]} cores; each neuron has one place")
