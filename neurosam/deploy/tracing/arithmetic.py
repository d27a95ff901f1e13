"""Sums, products, means and maxima of values and constants, as layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from torch import Tensor

from neurosam.deploy.tracing.axes import STATIC, Rows, Value
from neurosam.deploy.tracing.calls import Array, Call, NotExpressible, array
from neurosam.deploy.tracing.nodes import OverTime, Source
from neurosam.deploy.tracing.pooling import average
from neurosam.deploy.tracing.probing import probe
from neurosam.deploy.tracing.recording import tensors_in
from neurosam.graph.layers import Neurons, Offset, Scale
from neurosam.network.neuron import LIF

__all__ = ["FUNCTIONS"]


def add(call: Call, input: Any, other: Any, alpha: Any = 1, *, out: Any = None) -> None:
    """A sum of two values, or of a value and a constant."""
    _combine(call, input, other, 1.0, float(alpha))


def subtract(call: Call, input: Any, other: Any, alpha: Any = 1, *, out: Any = None) -> None:
    """A difference."""
    _combine(call, input, other, 1.0, -float(alpha))


def subtract_from(call: Call, input: Any, other: Any, alpha: Any = 1) -> None:
    """A difference the other way round."""
    _combine(call, other, input, 1.0, -float(alpha))


def multiply(call: Call, input: Any, other: Any, *, out: Any = None) -> None:
    """A value times a constant; of spikes, a layer of AND neurons."""
    if call.traced(input) and call.traced(other):
        _both(call, input, other)
        return
    value, factor = (input, other) if call.traced(input) else (other, input)
    _scale(call, value, factor)


def _both(call: Call, first: Tensor, second: Tensor) -> None:
    """Spikes of a and of b (1 + 1 > 1.5), or of a and not of b (1 - 1 < 0.5), as SEW's AND and IAND need them."""
    rows, place, (a, b), features = _pair(call, first, second)
    if (absent := _absent(a)) is not None:
        _neurons(call, rows, place, features, 0.5, "and_not", b, absent)
    elif (absent := _absent(b)) is not None:
        _neurons(call, rows, place, features, 0.5, "and_not", a, absent)
    else:
        _neurons(call, rows, place, features, 1.5, "and", (*a, *b))


def larger(call: Call, input: Tensor, other: Tensor) -> None:
    """Of spikes, a layer of OR neurons."""
    if not (call.traced(input) and call.traced(other)):
        raise NotExpressible("takes the larger of a value and a constant, which no synapse can; leave it out")
    rows, place, (a, b), features = _pair(call, input, other)
    _neurons(call, rows, place, features, 0.5, "or", (*a, *b))


def _pair(call: Call, first: Tensor, second: Tensor) -> tuple[Rows, Tensor, list[tuple[Source, ...]], Any]:
    shape = tuple(call.result.shape)
    spread = [_spread(call, x, shape) for x in (first, second)]
    rows, sources, features = call.trace_all(spread)
    return rows, spread[0], sources, features


def _neurons(
    call: Call, rows: Rows, place: Tensor, shape: Any, threshold: float, name: str, spikes: tuple[Source, ...],
    inhibiting: tuple[Source, ...] = (),
) -> None:  # fmt: skip
    """A layer without memory, which fires if the spikes less those that inhibit are more than the threshold."""
    if any(source.node.largest != 1 for source in (*spikes, *inhibiting)):
        raise NotExpressible(
            "multiplies or compares values of the network; only single spikes can be combined so (AND, OR): add them instead"
        )
    sources = (*spikes, *(call.scaled(inhibiting, shape, -1.0) if inhibiting else ()))
    neurons = Neurons(LIF(0.0, threshold, reset="zero"))
    call.where = (call.where[0], f"{call.where[1].partition(':')[0]}: {name}")
    _give(call, place, rows, call.node(neurons, sources, shape, key=(name, threshold)))


