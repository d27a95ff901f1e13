"""What the event back end prepares once a run: parameters a channel, and weights in the order that spikes read them.

Everything here is read by all threads and written by none. All arrays are copies that could be written all the same:
to Numba a read-only array is another type, and a kernel would be compiled for each mixture of the two.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from neurosam.arithmetic import DECAY_ONE, FRACTION_BITS, shift_by
from neurosam.backends.event_neuron import Flag
from neurosam.backends.event_reach import Axis, Window, reach
from neurosam.backends.event_synapse import deliver_conv, deliver_dense, deliver_sparse
from neurosam.network import Network, Population, Projection
from neurosam.neuron import LIF, FixedLIF, FixedReadout, Readout
from neurosam.precision import Precision
from neurosam.recording import Record, words
from neurosam.synapse import Conv2d, Dense, Shape, picture
from neurosam.trace import MODES, FixedSamTrace

__all__ = ["Cells", "EventList", "Link", "cells", "link"]

Array = npt.NDArray[Any]

EventList = tuple[Array, Array, Array, bool]
"""``start``, ``index``, ``value``, and whether the values count (else every event is worth 1)."""


@dataclass(frozen=True, eq=False)
class Cells:
    """A population as kernels take it; arrays as in :func:`event_neuron.fixed_block`."""

    name: str
    shape: tuple[int, int, int]
    flags: Array
    factor_u: Array
    factor_v: Array
    bias: Array
    threshold: Array
    amount: Array
    gain: Array
    shift: int
    offset: Array
    table: Array
    trace_shift: int
    impulse: Any

    @property
    def pixels(self) -> int:
        """H * W."""
        return self.shape[1] * self.shape[2]

    @property
    def channels(self) -> int:
        """C."""
        return self.shape[0]

    @property
    def words(self) -> int:
        """64-bit words of a pixel's bit plane."""
        return words(self.shape[0])


def cells(network: Network, population: Population, record: Record, steps: int) -> Cells:
    """Prepare one population with neurons."""
    name, neuron = population.name, population.neuron
    shape = picture(population.shape)
    dtype = np.int64 if network.fixed else np.float64

    def spread(value: Any) -> Array:
        return np.array(np.broadcast_to(np.asarray(value, dtype=dtype), (shape[0],)), order="C")

    def table(value: Any) -> Array:
        if value is None:
            return np.zeros((0, shape[0]), dtype=dtype)
        return np.array(np.broadcast_to(np.asarray(value, dtype=dtype), (len(value), shape[0])), order="C")

    values = _fixed(neuron, network.precision) if network.precision else _float(neuron)
    lif = neuron if isinstance(neuron, (LIF, FixedLIF)) else None
    flags = np.zeros(8, dtype=np.int64)
    flags[Flag.FIRES] = lif is not None
    flags[Flag.ZERO] = lif is not None and lif.reset == "zero"
    flags[Flag.CURRENT] = (
        getattr(lif, "current_leak", None) is not None or getattr(lif, "current_decay", None) is not None
    )
    flags[Flag.TABLES] = lif is not None and lif.gain is not None
    flags[Flag.MEMBRANE] = name in record.membrane
    flags[Flag.CURRENTS] = name in record.current
    flags[Flag.SAM] = name in record.sam
    kernel, trace_shift, impulse = np.zeros(1, dtype=dtype), 0, dtype(1).item()
    if name in record.sam:
        trace = network.sam[name]
        flags[Flag.MODE] = MODES.index(trace.mode)
        if isinstance(trace, FixedSamTrace):
            kernel, trace_shift, impulse = trace.table.copy(), trace.shift, trace.impulse
        else:
            kernel = np.exp(-trace.gamma * np.arange(steps + 1))
    factor_u, factor_v, bias, threshold, amount = (spread(value) for value in values)
    return Cells(
        name, shape, flags, factor_u, factor_v, bias, threshold, amount, table(lif and lif.gain),
        lif.gain_shift if isinstance(lif, FixedLIF) else 0, table(lif and lif.offset), kernel, trace_shift, impulse,
    )  # fmt: skip


def _float(neuron: Any) -> tuple[Any, ...]:
    """factor_u, factor_v, bias, threshold, amount of a float neuron; a readout keeps everything."""
    if isinstance(neuron, Readout):
        return 0.0, 1.0, neuron.bias, 0.0, 0.0
    keep = 0.0 if neuron.current_leak is None else neuron.current_leak
    return keep, neuron.leak, neuron.bias, neuron.threshold, 0.0 if neuron.reset_amount is None else neuron.reset_amount


