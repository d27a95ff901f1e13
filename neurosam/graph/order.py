"""In which order layers are evaluated, and at which step populations start."""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter

from neurosam.errors import ExportError, NetworkError
from neurosam.graph.layers import Graph, Neurons

__all__ = ["evaluation_order", "start_steps"]


def start_steps(inputs: list[str], edges: list[tuple[str, str, int]], least: int) -> tuple[dict[str, int], int]:
    """The step at which each population starts (longest paths), and the least delay that allows it."""
    names = {name for source, target, _ in edges for name in (source, target)} | set(inputs)
    for allowed in (least, 0):
        starts = dict.fromkeys(names, 0)
        for _ in range(len(names) + 1):
            moved = False
            for source, target, late in edges:
                if starts[source] + allowed - late > starts[target]:
                    starts[target], moved = starts[source] + allowed - late, True
            if not moved:
                return starts, allowed
    raise NetworkError("network", "has a loop without delay; give one of its edges a step")


def evaluation_order(graph: Graph) -> list[str]:
    """Layers, each after those whose values it needs, else as they come.

    What a layer of neurons gives is known before it is built, so that a loop is no hindrance; but weights on an edge
    that is late come before the neurons that they feed.
    """
    within: dict[str, list[str]] = {name: [] for name in graph.layers}
    early: dict[str, list[str]] = {name: [] for name in graph.layers}
    for edge in graph.edges:
        fires = isinstance(graph.layers[edge.source], Neurons)
        if edge.steps == 0:
            within[edge.target].append(edge.source)
        if not fires or (edge.steps == 0 and isinstance(graph.layers[edge.target], Neurons)):
            early[edge.target].append(edge.source)
    _sorted(graph, within, "without delay: ", "; give one of its edges a step")
    whole = {name: [*within[name], *early[name]] for name in graph.layers}
    try:
        return _sorted(graph, whole)
    except ExportError:
        return _sorted(graph, early, "without neurons: ", "; only neurons have a state")


def _sorted(graph: Graph, needed: Mapping[str, list[str]], kind: str = "", remedy: str = "") -> list[str]:
    """Layers, each after those that it needs."""
    place = {name: i for i, name in enumerate(graph.layers)}
    sorter = TopologicalSorter(needed)
    try:
        sorter.prepare()
    except CycleError as error:
        cycle = " -> ".join(graph.label(name) for name in error.args[1])
        raise ExportError("graph", f"has a cycle {kind}{cycle}{remedy}") from None
    order: list[str] = []
    ready: list[tuple[int, str]] = []
    while sorter.is_active():
        for name in sorter.get_ready():
            heapq.heappush(ready, (place[name], name))
        name = heapq.heappop(ready)[1]
        order.append(name)
        sorter.done(name)
    return order
