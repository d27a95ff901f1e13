"""One call of a torch function, as the functions that record it see it (functions.py)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from neurosam.deploy.tracing.axes import Rows, Value
from neurosam.deploy.tracing.nodes import Node, Refused, Source, What, population_shape
from neurosam.deploy.tracing.recording import Recording, tensors_in
from neurosam.errors import ExportError
from neurosam.graph.layers import MaxPool, Offset, Pool, Scale, Weights
from neurosam.network.synapse import Conv2d, Dense, Sparse

__all__ = ["Call", "NotExpressible", "array", "compact", "per_channel"]

Array = npt.NDArray[np.float64]


class NotExpressible(Exception):
    """What a function computes is no layer of a network; the text says why, and what to do."""


class Call:
    """One call.

    Parameters
    ----------
    recording : Recording
    where : (str, str)
        Path and kind of the module that makes it.
    func, args, kwargs, result
        The function, its arguments and what it returned.
    """

    def __init__(
        self, recording: Recording, where: tuple[str, str], func: Any, args: Sequence[Any], kwargs: Any, result: Any
    ) -> None:
        self.recording, self.where = recording, where
        self.func, self.args, self.kwargs, self.result = func, args, kwargs, result

    @property
    def label(self) -> str:
        """What the caller is called in messages."""
        path, kind = self.where
        return f"layer {path!r} ({kind})" if path else f"module ({kind})"

    def traced(self, x: Any) -> bool:
        """Whether a value depends on the input."""
        return self.recording.value(x) is not None

    def trace(self, x: Tensor, lead: int | None = None) -> tuple[Rows, tuple[Source, ...], tuple[int, ...]]:
        """Rows, sources and shape of a value, as :meth:`Addresses.trace` has it."""
        rows, (sources,), shape = self.trace_all([x], lead)
        return rows, sources, shape

    def trace_any(self, x: Tensor) -> tuple[Rows, tuple[Source, ...], tuple[int, ...]]:
        """The same, of any value, also one that no other layer can take."""
        value = self.recording.value(x)
        if value is None:
            raise NotExpressible("is given a value that does not depend on the input")
        rows, (sources,), shape = self.recording.addresses.trace([value], self.label)
        return rows, sources, shape

    def trace_all(self, xs: Sequence[Tensor], lead: int | None = None) -> tuple[Rows, list[tuple[Source, ...]], Any]:
        """Of several values of one shape."""
        values = [value for x in xs if (value := self.recording.value(x)) is not None]
        traced = self.recording.addresses.trace(values, self.label, lead)
        for source in (source for sources in traced[1] for source in sources):
            if (problem := source.node.unusable) is not None:
                raise NotExpressible(problem)
        return traced

    def node(self, what: What, sources: tuple[Source, ...], shape: Any, key: Any = None, entering: Any = None) -> Node:
        """The node of that layer, with values of a shape; windows go over a picture of shape `entering`."""
        node = self.recording.node(what, sources, shape, self.where, _key(what) if key is None else key)
        node.entering = None if entering is None else tuple(int(side) for side in entering)
        return node

    def give(self, rows: Rows, node: Node, result: Tensor | None = None) -> None:
        """Say that the result is a node's value at these rows, leading axes in front."""
        out = self.result if result is None else result
        value = self.recording.addresses.new(node, rows)
        if tuple(out.shape) != value.shape:
            if out.numel() != int(np.prod(value.shape)):
                raise ExportError(self.label, f"returns {tuple(out.shape)}; {value.shape} was expected")
            value = Value(tuple(out.shape), moved=value.addresses.reshape(out.shape))
        self.recording.values[out] = value

    def give_moved(self, addresses: Tensor, result: Tensor) -> None:
        """Say where each element of a result comes from."""
        self.recording.values[result] = self.recording.addresses.moved(addresses)

    def scaled(self, sources: tuple[Source, ...], shape: Any, factor: Any) -> tuple[Source, ...]:
        """The sources multiplied by a factor; weights take in a factor per channel."""
        factor = compact(factor, shape)
        if np.all(factor == 1):
            return sources
        if (pool := _pooled(sources)) is not None and factor.ndim <= 1 and np.all(factor > 0):
            return self._through(pool, self.scaled(pool.sources, pool.entering, factor))
        if len(sources) == 1 and sources[0].plain and factor.ndim <= 1:
            weighted = _weighted(sources[0].node)
            if weighted is not None:
                weights, bias = weighted
                what, place = _times(weights.what, factor), (weights.path, weights.kind)
                node = self.recording.node(what, weights.sources, weights.shape, place, _key(what))
                node.entering = weights.entering
                return self.shifted((Source(node),), shape, factor * bias)
        return (Source(self.node(Scale(factor), sources, shape)),)

    def shifted(self, sources: tuple[Source, ...], shape: Any, value: Any) -> tuple[Source, ...]:
        """The sources plus a constant."""
        value = compact(value, shape)
        if np.all(value == 0):
            return sources
        if (pool := _pooled(sources)) is not None and value.ndim <= 1:
            return self._through(pool, self.shifted(pool.sources, pool.entering, value))
        node = sources[0].node
        if len(sources) == 1 and sources[0].plain and isinstance(node.what, Offset) and node.shape == tuple(shape):
            total = np.zeros(population_shape(tuple(shape))) + _full(node.what.value, shape) + _full(value, shape)
            value, sources = compact(total, shape), node.sources
        return (Source(self.node(Offset(value), sources, shape)),)

    def _through(self, pool: Node, sources: tuple[Source, ...]) -> tuple[Source, ...]:
        """The same pooling of other sources: a maximum commutes with constants and positive factors by channel."""
        node = self.recording.node(pool.what, sources, pool.shape, (pool.path, pool.kind), _key(pool.what))
        node.entering = pool.entering
        return (Source(node),)

    def one(self, sources: tuple[Source, ...], shape: Any) -> Node:
        """One node whose value the sources add up to."""
        if len(sources) == 1 and sources[0].plain and sources[0].node.shape == tuple(shape):
            return sources[0].node
        return self.node(Offset(0.0), sources, shape)

    def refuse(self, problem: str) -> None:
        """Say that the result is nothing that a network computes."""
        node = Node(Refused(problem), (), (), *self.where)
        self.block(node)

    def block(self, node: Node) -> None:
        """Pass a refusal on to all results."""
        for x in tensors_in(self.result):
            self.recording.values[x] = Value(tuple(x.shape), refused=node)


