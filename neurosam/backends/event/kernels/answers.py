"""Answers over time, from the membranes recorded of a chunk of steps: their sum, and the largest.

Steps are added one after the other, so that float sums do not depend on how a run is divided into chunks.
"""

from __future__ import annotations

from typing import Any

import numpy.typing as npt

from neurosam.backends.event.runtime.jit import kernel

__all__ = ["add_membranes", "keep_largest"]

Array = npt.NDArray[Any]


@kernel
def add_membranes(membranes: Array, at: int, steps: int, total: Array) -> None:
    """Add ``membranes[at : at + steps]`` to ``total (P, C)``, int64 or float64."""
    for k in range(at, at + steps):
        for p in range(total.shape[0]):
            for c in range(total.shape[1]):
                total[p, c] += membranes[k, p, c]


@kernel
def keep_largest(membranes: Array, at: int, steps: int, largest: Array) -> None:
    """Raise ``largest (P, C)`` to the largest of ``membranes[at : at + steps]``."""
    for k in range(at, at + steps):
        for p in range(largest.shape[0]):
            for c in range(largest.shape[1]):
                largest[p, c] = max(largest[p, c], membranes[k, p, c])
