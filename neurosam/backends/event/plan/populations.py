"""Populations as the event back end's kernels take them: parameters by channel, and which ones are a max pooling."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from neurosam import arithmetic
from neurosam.arithmetic import DECAY_ONE, FRACTION_BITS, shift_by
from neurosam.backends.event.kernels.layout import BIAS, FACTOR_V, PARAMETERS, THRESHOLD, Flag, Rule
from neurosam.backends.event.kernels.sam_vector import is_vectorised
from neurosam.backends.event.simd.int16 import TILE
from neurosam.backends.event.simd.vectors import aligned
from neurosam.network.elements import Population, Projection
from neurosam.network.fixed_neuron import FixedLIF, FixedReadout
from neurosam.network.neuron import LIF, Readout
from neurosam.network.precision import Precision
from neurosam.network.synapse import Conv2d, Shape, as_chw
from neurosam.network.trace import MODES, FixedSamTrace, SamTrace
from neurosam.signals.recording import Record, words

__all__ = ["CompiledPopulation", "compile_population", "is_max_pool"]

Array = npt.NDArray[Any]

UNDERFLOW = 746.0
"""``exp(-x)`` is 0 in float64 from here on."""
NEVER = 2**31 - 1
"""A threshold that no membrane exceeds."""


@dataclass(frozen=True, eq=False)
class CompiledPopulation:
    """A population with neurons, as kernels take it.

    Parameters
    ----------
    name : str
    shape : (C, H, W)
    rule : Rule
        Parameters of its neurons, and what is recorded of them.
    """

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

    @property
    def recorded(self) -> bool:
        """Whether membranes, currents or SAM are recorded; spikes always are, in bit planes."""
        return any(self.rule.flags[flag] for flag in (Flag.MEMBRANE, Flag.CURRENTS, Flag.SAM))

    def recording(
        self, record: Record, trace: SamTrace | FixedSamTrace | None, steps: int, first: int = 0, stateful: bool = False
    ) -> CompiledPopulation:
        """The same population with what a run records of it.

        Parameters
        ----------
        record : Record
        trace : SamTrace or FixedSamTrace, optional
            Its own, if it has one.
        steps, first : int
            The run's own steps are ``first : first + steps``.
        stateful : bool
            Whether the state is given or returned: kernels/sam_vector.py, which forgets how old an old spike is, then
            leaves its traces to kernels/sam_by_spike.py.
        """
        name, rule = self.name, self.rule
        requested = {
            Flag.MEMBRANE: name in record.membrane,
            Flag.CURRENTS: name in record.current,
            Flag.SAM: name in record.sam,
        }
        if not any(requested.values()):
            return self
        flags = rule.flags.copy()
        for flag, wanted in requested.items():
            flags[flag] = wanted
        rule = rule._replace(flags=flags)
        if requested[Flag.SAM] and trace is not None:
            flags[Flag.MODE], flags[Flag.CLOCK] = MODES.index(trace.mode), first
            if isinstance(trace, FixedSamTrace):
                flags[Flag.VECTORISED] = is_vectorised(trace) and not stateful
                rule = rule._replace(table=trace.table.copy(), trace_shift=trace.shift, impulse=trace.impulse)
            else:
                ages = min(first + steps, int(UNDERFLOW / trace.gamma) + 1 if trace.gamma else 1)
                rule = rule._replace(table=np.exp(-trace.gamma * np.arange(ages + 1)))
        return replace(self, rule=rule)


def compile_population(population: Population, precision: Precision | None, dtype: str) -> CompiledPopulation:
    """A population of which nothing is recorded.

    Parameters
    ----------
    population : Population
        With neurons.
    precision : Precision, optional
        Of a fixed-point network; None for a float network.
    dtype : str
        Type of a float network's states.
    """
    shape = as_chw(population.shape)
    return CompiledPopulation(population.name, shape, _rule(population, shape, precision, dtype))


def _rule(population: Population, shape: Shape, precision: Precision | None, dtype: str) -> Rule:
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
    offset = lif and (lif.offset if isinstance(lif, LIF) else lif.offset_64ths)
    values = _float(neuron) if precision is None else _fixed(neuron, precision)
    rows = np.zeros((PARAMETERS, whole), dtype if precision is None else np.int32)
    for row, value in zip(rows, values, strict=True):
        row[: shape[0]] = value
    rows[THRESHOLD, shape[0] :] = NEVER
    parameters = aligned((whole // TILE, PARAMETERS, TILE), rows.dtype)
    parameters[:] = rows.reshape(PARAMETERS, -1, TILE).swapaxes(0, 1)
    return Rule(
        flags, parameters, table(lif and lif.gain), lif.gain_shift if isinstance(lif, FixedLIF) else 0,
        table(offset), np.zeros(1, dtype=wide), 0, wide(1).item(),
    )  # fmt: skip


def _float(neuron: Any) -> tuple[Any, ...]:
    """factor_u, factor_v, bias, threshold, amount of a float neuron; a readout forgets nothing and never fires."""
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
    amount = 0 if neuron.reset_amount_64ths is None else neuron.reset_amount_64ths
    return keep, factor, bias, neuron.threshold << FRACTION_BITS, amount


def is_max_pool(population: CompiledPopulation, projection: Projection) -> bool:
    """Whether neurons behind this projection do nothing but fire when any of their sources does.

    Decided by arithmetic, not by name: each channel has one weight, the membrane forgets everything, nothing else
    arrives, and the threshold is exceeded by every possible number of spikes in a window, but not by none.
    """
    flags = population.rule.flags
    if not flags[Flag.FIRES] or flags[Flag.CURRENT] or flags[Flag.TABLES] or population.recorded:
        return False
    return _fires_with_any(population.rule, projection)


def _fires_with_any(rule: Rule, projection: Projection) -> bool:
    """Whether a neuron fires in exactly those steps in which at least one source in its window does."""
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
