"""Models of Readout: ``v <- v + a + bias``, in fixed point with the formulas of arithmetic.py."""

from __future__ import annotations

from typing import Any

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from neurosam.arithmetic import DECAY_ONE, arrive, current, membrane, shift_by
from neurosam_hw.lava.dynamics import OwnTime
from neurosam_hw.lava.readout.process import Readout


@implements(proc=Readout, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class PyReadoutFloat(OwnTime, PyLoihiProcessModel):
    """In float64."""

    a_in: Any = LavaPyType(PyInPort.VEC_DENSE, float)
    v_out: Any = LavaPyType(PyOutPort.VEC_DENSE, float)
    v: Any = LavaPyType(np.ndarray, float)
    bias_mant: Any = LavaPyType(np.ndarray, float)
    bias_exp: Any = LavaPyType(np.ndarray, float)

    def run_spk(self) -> None:
        """Run one step."""
        a = self.a_in.recv()
        if self.own_step == 0:
            self.v[:] = 0
        self.v[:] = (self.v + a) + self.bias_mant
        self.v_out.send(self.v)


@implements(proc=Readout, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyReadoutFixed(OwnTime, PyLoihiProcessModel):
    """In Loihi's integers."""

    a_in: Any = LavaPyType(PyInPort.VEC_DENSE, np.int32, precision=24)
    v_out: Any = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=24)
    v: Any = LavaPyType(np.ndarray, np.int32, precision=24)
    bias_mant: Any = LavaPyType(np.ndarray, np.int64, precision=13)
    bias_exp: Any = LavaPyType(np.ndarray, np.int64, precision=3)

    def run_spk(self) -> None:
        """Run one step."""
        a = np.asarray(self.a_in.recv(), dtype=np.int64)
        if self.own_step == 0:
            self.v[:] = 0
        u = current(np.int64(0), arrive(a), 0)
        bias = shift_by(self.bias_mant, int(self.bias_exp[0]))
        self.v[:] = membrane(self.v.astype(np.int64), u, DECAY_ONE, bias)
        self.v_out.send(self.v)
