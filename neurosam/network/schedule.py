"""When each population starts, and in which order populations are evaluated.

Onsets are shortest paths over delays (Dijkstra) from the input and from every population with an explicit onset.
Groups are the strongly connected components of the graph of projections (Tarjan) in topological order; inside a
group, populations are ordered along their lag-0 projections.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter

from neurosam.errors import NetworkError
from neurosam.network.elements import Population, PopulationsByName, Projection

__all__ = ["earliest", "groups", "lag", "onsets"]


def onsets(populations: Sequence[Population], projections: Sequence[Projection]) -> dict[str, int]:
    """Global step at which each population starts: its explicit onset, else the earliest arrival of input.

    Raises
    ------
    NetworkError
        If input could arrive before an explicit onset, or a population cannot be reached from the input.
    """
    by_name = PopulationsByName(populations)
    sources = [p for p in populations if p.neuron is None]
    reached = earliest([(p.name, 0) for p in sources], [(p.source, p.target, 0) for p in projections])
    for population in populations:
        if population.name not in reached:
            raise NetworkError(
                f"population {population.name!r}",
                "cannot be reached from an input, and no bias drives it; remove it, or connect it",
            )
    starts = [(p.name, p.onset) for p in populations if p.onset is not None]
    delays = [(p.source, p.target, p.delay) for p in projections if by_name[p.target].onset is None]
    arrival = earliest([*starts, *((p.name, p.onset or 0) for p in sources)], delays)
    for projection in projections:
        first = arrival[projection.source] + projection.delay
        if first < arrival[projection.target]:
            raise NetworkError(
                f"population {projection.target!r}",
                f"starts at step {arrival[projection.target]}, but {projection.label} can deliver at step {first}; "
                "lower the onset or leave it out",
            )
    return arrival


def lag(projection: Projection, onsets: Mapping[str, int]) -> int:
    """Steps between a source's own time and the target's: ``onset(p) + delay - onset(q)``."""
    delay: int = projection.delay
    return onsets[projection.source] + delay - onsets[projection.target]


def earliest(starts: Iterable[tuple[str, int]], edges: Iterable[tuple[str, str, int]]) -> dict[str, int]:
    """The earliest step at which each population is reached, in order of that step (Dijkstra's shortest paths).

    Parameters
    ----------
    starts : iterable of (population, step)
        Where paths begin.
    edges : iterable of (source, target, steps)
        Steps are never negative.
    """
    outgoing: dict[str, list[tuple[str, int]]] = {}
    for source, target, steps in edges:
        outgoing.setdefault(source, []).append((target, steps))
    reached: dict[str, int] = {}
    queue = [(step, name) for name, step in starts]
    heapq.heapify(queue)
    while queue:
        step, name = heapq.heappop(queue)
        if name not in reached:
            reached[name] = step
            for target, steps in outgoing.get(name, ()):
                heapq.heappush(queue, (step + steps, target))
    return reached


def groups(
    populations: Sequence[Population], projections: Sequence[Projection], onsets: Mapping[str, int]
) -> tuple[tuple[str, ...], ...]:
    """Strongly connected components in topological order; each is ordered along its lag-0 projections.

    Raises
    ------
    NetworkError
        For a cycle without delay.
    """
    instant: dict[str, list[str]] = {p.name: [] for p in populations}
    for projection in projections:
        if lag(projection, onsets) == 0:
            instant[projection.target].append(projection.source)
    try:
        order = {name: i for i, name in enumerate(TopologicalSorter(instant).static_order())}
    except CycleError as error:
        cycle = " -> ".join(error.args[1])
        raise NetworkError(
            "network", f"the cycle {cycle} has no delay; give one of its projections delay >= 1"
        ) from None
    components = _components(populations, projections)
    return tuple(tuple(sorted(component, key=order.__getitem__)) for component in components)


def _components(populations: Sequence[Population], projections: Sequence[Projection]) -> list[list[str]]:
    """Tarjan's algorithm without recursion; a component comes after those that it receives from."""
    inputs: dict[str, list[str]] = {p.name: [] for p in populations}
    for projection in projections:
        inputs[projection.target].append(projection.source)
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    on_stack: set[str] = set()
    components: list[list[str]] = []
    for root in inputs:
        if root in index:
            continue
        work = [(root, iter(inputs[root]))]
        index[root] = low[root] = len(index)
        stack.append(root)
        on_stack.add(root)
        while work:
            name, successors = work[-1]
            step = next(successors, None)
            if step is None:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[name])
                if low[name] == index[name]:
                    component: list[str] = []
                    while not component or component[-1] != name:
                        component.append(stack.pop())
                        on_stack.discard(component[-1])
                    components.append(component)
            elif step not in index:
                index[step] = low[step] = len(index)
                stack.append(step)
                on_stack.add(step)
                work.append((step, iter(inputs[step])))
            elif step in on_stack:
                low[name] = min(low[name], index[step])
    return components
