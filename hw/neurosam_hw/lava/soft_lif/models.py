"""Models of SoftLIF: Lava's own sub-threshold dynamics with another reset."""

from __future__ import annotations

from typing import Any

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.ports import PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol
from lava.proc.lif.models import AbstractPyLifModelFixed, AbstractPyLifModelFloat

from neurosam_hw.lava.dynamics import Subtracting
from neurosam_hw.lava.soft_lif.process import SoftLIF


@implements(proc=SoftLIF, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class PySoftLIFFloat(Subtracting, AbstractPyLifModelFloat):
    """In float64."""

    s_out: Any = LavaPyType(PyOutPort.VEC_DENSE, float)
    vth: Any = LavaPyType(float, float)
    reset_amount: Any = LavaPyType(np.ndarray, float)

    def spiking_activation(self) -> Any:
        """Strictly above threshold."""
        return self.v > self.vth


@implements(proc=SoftLIF, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PySoftLIFFixed(Subtracting, AbstractPyLifModelFixed):
    """In Loihi's integers."""

    s_out: Any = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=24)
    vth: Any = LavaPyType(int, np.int32, precision=17)
    reset_amount: Any = LavaPyType(np.ndarray, np.int32, precision=24)

    def scale_threshold(self) -> None:
        """To membrane units."""
        self.effective_vth = np.left_shift(self.vth, self.vth_shift)
        self.isthrscaled = True

    def spiking_activation(self) -> Any:
        """Strictly above threshold."""
        return self.v > self.effective_vth