def _fixed(neuron: Any, precision: Precision) -> tuple[Any, ...]:
    """factor_u, factor_v, bias, threshold, amount of an integer neuron, as arithmetic.py takes them."""
    bias = shift_by(neuron.bias_mantissa, neuron.bias_exponent)
    if isinstance(neuron, FixedReadout):
        return 0, DECAY_ONE, bias, 0, 0
    forget = neuron.current_decay is None
    keep = 0 if forget else DECAY_ONE - neuron.current_decay - precision.current_decay_offset
    factor = DECAY_ONE - neuron.membrane_decay - precision.membrane_decay_offset
    amount = 0 if neuron.reset_amount is None else neuron.reset_amount
    return keep, factor, bias, neuron.threshold << FRACTION_BITS, amount


@dataclass(frozen=True, eq=False)
class Link:
    """A projection as kernels take it."""

    label: str
    source: str
    target: str
    lag: int
    exponent: int
    kernel: Any
    arguments: tuple[Any, ...]

    def deliver(self, events: EventList, acc: Array) -> int:
        """Add a block's events to ``acc (steps, neurons)``; returns the synaptic operations."""
        if self.exponent == 0:
            return int(self.kernel(*events, *self.arguments, acc))
        own = np.zeros_like(acc)
        operations = int(self.kernel(*events, *self.arguments, own))
        acc += shift_by(own, self.exponent)
        return operations


def link(network: Network, projection: Projection) -> Link:
    """Prepare one projection: its weights channel-last, as targets of one source side by side."""
    source, target = picture(network[projection.source].shape), picture(network[projection.target].shape)
    pool, synapse = projection.pool, projection.synapse
    pooled = picture(pool.output_shape(source)) if pool else source
    pools = [Window(*part) for part in zip(*pool.geometry, strict=True)] if pool else [Window(), Window()]

    def tables(convs: Sequence[Window], sizes: tuple[int, ...], runs: bool) -> tuple[Array, ...]:
        """``down`` and ``across`` of event_synapse.py."""
        axes = [Axis(*part) for part in zip(source[1:], pooled[1:], sizes, strict=True)]
        down = reach(axes[0], pools[0], convs[0], runs=False)
        return *down, *reach(axes[1], pools[1], convs[1], runs=runs)

    arguments: tuple[Any, ...]
    if isinstance(synapse, Conv2d):
        strides, paddings, dilations = synapse.geometry
        convs = [Window(*part) for part in zip(synapse.weight.shape[2:], strides, paddings, dilations, strict=True)]
        arguments = (*tables(convs, target[1:], synapse.groups == 1), _conv(synapse), synapse.groups, *target[1:])
        kernel = deliver_conv
    else:
        arguments = (*tables([Window(), Window()], pooled[1:], False), pooled[2])
        if isinstance(synapse, Dense):
            weight = synapse.weight[_order(target)][:, _order(pooled)]
            kernel, arguments = deliver_dense, (*arguments, np.ascontiguousarray(weight.T))
        else:
            rows = _by_source(*synapse.by_source(), _order(pooled), _order(target))
            kernel, arguments = deliver_sparse, (*arguments, *rows)
    return Link(
        projection.label, projection.source, projection.target, network.lag(projection), projection.exponent, kernel,
        (source[0], source[2], *arguments),
    )  # fmt: skip


def _order(shape: Shape) -> Array:
    """C-order index of each neuron in channel-last order."""
    return np.arange(int(np.prod(shape))).reshape(shape).transpose(1, 2, 0).reshape(-1)


def _conv(synapse: Conv2d) -> Array:
    """``(O, C / g, kH, kW)`` as ``(kH, C, kW, O / g)``, rows and columns of the kernel last to first."""
    out, per_group, height, width = synapse.weight.shape
    grouped = synapse.weight.reshape(synapse.groups, out // synapse.groups, per_group, height, width)
    moved = grouped[..., ::-1, ::-1].transpose(3, 0, 2, 4, 1)
    return moved.copy().reshape(height, synapse.groups * per_group, width, out // synapse.groups)


def _by_source(row: Array, target: Array, weight: Array, source_order: Array, target_order: Array) -> tuple[Array, ...]:
    """A matrix compressed by source, with sources and targets renumbered to channel-last order."""
    lengths = np.diff(row)[source_order]
    start = np.concatenate(([0], np.cumsum(lengths)))
    take = np.repeat(row[:-1][source_order] - start[:-1], lengths) + np.arange(int(start[-1]))
    place = np.empty_like(target_order)
    place[target_order] = np.arange(target_order.size)
    return start.astype(np.int64), place[target[take]].astype(np.int64), np.ascontiguousarray(weight[take])
