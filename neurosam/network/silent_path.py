"""Populations that no input reaches, and that act by themselves: by a bias, an offset or the state they start in.

Every population has a time of its own, which starts with what reaches it (schedule.py). So such a population is
connected to the network's first input by a projection without any synapse, which delivers nothing, at no cost: with the
delay that its onset is, or 0.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from neurosam.network.elements import Population, Projection
from neurosam.network.fixed_neuron import FixedLIF, FixedReadout
from neurosam.network.synapse import Sparse, neurons

__all__ = ["is_silent", "silent_paths"]

BY_ITSELF = (
    "bias", "bias_mantissa", "offset", "initial_membrane", "initial_current", "initial_membrane_64ths",
    "initial_current_64ths",
)  # fmt: skip
"""Parameters with which a neuron needs no input."""


def silent_paths(populations: Sequence[Population], projections: Sequence[Projection]) -> Iterator[Projection]:
    """The projections without synapses that let every population that acts by itself be reached."""
    first = next((p for p in populations if p.neuron is None), None)
    if first is None:
        return
    targets: dict[str, list[str]] = {}
    for projection in projections:
        targets.setdefault(projection.source, []).append(projection.target)
    reached: set[str] = set()
    _follow(targets, [p.name for p in populations if p.neuron is None], reached)
    for population in populations:
        if population.name in reached or population.pool is not None or not _acts(population):
            continue
        fixed = isinstance(population.neuron, (FixedLIF, FixedReadout))
        synapse = Sparse(
            np.zeros(neurons(population.shape) + 1, np.int64), np.zeros(0, np.int64),
            np.zeros(0, np.int8 if fixed else np.float64), neurons(first.shape), population.shape,
        )  # fmt: skip
        yield Projection(first.name, population.name, synapse, delay=population.onset or 0)
        _follow(targets, [population.name], reached)


def is_silent(projection: Projection) -> bool:
    """Whether a projection has no synapse at all, and so is none in a model."""
    return isinstance(projection.synapse, Sparse) and not projection.synapse.weight.size


def _follow(targets: dict[str, list[str]], waiting: list[str], reached: set[str]) -> None:
    """Add all that can be reached."""
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting += targets.get(name, ())


def _acts(population: Population) -> bool:
    return any(np.any(getattr(population.neuron, name, None)) for name in BY_ITSELF)
