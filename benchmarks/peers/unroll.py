"""Unrolling of a network into single synapses, for peers without convolutions."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from casefile import Layer, PlainCase
from harness import CannotExpress

MAX_SYNAPSES = 20_000_000
"""Maximum number of synapses that a peer is given."""


class Synapses(NamedTuple):
    """Connections between two populations, sorted by source and then target."""

    source: Any
    target: Any
    weight: Any


def unroll(case: PlainCase) -> list[Synapses]:
    """Unroll the synapses into every layer of a chain, or for a recurrent case those of the population onto itself.

    Raises
    ------
    CannotExpress
        If there are too many, or the network has max pooling.
    """
    shape, out = case.shape, []
    count = sum(
        layer.weight.size * (layer.size // layer.shape[0] if layer.kind == "conv" else 1)
        for layer in case.layers
        if layer.kind != "pool"
    )
    if count > MAX_SYNAPSES:
        raise CannotExpress(f"{count / 1e6:.0f} million synapses without shared weights")
    if any(layer.kind == "pool" for layer in case.layers):
        raise CannotExpress("max pooling of spikes")
    for layer in case.layers:
        columns = _conv(layer, shape) if layer.kind == "conv" else _matrix(layer)
        order = np.lexsort((columns[1], columns[0]))
        out.append(Synapses(*(column[order] for column in columns)))
        shape = layer.shape
    return out


def _matrix(layer: Layer) -> tuple[Any, Any, Any]:
    if layer.kind == "sparse":
        return layer.indices, np.repeat(np.arange(layer.size), np.diff(layer.indptr)), layer.values
    target, source = np.indices(layer.weight.shape).reshape(2, -1)
    return source, target, layer.values.reshape(-1)


def _conv(layer: Layer, shape: tuple[int, ...]) -> tuple[Any, Any, Any]:
    """Every weight at every output pixel whose source lies inside the image."""
    outputs, inputs, height, width = layer.weight.shape
    o, i, ky, kx, y, x = np.indices((outputs, inputs, height, width, *layer.shape[1:]), dtype=np.int32, sparse=True)
    sy, sx = y * layer.stride + ky - layer.padding, x * layer.stride + kx - layer.padding
    inside = (sy >= 0) & (sy < shape[1]) & (sx >= 0) & (sx < shape[2])
    source = (i * shape[1] + sy) * shape[2] + sx
    target = (o * layer.shape[1] + y) * layer.shape[2] + x
    columns = np.broadcast_arrays(source, target, layer.values[..., None, None], inside)
    return tuple(column[columns[3]] for column in columns[:3])  # type: ignore[return-value]
