"""Random networks with their input: small, lively, and with all that a network may hold; by seed, or from hypothesis.

Thresholds are set from the spread of what arrives, so that networks fire (the conformance suite checks that they do).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from hypothesis import strategies as st

from neurosam.arithmetic import STATE_MAX
from neurosam.network.elements import Population, Projection, max_pool
from neurosam.network.fixed_neuron import THRESHOLD_MAX, FixedLIF, FixedReadout, Neuron
from neurosam.network.network import Network
from neurosam.network.neuron import LIF, Readout
from neurosam.network.precision import Precision
from neurosam.network.synapse import Conv2d, Dense, Shape, Sparse, SumPool2d, Synapse, neurons
from neurosam.network.trace import MODES, SamTrace
from neurosam.signals.events import Events

__all__ = ["KINDS", "Array", "Case", "Draw", "cases", "edge_case", "large_case", "random_case"]

KINDS = ("chain", "dense", "pooled", "residual", "recurrent")
RATE = 0.3  # spikes a neuron and step that thresholds are chosen for

Case: TypeAlias = tuple[Network, Events]
Array: TypeAlias = npt.NDArray[Any]


def random_case(rng: np.random.Generator, kind: str | None = None, *, fixed: bool = True) -> Case:
    """A network of one of the `KINDS`, with 1..8 steps of input for 1..3 samples."""
    kind = KINDS[int(rng.integers(len(KINDS)))] if kind is None else kind
    return Draw(rng, fixed, steps=int(rng.integers(1, 9))).case(kind, samples=int(rng.integers(1, 4)))


def large_case(rng: np.random.Generator, kind: str, *, fixed: bool = True) -> Case:
    """The same with bigger pictures, more channels and more steps: too slow for the oracle, right for two back ends."""
    draw = Draw(rng, fixed, steps=int(rng.integers(12, 24)), side=(9, 20), channels=(3, 20))
    return draw.case(kind, samples=int(rng.integers(2, 6)))


def cases(*, fixed: bool = True) -> st.SearchStrategy[Case]:
    """Random cases for hypothesis; a failing one shrinks to a small seed and the first kind."""
    return st.builds(
        lambda seed, kind: random_case(np.random.default_rng(seed), kind, fixed=fixed),
        st.integers(0, 2**32 - 1),
        st.sampled_from(KINDS),
    )


@dataclass
class Draw:
    """One network in the making."""

    rng: np.random.Generator
    fixed: bool
    steps: int
    side: tuple[int, int] = (3, 7)
    channels: tuple[int, int] = (1, 4)

    def __post_init__(self) -> None:
        bits = int(self.rng.choice([8, 8, 5]))
        self.precision = Precision.lava(bits) if self.chance(0.6) else Precision.nxsdk(bits)

    def chance(self, probability: float) -> bool:
        return bool(self.rng.random() < probability)

    def between(self, low: int, high: int) -> int:
        """An int in ``low..high``, both included."""
        return int(self.rng.integers(low, high + 1))

    # --- the graph ---

    def case(self, kind: str, samples: int) -> Case:
        source = self.input(kind)
        populations, projections = self.graph(source, kind)
        if self.chance(0.3):
            populations = [replace(p, onset=0) for p in populations]
        network = Network(
            tuple(populations), tuple(projections), precision=self.precision if self.fixed else None,
            check_alignment=False,  # lags are wanted
        )  # fmt: skip
        gamma = float(self.rng.choice([0.0, 0.1, 0.5, 2.0]))
        trace = SamTrace(gamma, MODES[self.between(0, len(MODES) - 1)])
        return network.with_sam(trace, steps=self.steps), self.events(source, samples)

    def graph(self, source: Population, kind: str) -> tuple[list[Population], list[Projection]]:
        if kind == "residual":
            return self.residual(source)
        populations, projections = self.chain(source, kind)
        return populations, projections + (self.feedback(populations) if kind == "recurrent" else [])

    def input(self, kind: str) -> Population:
        magnitude = int(self.rng.choice([1, 1, 3, 20]))
        if kind == "dense" and self.chance(0.5):
            return Population("in", (self.between(2, 12),), magnitude=magnitude)
        return Population("in", self.picture(), magnitude=magnitude)

    def picture(self) -> Shape:
        return self.between(*self.channels), self.between(*self.side), self.between(*self.side)

    def chain(self, source: Population, kind: str) -> tuple[list[Population], list[Projection]]:
        """Source, one or two spiking layers, and a readout (or a spiking output)."""
        populations, projections = [source], []
        for i in range(self.between(1, 2)):
            dense = kind == "dense" or len(populations[-1].shape) == 1 or self.chance(0.2)
            pool = None if dense or kind != "pooled" else self.pool(populations[-1].shape)
            if kind == "pooled" and not dense and i and self.chance(0.4):
                pooled, joined = max_pool(
                    populations[-1], f"max{i}", self.window(populations[-1].shape, 2), fixed=self.fixed
                )
                populations.append(pooled)
                projections.append(joined)
                pool = None
            population, projection = self.layer(populations[-1], f"layer{i}", dense, pool)
            populations.append(population)
            projections.append(projection)
        population, projection = self.layer(populations[-1], "out", True, None)
        if self.chance(0.7):
            population = replace(population, neuron=self.readout(population.shape))
        return [*populations, population], [*projections, projection]

    def residual(self, source: Population) -> tuple[list[Population], list[Projection]]:
        """Two paths of different length into one population; now and then a third, without a delay."""
        first, into_first = self.layer(source, "first", False, None)
        second, into_second = self.layer(first, "second", self.chance(0.5), None)
        shortcut = self.join(source, second)
        projections = [into_first, into_second, shortcut]
        if first.shape == self.drive(second):
            weight = self.between(1, 15) if self.fixed else float(self.rng.normal())
            one_to_one = Sparse.one_to_one(first.shape, weight)
            projections.append(Projection("first", "second", one_to_one, delay=self.between(0, 3)))
        out, into_out = self.layer(second, "out", True, None)
        if self.chance(0.5):
            out = replace(out, neuron=self.readout(out.shape))
        return [source, first, second, out], [*projections, into_out]

    def feedback(self, populations: list[Population]) -> list[Projection]:
        """A projection of the first layer onto itself, or from the second one back."""
        spiking = [p for p in populations[1:] if p.fires]
        first, last = spiking[0], spiking[-1]
        back = [self.join(last, first, delay=self.between(1, 3))]
        if last is not first and self.chance(0.5):
            back.append(self.join(first, first, delay=self.between(1, 3)))
        return back

    def layer(
        self, source: Population, name: str, dense: bool, pool: SumPool2d | None
    ) -> tuple[Population, Projection]:
        """A new population and the projection that drives it."""
        shape = pool.output_shape(source.shape) if pool else source.shape
        synapse = self.matrix(neurons(shape), (self.between(2, 6),)) if dense else self.convolution(shape)
        exponent = self.exponent()
        projection = Projection(source.name, name, synapse, delay=self.between(0, 3), pool=pool, exponent=exponent)
        target = synapse.output_shape(shape)
        return Population(name, target, self.neuron(target, self.spread(source, projection))), projection

    def join(self, source: Population, target: Population, delay: int | None = None) -> Projection:
        """A projection between two populations that exist already."""
        delay = self.between(0, 3) if delay is None else delay
        synapse = self.matrix(neurons(source.shape), self.drive(target))
        return Projection(source.name, target.name, synapse, delay=delay, exponent=self.exponent())

    def drive(self, population: Population) -> Shape:
        """Shape of what a population receives."""
        return population.shape

    # --- synapses ---

    def weight(self, *shape: int) -> Array:
        if not self.fixed:
            return self.rng.normal(0.2, 1.0, shape)
        low, high = self.precision.weight_low, self.precision.weight_high
        return self.rng.integers(low * 2 // 3, high + 1, shape).astype(np.int8)

    def exponent(self) -> int:
        return int(self.rng.choice([0, 0, 2, -1, -3])) if self.fixed else 0

    def matrix(self, inputs: int, shape: Shape) -> Synapse:
        """Dense or sparse; pictures of targets are reached with either."""
        weight = self.weight(neurons(shape), inputs)
        if self.chance(0.5):
            return Dense(weight)
        return Sparse.from_dense(weight * (self.rng.random(weight.shape) < 0.4).astype(weight.dtype), shape)

    def convolution(self, shape: Shape) -> Conv2d:
        """Any kernel, stride, padding, dilation and groups that fit."""
        groups = int(self.rng.choice([g for g in range(1, shape[0] + 1) if shape[0] % g == 0]))
        outputs = groups * self.between(1, max(1, self.channels[1] // groups))
        while True:
            kernel = self.between(1, 3), self.between(1, 3)
            padding = self.between(0, 1), self.between(0, 2)
            dilation = (self.between(1, 2), self.between(1, 2)) if self.chance(0.3) else (1, 1)
            room = [s + 2 * p - d * (k - 1) for s, p, d, k in zip(shape[1:], padding, dilation, kernel, strict=True)]
            if min(room) >= 1:
                break
        stride = self.between(1, 2), self.between(1, 2)
        return Conv2d(self.weight(outputs, shape[0] // groups, *kernel), stride, padding, dilation, groups)

    def window(self, shape: Shape, most: int) -> tuple[int, int]:
        return self.between(1, min(most, shape[1])), self.between(1, min(most, shape[2]))

    def pool(self, shape: Shape) -> SumPool2d:
        """Windows that tile, overlap or leave gaps, with and without a border."""
        kernel = self.window(shape, 3)
        padding = self.between(0, kernel[0] - 1), self.between(0, kernel[1] - 1)
        stride = None if self.chance(0.4) else (self.between(1, 3), self.between(1, 3))
        return SumPool2d(kernel, stride, padding)

    # --- neurons ---

    def spread(self, source: Population, projection: Projection) -> float:
        """About how much arrives in a step, in units of the weighted sum; 1 where all weights are 0."""
        weight = projection.synapse.weight.astype(np.float64)
        rows = projection.synapse.output_shape(
            projection.pool.output_shape(source.shape) if projection.pool else source.shape
        )
        fan_in = weight.size / neurons(rows) if isinstance(projection.synapse, Sparse) else weight[0].size
        size = max(1.0, source.magnitude / 2) * (projection.pool.area if projection.pool else 1) ** 0.5
        squares = float(np.mean(np.square(weight))) if weight.size else 1.0
        return float(np.sqrt(max(fan_in, 1.0) * RATE * squares) * size * 2.0**projection.exponent) or 1.0

    def each(self, shape: Shape, low: int, high: int) -> Any:
        """An integer parameter: one for all, or one a channel."""
        return self.rng.integers(low, high + 1, shape[0]) if self.chance(0.5) else self.between(low, high)

    def each_real(self, shape: Shape, low: float, high: float) -> Any:
        """A real parameter: one for all, or one a channel."""
        return self.rng.uniform(low, high, shape[0] if self.chance(0.5) else None)

    def neuron(self, shape: Shape, spread: float) -> Neuron:
        return self.fixed_neuron(shape, spread) if self.fixed else self.float_neuron(shape, spread)

    def fixed_neuron(self, shape: Shape, spread: float) -> FixedLIF:
        low, high = max(1, int(spread * 0.3)), max(1, int(spread * 0.9))
        threshold = np.minimum(self.each(shape, low, high), THRESHOLD_MAX)
        reset = "zero" if self.chance(0.4) else "subtract"
        amount = self.each(shape, low * 32, high * 64) if reset == "subtract" and self.chance(0.5) else None
        exponent = self.between(0, 7)
        bias = min(4095, int(high * 16 / 2**exponent))
        slow, fast = self.precision.current_decay_range()
        current = self.each(shape, *((slow, fast) if self.chance(0.3) else (800, 3500))) if self.chance(0.5) else None
        slow, fast = self.precision.membrane_decay_range()
        tables: dict[str, Any] = {}
        if self.chance(0.25):
            rows, columns = self.steps + self.between(0, 2), int(self.rng.choice([1, shape[0]]))
            shift = self.between(2, 9)
            tables["gain"] = self.rng.integers(-(1 << shift) // 3, (2 << shift) + 1, (rows, columns))
            tables["offset_64ths"] = self.rng.integers(-high * 16, high * 16 + 1, (rows, columns))
            tables["gain_shift"] = shift
        return FixedLIF(
            membrane_decay=self.each(shape, *((slow, fast) if self.chance(0.2) else (0, 1500))),
            threshold=threshold, reset=reset, reset_amount_64ths=amount,
            bias_mantissa=self.each(shape, -bias // 2, bias) if self.chance(0.5) else 0, bias_exponent=exponent,
            current_decay=current, **tables,
        )  # fmt: skip

    def float_neuron(self, shape: Shape, spread: float) -> LIF:
        each = partial(self.each_real, shape)
        reset = "zero" if self.chance(0.4) else "subtract"
        tables: dict[str, Any] = {}
        if self.chance(0.25):
            rows, columns = self.steps + self.between(0, 2), int(self.rng.choice([1, shape[0]]))
            tables["gain"] = self.rng.uniform(-0.3, 2.0, (rows, columns))
            tables["offset"] = self.rng.normal(0.0, 0.2 * spread, (rows, columns))
        return LIF(
            leak=each(0.6, 1.0) if self.chance(0.8) else float(self.rng.choice([0.0, 1.0])),
            threshold=each(0.3 * spread, 0.9 * spread), reset=reset,
            reset_amount=each(0.3 * spread, spread) if reset == "subtract" and self.chance(0.5) else None,
            bias=each(-0.1 * spread, 0.2 * spread) if self.chance(0.5) else 0.0,
            current_leak=each(0.0, 0.9) if self.chance(0.5) else None, **tables,
        )  # fmt: skip

    def readout(self, shape: Shape) -> Neuron:
        if self.fixed:
            return FixedReadout(self.each(shape, -40, 40), self.between(0, 7))
        return Readout(self.rng.normal(0.0, 0.1, shape[0]))

    # --- input ---

    def events(self, source: Population, samples: int) -> Events:
        """Spikes, or signed and graded events up to the population's magnitude; one case in twenty has none."""
        x: Array
        shape = (self.steps, samples, *source.shape)
        limit = source.magnitude
        signed = limit == 1 and self.chance(0.3)
        if not self.fixed and self.chance(0.3):
            x = self.rng.normal(0.3, 0.5 * limit, shape)
        elif limit > 1 or signed:
            x = self.rng.integers(-limit if self.chance(0.5) or signed else 0, limit + 1, shape)
        else:
            x = np.ones(shape, dtype=np.uint8)
        density = 0.0 if self.chance(0.05) else self.rng.uniform(0.2, 0.6)
        return Events.from_dense(np.where(self.rng.random(shape) < density, x, 0).astype(x.dtype))


