"""Models of Probe."""

from __future__ import annotations

from typing import Any

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyRefPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from neurosam_hw.lava.probe.process import Probe
from neurosam_hw.lava.row_file import RowFile


class _Read(RowFile, PyLoihiProcessModel):
    """Reads in the management phase at the end of each step."""

    state: Any = None

    def post_guard(self) -> bool:
        """Run the phase in every step."""
        return True

    def run_post_mgmt(self) -> None:
        """Write the state after this step."""
        self.write_row(self.state.read())


@implements(proc=Probe, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class PyProbeFloat(_Read):
    """For float state."""

    state: Any = LavaPyType(PyRefPort.VEC_DENSE, float)


@implements(proc=Probe, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyProbeFixed(_Read):
    """For integer state."""

    state: Any = LavaPyType(PyRefPort.VEC_DENSE, np.int32)
