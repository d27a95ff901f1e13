"""What a back end provides: a method that takes a request, already checked, and returns a recording."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from neurosam._util.arguments import choice, integer, reals
from neurosam.errors import ArgumentError
from neurosam.network.network import Network
from neurosam.signals.inputs import Inputs
from neurosam.signals.recording import Record, Recording, Target
from neurosam.signals.state import State

__all__ = ["Backend", "Options", "Progress", "Running", "Sessions", "Streaming"]

MAX_THREADS = 2**16

Progress = Callable[[int, int], None]
"""Called with the number of samples done and of all samples."""


@dataclass(frozen=True)
class Options:
    """How to run a network, as opposed to what to run.

    Parameters
    ----------
    device : str
        torch device of the reference back end, "cpu" or "cuda".
    dtype : {"float64", "float32"}
        Precision of a float network's sums and states; a fixed-point network is always exact. In either, two back ends
        agree to within its rounding (:func:`neurosam.equivalence.tolerance.rounding_of`); recordings are float64.
    threads : int, optional
        Number of threads; the back end's own choice if None.
    progress : callable, optional
        Called with (samples done, all samples).
    time_limit_s : float, optional
        For back ends that run in a process of their own.
    initial : State, optional
        Where the run starts; the state before the first step if None.
    keep_state : bool
        Whether the recording holds the state in which the run ends.

    Raises
    ------
    ArgumentError
        For an unknown type, or a number that is none or out of range.
    """

    device: str = "cpu"
    dtype: str = "float64"
    threads: int | None = None
    progress: Progress | None = None
    time_limit_s: float | None = None
    initial: State | None = None
    keep_state: bool = False

    def __post_init__(self) -> None:
        choice("dtype", self.dtype, ("float64", "float32"), ArgumentError)
        if self.threads is not None:
            object.__setattr__(self, "threads", integer("threads", self.threads, 1, MAX_THREADS, ArgumentError))
        if self.progress is not None and not callable(self.progress):
            raise ArgumentError("progress", f"got {self.progress!r}; a function of two integers is required")
        if self.time_limit_s is not None:
            reals("time_limit_s", self.time_limit_s, low=0.0, ndim=(0,), error=ArgumentError)

    @property
    def first_step(self) -> int:
        """Own step of every population with which the run begins."""
        return 0 if self.initial is None else self.initial.step

    def select(self, start: int, stop: int) -> Options:
        """The options of a run of the samples ``start:stop`` alone."""
        return self if self.initial is None else replace(self, initial=self.initial.select(start, stop))


class Backend(Protocol):
    """Runs networks."""

    def run(self, network: Network, inputs: Inputs, record: Record, options: Options) -> Recording:
        """Run every sample of `inputs` for ``inputs.steps`` steps and record what `record` names.

        Gain and offset tables have a row for each of these steps: row 0 acts at ``options.first_step``.
        """
        ...


@runtime_checkable
class Streaming(Protocol):
    """A back end that can deliver what it records while it runs."""

    def stream(
        self,
        network: Network,
        inputs: Inputs,
        record: Record,
        options: Options,
        targets: Mapping[tuple[str, str], Target],
    ) -> Recording:
        """Run every sample as :meth:`Backend.run` does, and store what `record` names in `targets`.

        Parameters
        ----------
        network, inputs, record, options
            As for :meth:`Backend.run`.
        targets : mapping of (variable, population) to Target
            Of the shapes and dtypes that :func:`neurosam.signals.recording.extents` gives. Every value is stored once,
            by any thread.

        Returns
        -------
        Recording
            All else: without spikes, maps, membranes and currents.
        """
        ...


class Running(Protocol):
    """A run that goes on: what it is given next has been checked."""

    def advance(self, inputs: Inputs) -> Recording:
        """Run further steps; returns what they give, and the answers of the whole run so far."""
        ...

    def step(self, values: Mapping[str, npt.NDArray[Any]]) -> None:
        """Run one step.

        Parameters
        ----------
        values : mapping of str to (B, *shape) array
            By input; numbers.

        Raises
        ------
        EventError
            If a fixed-point network cannot take the values, before anything is run.
        """
        ...

    def answers(self) -> dict[str, npt.NDArray[np.generic]]:
        """Answers of the whole run so far, by output, as a Recording has them; after at least one step."""
        ...

    def state(self) -> State:
        """The state after the steps so far."""
        ...

    def restart(self) -> None:
        """Go back to where the run began."""
        ...


@runtime_checkable
class Sessions(Protocol):
    """A back end that can keep a network ready between the pieces of a run."""

    def session(
        self, network: Network, samples: int, record: Record, options: Options, most_steps: int | None
    ) -> Running:
        """Begin a run.

        Parameters
        ----------
        network : Network
            Its gain tables are as the user gave them: one row, or one for each own step from 0 on.
        samples : int
        record : Record
            What to record in :meth:`Running.advance`.
        options : Options
        most_steps : int, optional
            Own steps after which no further ones come.
        """
        ...
