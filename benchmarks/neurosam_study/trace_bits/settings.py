"""The grid: which traces are tried on a recorded run.

The whole cross of width, rounding, gamma and steps at a table of 8 bits, and then one thing at a time at gamma 0.5 and
30 steps: the bits and the length of the table, the width of the time stamp, an impulse beyond the safe one (so that the
register saturates), the mode, and the trace of Loihi 1.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import product
from typing import Any

from neurosam.explain.narrow_trace import NarrowTrace, loihi_trace, narrow_trace

__all__ = ["FULL", "QUICK", "ROUNDINGS", "Grid", "Setting"]

ROUNDINGS = {
    "floor": ("floor", "own"),
    "nearest": ("nearest", "own"),
    "stochastic": ("stochastic", "own"),
    "stochastic, shared": ("stochastic", "shared"),
}
"""Names in tables: rounding, and whose random numbers."""
GAMMA, STEPS, TABLE_BITS = 0.5, 30, 8
FEWEST = 10
"""Least number of samples of a long run."""


@dataclass(frozen=True)
class Setting:
    """One trace; see :func:`neurosam.narrow_trace`.

    Parameters
    ----------
    bits : int
    rounding : str
        A key of `ROUNDINGS`.
    gamma : float
    steps : int
    table_bits : int
    table_length, stamp_bits : int, optional
    gain : float
        The impulse as a multiple of the largest safe one.
    mode : str
    loihi : bool
        The trace of Loihi 1, which sets all but gamma, mode and steps.
    """

    bits: int
    rounding: str
    gamma: float = GAMMA
    steps: int = STEPS
    table_bits: int = TABLE_BITS
    table_length: int | None = None
    stamp_bits: int | None = None
    gain: float = 1.0
    mode: str = "strict"
    loihi: bool = False

    def trace(self) -> NarrowTrace:
        """The trace itself."""
        if self.loihi:
            return loihi_trace(self.gamma, mode=self.mode)
        rounding, random = ROUNDINGS[self.rounding]
        safe = self._narrow(rounding, random, None)
        if self.gain == 1.0:
            return safe
        return self._narrow(rounding, random, max(1, min(round(self.gain * safe.trace.impulse), safe.largest)))

    def _narrow(self, rounding: str, random: str, impulse: int | None) -> NarrowTrace:
        return narrow_trace(
            self.gamma, self.bits, steps=self.steps, mode=self.mode, rounding=rounding, random=random,
            table_bits=self.table_bits, table_length=self.table_length, stamp_bits=self.stamp_bits, impulse=impulse,
        )  # fmt: skip

    @property
    def state_bits(self) -> int:
        """Bits of a neuron: the trace and its time stamp."""
        return self.trace().state_bits(self.steps)

    @property
    def key(self) -> str:
        """Name in the results; the same setting has the same one in every run."""
        return " ".join(f"{name}={value}" for name, value in asdict(self).items())

    def values(self) -> dict[str, Any]:
        """The setting as columns of a table."""
        return {**asdict(self), "state_bits": self.state_bits}


@dataclass(frozen=True)
class Grid:
    """What is tried.

    Parameters
    ----------
    bits : tuple of int
    gammas : tuple of float
    steps : tuple of int
    weight_bits : tuple of int
        Of the networks; the grid's other settings are tried at the first of them alone.
    samples : int
        Held-out samples, of runs of up to 30 steps; longer ones have fewer, see :meth:`samples_of`.
    """

    bits: tuple[int, ...] = (2, 3, 4, 5, 6, 7, 8, 10, 12, 16)
    gammas: tuple[float, ...] = (0.02, 0.1, 0.5, 1.0)
    steps: tuple[int, ...] = (8, 30, 100, 500)
    weight_bits: tuple[int, ...] = (8, 6, 5, 4)
    samples: int = 60

    def samples_of(self, steps: int) -> int:
        """Samples of a run: as many spikes as in 30 steps, but at least 10 samples."""
        return min(self.samples, max(FEWEST, self.samples * STEPS // steps))

    def settings(self, steps: int) -> Iterator[Setting]:
        """The traces of runs of `steps` steps."""
        for gamma, rounding, bits in product(self.gammas, ROUNDINGS, self.bits):
            yield Setting(bits, rounding, gamma, steps)
        if steps != STEPS:
            return
        for rounding, bits in product(("floor", "stochastic"), self.bits):
            for table_bits in (4, 6, 12):
                yield Setting(bits, rounding, table_bits=table_bits)
            for length in (4, 8, 16):
                yield Setting(bits, rounding, table_length=length)
            for stamp in (2, 3, 4, 5):
                yield Setting(bits, rounding, stamp_bits=stamp)
            for gain in (2.0, 4.0):
                yield Setting(bits, rounding, gain=gain)
            for mode in ("inclusive", "official"):
                yield Setting(bits, rounding, mode=mode)
        for gamma in self.gammas:
            yield Setting(7, "stochastic", gamma, loihi=True)

    def at_other_weights(self) -> Iterator[Setting]:
        """The traces that are tried on networks of fewer bits per weight."""
        for rounding, bits in product(ROUNDINGS, self.bits):
            yield Setting(bits, rounding)


FULL = Grid()
QUICK = Grid(bits=(2, 3, 4, 6, 8), gammas=(0.1, 0.5), steps=(8, 30), weight_bits=(8, 4), samples=20)
