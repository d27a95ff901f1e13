"""What a run amounts to: accuracy, sparsity, memory and operations, under NeuroBench's names where it defines them.

Pure functions of a network, a recording and the events that went in; every count is exact. Definitions follow
NeuroBench (Yik et al., "The neurobench framework for benchmarking neuromorphic computing algorithms and systems", Nat.
Commun. 16, 1545, 2025, and its harness: Footprint, ConnectionSparsity, ActivationSparsity, SynapticOperations,
MembraneUpdates); where an event-driven machine forces a choice that NeuroBench leaves open, the docstring says which.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from neurosam.errors import NeurosamError
from neurosam.metrics.operations import Operations, fan_out, synaptic_operations
from neurosam.network.network import Network
from neurosam.network.neuron import LIF, FixedLIF
from neurosam.network.synapse import Sparse, neurons
from neurosam.signals.events import Events
from neurosam.signals.recording import Recording

__all__ = [
    "Operations",
    "accuracy",
    "activation_sparsity",
    "connection_sparsity",
    "fan_out",
    "footprint_bytes",
    "membrane_updates",
    "neurobench",
    "spikes_per_step",
    "synaptic_operations",
]

# Whole bytes that hold a fixed-point parameter's range (neuron.py, trace.py); every float takes 8.
FIXED_BYTES = {
    "membrane_decay": 2, "current_decay": 2, "threshold": 4, "reset_amount": 4, "bias_mantissa": 2, "bias_exponent": 1,
    "gain": 2, "gain_shift": 1, "offset": 4, "table": 4, "shift": 1, "impulse": 4,
}  # fmt: skip
FLOAT_BYTES = 8
STATE_BYTES = 4  # a fixed-point current, membrane or trace, and the step of a last spike

Counts = npt.NDArray[np.int64]


def accuracy(recording: Recording, labels: npt.ArrayLike) -> float:
    """Share of samples whose largest output (the first of equals) is their label (NeuroBench: ClassificationAccuracy).

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
    """Mean spikes of a sample in each step, ``[T]``, of every population of neurons that fires, in own time."""
    return {name: _counts(recording, name).mean(axis=1) for name in _firing(network)}


def activation_sparsity(network: Network, recording: Recording) -> float:
    """Share of silent (neuron, step, sample) triples of all spiking populations (NeuroBench: ActivationSparsity).

    0: every neuron fires in every step; 1: none ever does. The input and readouts are not activations.
    """
    names = _firing(network)
    places = sum(neurons(network[name].shape) for name in names) * recording.steps * recording.samples
    if not places:
        raise NeurosamError("activation_sparsity", "there is no spiking population, or no sample, to take it over")
    return 1.0 - sum(int(_counts(recording, name).sum()) for name in names) / places


def connection_sparsity(network: Network) -> float:
    """Share of zero weights (NeuroBench: ConnectionSparsity), unrounded.

    A Sparse matrix counts as the full matrix of its shape, so that the number does not depend on how a matrix is
    stored.
    """
    zeros = total = 0
    for projection in network.projections:
        synapse = projection.synapse
        size = (synapse.indptr.size - 1) * synapse.sources if isinstance(synapse, Sparse) else synapse.weight.size
        total += size
        zeros += size - int(np.count_nonzero(synapse.weight))
    return zeros / total


def footprint_bytes(network: Network) -> int:
    """Bytes of parameters and of the state of one sample (NeuroBench: Footprint, parameters plus buffers).

    Weights take 1 byte in fixed point and 8 in float64, indices of a Sparse matrix 4; other fixed-point parameters the
    whole bytes that hold their range, each as often as it is stored (scalars once). State is a membrane, a current
    where there is one, and for a SAM trace the trace and the step of the last spike, per neuron. What a chip's memory
    holds is another question, and the chip's.
    """
    width = STATE_BYTES if network.fixed else FLOAT_BYTES
    total = 0
    for projection in network.projections:
        synapse = projection.synapse
        total += synapse.weight.nbytes
        if isinstance(synapse, Sparse):
            total += 4 * (synapse.indptr.size + synapse.indices.size)
    for population in network.populations:
        if population.neuron is not None:
            states = 2 if population.has_current else 1
            total += states * width * neurons(population.shape) + _parameters(population.neuron, network.fixed)
    for name, trace in network.sam.items():
        total += (width + STATE_BYTES) * neurons(network[name].shape) + _parameters(trace, network.fixed)
    return total


def membrane_updates(network: Network, recording: Recording) -> int:
    """Changes of membranes from step to step, over all neurons and samples (NeuroBench: MembraneUpdates, as a total).

    As there, step 0 counts every neuron. A machine that updates every neuron in every step does neurons * T * B of
    them.

    Raises
    ------
    NeurosamError
        If a membrane is missing.
    """
    total = 0
    for population in network.populations:
        if population.neuron is None:
            continue
        membrane = recording.membrane.get(population.name)
        if membrane is None:
            raise NeurosamError(
                "membrane_updates", f"needs the membrane of {population.name!r}; record it with Record(membrane=...)"
            )
        total += membrane[0].size + sum(int(np.count_nonzero(now != then)) for then, now in pairwise(membrane))
    return total


def neurobench(network: Network, recording: Recording, events: Events) -> dict[str, Any]:
    """The metrics above under NeuroBench's names and in its unit, the average of a sample.

    MembraneUpdates is left out where membranes were not recorded.
    """
    samples = max(recording.samples, 1)
    operations = sum(synaptic_operations(network, recording, events).values(), Operations())
    found: dict[str, Any] = {
        "Footprint": footprint_bytes(network),
        "ConnectionSparsity": connection_sparsity(network),
        "ActivationSparsity": activation_sparsity(network, recording),
        "SynapticOperations": {
            "Effective_MACs": operations.effective_macs / samples,
            "Effective_ACs": operations.effective_acs / samples,
            "Dense": operations.dense / samples,
        },
    }
    if all(p.name in recording.membrane for p in network.populations if p.neuron is not None):
        found["MembraneUpdates"] = membrane_updates(network, recording) / samples
    return found


def _firing(network: Network) -> list[str]:
    return [p.name for p in network.populations if isinstance(p.neuron, (LIF, FixedLIF))]


def _counts(recording: Recording, name: str) -> Counts:
    """Spikes of a population, ``[T, B]``."""
    if name in recording.counts:
        return recording.counts[name]
    if name in recording.spikes:
        counts: Counts = np.bitwise_count(recording.spikes[name].planes).sum(axis=(2, 3, 4), dtype=np.int64)
        return counts
    raise NeurosamError("metrics", f"the recording holds neither counts nor spikes of {name!r}")


def _parameters(part: Any, fixed: bool) -> int:
    """Bytes of the numbers of a neuron or trace; modes and absent parameters take none."""
    total = 0
    for name in part.__dataclass_fields__:
        value = getattr(part, name)
        if value is not None and not isinstance(value, str):
            total += int(np.size(value)) * (FIXED_BYTES[name] if fixed else FLOAT_BYTES)
    return total
