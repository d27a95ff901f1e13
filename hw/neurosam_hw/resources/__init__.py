"""What a mapped network uses of a chip, core by core."""

from neurosam_hw.resources.cores import Demand, use
from neurosam_hw.resources.use import Excess, Limits, Use, allowed, excesses
from neurosam_hw.resources.wiring import Wiring

__all__ = ["Demand", "Excess", "Limits", "Use", "Wiring", "allowed", "excesses", "use"]
