"""Models of Recorder."""

from __future__ import annotations

from typing import Any

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from neurosam_hw.lava.recorder.process import Recorder


class _Write(PyLoihiProcessModel):
    """Row ``time_step - 1`` of the file."""

    a_in: Any = None

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.rows = np.lib.format.open_memmap(proc_params["path"], mode="r+")

    def run_spk(self) -> None:
        """One step."""
        message = self.a_in.recv()
        if self.time_step <= len(self.rows):
            self.rows[self.time_step - 1] = message


@implements(proc=Recorder, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class PyRecorderFloat(_Write):
    """For float messages."""

    a_in: Any = LavaPyType(PyInPort.VEC_DENSE, float)


@implements(proc=Recorder, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyRecorderFixed(_Write):
    """For integer messages."""

    a_in: Any = LavaPyType(PyInPort.VEC_DENSE, np.int32, precision=24)
