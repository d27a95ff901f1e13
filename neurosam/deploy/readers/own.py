"""Reader of neurosam's own neurons (neurosam.training): LIF with all its options, and the readout.

``order="fire_first"`` compares the membrane of the step before, so its spike of step t is that of ``ns.LIF`` in step
t - 1 (`lag`), and what it subtracts after the leak is ``reset_amount / leak`` here.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from neurosam.deploy.readers.protocol import Reading
from neurosam.errors import ExportError
from neurosam.network.neuron import LIF, Readout

__all__ = ["read", "tables"]


def read(module: Any) -> Reading | None:
    """Reading of a training.LIF or training.Readout."""
    from neurosam import training

    if isinstance(module, training.Readout):
        return Reading(Readout(), time="first")
    if not isinstance(module, training.LIF):
        return None
    leak, threshold = (np.asarray(value, dtype=np.float64) for value in (module.leak, module.threshold))
    current = None if module.current_leak is None else np.asarray(module.current_leak, dtype=np.float64)
    amount = None if module.reset_amount is None else np.asarray(module.reset_amount, dtype=np.float64)
    late = module.order == "fire_first"
    if amount is not None and late:
        if (leak == 0).any():
            raise ExportError(
                "leak",
                'has leak 0 with order="fire_first": its reset follows the leak and cannot be moved before it; use '
                'order="integrate_first"',
            )
        amount = amount / leak
    return Reading(LIF(leak, threshold, module.reset, amount, 0.0, current), lag=int(late), time="first")


def tables(module: Any) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]] | None:
    """Gain and offset of every step of a BNTT or GainOffset, each ``(T, C)``; None for another module."""
    from neurosam import training

    if isinstance(module, training.BNTT):
        gain, offset = module.tables()
    elif isinstance(module, training.GainOffset):
        gain, offset = module.gain, module.offset
    else:
        return None
    return gain.detach().double().numpy(), offset.detach().double().numpy()
