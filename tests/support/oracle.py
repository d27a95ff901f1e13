"""The slow, obvious statement of what a network does: plain numbers, loops and ifs, in global time; for tests.

Nothing here uses `neurosam.arithmetic`, `neurosam.network.schedule` or a back end. Things are stated in another form
than in the library, so that each checks the other: there is a global clock g; population p acts while ``0 <= g -
onset(p) < T``; a projection delivers what its source emitted at the global step ``g - delay`` (the library: own time
and lags). Neurons and scores are support.scalar's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from neurosam.network.elements import Population, Projection
from neurosam.network.fixed_neuron import FixedLIF, FixedReadout
from neurosam.network.network import Network
from neurosam.network.synapse import Conv2d, Dense, SumPool2d, Synapse
from neurosam.signals.events import Events
from neurosam.signals.recording import Record, Recording, Spikes
from support.scalar import contribution, fixed_neuron, float_neuron

__all__ = ["deliver", "global_onsets", "simulate"]

Values = list[Any]  # of one population, flat in C order: ints or floats
Shape = tuple[int, ...]

# --- synapses ---------------------------------------------------------------------------------------------------------


def _side(size: int, kernel: int, stride: int, padding: int, dilation: int) -> int:
    return (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1


def _pool(x: Values, shape: Shape, pool: SumPool2d) -> tuple[Values, Shape]:
    (kh, kw), (sh, sw), (ph, pw) = pool.geometry
    channels, height, width = shape
    rows, columns = _side(height, kh, sh, ph, 1), _side(width, kw, sw, pw, 1)
    out = []
    for c in range(channels):
        for yo in range(rows):
            for xo in range(columns):
                total = 0
                for y in range(yo * sh - ph, yo * sh - ph + kh):
                    for x_ in range(xo * sw - pw, xo * sw - pw + kw):
                        if 0 <= y < height and 0 <= x_ < width:
                            total += x[(c * height + y) * width + x_]
                out.append(total)
    return out, (channels, rows, columns)


def _convolve(x: Values, shape: Shape, conv: Conv2d) -> Values:
    (sh, sw), (ph, pw), (dh, dw) = conv.geometry
    weight = conv.weight.tolist()
    outputs, per_group, kh, kw = conv.weight.shape
    _, height, width = shape
    out = []
    for o in range(outputs):
        first = o // (outputs // conv.groups) * per_group  # first input channel of this output's group
        for yo in range(_side(height, kh, sh, ph, dh)):
            for xo in range(_side(width, kw, sw, pw, dw)):
                total = 0
                for c in range(per_group):
                    for ky in range(kh):
                        for kx in range(kw):
                            y, x_ = yo * sh + ky * dh - ph, xo * sw + kx * dw - pw
                            if 0 <= y < height and 0 <= x_ < width:
                                total += weight[o][c][ky][kx] * x[((first + c) * height + y) * width + x_]
                out.append(total)
    return out


def _weigh(x: Values, shape: Shape, synapse: Synapse) -> Values:
    if isinstance(synapse, Conv2d):
        return _convolve(x, shape, synapse)
    if isinstance(synapse, Dense):
        return [sum(w * s for w, s in zip(row, x, strict=True)) for row in synapse.weight.tolist()]
    start, source, weight = synapse.indptr.tolist(), synapse.indices.tolist(), synapse.weight.tolist()
    return [sum(weight[k] * x[source[k]] for k in range(start[o], start[o + 1])) for o in range(len(start) - 1)]


def deliver(projection: Projection, x: Values, shape: Shape) -> Values:
    """What one projection adds to every target in one step."""
    if projection.pool is not None:
        x, shape = _pool(x, shape, projection.pool)
    total = _weigh(x, shape, projection.synapse)
    if projection.exponent > 0:
        return [a * 2**projection.exponent for a in total]
    if projection.exponent < 0:
        return [a // 2**-projection.exponent for a in total]
    return total


def _operations(projection: Projection, x: Values, shape: Shape) -> int:
    """Weights that the events among `x` meet: every weight counted as 1, every event as 1 at each of its addresses."""
    ones = replace(projection.synapse, weight=np.ones_like(projection.synapse.weight))
    return int(sum(deliver(replace(projection, synapse=ones, exponent=0), [int(value != 0) for value in x], shape)))


# --- the whole network ------------------------------------------------------------------------------------------------


def global_onsets(network: Network) -> dict[str, int]:
    """Global step at which each population starts: as given, else the earliest arrival (by relaxation)."""
    start: dict[str, float] = {p.name: math.inf if p.onset is None else p.onset for p in network.populations}
    start.update({p.name: p.onset or 0 for p in network.inputs})
    changed = True
    while changed:
        changed = False
        for projection in network.projections:
            reach = start[projection.source] + projection.delay
            if network[projection.target].onset is None and reach < start[projection.target]:
                start[projection.target] = reach
                changed = True
    return {name: int(step) for name, step in start.items()}


def _order(network: Network) -> list[Population]:
    """Populations with neurons, so that whoever is read in the same global step (delay 0) comes first."""
    waiting = [p for p in network.populations if p.neuron is not None]
    done = [network.input.name]
    ordered = []
    while waiting:
        for population in waiting:
            if all(p.source in done for p in network.incoming(population.name) if p.delay == 0):
                break
        else:
            raise ValueError("a cycle without delay")
        waiting.remove(population)
        done.append(population.name)
        ordered.append(population)
    return ordered


@dataclass
class _Neurons:
    """State and history of one population for one sample."""

    u: Values
    v: Values
    emitted: list[Values] = field(default_factory=list)  # by own step
    times: list[list[int]] = field(default_factory=list)  # spike times of each neuron
    membrane: list[Values] = field(default_factory=list)
    current: list[Values] = field(default_factory=list)
    scores: list[Values] = field(default_factory=list)  # of each neuron in each own step; 0 without a spike


def _advance(network: Network, population: Population, state: _Neurons, arriving: Values, t: int) -> None:
    """Own step `t` of one population."""
    neuron = population.neuron
    assert neuron is not None
    pixels = len(arriving) // population.shape[0]
    trace = network.sam.get(population.name)
    spikes, scores = [], []
    for k, a in enumerate(arriving):
        if isinstance(neuron, (FixedLIF, FixedReadout)):
            assert network.precision is not None
            state.u[k], state.v[k], spike = fixed_neuron(
                network.precision, neuron, k // pixels, t, state.u[k], state.v[k], a
            )
        else:
            state.u[k], state.v[k], spike = float_neuron(neuron, k // pixels, t, state.u[k], state.v[k], a)
        spikes.append(1 if spike else 0)
        if spike:
            state.times[k].append(t)
        scores.append(contribution(trace, state.times[k]) if spike and trace is not None else 0)
    state.emitted.append(spikes)
    state.membrane.append(list(state.v))
    state.current.append(list(state.u))
    state.scores.append(scores)


def _sample(network: Network, frames: list[Values], operations: dict[str, int]) -> dict[str, _Neurons]:
    """Run one sample; `frames` holds the input's values in each of its own steps. Adds up `operations`."""
    steps = len(frames)
    onset = global_onsets(network)
    zero = 0 if network.fixed else 0.0
    states = {}
    for p in network.populations:
        size = math.prod(p.shape)
        states[p.name] = _Neurons([zero] * size, [zero] * size, times=[[] for _ in range(size)])
    states[network.input.name].emitted = frames
    order = _order(network)
    for g in range(max(onset.values()) + steps):
        for population in order:
            t = g - onset[population.name]
            if not 0 <= t < steps:
                continue
            arriving = [zero] * math.prod(population.shape)
            for projection in network.incoming(population.name):
                sent = g - projection.delay - onset[projection.source]  # the source's own step
                if 0 <= sent < steps:
                    x, shape = states[projection.source].emitted[sent], network[projection.source].shape
                    added = deliver(projection, x, shape)
                    operations[projection.label] += _operations(projection, x, shape)
                    arriving = [a + b for a, b in zip(arriving, added, strict=True)]
            _advance(network, population, states[population.name], arriving, t)
    return states


