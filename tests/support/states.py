"""The state of a network in plain Python: onsets, what a population holds at the start of a run, and at its end.

Nothing here uses `neurosam.network.schedule` or what `neurosam.signals.state` computes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from neurosam.network.elements import Population
from neurosam.network.fixed_neuron import FixedLIF
from neurosam.network.network import Network
from neurosam.network.neuron import LIF
from neurosam.signals.state import State
from support.delivery import Values
from support.scalar import Cell, Life
from support.scores import Past, held

__all__ = ["Neurons", "at_end", "at_start", "global_onsets"]


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


def _memory(network: Network, onset: Mapping[str, int]) -> dict[str, int]:
    """For how many steps back each source is read, where it is."""
    back: dict[str, int] = {}
    for projection in network.projections:
        steps = onset[projection.source] + projection.delay - onset[projection.target]
        if steps > back.get(projection.source, 0):
            back[projection.source] = steps
    return {p.name: back[p.name] for p in network.populations if p.name in back}


@dataclass
class Neurons:
    """One population for one sample: what it is, what it holds, and its history in this run."""

    cells: list[Cell]
    lives: list[Life]
    past: list[Past]
    answer: Values  # sum, or largest, of an answer over time
    emitted: dict[int, Values] = field(default_factory=dict)  # by own step
    times: list[list[int]] = field(default_factory=list)  # at which steps each neuron fired
    spikes: list[list[int]] = field(default_factory=list)  # and how often
    membrane: list[Values] = field(default_factory=list)
    current: list[Values] = field(default_factory=list)
    scores: list[Values] = field(default_factory=list)  # of each neuron in each own step; 0 without a spike
    saturated: int = 0
    wrapped: int = 0


def at_start(network: Network, population: Population, cells_: list[Cell], state: State | None, b: int) -> Neurons:
    """A population at the beginning of a run of sample `b`."""
    neuron, name = population.neuron, population.name
    zero = 0 if network.fixed else 0.0
    size = math.prod(population.shape)
    kept = {} if state is None else {key: x[b].reshape(-1).tolist() for key, x in state.neurons.get(name, {}).items()}
    if state is None and neuron is not None:
        suffix = "_64ths" if network.fixed else ""
        for variable, parameter in (("u", "initial_current"), ("v", "initial_membrane")):
            values = np.asarray(getattr(neuron, parameter + suffix))
            values = values.reshape(-1, 1, 1) if values.ndim == 1 else values
            shape = population.shape if len(population.shape) == 3 else (size, 1, 1)
            kept[variable] = np.broadcast_to(values, shape).reshape(-1).tolist()

    def of(variable: str) -> Values:
        values: Values = kept.get(variable, [zero] * size)
        return values

    answer = network.answers.get(name)
    total: Values = [zero] * size
    if answer == "max":
        total = [-(2**31) if network.fixed else -math.inf] * size
    if state is not None and name in state.answers:
        total = state.answers[name][b].tolist()
    lives = [
        Life(u, v, int(wait), h, r) for u, v, wait, h, r in zip(*map(of, ("u", "v", "wait", "h", "r")), strict=True)
    ]
    past = [Past(trace, int(last), int(n)) for trace, last, n in zip(*map(of, ("trace", "last", "fired")), strict=True)]
    return Neurons(cells_, lives, past, total, times=[[] for _ in range(size)], spikes=[[] for _ in range(size)])


def at_end(network: Network, runs: list[dict[str, Neurons]], steps: int) -> State:
    """The state after `steps` own steps."""
    number: Any = np.int32 if network.fixed else np.float64
    samples = len(runs)

    def array(rows: list[Values], shape: tuple[int, ...], dtype: Any = number) -> npt.NDArray[Any]:
        return np.array(rows, dtype=dtype).reshape(samples, *shape)

    neurons: dict[str, dict[str, npt.NDArray[Any]]] = {}
    for population in network.populations:
        name, neuron = population.name, population.neuron
        if neuron is None:
            continue
        lives = [run[name].lives for run in runs]
        kept = {"u"} if population.has_current else set()
        if isinstance(neuron, (LIF, FixedLIF)):
            rises = neuron.threshold_leak if isinstance(neuron, LIF) else neuron.threshold_decay
            kept |= {"wait"} if neuron.refractory else set()
            kept |= {"h"} if rises is not None else set()
            kept |= {"r"} if neuron.reset == "relative" else set()
        neurons[name] = {
            variable: array(
                [[getattr(life, variable) for life in row] for row in lives], population.shape,
                np.int32 if variable == "wait" else number,
            )
            for variable in ("u", "v", "wait", "h", "r")
            if variable == "v" or variable in kept
        }  # fmt: skip
        trace = network.sam.get(name)
        if trace is not None:
            histories = [zip(run[name].times, run[name].spikes, run[name].past, strict=True) for run in runs]
            left = [[held(trace, *history) for history in row] for row in histories]
            for variable in ("trace", "last", "fired") if trace.mode == "official" else ("trace", "last"):
                rows = [[getattr(past, variable) for past in row] for row in left]
                neurons[name][variable] = array(rows, population.shape, number if variable == "trace" else np.int32)
    recent = {}
    for name, back in _memory(network, global_onsets(network)).items():
        shape = network[name].shape
        nothing = [0] * math.prod(shape)
        recent[name] = np.zeros((back, samples, *shape), number)
        for n in range(back):
            recent[name][n] = array([run[name].emitted.get(steps - back + n, nothing) for run in runs], shape)
    dtypes = {"count": np.int64, "mean": np.int64 if network.fixed else np.float64, "max": number}
    answers = {
        name: array([run[name].answer for run in runs], (math.prod(network[name].shape),), dtypes[answer])
        for name, answer in network.answers.items()
        if answer != "last"
    }
    return State(steps, samples, neurons, recent, answers)
