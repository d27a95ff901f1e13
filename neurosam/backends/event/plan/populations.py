"""Populations as the event back end's kernels take them: parameters a channel, and which ones are a pooling.

What depends on a population alone is kept as long as it lives, so that a second run of a network starts at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt

from neurosam import arithmetic
from neurosam.arithmetic import DECAY_ONE, FRACTION_BITS, shift_by
from neurosam.backends.event.kernels.layout import BIAS, FACTOR_V, PARAMETERS, THRESHOLD, Flag, Rule
from neurosam.backends.event.kernels.sam_vector import is_together
from neurosam.backends.event.simd.int16 import TILE
from neurosam.backends.event.simd.vectors import aligned
from neurosam.network.elements import Population, Projection
from neurosam.network.network import Network
from neurosam.network.neuron import LIF, FixedLIF, FixedReadout, Readout
from neurosam.network.precision import Precision
from neurosam.network.synapse import Conv2d, Shape, as_chw
from neurosam.network.trace import MODES, FixedSamTrace
from neurosam.signals.recording import Record, words

__all__ = ["Cells", "cells", "is_or"]

Array = npt.NDArray[Any]

NEVER = 2**31 - 1
"""A threshold out of reach."""


@dataclass(frozen=True, eq=False)
class Cells:
    """A population with neurons."""

    name: str
    shape: tuple[int, int, int]
    rule: Rule

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


_rules: WeakKeyDictionary[Population, dict[tuple[Precision | None, str], Rule]] = WeakKeyDictionary()


def cells(network: Network, population: Population, record: Record, steps: int, dtype: str = "float64") -> Cells:
    """Prepare one population with neurons; `dtype` is that of a float network's states."""
    name, shape = population.name, as_chw(population.shape)
    known = _rules.setdefault(population, {})
    if (network.precision, dtype) not in known:
        known[network.precision, dtype] = _rule(population, shape, network.precision, dtype)
    rule = known[network.precision, dtype]
    recorded = {Flag.MEMBRANE: record.membrane, Flag.CURRENTS: record.current, Flag.SAM: record.sam}
    if not any(name in names for names in recorded.values()):
        return Cells(name, shape, rule)
    flags = rule.flags.copy()
    for flag, names in recorded.items():
        flags[flag] = name in names
    kernel, trace_shift, impulse = rule.table, rule.trace_shift, rule.impulse
    if name in record.sam:
        trace = network.sam[name]
        flags[Flag.MODE] = MODES.index(trace.mode)
        if isinstance(trace, FixedSamTrace):
            kernel, trace_shift, impulse = trace.table.copy(), trace.shift, trace.impulse
            flags[Flag.TOGETHER] = is_together(trace)
        else:
            kernel = np.exp(-trace.gamma * np.arange(steps + 1))
    return Cells(name, shape, rule._replace(flags=flags, table=kernel, trace_shift=trace_shift, impulse=impulse))


