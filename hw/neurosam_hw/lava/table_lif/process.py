"""TableLIF: a LIF whose input is scaled and shifted by a different table row in every step (batch norm through time).

One step: ``a <- gain[t] * a + offset[t]``, then as in SoftLIF, or with a reset to zero.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from lava.magma.core.process.variable import Var
from lava.proc.lif.process import LIF

__all__ = ["TableLIF"]


class TableLIF(LIF):
    """Leaky integrate-and-fire neurons with normalisation through time.

    Parameters
    ----------
    shape : tuple of int
    du, dv, bias_mant, bias_exp, vth
        As for Lava's LIF.
    gain, offset : (steps, C) or (steps, 1) array
        Row t is used at own step t; the last row is used after the end of the table.
    gain_shift : int, optional
        Fixed point: ``floor(gain * a * 2^6 / 2^gain_shift) + offset``. None for float.
    reset_amount : int, float or array
        Subtracted at a spike; 0 for a reset to zero.
    reset_interval, reset_offset : int
        As for SoftLIF; own step 0 is Lava's step `reset_offset`.
    name : str, optional
    """

    def __init__(
        self,
        *,
        shape: tuple[int, ...],
        gain: npt.NDArray[Any],
        offset: npt.NDArray[Any],
        gain_shift: int | None,
        reset_amount: Any,
        reset_interval: int,
        reset_offset: int,
        **lif: Any,
    ) -> None:
        super().__init__(
            shape=shape, gain_shift=gain_shift, reset_interval=reset_interval, reset_offset=reset_offset, **lif
        )
        self.gain = Var(shape=gain.shape, init=gain)
        self.offset = Var(shape=offset.shape, init=offset)
        self.reset_amount = Var(shape=np.shape(reset_amount) or (1,), init=reset_amount)
