"""What is written for SANA-FE, before it is written: groups of neurons with their attributes, cores and input.

SANA-FE counts its steps from 1; here they are counted from 0, as everywhere. Own step t of a population is hardware
step ``t + start``. Groups are named like populations, but for names that SANA-FE could not take for one word.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from neurosam.network.elements import Population
from neurosam.network.synapse import neurons
from neurosam.signals.events import Events
from neurosam.signals.inputs import Inputs
from neurosam_hw.mapping.mapping import CoreMapping
from neurosam_hw.mapping.reach import kind
from neurosam_hw.mapping.schedule import HardwareSchedule
from neurosam_hw.sanafe.architecture import number
from neurosam_hw.sanafe.neurons import attributes, biases

__all__ = ["Group", "Plan", "Run", "plan"]

Run = tuple[int, int, Any]
"""From the first to before the last neuron, and what they have in common."""

WORD = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
"""A name that is one word in SANA-FE's files, where a dot separates a group from a neuron."""


@dataclass(frozen=True)
class Group:
    """A population as SANA-FE's group of neurons.

    Parameters
    ----------
    population, name : str
        Name here and there.
    size : int
        Number of neurons.
    start : int
        Hardware step of the population's own step 0.
    synapse : str
        Unit of the synapses onto it; of its first projection if they are of several kinds.
    soma : tuple of Run
        Attributes of the neurons.
    late_bias : tuple of Run
        Biases that act from step `start` on: files can only say what holds from the beginning.
    cores : tuple of Run
        Tile and core in the tile, ``"3.1"``.
    """

    population: str
    name: str
    size: int
    start: int
    synapse: str
    soma: tuple[Run, ...]
    late_bias: tuple[Run, ...]
    cores: tuple[Run, ...]


@dataclass(frozen=True)
class Plan:
    """A network for SANA-FE.

    Parameters
    ----------
    steps : int
        Hardware steps to run.
    own_steps : int
        Steps of the input, and of each population's own time.
    groups : tuple of Group
        In the order of the network's populations.
    projections : tuple of (source group, target group, kind of synapse)
        In the network's order.
    """

    steps: int
    own_steps: int
    groups: tuple[Group, ...]
    projections: tuple[tuple[str, str, str], ...]

    @property
    def mixed(self) -> bool:
        """Whether a group has synapses of several kinds, which only the Python interface can say."""
        kinds: dict[str, set[str]] = {}
        for _, target, synapse in self.projections:
            kinds.setdefault(target, set()).add(synapse)
        return any(len(found) > 1 for found in kinds.values())


def plan(mapping: CoreMapping, inputs: Inputs) -> Plan:
    """The plan of a mapped network for the input of one sample, both of which SANA-FE can say (refusals.py)."""
    network, schedule = mapping.network, HardwareSchedule.of(mapping.network)
    names = {p.name: _group_name(p.name, i) for i, p in enumerate(network.populations)}
    kinds: dict[str, str] = {}
    for projection in reversed(network.projections):
        kinds[projection.target] = kind(projection)
    groups = []
    for population in network.populations:
        name, start = population.name, schedule.depths[population.name]
        size = neurons(population.shape)
        bias = biases(population, network.precision)
        if population.neuron is None:
            soma = _trains(mapping.core_of(name), inputs[name], size)
        else:
            columns = attributes(population, network.precision) | ({} if start else {"bias": bias})
            soma = _runs({"soma_hw_name": "lif", **columns}, size)
        late = tuple((first, stop, found["bias"]) for first, stop, found in _runs({"bias": bias}, size) if start)
        groups.append(
            Group(
                name, names[name], size, start, kinds.get(name, "dense"), soma,
                tuple(run for run in late if run[2]), _cores(mapping, population),
            )
        )  # fmt: skip
    return Plan(
        schedule.steps(inputs.steps),
        inputs.steps,
        tuple(groups),
        tuple((names[p.source], names[p.target], kind(p)) for p in network.projections),
    )


def _group_name(name: str, index: int) -> str:
    """A name that SANA-FE reads as one word; no population has one that begins with a digit's underscore."""
    return name if WORD.fullmatch(name) else f"_{index}_" + re.sub(r"[^A-Za-z0-9]", "_", name)


def _trains(cores: npt.NDArray[np.int32], events: Events, size: int) -> tuple[Run, ...]:
    """An input unit for each neuron, numbered within its core, and the steps in which it fires, as 0 and 1."""
    order = np.argsort(cores, kind="stable")
    unit = np.empty(size, dtype=np.int64)
    unit[order] = np.arange(size) - np.searchsorted(cores[order], cores[order])
    train = np.zeros((size, events.steps), dtype=np.int64)
    train[events.neuron, events.time] = 1
    return tuple((i, i + 1, {"soma_hw_name": f"input[{unit[i]}]", "spikes": train[i].tolist()}) for i in range(size))


def _cores(mapping: CoreMapping, population: Population) -> tuple[Run, ...]:
    """Where neurons are, in SANA-FE's words."""
    per_tile = int(number(mapping.chip, "noc.cores_per_tile"))
    core = mapping.positions[mapping.core_of(population.name), 1]
    return tuple(
        (first, stop, "{}.{}".format(*divmod(found["core"], per_tile)))
        for first, stop, found in _runs({"core": core}, core.size)
    )


def _runs(columns: Mapping[str, Any], size: int) -> tuple[Run, ...]:
    """Neighbours that have everything in common: arrays have a value for each neuron, other values are for all."""
    changes = np.zeros(size, dtype=bool)
    changes[:1] = True
    for column in columns.values():
        if isinstance(column, np.ndarray):
            changes[1:] |= column[1:] != column[:-1]
    starts = np.flatnonzero(changes).tolist()
    return tuple(
        (first, stop, {name: c[first].item() if isinstance(c, np.ndarray) else c for name, c in columns.items()})
        for first, stop in zip(starts, [*starts[1:], size], strict=True)
    )
