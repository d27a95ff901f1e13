"""SANA-FE's results of a run held against neurosam's: every spike, every count and cost of every step.

Both cover the same hardware steps, in which populations go on until the last one has made its own steps. SANA-FE counts
inputs as neurons that fire and are updated; its "spikes" are synaptic operations. Its energies are sums over causes:

    synapse    synapses                      soma    neurons                      network    packets, hops
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from neurosam.metrics.connections import spikes_of
from neurosam.network.synapse import neurons
from neurosam.signals.events import Events
from neurosam.signals.inputs import Inputs
from neurosam.signals.recording import Recording
from neurosam_hw.cost.counts import count
from neurosam_hw.cost.duration import duration
from neurosam_hw.cost.ledger import energies
from neurosam_hw.cost.work import Work, work
from neurosam_hw.errors import MappingError
from neurosam_hw.mapping.mapping import CoreMapping
from neurosam_hw.mapping.schedule import HardwareSchedule
from neurosam_hw.sanafe.results import Results
from neurosam_hw.sanafe.write import silent_after, whole_run

Array = npt.NDArray[Any]

__all__ = ["TOLERANCE", "Comparison", "CostTally", "CountTally", "SpikeTally", "compare_results", "compared"]

TOLERANCE = 1e-9
"""Largest relative difference of a cost: sums of the same numbers in another order."""

UNITS = {"sim_time": "s", "synapse_energy": "J", "soma_energy": "J", "network_energy": "J"}
CAUSES = {"synapse_energy": ("synapses",), "soma_energy": ("neurons",), "network_energy": ("packets", "hops")}


@dataclass(frozen=True)
class SpikeTally:
    """Spikes of a population in the hardware steps of a run.

    Parameters
    ----------
    population : str
    ours, theirs : int
        Spikes.
    differ : int
        Neuron-steps in which one fires and the other does not.
    first : (int, int), optional
        Own step and neuron of the first difference.
    """

    population: str
    ours: int
    theirs: int
    differ: int
    first: tuple[int, int] | None


@dataclass(frozen=True)
class CountTally:
    """Something that is counted in every step.

    Parameters
    ----------
    name : str
    ours, theirs : int
        Over all steps.
    first : int, optional
        First hardware step in which it differs.
    """

    name: str
    ours: int
    theirs: int
    first: int | None

    @property
    def equal(self) -> bool:
        """Whether it is the same in every step."""
        return self.first is None


@dataclass(frozen=True)
class CostTally:
    """An energy or a time.

    Parameters
    ----------
    name, unit : str
    ours, theirs : float
        Over all steps.
    difference : float
        Largest relative difference in a step.
    equal : bool
        Whether that is within the tolerance.
    """

    name: str
    unit: str
    ours: float
    theirs: float
    difference: float
    equal: bool


@dataclass(frozen=True)
class Comparison:
    """A run on SANA-FE and here."""

    steps: int
    spikes: tuple[SpikeTally, ...]
    counts: tuple[CountTally, ...]
    costs: tuple[CostTally, ...]

    @property
    def equal(self) -> bool:
        """Whether all spikes and counts are the same, and all costs but for rounding."""
        counts, costs = (all(x.equal for x in some) for some in (self.counts, self.costs))
        return counts and costs and not any(tally.differ for tally in self.spikes)


def compare_results(
    mapping: CoreMapping,
    events: Events | Mapping[str, Events],
    results: Results,
    *,
    sample: int = 0,
    tolerance: float = TOLERANCE,
) -> Comparison:
    """Run the network here, and compare what SANA-FE made of its export.

    Parameters
    ----------
    mapping, events, sample
        As they were given to :func:`neurosam_hw.sanafe.export`.
    results : Results
        As :func:`neurosam_hw.sanafe.read_results` reads them.
    tolerance : float
        Largest relative difference of energies and times in a step: 1e-9, or 1e-6 for files of SANA-FE's command line,
        which have seven digits.
    """
    inputs = Inputs.of(mapping.network, events).select(sample, sample + 1)
    whole = silent_after(mapping.network, inputs)
    return compared(mapping, whole_run(mapping.network, inputs), whole, results, tolerance)


def compared(
    mapping: CoreMapping, recording: Recording, inputs: Inputs, results: Results, tolerance: float = TOLERANCE
) -> Comparison:
    """The same with a recording that is there: of one sample, for as many own steps as SANA-FE ran hardware steps."""
    steps = recording.steps
    found = work(count(mapping, recording, inputs, steps=steps))
    counted, spent = _counts(found, inputs), _spent(mapping, found, steps)
    return Comparison(
        steps,
        tuple(_tally(mapping, name, _fired(mapping, recording, inputs, name), x) for name, x in results.fired.items()),
        tuple(_count(name, counted[name], theirs) for name, theirs in results.counts.items()),
        tuple(_cost(name, spent[name], theirs, tolerance) for name, theirs in results.costs.items()),
    )


def _fired(mapping: CoreMapping, recording: Recording, inputs: Inputs, name: str) -> npt.NDArray[np.bool_]:
    """Spikes of a population in hardware steps, ``[S, N]``."""
    population, steps = mapping.network[name], recording.steps
    found = np.zeros((steps, neurons(population.shape)), dtype=np.bool_)
    if population.fires:
        sent = inputs[name] if population.neuron is None else spikes_of(recording, population, "sanafe")
        start = HardwareSchedule.of(mapping.network).depths[name]
        found[start:] = sent.dense().reshape(found.shape)[: steps - start]
    return found


def _tally(mapping: CoreMapping, name: str, ours: Array, theirs: Array) -> SpikeTally:
    """CountTally the spikes of a population, and find the first that differs."""
    differing = np.argwhere(ours != theirs)
    start = HardwareSchedule.of(mapping.network).depths[name]
    first = None if not len(differing) else (int(differing[0, 0]) - start, int(differing[0, 1]))
    return SpikeTally(name, int(ours.sum()), int(theirs.sum()), len(differing), first)


def _counts(found: Work, inputs: Inputs) -> dict[str, Array]:
    """Our counts of each step by SANA-FE's names: ``[S]``."""
    events = sum((sent.counts()[:, 0] for sent in inputs.values()), start=np.zeros(inputs.steps, dtype=np.int64))
    return {
        "fired": _each_step(found, "spikes") + events,
        "updated": _each_step(found, "active") + events,
        "packets": _each_step(found, "packets"),
        "hops": _each_step(found, "hops"),
        "spikes": _each_step(found, "deliveries"),
    }


