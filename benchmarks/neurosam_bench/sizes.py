"""Networks of any number of neurons, to measure cost against size: convolutions on large images, sparse recurrence.

    picture     2 input channels; two 3x3 convolutions to 16 channels; the image's side follows the number of neurons
    recurrent   each neuron receives from 10 random others; external spikes at 2 % of 1.2 thresholds, as in sparse10k

At every size, `picture` has the weights and thresholds of its smallest version, so that activity stays the same.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

import neurosam as ns
from neurosam_bench.cases import DECAY, Case, Layer, chain, uniform

__all__ = ["SIZED", "picture", "recurrent"]

CHANNELS = 16
SMALLEST = 16
FAN_IN = 10


def picture(neurons: int, steps: int = 10, density: float = 0.05, seed: int = 0) -> Case:
    """Build two convolutional layers with about that many neurons in total."""
    small = chain("picture", (2, SMALLEST, SMALLEST), (Layer(CHANNELS), Layer(CHANNELS)), 50, density, seed=seed)
    side = max(3, round((neurons / (2 * CHANNELS)) ** 0.5))
    populations = tuple(replace(p, shape=(p.shape[0], side, side)) for p in small.network.populations)
    events = uniform((2, side, side), steps, 1, density, np.random.default_rng(seed))
    return replace(small, network=ns.Network(populations, small.network.projections), events=events)


def recurrent(neurons: int, steps: int = 10, seed: int = 0) -> Case:
    """Build a population of 10 or more neurons, each with one source per tenth, so sources are sorted and distinct."""
    rng = np.random.default_rng(seed)
    tenth = neurons // FAN_IN
    source = rng.integers(tenth, size=(neurons, FAN_IN)) + tenth * np.arange(FAN_IN)
    weight = np.clip(np.rint(rng.normal(0.0, 40.0, source.size)), -128, 127).astype(np.int8)
    synapse = ns.Sparse(FAN_IN * np.arange(neurons + 1), source.reshape(-1), weight, neurons)
    network = ns.Network(
        (ns.Population("in", (neurons,)), ns.Population("a", (neurons,), ns.FixedLIF(DECAY, 1000))),
        (
            ns.Projection("in", "a", ns.Sparse.one_to_one((neurons,), 75), exponent=4),
            ns.Projection("a", "a", synapse),
        ),
    )
    return Case("recurrent", network, _drawn_by_step(neurons, steps, rng), 0.02, rivals=False)


def _drawn_by_step(neurons: int, steps: int, rng: np.random.Generator) -> ns.Events:
    """Draw spikes at 2 %, without an array of all neurons and steps."""
    fired = [np.flatnonzero(rng.random(neurons, np.float32) < 0.02) for _ in range(steps)]
    time = np.repeat(np.arange(steps), [f.size for f in fired])
    return ns.Events(time, np.zeros_like(time), np.concatenate(fired), steps, 1, (neurons,))


SIZED: dict[str, Callable[..., Case]] = {"picture": picture, "recurrent": recurrent}
