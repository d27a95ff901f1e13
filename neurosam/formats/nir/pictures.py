"""Convolutions and pools of a NIR graph, with the shapes that nodes give.

In a network, ``(C, L)`` of a Conv1d is ``(C, 1, L)``: one row. Shapes are computed here and never taken from nir's
inference, which is wrong for groups, for kernels that are not square, and for padding "same" with a stride.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

import numpy as np

from neurosam.formats.nir.drawing import MAX_ELEMENTS, Node
from neurosam.graph.layers import Layer, Offset, Pool, Reindex, Scale, Weights
from neurosam.network.synapse import MAX_SIDE, Conv2d, Shape, SumPool2d, neurons

__all__ = ["Built", "bias", "convolution", "limited", "network_shape", "pool"]

Built: TypeAlias = tuple[Shape, list[Layer]]
"""The shape that a node gives, and the layers that compute it."""


def network_shape(shape: Shape) -> Shape:
    """A shape as a population has it."""
    return (shape[0], 1, shape[1]) if len(shape) == 2 else shape


def limited(node: Node, shape: Shape) -> Shape:
    """The shape of what a node gives, if it is not too large."""
    if neurons(shape) > MAX_ELEMENTS:
        raise node.error(f"gives {neurons(shape)} elements {shape}; at most {MAX_ELEMENTS} are read")
    return shape


def bias(node: Node, channels: int) -> list[Layer]:
    """An offset by channel, if the node has any."""
    if node.kind == "Linear":
        return []
    values = node.numbers("bias").reshape(-1)
    if values.size not in (1, channels):
        raise node.error(f"has {values.size} biases for {channels} channels")
    return [Offset(np.broadcast_to(values, (channels,)).astype(np.float64))] if values.any() else []


def convolution(node: Node, shape: Shape, axes: int) -> Built:
    """A Conv1d or Conv2d, over one axis or two."""
    weight = node.numbers("weight")
    if weight.ndim != axes + 2 or 0 in weight.shape:
        raise node.error(f"has a weight of shape {weight.shape}; {axes + 2} dimensions are required")
    if len(shape) != axes + 1:
        raise node.error(f"takes {axes + 1} dimensions, channels first; {shape} arrives")
    if "input_shape" in node.fields:
        declared = node.whole("input_shape", 1, MAX_SIDE)
        if declared[-axes:] != shape[1:]:
            raise node.error(f"is for pictures of {declared[-axes:]}; {shape[1:]} arrive")
    (groups,) = node.whole("groups", 1, MAX_SIDE)
    if weight.shape[1] * groups != shape[0] or weight.shape[0] % groups:
        raise node.error(
            f"takes {weight.shape[1]} x {groups} channels (groups) and gives {weight.shape[0]}; {shape[0]} arrive"
        )
    stride, dilation = _each(node, "stride", axes), _each(node, "dilation", axes)
    kernel = weight.shape[2:]
    built: list[Layer] = []
    padding = (0,) * axes
    if node.text("padding") == "same":
        if max(stride) > 1:
            raise node.error("has padding 'same' with a stride, which torch refuses; give the padding as numbers")
        total = [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
        if any(t % 2 for t in total):
            limited(node, _wider(shape, total))
            built.append(_padded(network_shape(shape), _pair(tuple(t // 2 for t in total), 0), _pair(tuple(total), 0)))
        else:
            padding = tuple(t // 2 for t in total)
    elif node.text("padding") != "valid":
        padding = _each(node, "padding", axes, low=0)
    limited(node, _wider(shape, [2 * p for p in padding]))  # back ends pad the picture
    out = []
    arriving = built[0].index.shape[3 - axes :] if built and isinstance(built[0], Reindex) else shape[1:]
    for side, k, s, p, d in zip(arriving, kernel, stride, padding, dilation, strict=True):
        out.append((side + 2 * p - d * (k - 1) - 1) // s + 1)
    if min(out) < 1:
        raise node.error(f"has a kernel {tuple(kernel)} that does not fit into {shape[1:]} padded by {padding}")
    four = weight if axes == 2 else weight[:, :, None, :]
    synapse = Conv2d(
        four.astype(np.float64), _pair(stride), _pair(padding, 0), _pair(dilation), groups,
    )  # fmt: skip
    limited(node, (weight.shape[0], *out))
    return (weight.shape[0], *out), [*built, Weights(synapse), *bias(node, weight.shape[0])]


def _wider(shape: Shape, sides: Iterable[int]) -> Shape:
    """A picture with a border."""
    return (shape[0], *(side + more for side, more in zip(shape[1:], sides, strict=True)))


def _padded(shape: Shape, before: tuple[int, int], total: tuple[int, int]) -> Reindex:
    """Zeros around a picture, more behind than before."""
    index = np.full((shape[0], shape[1] + total[0], shape[2] + total[1]), -1)
    inside = np.arange(neurons(shape)).reshape(shape)
    index[:, before[0] : before[0] + shape[1], before[1] : before[1] + shape[2]] = inside
    return Reindex(index)


def pool(node: Node, shape: Shape) -> Built:
    """A SumPool2d, or an AvgPool2d, whose border counts as zeros."""
    if len(shape) != 3:
        raise node.error(f"takes (C, H, W); {shape} arrives")
    kernel, stride = _each(node, "kernel_size", 2), _each(node, "stride", 2)
    padding = _each(node, "padding", 2, low=0)
    limited(node, (shape[0], *kernel))  # as a convolution of ones
    windows = SumPool2d(_pair(kernel), _pair(stride), _pair(padding))
    built: list[Layer] = [Pool(windows)]
    if node.kind == "AvgPool2d":
        built.append(Scale(1.0 / windows.area))
    return limited(node, windows.output_shape(shape)), built


def _each(node: Node, name: str, axes: int, low: int = 1) -> tuple[int, ...]:
    """A field of one integer for each axis, or one for all."""
    values = node.whole(name, low, MAX_SIDE)
    if len(values) not in (1, axes):
        raise node.error(f"has {name} {values}; {axes} value(s) are required")
    return values * axes if len(values) == 1 else values


def _pair(values: tuple[int, ...], row: int = 1) -> tuple[int, int]:
    """(height, width) of what goes over one axis or two; `row` is the height of a single row."""
    return (row, values[0]) if len(values) == 1 else (values[0], values[1])
