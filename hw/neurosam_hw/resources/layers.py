"""Memory of chips that hold a layer a core, as Speck does: a kernel, its biases, and one state for each neuron.

    kernel    c * 2^(ceil(log2 k) + ceil(log2 f))     c channels in, f out, k taps
    neurons   f * 2^(ceil(log2 h) + ceil(log2 w))     h rows and w columns of the map

A dense layer is a kernel as large as the map in front of it.

Source: sinabs, chips/dynapcnn.py and dynapcnn_layer.py, as the chip's file quotes them.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from neurosam.network.elements import Projection
from neurosam.network.network import Network
from neurosam.network.neuron import LIF, Readout
from neurosam.network.synapse import Conv2d, Shape, as_chw
from neurosam_hw.chips.chip import Chip
from neurosam_hw.mapping.piece import Piece

__all__ = ["LayerMemory", "layer_memory", "takes_layers"]


class LayerMemory(NamedTuple):
    """Numbers that a layer holds."""

    kernel: int
    neurons: int
    biases: int


def takes_layers(chip: Chip) -> bool:
    """Whether a core of the chip holds one layer."""
    return chip.figure("limits.kernel_memory").known


def layer_memory(network: Network, piece: Piece) -> LayerMemory:
    """What a population needs on a core that holds one layer: all of it, whatever the piece."""
    population = network[piece.population]
    channels, height, width = as_chw(population.shape)
    kernel = sum(_kernel(p, network[p.source].shape) for p in network.incoming(population.name))
    neuron = population.neuron
    if neuron is None:
        return LayerMemory(kernel, 0, 0)
    bias = neuron.bias if isinstance(neuron, (LIF, Readout)) else neuron.bias_mantissa
    return LayerMemory(kernel, channels * _power(height) * _power(width), channels if np.any(bias) else 0)


def _kernel(projection: Projection, source: Shape) -> int:
    synapse = projection.synapse
    pooled = as_chw(source if projection.pool is None else projection.pool.output_shape(source))
    if isinstance(synapse, Conv2d):
        out, _, kh, kw = synapse.weight.shape
        return pooled[0] * _power(kh * kw) * _power(out)
    out = int(np.prod(synapse.output_shape(pooled)))
    return pooled[0] * _power(pooled[1] * pooled[2]) * _power(out)


def _power(number: int) -> int:
    """The power of two that is not below a number."""
    return int(1 << (number - 1).bit_length())
