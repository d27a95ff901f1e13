"""Nets: each source neuron with all the neurons that its spikes reach, as partitions are computed on them.

Neurons of the populations to be divided are numbered through, one population after the other. A source neuron that
reaches none of them has no net. Synapses of several projections between two neurons are counted together: one packet
serves them all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from neurosam.graph.matrices import as_sparse, pool_as_conv, product
from neurosam.network.elements import Projection
from neurosam.network.network import Network
from neurosam.network.synapse import Conv2d, Dense, Shape, Sparse, neurons
from neurosam_hw.errors import MappingError

__all__ = ["Nets"]

Counts = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Nets:
    """Sources and their targets, compressed by rows.

    Parameters
    ----------
    neurons : int
        Number of neurons to divide.
    starts : (m + 1,) int64 array
        Net e has the targets ``targets[starts[e] : starts[e + 1]]``.
    targets : (entries,) int64 array
        Neurons, rising within a net.
    synapses : (entries,) int64 array
        Synapses on each target, at least 1; one if empty.
    source : (m,) int64 array
        The neuron whose spikes the net carries; -1 if it is not among those to divide, as for all if
        empty. No neuron has two nets.
    rates : (m,) int64 array
        Spikes of the source, >= 0, in any unit: packets are counted in it; 1 if empty.

    Raises
    ------
    MappingError
        If the arrays do not fit each other.

    Examples
    --------
    Neurons 0 and 1 send to each other, and both to neuron 2:

    >>> from neurosam_hw.mappers import Nets
    >>> nets = Nets(3, starts=np.array([0, 2, 4]), targets=np.array([1, 2, 0, 2]), source=np.array([0, 1]))
    >>> nets.packets(np.array([0, 0, 1]))
    4
    """

    neurons: int
    starts: Counts
    targets: Counts
    synapses: Counts = field(default_factory=lambda: np.zeros(0, np.int64))
    source: Counts = field(default_factory=lambda: np.zeros(0, np.int64))
    rates: Counts = field(default_factory=lambda: np.zeros(0, np.int64))

    def __post_init__(self) -> None:
        starts, targets = np.asarray(self.starts, np.int64), np.asarray(self.targets, np.int64)
        count = starts.size - 1
        synapses, source, rates = (
            np.asarray(given, np.int64) if np.size(given) else np.full(size, value, np.int64)
            for given, size, value in (
                (self.synapses, targets.size, 1),
                (self.source, count, -1),
                (self.rates, count, 1),
            )
        )
        if not starts.size or starts[0] != 0 or starts[-1] != targets.size or (np.diff(starts) < 1).any():
            raise MappingError("nets: starts", f"must rise from 0 to the {targets.size} targets; no net is empty")
        first = np.zeros(targets.size + 1, dtype=bool)
        first[starts] = True
        if targets.size and (targets.min() < 0 or targets.max() >= self.neurons):
            raise MappingError("nets: targets", f"must be in 0..{self.neurons - 1}")
        if not (first[1:-1] | (targets[1:] > targets[:-1])).all():
            raise MappingError("nets: targets", "must rise within a net")
        known = source[source >= 0]
        if source.shape != (count,) or (known >= self.neurons).any() or np.unique(known).size != known.size:
            raise MappingError("nets: source", "must give each net a neuron of its own, or -1")
        if rates.shape != (count,) or (rates < 0).any() or synapses.shape != targets.shape or (synapses < 1).any():
            raise MappingError("nets: rates, synapses", "must be given for each net and target, from 0 and 1")
        for name, array in zip(
            ("starts", "targets", "synapses", "source", "rates"),
            (starts, targets, synapses, source, rates),
            strict=True,
        ):
            object.__setattr__(self, name, array)

    @classmethod
    def into(cls, network: Network, populations: Sequence[str], rates: Mapping[str, Counts]) -> Nets:
        """The nets of all projections into the populations.

        Parameters
        ----------
        network : Network
        populations : sequence of str
            Those to be divided, in the order in which their neurons are numbered.
        rates : mapping of str to (neurons,) int64 array
            Spikes of each neuron, by population (rates.py); 1 for those of populations that are not named.

        Raises
        ------
        NetworkError
            If a projection has too many synapses to write them out one by one.
        """
        sizes = [neurons(network[name].shape) for name in populations]
        first = dict(zip(populations, np.cumsum([0, *sizes[:-1]]).tolist(), strict=True))
        sources, targets, synapses = [], [], []
        before, rate, source = 0, [], []
        for population in network.populations:
            count = neurons(population.shape)
            for projection in network.projections:
                if projection.source == population.name and projection.target in first:
                    matrix = _counts(projection, population.shape)
                    rows = np.repeat(np.arange(matrix.indptr.size - 1), np.diff(matrix.indptr))
                    sources.append(before + matrix.indices)
                    targets.append(first[projection.target] + rows)
                    synapses.append(matrix.weight.astype(np.int64))
            numbers = np.arange(count)
            source.append(first[population.name] + numbers if population.name in first else np.full(count, -1))
            rate.append(rates.get(population.name, np.ones(count, np.int64)))
            before += count
        return cls._merged(sum(sizes), *map(_joined, (sources, targets, synapses, source, rate)))

    @classmethod
    def _merged(
        cls, size: int, sources: Counts, targets: Counts, synapses: Counts, source: Counts, rates: Counts
    ) -> Nets:
        """Sort entries by source and target, and add up what comes twice."""
        key = sources * size + targets
        order = np.argsort(key, kind="stable")
        key = key[order]
        at = np.flatnonzero(np.diff(key, prepend=-1))
        summed = np.add.reduceat(synapses[order], at) if at.size else synapses
        owner, target = np.divmod(key[at], size)
        used, starts = np.unique(owner, return_index=True)
        return cls(size, np.append(starts, owner.size), target, summed, source[used], rates[used])

    @property
    def owners(self) -> Counts:
        """The net of each entry of `targets`."""
        return np.repeat(np.arange(self.starts.size - 1), np.diff(self.starts))

    @property
    def sums(self) -> Counts:
        """Synapses of each net, ``[m]``."""
        return np.add.reduceat(self.synapses, self.starts[:-1]) if self.targets.size else self.synapses

    @property
    def longest(self) -> int:
        """The most synapses of one net."""
        return int(self.sums.max(initial=0))

    def packets(self, core: npt.NDArray[np.integer]) -> int:
        """Sum over nets of rate * cores that hold a target, counted from the definition."""
        cores = int(core.max(initial=0)) + 1
        pairs = np.unique(self.owners * cores + core[self.targets])
        return int(self.rates[pairs // cores].sum())

    def within(self, some: npt.NDArray[np.bool_]) -> Nets:
        """The nets of some of the neurons alone, numbered anew; the others' spikes come from outside."""
        number = np.cumsum(some) - 1
        kept = some[self.targets]
        owner = self.owners[kept]
        used, starts = np.unique(owner, return_index=True)
        source = self.source[used]
        return Nets(
            int(some.sum()), np.append(starts, owner.size), number[self.targets[kept]], self.synapses[kept],
            np.where((source >= 0) & some[source], number[source], -1), self.rates[used],
        )  # fmt: skip


def _counts(projection: Projection, source: Shape) -> Sparse:
    """Synapses from each source neuron (column) to each target (row), weights of 0 included."""
    synapse, shape, label = projection.synapse, source, f"projection {projection.label}"
    if isinstance(synapse, Dense):
        synapse = Dense(np.ones(synapse.weight.shape))
    elif isinstance(synapse, Conv2d):
        synapse = Conv2d(np.ones(synapse.weight.shape), *synapse.geometry, groups=synapse.groups)
    else:
        ones = np.ones(synapse.weight.size)
        synapse = Sparse(synapse.indptr, synapse.indices, ones, synapse.sources, synapse.shape)
    if projection.pool is None:
        return as_sparse(synapse, shape, label)
    pooled = projection.pool.output_shape(shape)
    windows = as_sparse(pool_as_conv(projection.pool, pooled[0]), shape, label)
    return product(as_sparse(synapse, pooled, label), windows, label)


def _joined(parts: Sequence[Counts]) -> Counts:
    return np.concatenate(parts).astype(np.int64) if parts else np.zeros(0, np.int64)
