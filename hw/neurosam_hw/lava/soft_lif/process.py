"""SoftLIF: Lava's LIF, but with a reset that subtracts from the membrane.

One step: ``u <- decay(u) + a; v <- decay(v) + u + bias; s = v > vth; v <- v - reset_amount * s``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from lava.magma.core.process.variable import Var
from lava.proc.lif.process import LIF

__all__ = ["SoftLIF"]


class SoftLIF(LIF):
    """Leaky integrate-and-fire neurons with a soft reset.

    Parameters
    ----------
    shape : tuple of int
    du, dv, bias_mant, bias_exp, vth
        As for Lava's LIF.
    reset_amount : int, float or array
        Subtracted at a spike; in membrane units (``vth * 2^6`` subtracts the threshold) for fixed point.
    reset_interval, reset_offset : int
        As for Lava's LIFReset: u and v are reset to 0 before step ``reset_offset`` (counted from 1), and every
        `reset_interval` steps after it.
    name : str, optional
    """

    def __init__(
        self, *, shape: tuple[int, ...], reset_amount: Any, reset_interval: int, reset_offset: int, **lif: Any
    ) -> None:
        super().__init__(shape=shape, reset_interval=reset_interval, reset_offset=reset_offset, **lif)
        self.reset_amount = Var(shape=np.shape(reset_amount) or (1,), init=reset_amount)
