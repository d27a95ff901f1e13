"""What the event back end prepares once a run: parameters a channel, and weights in the order that spikes read them.

Everything here is read by all threads and written by none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from neurosam.arithmetic import DECAY_ONE, FRACTION_BITS, shift_by
from neurosam.backends.event_neuron import Flag
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

NO_POOL = np.array([1, 1, 1, 1, 0, 0], dtype=np.int64)


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
        return np.ascontiguousarray(np.broadcast_to(np.asarray(value, dtype=dtype), (shape[0],)))

    def table(value: Any) -> Array:
        if value is None:
            return np.zeros((0, shape[0]), dtype=dtype)
        return np.ascontiguousarray(np.broadcast_to(np.asarray(value, dtype=dtype), (len(value), shape[0])))

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
    source_shape: Array
    pool: Array
    pooled_shape: Array
    arrays: tuple[Array, ...]
    sums: tuple[int, ...]

    def deliver(self, events: EventList, acc: Array) -> int:
        """Add a block's events to ``acc (steps, neurons)``; returns the synaptic operations."""
        target = acc.reshape(acc.shape[0], *self.sums)
        if self.exponent == 0:
            return int(self._add(events, target))
        own = np.zeros_like(target)
        operations = int(self._add(events, own))
        target += shift_by(own, self.exponent)
        return operations

    def _add(self, events: EventList, target: Array) -> Any:
        return self.kernel(*events, self.source_shape, self.pool, self.pooled_shape, *self.arrays, target)


def link(network: Network, projection: Projection) -> Link:
    """Prepare one projection: its weights channel-last, as targets of one source side by side."""
    source, target = picture(network[projection.source].shape), picture(network[projection.target].shape)
    pool, pooled = NO_POOL, source
    if projection.pool is not None:
        pool = np.array([n for part in projection.pool.geometry for n in part], dtype=np.int64)
        pooled = picture(projection.pool.output_shape(source))
    synapse = projection.synapse
    arrays: tuple[Array, ...]
    sums: tuple[int, ...] = (int(np.prod(target)),)
    if isinstance(synapse, Conv2d):
        geometry = [n for part in synapse.geometry for n in part]
        arrays = (_conv(synapse), np.array([*geometry, synapse.groups], dtype=np.int64))
        kernel, sums = deliver_conv, (target[1], target[2], target[0])
    elif isinstance(synapse, Dense):
        weight = synapse.weight[_order(target)][:, _order(pooled)]
        kernel, arrays = deliver_dense, (np.ascontiguousarray(weight.T),)
    else:
        kernel, arrays = deliver_sparse, _by_source(*synapse.by_source(), _order(pooled), _order(target))
    return Link(
        projection.label, projection.source, projection.target, network.lag(projection), projection.exponent, kernel,
        np.array(source, dtype=np.int64), pool, np.array(pooled, dtype=np.int64), arrays, sums,
    )  # fmt: skip


def _order(shape: Shape) -> Array:
    """C-order index of each neuron in channel-last order."""
    return np.arange(int(np.prod(shape))).reshape(shape).transpose(1, 2, 0).reshape(-1)


def _conv(synapse: Conv2d) -> Array:
    """``(O, C / g, kH, kW)`` as ``(kH, kW, C, O / g)``."""
    out, per_group, height, width = synapse.weight.shape
    grouped = synapse.weight.reshape(synapse.groups, out // synapse.groups, per_group, height, width)
    moved = grouped.transpose(3, 4, 0, 2, 1).reshape(height, width, synapse.groups * per_group, out // synapse.groups)
    return np.ascontiguousarray(moved)


def _by_source(row: Array, target: Array, weight: Array, source_order: Array, target_order: Array) -> tuple[Array, ...]:
    """A matrix compressed by source, with sources and targets renumbered to channel-last order."""
    lengths = np.diff(row)[source_order]
    start = np.concatenate(([0], np.cumsum(lengths)))
    take = np.repeat(row[:-1][source_order] - start[:-1], lengths) + np.arange(int(start[-1]))
    place = np.empty_like(target_order)
    place[target_order] = np.arange(target_order.size)
    return start.astype(np.int64), place[target[take]].astype(np.int64), np.ascontiguousarray(weight[take])
