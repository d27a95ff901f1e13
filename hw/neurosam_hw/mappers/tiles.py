"""Cut a population into boxes: as few cores as hold it, then as few packets.

Tiles of ``channels x rows x columns`` cover the population, all alike but for those at the ends. All sizes are tried,
best first: a size is worth trying while it could need no more cores than the best so far. Tiles that are reached in the
same way use the same (axis.py), so few of them have to be counted. Of sizes with as many cores, that with the fewest
packets into the population is taken,

    packets = sum over source neurons of rate * tiles reached,

and of equal ones the first in order of rows, columns and channels. A population ``(N,)`` has tiles of channels alone.
Projections onto the population that are lists of synapses (Sparse) count, but every tile of theirs has to be.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt

from neurosam.network.elements import Population
from neurosam.network.synapse import Conv2d, as_chw
from neurosam_hw.chips.chip import Chip
from neurosam_hw.errors import MappingError
from neurosam_hw.mapping.piece import Box, Piece
from neurosam_hw.resources.arrival import Senders
from neurosam_hw.resources.axis import Axis
from neurosam_hw.resources.cores import Demand
from neurosam_hw.resources.use import Excess, Use

__all__ = ["Tiling", "refused", "remedy", "sent", "tiles"]

Counts = npt.NDArray[np.int64]
Rates = Mapping[str, npt.NDArray[np.float64]]
Key = Callable[[tuple[int, int]], Hashable]

REMEDIES = {
    "neurons": "choose another chip",
    "synapses": "use fewer channels, or a smaller kernel",
    "synapse_bits": "use fewer input channels, a smaller kernel, or weights of fewer bits",
    "memory_bits": "use fewer input channels, a smaller kernel, or weights of fewer bits",
    "axons_in": "use fewer input channels, a smaller kernel, or pool the source first",
    "axons_out": "let fewer layers follow it, or use fewer channels in them",
    "destinations": "let fewer layers follow it, or use fewer channels in them",
    "fan_in": "use fewer input channels, a smaller kernel, or groups",
    "decay_profiles": "use one decay for all neurons",
    "threshold_profiles": "use one threshold for all channels",
    "synapse_formats": "use one exponent and one delay for all projections into it",
}


def remedy(what: str) -> str:
    """What to do about too much of something."""
    return REMEDIES.get(what, "choose another chip")


@dataclass(frozen=True)
class Tiling:
    """Sizes of tiles, and how many of them cover a population.

    Parameters
    ----------
    channels, rows, columns : int
        Of a tile.
    shape : (int, int, int)
        Of the population.
    """

    channels: int
    rows: int
    columns: int
    shape: tuple[int, int, int]

    @property
    def counts(self) -> tuple[int, int, int]:
        """Tiles along channels, rows and columns."""
        c, h, w = (-(-side // size) for side, size in zip(self.shape, self.sides, strict=True))
        return c, h, w

    @property
    def sides(self) -> tuple[int, int, int]:
        """Channels, rows and columns of a tile."""
        return self.channels, self.rows, self.columns

    @property
    def cores(self) -> int:
        """Number of tiles."""
        c, h, w = self.counts
        return c * h * w

    def ranges(self, side: int) -> list[tuple[int, int]]:
        """From where to where each tile goes along a side."""
        size, whole = self.sides[side], self.shape[side]
        return [(first, min(first + size, whole)) for first in range(0, whole, size)]

    def boxes(self) -> Iterator[Box]:
        """All tiles: channels, then rows, then columns."""
        yield from product(self.ranges(0), self.ranges(1), self.ranges(2))


def tiles(
    demand: Demand,
    population: Population,
    *,
    senders: Sequence[Senders] = (),
    rates: Rates | None = None,
    most: int | None = None,
) -> Tiling:
    """The tiles of a population.

    Parameters
    ----------
    demand : Demand
        Of the network on the chip.
    population : Population
    senders : sequence of Senders
        What each core that the population sends to needs from it, as far as they are known.
    rates : mapping of str to (neurons,) float64 array, optional
        Spikes of each neuron, by population, in any unit; alike if None.
    most : int, optional
        Neurons of a tile at most, fewer than the chip allows.

    Raises
    ------
    MappingError
        If not even a single neuron fits on a core; says what is too much, and what to do.
    """
    search = _Search(demand, population, senders, rates)
    limit = demand.limits.get("neurons") if most is None else most
    channels, height, width = search.shape
    waiting: list[tuple[int, int, float, int, int, int]] = []
    for rows, columns in product(_sizes(height), _sizes(width)):
        largest = channels if limit is None else min(channels, limit // (rows * columns))
        if largest:
            tiling = search.even(largest, rows, columns)
            heapq.heappush(waiting, (tiling.cores, 0, 0.0, rows, columns, tiling.channels))
    while waiting:
        _, counted, _, rows, columns, size = heapq.heappop(waiting)
        if not counted:
            fitting = search.largest(size, rows, columns)
        else:
            tiling = Tiling(size, rows, columns, search.shape)
            if search.sends(tiling):
                return tiling
            fitting = search.largest(size - 1, rows, columns)
        if fitting:
            tiling = search.even(fitting, rows, columns)
            heapq.heappush(waiting, (tiling.cores, 1, search.packets(tiling), rows, columns, tiling.channels))
    raise search.refusal()


def sent(tiling: Tiling, senders: Sequence[Senders]) -> tuple[Counts, Counts]:
    """Slots of output axons, and destinations, of each tile, in the order of the boxes."""
    _, height, width = tiling.shape
    channel = np.arange(tiling.shape[0]) // tiling.channels
    _, down, across = tiling.counts
    pixel = (np.arange(height)[:, None] // tiling.rows * across + np.arange(width) // tiling.columns).ravel()
    used = np.zeros((tiling.counts[0], down * across), dtype=np.int64)
    cores = np.zeros_like(used)
    for some in senders:
        more = np.zeros_like(used)
        if some.channels is None:
            c, at = np.divmod(some.neurons, height * width)
            np.add.at(more, (channel[c], pixel[at]), 1)
        else:
            first, last = channel[some.channels[0]], channel[some.channels[1] - 1]
            more[first : last + 1] = np.bincount(pixel[some.neurons], minlength=down * across)
        used += more * some.slots
        cores += more > 0
    return used.ravel(), cores.ravel()


def _sizes(side: int) -> list[int]:
    """Sizes that differ in how many of them cover a side."""
    return sorted({-(-side // count) for count in range(1, side + 1)})


class _Search:
    def __init__(self, demand: Demand, population: Population, senders: Sequence[Senders], rates: Rates | None) -> None:
        self.demand, self.population, self.senders = demand, population, senders
        self.shape = as_chw(population.shape)
        network = demand.network
        numbered = [(n, p) for n, p in enumerate(network.projections) if p.target == population.name]
        self.convolutions = [n for n, p in numbered if isinstance(p.synapse, Conv2d)]
        self.others = [p for _, p in numbered if not isinstance(p.synapse, Conv2d)]
        self.rates = rates or {}

    def even(self, channels: int, rows: int, columns: int) -> Tiling:
        """As many tiles as such ones, but all of much the same number of channels."""
        count = -(-self.shape[0] // channels)
        return Tiling(-(-self.shape[0] // count), rows, columns, self.shape)

    def largest(self, most: int, rows: int, columns: int) -> int:
        """The most channels with which all tiles fit; 0 if none does."""
        low, high = 0, most
        while low < high:
            middle = high if low == 0 and high == most else (low + high + 1) // 2
            if self.fits(self.even(middle, rows, columns)):
                low = middle
            else:
                high = middle - 1
        return low

    def fits(self, tiling: Tiling) -> bool:
        return not any(self.excesses(box) for box in self.different(tiling))

    def excesses(self, box: Box) -> list[Excess]:
        return self.demand.excesses((Piece(self.population.name, 0, box),))

    def different(self, tiling: Tiling) -> Iterator[Box]:
        """A tile of each kind: tiles of one kind use the same."""
        sides = [_firsts(tiling.ranges(side), self._key(side)) for side in range(3)]
        yield from product(sides[0], sides[1], sides[2])

    def _key(self, side: int) -> Key:
        """What tells tiles apart along a side."""
        sparse = any(hasattr(p.synapse, "indptr") for p in self.others)
        profiles = self.demand.profiles[self.population.name]
        varies = any(grid.strides[side] for grid in (profiles.decay, profiles.threshold))
        wiring = self.demand.wiring

        def key(part: tuple[int, int]) -> Hashable:
            if sparse or varies:
                return part
            length = part[1] - part[0]
            if side:
                return (length, *(wiring.axes(n)[side - 1].cut(*part).key for n in self.convolutions))
            reached = [wiring.fan_channels(n, *part) for n in self.convolutions]
            return (length, *(counts[counts > 0].tobytes() for counts in reached))

        return key

    def packets(self, tiling: Tiling) -> float:
        """Packets into the population, from convolutions and dense projections, if each core holds one tile."""
        total = 0.0
        for source, numbers in self.demand.wiring.incoming(self.population.name).items():
            shape = as_chw(self.demand.network[source].shape)
            given = self.rates.get(source)
            rate = np.ones(shape) if given is None else np.asarray(given, np.float64).reshape(shape)
            convolutions = [n for n in numbers if n in self.convolutions]
            if len(convolutions) < len(numbers):
                total += float(rate.sum()) * tiling.cores
                continue
            rows, columns = (
                np.logical_or.reduce(
                    [_reached(self.demand.wiring.axes(n)[side - 1], tiling.ranges(side)) for n in convolutions]
                ).sum(axis=1)
                for side in (1, 2)
            )
            channels = np.zeros(shape[0])
            for part in tiling.ranges(0):
                channels += np.any([self.demand.wiring.fan_channels(n, *part) > 0 for n in convolutions], axis=0)
            total += float(np.einsum("cyx,c,y,x->", rate, channels, rows, columns, optimize=True))
        return total

    def sends(self, tiling: Tiling) -> bool:
        """Whether all tiles have output axons enough."""
        slots, destinations = self.demand.limits.get("axons_out"), self.demand.limits.get("destinations")
        if not self.senders or (slots is None and destinations is None):
            return True
        used, cores = sent(tiling, self.senders)
        enough = slots is None or used.max() <= slots
        return bool(enough and (destinations is None or cores.max() <= destinations))

    def refusal(self) -> MappingError:
        """Why not even one neuron fits."""
        alone = Tiling(1, 1, 1, self.shape)
        for box in self.different(alone):
            for excess in self.excesses(box):
                return refused(self.population.name, excess, self.demand.chip)
        used, cores = sent(alone, self.senders)
        out = Use(axons_out=int(used.max()), destinations=int(cores.max()))
        return refused(self.population.name, self.demand.limits.exceeded(out)[0], self.demand.chip)


def refused(population: str, excess: Excess, chip: Chip) -> MappingError:
    """The error for a population of which a single neuron is too much for a core."""
    return MappingError(
        f"population {population!r}",
        f"a single neuron needs {excess.used:,} {excess.what.replace('_', ' ')}; a core of {chip.name} has "
        f"{excess.allowed:,}. {remedy(excess.what).capitalize()}",
    )


def _firsts(ranges: list[tuple[int, int]], key: Key) -> list[tuple[int, int]]:
    """The first range of each kind."""
    found: dict[Hashable, tuple[int, int]] = {}
    for part in ranges:
        found.setdefault(key(part), part)
    return list(found.values())


def _reached(axis: Axis, ranges: list[tuple[int, int]]) -> npt.NDArray[np.bool_]:
    """Which source coordinates reach which ranges."""
    starts = [first for first, _ in ranges]
    found: npt.NDArray[np.bool_] = np.add.reduceat(axis.reaches, starts, axis=1) > 0
    return found
