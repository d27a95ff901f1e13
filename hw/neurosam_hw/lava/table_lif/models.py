"""Models of TableLIF: normalisation in front of Lava's own sub-threshold dynamics."""

from __future__ import annotations

from typing import Any

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.ports import PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol
from lava.proc.lif.models import AbstractPyLifModelFixed, AbstractPyLifModelFloat

from neurosam_hw.lava.dynamics import Tabled
from neurosam_hw.lava.table_lif.process import TableLIF


@implements(proc=TableLIF, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class PyTableLIFFloat(Tabled, AbstractPyLifModelFloat):
    """In float64."""

    s_out: Any = LavaPyType(PyOutPort.VEC_DENSE, float)
    vth: Any = LavaPyType(float, float)
    gain: Any = LavaPyType(np.ndarray, float)
    offset: Any = LavaPyType(np.ndarray, float)
    reset_amount: Any = LavaPyType(np.ndarray, float)

    def spiking_activation(self) -> Any:
        """Strictly above threshold."""
        return self.v > self.vth


@implements(proc=TableLIF, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyTableLIFFixed(Tabled, AbstractPyLifModelFixed):
    """In Loihi's integers; what arrives is in membrane units when Lava's dynamics take over."""

    s_out: Any = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=24)
    vth: Any = LavaPyType(int, np.int32, precision=17)
    gain: Any = LavaPyType(np.ndarray, np.int64, precision=16)
    offset: Any = LavaPyType(np.ndarray, np.int64, precision=24)
    reset_amount: Any = LavaPyType(np.ndarray, np.int32, precision=24)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.table_shift = int(proc_params["gain_shift"])
        self.act_shift = 0  # the normalisation has shifted already

    def scale_threshold(self) -> None:
        """To membrane units."""
        self.effective_vth = np.left_shift(self.vth, self.vth_shift)
        self.isthrscaled = True

    def spiking_activation(self) -> Any:
        """Strictly above threshold."""
        return self.v > self.effective_vth
