"""Populations as the event back end's kernels take them: parameters by channel, and which ones are a max pooling."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from neurosam import arithmetic
from neurosam.arithmetic import shift_by
from neurosam.backends.event.kernels.layout import (
    BIAS,
    FACTOR_V,
    LOWER_BOUND,
    PARAMETERS,
    THRESHOLD,
    Flag,
    OptionalRule,
    Rule,
)
from neurosam.backends.event.kernels.sam_vector import is_vectorised
from neurosam.backends.event.simd.int16 import TILE
from neurosam.backends.event.simd.vectors import LANES, aligned
from neurosam.errors import BackendError
from neurosam.network.dynamics import NONE, UNREACHABLE, VALUE, ZERO, Parameters, Switches, resolve
from neurosam.network.elements import Population, Projection
from neurosam.network.fixed_neuron import FixedLIF
from neurosam.network.neuron import LIF
from neurosam.network.precision import Precision
from neurosam.network.synapse import Conv2d, MaxPool2d, Shape, as_chw
from neurosam.network.trace import MODES, FixedSamTrace, SamTrace
from neurosam.signals.recording import Record, words

__all__ = ["CompiledPopulation", "PooledSums", "compile_population", "is_max_pool"]

Array = npt.NDArray[Any]
Int = npt.NDArray[np.int64]

UNDERFLOW = 746.0
"""``exp(-x)`` is 0 in float64 from here on."""


class PooledSums(NamedTuple):
    """The sums that a population pools: their shape (C, H, W), and kernel, stride and padding (layout.Geometry)."""

    shape: tuple[int, int, int]
    geometry: Int


@dataclass(frozen=True, eq=False)
class CompiledPopulation:
    """A population with neurons, as kernels take it.

    Parameters
    ----------
    name : str
    shape : (C, H, W)
    rule : Rule
        Parameters of its neurons, and what is recorded of them.
    optional : OptionalRule, optional
        Of neurons that kernels/neurons.py cannot run, because of their options or because of parameters per neuron.
    pooled : PooledSums, optional
        Where neurons integrate the largest sum of a window.
    """

    name: str
    shape: tuple[int, int, int]
    rule: Rule
    optional: OptionalRule | None = None
    pooled: PooledSums | None = None

    @property
    def drive(self) -> tuple[int, int, int]:
        """Shape (C, H, W) of the sums that arrive."""
        return self.shape if self.pooled is None else self.pooled.shape

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
    def has_magnitudes(self) -> bool:
        """Whether a neuron can fire several times in a step."""
        return self.optional is not None and self.optional.switches.max_spikes > 1

    @property
    def recorded(self) -> bool:
        """Whether membranes, currents or SAM are recorded; spikes always are, in bit planes."""
        return any(self.rule.flags[flag] for flag in (Flag.MEMBRANE, Flag.CURRENTS, Flag.SAM))

    @property
    def counts_lost(self) -> bool:
        """Whether its kernels count what saturates and wraps around."""
        return self.optional is not None or bool(self.rule.flags[Flag.SATURATES] or self.rule.flags[Flag.WRAPS])

    def pooling(self, pool: MaxPool2d | None, drive: tuple[int, int, int]) -> CompiledPopulation:
        """The same population, which pools sums of shape `drive` if there is a pool."""
        if pool is None:
            return self
        geometry = np.array([n for part in pool.geometry for n in part], np.int64)
        return replace(self, pooled=PooledSums(drive, geometry))

    def counting(self, no_wrap: bool, no_saturation: bool) -> CompiledPopulation:
        """The same population, which counts what wraps around or saturates unless that is proven not to happen."""
        if no_wrap and no_saturation:
            return self
        flags = self.rule.flags.copy()
        flags[Flag.WRAPS], flags[Flag.SATURATES] = not no_wrap, not no_saturation
        return replace(self, rule=self.rule._replace(flags=flags))

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
                flags[Flag.VECTORISED] = is_vectorised(trace) and not stateful and not self.has_magnitudes
                rule = rule._replace(table=trace.table.copy(), trace_shift=trace.shift, impulse=trace.impulse)
            else:
                ages = min(first + steps, int(UNDERFLOW / trace.gamma) + 1 if trace.gamma else 1)
                rule = rule._replace(table=np.exp(-trace.gamma * np.arange(ages + 1)))
        return replace(self, rule=rule)


def compile_population(
    population: Population, precision: Precision | None, dtype: str, *, wide: bool = False
) -> CompiledPopulation:
    """A population of which nothing is recorded.

    Parameters
    ----------
    population : Population
        With neurons.
    precision : Precision, optional
        Of a fixed-point network; None for a float network.
    dtype : str
        Type of a float network's states.
    wide : bool
        Whether sums may leave 32 bits: such neurons are left to kernels/optional_neurons.py.
    """
    shape = as_chw(population.shape)
    if population.neuron is None:
        raise BackendError(f"population {population.name!r}", "is an input, which has no neurons to compile")
    parameters, switches = resolve(population.neuron, precision)
    rule = _rule(population, shape, switches, precision, dtype)
    number = np.dtype(dtype if precision is None else np.int32)
    if _is_plain(switches) and not wide and all(np.ndim(parameter) < 3 for parameter in parameters):
        by_tile = _by_tile(parameters, switches, shape, number)
        return CompiledPopulation(population.name, shape, rule._replace(parameters=by_tile))
    return CompiledPopulation(population.name, shape, rule, _optional(parameters, switches, shape, number))


def _is_plain(switches: Switches) -> bool:
    """Whether kernels/neurons.py has all options: it takes a reset to a value and a lower bound too."""
    reset = NONE if switches.reset == VALUE else switches.reset
    return switches._replace(reset=reset, bounded=False).plain


def _rule(population: Population, shape: Shape, switches: Switches, precision: Precision | None, dtype: str) -> Rule:
    """A population's rule, without the parameters."""
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
    flags[Flag.FIRES] = population.fires
    flags[Flag.ZERO] = switches.reset in (ZERO, VALUE)
    flags[Flag.BOUNDED] = switches.bounded or switches.reset == VALUE
    flags[Flag.CURRENT] = switches.current
    flags[Flag.TABLES] = lif is not None and lif.gain is not None
    offset = lif and (lif.offset if isinstance(lif, LIF) else lif.offset_64ths)
    return Rule(
        flags, np.zeros((0, PARAMETERS, TILE), dtype if precision is None else np.int32), table(lif and lif.gain),
        lif.gain_shift if isinstance(lif, FixedLIF) else 0, table(offset), np.zeros(1, dtype=wide), 0, wide(1).item(),
    )  # fmt: skip


