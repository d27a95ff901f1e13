"""Constants that reach neurons: where a bias, or the shift of a batch norm, goes in their parameters.

Without a current, a constant in every step is the bias. In a neuron with a current it belongs to the drive: the offset
table, if it is one value per channel; or else the same as k = b / (1 - alpha) on the membrane and -k in the initial
current, with alpha the leak of the current:

    u' = alpha u' + i + b,  v = lambda v + u'        u = u' - k:  u = alpha u + i,  v = lambda v + u + k
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from neurosam.errors import ExportError
from neurosam.network.neuron import LIF, Readout

__all__ = ["with_constant"]

Values = npt.NDArray[np.float64]


def with_constant(neuron: LIF | Readout, constant: Values, behind_maximum: bool, where: str) -> LIF | Readout:
    """A neuron to whose drive a constant is added in every step.

    Parameters
    ----------
    neuron : LIF or Readout
    constant : (C, H, W) or (N,) array
    behind_maximum : bool
        Whether a maximum is taken of the drive, which allows constants by channel only.
    where : str
        Begins the message of an error.
    """
    if not constant.any():
        return neuron
    value = _by_channel(constant)
    if value.ndim == 3 and behind_maximum:
        raise ExportError(where, "takes the maximum of sums with a bias per neuron; only a bias per channel commutes")
    if isinstance(neuron, LIF) and neuron.gain is not None:
        if value.ndim < 2:
            gain, offset = neuron.gain, neuron.offset
            total = gain * value + (np.zeros((1, 1)) if offset is None else offset)
            return replace(neuron, offset=total)
        if neuron.current_leak is None and neuron.gain.shape == (1, 1):
            return replace(neuron, bias=_plus(neuron.bias, neuron.gain[0, 0] * value))
        raise ExportError(where, "has a bias per neuron in front of a gain per channel; no neuron has both")
    if neuron.current_leak is None:
        return replace(neuron, bias=_plus(neuron.bias, value))
    if isinstance(neuron, LIF) and value.ndim < 2:
        offset = value.reshape(1, -1) + (0.0 if neuron.offset is None else neuron.offset)
        return replace(neuron, gain=np.ones((1, 1)), offset=offset)
    if np.any(neuron.current_leak == 1.0):
        raise ExportError(where, "adds a constant to a current without leak, which grows without end; remove the bias")
    value, kept = _aligned(value, np.asarray(1.0 - neuron.current_leak))
    level = value / kept
    return replace(neuron, bias=_plus(neuron.bias, level), initial_current=_plus(neuron.initial_current, -level))


def _plus(parameter: float | Values, value: Values) -> Values:
    one, other = _aligned(np.asarray(parameter), value)
    total: Values = one + other
    return total


def _aligned(one: Values, other: Values) -> tuple[Values, Values]:
    """Values by channel beside values by neuron, so that they broadcast."""
    if one.ndim == 1 and other.ndim == 3:
        one = one[:, None, None]
    if other.ndim == 1 and one.ndim == 3:
        other = other[:, None, None]
    return one, other


def _by_channel(constant: Values) -> Values:
    """A constant by channel where it does not differ within one."""
    if constant.ndim == 1:
        return constant
    rows = constant.reshape(constant.shape[0], -1)
    return rows[:, 0] if (rows == rows[:, :1]).all() else constant
