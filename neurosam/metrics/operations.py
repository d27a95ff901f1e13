"""Synaptic operations as NeuroBench counts them, computed exactly from the spikes of a run.

For every layer of weights, step and batch, with x the layer's input (behind its pool, where it has one):

    operations     = sum over the non-zero values of x of the non-zero weights that they reach
    Effective_ACs  adds them where all of x is -1, 0 or 1, Effective_MACs where it is not
    Dense          = all connections within the image, in every step

so that Effective_ACs + Effective_MACs <= Dense. The bias is no operation. Source: SynapticOperations of NeuroBench
2.3.0 (layers.py). What a chip delivers spike by spike is another number: :func:`neurosam.metrics.deliveries`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from neurosam.errors import NeurosamError
from neurosam.metrics.connections import connections, fan_out, inputs_of, spikes_of, window_taps
from neurosam.metrics.layers import layers
from neurosam.network.elements import Population
from neurosam.network.network import Network
from neurosam.network.synapse import Shape, SumPool2d, neurons
from neurosam.signals.events import Events
from neurosam.signals.inputs import Inputs
from neurosam.signals.recording import Recording, Spikes

__all__ = ["Operations", "synaptic_operations"]

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Operations:
    """Synaptic operations of a run, over all its samples.

    Parameters
    ----------
    effective_acs, effective_macs : int
        Non-zero values times non-zero weights: accumulates where a layer's input is -1, 0 and 1 only, otherwise
        multiply-accumulates.
    dense : int
        Operations of a machine that skips nothing: every connection within the image, in every step.
    """

    effective_acs: int = 0
    effective_macs: int = 0
    dense: int = 0

    def __add__(self, other: Operations) -> Operations:
        return Operations(
            self.effective_acs + other.effective_acs,
            self.effective_macs + other.effective_macs,
            self.dense + other.dense,
        )


def synaptic_operations(
    network: Network, recording: Recording, events: Events | Mapping[str, Events], *, batch_size: int | None = None
) -> dict[str, Operations]:
    """Exact synaptic operations by projection label (NeuroBench: SynapticOperations, as totals).

    Whether the operations of a layer are accumulates is decided for each step and batch, as in NeuroBench: one graded
    value makes all of them multiply-accumulates. A sum pool gives graded values, several spikes of a neuron in one step
    are one. Max pooling of spikes is no layer. A network holds sums where the module had averages, so that a window
    with one spike is 1 here, and a fraction there.

    Parameters
    ----------
    network : Network
    recording : Recording
        With the spikes of every population that has outgoing projections.
    events : Events or mapping of str to Events
        The input of the run; by name for a network with several inputs.
    batch_size : int, optional
        Samples of a batch, as given to NeuroBench's data loader; all samples are one batch if None.

    Raises
    ------
    NeurosamError
        If spikes are missing, or the events do not match the recording.

    Examples
    --------
    Three spikes in the one window of a sum pool: a chip adds three weights, NeuroBench multiplies one by 3:

    >>> from neurosam.metrics import synaptic_operations
    >>> network = ns.Network(
    ...     [ns.Population("in", (1, 2, 2)), ns.Population("out", (1,), ns.Readout())],
    ...     [ns.Projection("in", "out", ns.Dense([[0.5]]), delay=0, pool=ns.SumPool2d(2))],
    ... )
    >>> events = ns.Events.from_dense(np.array([[1, 0], [1, 1]]).reshape(1, 1, 1, 2, 2))
    >>> synaptic_operations(network, ns.run(network, events), events)
    {'in->out': Operations(effective_acs=0, effective_macs=1, dense=1)}
    """
    if batch_size is not None and batch_size < 1:
        raise NeurosamError("synaptic_operations: batch_size", f"got {batch_size}; at least 1 is required")
    inputs = inputs_of(network, recording, events, "synaptic_operations")
    by_label: dict[str, Operations] = {}
    for layer in layers(network):
        projection = layer.projection
        source = network[projection.source]
        shape = projection.pool.output_shape(source.shape) if projection.pool else source.shape
        fan = fan_out(replace(projection, pool=None), shape, nonzero=True).ravel()
        values = _values(recording, inputs, source)
        macs = acs = 0
        for t in range(recording.steps - network.lag(projection)):
            x = values(t)
            if projection.pool is not None:
                x = _pooled(x.reshape(recording.samples, *source.shape), projection.pool, shape)
            x = x.reshape(recording.samples, neurons(shape))
            for first in range(0, recording.samples, batch_size or max(recording.samples, 1)):
                batch = x[first : first + (batch_size or recording.samples)]
                active = batch != 0
                operations = int(active.sum(axis=0, dtype=np.int64) @ fan)
                if (np.abs(batch) == active).all():
                    acs += operations
                else:
                    macs += operations
        dense = connections(projection.synapse, shape) * recording.steps * recording.samples
        found = by_label.get(projection.label, Operations())
        by_label[projection.label] = found + Operations(acs, macs, dense)
    return by_label


def _values(recording: Recording, inputs: Inputs, source: Population) -> Callable[[int], Array]:
    """What a population sends in a step, ``[B, ...]``."""
    size = neurons(source.shape)
    if source.neuron is None:
        sent = inputs[source.name]
        starts = np.searchsorted(sent.time, np.arange(sent.steps + 1))

        def of_input(t: int) -> Array:
            now = slice(starts[t], starts[t + 1])
            x = np.zeros((sent.samples, size))
            x[sent.sample[now], sent.neuron[now]] = 1 if sent.value is None else sent.value[now]
            return x

        return of_input
    spikes = spikes_of(recording, source, "synaptic_operations")

    def of_neurons(t: int) -> Array:
        magnitude = None if spikes.magnitude is None else spikes.magnitude[t : t + 1]
        x: Array = Spikes(spikes.planes[t : t + 1], spikes.shape, magnitude).dense()[0].astype(np.int64)
        return x

    return of_neurons


def _pooled(x: Array, pool: SumPool2d, shape: Shape) -> Array:
    """The sum of each window; exact, since float64 holds these integers."""
    (kh, kw), (sh, sw), (ph, pw) = pool.geometry
    rows = window_taps(x.shape[2], shape[1], kh, sh, ph, 1).sum(axis=2).astype(np.float64)
    columns = window_taps(x.shape[3], shape[2], kw, sw, pw, 1).sum(axis=2).astype(np.float64)
    out: Array = rows.T @ x.astype(np.float64) @ columns
    return out
