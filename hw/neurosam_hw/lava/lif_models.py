"""Base of the models of our LIF Processes: Lava's sub-threshold dynamics with a soft reset, in both number formats."""

from __future__ import annotations

from typing import Any

import numpy as np
from lava.magma.core.model.py.ports import PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.proc.lif.models import AbstractPyLifModelFixed, AbstractPyLifModelFloat

from neurosam_hw.lava.dynamics import Subtracting

__all__ = ["SubtractingFixed", "SubtractingFloat"]


class SubtractingFloat(Subtracting, AbstractPyLifModelFloat):
    """In float64."""

    s_out: Any = LavaPyType(PyOutPort.VEC_DENSE, float)
    vth: Any = LavaPyType(float, float)
    reset_amount: Any = LavaPyType(np.ndarray, float)

    def spiking_activation(self) -> Any:
        """Fire strictly above the threshold."""
        return self.v > self.vth


class SubtractingFixed(Subtracting, AbstractPyLifModelFixed):
    """In Loihi's integers."""

    s_out: Any = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=24)
    vth: Any = LavaPyType(int, np.int32, precision=17)
    reset_amount: Any = LavaPyType(np.ndarray, np.int32, precision=24)

    def scale_threshold(self) -> None:
        """Convert the threshold to membrane units."""
        self.effective_vth = np.left_shift(self.vth, self.vth_shift)
        self.isthrscaled = True

    def spiking_activation(self) -> Any:
        """Fire strictly above the threshold."""
        return self.v > self.effective_vth