def array(value: Any) -> Array:
    """Float64 values of a tensor."""
    if isinstance(value, Tensor):
        value = value.detach().cpu().double().numpy()
    return np.asarray(value, dtype=np.float64)


def compact(value: Any, shape: Any) -> Array:
    """A constant of a layer as a scalar, one value per channel, or one per element of the population's shape."""
    full = np.asarray(value, dtype=np.float64)
    if full.ndim == 0:
        return full
    sides = population_shape(tuple(shape))
    if full.size == int(np.prod(sides)):
        full = full.reshape(sides)
    if np.all(full == full.flat[0]):
        return np.asarray(full.flat[0])
    if full.ndim == 3 and np.all(full == full[:, :1, :1]):
        return np.ascontiguousarray(full[:, 0, 0])
    return np.ascontiguousarray(full)


def per_channel(values: Array, shape: Any) -> Array:
    """One value per channel, in the shape of one step of one sample."""
    return np.broadcast_to(values.reshape(-1, *(1,) * (len(shape) - 1)), shape)


def _full(value: Any, shape: Any) -> Array:
    """A compact constant in a shape that broadcasts against the population's."""
    full = np.asarray(value, dtype=np.float64)
    return full.reshape(-1, 1, 1) if full.ndim == 1 and len(population_shape(tuple(shape))) == 3 else full


def _pooled(sources: tuple[Source, ...]) -> Node | None:
    """The maximum of sums that the sources are, if they are one."""
    node = sources[0].node if len(sources) == 1 and sources[0].plain else None
    return node if node is not None and isinstance(node.what, MaxPool) and not node.spiking else None


def _weighted(node: Node) -> tuple[Node, Any] | None:
    """The weights and the bias that make up a node's value."""
    bias: Any = 0.0
    if isinstance(node.what, Offset) and (before := node.sole()) is not None and before.shape == node.shape:
        bias, node = node.what.value, before
    if isinstance(node.what, Weights) and isinstance(node.what.synapse, (Conv2d, Dense)):
        return node, bias
    return None


def _times(weights: What, factor: Array) -> Weights:
    if not isinstance(weights, Weights) or isinstance(weights.synapse, Sparse):
        raise TypeError("weights with a row per channel are required")
    weight = weights.synapse.weight
    return Weights(replace(weights.synapse, weight=factor.reshape(-1, *(1,) * (weight.ndim - 1)) * weight))


def _key(what: What) -> Any:
    """What two layers of the same function have in common."""
    if isinstance(what, Weights):
        synapse = what.synapse
        geometry = (
            () if isinstance(synapse, Dense) else synapse.geometry if isinstance(synapse, Conv2d) else synapse.shape
        )
        extra = (synapse.groups,) if isinstance(synapse, Conv2d) else ()
        parts = (
            [synapse.weight] if not isinstance(synapse, Sparse) else [synapse.indptr, synapse.indices, synapse.weight]
        )
        return type(synapse).__name__, parts[-1].shape, geometry, extra, *(_digest(part) for part in parts)
    if isinstance(what, (Pool, MaxPool)):
        return type(what).__name__, what.pool.geometry
    if isinstance(what, Scale):
        return "scale", what.factor.shape, what.factor.tobytes()
    if isinstance(what, Offset):
        return "offset", what.value.shape, what.value.tobytes()
    return what


def _digest(values: npt.NDArray[Any]) -> bytes:
    return hashlib.blake2b(np.ascontiguousarray(values).tobytes(), digest_size=16).digest()
