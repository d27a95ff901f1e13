"""The cases that every back end and every peer runs: the same networks and input, fixed by a seed.

    conv32      input 2x32x32, 100 steps; conv 32, conv 64 stride 2, conv 64 stride 2, dense 128, dense 10
    vgg11-64    input 3x64x64, 30 steps; 64, M, 128, M, 256, 256, M, 512, 512, M, 512, 512, M, dense 10
    sparse10k   10,000 neurons, 1,000 random targets each, 200 steps, external spikes at 2 %
    demo        input 1x48x48, 12 steps; conv 16 5x5 stride 2, conv 32, A, conv 64, A, conv 64, A 6x6, readout 10:
                the architecture of ``neurosam demo``, or the network that it trained

Neurons are LIF with ``v <- 0.9 v + i`` (3686 / 4096, in integers); a spike above the threshold subtracts it.
Convolutions are 3x3 with half padding unless stated otherwise; M is 2x2 max pooling of spikes (an OR), A sums spikes
over 2x2. Input is uniformly random at the stated density. Weights are normally distributed int8 mantissas; the
threshold of every layer is found by bisection, so that all layers fire at that density.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

import neurosam as ns
from neurosam.network.synapse import neurons

__all__ = [
    "CASES",
    "Case",
    "Layer",
    "activity",
    "build",
    "chain",
    "conv32",
    "demo",
    "drawn",
    "floating",
    "layer_names",
    "poolings",
    "sparse10k",
    "uniform",
    "vgg11_64",
]

DECAY = 410  # of 4096: v <- 0.9 v
LEAK = 1 - DECAY / 4096


@dataclass(frozen=True)
class Case:
    """A network and its input.

    Parameters
    ----------
    name : str
    network : Network
    events : Events
    density : float
        Fraction of the input that is active per step.
    rivals : bool
        Whether dense.py can run the network, that is, plain LIF and one projection per layer.
    """

    name: str
    network: ns.Network
    events: ns.Events
    density: float
    rivals: bool = True


@dataclass(frozen=True)
class Layer:
    """A layer of a chain.

    Parameters
    ----------
    outputs : int
        Channels, or neurons of a dense layer.
    kernel : int
        Side of the convolution kernel; 0 for a dense layer.
    stride : int
    summed : int
        Side of the sum-pooling windows in front of the layer; 1 for none.
    pooled : int
        Side of the max-pooling windows behind the layer; 1 for none.
    fires : bool
        False for a readout.
    """

    outputs: int
    kernel: int = 3
    stride: int = 1
    summed: int = 1
    pooled: int = 1
    fires: bool = True


CONV32 = (Layer(32), Layer(64, stride=2), Layer(64, stride=2), Layer(128, 0), Layer(10, 0))
VGG = (
    *(Layer(64, pooled=2), Layer(128, pooled=2), Layer(256), Layer(256, pooled=2), Layer(512), Layer(512, pooled=2)),
    *(Layer(512), Layer(512, pooled=2), Layer(10, 0)),
)
DEMO = (
    *(Layer(16, 5, 2), Layer(32), Layer(64, summed=2), Layer(64, summed=2)),
    Layer(10, 0, summed=6, fires=False),
)


def conv32(density: float = 0.05, samples: int = 1, seed: int = 0, steps: int = 100) -> Case:
    """Three convolutions and two dense layers."""
    return chain("conv32", (2, 32, 32), CONV32, steps, density, samples, seed)


def vgg11_64(density: float = 0.05, samples: int = 1, seed: int = 0, steps: int = 30) -> Case:
    """VGG-11 on 64 x 64 pixels, with max pooling."""
    return chain("vgg11-64", (3, 64, 64), VGG, steps, density, samples, seed)


def demo(density: float = 0.05, samples: int = 1, seed: int = 0, steps: int = 12) -> Case:
    """The architecture of ``neurosam demo``, with random weights."""
    return chain("demo", (1, 48, 48), DEMO, steps, density, samples, seed)


def sparse10k(samples: int = 1, seed: int = 0, steps: int = 200, neurons: int = 10_000, targets: int = 1_000) -> Case:
    """A random recurrent network; each neuron gets external spikes at 2 %, each worth 1.2 thresholds."""
    rng = np.random.default_rng(seed)
    source = np.repeat(np.arange(neurons), targets)
    target = np.concatenate([rng.choice(neurons, targets, replace=False) for _ in range(neurons)])
    order = np.lexsort((source, target))
    weight = np.clip(np.rint(rng.normal(0.0, 0.01, source.size) * 1000), -128, 127).astype(np.int8)
    indptr = np.concatenate(([0], np.cumsum(np.bincount(target, minlength=neurons))))
    recurrent = ns.Sparse(indptr, source[order], weight, neurons)
    # An external spike adds 75 * 2^4, which is 1.2 times the threshold of 1000.
    network = ns.Network(
        (ns.Population("in", (neurons,)), ns.Population("a", (neurons,), ns.FixedLIF(DECAY, 1000))),
        (
            ns.Projection("in", "a", ns.Sparse.one_to_one((neurons,), 75), exponent=4),
            ns.Projection("a", "a", recurrent),
        ),
    )
    return Case("sparse10k", network, uniform((neurons,), steps, samples, 0.02, rng), 0.02, rivals=False)


CASES: dict[str, Callable[..., Case]] = {
    "conv32": conv32, "vgg11-64": vgg11_64, "sparse10k": sparse10k, "demo": demo,
}  # fmt: skip


def build(name: str, density: float) -> Case:
    """Build a case by name; sparse10k ignores the density."""
    return CASES[name]() if name == "sparse10k" else CASES[name](density)


def drawn(case: Case, steps: int | None = None, samples: int | None = None, seed: int = 1) -> Case:
    """Return the case with new random input, optionally of other length or batch size."""
    shape = case.network.input.shape
    events = uniform(
        shape, steps or case.events.steps, samples or case.events.samples, case.density, np.random.default_rng(seed)
    )
    return replace(case, events=events)


def uniform(shape: Sequence[int], steps: int, samples: int, density: float, rng: np.random.Generator) -> ns.Events:
    """Draw independent spikes of the given density."""
    return ns.Events.from_dense((rng.random((steps, samples, *shape)) < density).astype(np.uint8))


def floating(case: Case) -> Case:
    """Return the case in float64: the same weights, thresholds and leak (3686 / 4096), without rounding to integers."""
    populations, projections = [], []
    for population in case.network.populations:
        neuron = population.neuron
        if isinstance(neuron, ns.FixedReadout):
            population = replace(population, neuron=ns.Readout())
        elif isinstance(neuron, ns.FixedLIF):
            reset = "zero" if neuron.reset == "zero" else "subtract"
            threshold = np.asarray(neuron.threshold, np.float64)
            leak = LEAK if neuron.membrane_decay == DECAY else 0.0
            population = replace(population, neuron=ns.LIF(leak=leak, threshold=threshold, reset=reset))
        populations.append(population)
    for projection in case.network.projections:
        weight = projection.synapse.weight * 2.0**projection.exponent
        synapse = replace(projection.synapse, weight=weight)
        projections.append(replace(projection, synapse=synapse, exponent=0))
    return replace(case, network=ns.Network(tuple(populations), tuple(projections)))


def layer_names(network: ns.Network, convolutions: bool = False) -> tuple[str, ...]:
    """Names of populations with neurons, without poolings; if `convolutions`, only convolutional ones that fire."""
    names = [p.name for p in network.populations if p.neuron is not None and p.name not in poolings(network)]
    if convolutions:
        names = [name for name in names if len(network[name].shape) == 3 and network[name].fires]
    return tuple(names)


def activity(network: ns.Network, recording: ns.Recording) -> float:
    """Fraction of the neurons, without poolings, that fire per step."""
    fires = [name for name in layer_names(network) if network[name].fires]
    spikes = sum(int(recording.counts[name].sum()) for name in fires)
    return spikes / (recording.steps * recording.samples * sum(neurons(network[name].shape) for name in fires))


def poolings(network: ns.Network) -> tuple[str, ...]:
    """Names of the max-pooling populations."""
    return tuple(p.name for p in network.populations if p.name.startswith("pool"))


def chain(
    name: str,
    shape: tuple[int, int, int],
    layers: Sequence[Layer],
    steps: int,
    density: float,
    samples: int = 1,
    seed: int = 0,
) -> Case:
    """Build a network layer by layer; each threshold is bisected on the layer's input for the first sample."""
    rng = np.random.default_rng(seed)
    populations, projections = [ns.Population("in", shape)], []
    events = uniform(shape, steps, max(samples, 1), density, rng)
    layer_input = events.select(0, 1)
    number = 0
    for layer in layers:
        source = populations[-1]
        projection, size = _projection(layer, source, f"layer{number}", rng)
        target = ns.Population(f"layer{number}", size, ns.FixedLIF(DECAY, 1) if layer.fires else ns.FixedReadout())
        if layer.fires:
            target, layer_input = _calibrated(source, target, projection, layer_input, density)
        populations.append(target)
        projections.append(projection)
        number += 1
        if layer.pooled > 1:
            pool, pooling = ns.max_pool(target, f"pool{number}", layer.pooled, fixed=True, delay=0)
            layer_input = _spikes(ns.Network((ns.Population(target.name, size), pool), (pooling,)), layer_input)
            populations.append(pool)
            projections.append(pooling)
            number += 1
    return Case(name, ns.Network(tuple(populations), tuple(projections)), events, density)


