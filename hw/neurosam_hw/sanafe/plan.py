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

from neurosam.metrics.connections import fan_out
from neurosam.network.elements import Population
from neurosam.network.precision import Precision
from neurosam.network.synapse import neurons
from neurosam.signals.inputs import Inputs
from neurosam_hw.mapping.mapping import CoreMapping
from neurosam_hw.mapping.reach import KINDS, kind
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
    synapses : int
        Of all projections.
    """

    steps: int
    own_steps: int
    groups: tuple[Group, ...]
    projections: tuple[tuple[str, str, str], ...]
    synapses: int

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
    trains = _trains(mapping, inputs)
    groups = []
    for population in network.populations:
        name, start, size = population.name, schedule.depths[population.name], neurons(population.shape)
        kinds = [kind(projection) for projection in network.incoming(name)]
        soma = trains[name] if population.neuron is None else _somas(population, network.precision, start)
        late = _late_bias(population, network.precision) if start else ()
        cores = _cores(mapping, population)
        groups.append(Group(name, names[name], size, start, next(iter(kinds), KINDS[0]), soma, late, cores))
    return Plan(
        schedule.steps(inputs.steps),
        inputs.steps,
        tuple(groups),
        tuple((names[p.source], names[p.target], kind(p)) for p in network.projections),
        sum(int(fan_out(p, network[p.source].shape).sum()) for p in network.projections),
    )


def _group_name(name: str, index: int) -> str:
    """A name that SANA-FE reads as one word; those that are kept begin with a letter, so none is like another."""
    return name if WORD.fullmatch(name) else f"_{index}_" + re.sub(r"[^A-Za-z0-9]", "_", name)


def _somas(population: Population, precision: Precision | None, start: int) -> tuple[Run, ...]:
    """Attributes of neurons, with the bias where it acts from the beginning."""
    columns = {"soma_hw_name": "lif", **attributes(population, precision)}
    if not start:
        columns["bias"] = biases(population, precision)
    return _runs(columns, neurons(population.shape))


def _late_bias(population: Population, precision: Precision | None) -> tuple[Run, ...]:
    """Biases that are not 0."""
    runs = _runs({"bias": biases(population, precision)}, neurons(population.shape))
    return tuple((first, stop, found["bias"]) for first, stop, found in runs if found["bias"])


def _trains(mapping: CoreMapping, inputs: Inputs) -> dict[str, tuple[Run, ...]]:
    """The input unit of each input neuron, of which each core has its own, and the steps in which it fires: 0 and 1."""
    used = np.zeros(mapping.cores, dtype=np.int64)
    found = {}
    for name, events in inputs.items():
        cores = mapping.core_of(name)
        order = np.argsort(cores, kind="stable")
        unit = np.empty(cores.size, dtype=np.int64)
        unit[order] = used[cores[order]] + np.arange(cores.size) - np.searchsorted(cores[order], cores[order])
        used += np.bincount(cores, minlength=mapping.cores)
        train = np.zeros((cores.size, events.steps), dtype=np.int64)
        train[events.neuron, events.time] = 1
        found[name] = tuple(
            (i, i + 1, {"soma_hw_name": f"input[{unit[i]}]", "spikes": train[i].tolist()}) for i in range(cores.size)
        )
    return found


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