def _absent(sources: tuple[Source, ...]) -> tuple[Source, ...] | None:
    """What s is, if the value is 1 - s."""
    node = sources[0].node if len(sources) == 1 and sources[0].plain else None
    if node is not None and isinstance(node.what, Offset) and np.all(node.what.value == 1):
        before = node.sole()
        if before is not None and isinstance(before.what, Scale) and np.all(before.what.factor == -1):
            return before.sources
    return None


def divide(call: Call, input: Any, other: Any, *, rounding_mode: Any = None, out: Any = None) -> None:
    """A value by a constant."""
    if call.traced(other) or rounding_mode is not None:
        raise NotExpressible("divides by a value of the network, or rounds; a network cannot")
    _scale(call, input, 1.0 / other)


def negative(call: Call, input: Tensor) -> None:
    """Minus a value."""
    _scale(call, input, -1.0)


def total(
    call: Call, input: Tensor, dim: Any = None, keepdim: bool = False, *, dtype: Any = None, axis: Any = None
) -> None:
    """A sum over axes."""
    _reduce(call, input, dim if axis is None else axis, "sum")


def mean(
    call: Call, input: Tensor, dim: Any = None, keepdim: bool = False, *, dtype: Any = None, axis: Any = None
) -> None:
    """A mean over axes."""
    _reduce(call, input, dim if axis is None else axis, "mean")


def maximum(call: Call, input: Tensor, dim: Any = None, keepdim: bool = False) -> None:
    """A maximum over steps; of two values, their larger."""
    if isinstance(dim, Tensor):
        larger(call, input, dim)
        return
    call.result = next(tensors_in(call.result))
    _reduce(call, input, dim, "max")


def _scale(call: Call, x: Tensor, factor: Any) -> None:
    rows, sources, shape = call.trace_any(x)
    over_time = len(sources) == 1 and isinstance(sources[0].node.what, OverTime)
    if over_time and sources[0].index is None and np.ndim(array(factor)) == 0 and float(factor) > 0:
        call.recording.values[call.result] = call.recording.value(x)  # a positive factor changes no decision
        return
    rows, sources, shape = call.trace(x)
    if tuple(call.result.shape) != tuple(x.shape):
        raise NotExpressible(f"multiplies {tuple(x.shape)} by a larger constant {tuple(array(factor).shape)}")
    factor = _constant(call, factor, x, rows)
    _give(call, x, rows, call.one(call.scaled(sources, shape, factor), shape))


def _combine(call: Call, first: Any, second: Any, a: float, b: float) -> None:
    parts = [(x, factor) for x, factor in ((first, a), (second, b)) if call.traced(x)]
    constants = [(x, factor) for x, factor in ((first, a), (second, b)) if not call.traced(x)]
    shape = tuple(call.result.shape)
    if constants and not np.any(array(constants[0][0])) and parts[0][1] == 1.0 and tuple(parts[0][0].shape) == shape:
        call.recording.values[call.result] = call.recording.value(parts[0][0])
        return
    spread = [_spread(call, x, shape) for x, _ in parts]
    rows, all_sources, features = call.trace_all(spread)
    sources: tuple[Source, ...] = ()
    for (_, factor), each in zip(parts, all_sources, strict=True):
        sources += call.scaled(each, features, factor)
    for x, factor in constants:
        sources = call.shifted(sources, features, factor * _constant(call, x, spread[0], rows))
    _give(call, spread[0], rows, call.one(sources, features))


def _spread(call: Call, x: Tensor, shape: tuple[int, ...]) -> Tensor:
    """A value in the shape of the result."""
    if tuple(x.shape) == shape:
        return x
    value = call.recording.value(x)
    out = x.detach().expand(shape)
    if value is not None:
        call.recording.values[out] = call.recording.addresses.moved(value.addresses.expand(shape))
    return out


