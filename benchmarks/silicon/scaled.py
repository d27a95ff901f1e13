"""Blouw et al.'s scaled networks (models.py, ScaledModel) as networks of neurosam, and where they stood on the chip.

A first layer of 256 neurons, N copies of a chain of ten layers of 256, and a last layer that all copies reach (the
first layer itself, for N = 0); each layer is connected to the next completely, by random weights within +-0.05. That
makes 2560 N + 512 neurons. The 29 outputs are left out, as the authors do when they count neurons: how they were read
is not published, and they are the same for all N.

The script that ran them on Loihi is not published, so neither are the firing rates. Here each neuron has a bias that
makes it fire at about the rate that is asked for, whatever the weights: thresholds are 1, nothing leaks, and membranes
start at random. What was reached is counted, not assumed.

Cores: 8 for the first layer and 8 for the last, as the logs say (n_sub_ens_inp, n_sub_ens_out), and one for each other
layer: 10 N + 16, of 128. The last layer of N = 10 does not fit on 4 (resources/ counts its synapses).
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from neurosam.network.elements import Population, Projection
from neurosam.network.fixed_neuron import FixedLIF
from neurosam.network.network import Network
from neurosam.network.precision import Precision
from neurosam.network.synapse import Dense
from neurosam.signals.events import Events
from neurosam_hw.chips.chip import Chip
from neurosam_hw.mapping.mapping import CoreMapping
from neurosam_hw.mapping.piece import Piece

__all__ = ["INPUTS", "LAYERS", "SIZE", "events", "mapping", "nengo_rate", "network"]

INPUTS, SIZE, LAYERS = 390, 256, 10
SPLIT = 8
LARGEST = 0.05

WEIGHT_HIGH = 127
THRESHOLD = round(WEIGHT_HIGH / LARGEST)
"""1.0 where the largest weight, 0.05, has the mantissa 127."""


def network(copies: int, rate: float, seed: int = 0) -> Network:
    """The network with N copies, whose neurons fire about `rate` times a step."""
    rng = np.random.default_rng(seed)
    chains = [[f"copy{n}-{layer}" for layer in range(LAYERS)] for n in range(copies)]
    names = ["first", *(name for chain in chains for name in chain), "last"]
    pairs = [("in", "first")]
    for chain in chains or [[]]:
        way = ["first", *chain, "last"]
        pairs += pairwise(way)
    populations = [Population("in", (INPUTS,)), *(Population(name, (SIZE,), neuron(rate, rng)) for name in names)]
    projections = [Projection(source, target, dense(source, rng)) for source, target in pairs]
    return Network(populations, projections, precision=Precision.nxsdk())


def neuron(rate: float, rng: np.random.Generator) -> FixedLIF:
    """Integrate and fire, reset to zero, driven by a bias."""
    if not rate:
        return FixedLIF(0, THRESHOLD, reset="zero")
    start = rng.integers(0, THRESHOLD * 64, SIZE)
    bias = round(THRESHOLD / (1 / rate - 0.5))  # above the threshold after 1 / rate steps, if nothing else arrives
    return FixedLIF(0, THRESHOLD, reset="zero", bias_mantissa=bias, initial_membrane_64ths=start)


def dense(source: str, rng: np.random.Generator) -> Dense:
    """Weights uniform over +-LARGEST."""
    sources = INPUTS if source == "in" else SIZE
    return Dense(rng.integers(-WEIGHT_HIGH, WEIGHT_HIGH, (SIZE, sources), dtype=np.int8, endpoint=True))


def events(steps: int, rate: float, seed: int = 1) -> Events:
    """Random input events, as many as from a layer; they are the same for all N, so the slope does not see them."""
    return Events.from_dense(np.random.default_rng(seed).random((steps, 1, INPUTS)) < rate)


def nengo_rate(max_rate_hz: tuple[float, float], neurons: int = 100_000) -> float:
    """Mean rate in Hz at which ensembles with Nengo's default gains and biases fire while nothing arrives.

    Leaky neurons with time constants of 20 ms and, refractory, 1 ms, as in the authors' training; their highest rates
    are uniform in a range, and so are the intercepts, -1 to 0.9. For scale only: which gains they had is not published.
    """
    rng = np.random.default_rng(0)
    tau_s, refractory_s = 0.02, 0.001
    highest = rng.uniform(*max_rate_hz, neurons)
    intercept = rng.uniform(-1, 0.9, neurons)
    drive = 1 / (1 - np.exp((refractory_s - 1 / highest) / tau_s))
    bias = 1 - (drive - 1) / (1 - intercept) * intercept
    firing = bias[bias > 1]
    return float((1 / (refractory_s + tau_s * np.log1p(1 / (firing - 1)))).sum() / neurons)


def mapping(net: Network, chip: Chip) -> CoreMapping:
    """The authors' cores, one behind the other."""
    pieces: list[Piece] = []
    for population in net.populations[1:]:
        parts = SPLIT if population.name in ("first", "last") else 1
        side = SIZE // parts
        core = 1 + max((piece.core for piece in pieces), default=-1)
        for part in range(parts):
            box = ((part * side, (part + 1) * side), (0, 1), (0, 1))
            pieces.append(Piece(population.name, core + part, box))
    return CoreMapping(net, chip, tuple(pieces))
