"""Chips as data: one TOML file a chip, in which every figure carries its unit, standing, scope and source."""

from neurosam_hw.chips.chip import Board, Chip
from neurosam_hw.chips.figure import Figure, Total, total
from neurosam_hw.chips.load import available_chips, load_chip

__all__ = ["Board", "Chip", "Figure", "Total", "available_chips", "load_chip", "total"]