def _projection(
    layer: Layer, source: ns.Population, name: str, rng: np.random.Generator
) -> tuple[ns.Projection, tuple[int, ...]]:
    """Draw normally distributed int8 weights (127 at three sigma); return the projection and its target's shape."""
    pool = ns.SumPool2d(layer.summed) if layer.summed > 1 else None
    shape = pool.output_shape(source.shape) if pool else source.shape
    inputs = (shape[0], layer.kernel, layer.kernel) if layer.kernel else (int(np.prod(shape)),)
    weight = np.clip(np.rint(rng.normal(0.0, 127 / 3, (layer.outputs, *inputs))), -127, 127).astype(np.int8)
    synapse: ns.Conv2d | ns.Dense
    if layer.kernel:
        synapse = ns.Conv2d(weight, stride=layer.stride, padding=(layer.kernel - 1) // 2)
    else:
        synapse = ns.Dense(weight)
    return ns.Projection(source.name, name, synapse, pool=pool, delay=0), synapse.output_shape(shape)


def _calibrated(
    source: ns.Population, target: ns.Population, projection: ns.Projection, events: ns.Events, density: float
) -> tuple[ns.Population, ns.Events]:
    """Set the threshold so that the population fires at `density`; return it and its output spikes."""
    entry = ns.Population(source.name, source.shape)
    expected_spikes = density * events.steps * int(np.prod(target.shape))

    def network(threshold: int) -> ns.Network:
        return ns.Network((entry, replace(target, neuron=ns.FixedLIF(DECAY, threshold))), (projection,))

    low, high = 1, 2**17 - 1
    while low < high:
        middle = (low + high) // 2
        if ns.run(network(middle), events).counts[target.name].sum() > expected_spikes:
            low = middle + 1
        else:
            high = middle
    return replace(target, neuron=ns.FixedLIF(DECAY, low)), _spikes(network(low), events)


def _spikes(network: ns.Network, events: ns.Events) -> ns.Events:
    """Output spikes of a network's last population."""
    name = network.populations[-1].name
    return ns.run(network, events, record=ns.Record(spikes=(name,))).spikes[name].events()
