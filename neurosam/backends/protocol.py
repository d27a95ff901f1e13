"""What a back end promises: one method, which takes a request that has been checked and returns a recording."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from neurosam.network.network import Network
from neurosam.signals.events import Events
from neurosam.signals.recording import Record, Recording

__all__ = ["Backend", "Options", "Progress"]

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Options:
    """How to run, as opposed to what.

    Parameters
    ----------
    device : str
        torch device of the reference back end, "cpu" or "cuda".
    dtype : {"float64", "float32"}
        Precision of a float network's sums and states; a fixed-point network is always exact. Two back ends agree to
        rounding in either, float32 to float32's (divergence.rounding_of); recordings are float64.
    threads : int, optional
        Threads to use; the back end's own choice if None.
    progress : callable, optional
        Called with (samples done, samples in all).
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
        """Run every sample of `events` for ``events.steps`` steps and keep what `record` names."""
        ...
