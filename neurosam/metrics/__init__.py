"""Metrics of a run: accuracy, sparsity, memory and operations, under NeuroBench's names where it defines them."""

from neurosam.metrics.measures import (
    accuracy,
    activation_sparsity,
    connection_sparsity,
    footprint_bytes,
    membrane_updates,
    neurobench,
    spikes_per_step,
)
from neurosam.metrics.operations import Operations, fan_out, synaptic_operations

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
