"""Shared by our process models: a population's own time, the soft reset, and the normalisation in front of a LIF.

A population's own step t is Lava step ``offset + t`` (Lava counts from 1). With an interval it restarts every
`interval` steps, as in Lava's LIFReset: u and v are 0 before it integrates.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from neurosam.arithmetic import arrive, normalise

__all__ = ["ENDLESS", "OwnTime", "Subtracting", "Tabled"]

ENDLESS = 2**30
"""Interval for a single presentation: longer than any run."""


class OwnTime:
    """A model with the population's own time, from ``reset_interval`` and ``reset_offset``."""

    time_step: int

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)  # type: ignore[call-arg]  # the next class is Lava's model
        self.reset_interval = int(proc_params["reset_interval"])
        self.reset_offset = int(proc_params["reset_offset"])

    @property
    def own_step(self) -> int:
        """Step of the current presentation in the population's own time; negative before the first."""
        elapsed = self.time_step - self.reset_offset
        return elapsed if elapsed < 0 else elapsed % self.reset_interval


class Subtracting(OwnTime):
    """A LIF that restarts at own step 0 and subtracts ``reset_amount`` from the membrane at a spike."""

    u: Any
    v: Any
    reset_amount: Any

    def subthr_dynamics(self, activation_in: Any) -> None:
        """Run Lava's dynamics, after a restart if it is due."""
        if self.own_step == 0:
            self.u[:] = 0
            self.v[:] = 0
        super().subthr_dynamics(activation_in)  # type: ignore[misc]

    def reset_voltage(self, spike_vector: Any) -> None:
        """Subtract ``reset_amount`` from the membranes that spiked."""
        self.v[:] = np.where(spike_vector, self.v - self.reset_amount, self.v)


class Tabled(Subtracting):
    """The same with a gain and an offset for each own step; a reset amount of 0 is a reset to zero."""

    gain: Any
    offset: Any
    table_shift: int | None = None  # None: float

    def subthr_dynamics(self, activation_in: Any) -> None:
        """Normalise the input by the tables' row for the own step, then integrate."""
        row = min(max(self.own_step, 0), len(self.gain) - 1)
        gain, offset = self.gain[row], self.offset[row]
        if self.table_shift is None:
            activation_in = gain * activation_in + offset
        else:
            i = arrive(np.asarray(activation_in, dtype=np.int64))
            activation_in = normalise(i, gain, self.table_shift, offset).astype(np.int32)
        super().subthr_dynamics(activation_in)

    def reset_voltage(self, spike_vector: Any) -> None:
        """Subtract, or reset to zero."""
        lowered = np.where(self.reset_amount == 0, 0, self.v - self.reset_amount)
        self.v[:] = np.where(spike_vector, lowered, self.v)
