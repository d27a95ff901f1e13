"""The cases that every back end and every peer runs: the same network, the same input, fixed by a seed.

    conv32      input 2x32x32, 100 steps; conv 32, conv 64 stride 2, conv 64 stride 2, dense 128, dense 10
    vgg11-64    input 3x64x64, 30 steps; 64, M, 128, M, 256, 256, M, 512, 512, M, 512, 512, M, dense 10
    sparse10k   10,000 neurons, 1,000 random targets each, 200 steps, external spikes at 2 %

LIF with ``v <- 0.9 v + i``, spike at 1, subtract 1; all 3x3 convolutions with padding 1; M is 2x2 max pooling of spikes
(an OR). Input is uniform random at the stated density. Weights are normal; every layer's scale is found by bisection,
so that the layer fires at the same density: first in float, then again for the int8 mantissas by the threshold.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

import neurosam as ns

__all__ = ["CASES", "Case", "conv32", "layer_names", "sparse10k", "vgg11_64"]

DECAY = 410  # of 4096: v <- 0.9 v
VGG = (64, "M", 128, "M", 256, 256, "M", 512, 512, "M", 512, 512, "M")


@dataclass(frozen=True)
class Case:
    """A fixed-point network with its input."""

    name: str
    network: ns.Network
    events: ns.Events
    density: float


def conv32(density: float = 0.05, samples: int = 1, seed: int = 0, steps: int = 100) -> Case:
    """Three convolutions and two matrices."""
    layers: tuple[Any, ...] = ((32, 1), (64, 2), (64, 2), 128, 10)
    return _chain("conv32", (2, 32, 32), layers, steps, density, samples, seed)


def vgg11_64(density: float = 0.05, samples: int = 1, seed: int = 0, steps: int = 30) -> Case:
    """VGG-11 on 64 x 64 pixels, with max pooling."""
    layers = tuple(part if part == "M" else (part, 1) for part in VGG)
    return _chain("vgg11-64", (3, 64, 64), (*layers, 10), steps, density, samples, seed)


def sparse10k(samples: int = 1, seed: int = 0, steps: int = 200, neurons: int = 10_000, targets: int = 1_000) -> Case:
    """Random recurrence; one external spike a neuron at 2 %, worth 1.2 thresholds."""
    rng = np.random.default_rng(seed)
    source = np.repeat(np.arange(neurons), targets)
    target = np.concatenate([rng.choice(neurons, targets, replace=False) for _ in range(neurons)])
    order = np.lexsort((source, target))
    weight = np.clip(np.rint(rng.normal(0.0, 0.01, source.size) * 1000), -128, 127).astype(np.int8)
    indptr = np.concatenate(([0], np.cumsum(np.bincount(target, minlength=neurons))))
    recurrent = ns.Sparse(indptr, source[order], weight, neurons)
    # One weight is worth 1.2 thresholds of 1000: 75 * 2^4.
    network = ns.Network(
        (ns.Population("in", (neurons,)), ns.Population("a", (neurons,), ns.FixedLIF(DECAY, 1000))),
        (
            ns.Projection("in", "a", ns.Sparse.one_to_one((neurons,), 75), exponent=4),
            ns.Projection("a", "a", recurrent),
        ),
    )
    events = _events((neurons,), steps, samples, 0.02, rng)
    return Case("sparse10k", network, events, 0.02)


CASES: dict[str, Callable[..., Case]] = {"conv32": conv32, "vgg11-64": vgg11_64, "sparse10k": sparse10k}


def layer_names(network: ns.Network, convolutions: bool = False) -> tuple[str, ...]:
    """Populations with neurons other than poolings; only convolutional ones if asked."""
    names = [p.name for p in network.populations if p.neuron is not None and not p.name.startswith("pool")]
    return tuple(n for n in names if len(network[n].shape) == 3) if convolutions else tuple(names)


def _chain(
    name: str, shape: tuple[int, ...], layers: tuple[Any, ...], steps: int, density: float, samples: int, seed: int
) -> Case:  # fmt: skip
    """Build layer by layer; each threshold is bisected on one sample's real input to it."""
    rng = np.random.default_rng(seed)
    source = ns.Population("in", shape)
    events = _events(shape, steps, max(samples, 1), density, rng)
    one = events.select(0, 1)
    populations, projections = [source], []
    for i, part in enumerate(layers):
        if part == "M":
            population, projection = ns.max_pool(populations[-1], f"pool{i}", 2, fixed=True, delay=0)
        else:
            synapse = _synapse(part, populations[-1].shape, rng)
            population = ns.Population(f"layer{i}", synapse.output_shape(populations[-1].shape), ns.FixedLIF(DECAY, 1))
            projection = ns.Projection(populations[-1].name, population.name, synapse, delay=0)
        populations.append(population)
        projections.append(projection)
        if part == "M":
            continue

        def network(threshold: int) -> ns.Network:
            last = replace(populations[-1], neuron=ns.FixedLIF(DECAY, threshold))  # called in this turn
            return ns.Network((*populations[:-1], last), tuple(projections))

        populations[-1] = network(_threshold(network, one, density)).populations[-1]
    return Case(name, ns.Network(tuple(populations), tuple(projections)), events, density)


def _synapse(part: Any, shape: tuple[int, ...], rng: np.random.Generator) -> ns.Conv2d | ns.Dense:
    """Normal int8 mantissas, three standard deviations to the range."""
    size = (part[0], shape[0], 3, 3) if isinstance(part, tuple) else (part, int(np.prod(shape)))
    weight = np.clip(np.rint(rng.normal(0.0, 127 / 3, size)), -127, 127).astype(np.int8)
    return ns.Conv2d(weight, stride=part[1], padding=1) if isinstance(part, tuple) else ns.Dense(weight)


def _threshold(network: Callable[[int], ns.Network], events: ns.Events, density: float) -> int:
    """The threshold at which the last population fires at `density`; the others' spikes do not depend on it."""
    low, high = 1, 2**17 - 1
    while low < high:
        middle = (low + high) // 2
        whole = network(middle)
        last = whole.populations[-1]
        spikes = ns.run(whole, events, threads=2).counts[last.name].sum()
        if spikes > density * events.steps * int(np.prod(last.shape)):
            low = middle + 1
        else:
            high = middle
    return low


def _events(shape: tuple[int, ...], steps: int, samples: int, density: float, rng: np.random.Generator) -> ns.Events:
    return ns.Events.from_dense((rng.random((steps, samples, *shape)) < density).astype(np.uint8))