def edge_case(rng: np.random.Generator) -> Case:
    """One layer at the limits of the integers: u around +-2^23, v around its threshold and saturation, extreme decays.

    Every neuron is a channel with parameters of its own; the input is graded, so that one event can be any number.
    """
    steps, samples, sources, channels = int(rng.integers(2, 9)), 2, 3, 40
    precision = Precision.lava() if rng.random() < 0.5 else Precision.nxsdk()
    exponent = int(rng.choice([0, 0, 0, 7, -8]))
    rows = [
        rng.integers(-1, 2, (channels, sources)),
        rng.integers(-128, 128, (channels, sources)),
        np.full((channels, sources), 127),
        np.full((channels, sources), -128),
    ]
    synapse = Dense(rows[int(rng.choice([0, 0, 1, 2, 3]))].astype(np.int8))
    room = (2**31 - 1) >> max(exponent, 0)
    most = int(np.abs(synapse.weight.astype(np.int64)).sum(axis=1).max())
    magnitude = min(2**23 - 1, room // max(most, 1))
    thresholds = rng.choice([1, 2, 64, 2**16, THRESHOLD_MAX - 1, THRESHOLD_MAX], channels)
    slow, fast = precision.current_decay_range()
    low, high = precision.membrane_decay_range()
    subtract = rng.random() < 0.5
    neuron = FixedLIF(
        membrane_decay=rng.choice([low, low, 1, high - 1, high], channels), threshold=thresholds,
        reset="subtract" if subtract else "zero",
        reset_amount_64ths=rng.choice([1, 64, 2**22, STATE_MAX], channels) if subtract else None,
        bias_mantissa=rng.choice([-4096, -1, 0, 0, 1, 4095], channels), bias_exponent=int(rng.choice([0, 0, 6, 7])),
        current_decay=rng.choice([slow, slow, 0, 1, fast - 1, fast], channels) if rng.random() < 0.7 else None,
    )  # fmt: skip
    readout = Dense(rng.choice([-128, 127], (2, channels)))
    network = Network(
        (Population("in", (sources,), magnitude=magnitude), Population("edge", (channels,), neuron),
         Population("out", (2,), FixedReadout(4095, 7))),
        (Projection("in", "edge", synapse, exponent=exponent), Projection("edge", "out", readout, exponent=7)),
        precision=precision,
    )  # fmt: skip
    near = [2**17, 2**18, 3 * 2**17, 2**16, THRESHOLD_MAX, 64, 2, 1, magnitude]
    values = [s * (n + d) for n in near for d in (-1, 0, 1) for s in (-1, 1) if n + d <= magnitude] + [0] * 10
    x = rng.choice(values, (steps, samples, sources)) * (rng.random((steps, samples, sources)) < 0.7)
    trace = SamTrace(float(rng.choice([0.0, 0.5])), MODES[int(rng.integers(3))])
    return network.with_sam(trace, steps=steps), Events.from_dense(x)
