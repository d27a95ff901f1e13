"""Runs of a network by as many samples at a time as fit the memory."""

from __future__ import annotations

from collections.abc import Iterator

from neurosam.backends.registry import run as run_network
from neurosam.cli.common import progress
from neurosam.metrics.connections import inputs_of
from neurosam.network.synapse import neurons
from neurosam.signals.inputs import Inputs
from neurosam.signals.recording import Record, Recording
from neurosam_hw.mapping.mapping import CoreMapping

__all__ = ["batches"]

BATCH_BYTES = 256 * 2**20
"""Memory that the recording and the counts of a batch may take."""
COUNTED = 20
"""Arrays of counts, about."""


def batches(
    mapping: CoreMapping, inputs: Inputs, given: Recording | None = None, runs: int = 1
) -> Iterator[tuple[Recording, Inputs]]:
    """A run, or the one that was given, by as many samples at a time as fit the memory with the counts of `runs`."""
    network = mapping.network
    if given is not None:
        inputs_of(network, given, inputs, "--events")
    everything = Record.everything(network)
    wanted = Record(spikes=everything.spikes, membrane=everything.membrane, current=everything.current)
    state = sum(neurons(p.shape) for p in network.populations) * (4 if network.fixed else 8)
    each = (inputs.steps + len(network.populations)) * (state + runs * COUNTED * 8 * mapping.cores)
    size = max(1, BATCH_BYTES // each)
    with progress("running") as tick:
        for first in range(0, inputs.samples, size):
            last = min(first + size, inputs.samples)
            batch = inputs.select(first, last)
            yield (run_network(network, batch, record=wanted) if given is None else given.select(first, last)), batch
            tick(last, inputs.samples)