def _spent(mapping: CoreMapping, found: Work, own_steps: int) -> dict[str, Array]:
    """Our costs of each step by SANA-FE's names: ``[S]``."""
    chip = mapping.chip
    spent = {name: energies(chip, found, causes)[:, 0].sum(axis=-1) for name, causes in CAUSES.items()}
    took = duration(mapping, own_steps, found)
    if took.step is None:
        raise MappingError(
            f"chip {mapping.chip.name}", f"gives no time of a step: {', '.join(took.missing)} is missing"
        )
    return {"sim_time": took.step.value[:, 0], **spent}


def _each_step(found: Work, name: str) -> Array:
    """A count of each step over all cores, ``[S]``."""
    number = found[name]
    if number is None:
        raise MappingError("comparison", f"needs the count {name!r}; record the membranes")
    total: Array = number[:, 0].sum(axis=-1)
    return total


def _count(name: str, ours: Array, theirs: Array) -> CountTally:
    differing = np.flatnonzero(ours != theirs)
    return CountTally(name, int(ours.sum()), int(theirs.sum()), int(differing[0]) if differing.size else None)


def _cost(name: str, ours: Array, theirs: Array, tolerance: float) -> CostTally:
    apart, size = np.abs(ours - theirs), np.maximum(np.abs(ours), np.abs(theirs))
    difference = float(np.divide(apart, size, out=np.zeros_like(apart), where=size > 0).max())
    return CostTally(name, UNITS[name], float(ours.sum()), float(theirs.sum()), difference, difference <= tolerance)
