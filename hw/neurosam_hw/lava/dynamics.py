"""What our process models share: their own clock, the soft reset, and the normalisation in front of a LIF.

A population's own step t lies at Lava step ``offset + t`` (Lava counts from 1); with an interval it starts again
every `interval` steps, as Lava's LIFReset does: u and v are 0 before it integrates.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from neurosam.arithmetic import arrive, normalise

__all__ = ["ENDLESS", "OwnTime", "Subtracting", "Tabled"]

ENDLESS = 2**30
"""Interval of a single presentation: longer than any run."""


class OwnTime:
    """A model that knows the population's own step; reads ``reset_interval`` and ``reset_offset``."""

    time_step: int

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)  # type: ignore[call-arg]  # the next class is Lava's model
        self.reset_interval = int(proc_params["reset_interval"])
        self.reset_offset = int(proc_params["reset_offset"])

    @property
    def own_step(self) -> int:
        """Own step of the present presentation; negative before the first."""
        passed = self.time_step - self.reset_offset
        return passed if passed < 0 else passed % self.reset_interval


class Subtracting(OwnTime):
    """A LIF that starts afresh at own step 0 and whose spike subtracts ``reset_amount`` from the membrane."""

    u: Any
    v: Any
    reset_amount: Any

    def subthr_dynamics(self, activation_in: Any) -> None:
        """Lava's, after the restart."""
        if self.own_step == 0:
            self.u[:] = 0
            self.v[:] = 0
        super().subthr_dynamics(activation_in)  # type: ignore[misc]

    def reset_voltage(self, spike_vector: Any) -> None:
        """``v - reset_amount`` where it spiked."""
        self.v[:] = np.where(spike_vector, self.v - self.reset_amount, self.v)


class Tabled(Subtracting):
    """The same with a gain and an offset for each own step; a reset amount of 0 means a reset to zero."""

    gain: Any
    offset: Any
    table_shift: int | None = None  # None: float

    def subthr_dynamics(self, activation_in: Any) -> None:
        """Normalise what arrived by the row of the own step, then integrate."""
        row = min(max(self.own_step, 0), len(self.gain) - 1)
        gain, offset = self.gain[row], self.offset[row]
        if self.table_shift is None:
            activation_in = gain * activation_in + offset
        else:
            i = arrive(np.asarray(activation_in, dtype=np.int64))
            activation_in = normalise(i, gain, self.table_shift, offset).astype(np.int32)
        super().subthr_dynamics(activation_in)

    def reset_voltage(self, spike_vector: Any) -> None:
        """Subtract, or go to zero."""
        lowered = np.where(self.reset_amount == 0, 0, self.v - self.reset_amount)
        self.v[:] = np.where(spike_vector, lowered, self.v)
