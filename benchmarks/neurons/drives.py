"""Input spikes and weights that every framework gets: seeded, and with sums that are exact in any order.

Weights are 16-bit integers times a power of two, so that a float64 sum of them has no rounding error in whatever order
a matrix product adds: what is compared are neurons, not summation. Three drives:

    normal     N(0.1, 0.5) in steps of 1/4096: thresholds are reached now and then, ties are rare
    eighths    multiples of 1/8: with leaks of 0, 1/2 or 1, membranes meet their threshold exactly
    strong     N(0.4, 3) in steps of 1/256: many thresholds in one step, and far below zero

Needs only NumPy.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["DRIVES", "Drive", "drive"]

RATE = 0.2
"""Probability of an input spike per input and step; halved in the second half of the run, so that membranes decay."""

DRIVES = ("normal", "eighths", "strong")


@dataclass(frozen=True)
class Drive:
    """Input of one run.

    Parameters
    ----------
    name : str
    inputs : (steps, inputs) integer array
        Spikes: 0 or 1, or a layer's numbers of spikes.
    mantissa : (neurons, inputs) int16 array
    unit : float
        A power of two; the weights are ``mantissa * unit``.
    """

    name: str
    inputs: Any
    mantissa: Any
    unit: float

    @property
    def weight(self) -> Any:
        """Weights, float64."""
        return self.mantissa.astype(np.float64) * self.unit

    @property
    def current(self) -> Any:
        """Sum of weighted input spikes, ``(steps, neurons)`` float64, exact."""
        return (self.inputs.astype(np.int64) @ self.mantissa.T.astype(np.int64)).astype(np.float64) * self.unit

    def after(self, spikes: Any) -> Drive:
        """The input of a second layer of as many neurons: these spikes, and every fifth weight not zero."""
        neurons, inputs = self.mantissa.shape
        target, source = np.indices((neurons, neurons))
        weight = np.where((source - target) % 5 == 0, self.mantissa[target, source % inputs], 0)
        return Drive(self.name, np.rint(spikes).astype(np.int64), weight.astype(np.int16), self.unit)


def drive(name: str, steps: int = 200, neurons: int = 256, inputs: int = 32) -> Drive:
    """Draw one of `DRIVES`; the same arguments always give the same numbers.

    Raises
    ------
    ValueError
        For an unknown name.
    """
    rng = np.random.default_rng([41, DRIVES.index(name)])
    rate = np.where(np.arange(steps) < steps // 2, RATE, RATE / 2)[:, None]
    spikes = (rng.random((steps, inputs)) < rate).astype(np.uint8)
    size = (neurons, inputs)
    if name == "normal":
        return Drive(name, spikes, _integers(rng.normal(0.1, 0.5, size) * 4096), 1 / 4096)
    if name == "eighths":
        return Drive(name, spikes, rng.integers(-6, 9, size).astype(np.int16), 1 / 8)
    return Drive(name, spikes, _integers(rng.normal(0.4, 3.0, size) * 256), 1 / 256)


def _integers(values: Any) -> Any:
    return np.clip(np.rint(values), -32768, 32767).astype(np.int16)
