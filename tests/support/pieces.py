"""Runs cut into pieces: random cuts, the input of each piece, and the recordings of all pieces as one.

:func:`varied` gives a network what :mod:`support.networks` does not: further inputs and outputs, answers over time, and
neurons that do not start at rest.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

import neurosam as ns
from neurosam.network.fixed_neuron import FixedLIF, FixedReadout
from neurosam.network.synapse import as_chw, neurons
from neurosam.signals.recording import Spikes
from neurosam.signals.state import State

__all__ = ["cuts", "in_pieces", "joined", "part", "varied"]

Inputs = Mapping[str, ns.Events]


def cuts(rng: np.random.Generator, steps: int) -> list[tuple[int, int]]:
    """``range(steps)`` in pieces of random length: first and last step of each."""
    inner = np.flatnonzero(rng.random(steps - 1) < rng.choice([0.2, 0.5, 1.0])) + 1
    edges = [0, *inner.tolist(), steps]
    return list(itertools.pairwise(edges))


def part(inputs: Inputs, first: int, end: int) -> dict[str, ns.Events]:
    """The steps ``first:end`` of the input."""
    return {
        name: ns.Events(
            e.time[here] - first, e.sample[here], e.neuron[here], end - first, e.samples, e.shape,
            None if e.value is None else e.value[here],
        )
        for name, e in inputs.items()
        for here in [(e.time >= first) & (e.time < end)]
    }  # fmt: skip


def in_pieces(
    network: ns.Network, inputs: Inputs, where: Sequence[tuple[int, int]], backend: str
) -> tuple[ns.Recording, State]:
    """A run cut into pieces, each from the state in which the one before ended; and the last state."""
    state: State | None = None
    pieces = []
    for first, end in where:
        record = ns.Record.everything(network)
        given = part(inputs, first, end)
        piece = ns.run(network, given, backend, record, threads=1, initial=state, keep_state=True)
        state = piece.state
        pieces.append(piece)
    assert state is not None
    return joined(pieces), state


def joined(pieces: Sequence[ns.Recording]) -> ns.Recording:
    """One recording of all steps, with the answers of the last piece and no state."""
    last = pieces[-1]

    def along_time(variable: str) -> dict[str, npt.NDArray[Any]]:
        return {
            name: np.concatenate([getattr(piece, variable)[name] for piece in pieces])
            for name in getattr(last, variable)
        }

    def spikes(name: str) -> Spikes:
        parts = [piece.spikes[name] for piece in pieces]
        graded = [x.magnitude for x in parts if x.magnitude is not None]
        return Spikes(
            np.concatenate([x.planes for x in parts]), parts[0].shape, np.concatenate(graded) if graded else None
        )

    added: dict[str, Any] = {
        kind: {name: np.add.reduce([getattr(piece, kind)[name] for piece in pieces]) for name in getattr(last, kind)}
        for kind in ("saturated", "wrapped")
    }
    timed: dict[str, Any] = {name: along_time(name) for name in ("sam", "membrane", "current", "counts")}
    return replace(
        last,
        steps=sum(piece.steps for piece in pieces),
        spikes={name: spikes(name) for name in last.spikes},
        **timed,
        **added,
        operations={name: sum(piece.operations[name] for piece in pieces) for name in last.operations},
        state=None,
    )


def varied(rng: np.random.Generator, network: ns.Network, events: ns.Events) -> tuple[ns.Network, Inputs]:
    """The same network with initial states, several inputs and several outputs, at random, and its input."""
    populations = [_started(rng, p) for p in network.populations]
    projections, inputs = list(network.projections), {network.input.name: events}
    for k in range(int(rng.integers(0, 3))):
        source = ns.Population(f"in{k}", (3, 2, 2) if k else (5,), magnitude=int(rng.choice([1, 4])))
        target = populations[int(rng.integers(1, len(network.populations)))]
        size = neurons(target.shape), neurons(source.shape)
        weight = rng.integers(-12, 16, size) if network.fixed else rng.normal(0.1, 0.5, size)
        delay = network.onsets[target.name] + int(rng.integers(0, 3))
        populations.append(source)
        projections.append(ns.Projection(source.name, target.name, ns.Dense(weight), delay=delay))
        values = rng.integers(1, source.magnitude + 1, (events.steps, events.samples, *source.shape))
        values *= rng.random(values.shape) < 0.3
        inputs[source.name] = ns.Events.from_dense(values if source.magnitude > 1 else values.astype(np.uint8))
    answering = [p for p in populations if p.neuron is not None]
    chosen = rng.permutation(len(answering))[: rng.integers(1, 4)]
    answers = {
        answering[k].name: str(rng.choice(["last", "mean", "max", *(["count"] if answering[k].fires else [])]))
        for k in chosen
    }
    return replace(network, populations=populations, projections=projections, outputs=answers), inputs


def _started(rng: np.random.Generator, population: ns.Population) -> ns.Population:
    """The same population, whose neurons may begin with a membrane and a current of their own."""
    neuron: Any = population.neuron
    if neuron is None or rng.random() < 0.5:
        return population
    shape = [(), as_chw(population.shape)[:1], as_chw(population.shape)][int(rng.integers(3))]
    fixed = isinstance(neuron, (FixedLIF, FixedReadout))

    def values() -> npt.NDArray[Any]:
        return rng.integers(-3000, 3000, shape) if fixed else rng.normal(0.0, 1.0, shape)

    suffix = "_64ths" if fixed else ""
    initial = {f"initial_membrane{suffix}": values()}
    if population.has_current:
        initial[f"initial_current{suffix}"] = values()
    return replace(population, neuron=replace(neuron, **initial))