def _rule(population: Population, shape: Shape, precision: Precision | None, dtype: str) -> Rule:
    """The parameters of a population of which nothing is recorded."""
    neuron = population.neuron
    whole = -(-shape[0] // TILE) * TILE
    wide: Any = np.float64 if precision is None else np.int64

    def table(value: Any) -> Array:
        size = len(value) if value is not None else 0
        out = aligned((size, whole), dtype) if precision is None else np.zeros((size, shape[0]), np.int64)
        if value is not None:
            out[:, : shape[0]] = value
        return out

    lif = neuron if isinstance(neuron, (LIF, FixedLIF)) else None
    flags = np.zeros(len(Flag), dtype=np.int64)
    flags[Flag.FIRES] = lif is not None
    flags[Flag.ZERO] = lif is not None and lif.reset == "zero"
    flags[Flag.CURRENT] = population.has_current
    flags[Flag.TABLES] = lif is not None and lif.gain is not None
    values = _float(neuron) if precision is None else _fixed(neuron, precision)
    rows = np.zeros((PARAMETERS, whole), dtype if precision is None else np.int32)
    for row, value in zip(rows, values, strict=True):
        row[: shape[0]] = value
    rows[THRESHOLD, shape[0] :] = NEVER
    parameters = aligned((whole // TILE, PARAMETERS, TILE), rows.dtype)
    parameters[:] = rows.reshape(PARAMETERS, -1, TILE).swapaxes(0, 1)
    return Rule(
        flags, parameters, table(lif and lif.gain), lif.gain_shift if isinstance(lif, FixedLIF) else 0,
        table(lif and lif.offset), np.zeros(1, dtype=wide), 0, wide(1).item(),
    )  # fmt: skip


def _float(neuron: Any) -> tuple[Any, ...]:
    """factor_u, factor_v, bias, threshold, amount of a float neuron; a readout keeps everything and never fires."""
    if isinstance(neuron, Readout):
        return 0.0, 1.0, neuron.bias, np.inf, 0.0
    keep = 0.0 if neuron.current_leak is None else neuron.current_leak
    return keep, neuron.leak, neuron.bias, neuron.threshold, 0.0 if neuron.reset_amount is None else neuron.reset_amount


def _fixed(neuron: Any, precision: Precision) -> tuple[Any, ...]:
    """factor_u, factor_v, bias, threshold, amount of an integer neuron, as arithmetic.py takes them."""
    bias = shift_by(neuron.bias_mantissa, neuron.bias_exponent)
    if isinstance(neuron, FixedReadout):
        return 0, DECAY_ONE, bias, NEVER, 0
    forget = neuron.current_decay is None
    keep = 0 if forget else DECAY_ONE - neuron.current_decay - precision.current_decay_offset
    factor = DECAY_ONE - neuron.membrane_decay - precision.membrane_decay_offset
    amount = 0 if neuron.reset_amount is None else neuron.reset_amount
    return keep, factor, bias, neuron.threshold << FRACTION_BITS, amount


def is_or(rule: Rule, projection: Projection) -> bool:
    """Whether neurons behind this projection do nothing but fire when any of their sources does.

    Found by arithmetic, not by name: each channel has one weight, the membrane forgets everything, nothing else
    arrives, and every possible number of spikes in a window leads above the threshold, none does not.
    """
    flags = rule.flags
    if not flags[Flag.FIRES] or any(
        flags[f] for f in (Flag.CURRENT, Flag.TABLES, Flag.MEMBRANE, Flag.CURRENTS, Flag.SAM)
    ):
        return False
    parameters, known = _ors.get(projection, (None, False))
    if parameters is not rule.parameters:
        known = _fires_with_any(rule, projection)
        _ors[projection] = rule.parameters, known
    return known


_ors: WeakKeyDictionary[Projection, tuple[Array, bool]] = WeakKeyDictionary()  # by the last rule's own parameters


def _fires_with_any(rule: Rule, projection: Projection) -> bool:
    """Whether one spike of its window makes a neuron fire, and nothing else does or is remembered."""
    synapse = projection.synapse
    if not isinstance(synapse, Conv2d) or projection.pool is not None:
        return False
    outputs, per_group, height, width = synapse.weight.shape
    kernel, stride, padding, dilation = (height, width), *synapse.geometry
    if per_group != 1 or outputs != synapse.groups or padding != (0, 0) or dilation != (1, 1) or min(stride) < 1:
        return False
    weight = synapse.weight.reshape(outputs, -1)
    factor, bias, threshold = (rule.parameters[:, which].reshape(-1)[:outputs] for which in (FACTOR_V, BIAS, THRESHOLD))
    if (weight != weight[:, :1]).any() or factor.any() or bias.any():
        return False
    spikes = np.arange(kernel[0] * kernel[1] + 1)
    if not projection.integral:  # a window adds one weight as often as it has spikes, whatever the order
        added = np.repeat(weight[:, :1].astype(threshold.dtype), spikes.size - 1, axis=1)
        real = np.pad(np.cumsum(added, axis=1, dtype=added.dtype), ((0, 0), (1, 0)))
        return bool(((real > threshold[:, None]) == (spikes > 0)).all())
    weight = weight.astype(np.int64)
    sums = shift_by(weight[:, :1] * spikes, projection.exponent)
    u = arithmetic.current(0, arithmetic.arrive(sums), 0)
    fires = arithmetic.fire(arithmetic.membrane(0, u, 0, 0), threshold[:, None].astype(np.int64))
    return bool((fires == (spikes > 0)).all())
