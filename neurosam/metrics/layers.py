"""A network as NeuroBench sees it: layers of weights and layers of neurons.

NeuroBench (Yik et al., Nat. Commun. 16, 1545, 2025; here and in the modules beside this one its release 2.3.0) looks at
the modules of a model: Linear and Conv have weights, spiking layers have neurons, poolings have neither. Two things are
more than that in a network for a chip, and count here as what they were in the model:

- Max pooling of spikes is a population of OR neurons (:func:`neurosam.max_pool`): no weights, no neurons.
- Weights beyond 8 bits are two projections whose sums add up (network/expand.py): one layer.
- A projection without any synapse lets a population be reached (network/silent_path.py): no layer.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from neurosam.arithmetic import DECAY_ONE
from neurosam.network.elements import Population, Projection
from neurosam.network.fixed_neuron import FixedLIF
from neurosam.network.network import Network
from neurosam.network.neuron import LIF
from neurosam.network.silent_path import is_silent
from neurosam.network.synapse import Conv2d, Sparse

__all__ = ["Layer", "layers", "neuron_layers", "spiking_layers"]

POOLS_MAY_DIFFER = ("leak", "membrane_decay", "threshold", "reset", "reset_amount", "reset_amount_64ths")


@dataclass(frozen=True, eq=False)
class Layer:
    """One layer of weights.

    Parameters
    ----------
    projection : Projection
        Of ones and zeros if it has several parts: which weights are not zero.
    size : int
        Weights of its full matrix or kernels.
    stored : int
        Weights that are kept, without those that a Sparse matrix leaves out.
    """

    projection: Projection
    size: int
    stored: int

    @property
    def nonzero(self) -> int:
        """Weights that are not zero."""
        return int(np.count_nonzero(self.projection.synapse.weight))


def layers(network: Network) -> list[Layer]:
    """The layers of weights, in the order of the network's projections."""
    parts: dict[Hashable, list[Projection]] = {}
    pools = _max_pools(network)
    for projection in network.projections:
        if projection.target not in pools and not is_silent(projection):
            parts.setdefault(_form(projection), []).append(projection)
    found: list[Layer] = []
    for same in parts.values():
        distinct = len({p.exponent for p in same}) == len(same)
        found += [_layer(same)] if distinct else [_layer([p]) for p in same]
    return found


def neuron_layers(network: Network) -> list[Population]:
    """The populations with neurons, readouts included, without those that are max poolings."""
    pools = _max_pools(network)
    return [p for p in network.populations if p.neuron is not None and p.name not in pools]


def spiking_layers(network: Network) -> list[Population]:
    """Those that spike."""
    return [p for p in neuron_layers(network) if p.fires]


def _form(projection: Projection) -> Hashable:
    """What the parts of one projection have in common."""
    synapse, pool = projection.synapse, projection.pool
    if isinstance(synapse, Sparse):
        shape: Hashable = (synapse.sources, synapse.shape)
    else:
        shape = (synapse.weight.shape, synapse.geometry, synapse.groups) if isinstance(synapse, Conv2d) else None
    return (
        projection.source, projection.target, projection.delay, None if pool is None else pool.geometry,
        type(synapse).__name__, shape,
    )  # fmt: skip


def _layer(parts: list[Projection]) -> Layer:
    """The parts of one projection as one layer."""
    first = parts[0]
    synapse = first.synapse
    if isinstance(synapse, Sparse):
        sparse = [p.synapse for p in parts if isinstance(p.synapse, Sparse)]
        union = synapse if len(sparse) == 1 else _union(sparse)
        rows = synapse.indptr.size - 1
        return Layer(replace(first, synapse=union), rows * synapse.sources, union.weight.size)
    if len(parts) > 1:
        present = np.any([p.synapse.weight != 0 for p in parts], axis=0).astype(np.int8)
        first = replace(first, synapse=replace(synapse, weight=present))
    return Layer(first, synapse.weight.size, synapse.weight.size)


def _union(parts: list[Sparse]) -> Sparse:
    """A weight of 1 wherever one of the matrices has an entry."""
    first = parts[0]
    entries = [np.repeat(np.arange(p.indptr.size - 1), np.diff(p.indptr)) * p.sources + p.indices for p in parts]
    rows, columns = np.divmod(np.unique(np.concatenate(entries)), first.sources)
    indptr = np.searchsorted(rows, np.arange(first.indptr.size))
    return replace(first, indptr=indptr, indices=columns, weight=np.ones(columns.size, np.int8))


def _max_pools(network: Network) -> set[str]:
    """Names of the populations that do nothing but fire when a source in their window does."""
    found = set()
    for population in network.populations:
        arriving = network.incoming(population.name)
        if len(arriving) == 1 and _is_max_pool(network, population, arriving[0]):
            found.add(population.name)
    return found


def _is_max_pool(network: Network, population: Population, arriving: Projection) -> bool:
    """Decided by what the neurons do, not by a name: one weight per channel, above a threshold, and no memory."""
    neuron: Any = population.neuron
    synapse = arriving.synapse
    if not isinstance(neuron, (LIF, FixedLIF)) or population.pool is not None or arriving.pool is not None:
        return False
    if network[arriving.source].neuron is None or not isinstance(synapse, Conv2d):
        return False
    if synapse.weight.shape[:2] != (synapse.groups, 1) or synapse.dilation != (1, 1):
        return False
    for item in fields(neuron):
        default: Any = item.default
        if item.name not in POOLS_MAY_DIFFER and not np.array_equal(getattr(neuron, item.name), default):
            return False
    if isinstance(neuron, LIF):
        forgets = not np.any(neuron.leak)
    else:
        offset = 0 if network.precision is None else network.precision.membrane_decay_offset
        forgets = bool((np.asarray(neuron.membrane_decay) + offset >= DECAY_ONE).all())
    weight: npt.NDArray[Any] = synapse.weight.reshape(synapse.groups, -1)
    one_spike = weight[:, :1, None] * 2.0**arriving.exponent
    threshold = np.asarray(neuron.threshold)
    by_neuron = threshold.reshape(-1, 1, 1) if threshold.ndim == 1 else threshold
    return forgets and bool((one_spike > by_neuron).all() and (weight == weight[:, :1]).all())
