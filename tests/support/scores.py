"""The SAM score of one neuron, as its source states it: a sum over all previous spikes, from the list of their times.

Nothing here uses the traces of `neurosam.network.trace`. A neuron that fires several times in a step appears once in
the list of times, with a number of spikes. What a run does not see, because it started from a state, is a
:class:`Past`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from neurosam.network.trace import FixedSamTrace, SamTrace

__all__ = ["Past", "contribution", "held"]


@dataclass(frozen=True)
class Past:
    """What is known of the spikes before a run: the trace that they left, when, and their number of steps."""

    trace: float | int = 0
    last: int = 0
    fired: int = 0


def contribution(
    trace: SamTrace | FixedSamTrace, times: list[int], spikes: list[int] | None = None, past: Past = Past()
) -> float | int:
    """Score of the last of `times`, the rising steps at which one neuron fired so far; `spikes` of each, 1 if None."""
    spikes = [1] * len(times) if spikes is None else spikes
    if isinstance(trace, FixedSamTrace):
        return spikes[-1] * _fixed_score(trace, times, spikes, past)
    t = times[-1]
    score = past.trace * math.exp(-trace.gamma * (t - past.last))
    for earlier, count in zip(times[:-1], spikes[:-1], strict=True):
        score += count * math.exp(-trace.gamma * (t - earlier))
    if trace.mode == "strict":
        return spikes[-1] * score
    score += spikes[-1]
    if trace.mode == "official":  # the released code: exp(-gamma (t - S t')), so a silent step counts as one at step 0
        silent = t + 1 - past.fired - len(times)
        score += silent * math.exp(-trace.gamma * t)
    return spikes[-1] * score


def held(trace: SamTrace | FixedSamTrace, times: list[int], spikes: list[int], past: Past) -> Past:
    """What these spikes leave behind."""
    if not times:
        return past
    if isinstance(trace, FixedSamTrace):
        left: float | int = _fixed_history(trace, times, spikes, past)[1]
    else:
        left = past.trace * math.exp(-trace.gamma * (times[-1] - past.last))
        for earlier, count in zip(times, spikes, strict=True):
            left += count * math.exp(-trace.gamma * (times[-1] - earlier))
    return Past(left, times[-1], past.fired + len(times))


def _kernel(trace: FixedSamTrace, age: int) -> int:
    """The table, which goes on with its last entry."""
    return int(trace.table[age] if age < len(trace.table) else trace.table[-1])


def _fixed_history(trace: FixedSamTrace, times: list[int], spikes: list[int], past: Past) -> tuple[int, int]:
    """The trace at the last spike, before and after it; integers round at every spike, so they are told one by one."""
    decayed, left, last = 0, int(past.trace), past.last
    for t, count in zip(times, spikes, strict=True):
        decayed = left * _kernel(trace, t - last) // 2**trace.shift
        left, last = decayed + count * trace.impulse, t
    return decayed, left


def _fixed_score(trace: FixedSamTrace, times: list[int], spikes: list[int], past: Past) -> int:
    """Score of one spike of the last step."""
    decayed, left = _fixed_history(trace, times, spikes, past)
    if trace.mode == "strict":
        return decayed
    if trace.mode == "inclusive":
        return left
    t = times[-1]
    silent = t + 1 - past.fired - len(times)
    shared: int = silent * trace.impulse * _kernel(trace, t) // 2**trace.shift
    return left + shared
