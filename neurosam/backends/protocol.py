"""What a back end provides: a method that takes a request, already checked, and returns a recording."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from neurosam.network.network import Network
from neurosam.signals.events import Events
from neurosam.signals.recording import Record, Recording, Target

__all__ = ["Backend", "Options", "Progress", "Streaming"]

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
        agree to within its rounding (:func:`neurosam.equivalence.divergence.rounding_of`); recordings are float64.
    threads : int, optional
        Number of threads; the back end's own choice if None.
    progress : callable, optional
        Called with (samples done, all samples).
    time_limit_s : float, optional
        For back ends that run in a process of their own.
    """

    device: str = "cpu"
    dtype: str = "float64"
    threads: int | None = None
    progress: Progress | None = None
    time_limit_s: float | None = None


class Backend(Protocol):
    """Runs networks."""

    def run(self, network: Network, events: Events, record: Record, options: Options) -> Recording:
        """Run every sample of `events` for ``events.steps`` steps and record what `record` names."""
        ...


@runtime_checkable
class Streaming(Protocol):
    """A back end that can deliver what it records while it runs."""

    def stream(
        self,
        network: Network,
        events: Events,
        record: Record,
        options: Options,
        targets: Mapping[tuple[str, str], Target],
    ) -> Recording:
        """Run every sample as :meth:`Backend.run` does, and store what `record` names in `targets`.

        Parameters
        ----------
        network, events, record, options
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
