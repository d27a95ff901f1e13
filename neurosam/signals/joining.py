"""Recordings of batches of samples, one after the other, as that of all: everything but the recorded values.

The values (spikes, maps, membranes, currents) of a long run are in a file, where each has its place; what is left of a
recording is small, and is joined here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from neurosam.signals.recording import Recording
from neurosam.signals.state import joined

__all__ = ["joined_rests", "without_values"]


def without_values(recording: Recording) -> Recording:
    """The same recording without spikes, maps, membranes and currents."""
    return replace(recording, spikes={}, sam={}, membrane={}, current={})


def joined_rests(rests: Sequence[Recording]) -> Recording:
    """The recording of all samples, from those of consecutive batches without values.

    Parameters
    ----------
    rests : sequence of Recording
        At least one; of one network, request and number of steps.
    """
    first = rests[0]
    return replace(
        first,
        samples=sum(rest.samples for rest in rests),
        output=np.concatenate([rest.output for rest in rests]),
        other_outputs=_along([rest.other_outputs for rest in rests], 0),
        saturated=_along([rest.saturated for rest in rests], 0),
        wrapped=_along([rest.wrapped for rest in rests], 0),
        state=None if first.state is None else joined([rest.state for rest in rests if rest.state is not None]),
        counts=_along([rest.counts for rest in rests], 1),
        operations={name: sum(rest.operations[name] for rest in rests) for name in first.operations},
        time_s=sum(rest.time_s for rest in rests),
    )


def _along(parts: Sequence[Mapping[str, npt.NDArray[Any]]], axis: int) -> dict[str, npt.NDArray[Any]]:
    return {name: np.concatenate([part[name] for part in parts], axis=axis) for name in parts[0]}
