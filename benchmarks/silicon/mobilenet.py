"""MobileNet on 128 x 128 pixels, which Rueckauer et al. put on 16 chips of Loihi 1.

NxTF (arXiv 2101.04261) reports 16 chips, 80 % full. The network is MobileNet v1 of full width (Howard et al. 2017,
table 1): a convolution, thirteen pairs of a depthwise and a pointwise one, an average of the whole map, a readout. The
average is a sum pool in front of the readout here. What is mapped is a shape, so weights are random.
"""

from __future__ import annotations

import numpy as np

from neurosam.network.elements import Population, Projection
from neurosam.network.fixed_neuron import FixedLIF, FixedReadout
from neurosam.network.network import Network
from neurosam.network.precision import Precision
from neurosam.network.synapse import Conv2d, Dense, SumPool2d

__all__ = ["PAIRS", "network"]

PAIRS = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1))
"""Channels and stride of each pair."""


def network(side: int = 128, classes: int = 1000) -> Network:
    """The network."""
    rng = np.random.default_rng(0)
    layers = [Population("in", (3, side, side))]
    ways: list[Projection] = []

    def convolution(name: str, channels: int, kernel: int, stride: int, groups: int = 1) -> None:
        source = layers[-1]
        into, height, width = source.shape
        shape = (channels, -(-height // stride), -(-width // stride))
        weight = rng.integers(-127, 128, (channels, into // groups, kernel, kernel), dtype=np.int8)
        synapse = Conv2d(weight, stride=stride, padding=kernel // 2, groups=groups)
        layers.append(Population(name, shape, FixedLIF(0, 4096, reset="zero")))
        ways.append(Projection(source.name, name, synapse))

    convolution("conv", 32, 3, 2)
    for number, (channels, stride) in enumerate(PAIRS, 1):
        into = layers[-1].shape[0]
        convolution(f"depthwise{number}", into, 3, stride, groups=into)
        convolution(f"pointwise{number}", channels, 1, 1)
    last = layers[-1]
    pool = SumPool2d(last.shape[1])
    layers.append(Population("out", (classes,), FixedReadout()))
    weight = rng.integers(-127, 128, (classes, last.shape[0]), dtype=np.int8)
    ways.append(Projection(last.name, "out", Dense(weight), pool=pool))
    return Network(layers, ways, precision=Precision.nxsdk())
