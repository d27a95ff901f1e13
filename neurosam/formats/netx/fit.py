"""Networks as netx can hold them: pools taken into the weights behind them, biases rounded to the unit of the weights.

A sum pool with kernel k and stride s in front of a convolution with kernel K, stride S, padding P and dilation D is one
convolution with kernel (K - 1) D s + k, stride S s and padding P s, whose weights repeat: the same sums. Where a window
would reach pixels that the pool leaves out, or that lie in no whole window, it is not, and is refused.

A bias of netx is in units of the weights, 2^6 of the membrane's. Rounding to it changes the network, so it is done only
where it is asked for (:func:`for_netx`), before accuracy is measured.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from neurosam.arithmetic import FRACTION_BITS, shift_by
from neurosam.errors import ExportError
from neurosam.network.elements import Population, Projection
from neurosam.network.network import Network
from neurosam.network.synapse import Conv2d, Dense, Shape, Sparse, SumPool2d

__all__ = ["for_netx", "without_pools"]

TRAIN = "train with the pool behind the neurons, with a stride in its place, or with images that it divides"


def for_netx(network: Network) -> Network:
    """A fixed-point network whose biases netx can hold, rounded to the nearest; pools are in the weights.

    Raises
    ------
    ExportError
        If a pool cannot be taken into the weights.
    """
    populations = tuple(_rounded_bias(population) for population in network.populations)
    return without_pools(replace(network, populations=populations, check_alignment=False))


def without_pools(network: Network) -> Network:
    """The same network, with each sum pool in the weights of the projection behind it.

    Raises
    ------
    ExportError
        If a window reaches pixels that the pool leaves out.
    """
    if all(projection.pool is None for projection in network.projections):
        return network
    projections = tuple(_merged(network, projection) for projection in network.projections)
    return replace(network, projections=projections, check_alignment=False)


def _rounded_bias(population: Population) -> Population:
    neuron: Any = population.neuron
    exponent = getattr(neuron, "bias_exponent", FRACTION_BITS)
    if exponent >= FRACTION_BITS or not np.any(neuron.bias_mantissa):
        return population
    half = 1 << (FRACTION_BITS - 1)
    value = np.asarray(shift_by(neuron.bias_mantissa, exponent), dtype=np.int64)
    rounded = (value + half) >> FRACTION_BITS
    mantissa = rounded if rounded.ndim else int(rounded)
    return replace(population, neuron=replace(neuron, bias_mantissa=mantissa, bias_exponent=FRACTION_BITS))


def _merged(network: Network, projection: Projection) -> Projection:
    pool, synapse = projection.pool, projection.synapse
    if pool is None:
        return projection
    where, shape = f"projection {projection.label}", network[projection.source].shape
    kernel, stride, padding = pool.geometry
    if padding != (0, 0):
        raise ExportError(where, f"has a pool with padding {padding}, which netx does not implement; {TRAIN}")
    if isinstance(synapse, Conv2d):
        return replace(projection, synapse=_convolution(where, synapse, shape, kernel, stride), pool=None)
    weight = synapse.to_dense() if isinstance(synapse, Sparse) else synapse.weight
    wide = _spread(weight, shape, pool)
    target = network[projection.target].shape
    merged = Sparse.from_dense(wide, target) if isinstance(synapse, Sparse) else Dense(wide)
    return replace(projection, synapse=merged, pool=None)


def _convolution(where: str, synapse: Conv2d, shape: Shape, kernel: tuple[int, int], stride: tuple[int, int]) -> Conv2d:
    """The convolution that does what the pool and the convolution behind it do."""
    strides, paddings, dilations = synapse.geometry
    taps = synapse.weight.shape[2:]
    sizes = []
    for axis, side in enumerate(shape[1:]):
        k, s, step = kernel[axis], stride[axis], strides[axis]
        pad, reach = paddings[axis], (taps[axis] - 1) * dilations[axis]
        pooled = (side - k) // s + 1
        count = (pooled + 2 * pad - reach - 1) // step + 1
        size = reach * s + k
        beyond = (count - 1) * step - pad + reach > pooled - 1 and pooled * s < side
        same = (side + 2 * pad * s - size) // (step * s) + 1 == count
        if beyond or not same or (pad and k > s):
            raise ExportError(where, f"has a pool of {k} over {side} pixels that no convolution replaces; {TRAIN}")
        sizes.append(size)
    weight = np.zeros((*synapse.weight.shape[:2], *sizes), dtype=np.int64)
    rows, columns = (np.arange(taps[axis]) * dilations[axis] * stride[axis] for axis in (0, 1))
    for u in range(kernel[0]):
        for v in range(kernel[1]):
            weight[:, :, (rows + u)[:, None], columns + v] += synapse.weight
    return Conv2d(
        weight, stride=(strides[0] * stride[0], strides[1] * stride[1]),
        padding=(paddings[0] * stride[0], paddings[1] * stride[1]), groups=synapse.groups,
    )  # fmt: skip


def _spread(weight: npt.NDArray[Any], shape: Shape, pool: SumPool2d) -> npt.NDArray[Any]:
    """The weights of a matrix behind a pool, from each pixel in front of it."""
    kernel, stride, _ = pool.geometry
    channels, height, width = pool.output_shape(shape)
    pooled = weight.reshape(-1, channels, height, width)
    wide = np.zeros((len(weight), *shape), dtype=np.int64)
    rows, columns = np.arange(height) * stride[0], np.arange(width) * stride[1]
    for u in range(kernel[0]):
        for v in range(kernel[1]):
            wide[:, :, (rows + u)[:, None], columns + v] += pooled
    return wide.reshape(len(weight), -1)
