"""Many mutants of one layer in one run: a mutated channel is a channel of its own.

A channel of a layer depends on what its projections deliver to it and on nothing else in the layer, so channels may be
left out, repeated and changed: a layer made of K mutated channels, fed with the recorded spikes of the layers before it
(replay.py), costs K channels instead of K networks, and gives each mutant's spikes and membranes bit for bit as long as
it fires like the original.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from neurosam.equivalence.mutation import Mutant, channel_of
from neurosam.equivalence.replay import forced
from neurosam.network.network import Network
from neurosam.network.synapse import Conv2d, Dense, Sparse, Synapse, as_chw

__all__ = ["laned"]

Indices = npt.NDArray[np.int64]


def laned(network: Network, name: str, mutants: Sequence[Mutant]) -> tuple[Network, Indices]:
    """The population alone, with a channel for each mutant, and the channel that each of them was.

    Parameters
    ----------
    network : Network
    name : str
        The layer.
    mutants : sequence of Mutant
        Of this layer, each of a single channel.
    """
    chosen = np.array([channel_of(network, m) for m in mutants], dtype=np.int64)
    alone = forced(network, name)
    population = alone[name]
    channels, height, width = as_chw(population.shape)
    neuron: Any = population.neuron
    values = {
        item.name: _rows(getattr(neuron, item.name), chosen, channels)
        for item in fields(neuron)
        if isinstance(getattr(neuron, item.name), np.ndarray)
    }
    for lane, mutant in enumerate(mutants):
        if mutant.site.projection is None:
            value = values[mutant.site.kind]
            value[(mutant.index[0], lane) if value.ndim == 2 else (lane, *mutant.index[1:])] += mutant.change
    _, *sides = as_chw(network.drive_shape(name))
    pixels = sides[0] * sides[1]
    numbers = [i for i, p in enumerate(network.projections) if p.target == name]
    projections = [
        replace(p, synapse=_taken(p.synapse, chosen, pixels, [m if m.site.projection == i else None for m in mutants]))
        for i, p in zip(numbers, alone.projections, strict=True)
    ]
    shape = (len(mutants), height, width) if len(population.shape) == 3 else (len(mutants),)
    lanes = replace(population, shape=shape, neuron=replace(neuron, **values))
    return Network(
        [*alone.inputs, lanes], projections, {}, network.precision, alone.answers, check_alignment=False
    ), chosen  # fmt: skip


def _rows(value: npt.NDArray[Any], chosen: Indices, channels: int) -> npt.NDArray[Any]:
    """What the chosen channels have of a parameter, each a copy of its own."""
    if value.ndim == 2:
        return np.broadcast_to(value, (len(value), channels))[:, chosen]
    return value[chosen] if value.ndim else np.full(chosen.size, value)


def _taken(synapse: Synapse, chosen: Indices, pixels: int, mutants: Sequence[Mutant | None]) -> Synapse:
    """The synapses of the chosen channels, of `pixels` targets each, with the weights that mutants change."""
    changed = [(lane, m.index, m.change) for lane, m in enumerate(mutants) if m is not None]
    if isinstance(synapse, Conv2d):
        out, per_group, *kernel = synapse.weight.shape
        first = chosen // (out // synapse.groups) * per_group  # channel of the source where its group begins
        weight = np.zeros((chosen.size, per_group * synapse.groups, *kernel), synapse.weight.dtype)
        for lane, (channel, start) in enumerate(zip(chosen, first, strict=True)):
            weight[lane, start : start + per_group] = synapse.weight[channel]
        for lane, (_, source, *tap), change in changed:
            weight[(lane, first[lane] + source, *tap)] += change
        return replace(synapse, weight=weight, groups=1)
    if isinstance(synapse, Dense):
        weight = synapse.weight.reshape(-1, pixels, synapse.weight.shape[1])[chosen].reshape(chosen.size * pixels, -1)
        for lane, (row, source), change in changed:
            weight[lane * pixels + row % pixels, source] += change
        return Dense(weight)
    starts, stops = synapse.indptr[chosen * pixels], synapse.indptr[(chosen + 1) * pixels]
    entries = np.concatenate([np.arange(a, b) for a, b in zip(starts, stops, strict=True)])
    counts = np.diff(synapse.indptr).reshape(-1, pixels)[chosen].ravel()
    weight = synapse.weight[entries]
    before = np.concatenate([[0], np.cumsum(stops - starts)])
    for lane, (entry,), change in changed:
        weight[before[lane] + entry - starts[lane]] += change
    return Sparse(np.concatenate([[0], np.cumsum(counts)]), synapse.indices[entries], weight, synapse.sources)
