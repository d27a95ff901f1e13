"""Neuron parameters: the float neuron, its fixed-point form, and the readout of each.

One step of :class:`LIF` (``i`` is the sum of weighted spikes of the step, after optional gain and offset):

    u <- current_leak * u + i        v <- leak * v + u + bias        (without a current: u = i)
    s = v > threshold
    v <- 0                 (reset "zero")        v <- v - reset_amount * s        (reset "subtract")

``leak`` is the retained fraction (lambda in Kim & Panda 2021); a reset amount of ``threshold / leak`` gives their Eq.
2, which subtracts after the leak. :class:`FixedLIF` follows arithmetic.py with integers only; its ``membrane_decay``
is ``4096 * (1 - leak)``. They are two types, so that no parameter has two meanings.

Parameters are scalars or one value per channel ``(C,)``. ``gain`` and ``offset`` are tables ``(steps, C)`` or
``(steps, 1)``: row ``t`` acts at the population's own step ``t`` (batch norm through time); a table of one row acts
at every step.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from neurosam._util.arguments import choice, integer, integers, reals
from neurosam.arithmetic import FRACTION_BITS, STATE_MAX
from neurosam.errors import NetworkError

__all__ = ["LIF", "FixedLIF", "FixedReadout", "Neuron", "Readout"]

RESETS = ("zero", "subtract")
THRESHOLD_MAX = 2**17 - 1
BIAS_LOW, BIAS_HIGH = -(2**12), 2**12 - 1
DECAY_LOW, DECAY_HIGH = -1, 4096
GAIN_LIMIT = 2**15

Real: TypeAlias = float | npt.NDArray[np.float64]
Integer: TypeAlias = int | npt.NDArray[np.int64]


def _set(instance: Any, **values: Any) -> None:
    for name, value in values.items():
        object.__setattr__(instance, name, value)


def _tables(gain: Any, offset: Any) -> None:
    """Refuse one table without the other, or two of different length."""
    if (gain is None) != (offset is None):
        raise NetworkError("neuron", "gain and offset come together; give both tables or neither")
    if gain is None:
        return
    if gain.shape[0] == 0 or gain.shape[0] != offset.shape[0]:
        raise NetworkError(
            "neuron: gain/offset", f"got {gain.shape[0]} and {offset.shape[0]} steps; the same number >= 1 is required"
        )


@dataclass(frozen=True, eq=False)
class LIF:
    """Leaky integrate-and-fire neuron of a float network.

    Parameters
    ----------
    leak : float or (C,) array
        Retained fraction of the membrane, in [0, 1].
    threshold : float or (C,) array
        Above 0; the neuron fires strictly above it.
    reset : {"zero", "subtract"}
    reset_amount : float or (C,) array, optional
        Subtracted at a spike, above 0; `threshold` if None. Only with ``reset="subtract"``.
    bias : float or (C,) array
        Added to the membrane in every step.
    current_leak : float or (C,) array, optional
        Retained fraction of the synaptic current, in [0, 1]; None for a neuron without one.
    gain, offset : (steps, C) or (steps, 1) array, optional
        ``i <- gain[t] * i + offset[t]``.

    Raises
    ------
    NetworkError
        For a value outside its range, NaN or infinity.

    Examples
    --------
    A membrane that keeps 90 % per step and is reset by subtraction, and one with a threshold per channel:

    >>> ns.LIF(leak=0.9, threshold=1.0).reset_amount
    array(1.)
    >>> ns.LIF(leak=0.9, threshold=[1.0, 2.0], reset="zero").threshold
    array([1., 2.])
    """

    leak: Real
    threshold: Real
    reset: str = "subtract"
    reset_amount: Real | None = None
    bias: Real = 0.0
    current_leak: Real | None = None
    gain: npt.NDArray[np.float64] | None = None
    offset: npt.NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        choice("LIF: reset", self.reset, RESETS)
        threshold = reals("LIF: threshold", self.threshold, above=0.0, ndim=(0, 1))
        amount = None
        if self.reset == "subtract":
            requested = threshold if self.reset_amount is None else self.reset_amount
            amount = reals("LIF: reset_amount", requested, above=0.0, ndim=(0, 1))
        elif self.reset_amount is not None:
            raise NetworkError("LIF: reset_amount", 'given with reset="zero"; it belongs to reset="subtract"')
        _set(
            self,
            leak=reals("LIF: leak", self.leak, low=0.0, high=1.0, ndim=(0, 1)),
            threshold=threshold,
            reset_amount=amount,
            bias=reals("LIF: bias", self.bias, ndim=(0, 1)),
            current_leak=_optional_reals("LIF: current_leak", self.current_leak, low=0.0, high=1.0, ndim=(0, 1)),
            gain=_optional_reals("LIF: gain", self.gain, ndim=(2,)),
            offset=_optional_reals("LIF: offset", self.offset, ndim=(2,)),
        )
        _tables(self.gain, self.offset)


@dataclass(frozen=True, eq=False)
class Readout:
    """A float neuron that integrates without leak and never fires: its membrane is the answer.

    Parameters
    ----------
    bias : float or (C,) array
        Added to the membrane in every step.

    Examples
    --------
    >>> ns.Readout(bias=[0.25, -0.25]).bias
    array([ 0.25, -0.25])
    """

    bias: Real = 0.0

    def __post_init__(self) -> None:
        _set(self, bias=reals("Readout: bias", self.bias, ndim=(0, 1)))


@dataclass(frozen=True, eq=False)
class FixedLIF:
    """Leaky integrate-and-fire neuron in Loihi's integers (arithmetic.py).

    Parameters
    ----------
    membrane_decay : int or (C,) int array
        12-bit decay, ``4096 * (1 - leak)``; 0 keeps everything, 4096 forgets everything (both shifted by the
        precision's offset).
    threshold : int or (C,) int array
        Mantissa in 1..131071; compared as ``threshold * 2^6``.
    reset : {"zero", "subtract"}
    reset_amount : int or (C,) int array, optional
        Subtracted at a spike, in membrane units (1..2^23 - 1); ``threshold * 2^6`` if None. Only with "subtract".
    bias_mantissa : int or (C,) int array
        13-bit signed, -4096..4095.
    bias_exponent : int
        0..7; the bias is ``mantissa * 2^exponent`` in membrane units, so 6 gives weight units.
    current_decay : int or (C,) int array, optional
        12-bit decay of the synaptic current; None for a neuron without one.
    gain : (steps, C) or (steps, 1) int array, optional
        16-bit signed multiplier, see `gain_shift`.
    gain_shift : int
        0..30; ``i <- floor(i * gain[t] / 2^gain_shift) + offset[t]``.
    offset : (steps, C) or (steps, 1) int array, optional
        In membrane units, within +-(2^23 - 1).

    Raises
    ------
    NetworkError
        For a value that is outside its range or not an integer.

    Examples
    --------
    The float neuron ``LIF(leak=0.9, threshold=1.0, reset="zero")`` where a weight of 1.0 has the mantissa 64:

    >>> neuron = ns.FixedLIF(membrane_decay=410, threshold=64, reset="zero")
    >>> f"{1 - neuron.membrane_decay / 4096:.4f}"
    '0.8999'
    >>> ns.FixedLIF(membrane_decay=410, threshold=64).reset_amount
    array(4096)
    """

    membrane_decay: Integer
    threshold: Integer
    reset: str = "subtract"
    reset_amount: Integer | None = None
    bias_mantissa: Integer = 0
    bias_exponent: int = FRACTION_BITS
    current_decay: Integer | None = None
    gain: npt.NDArray[np.int64] | None = None
    gain_shift: int = 0
    offset: npt.NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        choice("FixedLIF: reset", self.reset, RESETS)
        threshold = integers("FixedLIF: threshold", self.threshold, low=1, high=THRESHOLD_MAX, ndim=(0, 1))
        amount = None
        if self.reset == "subtract":
            requested = threshold << FRACTION_BITS if self.reset_amount is None else self.reset_amount
            amount = integers("FixedLIF: reset_amount", requested, low=1, high=STATE_MAX, ndim=(0, 1))
        elif self.reset_amount is not None:
            raise NetworkError("FixedLIF: reset_amount", 'given with reset="zero"; it belongs to reset="subtract"')
        decay: dict[str, Any] = {"low": DECAY_LOW, "high": DECAY_HIGH}
        _set(
            self,
            membrane_decay=integers("FixedLIF: membrane_decay", self.membrane_decay, ndim=(0, 1), **decay),
            threshold=threshold,
            reset_amount=amount,
            bias_mantissa=_bias(self.bias_mantissa, "FixedLIF"),
            bias_exponent=integer("FixedLIF: bias_exponent", self.bias_exponent, 0, 7),
            current_decay=_optional_integers("FixedLIF: current_decay", self.current_decay, ndim=(0, 1), **decay),
            gain=_optional_integers("FixedLIF: gain", self.gain, low=-GAIN_LIMIT, high=GAIN_LIMIT - 1, ndim=(2,)),
            gain_shift=integer("FixedLIF: gain_shift", self.gain_shift, 0, 30),
            offset=_optional_integers("FixedLIF: offset", self.offset, low=-STATE_MAX, high=STATE_MAX, ndim=(2,)),
        )
        _tables(self.gain, self.offset)


@dataclass(frozen=True, eq=False)
class FixedReadout:
    """An integer neuron that integrates without leak and never fires; its membrane saturates at +-(2^23 - 1).

    Parameters
    ----------
    bias_mantissa : int or (C,) int array
        13-bit signed, -4096..4095.
    bias_exponent : int
        0..7; the bias is ``mantissa * 2^exponent`` in membrane units.

    Examples
    --------
    >>> ns.FixedReadout(bias_mantissa=[3, -3]).bias_mantissa
    array([ 3, -3])
    """

    bias_mantissa: Integer = 0
    bias_exponent: int = FRACTION_BITS

    def __post_init__(self) -> None:
        _set(
            self,
            bias_mantissa=_bias(self.bias_mantissa, "FixedReadout"),
            bias_exponent=integer("FixedReadout: bias_exponent", self.bias_exponent, 0, 7),
        )


Neuron: TypeAlias = LIF | Readout | FixedLIF | FixedReadout
"""Any neuron; the first two belong to a float network, the last two to a fixed-point one."""


def _bias(value: Any, owner: str) -> npt.NDArray[np.int64]:
    return integers(f"{owner}: bias_mantissa", value, low=BIAS_LOW, high=BIAS_HIGH, ndim=(0, 1))


def _optional_reals(where: str, value: Any, **limits: Any) -> npt.NDArray[np.float64] | None:
    return None if value is None else reals(where, value, **limits)


def _optional_integers(where: str, value: Any, **limits: Any) -> npt.NDArray[np.int64] | None:
    return None if value is None else integers(where, value, **limits)
