"""A network of a NIR file: structure, source, layers, and then what every other tool's network goes through.

file or object -> drawing -> flat, in order -> neurosam.graph -> network
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from neurosam.errors import ExportError, FormatError, NetworkError
from neurosam.formats.nir.drawing import MAX_ELEMENTS, Drawing, Node
from neurosam.formats.nir.file import read_drawing
from neurosam.formats.nir.marker import MARK, content_of, restored
from neurosam.formats.nir.nodes import Discretised, delay_steps, input_shape, layers_of
from neurosam.formats.nir.pictures import network_shape
from neurosam.formats.nir.sources import SOURCES, checked_reset, source_of, step_of
from neurosam.formats.nir.structure import NEURONS, Flow, Wire, flat, flow
from neurosam.graph.assemble import assemble
from neurosam.graph.layers import Edge, Graph, Input, Layer, Reindex, Scale
from neurosam.network.network import Network
from neurosam.network.synapse import Shape, neurons
from neurosam.network.trace import SamTrace

__all__ = ["load_nir", "nir_graph"]

SPIKING = frozenset({"CubaLIF", "IF", "LIF", "Threshold"})


def load_nir(
    source_file: Any,
    *,
    source: str | None = None,
    dt: float | None = None,
    reset: str | None = None,
    reset_timing: str | None = None,
    magnitude: int = 1,
    input_unit: float = 1.0,
    sam: SamTrace | None = None,
    metadata: Mapping[str, str] | None = None,
) -> Network:
    """Read a network from a NIR file, or from the object that a framework's exporter returns.

    Parameters
    ----------
    source_file : str, Path or nir.NIRGraph
        The package ``nir`` is not needed.
    source : str, optional
        The framework whose importer and neurons decide how a step is computed: snntorch, spikingjelly, norse, sinabs,
        rockpool, lava; or "euler" and "exact" for NIR's own equations. Found in the metadata of the file if None; a
        file that :func:`save_nir` wrote gives the same network again.
    dt : float, optional
        Step in seconds (in steps for Sinabs); the framework's own if None.
    reset : {"subtract", "zero"}, optional
        How the network was trained to reset, where that is not what NIR and the importer say: NIR has no soft reset.
    reset_timing : {"now", "next", "both"}, optional
        Of `reset`, as :class:`neurosam.LIF` has it; the framework's default if None: "next" for snnTorch, whose
        ``reset_delay=False`` is "both".
    magnitude : int
        Largest ``|value|`` of an input event.
    input_unit : float
        Value that an input event of 1 stands for (1/255 for bytes).
    sam : SamTrace, optional
        Trace of every spiking population.
    metadata : mapping of str to str, optional
        Stored with the network, beside ``nir.source``, ``nir.dt_s``, ``nir.rule``, ``nir.version``, ``nir.feedback``.

    Returns
    -------
    Network
        In float. Names of nodes are those of populations.

    Raises
    ------
    FormatError
        For a damaged or forged file, for what no network expresses, and where the source has to be given.
    """
    drawing = read_drawing(source_file)
    graph, notes = _lower(drawing, source, dt, (reset, reset_timing), Input((1,), magnitude, input_unit))
    try:
        network = assemble(graph, sam=sam, metadata={**notes, **(metadata or {})})
    except (ExportError, NetworkError) as error:
        raise FormatError(drawing.where, str(error)) from None
    if notes["nir.source"] != MARK:
        return network
    saved = restored(network, content_of(drawing.where, drawing.metadata), drawing.where)
    saved = saved if sam is None else saved.with_sam(sam)
    return saved if metadata is None else replace(saved, metadata={**saved.metadata, **metadata})


def nir_graph(source_file: Any, *, source: str | None = None, dt: float | None = None) -> Graph:
    """The layers of a NIR file, before they become a network; see :func:`load_nir`."""
    return _lower(read_drawing(source_file), source, dt, (None, None), Input((1,)))[0]


def _lower(
    drawing: Drawing, source: str | None, dt: float | None, reset: tuple[str | None, str | None], like: Input
) -> tuple[Graph, dict[str, str]]:
    """The graph, and what was decided; `like` has the magnitude and the unit of the inputs."""
    opened = flat(drawing)
    name = source_of(opened, source)
    step = step_of(opened, name, dt)
    asked = checked_reset(opened, name, *reset)
    delays = {n.name: delay_steps(n, _known(n, step)) for n in opened.nodes.values() if n.kind == "Delay"}
    order = flow(opened, {key: int(steps.min()) for key, steps in delays.items() if steps.size})
    graph = _Layers(opened, order, Discretised(name, step, asked), delays).build(like)
    rule = "as saved" if name == MARK else SOURCES[name].rule
    if asked is not None:
        rule += f"; but reset {asked[0]!r} ({asked[1]!r})"
    notes = {"nir.source": name, "nir.rule": rule, "nir.dt_s": "of each layer, from r" if step is None else f"{step!r}"}
    if opened.version:
        notes["nir.version"] = opened.version
    if late := [f"{w.source} -> {w.target}" for w in order.wires if w.steps]:
        notes["nir.feedback"] = ", ".join(late) + ": one step late"
    return graph, notes


def _known(node: Node, step: float | None) -> float:
    """The step that a delay is counted in."""
    if step is None:
        raise node.error("is a time, and the step is not known; give dt= (--dt) in seconds")
    return step


@dataclass
class _Layers:
    """Builds the graph in the order in which values flow."""

    drawing: Drawing
    flow: Flow
    neurons: Discretised
    delays: Mapping[str, Any]
    layers: dict[str, Layer] = field(default_factory=dict)
    edges: list[Edge] = field(default_factory=list)
    labels: dict[str, str] = field(default_factory=dict)
    takes: dict[str, Shape] = field(default_factory=dict)
    shapes: dict[str, Shape] = field(default_factory=dict)
    """What each node is given, and what it gives."""
    leaves: dict[str, list[tuple[str, int]]] = field(default_factory=dict)
    """Where a node's value comes from: layers, and by how many steps it is late."""
    enters: dict[str, str] = field(default_factory=dict)
    arriving: dict[str, list[Wire]] = field(default_factory=dict)
    leaving: dict[str, list[Wire]] = field(default_factory=dict)

    def build(self, like: Input) -> Graph:
        """All nodes, then the edges that close loops."""
        for wire in self.flow.wires:
            self.arriving.setdefault(wire.target, []).append(wire)
            self.leaving.setdefault(wire.source, []).append(wire)
        for name in self.flow.order:
            node = self.drawing.nodes[name]
            if node.kind == "Input":
                followers = [self.drawing.nodes[w.target] for w in self.leaving.get(name, ())]
                self.shapes[name] = input_shape(node, followers)
                self._put(name, node, replace(like, shape=network_shape(self.shapes[name])))
                self.leaves[name] = [(name, 0)]
            elif node.kind != "Output":
                self._add(node)
        for wire in self.flow.wires:
            if (wire.source, wire.target) in self.flow.backward:
                self._same(self.drawing.nodes[wire.target], wire.source, self.takes[wire.target])
                for layer, late in self.leaves[wire.source]:
                    self.edges.append(Edge(layer, self.enters[wire.target], late + wire.steps))
        return Graph(self.layers, self.edges, self._outputs(), self.labels)

    def _add(self, node: Node) -> None:
        """One node behind those that feed it."""
        name = node.name
        arriving = self.arriving[name]
        forward = [w for w in arriving if (w.source, name) not in self.flow.backward]
        shape = self.shapes[forward[0].source]
        for wire in forward[1:]:
            self._same(node, wire.source, shape)
        self.takes[name] = shape
        sources = [(layer, late + wire.steps) for wire in forward for layer, late in self.leaves[wire.source]]
        if node.kind in NEURONS - SPIKING and any(
            self.drawing.nodes[w.target].kind != "Output" for w in self.leaving.get(name, ())
        ):
            raise node.error(
                "sends its membrane to other layers, where only spikes travel; put it last, or use a CubaLIF"
            )
        if node.kind == "Delay":
            self._delay(node, shape, sources, len(arriving) > len(forward))
            return
        try:
            out, layers = layers_of(node, shape, self.neurons)
        except NetworkError as error:
            raise node.error(str(error)) from None
        self.shapes[name] = out
        self._chain(node, layers, sources, len(arriving) > len(forward))

    def _chain(self, node: Node, layers: list[Layer], sources: list[tuple[str, int]], looped: bool) -> None:
        """Layers of one node, the last with its name; none at all where it only passes on."""
        if not layers and not looped and len(sources) == 1:
            self.leaves[node.name] = sources
            return
        layers = layers or [Scale(1.0)]
        names = [f"{node.name}/{i}" for i in range(len(layers) - 1)] + [node.name]
        for name, layer in zip(names, layers, strict=True):
            self._put(name, node, layer)
        self.edges += [Edge(layer, names[0], late) for layer, late in sources]
        self.edges += [Edge(a, b) for a, b in itertools.pairwise(names)]
        self.enters[node.name] = names[0]
        self.leaves[node.name] = [(node.name, 0)]

    def _delay(self, node: Node, shape: Shape, sources: list[tuple[str, int]], looped: bool) -> None:
        """One delay for all elements, or one branch for each that occurs."""
        self.shapes[node.name] = shape
        steps = np.asarray(self.delays[node.name])
        if steps.size != 1 and steps.size != neurons(shape):
            raise node.error(f"has delays of shape {steps.shape}; {shape} arrives")
        occurring = np.unique(steps)
        if occurring.size > 1 and occurring.size * steps.size > MAX_ELEMENTS:
            raise node.error(
                f"has {occurring.size} different delays of {steps.size} elements; the product is at most {MAX_ELEMENTS}"
            )
        if occurring.size == 1:
            self._chain(node, [], [(layer, late + int(occurring[0])) for layer, late in sources], looped)
            return
        self._chain(node, [Scale(1.0)], sources, looped)
        positions = np.arange(steps.size)
        self.leaves[node.name] = []
        for delay in occurring:
            name = f"{node.name}/{delay}"
            index = np.where(steps.reshape(-1) == delay, positions, -1).reshape(network_shape(shape))
            self._put(name, node, Reindex(index))
            self.edges.append(Edge(node.name, name))
            self.leaves[node.name].append((name, int(delay)))

    def _put(self, name: str, node: Node, layer: Layer) -> None:
        self.layers[name] = layer
        self.labels[name] = f"node {node.name!r} ({node.kind})"

    def _same(self, node: Node, source: str, shape: Shape) -> None:
        if self.shapes[source] != shape:
            raise node.error(f"adds {shape} and, from {source!r}, {self.shapes[source]}; the same shape is required")

    def _outputs(self) -> dict[str, str]:
        """What feeds the Output nodes, or the ends of a graph that has none, each with its answer."""
        nodes, found = self.drawing.nodes, []
        ends = [w.source for w in self.flow.wires if nodes[w.target].kind == "Output"]
        if not ends:
            feeding = {wire.source for wire in self.flow.wires}
            ends = [name for name in self.flow.order if name not in feeding]
        for end in ends:
            for layer, late in self.leaves[end]:
                if late:
                    raise nodes[end].error("delays an output; remove the Delay in front of the Output")
                found.append(layer)
        answers = {}
        for layer in dict.fromkeys(found):
            node = nodes.get(layer)
            answers[layer] = "count" if node is not None and node.kind in SPIKING else "last"
        return answers
