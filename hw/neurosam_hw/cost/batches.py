"""Runs of a network by as many samples at a time as fit the memory, in this process or by several workers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from neurosam._util.progress import Tick
from neurosam.backends.registry import run as run_network
from neurosam.cli.common import progress
from neurosam.metrics.connections import inputs_of
from neurosam.network.network import Network
from neurosam.network.synapse import neurons
from neurosam.signals.inputs import Inputs
from neurosam.signals.recording import Record, Recording
from neurosam.sweep.chunks import Chunks
from neurosam.sweep.execution import gather
from neurosam.sweep.record import GRAIN, PART_BYTES
from neurosam.sweep.source import Part, Source
from neurosam.sweep.worker import one_thread
from neurosam.sweep.workers import Workers
from neurosam_hw.cost.inference import Meter, MeterPart
from neurosam_hw.mapping.mapping import CoreMapping

__all__ = ["batch_size", "batches", "metered_by"]

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
    wanted = _wanted(network)
    size = batch_size(mapping, inputs.steps, runs)
    with progress("running") as tick:
        for first in range(0, inputs.samples, size):
            last = min(first + size, inputs.samples)
            batch = inputs.select(first, last)
            yield (run_network(network, batch, record=wanted) if given is None else given.select(first, last)), batch
            tick(last, inputs.samples)


def batch_size(mapping: CoreMapping, steps: int, runs: int = 1) -> int:
    """How many samples fit the memory, with the counts of `runs`; at least 1."""
    network = mapping.network
    state = sum(neurons(p.shape) for p in network.populations) * (4 if network.fixed else 8)
    each = (steps + len(network.populations)) * (state + runs * COUNTED * 8 * mapping.cores)
    return max(1, BATCH_BYTES // each)


def _wanted(network: Network) -> Record:
    """What the cost of a run depends on."""
    everything = Record.everything(network)
    return Record(spikes=everything.spikes, membrane=everything.membrane, current=everything.current)


def metered_by(workers: Workers, mapping: CoreMapping, source: Source, progress: Tick | None = None) -> Meter:
    """A meter of all samples, which several workers have run.

    Energies are sums of floats, so samples are added in batches that do not depend on how many workers there are.
    """
    size = batch_size(mapping, source.steps)
    grain = min(GRAIN, size)

    def work(chunk: range) -> Callable[[], list[MeterPart]]:
        return partial(_meter_chunk, mapping, source.part(chunk), grain)

    chunks = Chunks([range(source.samples)], grain, min(size, PART_BYTES // max(source.sample_bytes, 1)))
    meter = Meter(mapping)
    for _, parts in gather(workers, chunks, work, source.samples, progress):
        for part in parts:
            meter.join(part)
    return meter


def _meter_chunk(mapping: CoreMapping, given: Part, grain: int) -> list[MeterPart]:
    """Run some samples, in a worker, and count what they cost."""
    found, inputs = [], given.inputs(mapping.network)
    one_thread()
    for first in range(0, inputs.samples, grain):
        batch, meter = inputs.select(first, first + grain), Meter(mapping)
        meter.add(run_network(mapping.network, batch, record=_wanted(mapping.network), threads=1), batch)
        found.append(meter.part)
    return found
