"""Neuron parameters of a network as arguments of Lava's LIF.

Fixed point: Lava multiplies the current by ``4096 - du - 1`` and the membrane by ``4096 - dv``, so a precision's decay
offsets can be included exactly: ``du = current_decay + offset - 1`` (without a current 4095, which retains nothing) and
``dv = membrane_decay + offset``. A readout is a LIF without leak whose threshold, ``2^18 * 2^6 = 2^24``, is above every
membrane. Float: ``du = 1 - current_leak``, ``dv = 1 - leak``.

A float neuron that fires at its threshold fires above the next smaller number. Parameters with one value per channel
are arrays ``(C,)``, which broadcast over Lava's layout ``(W, H, C)``; those with one per neuron have that layout.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from neurosam.network.fixed_neuron import FixedLIF, FixedReadout, Neuron
from neurosam.network.neuron import LIF, Readout
from neurosam.network.precision import Precision
from neurosam_hw.lava.rule import in_layout

__all__ = ["UNREACHABLE", "is_stock", "lif_arguments"]

UNREACHABLE = 2**18
"""A threshold mantissa that no membrane reaches."""

CURRENT_OFFSET = 1
"""The offset that Lava adds to ``du``."""

FORGET = 4095
"""``du`` of a neuron without a current."""


def lif_arguments(neuron: Neuron, precision: Precision | None) -> dict[str, Any]:
    """Return ``du``, ``dv``, ``bias_mant``, ``bias_exp`` and ``vth``; of the other options of a LIF there are none."""
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
        shift, offset = (0, 0) if precision is None else (
            precision.current_decay_offset - CURRENT_OFFSET, precision.membrane_decay_offset
        )  # fmt: skip
        return {
            "du": FORGET if neuron.current_decay is None else _one(neuron.current_decay + shift),
            "dv": 0 if neuron.membrane_decay is None else _one(neuron.membrane_decay + offset),
            "bias_mant": _one(neuron.bias_mantissa),
            "bias_exp": neuron.bias_exponent,
            "vth": UNREACHABLE,
        }
    if isinstance(neuron, Readout):
        return {**_leaks(neuron), "bias_mant": _one(neuron.bias), "bias_exp": 0, "vth": np.inf}
    lif: LIF = neuron  # type: ignore[assignment]  # Network requires a precision for a FixedLIF
    threshold = np.asarray(lif.threshold)
    return {
        **_leaks(lif),
        "bias_mant": _one(lif.bias),
        "bias_exp": 0,
        "vth": _one(np.nextafter(threshold, -np.inf) if lif.fires == "at" else threshold),
    }


def is_stock(neuron: Neuron) -> bool:
    """Whether Lava's LIF, or ours with a soft reset or tables, has all that this neuron uses."""
    fixed = isinstance(neuron, (FixedLIF, FixedReadout))
    suffix = "_64ths" if fixed else ""
    if any(np.any(getattr(neuron, f"initial_{state}{suffix}")) for state in ("membrane", "current")):
        return False
    if isinstance(neuron, (Readout, FixedReadout)):
        return True
    bound = neuron.lower_bound_64ths if isinstance(neuron, FixedLIF) else neuron.lower_bound
    rises = neuron.threshold_decay if isinstance(neuron, FixedLIF) else neuron.threshold_leak
    return (
        neuron.reset in ("zero", "subtract")
        and neuron.reset_timing == "now"
        and not (fixed and neuron.fires == "at")
        and bound is None
        and rises is None
        and neuron.refractory == 0
        and neuron.max_spikes == 1
    )


def _leaks(neuron: LIF | Readout) -> dict[str, Any]:
    """``du`` and ``dv`` of a float neuron."""
    return {
        "du": 1.0 if neuron.current_leak is None else _one(1.0 - np.asarray(neuron.current_leak)),
        "dv": _one(1.0 - np.asarray(neuron.leak)),
    }


def _one(value: Any) -> Any:
    """Convert a single value to a Python number, anything else to an array in Lava's layout."""
    array = in_layout(value)
    return array.reshape(-1)[0].item() if array.size == 1 else array
