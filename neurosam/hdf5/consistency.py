"""Recordings and states, unlike networks, do not check themselves: whether their arrays fit together."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from neurosam.network.synapse import as_chw
from neurosam.signals.recording import Recording, Spikes, words
from neurosam.signals.state import State

__all__ = ["inconsistency"]

BLOCK_BYTES = 2**24


def inconsistency(value: Any) -> str | None:
    """What is wrong with the shapes of a recording or state; None if nothing is, or for a value that checks itself."""
    if isinstance(value, Recording):
        return _of_recording(value)
    return _of_state(value) if isinstance(value, State) else None


def _of_recording(recording: Recording) -> str | None:
    extent = (recording.steps, recording.samples)
    by_sample = {"output": recording.output}
    for variable in ("other_outputs", "saturated", "wrapped"):
        by_sample |= {f"{variable} of {name!r}": array for name, array in getattr(recording, variable).items()}
    for label, array in by_sample.items():
        if array.shape[:1] != extent[1:]:
            return f"{label} has shape {array.shape}; {recording.samples} samples come first"
    for variable in ("sam", "membrane", "current", "counts"):
        for name, array in getattr(recording, variable).items():
            if array.shape[:2] != extent:
                return f"{variable} of {name!r} has shape {array.shape}; {extent} (steps, samples) come first"
    for name, spikes in recording.spikes.items():
        if problem := _of_spikes(spikes, extent):
            return f"spikes of {name!r} have {problem}"
    state = recording.state
    if state is None:
        return None
    if state.samples != recording.samples:
        return f"state has {state.samples} samples; the recording has {recording.samples}"
    problem = _of_state(state)
    return problem and f"state: {problem}"


def _of_spikes(spikes: Spikes, extent: tuple[int, int]) -> str | None:
    channels, height, width = as_chw(spikes.shape)
    expected = (*extent, height, width, words(channels))
    if spikes.planes.shape != expected:
        return f"planes of shape {spikes.planes.shape}; {expected} is required"
    last = spikes.planes[..., -1]
    if channels % 64 and any((block >> np.uint64(channels % 64)).any() for block in _blocks(last)):
        return f"bits set beyond channel {channels - 1}"
    if spikes.magnitude is not None and spikes.magnitude.shape != (*extent, *spikes.shape):
        return f"magnitudes of shape {spikes.magnitude.shape}; {(*extent, *spikes.shape)} is required"
    return None


def _of_state(state: State) -> str | None:
    """Which array has another number of samples; whether it fits a network, State.check says."""
    by_sample = {f"{v} of {name!r}": x for name, held in state.neurons.items() for v, x in held.items()}
    by_sample |= {f"answer of {name!r}": x for name, x in state.answers.items()}
    for label, array in by_sample.items():
        if array.shape[:1] != (state.samples,):
            return f"{label} has shape {array.shape}; {state.samples} samples come first"
    for name, array in state.recent.items():
        if array.shape[1:2] != (state.samples,):
            return f"recent events of {name!r} have shape {array.shape}; {state.samples} samples come second"
    return None


def _blocks(planes: Any) -> Iterator[Any]:
    """The same in blocks of steps, so that intermediate results take little memory."""
    steps = max(1, BLOCK_BYTES // max(8 * planes[:1].size, 1))
    return (planes[first : first + steps] for first in range(0, len(planes), steps))
