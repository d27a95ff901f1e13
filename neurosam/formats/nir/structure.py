"""The structure of a NIR graph: subgraphs are opened, feedback is found, nodes are ordered.

NIR's edges have no delay, and frameworks evaluate all nodes in one step. An edge that closes a loop can therefore only
carry the value of the step before: it gets one step, unless a Delay in the loop gives it more. Which edge closes the
loop is decided by a depth-first search from the inputs. Where a layer without neurons lies on the loop alone (the
recurrent weights), the step is put in front of it, so that its bias acts in every step.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from neurosam.errors import FormatError
from neurosam.formats.nir.drawing import MAX_EDGES, Drawing, Node

__all__ = ["NEURONS", "Flow", "Wire", "flat", "flow"]

MAX_LOOPS = 1024
NEURONS = frozenset({"CubaLI", "CubaLIF", "I", "IF", "LI", "LIF", "Threshold"})


@dataclass(frozen=True)
class Wire:
    """An edge, and the steps by which it is late."""

    source: str
    target: str
    steps: int = 0


@dataclass(frozen=True)
class Flow:
    """Nodes in the order in which values flow, all edges, and those that go against the order."""

    order: tuple[str, ...]
    wires: tuple[Wire, ...]
    backward: frozenset[tuple[str, str]]


def flat(drawing: Drawing) -> Drawing:
    """The same graph without subgraphs; a node inside of one is called ``subgraph.node``.

    Raises
    ------
    FormatError
        For an edge from or to a node that does not exist, a subgraph of several inputs or outputs, or no input.
    """
    nodes: dict[str, Node] = {}
    edges: list[tuple[str, str]] = []
    _open(drawing, "", nodes, edges)
    if len(edges) > MAX_EDGES:
        raise FormatError(drawing.where, f"has {len(edges)} edges; at most {MAX_EDGES} are read")
    if not any(node.kind == "Input" for node in nodes.values()):
        raise FormatError(drawing.where, "has no Input node; add one, so that the shape of the events is known")
    for source, target in edges:
        if nodes[target].kind == "Input":
            raise nodes[target].error(f"receives from {source!r}; an Input is where events enter. Remove the edge")
        if nodes[source].kind == "Output":
            raise nodes[source].error(f"feeds {target!r}; an Output is an end. Let {target!r} receive from its source")
    return replace(drawing, nodes=nodes, edges=list(dict.fromkeys(edges)))


def _open(drawing: Drawing, prefix: str, nodes: dict[str, Node], edges: list[tuple[str, str]]) -> None:
    """Add nodes and edges of a graph, with its inner ones; `prefix` is its own name and a dot."""
    enters: dict[str, str] = {}
    leaves: dict[str, str] = {}
    for name, node in drawing.nodes.items():
        full = name if not prefix or name.startswith(prefix) else prefix + name
        if full in nodes:
            raise node.error(f"has the same name as another node once subgraphs are opened ({full!r}); rename it")
        if node.inside is None:
            kind = "Through" if prefix and node.kind in ("Input", "Output") else node.kind
            nodes[full] = replace(node, name=full, kind=kind)
            enters[name] = leaves[name] = full
            continue
        _open(node.inside, full + ".", nodes, edges)
        for kind, ends in (("Input", enters), ("Output", leaves)):
            found = [inner for inner, item in node.inside.nodes.items() if item.kind == kind]
            if len(found) != 1:
                raise node.error(f"has {len(found)} {kind} nodes; a subgraph needs one")
            ends[name] = found[0] if found[0].startswith(full + ".") else f"{full}.{found[0]}"
    for source, target in drawing.edges:
        for end in (source, target):
            if end not in drawing.nodes:
                raise FormatError(
                    drawing.where, f"has an edge {source!r} -> {target!r}; there is no node {end!r} in the graph"
                )
        edges.append((leaves[source], enters[target]))


def flow(drawing: Drawing, delays: Mapping[str, int]) -> Flow:
    """Order the nodes of a flat graph; `delays` are the least steps of its Delay nodes.

    Raises
    ------
    FormatError
        For a loop without neurons or a delay in it, and for nodes that nothing reaches.
    """
    nodes = drawing.nodes
    follow: dict[str, list[str]] = {name: [] for name in nodes}
    before: dict[str, list[str]] = {name: [] for name in nodes}
    for source, target in drawing.edges:
        follow[source].append(target)
        before[target].append(source)
    order, backward = _search([name for name, node in nodes.items() if node.kind == "Input"], follow)
    if missing := set(nodes) - set(order):
        raise nodes[min(missing)].error("receives nothing from an Input; connect it, or remove it from the graph")
    late: dict[tuple[str, str], int] = dict.fromkeys(drawing.edges, 0)
    if len(backward) > MAX_LOOPS:
        raise FormatError(drawing.where, f"has {len(backward)} edges that close loops; at most {MAX_LOOPS} are read")
    instant = {name for name in nodes if not delays.get(name)}
    plain = {name for name in instant if nodes[name].kind not in NEURONS}
    for source, target in backward:
        if source not in instant or target not in instant or not _reaches(target, source, follow, backward, instant):
            continue  # a Delay is in every such loop
        if {source, target} <= plain and _reaches(target, source, follow, backward, plain):
            raise nodes[target].error(
                f"is in a loop without delay: {source!r} feeds it in the same step, with no neuron between; "
                "put a Delay or a neuron into the loop"
            )
        late[_early(source, target, nodes, follow, before)] = 1
    wires = tuple(Wire(source, target, late[source, target]) for source, target in drawing.edges)
    return Flow(order, wires, frozenset(backward))


def _search(starts: Iterable[str], follow: Mapping[str, list[str]]) -> tuple[tuple[str, ...], list[tuple[str, str]]]:
    """Nodes with every source before its targets, and the edges that close loops, along which that does not hold."""
    finished: list[str] = []
    closing: list[tuple[str, str]] = []
    state: dict[str, bool] = {}  # False: on the way; True: finished
    for start in reversed(list(starts)):  # reversed twice, so that the first comes first
        if start in state:
            continue
        state[start] = False
        stack = [(start, iter(reversed(follow[start])))]
        while stack:
            name, targets = stack[-1]
            for target in targets:
                if target not in state:
                    state[target] = False
                    stack.append((target, iter(reversed(follow[target]))))
                    break
                if not state[target]:
                    closing.append((name, target))
            else:
                stack.pop()
                state[name] = True
                finished.append(name)
    return tuple(reversed(finished)), closing


def _reaches(
    start: str, end: str, follow: Mapping[str, list[str]], without: list[tuple[str, str]], among: set[str]
) -> bool:
    """Whether a path leads from one node to another, on the nodes `among` and not along the edges `without`."""
    closed = set(without)
    seen, waiting = {start}, [start]
    while waiting:
        name = waiting.pop()
        if name == end:
            return True
        for target in follow[name]:
            if target in among and target not in seen and (name, target) not in closed:
                seen.add(target)
                waiting.append(target)
    return False


def _early(
    source: str,
    target: str,
    nodes: Mapping[str, Node],
    follow: Mapping[str, list[str]],
    before: Mapping[str, list[str]],
) -> tuple[str, str]:
    """The edge of a loop that gets the step: in front of layers that lie on this loop alone."""
    while nodes[source].kind not in NEURONS and len(follow[source]) == 1 and len(before[source]) == 1:
        source, target = before[source][0], source
    return source, target
