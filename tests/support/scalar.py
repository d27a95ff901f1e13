"""One neuron in plain Python, with all its options: the integer rule and the float rule, with ifs.

Nothing here uses `neurosam.arithmetic` or `neurosam.network.dynamics`. The integer rule is the scalar listing of
lava-nc 0.10.0's ``fixed_pt`` LIF, and neurosam's options around it. A neuron is a :class:`Cell` (what never changes)
and a :class:`Life` (what a step changes).
"""

from __future__ import annotations

import math
from bisect import bisect_left
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from neurosam.network.fixed_neuron import FixedLIF, FixedReadout, Neuron
from neurosam.network.neuron import LIF
from neurosam.network.precision import Precision
from neurosam.network.synapse import Shape

__all__ = ["Cell", "Life", "cells", "fixed_step", "float_neuron", "integer_neuron", "rtz12", "wrap24", "wrap32"]

LARGEST = 2**23 - 1


@dataclass
class Cell:
    """Parameters of one neuron: integers with 6 fractional bits (decays: what is kept, of 4096), or floats."""

    keep_u: Any = None  # None: no current
    keep_v: Any = 4096
    bias: Any = 0
    threshold: Any = None  # None: a readout
    reset: str = "none"
    amount: Any = None  # what "subtract" subtracts; None: the threshold, as it has risen
    value: Any = 0  # what "value" leaves
    at: bool = False
    timing: str = "now"
    floor: Any = None
    refractory: int = 0
    keep_h: Any = None  # None: a threshold that does not rise
    rise: Any = 0
    keep_r: Any = None
    most: int = 1
    gain: list[Any] = field(default_factory=list)  # by own step, or one for all
    offset: list[Any] = field(default_factory=list)
    shift: int = 0

    def row(self, t: int) -> tuple[Any, Any]:
        """Gain and offset of own step `t`."""
        return (self.gain[t], self.offset[t]) if len(self.gain) > 1 else (self.gain[0], self.offset[0])


@dataclass
class Life:
    """What one neuron holds between two steps."""

    u: Any
    v: Any
    wait: int = 0
    h: Any = 0
    r: Any = 0


# --- the integer neuron -----------------------------------------------------------------------------------------------


def wrap32(x: int) -> int:
    """Signed 32 bits, modulo 2^32."""
    return ((x + 2**31) % 2**32) - 2**31


def rtz12(x: int) -> int:
    """``x / 4096`` toward zero."""
    return -((-x) >> 12) if x < 0 else x >> 12


def wrap24(x: int) -> int:
    """Lava's wrap of the current: once, and not symmetric (+2^23 stays, -2^23 becomes +2^23)."""
    if x > 2**23:
        x = x - 2**24
    if x <= -(2**23):
        x = x + 2**24
    return x


def clip(x: int) -> int:
    """To 24 bits, symmetric."""
    if x > LARGEST:
        return LARGEST
    if x < -LARGEST:
        return -LARGEST
    return x


def integer_neuron(cell: Cell, life: Life, t: int, a: int) -> tuple[int, bool, bool]:
    """Own step `t`, from the sum `a` of weighted events: how often it fires, whether it clipped, whether it wrapped."""
    exact = a * 64
    i = wrap32(exact)
    wrapped = i != exact
    if cell.gain:
        gain, offset = cell.row(t)
        exact = (i * gain) // 2**cell.shift + offset
        i = wrap32(exact)
        wrapped = wrapped or i != exact
    exact = rtz12(life.u * (cell.keep_u or 0)) + i
    life.u = wrap24(wrap32(exact))
    wrapped = wrapped or life.u != exact

    waits = life.wait > 0
    clipped = False
    subtracted = 0
    if waits:
        life.wait -= 1
    else:
        if cell.timing != "now" and _exceeds(life.v, cell.threshold, cell.at):
            if cell.reset == "zero":
                life.v = 0
            elif cell.reset == "value":
                life.v = cell.value
            elif cell.reset == "subtract":
                subtracted = cell.amount
        exact = rtz12(life.v * cell.keep_v) + life.u + cell.bias - subtracted
        v = wrap32(exact)
        wrapped = wrapped or v != exact
        life.v = clip(v)
        clipped = life.v != v

    if cell.keep_h is not None:
        life.h = rtz12(life.h * cell.keep_h)
    if cell.keep_r is not None:
        life.r = rtz12(life.r * cell.keep_r)
    spikes = 0
    bar = 0
    if cell.threshold is not None:
        bar = cell.threshold + life.h
    amount = bar if cell.amount is None else cell.amount
    if cell.threshold is not None and not waits:
        if cell.most == 1:
            spikes = 1 if _exceeds(life.v - life.r, bar, cell.at) else 0
        else:  # as often as what is left still fires: the first n for which it does not, by bisection
            spikes = bisect_left(range(cell.most), True, key=lambda n: not _exceeds(life.v - n * amount, bar, cell.at))
    _reset(cell, life, spikes, bar, amount, subtracted)
    life.r, life.h = clip(life.r), clip(life.h)
    return spikes, clipped, wrapped


def _reset(cell: Cell, life: Life, spikes: int, bar: Any, amount: Any, subtracted: Any) -> None:
    """What follows the spikes of a step; `subtracted` is what this step took off for the spike of the last one."""
    if spikes and cell.timing == "now":
        if cell.reset == "zero":
            life.v = 0 if isinstance(life.v, int) else 0.0
        elif cell.reset == "value":
            life.v = cell.value
        elif cell.reset == "subtract":
            life.v = life.v - spikes * amount
        elif cell.reset == "relative":
            life.r = life.r + 2 * bar
    if cell.timing == "both":
        life.v = life.v - (spikes * amount - subtracted)
    if spikes:
        if cell.keep_h is not None:
            life.h = life.h + spikes * cell.rise
        life.wait = cell.refractory
    if cell.floor is not None and life.v < cell.floor:
        life.v = cell.floor


