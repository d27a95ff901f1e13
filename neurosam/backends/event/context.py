"""What the threads of a run share: its inputs, where its results go, and whether to stop."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from neurosam.backends.event.plan.inputs import Source
from neurosam.signals.recording import Target
from neurosam.signals.state import State

__all__ = ["RunContext"]


@dataclass(eq=False)
class RunContext:
    """What workers need of a run; each sample writes to its own part of the results.

    Parameters
    ----------
    inputs : mapping of str to Source
    steps : int
    first_step : int
        Own step with which the run begins; kernels count steps from there.
    begin : int
        Step of the first row of inputs and results, as kernels count them: 0 but in a later piece of a session.
    targets : mapping of (variable, population) to Target
        What is recorded, and where it goes.
    counts : mapping of str to (T, B) int64 array
        Spikes of every firing population.
    outputs : mapping of str to (B, neurons) array
        Answers.
    initial, final : State, optional
        Where the run begins, if not at rest, and where its end is to be written.
    lost : (2, populations, B) int64 array, optional
        Of a fixed-point network: how often a membrane saturated, and how often a sum wrapped around.
    timed : bool
        Whether to measure the time of each population, which takes a separate call of the kernel for each.
    stopped : bool
        Set by a thread that fails, and at the end of the run: all threads stop after the current call of a kernel.
    """

    inputs: Mapping[str, Source]
    steps: int
    first_step: int
    targets: Mapping[tuple[str, str], Target]
    counts: Mapping[str, npt.NDArray[np.int64]]
    outputs: Mapping[str, npt.NDArray[Any]]
    initial: State | None = None
    final: State | None = None
    lost: npt.NDArray[np.int64] | None = None
    begin: int = 0
    timed: bool = False
    stopped: bool = False
