"""From a recording to a :class:`~neurosam.graph.Graph`: what the outputs need, with the names that populations get."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from neurosam.deploy.tracing.axes import Value
from neurosam.deploy.tracing.nodes import Dropped, Membrane, Node, OverTime, Refused, Source, Tables, population_shape
from neurosam.deploy.tracing.recording import Recording
from neurosam.deploy.tracing.steps import Recorded
from neurosam.errors import ExportError
from neurosam.graph.layers import Edge, Graph, Input, Layer, MaxPool, Neurons, Offset, Reindex, Scale, Weights
from neurosam.network.neuron import LIF, Readout
from neurosam.network.synapse import Conv2d, Sparse

__all__ = ["Drawing", "draw"]


@dataclass(eq=False)
class Drawing:
    """A graph, and which of its layers is which node.

    Parameters
    ----------
    graph : Graph
    neurons : dict of str to Node
        Layers of neurons of the module, by name.
    notes : dict of str to str
        What was left out, for the metadata.
    """

    graph: Graph
    neurons: dict[str, Node]
    notes: dict[str, str] = field(default_factory=dict)


def draw(recorded: Recorded, chain: bool) -> Drawing:
    """The graph of a recording.

    Parameters
    ----------
    recorded : Recorded
    chain : bool
        Whether the module is a Sequential (of Sequentials), whose layers are then named ``outer_inner``, and by what
        they are where they only have numbers.

    Raises
    ------
    ExportError
        If what the module returns is no output of a network.
    """
    notes: dict[str, str] = {}
    outputs = _outputs(recorded, notes)
    return _Drawer(recorded.recording, chain, notes).draw(outputs)


@dataclass(frozen=True, eq=False)
class _Output:
    """What a module returns: the spikes or membranes of a layer of neurons, or sums behind the last of them."""

    sources: tuple[Source, ...]
    shape: tuple[int, ...]
    answer: str
    neurons: Node | None = None


def _outputs(recorded: Recorded, notes: dict[str, str]) -> list[_Output]:
    """Each once; membranes only where nothing else is returned."""
    returned = _returned(recorded.recording, recorded.outputs[-1])
    if not returned:
        raise ExportError("module", "returns nothing that depends on its input")
    outputs = [_output(recorded.recording, value, notes) for value in returned]
    chosen = [output for output in outputs if output.answer in ("count", "sums")] or outputs
    unique = {tuple(source.key for source in output.sources): output for output in reversed(chosen)}
    return [*reversed(unique.values())]


def _returned(recording: Recording, out: Any) -> list[Value]:
    """Values among what a module returned: not those inside of states."""
    items = list(out.values()) if isinstance(out, dict) else list(out) if isinstance(out, (tuple, list)) else [out]
    values = [value for item in items if (value := recording.value(item)) is not None]
    if not values and items and isinstance(items[0], (tuple, list)):  # a list of what each step gave
        return _returned(recording, items[-1] if len(items) == recording.length else items[0])
    return values[-1:] if isinstance(out, list) and len(values) == recording.length else values


def _output(recording: Recording, value: Value, notes: dict[str, str]) -> _Output:
    if value.refused is not None:
        what = value.refused.what
        raise ExportError(value.refused.label, what.problem if isinstance(what, Refused) else "is not expressible")
    _, (sources,), shape = recording.addresses.trace([value], "output")
    how, membrane = "last", False
    while len(sources) == 1 and sources[0].index is None:
        what = sources[0].node.what
        if isinstance(what, Dropped):
            notes["left out"] = f"{what.name} at the end"
        elif isinstance(what, OverTime):
            how = what.how
        elif isinstance(what, Membrane):
            membrane = True
        else:
            break
        sources = sources[0].node.sources
    sources = _summed_over_time(recording, sources)
    if not sources:
        raise ExportError("module", "returns zeros")
    for source in sources:
        if (problem := source.node.unusable) is not None:
            raise ExportError("output", problem)
    node = sources[0].node
    if len(sources) == 1 and sources[0].index is None and isinstance(node.what, Neurons):
        graded = isinstance(node.what.neuron, Readout)
        answer = (how if how in ("mean", "max") else "last") if membrane or graded else "count"
        return _Output((Source(node),), node.shape, answer, node)
    return _Output(tuple(Source(source.node, 0, source.index) for source in sources), shape, "sums")


def _summed_over_time(recording: Recording, sources: tuple[Source, ...]) -> tuple[Source, ...]:
    """Spikes that a loop has added up step after step: those of one layer, in all steps."""
    steps: dict[tuple[int, bytes | None], set[int]] = {}
    firsts: dict[tuple[int, bytes | None], Source] = {}
    work = [(source, 0, ()) for source in sources]
    while work:
        source, ago, _ = work.pop()
        node, ago = source.node, ago + source.steps
        is_sum = isinstance(node.what, Offset) and not np.any(node.what.value)
        is_positive = isinstance(node.what, Scale) and node.what.factor.ndim == 0 and node.what.factor > 0
        delayed = any(s.steps for s in node.sources) or ago
        if source.index is None and (is_sum or is_positive) and (delayed or is_positive):
            work.extend((before, ago, ()) for before in node.sources)
            continue
        key = (id(node), None if source.index is None else source.index.tobytes())
        steps.setdefault(key, set()).add(ago)
        firsts.setdefault(key, source)
    if all(len(ago) == recording.steps for ago in steps.values()):
        return tuple(Source(source.node, 0, source.index) for source in firsts.values())
    return sources


class _Drawer:
    def __init__(self, recording: Recording, chain: bool, notes: dict[str, str]) -> None:
        self.recording, self.chain, self.notes = recording, chain, notes
        self.layers: dict[str, Layer] = {}
        self.edges: list[Edge] = []
        self.labels: dict[str, str] = {}
        self.names: dict[tuple[int, int], str] = {}
        self.placed: dict[tuple[int, int], tuple[Node, int]] = {}

    def draw(self, outputs: list[_Output]) -> Drawing:
        """Layers in the order in which they were recorded."""
        for output in outputs:
            for source in output.sources:
                self._place(source.node, 0)
        order = {id(node): place for place, node in enumerate(self.recording.nodes)}
        placed = sorted(self.placed.values(), key=lambda pair: (order[id(pair[0])], pair[1]))
        if not any(node is self.recording.input for node, _ in placed):
            raise ExportError("module", "returns nothing that depends on its input")
        if not any(isinstance(node.what, (Weights, Neurons)) for node, _ in placed):
            raise ExportError("module", "has no layer with weights and no neurons; there is nothing to run")
        for node, ago in placed:
            self.names[id(node), ago] = name = self._name(node)
            self.labels[name] = node.label
        for node, ago in placed:
            self._draw(node, ago)
        answers = {}
        for output in outputs:
            if output.neurons is not None:
                answers[self.names[id(output.neurons), 0]] = output.answer
                continue
            name = self._free("out")
            self.layers[name], self.labels[name] = Neurons(Readout()), "output"
            self._connect(output.sources, name, output.shape, 0)
            answers[name] = "last"
        graph = Graph(self.layers, self.edges, answers, self.labels)
        neurons = {self.names[id(n), 0]: n for n, _ in placed if isinstance(n.what, Neurons)}
        return Drawing(graph, neurons, self.notes)

    def _place(self, node: Node, ago: int) -> None:
        """A node and what it needs, `ago` steps earlier: only neurons and the input are late, so others move along."""
        work = [(node, ago)]
        while work:
            node, ago = work.pop()
            ago = 0 if isinstance(node.what, (Neurons, Input)) else ago
            if (id(node), ago) not in self.placed:
                self.placed[id(node), ago] = (node, ago)
                work.extend((source.node, ago + source.steps) for source in node.sources)

    def _draw(self, node: Node, ago: int) -> None:
        name, what, sources = self.names[id(node), ago], node.what, node.sources
        if isinstance(what, Neurons):
            what, sources = self._with_tables(node, what)
        if isinstance(what, Tables):
            return
        if (problem := node.unusable) is not None or isinstance(what, (Refused, Membrane, OverTime, Dropped)):
            raise ExportError(node.label, problem or "has no equivalent in a network")
        self.layers[name] = what
        if not isinstance(what, Input):
            self._connect(sources, name, self._entering(node), ago)

    def _entering(self, node: Node) -> tuple[int, ...] | None:
        """Shape in which a layer takes its sources; None if their own will do."""
        if not isinstance(node.what, Weights) or isinstance(node.what.synapse, Conv2d):
            return node.shape if node.entering is None else node.entering
        whole = len(node.sources) == 1 and node.sources[0].index is None
        return (
            None
            if whole
            else (
                node.what.synapse.sources
                if isinstance(node.what.synapse, Sparse)
                else node.what.synapse.weight.shape[1],
            )
        )

    def _with_tables(self, node: Node, what: Neurons) -> tuple[Neurons, tuple[Source, ...]]:
        tables = [source for source in node.sources if isinstance(source.node.what, Tables)]
        if not tables:
            return what, node.sources
        table = tables[0].node.what
        if len(node.sources) > 1 or not tables[0].plain or not isinstance(table, Tables):
            raise ExportError(tables[0].node.label, f"must be all that enters {node.label}; put additions before it")
        if not isinstance(what.neuron, LIF):
            raise ExportError(node.label, "follows a BNTT; a readout has no tables, so remove the BNTT")
        from dataclasses import replace

        neuron = replace(what.neuron, gain=table.gain, offset=table.offset)
        return replace(what, neuron=neuron), tables[0].node.sources

    def _connect(self, sources: tuple[Source, ...], target: str, shape: tuple[int, ...] | None, ago: int) -> None:
        for source in sources:
            steps = ago + source.steps
            late = isinstance(source.node.what, (Neurons, Input))
            name = self.names[id(source.node), 0 if late else steps]
            steps = steps if late else 0
            index = source.index
            before = population_shape(source.node.shape)
            wanted = before if shape is None else population_shape(shape)
            if index is None and before != wanted:
                index = np.arange(source.node.size)
            if index is None:
                self.edges.append(Edge(name, target, steps))
                continue
            moved = self._free(f"{name}>{target}")
            self.layers[moved] = Reindex(index.reshape(wanted))
            self.labels[moved] = self.labels.get(target, target)
            self.edges += [Edge(name, moved, steps), Edge(moved, target)]

    def _name(self, node: Node) -> str:
        what = node.what
        if isinstance(what, Input):
            return self._free("input")
        if isinstance(what, Neurons) or (isinstance(what, MaxPool) and node.spiking):
            path = node.path.replace(".", "_") if self.chain else node.path
            if isinstance(what, MaxPool) and ":" in node.kind:
                path = ""
            if path.replace("_", "").replace(".", "").isdigit() or not path:
                return self._numbered(node)
            return self._free(path)
        return self._free(f"{node.path or 'module'}:{type(what).__name__}")

    def _numbered(self, node: Node) -> str:
        """conv1, conv2, ..., dense1, ..., pool1, ..., out."""
        if isinstance(node.what, MaxPool):
            kind = "pool"
        elif isinstance(node.what, Neurons) and isinstance(node.what.neuron, Readout):
            return self._free("out")
        else:
            kind = "conv" if len(population_shape(node.shape)) == 3 else "dense"
        taken = sum(name.startswith(kind) and ":" not in name for name in self.names.values())
        return self._free(f"{kind}{taken + 1}")

    def _free(self, name: str) -> str:
        taken = {*self.names.values(), *self.layers}
        unique, count = name, 2
        while unique in taken:
            unique, count = f"{name}_{count}", count + 1
        return unique
