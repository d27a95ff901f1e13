"""Synaptic operations of a run, computed exactly from its spikes and the fan-out of their neurons.

A spike of source neuron n causes ``fan_out[n]`` deliveries; those of a projection are the sum over the spikes of its
source. NeuroBench (Yik et al., Nat. Commun. 16, 1545, 2025) divides the operations with a non-zero weight into
Effective_ACs and Effective_MACs, and calls the operations of a machine that skips nothing Dense.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from neurosam.errors import NeurosamError
from neurosam.network.elements import Projection
from neurosam.network.network import Network
from neurosam.network.synapse import Conv2d, Dense, Shape, Sparse, Synapse, neurons
from neurosam.signals.events import Events
from neurosam.signals.inputs import Inputs
from neurosam.signals.recording import Recording, Spikes

__all__ = ["Operations", "connections", "fan_out", "synaptic_operations"]

Counts = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Operations:
    """Synaptic operations of a run, over all its samples.

    Parameters
    ----------
    delivered : int
        Weights added, zeros included, by an event-driven machine: one for each source spike (or event) and each of its
        targets within the image. A spike that would arrive after the last step is not counted.
    effective_acs, effective_macs : int
        Deliveries with a non-zero weight: accumulates if all events of the projection are -1 or 1, otherwise
        multiply-accumulates.
    dense : int
        Operations of a machine that skips nothing: every connection within the image, in every step.
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


def synaptic_operations(
    network: Network, recording: Recording, events: Events | Mapping[str, Events]
) -> dict[str, Operations]:
    """Exact synaptic operations by projection label (NeuroBench: SynapticOperations, as totals).

    NeuroBench counts the operations of a layer as accumulates if its input in a batch holds -1, 0 and 1 only. Here this
    is decided for the whole run, so the result does not depend on a batch size. Several spikes of a neuron in one step
    are one graded event. Spikes through a SumPool2d are delivered one at a time, hence as accumulates.

    What a network splits (delays per synapse, weights beyond 8 bits) is counted part by part under one label, as a chip
    with 8-bit weights and one delay per projection executes it.

    Parameters
    ----------
    network : Network
    recording : Recording
        With the spikes of every population that has outgoing projections.
    events : Events or mapping of str to Events
        The input of the run; by name for a network with several inputs.

    Raises
    ------
    NeurosamError
        If spikes are missing, or the events do not match the recording.
    """
    inputs = Inputs.of(network, events)
    if (inputs.steps, inputs.samples) != (recording.steps, recording.samples):
        raise NeurosamError(
            "synaptic_operations: events",
            f"have {inputs.steps} steps and {inputs.samples} samples; "
            f"the recording has {recording.steps} and {recording.samples}",
        )
    by_label: dict[str, Operations] = {}
    for projection in network.projections:
        source = network[projection.source]
        last = recording.steps - network.lag(projection)
        if source.neuron is None:
            sent = inputs[source.name]
            fired = np.bincount(sent.neuron[sent.time < last], minlength=neurons(source.shape)).astype(np.int64)
            unit_values = sent.value is None or bool(np.isin(sent.value, (-1, 0, 1)).all())
        elif source.name in recording.spikes:
            spikes = recording.spikes[source.name]
            fired = _fired(spikes, last)
            unit_values = spikes.magnitude is None or int(spikes.magnitude.max(initial=0)) <= 1
        else:
            raise NeurosamError(
                "synaptic_operations", f"requires the spikes of {source.name!r}; record them with Record(spikes=...)"
            )
        delivered = int(fired @ fan_out(projection, source.shape).ravel())
        effective = int(fired @ fan_out(projection, source.shape, nonzero=True).ravel())
        shape = projection.pool.output_shape(source.shape) if projection.pool else source.shape
        dense = connections(projection.synapse, shape) * recording.steps * recording.samples
        operations = Operations(delivered, effective if unit_values else 0, 0 if unit_values else effective, dense)
        by_label[projection.label] = by_label.get(projection.label, Operations()) + operations
    return by_label


def fan_out(projection: Projection, source_shape: Shape, nonzero: bool = False) -> Counts:
    """Deliveries caused by one spike of each source neuron, as an int64 array of `source_shape`.

    Only targets within the image count. With a pool, a spike is delivered once for each window that contains it, and
    not at all if there is none. With `nonzero`, only deliveries through a non-zero weight count.

    Examples
    --------
    >>> from neurosam.metrics import fan_out
    >>> projection = ns.Projection("in", "conv1", ns.Conv2d(np.ones((2, 1, 3, 3))))
    >>> fan_out(projection, (1, 4, 4))[0].tolist()
    [[2, 4, 4, 2], [4, 8, 8, 4], [4, 8, 8, 4], [2, 4, 4, 2]]
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
    """Connections within the image of a source of `shape`; a Sparse matrix counts as a full one."""
    return (
        neurons(synapse.output_shape(shape)) * synapse.sources
        if isinstance(synapse, Sparse)
        else synapse.synapses(shape)
    )


def _synapse_fan(synapse: Synapse, shape: Shape, nonzero: bool) -> Counts:
    """Number of targets of each source: ``[C, H, W]`` for a convolution, else flat."""
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
    """``taps[y, o, k]`` is 1 where tap k of target o reads pixel y: ``o * stride + k * dilation - padding == y``."""
    reads = np.arange(out)[:, None] * stride + np.arange(kernel)[None, :] * dilation - padding
    taps: Counts = (reads[None] == np.arange(size)[:, None, None]).astype(np.int64)
    return taps


def _fired(spikes: Spikes, last: int) -> Counts:
    """Steps before `last` in which each neuron fires, over all samples."""
    total = np.zeros(neurons(spikes.shape), dtype=np.int64)
    for t in range(max(last, 0)):
        step = Spikes(spikes.planes[t : t + 1], spikes.shape).dense()
        total += step.reshape(-1, total.size).sum(axis=0, dtype=np.int64)
    return total
