"""Neuron parameters of a network as arguments of Lava's LIF.

Fixed point: Lava multiplies the current by ``4096 - du - 1`` and the membrane by ``4096 - dv``, so a precision's decay
offsets can be included exactly: ``du = current_decay + offset - 1`` (without a current 4095, which retains nothing) and
``dv = membrane_decay + offset``. A readout is a LIF without leak whose threshold, ``2^18 * 2^6 = 2^24``, is above every
membrane. Float: ``du = 1 - current_leak``, ``dv = 1 - leak``.

Parameters with one value per channel are arrays ``(C,)``, which broadcast over Lava's layout ``(W, H, C)``.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from neurosam.network.fixed_neuron import FixedLIF, FixedReadout, Neuron
from neurosam.network.neuron import LIF, Readout
from neurosam.network.precision import Precision

__all__ = ["UNREACHABLE", "lif_arguments"]

UNREACHABLE = 2**18
"""A threshold mantissa that no membrane reaches."""

CURRENT_OFFSET = 1
"""The offset that Lava adds to ``du``."""

FORGET = 4095
"""``du`` of a neuron without a current."""


def lif_arguments(neuron: Neuron, precision: Precision | None) -> dict[str, Any]:
    """Return ``du``, ``dv``, ``bias_mant``, ``bias_exp`` and ``vth``."""
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
    lif: LIF = neuron  # type: ignore[assignment]  # Network requires a precision for a FixedLIF
    return {
        "du": 1.0 if lif.current_leak is None else _one(1.0 - np.asarray(lif.current_leak)),
        "dv": _one(1.0 - np.asarray(lif.leak)),
        "bias_mant": _one(lif.bias),
        "bias_exp": 0,
        "vth": _one(lif.threshold),
    }


def _one(value: Any) -> Any:
    """Convert a single value to a Python number, anything else to an array."""
    array = np.asarray(value)
    return array.reshape(-1)[0].item() if array.size == 1 else array
