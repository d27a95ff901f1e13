"""What a network is made of, under NeuroBench's names: Footprint, ParameterCount, ConnectionSparsity; and its state.

Definitions are those of NeuroBench 2.3.0 (static metrics), for the layers that it would see (layers.py). A footprint is
what a model keeps between runs; what a run adds for each sample, the state, is :func:`state_bytes`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from neurosam.hdf5.fields import Array
from neurosam.hdf5.schema import RECORDS, Child
from neurosam.metrics.layers import layers, neuron_layers
from neurosam.network.elements import Population
from neurosam.network.network import Network
from neurosam.network.synapse import neurons
from neurosam.signals.state import variables

__all__ = ["connection_sparsity", "footprint_bytes", "parameter_count", "state_bytes"]

COUNTERS = ("wait", "last", "fired")
"""Variables that are numbers of steps, in a float network too."""


def connection_sparsity(network: Network) -> float:
    """Fraction of zero weights, biases not counted (NeuroBench: ConnectionSparsity, which is rounded to 4 decimals).

    A Sparse matrix counts as the full matrix of its shape, so the result does not depend on how a matrix is stored.
    A network without weights has 0.
    """
    found = layers(network)
    total = sum(layer.size for layer in found)
    return (total - sum(layer.nonzero for layer in found)) / total if total else 0.0


def parameter_count(network: Network) -> int:
    """Weights, biases, and the gains and offsets of batch norms (NeuroBench: ParameterCount).

    Leaks, thresholds and resets are not counted: they are buffers of a module, unless they are trained. A bias, gain or
    offset counts once for each channel, or not at all where it does nothing (0, or a gain of 1). Of a Sparse matrix,
    the stored weights count.

    Examples
    --------
    >>> from neurosam.metrics import parameter_count
    >>> parameter_count(
    ...     ns.Network(
    ...         [ns.Population("in", (3,)), ns.Population("out", (2,), ns.LIF(0.9, 1.0, bias=[0.5, 0.25]))],
    ...         [ns.Projection("in", "out", ns.Dense(np.ones((2, 3))))],
    ...     )
    ... )
    8
    """
    return sum(layer.stored for layer in layers(network)) + sum(_trained(p) for p in neuron_layers(network))


def footprint_bytes(network: Network) -> int:
    """Bytes of a network's arrays in their deployed types (NeuroBench: Footprint, parameters plus buffers).

    Counted is every array that a network file holds, in the type of the format (neurosam/FORMAT.md): weights of 1 byte
    in fixed point and 8 in float64; the index of a Sparse matrix; leaks, thresholds, resets, biases and initial values
    as often as they are stored (once, per channel or per neuron), in fixed point with 2 bytes for decays and bias
    mantissas and 4 for what is compared with a membrane; tables of integer SAM traces. Single settings (exponents,
    strides, modes) are no arrays, as those of a torch module are no buffers. The state is not counted, as in NeuroBench
    before a model has run. The memory that a chip needs differs from this and depends on the chip.
    """
    parts: list[Any] = [p.neuron for p in network.populations if p.neuron is not None]
    return sum(_stored(part) for part in (*parts, *network.projections, *network.sam.values()))


def state_bytes(network: Network) -> int:
    """Bytes of the neurons' state in a run of one sample, which NeuroBench has no name for.

    The state of a neuron is its membrane and what its options keep (:class:`~neurosam.signals.state.State`: current,
    steps to wait, rise of the threshold, relative reset, SAM trace): 8 bytes each in float64, 4 for integers.
    """
    width = 4 if network.fixed else 8
    return sum(
        neurons(p.shape) * sum(4 if name in COUNTERS else width for name in variables(network, p))
        for p in network.populations
        if p.neuron is not None
    )


def _trained(population: Population) -> int:
    """Biases, gains and offsets of a population; a gain of 1 or an offset of 0 is none."""
    neuron: Any = population.neuron
    channels = population.shape[0]
    bias = np.asarray(neuron.bias if hasattr(neuron, "bias") else neuron.bias_mantissa)
    count: int = (bias.size if bias.ndim == 3 else channels) if bias.any() else 0
    one = 1 << getattr(neuron, "gain_shift", 0)
    for name, nothing in (("gain", one), ("offset", 0), ("offset_64ths", 0)):
        table = getattr(neuron, name, None)
        if table is not None and (table != nothing).any():
            count += table.shape[0] * channels
    return count


def _stored(record: Any) -> int:
    """Bytes of the arrays of a record and of the records in it, as the format stores them."""
    total = 0
    for name, field in RECORDS[type(record)].items():
        value = getattr(record, name)
        if value is None:
            continue
        if isinstance(field, Array):
            dtype = np.dtype(field.dtypes[0]) if len(field.dtypes) == 1 else value.dtype
            total += int(np.size(value)) * dtype.itemsize
        elif isinstance(field, Child):
            total += _stored(value)
    return total
