"""What an inference costs on a chip: counts, energy by cause, time by step."""

from neurosam_hw.cost.amount import Amount
from neurosam_hw.cost.counts import Counts, count
from neurosam_hw.cost.duration import Duration
from neurosam_hw.cost.inference import Cost, Meter, cost
from neurosam_hw.cost.ledger import Ledger, Line

__all__ = ["Amount", "Cost", "Counts", "Duration", "Ledger", "Line", "Meter", "cost", "count"]
