"""The sums of maps as neurons of the chip: H x W accumulators a layer.

A traced layer of shape (C, H, W) gets a population of H x W accumulators and a projection that adds the channels of a
pixel, a 1 x 1 convolution of ones; a layer (N,) has one pixel. An accumulator forgets in every step what it had, so its
membrane is the map M[t]. Reading a map out is not part of this, as reading the output is not.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from neurosam.network.elements import MAX_NAME, Population, Projection
from neurosam.network.fixed_neuron import FixedReadout
from neurosam.network.network import Network
from neurosam.network.synapse import Conv2d, Dense
from neurosam_hw.cost.sam.state import fixed_traces

__all__ = ["map_names", "with_maps"]

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
