"""Models of TableLIF: normalisation in front of Lava's own sub-threshold dynamics."""

from __future__ import annotations

from typing import Any

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from neurosam_hw.lava.dynamics import Tabled
from neurosam_hw.lava.lif_models import SubtractingFixed, SubtractingFloat
from neurosam_hw.lava.table_lif.process import TableLIF


@implements(proc=TableLIF, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class PyTableLIFFloat(Tabled, SubtractingFloat):
    """In float64."""

    gain: Any = LavaPyType(np.ndarray, float)
    offset: Any = LavaPyType(np.ndarray, float)


@implements(proc=TableLIF, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyTableLIFFixed(Tabled, SubtractingFixed):
    """In Loihi's integers; the input is already in membrane units when Lava's dynamics receive it."""

    gain: Any = LavaPyType(np.ndarray, np.int64, precision=16)
    offset: Any = LavaPyType(np.ndarray, np.int64, precision=24)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.table_shift = int(proc_params["gain_shift"])
        self.act_shift = 0  # the normalisation has shifted already
