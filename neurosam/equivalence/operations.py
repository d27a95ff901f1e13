"""Synaptic operations of two runs, projection by projection; they are of all samples together and have no step.

Two back ends that agree on every spike must have delivered as much. They differ where an event is dropped that another
machine delivers, which no spike and no membrane shows: an event of value 0.
"""

from __future__ import annotations

from typing import NamedTuple

from neurosam.equivalence.divergence import Divergence
from neurosam.equivalence.result import Tally
from neurosam.signals.recording import Recording

__all__ = ["OPERATIONS", "OperationsCompared", "compare_operations"]

OPERATIONS = "operations"
LAST = 2**31
"""In causal order they come after every variable of a step."""


class OperationsCompared(NamedTuple):
    """Counts by projection, what differs, and what is not compared."""

    tallies: dict[tuple[str, str], Tally]
    differing: tuple[Divergence, ...]
    not_compared: tuple[str, ...]


def compare_operations(a: Recording, b: Recording, excused: bool = False) -> OperationsCompared:
    """Compare the operations of two recordings.

    Parameters
    ----------
    a, b : Recording
    excused : bool
        Whether spikes differ by rounding, so that deliveries may.
    """
    if not a.operations and not b.operations:
        return OperationsCompared({}, (), ())
    if not a.operations or not b.operations:
        return OperationsCompared({}, (), (f"operations (only in {(a if a.operations else b).backend})",))
    if (a.first_step, a.steps) != (b.first_step, b.steps):
        return OperationsCompared({}, (), ("operations (of other steps)",))
    tallies: dict[tuple[str, str], Tally] = {}
    differing = []
    last = a.first_step + a.steps - 1
    for label in a.operations:
        if label not in b.operations:
            continue
        x, y = a.operations[label], b.operations[label]
        tallies[label, OPERATIONS] = Tally(1, int(x != y and not excused), 0, int(x != y and excused))
        if x != y and not excused:
            place = (last, LAST, len(tallies), 0, 0)
            differing.append(Divergence(label, OPERATIONS, last, 0, None, (), x, y, place=place))
    alone = (
        *(f"{label}: operations (only in {a.backend})" for label in a.operations if label not in b.operations),
        *(f"{label}: operations (only in {b.backend})" for label in b.operations if label not in a.operations),
    )
    return OperationsCompared(tallies, tuple(differing), alone)
