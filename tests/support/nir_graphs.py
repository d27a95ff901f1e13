"""Random NIR graphs, and what they compute by NIR's own equations, node by node and step by step, with dt = 1.

Weights are eighths and time constants powers of two, so that every sum is exact in any order.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

__all__ = ["computed", "eighths", "random_nir"]

Shape = tuple[int, ...]


def eighths(rng: np.random.Generator, *shape: int) -> Any:
    """Weights."""
    return rng.integers(-8, 9, shape) / 8


def random_nir(nir: Any, rng: np.random.Generator) -> Any:
    """Two to four layers of neurons behind up to three other nodes each, with fan-in, loops, and a subgraph."""
    return _Draw(nir, rng).graph()


class _Draw:
    """One graph in the making; `shapes` are those of what nodes give."""

    def __init__(self, nir: Any, rng: np.random.Generator) -> None:
        self.nir, self.rng = nir, rng
        self.nodes: dict[str, Any] = {}
        self.edges: list[tuple[str, str]] = []
        self.shapes: dict[str, Shape] = {}

    def graph(self) -> Any:
        shape: Shape = [(6,), (2, 7), (2, 5, 4)][int(self.rng.integers(3))]
        self._put("in", self.nir.Input(np.array(shape)), shape)
        end = "in"
        for number in range(int(self.rng.integers(2, 5))):
            before = end
            if self.rng.random() < 0.3:  # before any bias, which a delay would hold back
                delay = self.rng.integers(0, 3, self.shapes[end]).astype(float)
                end = self._behind(end, (self.nir.Delay(delay), self.shapes[end]))
            for _ in range(int(self.rng.integers(0, 4))):
                end = self._behind(end, self._affine(self.shapes[end]))
            if self.shapes[end] == self.shapes[before] and end != before and self.rng.random() < 0.5:
                end = self._behind(end, (self.nir.Scale(np.ones(self.shapes[end])), self.shapes[end]))
                self.edges.append((before, end))  # a shortcut around the layers between
            name = f"lif{number}"
            if self.rng.random() < 0.3:
                self._subgraph(name, end)
            else:
                self._put(name, self._neuron(self.shapes[end]), self.shapes[end])
                self.edges.append((end, name))
                if len(self.shapes[name]) == 1 and self.rng.random() < 0.5:
                    self._loop(name)
            end = name
        self._put("out", self.nir.Output(np.array(self.shapes[end])), self.shapes[end])
        self.edges.append((end, "out"))
        return self.nir.NIRGraph(self.nodes, self.edges, type_check=False)

    def _put(self, name: str, node: Any, shape: Shape) -> None:
        self.nodes[name], self.shapes[name] = node, shape

    def _behind(self, source: str, made: tuple[Any, Shape]) -> str:
        name = f"n{len(self.nodes)}"
        self._put(name, *made)
        self.edges.append((source, name))
        return name

    def _subgraph(self, name: str, source: str) -> None:
        shape = self.shapes[source]
        nodes = {
            "input": self.nir.Input(np.array(shape)),
            "lif": self._neuron(shape),
            "output": self.nir.Output(np.array(shape)),
        }
        edges = [("input", "lif"), ("lif", "output")]
        if len(shape) == 1:
            nodes["w_rec"] = self.nir.Affine(eighths(self.rng, *shape, *shape), eighths(self.rng, *shape))
            edges += [("lif", "w_rec"), ("w_rec", "lif")]
        self._put(name, self.nir.NIRGraph(nodes, edges, type_check=False), shape)
        self.edges.append((source, name))

    def _loop(self, name: str) -> None:
        (count,) = self.shapes[name]
        weight = self._behind(name, (self.nir.Linear(eighths(self.rng, count, count)), (count,)))
        if self.rng.random() < 0.5:
            delay = self.rng.integers(1, 4, count) if self.rng.random() < 0.5 else np.full(count, 2)
            weight = self._behind(weight, (self.nir.Delay(delay.astype(float)), (count,)))
        self.edges.append((weight, name))

    def _neuron(self, shape: Shape) -> Any:
        rng, tau = self.rng, 2.0 ** self.rng.integers(0, 4, shape)
        threshold, rest = rng.integers(2, 9, shape) / 8, rng.integers(-1, 2, shape) / 8
        reset = np.full(shape, rng.integers(-1, 1) / 8)
        kind = int(rng.integers(4))
        if kind == 0:
            return self.nir.IF(r=np.ones(shape), v_threshold=threshold, v_reset=reset)
        if kind == 1:
            return self.nir.CubaLIF(tau, tau[::-1].copy(), tau[::-1].copy(), rest, threshold, reset, tau)
        if kind == 2:
            return self.nir.Threshold(threshold)
        return self.nir.LIF(tau, rng.integers(1, 3) * tau, rest, threshold, reset)

    def _affine(self, shape: Shape) -> tuple[Any, Shape]:
        nir, rng = self.nir, self.rng
        if rng.random() < 0.2:
            return nir.Scale(eighths(rng, *shape)), shape
        if len(shape) == 1:
            count = int(rng.integers(2, 7))
            weight = eighths(rng, count, *shape)
            return (nir.Linear(weight) if rng.random() < 0.3 else nir.Affine(weight, eighths(rng, count))), (count,)
        if rng.random() < 0.25:
            start = int(rng.integers(len(shape) - 1))
            flat = int(np.prod(shape[start:]))
            return nir.Flatten({"input": np.array(shape)}, start, -1), (*shape[:start], flat)
        if len(shape) == 3 and rng.random() < 0.3:
            pool = nir.SumPool2d if rng.random() < 0.5 else nir.AvgPool2d
            if min(shape[1:]) >= 2:
                out = (shape[0], (shape[1] - 2) // 2 + 1, shape[2] - 2 + 1)
                return pool(np.array([2, 2]), np.array([2, 1]), np.array([0, 0])), out
        return self._convolution(shape)

    def _convolution(self, shape: Shape) -> tuple[Any, Shape]:
        nir, rng, sides = self.nir, self.rng, shape[1:]
        groups = 2 if shape[0] % 2 == 0 and rng.random() < 0.5 else 1
        out = groups * int(rng.integers(1, 3))
        kernel = tuple(int(rng.integers(1, min(side, 4) + 1)) for side in sides)
        weight = eighths(rng, out, shape[0] // groups, *kernel)
        choice, dilation = int(rng.integers(3)), 1
        padding: Any = "same"
        stride, result = [1] * len(sides), sides
        if choice:
            stride = [int(rng.integers(1, 3)) for _ in sides]
            amount = [int(rng.integers(0, 2)) * (choice - 1) for _ in sides]
            padding = "valid" if choice == 1 else np.array(amount)
            if all(side >= 2 * (k - 1) + 1 for side, k in zip(sides, kernel, strict=True)):
                dilation = int(rng.integers(1, 3))
            result = tuple(
                (n + 2 * p - dilation * (k - 1) - 1) // s + 1
                for n, p, k, s in zip(sides, amount, kernel, stride, strict=True)
            )
        kind = nir.Conv1d if len(sides) == 1 else nir.Conv2d
        if len(sides) == 1:
            padding = padding if isinstance(padding, str) else int(padding[0])
            node = kind(None, weight, stride[0], padding, dilation, groups, eighths(rng, out))
        else:
            node = kind(None, weight, np.array(stride), padding, np.array([dilation] * 2), groups, eighths(rng, out))
        return node, (out, *result)


def computed(graph: Any, x: Any) -> dict[str, Any]:
    """Spikes [T, B, ...] of every node of neurons, from an input [T, B, ...]; subgraphs as ``outer.inner``."""
    run = _Run(graph)
    out: dict[str, list[Any]] = {}
    for step in x:
        for name, value in run.step(step):
            out.setdefault(name, []).append(value)
    return {name: np.stack(values) for name, values in out.items()}


class _Run:
    """One graph; a node that follows itself sees what it was fed with a step ago."""

    def __init__(self, graph: Any) -> None:
        self.graph = graph
        self.values: list[dict[str, Any]] = []
        self.state: dict[str, Any] = {}
        self.inner = {name: _Run(node) for name, node in graph.nodes.items() if type(node).__name__ == "NIRGraph"}

    def step(self, x: Any) -> Iterator[tuple[str, Any]]:
        """One step; yields the spikes of neurons."""
        now: dict[str, Any] = {}
        self.batch = len(x)
        self.values.append(now)
        order = sorted(self.graph.nodes, key=lambda name: name == "output")  # a subgraph names it before w_rec
        for name, node in self.graph.nodes.items():
            if type(node).__name__ == "Delay" and node.delay.min() >= 1:  # of what came before, so it closes no loop
                now[name] = self._delayed(name, node.delay.astype(int), 1)
        for name in order:
            node, kind = self.graph.nodes[name], type(self.graph.nodes[name]).__name__
            arriving = [x] if kind == "Input" else []
            for source, target in self.graph.edges:
                if target == name:
                    arriving.append(now[source] if source in now else self._before(source))
            drive = sum(arriving[1:], arriving[0]) if arriving else 0
            if kind == "Delay":
                self.state.setdefault(name, []).append(drive)
                if name not in now:
                    now[name] = self._delayed(name, node.delay.astype(int), 0)
                continue
            if name in self.inner:
                for inner, value in self.inner[name].step(drive):
                    yield f"{name}.{inner}", value
                now[name] = self.inner[name].values[-1]["output"]
                continue
            now[name] = self._node(name, node, kind, drive)
            if kind in ("LIF", "CubaLIF", "IF", "Threshold"):
                yield name, now[name]

    def _before(self, source: str) -> Any:
        """What a later node gave a step ago; a layer with a bias gives it from the first step on."""
        if len(self.values) > 1:
            return self.values[-2][source]
        node = self.graph.nodes[source]
        return getattr(node, "bias", 0.0)

    def _node(self, name: str, node: Any, kind: str, x: Any) -> Any:
        if kind in ("Input", "Output"):
            return x
        if kind in ("Affine", "Linear"):
            return x.reshape(x.shape[0], -1) @ node.weight.T + getattr(node, "bias", 0.0)
        if kind == "Scale":
            return x * node.scale
        if kind == "Flatten":
            return x.reshape(x.shape[0], *x.shape[1 : 1 + node.start_dim], -1)
        if kind in ("SumPool2d", "AvgPool2d"):
            mean = F.avg_pool2d(torch.from_numpy(x), tuple(node.kernel_size), tuple(node.stride)).numpy()
            return mean * np.prod(node.kernel_size) if kind == "SumPool2d" else mean
        if kind in ("Conv1d", "Conv2d"):
            conv: Any = F.conv1d if kind == "Conv1d" else F.conv2d
            sizes = (node.stride, node.padding, node.dilation)
            plain = [v if isinstance(v, (str, int)) else tuple(int(i) for i in v) for v in sizes]
            return conv(
                torch.from_numpy(x), torch.from_numpy(node.weight), torch.from_numpy(node.bias), *plain, node.groups
            ).numpy()
        return self._neuron(name, node, kind, x)

    def _delayed(self, name: str, steps: Any, missing: int) -> Any:
        """What a Delay gives, the input of this step being there or `missing`."""
        past = self.state.get(name, [])
        out = np.zeros((self.batch, *steps.shape))
        for d in np.unique(steps):
            if len(past) + missing > d:
                out[:, steps == d] = past[len(past) + missing - 1 - d][:, steps == d]
        return out

    def _neuron(self, name: str, node: Any, kind: str, x: Any) -> Any:
        """NIR's equations by Euler's rule."""
        if kind == "Threshold":
            return (x > node.threshold).astype(float)
        i, v = self.state.get(name, (np.zeros_like(x), np.zeros_like(x)))
        if kind == "IF":
            v = v + node.r * x
        elif kind == "LIF":
            v = v + ((node.v_leak - v) + node.r * x) / node.tau
        else:
            i = i + (node.w_in * x - i) / node.tau_syn
            v = v + ((node.v_leak - v) + node.r * i) / node.tau_mem
        spikes = v > node.v_threshold
        self.state[name] = (i, np.where(spikes, node.v_reset, v))
        return spikes.astype(float)
