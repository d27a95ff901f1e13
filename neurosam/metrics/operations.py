"""Synaptic operations of a run, exact from its spikes: who reaches whom, how often, and what NeuroBench calls it.

One spike of source neuron n costs ``fan_out[n]`` deliveries; a projection costs the sum over its source's spikes.
NeuroBench (Yik et al., Nat. Commun. 16, 1545, 2025) splits what is not multiplied by zero into Effective_ACs and
Effective_MACs, and calls what a machine without any skipping does Dense.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from neurosam.errors import NeurosamError
from neurosam.network.elements import Projection
from neurosam.network.network import Network
from neurosam.network.synapse import Conv2d, Dense, Shape, Sparse, Synapse, neurons
from neurosam.signals.events import Events
from neurosam.signals.recording import Recording, Spikes

__all__ = ["Operations", "connections", "fan_out", "synaptic_operations"]

Counts = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Operations:
    """Synaptic operations of a run, over all its samples.

    Parameters
    ----------
    delivered : int
        Weights added, zeros among them: what an event-driven machine does. Every source spike (event) is one delivery
        to each target inside the picture; one that could arrive only after the last step is none.
    effective_acs, effective_macs : int
        Deliveries whose weight is not zero: accumulates where the projection's events are all -1 or 1,
        multiply-accumulates where there is any other value among them.
    dense : int
        Operations of a machine that skips nothing: every connection inside the picture, in every step.
    """

    delivered: int = 0
    effective_acs: int = 0
    effective_macs: int = 0
    dense: int = 0

    def __add__(self, other: Operations) -> Operations:
        return Operations(
            self.delivered + other.delivered,
            self.effective_acs + other.effective_acs,
            self.effective_macs + other.effective_macs,
            self.dense + other.dense,
        )


def synaptic_operations(network: Network, recording: Recording, events: Events) -> dict[str, Operations]:
    """Exact synaptic operations by projection label (NeuroBench: SynapticOperations, as totals).

    NeuroBench calls a layer's operations accumulates if its input tensor holds -1, 0 and 1 alone, batch by batch; here
    the whole run decides, so that the size of a batch does not. Spikes through a SumPool2d are delivered one by one,
    hence accumulates.

    Parameters
    ----------
    network : Network
    recording : Recording
        With the spikes of every population that projects.
    events : Events
        What the run was given.

    Raises
    ------
    NeurosamError
        If spikes are missing, or the events are not those of the run.
    """
    if (events.steps, events.samples) != (recording.steps, recording.samples):
        raise NeurosamError(
            "synaptic_operations: events",
            f"have {events.steps} steps and {events.samples} samples; "
            f"the recording has {recording.steps} and {recording.samples}",
        )
    found: dict[str, Operations] = {}
    for projection in network.projections:
        source = network[projection.source]
        last = recording.steps - network.lag(projection)
        if source.neuron is None:
            keep = events.time < last
            fired = np.bincount(events.neuron[keep], minlength=neurons(source.shape)).astype(np.int64)
            plain = events.value is None or bool(np.isin(events.value, (-1, 0, 1)).all())
        elif source.name in recording.spikes:
            fired, plain = _fired(recording.spikes[source.name], last), True
        else:
            raise NeurosamError(
                "synaptic_operations", f"needs the spikes of {source.name!r}; record them with Record(spikes=...)"
            )
        delivered = int(fired @ fan_out(projection, source.shape).ravel())
        effective = int(fired @ fan_out(projection, source.shape, nonzero=True).ravel())
        shape = projection.pool.output_shape(source.shape) if projection.pool else source.shape
        dense = connections(projection.synapse, shape) * recording.steps * recording.samples
        operations = Operations(delivered, effective if plain else 0, 0 if plain else effective, dense)
        found[projection.label] = found.get(projection.label, Operations()) + operations
    return found


def fan_out(projection: Projection, source_shape: Shape, nonzero: bool = False) -> Counts:
    """Deliveries that one spike of each source neuron causes, as an int64 array of `source_shape`.

    Only targets inside the picture count; a pool gives the spike the address of each window that holds it, none for a
    pixel that no window covers. With `nonzero`, only those through a weight other than 0.
    """
    pooled = projection.pool.output_shape(source_shape) if projection.pool else source_shape
    fan = _synapse_fan(projection.synapse, pooled, nonzero)
    if projection.pool is None:
        return fan.reshape(source_shape)
    (kh, kw), (sh, sw), (ph, pw) = projection.pool.geometry
    rows = _taps(source_shape[1], pooled[1], kh, sh, ph, 1).sum(axis=2)
    columns = _taps(source_shape[2], pooled[2], kw, sw, pw, 1).sum(axis=2)
    out: Counts = rows @ fan.reshape(pooled) @ columns.T
    return out


def connections(synapse: Synapse, shape: Shape) -> int:
    """Connections inside the picture of a source of `shape`; a Sparse matrix counts in full."""
    return (
        neurons(synapse.output_shape(shape)) * synapse.sources
        if isinstance(synapse, Sparse)
        else synapse.synapses(shape)
    )


def _synapse_fan(synapse: Synapse, shape: Shape, nonzero: bool) -> Counts:
    """Targets of each source of `shape`; for a convolution ``[C, H, W]``, else flat."""
    present = synapse.weight != 0 if nonzero else np.ones(synapse.weight.shape, dtype=bool)
    if isinstance(synapse, Dense):
        fan: Counts = present.sum(axis=0, dtype=np.int64)
        return fan
    if isinstance(synapse, Sparse):
        return np.bincount(synapse.indices[present], minlength=synapse.sources).astype(np.int64)
    return _convolution_fan(synapse, shape, present)


def _convolution_fan(synapse: Conv2d, shape: Shape, present: npt.NDArray[np.bool_]) -> Counts:
    """``fan[c, y, x] = sum over taps of (outputs through the tap) * (target rows at y) * (target columns at x)``."""
    (sh, sw), (ph, pw), (dh, dw) = synapse.geometry
    out, per_group, kh, kw = present.shape
    _, height, width = synapse.output_shape(shape)
    through = present.reshape(synapse.groups, out // synapse.groups, per_group, kh, kw).sum(axis=1, dtype=np.int64)
    rows = _taps(shape[1], height, kh, sh, ph, dh).sum(axis=1)
    columns = _taps(shape[2], width, kw, sw, pw, dw).sum(axis=1)
    fan: Counts = rows @ through.reshape(shape[0], kh, kw) @ columns.T
    return fan


def _taps(size: int, out: int, kernel: int, stride: int, padding: int, dilation: int) -> Counts:
    """``[size, out, kernel]``: 1 where tap k of target o reads pixel y, ``o * stride + k * dilation - padding = y``."""
    reads = np.arange(out)[:, None] * stride + np.arange(kernel)[None, :] * dilation - padding
    taps: Counts = (reads[None] == np.arange(size)[:, None, None]).astype(np.int64)
    return taps


def _fired(spikes: Spikes, last: int) -> Counts:
    """Spikes of each neuron before step `last`, over all samples."""
    total = np.zeros(neurons(spikes.shape), dtype=np.int64)
    for t in range(max(last, 0)):
        step = Spikes(spikes.planes[t : t + 1], spikes.shape).dense()
        total += step.reshape(-1, total.size).sum(axis=0, dtype=np.int64)
    return total