def _constant(call: Call, constant: Any, x: Tensor, rows: Rows) -> Array:
    """A constant as one step of one sample sees it."""
    values = array(constant)
    if values.ndim == 0:
        return values
    axes = _lead_axes(call, x, rows)
    full = np.moveaxis(np.broadcast_to(values, tuple(x.shape)), axes, range(len(axes)))
    full = full.reshape(rows.steps.size, *full.shape[len(axes) :])
    if (full != full[:1]).any():
        raise NotExpressible(
            "combines a value with constants that differ from step to step or from sample to sample, or do not come "
            "from the network's input at all"
        )
    return np.asarray(full[0])


def _lead_axes(call: Call, x: Tensor, rows: Rows) -> list[int]:
    """Axes of a tensor that are steps and samples; found by what a value of these rows and this shape has."""
    value = call.recording.value(x)
    return list(range(len(rows.lead))) if value is None else call.recording.addresses.leading(value)


def _give(call: Call, x: Tensor, rows: Rows, node: Any) -> None:
    """The result as a node's value, with leading axes where those of `x` are."""
    axes = _lead_axes(call, x, rows)
    if axes == list(range(len(axes))):
        call.give(rows, node)
        return
    value = call.recording.addresses.new(node, rows)
    call.recording.values[call.result] = Value(
        tuple(call.result.shape), moved=value.addresses.movedim(tuple(range(len(axes))), tuple(axes))
    )


def _reduce(call: Call, x: Tensor, dim: Any, how: str) -> None:
    rows, sources, shape = call.trace_any(x)
    axes = _lead_axes(call, x, rows)
    wanted = range(x.ndim) if dim is None else (dim,) if isinstance(dim, int) else tuple(dim)
    over = sorted(axis % x.ndim for axis in wanted)
    leading = [axis for axis in over if axis in axes]
    if not leading:
        _over_features(call, x, over, how)
    elif leading == over:
        _over_time(call, rows, sources, shape, axes, over, how)
    else:
        raise NotExpressible(f"takes the {how} over steps and neurons at once; do it one after the other")


def _over_features(call: Call, x: Tensor, over: list[int], how: str) -> None:
    if how == "max":
        raise NotExpressible("takes the maximum over neurons, which no layer does; use max pooling of pictures")
    rows, sources, shape = call.trace(x)
    lead = len(rows.lead)
    pixels = over == [lead + 1, lead + 2] and x.ndim == lead + 3 and tuple(x.shape[:lead]) == rows.lead
    if how == "mean" and pixels:
        average(call, rows, sources, shape, (shape[0], 1, 1), (shape[1], shape[2]))
    else:
        probe(call, x)


def _over_time(
    call: Call, rows: Rows, sources: tuple[Source, ...], shape: Any, axes: list[int], over: list[int], how: str
) -> None:  # fmt: skip
    steps = np.moveaxis(rows.steps.reshape(rows.lead), [axes.index(axis) for axis in over], range(len(over)))
    samples = np.moveaxis(rows.samples.reshape(rows.lead), [axes.index(axis) for axis in over], range(len(over)))
    flat = samples.reshape(-1, *samples.shape[len(over) :])
    if (flat != flat[:1]).any():
        raise NotExpressible(f"takes the {how} over the samples of a batch")
    if np.unique(steps).size != call.recording.length:
        raise NotExpressible(f"takes the {how} over some steps only; take it over all of them")
    node = call.node(OverTime(how), sources, shape, key=("over time", how))
    call.give(Rows(np.full(flat[0].size, STATIC), flat[0].ravel(), flat[0].shape), node)


FUNCTIONS: dict[str, Callable[..., None]] = {
    **dict.fromkeys(("add", "radd", "iadd"), add),
    **dict.fromkeys(("sub", "isub", "subtract"), subtract),
    "rsub": subtract_from,
    **dict.fromkeys(("mul", "rmul", "imul", "multiply"), multiply),
    **dict.fromkeys(("div", "truediv", "itruediv", "divide", "true_divide"), divide),
    **dict.fromkeys(("neg", "negative"), negative),
    "sum": total,
    "mean": mean,
    **dict.fromkeys(("amax", "max"), maximum),
    **dict.fromkeys(("maximum", "fmax", "logical_or"), larger),
}
