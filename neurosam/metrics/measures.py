"""Metrics of a run: accuracy, sparsity, memory and operations, under NeuroBench's names where it defines them.

All are pure functions of a network, a recording and the input events, and every count is exact. Definitions follow
NeuroBench (Yik et al., "The neurobench framework for benchmarking neuromorphic computing algorithms and systems", Nat.
Commun. 16, 1545, 2025, and its harness: Footprint, ConnectionSparsity, ActivationSparsity, SynapticOperations,
MembraneUpdates). Where NeuroBench leaves open a choice that matters for an event-driven machine, the docstring states
the choice made here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from neurosam.errors import NeurosamError
from neurosam.metrics.operations import Operations, synaptic_operations
from neurosam.network.fixed_neuron import FixedLIF
from neurosam.network.network import Network
from neurosam.network.neuron import LIF
from neurosam.network.synapse import Sparse, neurons
from neurosam.signals.events import Events
from neurosam.signals.recording import Recording
from neurosam.signals.state import variables

__all__ = [
    "accuracy",
    "activation_sparsity",
    "connection_sparsity",
    "footprint_bytes",
    "membrane_updates",
    "neurobench",
    "spikes_per_step",
]

# Whole bytes that hold the range of each fixed-point parameter (network/fixed_neuron.py, trace.py); a float takes 8.
FIXED_BYTES = {
    "membrane_decay": 2, "current_decay": 2, "threshold": 4, "reset_amount_64ths": 4, "bias_mantissa": 2,
    "bias_exponent": 1, "gain": 2, "gain_shift": 1, "offset_64ths": 4, "reset_value_64ths": 4,
    "lower_bound_64ths": 4, "refractory": 2,
    "threshold_decay": 2, "threshold_step_64ths": 4, "relative_decay": 2, "max_spikes": 3,
    "initial_membrane_64ths": 4, "initial_current_64ths": 4, "table": 4, "shift": 1, "impulse": 4,
}  # fmt: skip
FLOAT_BYTES = 8
STATE_BYTES = 4  # of an integer in a neuron's state, also in a float network: a step, or a number of steps
COUNTERS = ("wait", "last", "fired")
OPTIONAL = (
    "leak", "refractory", "max_spikes", "initial_membrane", "initial_current", "initial_membrane_64ths",
    "initial_current_64ths",
)  # fmt: skip
"""Parameters that take no bytes at their default, which is not to have the option."""

Counts = npt.NDArray[np.int64]


def accuracy(recording: Recording, labels: npt.ArrayLike) -> float:
    """Fraction of samples whose largest output (the first of equals) is at the label's index.

    NeuroBench: ClassificationAccuracy.

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

    0 if every neuron fires in every step, 1 if none ever fires. Inputs and readouts are not counted. Several spikes of
    a neuron in one step count as one, which needs the recorded spikes of such populations.
    """
    names = _firing(network)
    triples = sum(neurons(network[name].shape) for name in names) * recording.steps * recording.samples
    if not triples:
        raise NeurosamError("activation_sparsity", "is not defined: there is no spiking population or no sample")
    return 1.0 - sum(_active(network, recording, name) for name in names) / triples


def connection_sparsity(network: Network) -> float:
    """Fraction of zero weights (NeuroBench: ConnectionSparsity), not rounded.

    A Sparse matrix counts as the full matrix of its shape, so the result does not depend on how a matrix is stored.
    """
    zeros = total = 0
    for projection in network.projections:
        synapse = projection.synapse
        size = (synapse.indptr.size - 1) * synapse.sources if isinstance(synapse, Sparse) else synapse.weight.size
        total += size
        zeros += size - int(np.count_nonzero(synapse.weight))
    return zeros / total


def footprint_bytes(network: Network) -> int:
    """Bytes of the parameters and of the state of one sample (NeuroBench: Footprint, parameters plus buffers).

    A weight takes 1 byte in fixed point and 8 in float64, an index of a Sparse matrix 4, any other fixed-point
    parameter as many whole bytes as hold its range; a parameter is counted as often as it is stored: once, per channel
    or per neuron. Options that are not used take none. The state of a neuron is its membrane and what its options keep
    (:class:`~neurosam.signals.state.State`: current, steps to wait, rise of the threshold, relative reset, SAM trace).
    The memory that a chip needs differs from this and depends on the chip.
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
            state = sum(STATE_BYTES if name in COUNTERS else width for name in variables(network, population))
            total += state * neurons(population.shape) + _parameters(population.neuron, network.fixed)
    return total + sum(_parameters(trace, network.fixed) for trace in network.sam.values())


def membrane_updates(network: Network, recording: Recording) -> int:
    """Membranes that change from one step to the next, over all neurons and samples (NeuroBench: MembraneUpdates).

    This is the total, where NeuroBench averages over samples. As there, every neuron counts in step 0. A machine that
    updates every neuron in every step makes neurons * T * B updates.

    Raises
    ------
    NeurosamError
        If a membrane was not recorded.
    """
    total = 0
    for population in network.populations:
        if population.neuron is None:
            continue
        membrane = recording.membrane.get(population.name)
        if membrane is None:
            raise NeurosamError(
                "membrane_updates", f"requires the membrane of {population.name!r}; record it with Record(membrane=...)"
            )
        total += membrane[0].size + sum(int(np.count_nonzero(now != then)) for then, now in pairwise(membrane))
    return total


def neurobench(network: Network, recording: Recording, events: Events | Mapping[str, Events]) -> dict[str, Any]:
    """The metrics above under NeuroBench's names, and as in NeuroBench averaged over samples.

    `events` are the input of the run, by name for a network with several inputs. MembraneUpdates is omitted if
    membranes were not recorded.
    """
    samples = max(recording.samples, 1)
    operations = sum(synaptic_operations(network, recording, events).values(), Operations())
    metrics: dict[str, Any] = {
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
        metrics["MembraneUpdates"] = membrane_updates(network, recording) / samples
    return metrics


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


def _parameters(part: Any, fixed: bool) -> int:
    """Bytes of the parameters of a neuron or trace; modes and what is not used take none."""
    total = 0
    for item in fields(part):
        value = getattr(part, item.name)
        default: Any = item.default
        unused = item.name in OPTIONAL and np.array_equal(value, default)
        if value is not None and not isinstance(value, str) and not unused:
            total += int(np.size(value)) * (FIXED_BYTES[item.name] if fixed else FLOAT_BYTES)
    return total
