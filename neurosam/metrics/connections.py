"""What a spike reaches: fan-out, connections, and the deliveries of an event-driven machine.

A spike of source neuron n causes ``fan_out[n]`` deliveries; those of a projection are the sum over the spikes of its
source. That is what a chip and the event back end do, weights of 0 included. NeuroBench counts something else
(operations.py): behind a pool a window is one value there, however many spikes it holds.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from neurosam.errors import NeurosamError
from neurosam.network.elements import Population, Projection
from neurosam.network.network import Network
from neurosam.network.synapse import Conv2d, Dense, Shape, Sparse, Synapse, neurons
from neurosam.signals.events import Events
from neurosam.signals.inputs import Inputs
from neurosam.signals.recording import Recording, Spikes

__all__ = ["connections", "deliveries", "fan_out", "inputs_of", "spikes_of", "window_taps"]

Counts = npt.NDArray[np.int64]


def deliveries(network: Network, recording: Recording, events: Events | Mapping[str, Events]) -> dict[str, int]:
    """Weights that an event-driven machine adds in a run, over all its samples, by projection label.

    One for each source spike (or event) and each of its targets within the image, weights of 0 included; several spikes
    of a neuron in one step are one graded event. With a pool, every spike of a window is delivered. A spike that would
    arrive after the last step is not counted. What a network splits (delays per synapse, weights beyond 8 bits) is
    counted part by part, as a chip executes it. The event back end counts the same: ``recording.operations``.

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

    Examples
    --------
    >>> from neurosam.metrics import deliveries
    >>> network = ns.Network(
    ...     [ns.Population("in", (1, 2, 2)), ns.Population("out", (1,), ns.Readout())],
    ...     [ns.Projection("in", "out", ns.Dense([[0.5]]), delay=0, pool=ns.SumPool2d(2))],
    ... )
    >>> events = ns.Events.from_dense(np.array([[1, 0], [1, 1]]).reshape(1, 1, 1, 2, 2))
    >>> deliveries(network, ns.run(network, events), events)
    {'in->out': 3}
    """
    inputs = inputs_of(network, recording, events, "deliveries")
    by_label: dict[str, int] = {}
    for projection in network.projections:
        source = network[projection.source]
        last = recording.steps - network.lag(projection)
        if source.neuron is None:
            sent = inputs[source.name]
            fired = np.bincount(sent.neuron[sent.time < last], minlength=neurons(source.shape)).astype(np.int64)
        else:
            fired = _fired(spikes_of(recording, source, "deliveries"), last)
        delivered = int(fired @ fan_out(projection, source.shape).ravel())
        by_label[projection.label] = by_label.get(projection.label, 0) + delivered
    return by_label


def inputs_of(network: Network, recording: Recording, events: Events | Mapping[str, Events], where: str) -> Inputs:
    """The events of a run, which have to be those of the recording."""
    inputs = Inputs.of(network, events)
    if recording.first_step:
        raise NeurosamError(
            where, f"got a part of a run, from own step {recording.first_step} on; a whole one is required"
        )
    if (inputs.steps, inputs.samples) != (recording.steps, recording.samples):
        raise NeurosamError(
            f"{where}: events",
            f"have {inputs.steps} steps and {inputs.samples} samples; "
            f"the recording has {recording.steps} and {recording.samples}",
        )
    return inputs


def spikes_of(recording: Recording, source: Population, where: str) -> Spikes:
    """The recorded spikes of a population."""
    if source.name not in recording.spikes:
        raise NeurosamError(where, f"requires the spikes of {source.name!r}; record them with Record(spikes=...)")
    return recording.spikes[source.name]


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
    rows = window_taps(source_shape[1], pooled[1], kh, sh, ph, 1).sum(axis=2)
    columns = window_taps(source_shape[2], pooled[2], kw, sw, pw, 1).sum(axis=2)
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
    rows = window_taps(shape[1], height, kh, sh, ph, dh).sum(axis=1)
    columns = window_taps(shape[2], width, kw, sw, pw, dw).sum(axis=1)
    fan: Counts = rows @ through.reshape(shape[0], kh, kw) @ columns.T
    return fan


def window_taps(size: int, out: int, kernel: int, stride: int, padding: int, dilation: int) -> Counts:
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
