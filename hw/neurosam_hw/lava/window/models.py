"""Models of Window."""

from __future__ import annotations

from typing import Any

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from neurosam_hw.lava.dynamics import OwnTime
from neurosam_hw.lava.window.process import Window


class _Gate(OwnTime, PyLoihiProcessModel):
    """Passes messages of the current presentation on, and blocks others."""

    s_in: Any = None
    s_out: Any = None

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.end = self.reset_interval - int(proc_params["lag"])

    def run_spk(self) -> None:
        """Run one step."""
        message = self.s_in.recv()
        self.s_out.send(message if 0 <= self.own_step < self.end else np.zeros_like(message))


@implements(proc=Window, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class PyWindowFloat(_Gate):
    """For float messages."""

    s_in: Any = LavaPyType(PyInPort.VEC_DENSE, float)
    s_out: Any = LavaPyType(PyOutPort.VEC_DENSE, float)


@implements(proc=Window, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyWindowFixed(_Gate):
    """For integer messages."""

    s_in: Any = LavaPyType(PyInPort.VEC_DENSE, np.int32, precision=24)
    s_out: Any = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=24)
