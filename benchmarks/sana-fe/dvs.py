"""SANA-FE's packaged DVS-gesture network, which ran on Loihi, as a network of ours: read from the installed package.

Neurons have a hard reset and no leak; a still frame is a bias in each neuron of the first layer. Weights are integers
from -289 on, more than 8 bits, so each of its synapses is two here, ``4 hi + lo``. Layer i is i steps behind: of S
steps on the chip, it makes S - i. The input that a network has to have is one neuron that never fires.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

import neurosam as ns
from neurosam_hw.chips.chip import Chip
from neurosam_hw.mapping import CoreMapping, Piece

__all__ = ["CORES", "EXPECTED", "GROUPS", "network", "placed"]

EXPECTED = 365_277
"""Spikes in 1,000 steps, by SANA-FE's tutorial.py."""

SHAPES = ((1, 32, 32), (16, 15, 15), (32, 13, 13), (64, 11, 11), (11, 9, 9), (11,))
CORES = (1, 4, 16, 16, 4, 1)
GROUPS = ("input_0", "conv2d_0", "conv2d_1", "conv2d_2", "conv2d_3", "dense_0")
"""Names of SANA-FE's groups, by layer."""


def network(path: Path) -> ns.Network:
    """Read ``dvs_challenge.npz``: kernels are (y, x, in, out), matrices (in, out), neurons (c, y, x)."""
    with np.load(path) as given:
        thresholds, frame = given["thresholds"], given["inputs"].astype(int).reshape(SHAPES[0])
        weights = [given[f"conv{k}"].astype(int).transpose(3, 2, 0, 1) for k in (1, 2, 3, 4)]
        weights.append(given["dense1"].astype(int).T)
    populations = [ns.Population("none", (1,))]
    for i, (shape, threshold) in enumerate(zip(SHAPES, thresholds, strict=True)):
        lif = ns.FixedLIF(0, int(threshold), reset="zero", bias_mantissa=0 if i else frame)
        populations.append(ns.Population(f"layer{i}", shape, lif, onset=None if i else 0))
    first = ns.Sparse(np.minimum(np.arange(1025), 1), np.zeros(1, np.int64), np.zeros(1, np.int8), 1, SHAPES[0])
    projections = [ns.Projection("none", "layer0", first)]
    for i, weight in enumerate(weights):
        high = np.floor_divide(weight, 4)
        for part, exponent in ((high, 2), (weight - 4 * high, 0)):
            synapse = _synapse(part.astype(np.int8), stride=1 if i else 2)
            projections.append(ns.Projection(f"layer{i}", f"layer{i + 1}", synapse, delay=0, exponent=exponent))
    return ns.Network(populations, projections)


def _synapse(weight: Any, stride: int) -> ns.Conv2d | ns.Dense:
    return ns.Conv2d(weight, stride=stride) if weight.ndim == 4 else ns.Dense(weight)


def placed(net: ns.Network, chip: Chip, with_input: bool = False) -> CoreMapping:
    """Where its authors place it: layers in order, each in equal parts, of which the last takes what remains.

    The input is outside the chip, or on the last core.
    """
    core = 0
    pieces = [Piece("none", sum(CORES) - 1, neurons=np.zeros(1, np.int64))] * with_input
    for i, (shape, count) in enumerate(zip(SHAPES, CORES, strict=True)):
        every = np.arange(int(np.prod(shape)))
        part = every.size // count
        for k in range(count):
            chosen = every[k * part :] if k == count - 1 else every[k * part : (k + 1) * part]
            pieces.append(Piece(f"layer{i}", core, neurons=chosen))
            core += 1
    return CoreMapping(net, chip, tuple(pieces))
