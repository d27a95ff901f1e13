"""The cases that every back end and every peer runs: the same network, the same input, fixed by a seed.

    conv32      input 2x32x32, 100 steps; conv 32, conv 64 stride 2, conv 64 stride 2, dense 128, dense 10
    vgg11-64    input 3x64x64, 30 steps; 64, M, 128, M, 256, 256, M, 512, 512, M, 512, 512, M, dense 10
    sparse10k   10,000 neurons, 1,000 random targets each, 200 steps, external spikes at 2 %
    demo        input 1x48x48, 12 steps; conv 16 5x5 stride 2, conv 32, A, conv 64, A, conv 64, A 6x6, readout 10:
                the architecture of ``neurosam demo``, or the network that it has trained

LIF with ``v <- 0.9 v + i`` (3686 / 4096, in integers), a spike above the threshold, which it subtracts; 3x3
convolutions with half padding unless said otherwise; M is 2x2 max pooling of spikes (an OR), A sums spikes over 2x2.
Input is uniform random at the stated density. Weights are normal int8 mantissas; the threshold of every layer is found
by bisection, so that it fires at the same density.
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
    """A network with its input.

    Parameters
    ----------
    name : str
    network : Network
    events : Events
    density : float
        Share of the input that is active in a step.
    rivals : bool
        Whether dense.py can run the same network: plain LIF, one projection a layer.
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
        Side of the convolution's kernel; 0 for a dense layer.
    stride : int
    summed : int
        Side of the windows over which its input is summed first.
    pooled : int
        Side of the windows of max pooling behind it; 1 for none.
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
    """Three convolutions and two matrices."""
    return chain("conv32", (2, 32, 32), CONV32, steps, density, samples, seed)


def vgg11_64(density: float = 0.05, samples: int = 1, seed: int = 0, steps: int = 30) -> Case:
    """VGG-11 on 64 x 64 pixels, with max pooling."""
    return chain("vgg11-64", (3, 64, 64), VGG, steps, density, samples, seed)


def demo(density: float = 0.05, samples: int = 1, seed: int = 0, steps: int = 12) -> Case:
    """The demonstration's architecture, with random weights."""
    return chain("demo", (1, 48, 48), DEMO, steps, density, samples, seed)


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
    return Case("sparse10k", network, uniform((neurons,), steps, samples, 0.02, rng), 0.02, rivals=False)


CASES: dict[str, Callable[..., Case]] = {
    "conv32": conv32, "vgg11-64": vgg11_64, "sparse10k": sparse10k, "demo": demo,
}  # fmt: skip


def build(name: str, density: float) -> Case:
    """A case by name; the activity of sparse10k is its own."""
    return CASES[name]() if name == "sparse10k" else CASES[name](density)


def drawn(case: Case, steps: int | None = None, samples: int | None = None, seed: int = 1) -> Case:
    """The same network on new random input, of another length or batch."""
    shape = case.network.input.shape
    events = uniform(
        shape, steps or case.events.steps, samples or case.events.samples, case.density, np.random.default_rng(seed)
    )
    return replace(case, events=events)


def uniform(shape: Sequence[int], steps: int, samples: int, density: float, rng: np.random.Generator) -> ns.Events:
    """Spikes that are independent of each other."""
    return ns.Events.from_dense((rng.random((steps, samples, *shape)) < density).astype(np.uint8))


def floating(case: Case) -> Case:
    """The case in float64: the same weights, thresholds and share kept, 3686 / 4096, with nothing cut to integers."""
    populations, projections = [], []
    for population in case.network.populations:
        neuron = population.neuron
        if isinstance(neuron, ns.FixedReadout):
            population = replace(population, neuron=ns.Readout())
        elif isinstance(neuron, ns.FixedLIF):
            reset = "zero" if neuron.reset_amount is None else "subtract"
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
    """Populations with neurons other than poolings; only convolutional ones that fire if asked."""
    names = [p.name for p in network.populations if p.neuron is not None and p.name not in poolings(network)]
    if convolutions:
        names = [name for name in names if len(network[name].shape) == 3 and network[name].fires]
    return tuple(names)


def activity(network: ns.Network, recording: ns.Recording) -> float:
    """Share of the neurons, poolings left out, that fire in a step."""
    fires = [name for name in layer_names(network) if network[name].fires]
    spikes = sum(int(recording.counts[name].sum()) for name in fires)
    return spikes / (recording.steps * recording.samples * sum(neurons(network[name].shape) for name in fires))


def poolings(network: ns.Network) -> tuple[str, ...]:
    """Populations that do nothing but max pooling."""
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
    """Build layer by layer; each threshold is bisected on the spikes that the layers before it send for one sample."""
    rng = np.random.default_rng(seed)
    populations, projections = [ns.Population("in", shape)], []
    events = uniform(shape, steps, max(samples, 1), density, rng)
    arriving = events.select(0, 1)
    number = 0
    for part in layers:
        source = populations[-1]
        projection, size = _projection(part, source, f"layer{number}", rng)
        target = ns.Population(f"layer{number}", size, ns.FixedLIF(DECAY, 1) if part.fires else ns.FixedReadout())
        if part.fires:
            target, arriving = _calibrated(source, target, projection, arriving, density)
        populations.append(target)
        projections.append(projection)
        number += 1
        if part.pooled > 1:
            pool, pooling = ns.max_pool(target, f"pool{number}", part.pooled, fixed=True, delay=0)
            arriving = _spikes(ns.Network((ns.Population(target.name, size), pool), (pooling,)), arriving)
            populations.append(pool)
            projections.append(pooling)
            number += 1
    return Case(name, ns.Network(tuple(populations), tuple(projections)), events, density)


def _projection(
    part: Layer, source: ns.Population, name: str, rng: np.random.Generator
) -> tuple[ns.Projection, tuple[int, ...]]:
    """Normal int8 mantissas, three standard deviations to the range; the projection and its target's shape."""
    pool = ns.SumPool2d(part.summed) if part.summed > 1 else None
    shape = pool.output_shape(source.shape) if pool else source.shape
    inputs = (shape[0], part.kernel, part.kernel) if part.kernel else (int(np.prod(shape)),)
    weight = np.clip(np.rint(rng.normal(0.0, 127 / 3, (part.outputs, *inputs))), -127, 127).astype(np.int8)
    synapse = ns.Conv2d(weight, stride=part.stride, padding=(part.kernel - 1) // 2) if part.kernel else ns.Dense(weight)
    return ns.Projection(source.name, name, synapse, pool=pool, delay=0), synapse.output_shape(shape)


def _calibrated(
    source: ns.Population, target: ns.Population, projection: ns.Projection, events: ns.Events, density: float
) -> tuple[ns.Population, ns.Events]:
    """The population with the threshold at which it fires at `density`, and what it then sends."""
    entry = ns.Population(source.name, source.shape)
    wanted = density * events.steps * int(np.prod(target.shape))

    def network(threshold: int) -> ns.Network:
        return ns.Network((entry, replace(target, neuron=ns.FixedLIF(DECAY, threshold))), (projection,))

    low, high = 1, 2**17 - 1
    while low < high:
        middle = (low + high) // 2
        if ns.run(network(middle), events).counts[target.name].sum() > wanted:
            low = middle + 1
        else:
            high = middle
    return replace(target, neuron=ns.FixedLIF(DECAY, low)), _spikes(network(low), events)


def _spikes(network: ns.Network, events: ns.Events) -> ns.Events:
    """What the last population of a network sends."""
    name = network.populations[-1].name
    return ns.run(network, events, record=ns.Record(spikes=(name,))).spikes[name].events()
