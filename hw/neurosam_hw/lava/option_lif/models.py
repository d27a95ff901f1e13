"""Models of OptionLIF: one call of the shared rule per step, on NumPy arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from neurosam_hw.lava.dynamics import OwnTime
from neurosam_hw.lava.option_lif.process import OptionLIF
from neurosam_hw.lava.rule import Rule


class _Neurons(OwnTime, PyLoihiProcessModel):
    """Base of both number formats."""

    a_in: Any = None
    s_out: Any = None
    v_out: Any = None
    u: Any = None
    v: Any = None
    counted: Any = LavaPyType(np.ndarray, np.int64)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.rule = Rule(proc_params["neuron"], proc_params["precision"])

    def run_spk(self) -> None:
        """Run one step."""
        a = self.a_in.recv()
        t = self.own_step
        spikes: npt.NDArray[Any] = np.zeros(self.v.shape, self.v.dtype)
        self.counted[:] = 0
        if t == 0:
            self.rule.restart(self.v.shape)
        if t >= 0:
            spikes[...], saturated, wrapped = self.rule.step(a, t)
            self.u[:], self.v[:] = self.rule.state.u, self.rule.state.v
            self.counted[:] = np.count_nonzero(saturated), np.count_nonzero(wrapped)
        self.s_out.send(spikes)
        self.v_out.send(self.v)


@implements(proc=OptionLIF, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class PyOptionLIFFloat(_Neurons):
    """In float64."""

    a_in: Any = LavaPyType(PyInPort.VEC_DENSE, float)
    s_out: Any = LavaPyType(PyOutPort.VEC_DENSE, float)
    v_out: Any = LavaPyType(PyOutPort.VEC_DENSE, float)
    u: Any = LavaPyType(np.ndarray, float)
    v: Any = LavaPyType(np.ndarray, float)


@implements(proc=OptionLIF, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyOptionLIFFixed(_Neurons):
    """In Loihi's integers."""

    a_in: Any = LavaPyType(PyInPort.VEC_DENSE, np.int32, precision=24)
    s_out: Any = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=24)
    v_out: Any = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=24)
    u: Any = LavaPyType(np.ndarray, np.int32, precision=24)
    v: Any = LavaPyType(np.ndarray, np.int32, precision=24)
