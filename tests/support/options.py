"""Random networks over all options of a neuron, of a projection and of a network; by seed, or from hypothesis.

They are networks.py's, with the rest of the contract added: every reset and comparison, lower bounds, refractory
periods, rising thresholds, several spikes per step, parameters per neuron, initial states, leaky readouts, pools in
front of neurons, delays per synapse, weights beyond 8 bits, several inputs and outputs with their answers. Values at
the ends of their ranges are drawn often.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import numpy as np
from hypothesis import strategies as st

from neurosam.arithmetic import STATE_MAX
from neurosam.network.elements import Population, Projection
from neurosam.network.fixed_neuron import FixedLIF, FixedReadout, Neuron
from neurosam.network.network import Network
from neurosam.network.neuron import LIF
from neurosam.network.parameters import MAX_SPIKES, RESETS
from neurosam.network.precision import Precision
from neurosam.network.synapse import Conv2d, MaxPool2d, Shape, Sparse, neurons
from neurosam.network.trace import MODES, SamTrace
from neurosam.signals.inputs import Inputs
from support.networks import KINDS, Array, Draw, edge_case

__all__ = ["OptionsCase", "large_options_case", "limits_case", "many_channels_case", "options_case", "options_cases"]

OptionsCase: TypeAlias = tuple[Network, Inputs]

TRACED = 18
"""Most spikes per step of a population with a trace: 24 bits hold no more of a map."""


def options_case(
    rng: np.random.Generator, kind: str | None = None, *, fixed: bool = True, pools: bool = True
) -> OptionsCase:
    """A network of one of the KINDS with any options, with 1..8 steps of input for 1..3 samples.

    Without `pools`, no population pools its sums.
    """
    kind = KINDS[int(rng.integers(len(KINDS)))] if kind is None else kind
    draw = OptionsDraw(rng, fixed, steps=int(rng.integers(1, 9)), pools=pools)
    return draw.options_case(kind, samples=int(rng.integers(1, 4)))


def large_options_case(rng: np.random.Generator, kind: str, *, fixed: bool = True) -> OptionsCase:
    """The same with bigger pictures, more channels and more steps: too slow for the oracle, right for two back ends."""
    side, channels = ((6, 10), (3, 10)) if kind == "recurrent" else ((9, 20), (3, 20))  # synapses grow as their square
    draw = OptionsDraw(rng, fixed, steps=int(rng.integers(12, 24)), side=side, channels=channels)
    return draw.options_case(kind, samples=int(rng.integers(2, 6)))


def many_channels_case(rng: np.random.Generator, kind: str, *, fixed: bool = True) -> OptionsCase:
    """Small pictures with about 64 channels: spikes travel in words of 64, and vectors have 16 lanes."""
    channels = (14, 34) if kind == "pooled" else (60, 67)
    draw = OptionsDraw(rng, fixed, steps=int(rng.integers(3, 24)), side=(2, 4), channels=channels)
    return draw.options_case(kind, samples=int(rng.integers(1, 4)))


def options_cases(*, fixed: bool = True) -> st.SearchStrategy[OptionsCase]:
    """Random cases for hypothesis."""
    return st.builds(
        lambda seed, kind: options_case(np.random.default_rng(seed), kind, fixed=fixed),
        st.integers(0, 2**32 - 1),
        st.sampled_from(KINDS),
    )


@dataclass
class OptionsDraw(Draw):
    """One network in the making, with options.

    Reals are multiples of 1/8 in some float networks: membranes then meet thresholds exactly, and sums are exact.
    """

    pools: bool = True
    drives: dict[str, Shape] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.eighths = not self.fixed and self.chance(0.4)

    def pick(self, *values: Any) -> Any:
        return values[self.between(0, len(values) - 1)]

    # --- the graph ---

    def options_case(self, kind: str, samples: int) -> OptionsCase:
        if kind != "pooled" and self.chance(0.3):  # max pooling needs the offsets of a preset
            self.precision = Precision("own", self.between(2, 8), self.between(0, 1), self.between(0, 1))
        populations, projections = self.graph(self.input(kind), kind)
        same_onset = self.chance(0.3)
        for n in range(self.pick(0, 0, 1, 2)):
            more = Population(f"in{n + 2}", (self.between(1, 5),), magnitude=self.pick(1, 4))
            target = self.pick(*(p for p in populations if p.neuron is not None))
            projections.append(self.join(more, target))
            populations.insert(
                self.between(0, len(populations)), more if same_onset else replace(more, onset=self.pick(None, 0, 2))
            )
        if same_onset:
            populations = [replace(p, onset=0) for p in populations]
        network = Network(
            tuple(populations), tuple(projections), precision=self.precision if self.fixed else None,
            outputs=self.outputs(populations), check_alignment=False,  # lags are wanted
        )  # fmt: skip
        trace = SamTrace(self.pick(0.0, 0.1, 0.5, 2.0), self.pick(*MODES))
        traced = [
            p.name for p in populations if isinstance(p.neuron, (LIF, FixedLIF)) and p.neuron.max_spikes <= TRACED
        ]
        inputs = {p.name: self.events(p, samples) for p in network.inputs}
        return network.with_sam(trace, traced, self.steps), Inputs(inputs)

    def outputs(self, populations: list[Population]) -> dict[str, str]:
        """One to three populations with answers over time."""
        candidates = [p for p in populations if p.neuron is not None]
        chosen = self.rng.permutation(len(candidates))[: self.pick(1, 1, 2, 3)]
        answers = ("last", "mean", "max", "count")
        return {candidates[k].name: self.pick(*answers[: 4 if candidates[k].fires else 3]) for k in chosen}

    def layer(self, source: Population, name: str, dense: bool, pool: Any) -> tuple[Population, Projection]:
        population, projection = super().layer(source, name, dense, pool)
        changed = self.varied(source, projection, 0)
        largest = self.largest(population)
        if changed is not projection or largest is not None:
            shape = population.shape if largest is None else largest.output_shape(population.shape)
            neuron = self.neuron(shape, self.spread(source, changed))
            self.drives[name] = population.shape
            population = replace(population, shape=shape, neuron=neuron, pool=largest)
        return population, changed

    def largest(self, population: Population) -> MaxPool2d | None:
        """Now and then windows in front of neurons: that tile, overlap or leave gaps, with and without a border."""
        if not self.pools or len(population.shape) != 3 or not self.chance(0.3):
            return None
        windows = self.pool(population.shape)
        return MaxPool2d(windows.kernel, windows.stride, windows.padding)

    def drive(self, population: Population) -> Shape:
        return self.drives.get(population.name, population.shape)

    def join(self, source: Population, target: Population, delay: int | None = None) -> Projection:
        return self.varied(source, super().join(source, target, delay), 0 if delay is None else 1)

    def varied(self, source: Population, projection: Projection, shortest: int) -> Projection:
        """A projection, now and then with a delay for each synapse or with weights beyond 8 bits."""
        weight = projection.synapse.weight
        if self.fixed and self.precision.weight_bits == 8 and 0 <= projection.exponent < 7 and self.chance(0.15):
            shift = self.between(1, min(7 - projection.exponent, 4))
            wide = weight.astype(np.int64) << shift
            if self.chance(0.6):
                wide += self.rng.integers(0, 1 << (shift - 1), weight.shape)
            area = projection.pool.area if projection.pool else 1
            most = int(np.abs(wide).sum()) * source.largest_event * area << projection.exponent
            if most < 2**28:
                projection = replace(projection, synapse=replace(projection.synapse, weight=wide))
        if not isinstance(projection.synapse, Conv2d) and self.chance(0.2):
            projection = replace(projection, delay=self.rng.integers(shortest, 4, weight.shape))
        return projection

    # --- parameters ---

    def weight(self, *shape: int) -> Array:
        weight: Array = self.rounded(super().weight(*shape))
        return weight

    def rounded(self, x: Any) -> Any:
        return np.rint(x * 8) / 8 if self.eighths else x

    def each(self, shape: Shape, low: int, high: int) -> Any:
        """An integer parameter: one for all, for each channel, or for each neuron."""
        if len(shape) == 3 and self.chance(0.3):
            return self.rng.integers(low, high + 1, shape)
        return super().each(shape, low, high)

    def each_real(self, shape: Shape, low: float, high: float) -> Any:
        """A real parameter: one for all, for each channel, or for each neuron."""
        each_neuron = len(shape) == 3 and self.chance(0.3)
        values = self.rng.uniform(low, high, shape) if each_neuron else super().each_real(shape, low, high)
        return np.maximum(self.rounded(values), 1 / 8) if self.eighths and low > 0 else self.rounded(values)

    def compositions(self, shape: Shape) -> dict[str, Any]:
        """Options without a unit, those that go together."""
        size = neurons(shape) * 128 * 4 * (9 if len(shape) == 3 else 1)
        several = [n for n in (2, 3, TRACED, 300, 2**15 - 1, MAX_SPIKES) if n * size < 2**29]
        options: dict[str, Any] = {"fires": self.pick("above", "at"), "reset": self.pick(*RESETS, "subtract")}
        if options["reset"] in ("subtract", "zero") and several and self.chance(0.4):
            options["max_spikes"] = self.pick(*several)
        elif options["reset"] in ("zero", "subtract", "value") and self.chance(0.4):
            options["reset_timing"] = self.pick("next", "both") if options["reset"] == "subtract" else "next"
        if "reset_timing" not in options:
            options["refractory"] = self.pick(0, 0, 0, 1, 2, 3, 4096)
        return options

    # --- integer neurons ---

    def fixed_neuron(self, shape: Shape, spread: float) -> FixedLIF:
        """Options around a plain neuron."""
        neuron = super().fixed_neuron(shape, spread)
        options = self.compositions(shape)
        low, high = max(1, int(spread * 0.3)), max(1, int(spread * 0.9))
        if self.chance(0.3):  # sums of whole weights: membranes meet the threshold
            slow, _ = self.precision.membrane_decay_range()
            options |= {"membrane_decay": slow, "bias_mantissa": 0, "current_decay": None, "gain": None}
            options |= {"offset_64ths": None, "gain_shift": 0}
        options["reset_amount_64ths"] = None
        if options["reset"] == "subtract":
            small = min(STATE_MAX, low * 16), min(STATE_MAX, low * 64)
            options["reset_amount_64ths"] = self.pick(None, None, self.each(shape, *small), 1, STATE_MAX)
        if options["reset"] == "value":
            value = self.each(shape, -min(high * 32, STATE_MAX), min(low * 32, STATE_MAX))
            options["reset_value_64ths"] = self.pick(value, value, value, 0, STATE_MAX, -STATE_MAX)
        if options["reset"] == "relative":
            options["relative_decay"] = self.pick(0, 4096, self.each(shape, 0, 4096), self.each(shape, 0, 4096))
        if "reset_timing" not in options and self.chance(0.3):
            options["threshold_decay"] = self.pick(0, 4096, self.each(shape, 0, 4096))
            rise = self.each(shape, 0, min(high * 32, STATE_MAX))
            options["threshold_step_64ths"] = self.pick(0, rise, rise, STATE_MAX)
        if self.chance(0.4):
            bound = self.each(shape, -min(high * 64, STATE_MAX), 0)
            options["lower_bound_64ths"] = self.pick(0, bound, bound, -STATE_MAX)
        if self.chance(0.4):
            options["initial_membrane_64ths"] = self.initial(shape, high)
        if options.get("current_decay", neuron.current_decay) is not None and self.chance(0.4):
            options["initial_current_64ths"] = self.initial(shape, high)
        return replace(neuron, **options)

    def initial(self, shape: Shape, high: int) -> Any:
        """An integer membrane or current."""
        value = self.each(shape, -min(high * 64, STATE_MAX), min(high * 64, STATE_MAX))
        return self.pick(value, value, value, STATE_MAX, -STATE_MAX)

    # --- float neurons ---

    def float_neuron(self, shape: Shape, spread: float) -> LIF:
        """Options around a plain neuron."""
        neuron = super().float_neuron(shape, spread)
        options = self.compositions(shape)
        if self.eighths and neuron.gain is not None:
            options |= {"gain": self.rounded(neuron.gain), "offset": self.rounded(neuron.offset)}
        options["reset_amount"] = None
        if options["reset"] == "subtract" and self.chance(0.4):
            options["reset_amount"] = self.each_real(shape, 0.1 * spread, 0.5 * spread)
        if options["reset"] == "value":
            options["reset_value"] = self.each_real(shape, -0.5 * spread, 0.3 * spread)
        if options["reset"] == "relative":
            options["relative_leak"] = self.pick(0.0, 1.0, self.each_real(shape, 0.0, 1.0))
        if "reset_timing" not in options and self.chance(0.3):
            options["threshold_leak"] = self.pick(0.0, 1.0, self.each_real(shape, 0.0, 1.0))
            options["threshold_step"] = self.pick(0.0, self.each_real(shape, 0.0, 0.5 * spread))
        if self.chance(0.4):
            options["lower_bound"] = self.pick(0.0, np.minimum(self.each_real(shape, -spread, 0.0), 0.0))
        if self.chance(0.4):
            options["initial_membrane"] = self.each_real(shape, -spread, spread)
        if neuron.current_leak is not None and self.chance(0.4):
            options["initial_current"] = self.each_real(shape, -spread, spread)
        return replace(neuron, **options)

    # --- readouts ---

    def readout(self, shape: Shape) -> Neuron:
        plain, options = super().readout(shape), dict[str, Any]()
        if self.fixed:
            if self.chance(0.5):
                options["membrane_decay"] = self.each(shape, *self.precision.membrane_decay_range())
            if self.chance(0.4):
                options["current_decay"] = self.each(shape, *self.precision.current_decay_range())
                options["initial_current_64ths"] = self.pick(0, self.initial(shape, 100))
            options["initial_membrane_64ths"] = self.pick(0, 0, self.initial(shape, 100))
        else:
            if self.chance(0.5):
                options["leak"] = self.each_real(shape, 0.0, 1.0)
            if self.chance(0.4):
                options["current_leak"] = self.each_real(shape, 0.0, 1.0)
                options["initial_current"] = self.pick(0.0, self.each_real(shape, -1.0, 1.0))
            options["initial_membrane"] = self.pick(0.0, self.each_real(shape, -1.0, 1.0))
        return replace(plain, **options)


def limits_case(rng: np.random.Generator, *, pools: bool = True) -> OptionsCase:
    """One layer with options at the limits of the integers: networks.py's edge case, with other neurons.

    Without `pools`, no population pools its sums.
    """
    network, events = edge_case(rng)
    draw = OptionsDraw(rng, True, events.steps)
    edge = network["edge"]
    neuron = edge.neuron
    assert isinstance(neuron, FixedLIF)
    ends = [-STATE_MAX, -STATE_MAX + 1, -1, 0, 1, STATE_MAX - 1, STATE_MAX]

    def each(*values: int) -> Any:
        return rng.choice(values, edge.shape)

    options = draw.compositions((1,))
    fixed_amount = options["reset"] == "subtract" and draw.chance(0.6)
    options["reset_amount_64ths"] = each(1, 64, 2**22, STATE_MAX) if fixed_amount else None
    if options["reset"] == "value":
        options["reset_value_64ths"] = each(*ends)
    if options["reset"] == "relative":
        options["relative_decay"] = each(0, 1, 4095, 4096)
    if "reset_timing" not in options and draw.chance(0.5):
        options |= {"threshold_decay": each(0, 1, 4095, 4096), "threshold_step_64ths": each(0, 1, STATE_MAX)}
    if draw.chance(0.5):
        options["lower_bound_64ths"] = each(0, -1, -STATE_MAX + 1, -STATE_MAX)
    options["initial_membrane_64ths"] = each(*ends)
    if neuron.current_decay is not None:
        options["initial_current_64ths"] = each(*ends)
    if draw.chance(0.3):
        limit, shift = 2**15, draw.pick(0, 1, 15, 30)
        options |= {"gain": rng.choice([-limit, -1, 0, 1, limit - 1], (events.steps, 1)), "gain_shift": shift}
        options["offset_64ths"] = rng.choice(ends, (events.steps, *edge.shape))
    if options.get("max_spikes", 1) > TRACED:  # what they send has to fit 32 bits behind the layer
        projections = tuple(replace(p, exponent=0) if p.target == "out" else p for p in network.projections)
        network = replace(network, projections=projections)
    populations = tuple(
        replace(p, neuron=replace(neuron, **options)) if p is edge
        else replace(p, neuron=FixedReadout(4095, 7, draw.pick(None, 0, 4096), draw.pick(None, 0, 4095)))
        if p.name == "out" else p
        for p in network.populations
    )  # fmt: skip
    traces = {} if options.get("max_spikes", 1) > 1 else network.sam
    answers = {"out": draw.pick("last", "mean", "max"), "edge": draw.pick("last", "mean", "max", "count")}
    projections = tuple(network.projections)
    if pools and draw.chance(0.4):  # each neuron takes the larger of two sums of the same kind
        channels, first = edge.shape[0], projections[0]
        pairs = np.stack([first.synapse.weight, rng.permutation(first.synapse.weight)], axis=1)
        both = Sparse.from_dense(pairs.reshape(2 * channels, -1), (channels, 1, 2))
        projections = (replace(first, synapse=both), *projections[1:])
        populations = tuple(
            replace(p, shape=(channels, 1, 1), pool=MaxPool2d((1, 2))) if p.name == "edge" else p for p in populations
        )
    network = replace(network, populations=populations, projections=projections, sam=traces, outputs=answers)
    return network, Inputs({"in": events})