def _exceeds(v: Any, bar: Any, at: bool) -> bool:
    return bool(v >= bar) if at else bool(v > bar)


def fixed_step(
    u: int, v: int, a: int, *, factor_u: int, factor_v: int, bias: int,
    threshold: int | None, reset_amount: int | None, norm: tuple[int, int, int] | None = None,
) -> tuple[int, int, bool]:  # fmt: skip
    """A neuron without options, from the sum `a` of weighted spikes to ``(u, v, spike)``.

    `threshold` is in membrane units (None: a readout), `reset_amount` None for a reset to zero, and `norm` is
    (gain, shift, offset).
    """
    cell = Cell(factor_u, factor_v, bias, threshold, "zero" if reset_amount is None else "subtract", reset_amount)
    if norm is not None:
        gain, cell.shift, offset = norm
        cell.gain, cell.offset = [gain], [offset]
    life = Life(u, v)
    spikes, _, _ = integer_neuron(cell, life, 0, a)
    return life.u, life.v, spikes > 0


# --- the float neuron -------------------------------------------------------------------------------------------------


def float_neuron(cell: Cell, life: Life, t: int, i: float) -> int:
    """Own step `t`, from the sum `i` of weighted events: how often it fires."""
    if cell.gain:
        gain, offset = cell.row(t)
        i = gain * i + offset
    life.u = i if cell.keep_u is None else cell.keep_u * life.u + i

    waits = life.wait > 0
    subtracted = 0.0
    if waits:
        life.wait -= 1
    else:
        late = cell.timing != "now" and _exceeds(life.v, cell.threshold, cell.at)
        if late and cell.reset == "zero":
            life.v = 0.0
        if late and cell.reset == "value":
            life.v = cell.value
        life.v = (cell.keep_v * life.v + life.u) + cell.bias
        if late and cell.reset == "subtract":
            subtracted = cell.amount
            life.v = life.v - subtracted

    if cell.keep_h is not None:
        life.h = cell.keep_h * life.h
    if cell.keep_r is not None:
        life.r = cell.keep_r * life.r
    spikes = 0
    bar = 0.0
    if cell.threshold is not None:
        bar = cell.threshold + life.h
    amount = bar if cell.amount is None else cell.amount
    if cell.threshold is not None and not waits:
        if cell.most == 1:
            spikes = 1 if _exceeds(life.v - life.r, bar, cell.at) else 0
        else:
            ratio = (life.v - (bar - amount)) / amount
            spikes = min(max(math.floor(ratio) if cell.at else math.ceil(ratio) - 1, 0), cell.most)
    _reset(cell, life, spikes, bar, amount, subtracted)
    return spikes


# --- parameters -------------------------------------------------------------------------------------------------------


def cells(neuron: Neuron, precision: Precision | None, shape: Shape) -> list[Cell]:
    """The neurons of a population, flat in C order."""
    size = math.prod(shape)
    pixels = size // shape[0]
    return [_cell(neuron, precision, k, k // pixels) for k in range(size)]


def _cell(neuron: Neuron, precision: Precision | None, k: int, channel: int) -> Cell:
    def own(parameter: Any) -> Any:
        """The value of neuron `k`: one for all, one for each channel, or one for each neuron."""
        values = np.asarray(parameter)
        if values.ndim == 0:
            return values.item()
        return values[channel].item() if values.ndim == 1 else values.reshape(-1)[k].item()

    def maybe(parameter: Any) -> Any:
        return None if parameter is None else own(parameter)

    def column(table: Any) -> list[Any]:
        return [] if table is None else [row[channel if len(row) > 1 else 0] for row in table.tolist()]

    if isinstance(neuron, (FixedLIF, FixedReadout)):
        assert precision is not None
        cell = Cell(bias=own(neuron.bias_mantissa) * 2**neuron.bias_exponent)
        if neuron.current_decay is not None:
            cell.keep_u = 4096 - (own(neuron.current_decay) + precision.current_decay_offset)
        if neuron.membrane_decay is not None:
            cell.keep_v = 4096 - (own(neuron.membrane_decay) + precision.membrane_decay_offset)
        if isinstance(neuron, FixedReadout):
            return cell
        cell.threshold = own(neuron.threshold) * 64
        cell.amount, cell.value = maybe(neuron.reset_amount_64ths), maybe(neuron.reset_value_64ths)
        cell.floor = maybe(neuron.lower_bound_64ths)
        if neuron.threshold_decay is not None:
            cell.keep_h, cell.rise = 4096 - own(neuron.threshold_decay), own(neuron.threshold_step_64ths)
        if neuron.relative_decay is not None:
            cell.keep_r = 4096 - own(neuron.relative_decay)
        cell.gain, cell.offset, cell.shift = column(neuron.gain), column(neuron.offset_64ths), neuron.gain_shift
    else:
        cell = Cell(maybe(neuron.current_leak), own(neuron.leak), own(neuron.bias))
        if not isinstance(neuron, LIF):
            return cell
        cell.threshold = own(neuron.threshold)
        cell.amount, cell.value = maybe(neuron.reset_amount), maybe(neuron.reset_value)
        cell.floor = maybe(neuron.lower_bound)
        cell.keep_h, cell.rise = maybe(neuron.threshold_leak), maybe(neuron.threshold_step)
        cell.keep_r = maybe(neuron.relative_leak)
        cell.gain, cell.offset = column(neuron.gain), column(neuron.offset)
    cell.reset, cell.at, cell.timing = neuron.reset, neuron.fires == "at", neuron.reset_timing
    cell.refractory, cell.most = neuron.refractory, neuron.max_spikes
    return cell
