"""A float neuron in the integers of its unit ``q``, with the formulas of quantise.py.

threshold     round(theta / q)                         bias          round(b 2^6 / q) = mantissa 2^exponent
reset amount  round(r 2^6 / q)                         gain          round(g 2^shift), the largest shift that fits
leak          4096 - round(4096 leak) - offset         gain offset   round(o 2^6 / q)

What is added to the membrane or replaces it (reset value, lower bound, a threshold's step, initial states) is
round(x 2^6 / q), as the reset amount.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from neurosam.arithmetic import DECAY_ONE, FRACTION_BITS, STATE_MAX
from neurosam.errors import ExportError
from neurosam.network.fixed_neuron import BIAS_HIGH, GAIN_LIMIT, THRESHOLD_MAX, FixedLIF, FixedReadout
from neurosam.network.neuron import LIF, Readout
from neurosam.network.precision import Precision

__all__ = ["bias_mantissas", "fixed_neuron", "kept_parts", "whole_gains"]


def fixed_neuron(where: str, neuron: Any, unit: float, precision: Precision) -> FixedLIF | FixedReadout:
    """A LIF or Readout in integers.

    Raises
    ------
    ExportError
        If a parameter does not fit: which one of `where`, what it becomes, what is allowed.
    """
    mantissa, exponent = bias_mantissas(where, neuron.bias, unit)
    fine = unit / (1 << FRACTION_BITS)
    current = None
    if neuron.current_leak is not None:
        current = _decay(neuron.current_leak, precision.current_decay_offset)
    decay = _decay(neuron.leak, precision.membrane_decay_offset)

    def state(name: str, low: int = -STATE_MAX, high: int = STATE_MAX) -> npt.NDArray[np.int64] | None:
        value = getattr(neuron, name)
        return None if value is None else _whole(f"{where}: {name}", value / fine, low, high)

    initial: dict[str, Any] = {
        "initial_membrane_64ths": state("initial_membrane"), "initial_current_64ths": state("initial_current")
    }  # fmt: skip
    if isinstance(neuron, Readout):
        kept = None if (np.asarray(neuron.leak) == 1.0).all() else decay
        return FixedReadout(mantissa, exponent, kept, current, **initial)
    gain, shift, offset = _tables(where, neuron, fine)
    return FixedLIF(
        membrane_decay=decay,
        threshold=_whole(f"{where}: threshold", neuron.threshold / unit, 1, THRESHOLD_MAX),
        reset=neuron.reset,
        reset_amount_64ths=state("reset_amount", 1),
        bias_mantissa=mantissa,
        bias_exponent=exponent,
        current_decay=current,
        gain=gain,
        gain_shift=shift,
        offset_64ths=offset,
        fires=neuron.fires,
        reset_value_64ths=state("reset_value"),
        reset_timing=neuron.reset_timing,
        lower_bound_64ths=state("lower_bound", high=0),
        refractory=neuron.refractory,
        threshold_decay=None if neuron.threshold_leak is None else _decay(neuron.threshold_leak, 0),
        threshold_step_64ths=state("threshold_step", 0),
        relative_decay=None if neuron.relative_leak is None else _decay(neuron.relative_leak, 0),
        max_spikes=neuron.max_spikes,
        **initial,
    )  # fmt: skip


def kept_parts(leak: Any) -> npt.NDArray[np.int64]:
    """What a state keeps of 4096 parts per step."""
    return np.asarray(np.rint(np.asarray(leak) * DECAY_ONE), dtype=np.int64)


def _decay(leak: Any, offset: int) -> npt.NDArray[np.int64]:
    return DECAY_ONE - kept_parts(leak) - offset


def bias_mantissas(where: str, bias: Any, unit: float) -> tuple[npt.NDArray[np.int64], int]:
    """Mantissas, and the smallest exponent (the finest resolution) at which they fit 13 bits."""
    fine = np.asarray(bias) * (1 << FRACTION_BITS) / unit
    for exponent in range(8):
        mantissa = np.rint(fine / (1 << exponent))
        if np.abs(mantissa).max(initial=0) <= BIAS_HIGH:
            return mantissa.astype(np.int64), exponent
    largest = float(np.abs(np.asarray(bias)).max())
    raise ExportError(
        f"{where}: bias", f"{largest:g} is more than {BIAS_HIGH << 7} units of {unit / 64:g}; rescale the layer"
    )


def whole_gains(gain: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.float64], int]:
    """Gains in whole numbers with the largest shift at which they fit 16 bits, if there is one, and that shift."""
    shift = 30
    while shift > 0 and np.abs(np.rint(gain * 2.0**shift)).max() >= GAIN_LIMIT:
        shift -= 1
    return np.rint(gain * 2.0**shift), shift


def _tables(where: str, neuron: LIF, fine: float) -> tuple[Any, int, Any]:
    """Gains as 16-bit integers, their shift, and offsets in membrane units."""
    if neuron.gain is None or neuron.offset is None:
        return None, 0, None
    rounded, shift = whole_gains(neuron.gain)
    gain = _whole(f"{where}: gain", rounded, -GAIN_LIMIT, GAIN_LIMIT - 1)
    return gain, shift, _whole(f"{where}: offset", neuron.offset / fine, -STATE_MAX, STATE_MAX)


def _whole(where: str, value: Any, low: int, high: int) -> npt.NDArray[np.int64]:
    rounded = np.rint(np.asarray(value, dtype=np.float64))
    if rounded.size and (rounded.min() < low or rounded.max() > high):
        raise ExportError(
            where,
            f"becomes {rounded.min():.0f}..{rounded.max():.0f}; allowed is {low}..{high}. Rescale the layer's weights",
        )
    return rounded.astype(np.int64)
