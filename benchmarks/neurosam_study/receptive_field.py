"""The receptive field of a layer: how many pixels a side can reach one of its neurons.

    field_0 = 1,  jump_0 = 1;      of a layer of kernel k and stride s:   field += (k - 1) jump,   jump *= s

Global pooling sees everything. A map is assigned to places by its layer's neurons, but a neuron whose field is as large
as the picture answers to all of it: where its map points says little about what is there.

Source: A. Araujo, W. Norris & J. Sim 2019, "Computing receptive fields of convolutional neural networks", Distill.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import nn

from neurosam.errors import DataError
from neurosam.training import SpikingSequential
from neurosam.training.sequential import named_layers

__all__ = ["of_layers", "receptive_field"]


def receptive_field(module: SpikingSequential, layer: str) -> float:
    """Side in pixels of the receptive field of a layer's neurons, the larger of both; infinite after global pooling."""
    layers = named_layers(module)
    if layer not in dict(layers):
        raise DataError("receptive field", f"the network has no layer {layer!r}")
    side, jump = [1, 1], [1, 1]
    for name, part in layers:
        if isinstance(part, (nn.AdaptiveAvgPool2d, nn.Flatten, nn.Linear)):
            return math.inf
        if isinstance(part, (nn.Conv2d, nn.AvgPool2d, nn.MaxPool2d)):
            dilation = _two(part.dilation) if isinstance(part, nn.Conv2d) else (1, 1)
            kernel, stride = _two(part.kernel_size), _two(part.stride)
            for axis in (0, 1):
                side[axis] += (kernel[axis] - 1) * dilation[axis] * jump[axis]
                jump[axis] *= stride[axis]
        if name == layer:
            break
    return max(side)


def of_layers(module: SpikingSequential, layers: Sequence[str]) -> dict[str, float]:
    """Receptive fields of several layers."""
    return {layer: receptive_field(module, layer) for layer in layers}


def _two(value: int | tuple[int, ...] | str) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (int(value[0]), int(value[1]))
