"""Models of SoftLIF: Lava's own sub-threshold dynamics with a soft reset."""

from __future__ import annotations

from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from neurosam_hw.lava.lif_models import SubtractingFixed, SubtractingFloat
from neurosam_hw.lava.soft_lif.process import SoftLIF


@implements(proc=SoftLIF, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class PySoftLIFFloat(SubtractingFloat):
    """In float64."""


@implements(proc=SoftLIF, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PySoftLIFFixed(SubtractingFixed):
    """In Loihi's integers."""
