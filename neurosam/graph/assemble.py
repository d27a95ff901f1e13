"""Make a network of a graph: one projection per path between populations, constants in the neurons, delays aligned.

In a graph, layers act within one step; on a chip every projection takes one. So population q starts at step

    d(q) = max over edges p -> q of d(p) + least - L        d(input) = 0        delay = d(q) - d(p) + L

where L is the number of steps by which the edge is late in the graph (feedback; a layer that fires from the membrane of
the step before) and `least` is 1. The longest path decides, so that branches of different length meet in the same step.
Where a loop is too short for that, `least` is 0: projections without delay, which simulators run and Loihi does not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from neurosam.errors import ExportError, NetworkError
from neurosam.graph.constants import with_constant
from neurosam.graph.joining import joined
from neurosam.graph.layers import Graph, Input, MaxPool, Neurons, layer_shapes
from neurosam.graph.order import evaluation_order, start_steps
from neurosam.graph.paths import Path
from neurosam.graph.values import Value, added
from neurosam.network.elements import MAX_NAME, Population, Projection, max_pool
from neurosam.network.network import Network
from neurosam.network.neuron import LIF, Readout
from neurosam.network.schedule import earliest
from neurosam.network.synapse import Conv2d, Shape, neurons
from neurosam.network.trace import SamTrace

__all__ = ["assemble"]

Values = npt.NDArray[np.float64]


def assemble(graph: Graph, *, sam: SamTrace | None = None, metadata: Mapping[str, str] | None = None) -> Network:
    """Make a float network that does what a graph does.

    Parameters
    ----------
    graph : Graph
        A layer without neurons behind it becomes a readout, which adds up what arrives.
    sam : SamTrace, optional
        Trace of every spiking population; ``SamTrace(gamma=0.5, mode="strict")`` if None.
    metadata : mapping of str to str, optional
        Stored with the network.

    Returns
    -------
    Network

    Raises
    ------
    ExportError
        For what no network expresses; the message names the layer.
    NetworkError
        For parameters outside their range.

    Examples
    --------
    A residual layer: the shortcut waits for the longer path.

    >>> from neurosam.graph import Edge, Graph, Input, Neurons, Weights, assemble
    >>> lif = ns.LIF(leak=0.5, threshold=1.0)
    >>> layers = {"in": Input((2,)), "w": Weights(ns.Dense(np.eye(2))), "a": Neurons(lif), "b": Neurons(lif)}
    >>> edges = [Edge("in", "w"), Edge("w", "a"), Edge("a", "b"), Edge("in", "b")]
    >>> [(p.label, p.delay) for p in assemble(Graph(layers, edges)).projections]
    [('in->a', 1), ('a->b', 1), ('in->b', 2)]
    """
    builder = _Builder(graph)
    for name in evaluation_order(graph):
        builder.add(name)
    return builder.network(metadata or {}).with_sam(sam)


@dataclass
class _Builder:
    """Populations and paths as they are found; `values` is what each layer gives."""

    graph: Graph
    values: dict[str, Value] = field(default_factory=dict)
    populations: list[Population] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)
    paths: list[tuple[str, Path]] = field(default_factory=list)
    lags: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Know every population by name and shape before it is built, for what feeds back from it."""
        taken: set[str] = set()
        shapes = layer_shapes(self.graph)
        for name, layer in self.graph.layers.items():
            if isinstance(layer, (Input, Neurons)):
                self.names[name] = population = _unique(name, taken)
                self.lags[population] = layer.lag if isinstance(layer, Neurons) else 0
                if isinstance(layer, Neurons) and name in shapes:
                    shape = shapes[name]
                    self.values[name] = Value(shape, (Path(population, shape, shape),))

    def add(self, name: str) -> None:
        """Compute what a layer gives; its sources of the same step have been added."""
        layer, where = self.graph.layers[name], self.graph.label(name)
        if isinstance(layer, Input):
            population = Population(self.names[name], layer.shape, magnitude=layer.magnitude)
            self.populations.append(population)
            self.values[name] = self._events(population, population.shape, layer.unit)
            return
        value = self._arriving(name, where)
        if isinstance(layer, MaxPool):
            self.values[name] = self._maximum(name, layer, value, where)
        elif isinstance(layer, Neurons):
            self._neurons(name, layer.neuron, value, where)
        else:
            self.values[name] = value.then(layer, where)

    def network(self, metadata: Mapping[str, str]) -> Network:
        """Append readouts, align delays, and build."""
        answers = self._answers()
        if len(self.populations) < 2:
            raise ExportError("network", "has no layer of neurons and no weights; there is nothing to run")
        inputs = [p.name for p in self.populations if p.neuron is None]
        starts, least = start_steps(inputs, self._edges(), self._least())
        projections = []
        for target, path in self.paths:
            late = path.steps + self.lags[path.source]
            delay = starts[target] - starts[path.source] + late
            where = f"projection {path.source}->{target}"
            projections.append(Projection(path.source, target, path.finished(where), delay, path.pool))
        first = earliest([(name, 0) for name in inputs], [(p.source, p.target, p.delay) for p in projections])
        implied = self._least() > 0  # where all layers fire from the step before, all start at step 0: that is said
        populations = [
            p
            if p.neuron is None or (implied and starts[p.name] == first.get(p.name))
            else replace(p, onset=starts[p.name])
            for p in self.populations
        ]
        notes = (
            {} if least or self._least() == 0 else {"delays": "0 on some projections: a loop is too short for 1 each"}
        )
        return Network(populations, projections, outputs=answers, metadata={**notes, **metadata}, check_alignment=False)

    def _events(self, population: Population, shape: Shape, unit: float = 1.0) -> Value:
        return Value(shape, (Path(population.name, population.shape, shape, factor=unit),))

    def _arriving(self, name: str, where: str) -> Value:
        """The sum of what arrives at a layer on its edges, in their order."""
        values = []
        for edge in self.graph.edges:
            if edge.target == name:
                if edge.source not in self.values:
                    raise ExportError(where, f"is fed back from {self.graph.label(edge.source)}, which has no input")
                values.append(self.values[edge.source].later(edge.steps, where))
        if not values:
            raise ExportError(where, "receives nothing; connect it")
        return added(values, where)

    def _maximum(self, name: str, layer: MaxPool, value: Value, where: str) -> Value:
        """An OR population behind spikes; behind sums, a maximum for the neurons that follow."""
        source = self._population(value.spikes_of)
        if source is None or source.neuron is None or source.largest_event != 1 or value.shape != source.shape:
            return value.pooled_by(layer, where)
        taken = {p.name for p in self.populations} | set(self.names.values())
        kernel, stride, padding = layer.pool.geometry
        pooled = max_pool(source, _unique(name, taken), kernel, stride, padding=padding, fixed=False)
        self.populations.append(pooled.population)
        self.lags[pooled.population.name] = self.lags[source.name]
        path = Path(source.name, source.shape, source.shape, -self.lags[source.name])
        self.paths.append((pooled.population.name, path.through(pooled.projection.synapse, where)))
        return self._events(pooled.population, pooled.population.shape)

    def _neurons(self, name: str, neuron: LIF | Readout, value: Value, where: str) -> None:
        """A population, with the constants that arrive in its neurons."""
        shape = _natural_shape(value, neuron)
        constant = value.constant
        if constant is not None:
            constant = constant if value.maximum is not None else constant.reshape(shape)
            neuron = with_constant(neuron, constant, value.maximum is not None, where)
        options: dict[str, Any] = {} if value.maximum is None else {"pool": value.maximum}
        try:
            population = Population(self.names[name], shape, neuron, **options)
        except NetworkError as error:
            raise ExportError(where, str(error)) from None
        self.populations.append(population)
        if shape == value.shape or value.maximum is not None:
            paths = value.paths
        else:  # a convolution's own shape, instead of the flat one
            paths = tuple(replace(path, shape=shape) for path in value.paths)
        self.paths += [(population.name, path) for path in joined(paths)]
        self.values[name] = self._events(population, value.shape)

    def _population(self, name: str | None) -> Population | None:
        return next((p for p in self.populations if p.name == name), None)

    def _answers(self) -> Mapping[str, str] | list[str] | None:
        """Output populations, with their answers if the graph gives any; an output without neurons gets a readout."""
        outputs = self.graph.outputs
        sources = {edge.source for edge in self.graph.edges if edge.steps == 0}  # feedback comes from ends, too
        ends = [name for name in self.graph.layers if name not in sources] if outputs is None else list(outputs)
        found = [self._end(name) for name in ends]
        if outputs is not None:
            return dict(zip(found, outputs.values(), strict=True))
        return None if found == [self.populations[-1].name] else found

    def _end(self, name: str) -> str:
        """The population that gives an output."""
        layer = self.graph.layers[name]
        if isinstance(layer, Input):
            raise ExportError(self.graph.label(name), "is an input without a layer behind it")
        if isinstance(layer, Neurons):
            return self.names[name]
        spikes = self._population(self.values[name].spikes_of)
        if spikes is not None and spikes.neuron is not None:
            return spikes.name
        self.names[name] = _unique(name, {p.name for p in self.populations})
        self.lags[self.names[name]] = 0
        self._neurons(name, Readout(), self.values[name], self.graph.label(name))
        return self.names[name]

    def _edges(self) -> list[tuple[str, str, int]]:
        return [(path.source, target, path.steps + self.lags[path.source]) for target, path in self.paths]

    def _least(self) -> int:
        """Least delay: 0 where every layer fires from the step before, which is a delay already."""
        layers = [layer for layer in self.graph.layers.values() if isinstance(layer, Neurons)]
        layers = [layer for layer in layers if isinstance(layer.neuron, LIF)]
        return 0 if layers and all(layer.lag for layer in layers) else 1


def _natural_shape(value: Value, neuron: LIF | Readout) -> Shape:
    """A flat layer behind a convolution has the convolution's shape, if its parameters allow it."""
    shapes = {p.synapse.output_shape(p.pooled) if isinstance(p.synapse, Conv2d) else p.shape for p in value.paths}
    arrays = [np.shape(getattr(neuron, name)) for name in neuron.__dataclass_fields__]
    uniform = all(shape in ((), (1, 1)) for shape in arrays)
    if uniform and len(shapes) == 1 and len(value.shape) == 1 and value.maximum is None:
        (shape,) = shapes
        return shape if neurons(shape) == neurons(value.shape) else value.shape
    return value.shape


def _unique(name: str, taken: set[str]) -> str:
    """A population's name: allowed characters, at most 64, not yet taken."""
    allowed = "".join(c if c.isascii() and (c.isalnum() or c in "_-.") else "_" for c in name)[:MAX_NAME] or "layer"
    unique, count = allowed, 2
    while unique in taken or unique in (".", ".."):
        unique = f"{allowed[: MAX_NAME - 6]}_{count}"
        count += 1
    taken.add(unique)
    return unique
