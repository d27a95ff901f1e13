"""A network as other tools draw it: layers that act on one step, and edges on which values are added up.

A value travels along an edge within the step, or ``steps`` later. Where several edges meet, values are added, so that
a skip connection is two edges, and a concatenation is a sum of branches that were each moved to their own place:

    y = W x            Weights (Dense, Conv2d, Sparse), in torch's layout
    y = sums of x      Pool; average pooling is a Pool and a Scale of 1 / area
    y = a x            Scale: a scalar, one value per channel (C,), or one per element
    y = x + b          Offset, in every step; likewise
    y[o] = x[k[o]]     Reindex: reshaping, cutting, padding and joining; k = -1 gives 0
    y = max of x       MaxPool: of spikes, or of the sums that enter one layer of neurons
    s = neurons(y)     Neurons: a spiking layer, or one that integrates and never fires

Everything between two layers of neurons, but for MaxPool, is affine. So it is exactly one synapse per path, plus a
constant (:func:`neurosam.graph.assemble`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from neurosam._util.arguments import integer, integers, reals
from neurosam.errors import ExportError, NetworkError
from neurosam.network.neuron import LIF, Readout
from neurosam.network.synapse import MaxPool2d, Shape, SumPool2d, Synapse

__all__ = [
    "Edge",
    "Graph",
    "Input",
    "Layer",
    "MaxPool",
    "Neurons",
    "Offset",
    "Pool",
    "Reindex",
    "Scale",
    "Weights",
    "layer_shapes",
]

Values: TypeAlias = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Input:
    """Where events enter.

    Parameters
    ----------
    shape : tuple of int
        ``(C, H, W)`` or ``(N,)``.
    magnitude : int
        Largest ``|value|`` of an event.
    unit : float
        Value in the graph that an event of value 1 stands for (1/255 for bytes).
    """

    shape: Shape
    magnitude: int = 1
    unit: float = 1.0


@dataclass(frozen=True, eq=False)
class Weights:
    """Float synapses: ``y = W x``."""

    synapse: Synapse


@dataclass(frozen=True, eq=False)
class Pool:
    """Sums over windows."""

    pool: SumPool2d


@dataclass(frozen=True, eq=False)
class Scale:
    """``y = factor * x``; `factor` is a scalar, ``(C,)``, or of the shape of x."""

    factor: Any

    def __post_init__(self) -> None:
        object.__setattr__(self, "factor", reals("Scale: factor", self.factor, ndim=(0, 1, 3)))


@dataclass(frozen=True, eq=False)
class Offset:
    """``y = x + value`` in every step; `value` is a scalar, ``(C,)``, or of the shape of x."""

    value: Any

    def __post_init__(self) -> None:
        object.__setattr__(self, "value", reals("Offset: value", self.value, ndim=(0, 1, 3)))


@dataclass(frozen=True, eq=False)
class Reindex:
    """``y[o] = x[index[o]]`` on flat elements; -1 gives 0. `index` has the shape of y, ``(C, H, W)`` or ``(N,)``.

    Examples
    --------
    A transposition of (1, 2, 3) to (1, 3, 2), and the second of two branches of four elements that are joined:

    >>> from neurosam.graph import Reindex
    >>> turned = Reindex(np.arange(6).reshape(1, 2, 3).transpose(0, 2, 1))
    >>> second = Reindex(np.concatenate([np.full(4, -1), np.arange(4)]))
    """

    index: npt.NDArray[np.int64]

    def __post_init__(self) -> None:
        index = integers("Reindex: index", self.index, low=-1, high=2**31 - 1, ndim=(1, 3))
        object.__setattr__(self, "index", index.astype(np.int64))


@dataclass(frozen=True, eq=False)
class MaxPool:
    """The largest of each window: of spikes (an OR), or of the sums that enter the neurons behind it."""

    pool: MaxPool2d


@dataclass(frozen=True, eq=False)
class Neurons:
    """A layer of neurons, in float.

    Parameters
    ----------
    neuron : LIF or Readout
        Its ``bias`` and ``offset`` are added to the constants that arrive on edges.
    lag : int
        Steps by which the layer's spikes are behind those of `neurons`: 1 for a layer that fires from the membrane of
        the step before.
    drive_first : bool
        Constants that arrive belong to the synaptic input (they pass the current and the gain), as a Linear's bias
        does; False adds them to the membrane.
    """

    neuron: LIF | Readout
    lag: int = 0
    drive_first: bool = True

    def __post_init__(self) -> None:
        integer("Neurons: lag", self.lag, 0, 2**16)


Layer: TypeAlias = Input | Weights | Pool | Scale | Offset | Reindex | MaxPool | Neurons


@dataclass(frozen=True)
class Edge:
    """From one layer to another, `steps` later (0: within the step)."""

    source: str
    target: str
    steps: int = 0


@dataclass(frozen=True, eq=False)
class Graph:
    """Layers by name, and edges between them.

    Parameters
    ----------
    layers : mapping of str to Layer
        Names of `Input` and `Neurons` become those of populations.
    edges : sequence of Edge
        Their order is that of projections.
    outputs : mapping of str to str, optional
        Answer of each output layer, as ``Network(outputs=...)`` takes it; the last layer of neurons if None.
    labels : mapping of str to str
        What a layer is called in messages; ``layer 'NAME'`` where it is missing.

    Raises
    ------
    NetworkError
        For an edge from or to a layer that does not exist.
    """

    layers: Mapping[str, Layer]
    edges: Sequence[Edge]
    outputs: Mapping[str, str] | None = None
    labels: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "layers", dict(self.layers))
        object.__setattr__(self, "edges", tuple(self.edges))
        for edge in self.edges:
            for name in (edge.source, edge.target):
                if name not in self.layers:
                    raise NetworkError("graph", f"has an edge {edge.source} -> {edge.target}; there is no {name!r}")

    def label(self, name: str) -> str:
        """What a layer is called in messages."""
        return self.labels.get(name, f"layer {name!r}")


def layer_shapes(graph: Graph) -> dict[str, Shape]:
    """The shape of what each layer gives; a layer that no input reaches is missing.

    Raises
    ------
    ExportError
        If a layer does not fit the shape that arrives; the message names it.
    """
    shapes: dict[str, Shape] = {}
    waiting = [name for name, layer in graph.layers.items() if isinstance(layer, Input)]
    for name in waiting:
        layer = graph.layers[name]
        shapes[name] = tuple(layer.shape) if isinstance(layer, Input) else ()
    following: dict[str, list[str]] = {}
    for edge in graph.edges:
        following.setdefault(edge.source, []).append(edge.target)
    while waiting:
        source = waiting.pop(0)
        for name in following.get(source, ()):
            if name not in shapes:
                shapes[name] = _output_shape(graph, name, shapes[source])
                waiting.append(name)
    return shapes


def _output_shape(graph: Graph, name: str, shape: Shape) -> Shape:
    layer = graph.layers[name]
    try:
        if isinstance(layer, Weights):
            return layer.synapse.output_shape(shape)
        if isinstance(layer, (Pool, MaxPool)):
            return layer.pool.output_shape(shape)
    except NetworkError as error:
        raise ExportError(graph.label(name), str(error)) from None
    return tuple(layer.index.shape) if isinstance(layer, Reindex) else shape
