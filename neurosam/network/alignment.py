"""Paths of different length that meet: a target then adds what belongs to different steps of the input.

A population starts when its first input arrives (schedule.py). Where a shortcut and a longer path lead into it, the
longer path has a lag, unless the shortcut has a delay as long as that path. Networks that were trained without delays
add what belongs to one step, so they need these delays; only a network that means the difference can do without them.

Compared are the sources of a population, each by its shortest delay: several delays of one source are meant. Left out
are populations with an onset of their own; projections within a recurrent group, where a spike has many ages; and an
input that reaches the target by one projection alone, later than all others do: that delay is meant too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from neurosam.network.elements import Population, PopulationsByName, Projection
from neurosam.network.schedule import earliest

__all__ = ["Early", "alignment_warning", "early_projections"]

NAMED = 8
"""Most projections that a warning names."""


class Early(NamedTuple):
    """A projection that delivers before a longer path to the same target does.

    Attributes
    ----------
    projection : Projection
    late : Projection
        One of the longest path.
    steps : int
        By how many steps, once all before them are aligned.
    """

    projection: Projection
    late: Projection
    steps: int


def early_projections(
    populations: Sequence[Population], projections: Sequence[Projection], groups: Sequence[Sequence[str]]
) -> list[Early]:
    """Projections that deliver earlier than another path to their target, in the order of evaluation.

    Parameters
    ----------
    populations, projections : sequence
    groups : sequence of sequences of str
        Populations that depend on each other, in order of evaluation (schedule.groups).
    """
    by_name = PopulationsByName(populations)
    incoming: dict[str, list[Projection]] = {p.name: [] for p in populations}
    for projection in projections:
        incoming[projection.target].append(projection)
    start: dict[str, int] = {}
    driven_by: dict[str, set[str]] = {}  # the inputs that reach a population
    found: list[Early] = []
    for group in groups:
        sources = {p.source for name in group for p in incoming[name]}.difference(group)
        inputs = set[str]().union(*(driven_by[source] for source in sources))
        driven_by |= {name: inputs if by_name[name].neuron else {name} for name in group}
        first: dict[str, int] = {}
        within: list[tuple[str, str, int]] = []
        for name in group:
            onset = by_name[name].onset
            entering = [p for p in incoming[name] if p.source not in group]
            if onset is not None or by_name[name].neuron is None:
                first[name] = onset or 0
                continue
            within += [(p.source, name, p.delay) for p in incoming[name] if p.source in group]
            if entering:
                arrival = _arrivals(entering, start)
                last = _latest(arrival, driven_by)
                late = next(p for p in entering if p.source == last)
                first[name] = arrival[last]
                found += [Early(p, late, arrival[last] - arrival[p.source]) for p in entering]
        start |= earliest(list(first.items()), within)
    return [early for early in found if early.steps > 0]


def _arrivals(entering: Sequence[Projection], start: Mapping[str, int]) -> dict[str, int]:
    """The step at which each source's first projection delivers, by source."""
    arrival: dict[str, int] = {}
    for projection in entering:
        step = start[projection.source] + projection.delay
        arrival[projection.source] = min(step, arrival.get(projection.source, step))
    return arrival


def _latest(arrival: Mapping[str, int], driven_by: Mapping[str, set[str]]) -> str:
    """The source that delivers last, but no input that is later than all others and drives none of them."""
    by_step = sorted(arrival, key=arrival.__getitem__)
    while len(by_step) > 1:
        others = set[str]().union(*(driven_by[source] for source in by_step[:-1]))
        if driven_by[by_step[-1]] != {by_step[-1]} or by_step[-1] in others:
            break
        by_step.pop()
    return by_step[-1]


def alignment_warning(
    populations: Sequence[Population], projections: Sequence[Projection], groups: Sequence[Sequence[str]]
) -> str:
    """Which paths are not aligned, and the delays that align them, in one line; "" if all are."""
    found = early_projections(populations, projections, groups)
    if not found:
        return ""
    early, late, steps = found[0]
    changes = [f"{p.label} {p.delay} -> {p.delay + more}" for p, _, more in found]
    others = f" and {len(changes) - NAMED} more" if len(changes) > NAMED else ""
    return (
        f"{early.label} delivers {steps} step(s) earlier than {late.label}, so {late.target!r} adds up different steps "
        f"of the input. Delays that align all paths: {', '.join(changes[:NAMED])}{others}. If the difference is meant, "
        "give the target an onset, or the network check_alignment=False"
    )
