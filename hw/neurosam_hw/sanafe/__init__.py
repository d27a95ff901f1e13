"""Files for SANA-FE, a simulator of chips by others, and its results held against neurosam's."""

from neurosam_hw.sanafe.export import export

__all__ = ["export"]
