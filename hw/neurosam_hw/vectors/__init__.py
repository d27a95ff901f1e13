"""Golden vectors for implementations of a network in hardware or C, and the benches that test against them."""

from neurosam_hw.vectors.golden import Golden, Unit
from neurosam_hw.vectors.write import write_vectors

__all__ = ["Golden", "Unit", "write_vectors"]
