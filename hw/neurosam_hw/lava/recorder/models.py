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
from neurosam_hw.lava.row_file import RowFile


class _Write(RowFile, PyLoihiProcessModel):
    """Receives and writes a message in each step."""

    a_in: Any = None

    def run_spk(self) -> None:
        """Write the message of this step."""
        self.write_row(self.a_in.recv())


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
