"""One NIR node as layers of neurosam.graph, with its shapes checked.

Shapes of NIR have no batch: ``(N,)``, ``(C, L)`` of a Conv1d and ``(C, H, W)``. Elements keep their order, so that
Flatten moves nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from neurosam.formats.nir.drawing import Node
from neurosam.formats.nir.marker import MARK, PREFIX, exact_neuron, exact_sparse
from neurosam.formats.nir.parameters import Parameters, Values
from neurosam.formats.nir.pictures import Built, bias, convolution, limited, network_shape, pool
from neurosam.formats.nir.sources import KINDS, cell_of
from neurosam.graph.layers import Layer, Neurons, Offset, Reindex, Scale, Weights
from neurosam.network.elements import MAX_SIZE
from neurosam.network.neuron import LIF
from neurosam.network.parameters import folded
from neurosam.network.synapse import Dense, Shape
from neurosam.network.synapse import neurons as size

__all__ = ["Discretised", "delay_steps", "input_shape", "layers_of"]

PICTURES = frozenset({"AvgPool2d", "Conv1d", "Conv2d", "Flatten", "SumPool2d"})
OPTIONAL: Mapping[str, float] = {"v_reset": 0.0, "w_in": 1.0}


def input_shape(node: Node, followers: Iterable[Node]) -> Shape:
    """Shape of an Input, without the ones of a batch, which exporters leave in it.

    These are leading ones beyond three dimensions, and all ones in front of layers that take vectors.
    """
    shape = node.whole("shape", 1, MAX_SIZE)
    if not any(follower.kind in PICTURES for follower in followers) and len(_bare(shape)) == 1:
        shape = _bare(shape)
    while len(shape) > 3 and shape[0] == 1:
        shape = shape[1:]
    if not 1 <= len(shape) <= 3:
        raise node.error(f"has shape {shape}; (N,), (C, L) or (C, H, W) is required, without a batch")
    return limited(node, shape)


def delay_steps(node: Node, dt: float) -> npt.NDArray[np.int64]:
    """Delays of a Delay node in steps."""
    steps = np.asarray(node.numbers("delay"), dtype=np.float64) / dt
    whole = np.rint(steps)
    if (np.abs(steps - whole) > 1e-4).any() or (whole < 0).any() or (whole > 2**16).any():
        worst = float(steps.reshape(-1)[np.argmax(np.abs(steps - whole))])
        raise node.error(f"has a delay of {worst:g} steps of {dt:g} s; whole steps in 0..{2**16} are required. Give dt")
    return whole.astype(np.int64)


@dataclass(frozen=True)
class Discretised:
    """How neurons are stepped: a preset, the step (None where it is found in the nodes), and another reset, if any."""

    source: str
    dt: float | None
    reset: tuple[str, str] | None = None


def layers_of(node: Node, shape: Shape, neurons: Discretised) -> Built:
    """The shape that a node gives, and the layers that compute it.

    Parameters
    ----------
    node : Node
        Of any type but Input, Output, Delay and NIRGraph.
    shape : tuple of int
        Of what arrives, as NIR has it.
    neurons : Discretised

    Raises
    ------
    FormatError
        For shapes that do not fit.
    NetworkError
        For values outside the range of a network.
    """
    ours = neurons.source == MARK
    if node.kind in KINDS:
        return _neurons(node, shape, neurons)
    if ours and node.kind in ("Affine", "Linear", "Scale"):
        name = "scale" if node.kind == "Scale" else "weight"
        sparse = exact_sparse(node, node.numbers(name), shape if name == "scale" else node.numbers(name).shape[:1])
        if sparse is not None:
            return sparse.output_shape(shape), [Weights(sparse)]
    out, layers = BUILDERS[node.kind](node, shape)
    if ours and PREFIX + "bias" in node.metadata:
        layers = [layer for layer in layers if not isinstance(layer, Offset)]
    return out, layers


def _linear(node: Node, shape: Shape) -> Built:
    weight = node.numbers("weight")
    if weight.ndim != 2 or 0 in weight.shape:
        raise node.error(f"has a weight of shape {weight.shape}; (out, in) is required")
    if weight.shape[1] != size(shape):
        raise node.error(f"takes {weight.shape[1]} inputs; {size(shape)} arrive {shape}")
    built: list[Layer] = [Weights(Dense(weight.astype(np.float64)))]
    return (weight.shape[0],), built + bias(node, weight.shape[0])


def _scale(node: Node, shape: Shape) -> Built:
    scale = _fitting(node, "scale", shape)
    return shape, [Scale(_spread(scale))]


def _threshold(node: Node, shape: Shape) -> Built:
    threshold = _spread(_fitting(node, "threshold", shape))
    return shape, [Neurons(LIF(leak=0.0, threshold=threshold, reset="zero"))]


def _flatten(node: Node, shape: Shape) -> Built:
    first, last = (node.whole(name, -len(shape), len(shape) - 1)[0] % len(shape) for name in ("start_dim", "end_dim"))
    if first > last:
        raise node.error(f"flattens dimensions {first} to {last} of {shape}")
    out = (*shape[:first], size(shape[first : last + 1]), *shape[last + 1 :])
    return out, _reshaped(shape, out)


def _reshaped(shape: Shape, out: Shape) -> list[Layer]:
    if network_shape(out) == network_shape(shape):
        return []
    return [Reindex(np.arange(size(shape)).reshape(network_shape(out)))]


def _through(node: Node, shape: Shape) -> Built:
    return shape, []


BUILDERS: Mapping[str, Callable[[Node, Shape], Built]] = {
    "Affine": _linear,
    "AvgPool2d": pool,
    "Conv1d": lambda node, shape: convolution(node, shape, 1),
    "Conv2d": lambda node, shape: convolution(node, shape, 2),
    "Flatten": _flatten,
    "Linear": _linear,
    "Scale": _scale,
    "SumPool2d": pool,
    "Threshold": _threshold,
    "Through": _through,
}


def _neurons(node: Node, shape: Shape, neurons: Discretised) -> Built:
    """Neurons by the rule of the source; a gain by channel is theirs, one by neuron is a Scale in front."""
    if neurons.source == MARK and neurons.dt is not None:
        return shape, [Neurons(exact_neuron(node, network_shape(shape), neurons.dt))]
    found = {name: _parameter(node, name, shape) for name in KINDS[node.kind][1:]}
    p = Parameters(node, found, 1.0 if neurons.dt is None else neurons.dt)
    cell = cell_of(neurons.source, p, neurons.dt, neurons.reset)
    gain = folded(np.asarray(cell.gain, dtype=np.float64))
    if gain.ndim == 0 and gain == 1.0:
        return shape, [Neurons(cell.neuron)]
    if isinstance(cell.neuron, LIF) and gain.ndim < 2:
        row = gain.reshape(1, -1)
        return shape, [Neurons(replace(cell.neuron, gain=row, offset=np.zeros_like(row)))]
    return shape, [Scale(gain), Neurons(cell.neuron)]


def _parameter(node: Node, name: str, shape: Shape) -> Values:
    """A field of neurons, or what NIR takes where it is absent."""
    if name in OPTIONAL and name not in node.fields:
        return np.full(1, OPTIONAL[name], dtype=np.float32)
    return _fitting(node, name, shape)


def _fitting(node: Node, name: str, shape: Shape) -> Values:
    """A field of one value, ``(1,)``, or of one per element, in the shape that a population has."""
    array = node.numbers(name)
    if array.size and (array == array.reshape(-1)[0]).all():
        if array.size != 1 and _bare(array.shape) != _bare(shape):
            raise node.error(f"has {name} of shape {array.shape}; {shape} arrives")
        return array.reshape(-1)[:1]
    if _bare(array.shape) != _bare(shape):
        raise node.error(f"has {name} of shape {array.shape}; {shape} arrives")
    return array.reshape(network_shape(shape))


def _bare(shape: Shape) -> Shape:
    """A shape without its ones."""
    return tuple(side for side in shape if side != 1)


def _spread(values: Values) -> Values:
    """One value as a scalar, others as they are, in float64."""
    return np.asarray(values.reshape(()) if values.size == 1 else values, dtype=np.float64)
