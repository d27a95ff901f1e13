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
    """One run, as those see it who work on its samples; each sample writes to its own part of the results.

    Parameters
    ----------
    input : Input
    targets : mapping of (variable, population) to Target
        What is recorded, and where it goes.
    counts : mapping of str to (T, B) int64 array
        Spikes of every firing population.
    output : (B, neurons) array
    timed : bool
        Whether the time of each population is wanted, which costs a call of a kernel for each.
    stopped : bool
        Set by any thread that fails, and when the run ends: the others stop between two calls of a kernel.
    """

    input: Input
    targets: Mapping[tuple[str, str], Target]
    counts: Mapping[str, npt.NDArray[np.int64]]
    output: npt.NDArray[Any]
    timed: bool = False
    stopped: bool = False
