"""Sums of weighted spikes in torch, exact for integers: what a projection delivers, for many steps and samples at once.

Every synapse is a matrix product; a convolution multiplies its windows, laid out as columns (im2col). A matrix product
only multiplies and adds (a Winograd or FFT convolution does more). So integers are exact in whatever order it adds, as
long as the sum of magnitudes stays below 2^24 in float32 or 2^53 in float64. A network's accumulators are proven to
stay below 2^31 (:func:`neurosam.network.validation.accumulator_bound`): float64 is always exact, and float32 where the
bound of the weights allows it.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from neurosam.arithmetic import shift_by
from neurosam.network.elements import Projection
from neurosam.network.network import Network
from neurosam.network.synapse import Conv2d, Dense, MaxPool2d, Shape, Sparse, SumPool2d, neurons

__all__ = ["Delivery", "largest_sums", "pool_sums"]

FLOAT32_EXACT = 2**24


class Delivery:
    """One projection on a device.

    Parameters
    ----------
    network : Network
    projection : Projection
    device : torch.device
    real : torch.dtype
        Precision of a float network.

    Attributes
    ----------
    fan_out : int64 tensor (sources,)
        Synapses that an event of each source reaches, counted once per pooling window that the source lies in.
    width : int
        Numbers held in memory per step and sample, from which the caller chooses how many steps to deliver at once.
    """

    def __init__(self, network: Network, projection: Projection, device: torch.device, real: torch.dtype) -> None:
        self.source = projection.source
        self.label = projection.label
        self.lag = network.lag(projection)
        self._pool = projection.pool
        self._exponent = projection.exponent if network.fixed else None
        shape = network[projection.source].shape
        self._shape = shape
        if network.fixed:
            real = torch.float32 if _fits_float32(network, projection, device) else torch.float64
        self._dtype = real
        pooled = projection.pool.output_shape(shape) if projection.pool else shape
        self._product = _product(projection, pooled, device, real)
        fan_out = self._product.fan_out()
        if projection.pool is not None:
            fan_out = _pooled_fan_out(fan_out.reshape(pooled), shape, projection.pool)
        self.fan_out = fan_out.reshape(-1)
        self.width = max(neurons(shape), self._product.width)

    def __call__(self, emitted: torch.Tensor) -> torch.Tensor:
        """Sums ``[n, targets]`` from values ``[n, sources]``: int64 and shifted by the exponent, or floats."""
        x = emitted.to(self._dtype)
        if self._pool is not None:
            x = pool_sums(x.reshape(-1, *self._shape), self._pool).flatten(1)
        sums = self._product(x)
        return sums if self._exponent is None else shift_by(sums.to(torch.int64), self._exponent)


class _DenseProduct:
    def __init__(self, synapse: Dense, device: torch.device, dtype: torch.dtype) -> None:
        self._weight = torch.tensor(synapse.weight, dtype=dtype, device=device)
        self.width = self._weight.shape[0]

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return x @ self._weight.T

    def fan_out(self) -> torch.Tensor:
        outputs, inputs = self._weight.shape
        return torch.full((inputs,), outputs, dtype=torch.int64, device=self._weight.device)


class _SparseProduct:
    def __init__(self, synapse: Sparse, device: torch.device, dtype: torch.dtype) -> None:
        rows = np.repeat(np.arange(synapse.indptr.size - 1), np.diff(synapse.indptr))
        entries = torch.tensor(np.stack([rows, synapse.indices]), device=device)
        weight = torch.tensor(synapse.weight, dtype=dtype, device=device)
        size = (synapse.indptr.size - 1, synapse.sources)
        # rows and indices rise, so the entries are sorted and unique, which check_invariants verifies
        self._weight = torch.sparse_coo_tensor(entries, weight, size, is_coalesced=True, check_invariants=True)
        self.width = size[0]

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        sums: torch.Tensor = torch.sparse.mm(self._weight, x.T).T
        return sums

    def fan_out(self) -> torch.Tensor:
        return torch.bincount(self._weight.indices()[1], minlength=self._weight.shape[1])


class _Convolution:
    def __init__(self, synapse: Conv2d, shape: Shape, device: torch.device, dtype: torch.dtype) -> None:
        weight = torch.tensor(synapse.weight, dtype=dtype, device=device)
        self._weight = weight.reshape(synapse.groups, weight.shape[0] // synapse.groups, -1)
        self._kernel = synapse.weight.shape[2:]
        self._geometry = synapse.geometry
        self._shape = shape
        outputs, height, width = synapse.output_shape(shape)
        self._pixels = height * width
        self.width = self._pixels * max(outputs, shape[0] * self._kernel[0] * self._kernel[1])

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        stride, padding, dilation = self._geometry
        images = x.reshape(-1, *self._shape)
        columns = F.unfold(images, self._kernel, dilation=dilation, padding=padding, stride=stride)
        groups, _, taps = self._weight.shape
        by_group = columns.reshape(columns.shape[0], groups, taps, columns.shape[-1])
        return torch.matmul(self._weight, by_group).flatten(1)

    def fan_out(self) -> torch.Tensor:
        stride, padding, dilation = self._geometry
        groups, outputs, taps = self._weight.shape
        _, height, width = self._shape
        windows = torch.ones((1, groups * taps, self._pixels), dtype=torch.float64, device=self._weight.device)
        folded = F.fold(windows, (height, width), self._kernel, dilation=dilation, padding=padding, stride=stride)
        return folded.to(torch.int64).flatten() * outputs


def _product(
    projection: Projection, shape: Shape, device: torch.device, dtype: torch.dtype
) -> _DenseProduct | _SparseProduct | _Convolution:
    synapse = projection.synapse
    if isinstance(synapse, Conv2d):
        return _Convolution(synapse, shape, device, dtype)
    if isinstance(synapse, Dense):
        return _DenseProduct(synapse, device, dtype)
    return _SparseProduct(synapse, device, dtype)


def pool_sums(x: torch.Tensor, pool: SumPool2d) -> torch.Tensor:
    """Sum of each window of ``[n, C, H, W]``; the padding counts as 0."""
    (kernel, stride, (top, left)) = pool.geometry
    padded = F.pad(x, (left, left, top, top))  # avg_pool2d itself pads by half a kernel at most
    return F.avg_pool2d(padded, kernel, stride, divisor_override=1)


def largest_sums(x: torch.Tensor, pool: MaxPool2d) -> torch.Tensor:
    """The largest of each window of ``[n, C, H, W]``, never the padding; integers below 2^53 stay exact."""
    kernel, stride, (top, left) = pool.geometry
    real = x if x.is_floating_point() else x.to(torch.float64)
    padded = F.pad(real, (left, left, top, top), value=-math.inf)  # max_pool2d itself pads by half a kernel at most
    return F.max_pool2d(padded, kernel, stride).to(x.dtype)


def _pooled_fan_out(fan_out: torch.Tensor, shape: Shape, pool: SumPool2d) -> torch.Tensor:
    """Fan-out of the sources in front of a pool: summed over the windows ``[C, H', W']`` that each lies in."""
    kernel, stride, (top, left) = pool.geometry
    channels, height, width = shape
    by_tap = fan_out.to(torch.float64).reshape(channels, 1, -1).repeat(1, kernel[0] * kernel[1], 1)
    padded = F.fold(by_tap.flatten(0, 1).unsqueeze(0), (height + 2 * top, width + 2 * left), kernel, stride=stride)
    return padded[0, :, top : top + height, left : left + width].to(torch.int64)


def _fits_float32(network: Network, projection: Projection, device: torch.device) -> bool:
    """Whether every partial sum is an integer below 2^24, and float32 products are exact (no TF32, no bfloat16)."""
    library: Any = torch.backends.cuda if device.type == "cuda" else torch.backends.mkldnn
    negative, positive = projection.synapse.row_sums()
    largest = network[projection.source].largest_event * (projection.pool.area if projection.pool else 1)
    bound = float((positive - negative).max(initial=0.0)) * largest
    return bound < FLOAT32_EXACT and library.matmul.fp32_precision in ("none", "ieee")