def simulate(network: Network, events: Events) -> Recording:
    """Run every sample and record everything (``Record.everything(network)``)."""
    record = Record.everything(network)
    steps, samples = events.steps, events.samples
    frames = [
        [[0 if network.fixed else 0.0] * math.prod(network.input.shape) for _ in range(steps)] for _ in range(samples)
    ]
    counts = {p.name: np.zeros((steps, samples), dtype=np.int64) for p in network.populations if p.fires}
    for e in range(len(events)):
        t, b, k = int(events.time[e]), int(events.sample[e]), int(events.neuron[e])
        value = 1 if events.value is None else events.value[e]
        frames[b][t][k] = int(value) if network.fixed else float(value)
        counts[network.input.name][t, b] += 1
    operations = {projection.label: 0 for projection in network.projections}
    runs = [_sample(network, sample, operations) for sample in frames]

    def stack(name: str, variable: str, dtype: Any) -> npt.NDArray[Any]:
        shape = network[name].shape
        out = np.zeros((steps, samples, *shape), dtype=dtype)
        for b, run in enumerate(runs):
            out[:, b] = np.array(getattr(run[name], variable), dtype=dtype).reshape(steps, *shape)
        return out

    number = np.int32 if network.fixed else np.float64
    spikes = {name: stack(name, "emitted", np.uint8) for name in counts if name != network.input.name}
    for name, dense in spikes.items():
        counts[name] += dense.sum(axis=tuple(range(2, dense.ndim)), dtype=np.int64)
    out = network.readout
    if out.fires:
        output = spikes[out.name].sum(axis=0, dtype=np.int64)
    else:
        output = stack(out.name, "membrane", number)[-1]
    sam = {}
    for name in record.sam:
        channels, *pixels = network[name].shape
        scores = stack(name, "scores", number).reshape(steps, samples, channels, *(pixels or (1, 1)))
        sam[name] = scores.sum(axis=2, dtype=number)
    return Recording(
        backend="oracle", steps=steps, samples=samples, output=output.reshape(samples, math.prod(out.shape)),
        spikes={name: Spikes.from_dense(spikes[name]) for name in record.spikes}, sam=sam,
        sam_scale={name: float(getattr(network.sam[name], "impulse", 1)) for name in record.sam},
        membrane={name: stack(name, "membrane", number) for name in record.membrane},
        current={name: stack(name, "current", number) for name in record.current}, counts=counts, operations=operations,
    )  # fmt: skip
