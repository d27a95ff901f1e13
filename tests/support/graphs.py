"""Graphs of layers: drawn at random, and computed step by step with torch, layer by layer and without delays.

Weights are eighths and factors powers of two, so that every sum is exact in any order.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

import neurosam as ns
from neurosam.graph import Edge, Graph, Input, Neurons, Offset, Pool, Reindex, Scale, Weights
from neurosam.graph.layers import Layer, MaxPool, layer_shapes

__all__ = ["computed", "eighths", "lif", "random_graph"]


def eighths(rng: np.random.Generator, *shape: int) -> Any:
    return rng.integers(-8, 9, shape) / 8


def lif(**options: Any) -> Neurons:
    return Neurons(ns.LIF(**{"leak": 0.5, "threshold": 0.75, **options}))


def random_graph(rng: np.random.Generator) -> Graph:
    """Two to five layers of neurons; each receives from up to three earlier ones, some from later ones a step on."""
    layers: dict[str, Layer] = {"in": Input((2, 5, 4) if rng.random() < 0.7 else (6,))}
    edges: list[Edge] = []
    firing = ["in"]
    for number in range(int(rng.integers(2, 6))):
        name = f"n{number}"
        sources = rng.choice(len(firing), size=min(len(firing), int(rng.integers(1, 4))), replace=False)
        ends = [_chain(rng, layers, edges, firing[i], f"{name}.{k}") for k, i in enumerate(sorted(sources))]
        shapes = [layer_shapes(Graph(layers, edges))[end] for end in ends]
        for end, shape in zip(ends, shapes, strict=True):
            edges.append(Edge(_to_shape(rng, layers, edges, end, shape, shapes[0]), name))
        reset = "zero" if rng.random() < 0.5 else "subtract"
        layers[name] = lif(reset=reset, leak=float(rng.choice([0.0, 0.5, 1.0])), bias=float(rng.integers(-1, 2)) / 8)
        firing.append(name)
    shapes_now = layer_shapes(Graph(layers, edges))
    for number in range(int(rng.integers(0, 3))):
        late, early = rng.choice(firing[1:]), rng.choice(firing[1:])
        layers[f"back{number}"] = Weights(ns.Dense(eighths(rng, *(int(np.prod(shapes_now[n])) for n in (early, late)))))
        edges += [Edge(late, f"back{number}", int(rng.integers(1, 4)))]
        flat = (int(np.prod(shapes_now[early])),)
        end = _to_shape(rng, layers, edges, f"back{number}", flat, shapes_now[early])
        edges.append(Edge(end, early))
    return Graph(layers, edges)


def _chain(rng: np.random.Generator, layers: dict[str, Layer], edges: list[Edge], source: str, prefix: str) -> str:
    """Up to three affine layers behind a source; the name of the last."""
    for number in range(int(rng.integers(1, 4))):
        shape = layer_shapes(Graph(layers, edges))[source]
        name = f"{prefix}.{number}"
        layers[name] = _affine(rng, shape)
        edges.append(Edge(source, name))
        source = name
    return source


def _affine(rng: np.random.Generator, shape: Any) -> Layer:
    count = int(np.prod(shape))
    kinds = ["dense", "scale", "offset", "reindex"]
    if len(shape) == 3:
        kinds += ["conv", "conv", "conv", "scale by channel", "permute channels"]
        kinds += ["pool"] if min(shape[1:]) >= 2 else []
    kind = rng.choice(kinds)
    if kind == "dense":
        return Weights(ns.Dense(eighths(rng, int(rng.integers(1, 9)), count)))
    if kind == "conv":
        kernel = tuple(int(rng.integers(1, min(3, side) + 1)) for side in shape[1:])
        groups = shape[0] if rng.random() < 0.3 else 1
        weight = eighths(rng, groups * int(rng.integers(1, 4)), shape[0] // groups, *kernel)
        return Weights(ns.Conv2d(weight, int(rng.integers(1, 3)), int(rng.integers(0, 2)), 1, groups))
    if kind == "pool":
        return Pool(ns.SumPool2d(2, int(rng.integers(1, 3)), int(rng.integers(0, 2))))
    if kind == "scale by channel":
        return Scale(2.0 ** rng.integers(-1, 2, shape[0]))
    if kind == "permute channels":
        order = rng.permutation(shape[0])
        return Reindex(np.arange(count).reshape(shape)[order])
    if kind == "scale":
        return Scale(2.0 ** rng.integers(-1, 2, shape if rng.random() < 0.5 else ()))
    if kind == "offset":
        return Offset(eighths(rng, *(shape if rng.random() < 0.5 else (shape[0],))))
    index = rng.integers(-1, count, int(rng.integers(1, count + 3)))
    return Reindex(index)


def _to_shape(
    rng: np.random.Generator, layers: dict[str, Layer], edges: list[Edge], end: str, shape: Any, target: Any
) -> str:
    """Bring values to a shape: by selecting elements."""
    if shape == target:
        return end
    name = f"{end}.fit"
    layers[name] = Reindex(rng.integers(-1, int(np.prod(shape)), target))
    edges.append(Edge(end, name))
    return name


def computed(graph: Graph, x: Any) -> dict[str, Any]:
    """The spikes (or membranes) of every layer of neurons, ``[T, B, ...]``, for an input ``[T, B, ...]``."""
    steps, samples = x.shape[:2]
    shapes = layer_shapes(graph)
    before: list[dict[str, Any]] = []
    state = {n: torch.zeros(samples, *shapes[n], dtype=torch.float64) for n in graph.layers}
    out: dict[str, list[Any]] = {n: [] for n, layer in graph.layers.items() if isinstance(layer, Neurons)}
    for t in range(steps):
        now: dict[str, Any] = {}
        waiting = list(graph.layers)
        while waiting:
            name = waiting.pop(0)
            layer, edges = graph.layers[name], [e for e in graph.edges if e.target == name]
            if any(e.steps == 0 and e.source not in now for e in edges):
                waiting.append(name)
                continue
            parts = [
                now[e.source] if e.steps == 0
                else before[t - e.steps][e.source] if t >= e.steps
                else torch.zeros(samples, *shapes[e.source], dtype=torch.float64)
                for e in edges
            ]  # fmt: skip
            if isinstance(layer, Input):
                now[name] = torch.tensor(x[t], dtype=torch.float64) * layer.unit
            elif isinstance(layer, Neurons):
                now[name] = _integrated(layer.neuron, sum(parts), state, name)
                out[name].append(now[name].numpy())
            else:
                now[name] = _applied(layer, sum(parts))
        before.append(now)
    return {name: np.stack(values) for name, values in out.items()}


def _integrated(neuron: Any, drive: Any, state: dict[str, Any], name: str) -> Any:
    if isinstance(neuron, ns.Readout):
        state[name] = state[name] + drive
        return state[name]
    v = float(neuron.leak) * state[name] + drive + float(neuron.bias)
    spikes = (v > float(neuron.threshold)).double()
    state[name] = v - spikes * float(neuron.threshold) if neuron.reset == "subtract" else v * (1 - spikes)
    return spikes


def _applied(layer: Layer, x: Any) -> Any:
    def spread(value: Any) -> Any:
        value = torch.tensor(value)
        return value[:, None, None] if value.ndim == 1 and x.ndim == 4 else value

    if isinstance(layer, Weights):
        w = torch.tensor(layer.synapse.to_dense() if isinstance(layer.synapse, ns.Sparse) else layer.synapse.weight)
        if isinstance(layer.synapse, ns.Conv2d):
            stride, padding, dilation = layer.synapse.geometry
            return F.conv2d(x, w, None, stride, padding, dilation, layer.synapse.groups)
        return F.linear(x.flatten(1), w).reshape(len(x), *layer.synapse.output_shape(tuple(x.shape[1:])))
    if isinstance(layer, Pool):
        kernel, stride, padding = layer.pool.geometry
        return F.avg_pool2d(x, kernel, stride, padding, divisor_override=1)
    if isinstance(layer, MaxPool):
        kernel, stride, padding = layer.pool.geometry
        return F.max_pool2d(x, kernel, stride, padding)
    if isinstance(layer, Scale):
        return x * spread(layer.factor)
    if isinstance(layer, Offset):
        return x + spread(layer.value)
    assert isinstance(layer, Reindex)
    flat = torch.cat([x.flatten(1), torch.zeros(len(x), 1, dtype=torch.float64)], 1)
    return flat[:, torch.tensor(layer.index)]
