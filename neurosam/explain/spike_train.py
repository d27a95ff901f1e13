"""A spike train as maps read it: step by step, flat over samples and neurons, packed or dense."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from neurosam.errors import NeurosamError
from neurosam.network.synapse import Shape
from neurosam.signals.recording import Spikes

__all__ = ["SpikeTrain", "spike_train"]


class SpikeTrain(NamedTuple):
    """Spikes of one population.

    Attributes
    ----------
    steps, samples : int
    shape : tuple of int
        Of the population: (C, H, W) or (N,).
    planes : callable
        Gives an iterator over the steps; each is the flat ``[B * N]`` array of how often every neuron fired.
    """

    steps: int
    samples: int
    shape: Shape
    planes: Callable[[], Iterator[npt.NDArray[Any]]]


def spike_train(where: str, spikes: npt.ArrayLike | Spikes) -> SpikeTrain:
    """The train of packed or dense spikes; an array that is no spike train is refused in the name of `where`."""
    if isinstance(spikes, Spikes):
        steps, samples = spikes.planes.shape[:2]
        return SpikeTrain(steps, samples, spikes.shape, lambda: (_step(spikes, t) for t in range(steps)))
    array = np.asarray(spikes)
    if array.ndim not in (3, 5) or array.dtype.kind not in "biuf" or (array < 0).any() or (array % 1 != 0).any():
        raise NeurosamError(
            where,
            f"got {array.dtype} of shape {array.shape}; numbers of spikes 0, 1, ... of shape [T, B, C, H, W] or "
            "[T, B, N] are required",
        )
    return SpikeTrain(array.shape[0], array.shape[1], array.shape[2:], lambda: (plane.ravel() for plane in array))


def _step(spikes: Spikes, t: int) -> npt.NDArray[Any]:
    """The flat spikes of a step."""
    magnitude = None if spikes.magnitude is None else spikes.magnitude[t : t + 1]
    return Spikes(spikes.planes[t : t + 1], spikes.shape, magnitude).dense().ravel()
