"""Metrics of a run: accuracy, activity and membrane updates, and all metrics under NeuroBench's names.

All are pure functions of a network, a recording and the input events, and every count is exact. Definitions are those
of NeuroBench 2.3.0 (Yik et al., "The neurobench framework for benchmarking neuromorphic computing algorithms and
systems", Nat. Commun. 16, 1545, 2025), whose harness gives the same numbers for the same network (benchmarks/
neurobench). Where it leaves a choice open, the docstring states the one made here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from neurosam.errors import NeurosamError
from neurosam.metrics.layers import neuron_layers, spiking_layers
from neurosam.metrics.operations import Operations, synaptic_operations
from neurosam.metrics.static import connection_sparsity, footprint_bytes, parameter_count
from neurosam.network.elements import Population
from neurosam.network.fixed_neuron import FixedLIF
from neurosam.network.network import Network
from neurosam.network.neuron import LIF
from neurosam.network.synapse import neurons
from neurosam.signals.events import Events
from neurosam.signals.recording import Recording

__all__ = [
    "accuracy",
    "activation_sparsity",
    "activation_sparsity_by_layer",
    "membrane_updates",
    "neurobench",
    "neuron_operations",
    "spikes_per_step",
]

LEAKY = {"subtract": 4, "zero": 4}
SYNAPTIC = {"subtract": 6, "zero": 8}
"""Operations of an update by reset, as NeuroBench has them for snnTorch's Leaky and Synaptic, without and with a
synaptic current."""

LEAKY_HAS = {
    "leak", "membrane_decay", "current_leak", "current_decay", "threshold", "fires", "reset", "reset_timing",
    "reset_amount", "reset_amount_64ths", "bias", "bias_mantissa", "bias_exponent", "gain", "gain_shift", "offset",
    "offset_64ths", "initial_membrane", "initial_membrane_64ths", "initial_current", "initial_current_64ths",
}  # fmt: skip
"""Options of neurons for which these figures hold; gain and offset are a batch norm, a module of its own there."""

Counts = npt.NDArray[np.int64]


def accuracy(recording: Recording, labels: npt.ArrayLike) -> float:
    """Fraction of samples whose largest output (the first of equals) is at the label's index.

    NeuroBench: ClassificationAccuracy; but a sample whose output is the same for all classes has no answer and counts
    as wrong, where NeuroBench's argmax answers class 0.

    Parameters
    ----------
    recording : Recording
    labels : (B,) int array
    """
    expected = np.asarray(labels)
    if expected.shape != (recording.samples,) or not expected.size:
        raise NeurosamError(
            "accuracy: labels", f"got shape {expected.shape} for {recording.samples} sample(s); one each is required"
        )
    return float(np.mean(recording.predictions == expected))


def spikes_per_step(network: Network, recording: Recording) -> dict[str, npt.NDArray[np.float64]]:
    """Spikes in each step, averaged over samples, ``[T]``, by spiking population and in its own time."""
    return {name: _counts(recording, name).mean(axis=1) for name in _firing(network)}


def activation_sparsity(network: Network, recording: Recording) -> float:
    """Fraction of (neuron, step, sample) triples without a spike (NeuroBench: ActivationSparsity).

    0 if every neuron fires in every step, 1 if none ever fires. Inputs, readouts and max poolings are not counted.
    Several spikes of a neuron in one step count as one, which needs the recorded spikes of such populations.
    """
    populations = spiking_layers(network)
    triples = sum(_triples(recording, population) for population in populations)
    if not triples:
        raise NeurosamError("activation_sparsity", "is not defined: there is no spiking population or no sample")
    return (triples - sum(_active(network, recording, p.name) for p in populations)) / triples


def activation_sparsity_by_layer(network: Network, recording: Recording) -> dict[str, float]:
    """The same by population (NeuroBench: ActivationSparsityByLayer, by the name of the module).

    A layer of which there is no step or sample has 0, as in NeuroBench.
    """
    sparsity: dict[str, float] = {}
    for population in spiking_layers(network):
        triples = _triples(recording, population)
        active = _active(network, recording, population.name)
        sparsity[population.name] = (triples - active) / triples if triples else 0.0
    return sparsity


def membrane_updates(network: Network, recording: Recording) -> int:
    """Membranes that change from one step to the next, over all neurons and samples (NeuroBench: MembraneUpdates).

    This is the total, where NeuroBench averages over samples. As there, every neuron counts in step 0, and membranes
    are those at the end of a step. Readouts count, max poolings do not. A machine that updates every neuron in every
    step makes neurons * T * B updates.

    Raises
    ------
    NeurosamError
        If a membrane was not recorded.
    """
    return sum(_updates(recording, population, "membrane_updates") for population in neuron_layers(network))


def neuron_operations(network: Network, recording: Recording) -> dict[str, int]:
    """Operations of the neurons in a run, over all its samples (NeuroBench: NeuronOperations, as totals).

    An update of a membrane costs 4 operations in a neuron without a synaptic current; with one 6 if it is reset by
    subtraction, 8 if to zero. "Effective Neuron Ops" has the updates of :func:`membrane_updates`, "Neuron Dense Ops"
    those of every neuron in every step. Readouts have no reset, hence no figure in NeuroBench, and are left out.

    Raises
    ------
    NeurosamError
        For neurons that NeuroBench has no figure for (another reset, an adaptive threshold, a refractory time, a lower
        bound, several spikes per step), and if a membrane was not recorded.

    Examples
    --------
    >>> from neurosam.metrics import neuron_operations
    >>> network = ns.Network(
    ...     [ns.Population("in", (1,)), ns.Population("out", (2,), ns.LIF(leak=0.5, threshold=1.0))],
    ...     [ns.Projection("in", "out", ns.Dense([[0.5], [0.0]]))],
    ... )
    >>> events = ns.Events.from_dense(np.ones((3, 1, 1)))
    >>> neuron_operations(network, ns.run(network, events, "reference", ns.Record(membrane="out")))
    {'Effective Neuron Ops': 16, 'Neuron Dense Ops': 24}
    """
    effective = dense = 0
    for population in spiking_layers(network):
        cost = _cost(population)
        effective += cost * _updates(recording, population, "neuron_operations")
        dense += cost * _triples(recording, population)
    return {"Effective Neuron Ops": effective, "Neuron Dense Ops": dense}


def neurobench(
    network: Network,
    recording: Recording,
    events: Events | Mapping[str, Events],
    *,
    batch_size: int | None = None,
) -> dict[str, Any]:
    """The metrics above under NeuroBench's names, equal to NeuroBench 2.3.0 run on the same network.

    As there, operations and updates are averages over samples, and ConnectionSparsity has 4 decimals. `events` are the
    input of the run, by name for a network with several inputs; `batch_size` is that of NeuroBench's data loader
    (:func:`synaptic_operations`). MembraneUpdates and NeuronOperations are omitted if membranes were not recorded, and
    NeuronOperations for neurons that NeuroBench has no figure for.

    Examples
    --------
    >>> from neurosam.metrics import neurobench
    >>> network = ns.Network(
    ...     [ns.Population("in", (2,)), ns.Population("out", (1,), ns.LIF(leak=0.5, threshold=1.0))],
    ...     [ns.Projection("in", "out", ns.Dense([[1.5, 0.0]]))],
    ... )
    >>> events = ns.Events.from_dense(np.array([[[1, 1]], [[0, 1]]]))
    >>> recording = ns.run(network, events, "reference", ns.Record.everything(network))
    >>> for name, value in neurobench(network, recording, events).items():
    ...     print(name, value)
    Footprint 64
    ParameterCount 2
    ConnectionSparsity 0.5
    ActivationSparsity 0.5
    ActivationSparsityByLayer {'out': 0.5}
    SynapticOperations {'Effective_MACs': 0.0, 'Effective_ACs': 1.0, 'Dense': 4.0}
    MembraneUpdates 2.0
    NeuronOperations {'Effective Neuron Ops': 8.0, 'Neuron Dense Ops': 8.0}
    """
    samples = max(recording.samples, 1)
    by_label = synaptic_operations(network, recording, events, batch_size=batch_size)
    operations = sum(by_label.values(), Operations())
    spiking = spiking_layers(network)
    metrics: dict[str, Any] = {
        "Footprint": footprint_bytes(network),
        "ParameterCount": parameter_count(network),
        "ConnectionSparsity": round(connection_sparsity(network), 4),
        "ActivationSparsity": activation_sparsity(network, recording) if spiking and recording.samples else 0.0,
        "ActivationSparsityByLayer": activation_sparsity_by_layer(network, recording),
        "SynapticOperations": {
            "Effective_MACs": operations.effective_macs / samples,
            "Effective_ACs": operations.effective_acs / samples,
            "Dense": operations.dense / samples,
        },
    }
    if all(p.name in recording.membrane for p in neuron_layers(network)):
        metrics["MembraneUpdates"] = membrane_updates(network, recording) / samples
        if not any(_beyond(p) for p in spiking):
            metrics["NeuronOperations"] = {
                name: count / samples for name, count in neuron_operations(network, recording).items()
            }
    return metrics


def _triples(recording: Recording, population: Population) -> int:
    """Neurons times steps times samples."""
    return neurons(population.shape) * recording.steps * recording.samples


def _updates(recording: Recording, population: Population, where: str) -> int:
    """Membranes of a population that change, step 0 included."""
    membrane = recording.membrane.get(population.name)
    if membrane is None:
        raise NeurosamError(where, f"requires the membrane of {population.name!r}; record it with Record(membrane=...)")
    return int(membrane[0].size) + sum(int(np.count_nonzero(now != then)) for then, now in pairwise(membrane))


def _beyond(population: Population) -> str:
    """The option of a population's neurons that NeuroBench has no figure for, or nothing."""
    neuron: Any = population.neuron
    if neuron.reset not in LEAKY:
        return f"reset {neuron.reset!r}"
    for item in fields(neuron):
        default: Any = item.default
        if item.name not in LEAKY_HAS and not np.array_equal(getattr(neuron, item.name), default):
            return item.name
    return ""


