"""From a recording to a :class:`~neurosam.graph.Graph`: what the outputs need, with the names that populations get."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from neurosam.deploy.tracing.nodes import Dropped, Membrane, Node, OverTime, Refused, Source, Tables, population_shape
from neurosam.deploy.tracing.outputs import Output, outputs_of
from neurosam.deploy.tracing.recording import Recording
from neurosam.deploy.tracing.steps import Recorded
from neurosam.errors import ExportError
from neurosam.graph.layers import Edge, Graph, Input, Layer, MaxPool, Neurons, Reindex, Weights
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
    totals : dict of str to (B, neurons) array
        What outputs have to be, up to a positive factor.
    notes : dict of str to str
        What was left out, for the metadata.
    """

    graph: Graph
    neurons: dict[str, Node]
    totals: dict[str, Any]
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
    outputs = outputs_of(recorded, notes)
    return _Drawer(recorded.recording, chain, notes).draw(outputs)


class _Drawer:
    def __init__(self, recording: Recording, chain: bool, notes: dict[str, str]) -> None:
        self.recording, self.chain, self.notes = recording, chain, notes
        self.layers: dict[str, Layer] = {}
        self.edges: list[Edge] = []
        self.labels: dict[str, str] = {}
        self.names: dict[tuple[int, int], str] = {}
        self.placed: dict[tuple[int, int], tuple[Node, int]] = {}

    def draw(self, outputs: list[Output]) -> Drawing:
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
        answers: dict[str, str] = {}
        totals: dict[str, Any] = {}
        for output in outputs:
            if output.neurons is not None:
                name = self.names[id(output.neurons), 0]
            else:
                name = self._free("out")
                self.layers[name], self.labels[name] = Neurons(Readout()), "output"
                self._connect(output.sources, name, output.shape, 0)
            answers.setdefault(name, output.answer)
            if output.total is not None:
                totals[name] = output.total
        graph = Graph(self.layers, self.edges, answers, self.labels)
        neurons = {self.names[id(n), 0]: n for n, _ in placed if isinstance(n.what, Neurons)}
        return Drawing(graph, neurons, totals, self.notes)

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
            if ":" in node.kind:  # a function of a module that does more than this
                path = "" if isinstance(what, MaxPool) else f"{path}.{node.kind.partition(': ')[2]}".lstrip(".")
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
