"""Pooling functions as layers: sums of windows times 1 / area, and maxima."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from neurosam.deploy.tracing.calls import Call, NotExpressible
from neurosam.deploy.tracing.nodes import Source
from neurosam.deploy.tracing.probing import probe
from neurosam.errors import NetworkError
from neurosam.graph.layers import MaxPool, Pool
from neurosam.network.synapse import MaxPool2d, SumPool2d

__all__ = ["FUNCTIONS"]


def max_pool(
    call: Call, input: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1,
    ceil_mode: bool = False, return_indices: bool = False,
) -> None:  # fmt: skip
    """max_pool1d, which is a max_pool2d of one row, and max_pool2d."""
    axes = 1 if call.func is not None and "1d" in str(getattr(call.func, "__name__", "")) else 2
    rows, sources, shape = call.trace(input, lead=input.ndim - axes - 1)
    kernel, steps, border = (
        _two(v, axes, none) for v, none in ((kernel_size, 1), (stride or kernel_size, 1), (padding, 0))
    )
    if set(_two(dilation, axes, 1)) != {1}:
        raise NotExpressible("uses dilation; only kernel, stride and padding are allowed")
    if return_indices:
        raise NotExpressible("returns the places of maxima, which a network does not have; leave return_indices out")
    pool = MaxPool2d(kernel, steps, border)
    out = tuple(call.result.shape[-axes - 1 :])
    if _exact(pool, shape) != _picture(out):
        raise NotExpressible("uses ceil_mode, whose last windows reach over the edge; use padding or another kernel")
    call.give(rows, call.node(MaxPool(pool), sources, out, entering=shape))


def adaptive_max_pool(call: Call, input: Tensor, output_size: Any, return_indices: bool = False) -> None:
    """Windows of equal size."""
    axes = 1 if "1d" in str(call.func.__name__) else 2
    rows, sources, shape = call.trace(input, lead=input.ndim - axes - 1)
    out = tuple(call.result.shape[-axes - 1 :])
    kernel = _windows(_picture(shape), _picture(out))
    if kernel is None:
        raise NotExpressible(f"takes {shape[1:]} to {out[1:]} with windows of unequal size; use MaxPool2d")
    call.give(rows, call.node(MaxPool(MaxPool2d(kernel)), sources, out, entering=shape))


def avg_pool(
    call: Call, input: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False,
    count_include_pad: bool = True, divisor_override: int | None = None,
) -> None:  # fmt: skip
    """avg_pool1d, which is an avg_pool2d of one row, and avg_pool2d."""
    axes = 1 if "1d" in str(call.func.__name__) else 2
    rows, sources, shape = call.trace(input, lead=input.ndim - axes - 1)
    kernel, steps, border = (
        _two(v, axes, none) for v, none in ((kernel_size, 1), (stride or kernel_size, 1), (padding, 0))
    )
    pool = SumPool2d(kernel, steps, border)
    out = tuple(call.result.shape[-axes - 1 :])
    if _exact(pool, shape) != _picture(out) or (border != (0, 0) and not count_include_pad):
        probe(call, input)  # windows at the edge are divided by other areas
        return
    summed = (Source(call.node(Pool(pool), sources, out, entering=shape)),)
    call.give(rows, call.one(call.scaled(summed, out, 1.0 / (divisor_override or pool.area)), out))


def lp_pool(
    call: Call, input: Tensor, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False
) -> None:  # fmt: skip
    """Sums of windows, where the norm is of order 1: ``LPPool2d(1, ...)``, as Sinabs' SumPool2d."""
    if norm_type != 1:
        raise NotExpressible(f"computes norms of order {norm_type:g} over windows; use order 1, or an average")
    axes = 1 if "1d" in str(call.func.__name__) else 2
    rows, sources, shape = call.trace(input, lead=input.ndim - axes - 1)
    kernel, steps = (_two(value, axes, 1) for value in (kernel_size, stride or kernel_size))
    pool, out = SumPool2d(kernel, steps), tuple(call.result.shape[-axes - 1 :])
    if _exact(pool, shape) != _picture(out):
        raise NotExpressible("uses ceil_mode, whose last windows reach over the edge; use another kernel")
    call.give(rows, call.node(Pool(pool), sources, out, entering=shape))


def adaptive_avg_pool(call: Call, input: Tensor, output_size: Any) -> None:
    """Windows of equal size; unequal ones are linear too."""
    axes = 1 if "1d" in str(call.func.__name__) else 2
    rows, sources, shape = call.trace(input, lead=input.ndim - axes - 1)
    out = tuple(call.result.shape[-axes - 1 :])
    kernel = _windows(_picture(shape), _picture(out))
    if kernel is None:
        probe(call, input)
        return
    average(call, rows, sources, shape, out, kernel)


def average(
    call: Call, rows: Any, sources: tuple[Source, ...], shape: Any, out: tuple[int, ...], kernel: tuple[int, int]
) -> None:  # fmt: skip
    """Means of windows that touch and do not overlap."""
    pool = SumPool2d(kernel)
    summed = (Source(call.node(Pool(pool), sources, out, entering=shape)),)
    call.give(rows, call.one(call.scaled(summed, out, 1.0 / pool.area), out))


def _two(value: Any, axes: int, none: int) -> tuple[int, int]:
    """Height and width; the height of a row is `none`."""
    sides = tuple(value) if isinstance(value, (tuple, list)) else (value,) * axes
    return (none, int(sides[0])) if len(sides) == 1 else (int(sides[0]), int(sides[1]))


def _picture(shape: Any) -> tuple[int, ...]:
    return tuple(shape) if len(shape) == 3 else (shape[0], 1, *shape[1:])


def _exact(pool: MaxPool2d | SumPool2d, shape: Any) -> tuple[int, ...] | None:
    try:
        return pool.output_shape(_picture(shape))
    except NetworkError:
        return None


def _windows(shape: tuple[int, ...], out: tuple[int, ...]) -> tuple[int, int] | None:
    if shape[1] % out[1] or shape[2] % out[2]:
        return None
    return shape[1] // out[1], shape[2] // out[2]


FUNCTIONS: dict[str, Callable[..., None]] = {
    "max_pool1d": max_pool,
    "max_pool2d": max_pool,
    "adaptive_max_pool1d": adaptive_max_pool,
    "adaptive_max_pool2d": adaptive_max_pool,
    "avg_pool1d": avg_pool,
    "avg_pool2d": avg_pool,
    "lp_pool1d": lp_pool,
    "lp_pool2d": lp_pool,
    "adaptive_avg_pool1d": adaptive_avg_pool,
    "adaptive_avg_pool2d": adaptive_avg_pool,
}