def _by_tile(parameters: Parameters, switches: Switches, shape: Shape, number: np.dtype[Any]) -> Array:
    """The parameters of neurons by tile, as :class:`Rule` has them."""
    whole = -(-shape[0] // TILE) * TILE
    rows = np.zeros((PARAMETERS, whole), number)
    for row, value in zip(rows, parameters[:PARAMETERS], strict=True):
        row[: shape[0]] = value
    if switches.at:
        rows[THRESHOLD] = rows[THRESHOLD] - 1 if number.kind == "i" else np.nextafter(rows[THRESHOLD], -np.inf)
    rows[THRESHOLD, shape[0] :] = UNREACHABLE
    if not switches.bounded:
        rows[LOWER_BOUND] = np.iinfo(number).min if number.kind == "i" else -np.inf
    by_tile = aligned((whole // TILE, PARAMETERS, TILE), number)
    by_tile[:] = rows.reshape(PARAMETERS, -1, TILE).swapaxes(0, 1)
    return by_tile


def _optional(parameters: Parameters, switches: Switches, shape: Shape, number: np.dtype[Any]) -> OptionalRule:
    """What the kernel of optional neurons takes. Spare channels cannot fire, and have an amount that can divide."""
    channels, pixels = shape[0], shape[1] * shape[2]
    whole = -(-channels // LANES) * LANES
    rows = []
    for name, value in zip(Parameters._fields, parameters, strict=True):
        by_neuron = np.ndim(value) == 3
        row = np.zeros((pixels if by_neuron else 1, whole), number)
        row[:, :channels] = np.asarray(value).reshape(channels, pixels).T if by_neuron else value
        row[:, channels:] = {"threshold": UNREACHABLE, "amount": 1}.get(name, 0)
        rows.append(row)
    sizes = np.array([row.size for row in rows], np.int64)
    pitch = np.array([whole if len(row) > 1 else 0 for row in rows], np.int64)
    values = aligned((int(sizes.sum()),), number)
    values[:] = np.concatenate([row.reshape(-1) for row in rows])
    return OptionalRule(switches, values, np.cumsum(sizes) - sizes, pitch)


def is_max_pool(population: CompiledPopulation, projection: Projection) -> bool:
    """Whether neurons behind this projection do nothing but fire when any of their sources does.

    Decided by arithmetic, not by name: each channel has one weight, the membrane forgets everything, nothing else
    arrives, and the threshold is exceeded by every possible number of spikes in a window, but not by none.
    """
    flags = population.rule.flags
    if population.optional is not None:
        return False
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
