"""Mutants: a network in which one number is changed by one unit in its last place.

A number is a weight, or what one channel (one neuron, where neurons differ) has of a parameter: a parameter that a
whole population shares is a number for each of its channels, because the mistake to be found may be in one of them.
Tables of gain and offset have a number for each row and channel, a trace one for each entry. Not changed is what is no
number of the arithmetic: shapes, delays, exponents, bits.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from neurosam.errors import NetworkError, NeurosamError
from neurosam.network.fixed_neuron import FixedLIF, FixedReadout
from neurosam.network.network import Network
from neurosam.network.precision import Precision
from neurosam.network.synapse import Conv2d, Sparse, as_chw, neurons
from neurosam.network.trace import FixedSamTrace

__all__ = ["TRACE", "Mutant", "Site", "channel_of", "draw", "mutated", "mutated_trace", "sites"]

TABLES = ("gain", "offset_64ths")
TRACE = ("trace table", "trace impulse")
INITIAL = ("initial_membrane_64ths", "initial_current_64ths")


@dataclass(frozen=True)
class Site:
    """Numbers of one kind in one layer.

    Parameters
    ----------
    kind : str
        "weight", "trace table", "trace impulse", or a neuron's parameter.
    layer : str
        The population that they act on: the target of a projection.
    shape : tuple of int
        Their indices are those of an array of this shape.
    projection : int, optional
        For weights: number of the projection in the network.
    """

    kind: str
    layer: str
    shape: tuple[int, ...]
    projection: int | None = None

    @property
    def size(self) -> int:
        """How many numbers."""
        return neurons(self.shape)


@dataclass(frozen=True)
class Mutant:
    """One number, changed.

    Parameters
    ----------
    site : Site
    index : tuple of int
        Which number of the site.
    change : int
        1 or -1.
    value : int
        The number as it was.
    label : str
        Where it is, for people: ``conv1: threshold[3]``, ``in->conv1: weight[3, 0, 1, 1]``.
    """

    site: Site
    index: tuple[int, ...]
    change: int
    value: int
    label: str

    def __str__(self) -> str:
        return f"{self.label}: {self.value} -> {self.value + self.change}"


def sites(network: Network, steps: int | None = None) -> list[Site]:
    """All numbers that can be changed, by kind and layer, in the network's order.

    Parameters
    ----------
    network : Network
        In fixed point.
    steps : int, optional
        Rows of gain tables beyond these steps are left out.

    Raises
    ------
    NeurosamError
        For a float network.
    """
    if not network.fixed:
        raise NeurosamError(
            "mutants", "are changes of an integer by one; a float network has none. Quantise it: neurosam quantise"
        )
    found: list[Site] = []
    for number, projection in enumerate(network.projections):
        if projection.synapse.weight.size:
            found.append(Site("weight", projection.target, projection.synapse.weight.shape, number))
    for population in network.populations:
        if not isinstance(population.neuron, (FixedLIF, FixedReadout)):
            continue
        channels, *_ = as_chw(population.shape)
        for item in fields(population.neuron):
            value = getattr(population.neuron, item.name)
            if isinstance(value, np.ndarray) and not (item.name in INITIAL and not value.any()):
                rows = () if value.ndim != 2 else (len(value) if steps is None else min(len(value), steps),)
                shape = value.shape if value.ndim == 3 else (*rows, channels)
                found.append(Site(item.name, population.name, shape))
        if getattr(population.neuron, "refractory", 0):
            found.append(Site("refractory", population.name, ()))
    for name, trace in network.sam.items():
        if isinstance(trace, FixedSamTrace):
            found += [Site(TRACE[0], name, trace.table.shape), Site(TRACE[1], name, ())]
    return found


def draw(network: Network, count: int, seed: int = 0, steps: int | None = None) -> list[Mutant]:
    """Draw mutants, as evenly over kinds and layers as their numbers allow, none twice.

    Parameters
    ----------
    network : Network
    count : int
        All numbers are changed if there are no more.
    seed : int
        Numbers and directions are drawn with it.
    steps : int, optional
        Length of the run.
    """
    rng = np.random.default_rng(seed)
    groups = sites(network, steps)
    mutants: list[Mutant] = []
    for site, share in zip(groups, _shares([site.size for site in groups], count), strict=True):
        chosen = np.sort(rng.choice(site.size, size=share, replace=False))
        for flat, up in zip(chosen, rng.integers(2, size=share), strict=True):
            index = tuple(int(i) for i in np.unravel_index(flat, site.shape)) if site.shape else ()
            first = 1 if up else -1
            mutant = next((m for change in (first, -first) if (m := _mutant(network, site, index, change))), None)
            mutants += [] if mutant is None else [mutant]
    return mutants


def _shares(sizes: list[int], count: int) -> list[int]:
    """How many of each group: all the same, but for groups that have no more."""
    shares = [0] * len(sizes)
    while count > 0 and (open_ := [i for i, size in enumerate(sizes) if shares[i] < size]):
        each = max(1, count // len(open_))
        for i in open_:
            more = min(each, sizes[i] - shares[i], count)
            shares[i] += more
            count -= more
    return shares


def _mutant(network: Network, site: Site, index: tuple[int, ...], change: int) -> Mutant | None:
    """The mutant, or None if the changed number is out of range."""
    place = f"[{', '.join(map(str, index))}]" if index else ""
    if site.projection is not None:
        projection = network.projections[site.projection]
        value = int(projection.synapse.weight[index])
        low, high = _weight_range(network)
        if not low <= value + change <= high:
            return None
        return Mutant(site, index, change, value, f"{projection.label}: weight{place}")
    if site.kind in TRACE:
        trace: Any = network.sam[site.layer]
        value = int(trace.table[index]) if site.kind == TRACE[0] else trace.impulse
    else:
        neuron = network[site.layer].neuron
        value = int(_full(neuron, site)[index]) if index else int(getattr(neuron, site.kind))
    mutant = Mutant(site, index, change, value, f"{site.layer}: {site.kind}{place}")
    try:
        mutated_trace(network, mutant) if site.kind in TRACE else mutated_neuron(network, mutant)
    except NetworkError:
        return None
    return mutant


def _weight_range(network: Network) -> tuple[int, int]:
    """Smallest and largest weight of a projection, which is a part of at most 8 bits (expand.py)."""
    precision = Precision.lava() if network.precision is None else network.precision
    return max(precision.weight_low, -128), min(precision.weight_high, 127)


def _full(neuron: Any, site: Site) -> npt.NDArray[np.int64]:
    """A parameter with a number for each index of the site, read-only."""
    value = np.asarray(getattr(neuron, site.kind))
    if value.ndim == 2:
        return np.broadcast_to(value[: site.shape[0]], site.shape)
    return np.broadcast_to(value, site.shape)


def mutated(network: Network, mutant: Mutant) -> Network:
    """The network with the changed number."""
    site = mutant.site
    if site.projection is not None:
        projections = list(network.projections)
        projection = projections[site.projection]
        weight = np.array(projection.synapse.weight)
        weight[mutant.index] += mutant.change
        projections[site.projection] = replace(projection, synapse=replace(projection.synapse, weight=weight))
        return replace(network, projections=projections)
    if site.kind in TRACE:
        return replace(network, sam={**network.sam, site.layer: mutated_trace(network, mutant)})
    populations = [
        replace(p, neuron=mutated_neuron(network, mutant)) if p.name == site.layer else p for p in network.populations
    ]
    return replace(network, populations=populations)


def mutated_neuron(network: Network, mutant: Mutant) -> FixedLIF | FixedReadout:
    """The neurons of the mutant's layer, with the changed number.

    Raises
    ------
    NetworkError
        If it is out of range.
    """
    neuron: Any = network[mutant.site.layer].neuron
    if mutant.site.kind == "refractory":
        return replace(neuron, refractory=neuron.refractory + mutant.change)  # type: ignore[no-any-return]
    value = np.asarray(getattr(neuron, mutant.site.kind))
    shape = (len(value), mutant.site.shape[1]) if value.ndim == 2 else mutant.site.shape
    value = np.array(np.broadcast_to(value, shape))
    value[mutant.index] += mutant.change
    return replace(neuron, **{mutant.site.kind: value})  # type: ignore[no-any-return]


def mutated_trace(network: Network, mutant: Mutant) -> FixedSamTrace:
    """The trace of the mutant's layer, with the changed number.

    Raises
    ------
    NetworkError
        If it is out of range.
    """
    trace: Any = network.sam[mutant.site.layer]
    if mutant.site.kind == TRACE[1]:
        return replace(trace, impulse=trace.impulse + mutant.change)  # type: ignore[no-any-return]
    table = np.array(trace.table)
    table[mutant.index] += mutant.change
    return replace(trace, table=table)  # type: ignore[no-any-return]


def channel_of(network: Network, mutant: Mutant) -> int | None:
    """The only channel of the layer that computes something else; None if all of them may."""
    site = mutant.site
    if site.projection is None:
        if site.kind in TABLES:
            return mutant.index[1]
        return None if site.kind in ("refractory", *TRACE) else mutant.index[0]
    synapse = network.projections[site.projection].synapse
    if isinstance(synapse, Conv2d):
        return mutant.index[0]
    row = mutant.index[0]
    if isinstance(synapse, Sparse):
        row = int(np.searchsorted(synapse.indptr, row, side="right")) - 1
    _, height, width = as_chw(network.drive_shape(site.layer))
    return row // (height * width)
