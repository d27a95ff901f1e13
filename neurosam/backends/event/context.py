"""What the threads of a run share: its input, where its results go, and whether to stop."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from neurosam.backends.event.plan.inputs import Input
from neurosam.signals.recording import Target

__all__ = ["RunContext"]


@dataclass(eq=False)
class RunContext:
    """What workers need of a run; each sample writes to its own part of the results.

    Parameters
    ----------
    input : Input
    targets : mapping of (variable, population) to Target
        What is recorded, and where it goes.
    counts : mapping of str to (T, B) int64 array
        Spikes of every firing population.
    output : (B, neurons) array
    timed : bool
        Whether to measure the time of each population, which takes a separate call of the kernel for each.
    stopped : bool
        Set by a thread that fails, and at the end of the run: all threads stop after the current call of a kernel.
    """

    input: Input
    targets: Mapping[tuple[str, str], Target]
    counts: Mapping[str, npt.NDArray[np.int64]]
    output: npt.NDArray[Any]
    timed: bool = False
    stopped: bool = False
