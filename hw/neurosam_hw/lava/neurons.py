"""Neuron parameters as Lava's LIF takes them, from a network's own.

Fixed point: Lava multiplies the current by ``4096 - du - 1`` and the membrane by ``4096 - dv``, so a precision's
decay offsets are absorbed exactly: ``du = current_decay + offset - 1`` (4095, which forgets everything, without a
current) and ``dv = membrane_decay + offset``. A readout is a LIF without leak whose threshold, ``2^18 * 2^6 = 2^24``,
lies above every membrane. Float: ``du = 1 - current_leak``, ``dv = 1 - leak``.

Parameters of one value a channel are arrays ``(C,)``, which broadcast over Lava's layout ``(W, H, C)``.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from neurosam.network.neuron import LIF, FixedLIF, FixedReadout, Neuron, Readout
from neurosam.network.precision import Precision

__all__ = ["UNREACHABLE", "lif_arguments"]

UNREACHABLE = 2**18
"""A threshold mantissa that no membrane reaches."""

CURRENT_OFFSET = 1
"""What Lava adds to ``du``."""

FORGET = 4095
"""``du`` of a neuron without a current."""


def lif_arguments(neuron: Neuron, precision: Precision | None) -> dict[str, Any]:
    """``du``, ``dv``, ``bias_mant``, ``bias_exp`` and ``vth``."""
    if isinstance(neuron, FixedLIF) and precision is not None:
        shift = precision.current_decay_offset - CURRENT_OFFSET
        return {
            "du": FORGET if neuron.current_decay is None else _one(neuron.current_decay + shift),
            "dv": _one(neuron.membrane_decay + precision.membrane_decay_offset),
            "bias_mant": _one(neuron.bias_mantissa),
            "bias_exp": neuron.bias_exponent,
            "vth": _one(neuron.threshold),
        }
    if isinstance(neuron, FixedReadout):
        bias = {"bias_mant": _one(neuron.bias_mantissa), "bias_exp": neuron.bias_exponent}
        return {"du": FORGET, "dv": 0, **bias, "vth": UNREACHABLE}
    if isinstance(neuron, Readout):
        return {"du": 1.0, "dv": 0.0, "bias_mant": _one(neuron.bias), "bias_exp": 0, "vth": np.inf}
    lif: LIF = neuron  # type: ignore[assignment]  # a FixedLIF has a precision: Network sees to it
    return {
        "du": 1.0 if lif.current_leak is None else _one(1.0 - np.asarray(lif.current_leak)),
        "dv": _one(1.0 - np.asarray(lif.leak)),
        "bias_mant": _one(lif.bias),
        "bias_exp": 0,
        "vth": _one(lif.threshold),
    }


def _one(value: Any) -> Any:
    """A Python number for a single value, else an array."""
    array = np.asarray(value)
    return array.reshape(-1)[0].item() if array.size == 1 else array
