"""How finely the work on a chunk of steps is divided, so that what is in use stays in cache; no result depends on it.

A *block* is a few steps of one layer, whose sums are added up before its neurons are updated. A *strip* is a few rows
of a layer's picture.
"""

from __future__ import annotations

__all__ = ["BLOCK_BYTES", "BLOCK_SPIKES", "BLOCK_STEPS", "STRIP_BYTES"]

BLOCK_BYTES = 2**19
"""Sums that a block may hold; a single step is never divided."""
BLOCK_SPIKES = 2**15
"""Spikes that a block may list, in addition to those of its last step."""
BLOCK_STEPS = 64
"""Most steps of a block."""
STRIP_BYTES = 2**18
"""Membranes of a strip, in one tile of channels."""
