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


class _Read(PyLoihiProcessModel):
    """Reads in the management phase that ends each step."""

    state: Any = None

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.rows = np.lib.format.open_memmap(proc_params["path"], mode="r+")

    def post_guard(self) -> bool:
        """In every step."""
        return True

    def run_post_mgmt(self) -> None:
        """One step."""
        value = self.state.read()
        if self.time_step <= len(self.rows):
            self.rows[self.time_step - 1] = value


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
