"""What stands where: populations in pieces on the cores of a chip, what a spike reaches there, and when."""

from neurosam_hw.mapping.file import load_mapping, save_mapping
from neurosam_hw.mapping.mapping import CoreMapping
from neurosam_hw.mapping.piece import Piece
from neurosam_hw.mapping.reach import Reach, packets, reach
from neurosam_hw.mapping.schedule import HardwareSchedule

__all__ = ["CoreMapping", "HardwareSchedule", "Piece", "Reach", "load_mapping", "packets", "reach", "save_mapping"]
