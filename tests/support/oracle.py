"""The slow, obvious statement of what a network does: plain numbers, loops and ifs, in global time; for tests.

Nothing here uses `neurosam.arithmetic`, `neurosam.network.schedule` or a back end. Things are stated in another form
than in the library, so that each checks the other: there is a global clock g; population p acts while ``first <= g -
onset(p) < first + T``, where `first` is the number of steps that the state has behind it; a projection delivers what
its source emitted at the global step ``g - delay`` (the library: own time and lags). Neurons are support.scalar's,
synapses support.delivery's and scores support.scores'.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from neurosam.network.elements import Population
from neurosam.network.fixed_neuron import FixedLIF
from neurosam.network.network import Network
from neurosam.network.neuron import LIF
from neurosam.signals.events import Events
from neurosam.signals.recording import Record, Recording, Spikes
from neurosam.signals.state import State
from support.delivery import Values, deliver, largest, operations
from support.scalar import Cell, cells, float_neuron, integer_neuron
from support.scores import contribution
from support.states import Neurons, at_end, at_start, global_onsets

__all__ = ["simulate"]


def _order(network: Network) -> list[Population]:
    """Populations with neurons, so that whoever is read in the same global step (delay 0) comes first."""
    waiting = [p for p in network.populations if p.neuron is not None]
    done = [p.name for p in network.populations if p.neuron is None]
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


# --- one sample -------------------------------------------------------------------------------------------------------


def _advance(network: Network, population: Population, state: Neurons, arriving: Values, t: int) -> None:
    """Own step `t` of one population."""
    trace = network.sam.get(population.name)
    answer = network.answers.get(population.name)
    emitted, scores = [], []
    for k, a in enumerate(arriving):
        cell, life = state.cells[k], state.lives[k]
        if network.fixed:
            spikes, saturated, wrapped = integer_neuron(cell, life, t, a)
            state.saturated += saturated
            state.wrapped += wrapped
        else:
            spikes = float_neuron(cell, life, t, a)
        score: Any = 0
        if spikes:
            state.times[k].append(t)
            state.spikes[k].append(spikes)
            if trace is not None:
                score = contribution(trace, state.times[k], state.spikes[k], state.past[k])
        emitted.append(spikes)
        scores.append(score)
        if answer == "count":
            state.answer[k] += spikes
        elif answer == "mean":
            state.answer[k] += life.v
        elif answer == "max" and life.v > state.answer[k]:
            state.answer[k] = life.v
    state.emitted[t] = emitted
    state.membrane.append([life.v for life in state.lives])
    state.current.append([life.u for life in state.lives])
    state.scores.append(scores)


def _sample(
    network: Network, frames: dict[str, list[Values]], steps: int, groups: dict[str, list[Cell]],
    initial: State | None, b: int, done: dict[str, int],
) -> dict[str, Neurons]:  # fmt: skip
    """Run sample `b`; `frames` holds the values of each input by own step. Adds up the operations `done`."""
    onset = global_onsets(network)
    first = 0 if initial is None else initial.step
    zero = 0 if network.fixed else 0.0
    states = {p.name: at_start(network, p, groups.get(p.name, []), initial, b) for p in network.populations}
    for name, sent in ({} if initial is None else initial.recent).items():
        for n, values in enumerate(sent[:, b]):
            states[name].emitted[first - len(sent) + n] = values.reshape(-1).tolist()
    for name, frame in frames.items():
        states[name].emitted.update({first + t: values for t, values in enumerate(frame)})
    order = _order(network)
    for g in range(first, first + max(onset.values()) + steps):
        for population in order:
            t = g - onset[population.name]
            if not first <= t < first + steps:
                continue
            drive = network.drive_shape(population.name)
            arriving = [zero] * math.prod(drive)
            for projection in network.incoming(population.name):
                sent_at = g - projection.delay - onset[projection.source]  # the source's own step
                if sent_at >= 0:
                    x, shape = states[projection.source].emitted[sent_at], network[projection.source].shape
                    added = deliver(projection, x, shape)
                    done[projection.label] += operations(projection, x, shape)
                    arriving = [p + q for p, q in zip(arriving, added, strict=True)]
            if population.pool is not None:
                arriving = largest(arriving, drive, population.pool)
            _advance(network, population, states[population.name], arriving, t)
    return states


# --- the whole run ----------------------------------------------------------------------------------------------------


def simulate(
    network: Network, events: Events | Mapping[str, Events], initial: State | None = None, keep_state: bool = False
) -> Recording:
    """Run every sample and record everything (``Record.everything(network)``)."""
    record = Record.everything(network)
    inputs = {network.input.name: events} if isinstance(events, Events) else dict(events)
    steps, samples = next((e.steps, e.samples) for e in inputs.values())
    counts = {p.name: np.zeros((steps, samples), dtype=np.int64) for p in network.populations if p.fires}
    frames = [
        {name: [[0 if network.fixed else 0.0] * math.prod(e.shape) for _ in range(steps)] for name, e in inputs.items()}
        for _ in range(samples)
    ]
    for name, given in inputs.items():
        for e in range(len(given)):
            t, b, k = int(given.time[e]), int(given.sample[e]), int(given.neuron[e])
            value = 1 if given.value is None else given.value[e]
            frames[b][name][t][k] = int(value) if network.fixed else float(value)
            counts[name][t, b] += 1
    done = {projection.label: 0 for projection in network.projections}
    groups = {p.name: cells(p.neuron, network.precision, p.shape) for p in network.populations if p.neuron is not None}
    runs = [_sample(network, frame, steps, groups, initial, b, done) for b, frame in enumerate(frames)]

    first = 0 if initial is None else initial.step
    number = np.int32 if network.fixed else np.float64

    def stack(name: str, variable: str, dtype: Any) -> npt.NDArray[Any]:
        shape = network[name].shape
        out = np.zeros((steps, samples, *shape), dtype=dtype)
        for b, run in enumerate(runs):
            values = getattr(run[name], variable)
            rows = [values[first + t] for t in range(steps)] if variable == "emitted" else values
            out[:, b] = np.array(rows, dtype=dtype).reshape(steps, *shape)
        return out

    spikes = {}
    for name in record.spikes:
        dense = stack(name, "emitted", np.int64)
        counts[name] += dense.sum(axis=tuple(range(2, dense.ndim)))
        neuron = network[name].neuron
        assert isinstance(neuron, (LIF, FixedLIF))
        spikes[name] = Spikes.from_dense(dense, graded=neuron.max_spikes > 1)
    sam = {}
    for name in record.sam:
        channels, *pixels = network[name].shape
        scores = stack(name, "scores", number).reshape(steps, samples, channels, *(pixels or (1, 1)))
        sam[name] = scores.sum(axis=2, dtype=number)
    output, *others = (_answer(network, name, runs, first + steps) for name in network.answers)

    def tally(variable: str) -> dict[str, npt.NDArray[np.int64]]:
        names = groups if network.fixed else ()
        return {name: np.array([getattr(run[name], variable) for run in runs], dtype=np.int64) for name in names}

    return Recording(
        backend="oracle", steps=steps, samples=samples, output=output, spikes=spikes, sam=sam,
        sam_scale={name: float(getattr(network.sam[name], "impulse", 1)) for name in record.sam},
        membrane={name: stack(name, "membrane", number) for name in record.membrane},
        current={name: stack(name, "current", number) for name in record.current}, counts=counts, operations=done,
        other_outputs=dict(zip(list(network.answers)[1:], others, strict=True)),
        saturated=tally("saturated"), wrapped=tally("wrapped"),
        state=at_end(network, runs, first + steps) if keep_state else None,
    )  # fmt: skip


def _answer(network: Network, name: str, runs: list[dict[str, Neurons]], steps: int) -> npt.NDArray[Any]:
    """The answer of an output population after `steps` own steps."""
    answer, size = network.answers[name], math.prod(network[name].shape)
    number: Any = np.int32 if network.fixed else np.float64
    out = np.zeros((len(runs), size), {"last": number, "max": number, "mean": np.float64, "count": np.int64}[answer])
    for b, run in enumerate(runs):
        for k in range(size):
            if answer == "last":
                out[b, k] = run[name].lives[k].v
            elif answer == "mean":
                out[b, k] = run[name].answer[k] / steps
            else:
                out[b, k] = run[name].answer[k]
    return out