def _cost(population: Population) -> int:
    """Operations of an update."""
    if option := _beyond(population):
        raise NeurosamError(
            "neuron_operations",
            f"NeuroBench has no figure for {population.name!r}, which has {option}; it has figures for plain "
            "neurons with a reset by subtraction or to zero. See membrane_updates for the number of updates",
        )
    neuron: Any = population.neuron
    return (SYNAPTIC if population.has_current else LEAKY)[neuron.reset]


def _firing(network: Network) -> list[str]:
    return [p.name for p in network.populations if isinstance(p.neuron, (LIF, FixedLIF))]


def _counts(recording: Recording, name: str) -> Counts:
    """Spikes of a population, ``[T, B]``."""
    if name in recording.counts:
        return recording.counts[name]
    if name in recording.spikes:
        spikes = recording.spikes[name]
        if spikes.magnitude is not None:
            several: Counts = spikes.magnitude.sum(axis=tuple(range(2, spikes.magnitude.ndim)), dtype=np.int64)
            return several
        return _fired(recording, name)
    raise NeurosamError("metrics", f"the recording holds neither counts nor spikes of {name!r}")


def _fired(recording: Recording, name: str) -> Counts:
    """Neurons of a population that fired, however often, ``[T, B]``."""
    counts: Counts = np.bitwise_count(recording.spikes[name].planes).sum(axis=(2, 3, 4), dtype=np.int64)
    return counts


def _active(network: Network, recording: Recording, name: str) -> int:
    """Neuron-steps of a population with a spike."""
    if network[name].largest_event == 1:
        return int(_counts(recording, name).sum())
    if name not in recording.spikes:
        raise NeurosamError(
            "activation_sparsity",
            f"requires the spikes of {name!r}, whose neurons fire several times per step; record them with "
            "Record(spikes=...)",
        )
    return int(_fired(recording, name).sum())
