"""Weights for Lava's synapses that give the same sums bit for bit, or a refusal.

Lava's fixed-point Dense and Sparse clip to 9 bits by a sign mode and, if it is MIXED, drop the lowest bit; a weight
exponent shifts the sum (floor). So mantissas of one sign and even mantissas of both signs are passed unchanged, and odd
ones of both signs as ``2 W`` with the exponent lowered by one: ``floor(2 S 2^(e - 1)) = floor(S 2^e)``. Lava's Conv
keeps odd weights, ignores the exponent, has an int8 geometry and wraps its sums at 24 bits; a convolution outside these
limits becomes a Sparse with the same connections.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from neurosam.errors import BackendError
from neurosam.network.elements import Projection
from neurosam.network.network import Network
from neurosam.network.synapse import Conv2d, Shape, Sparse, SumPool2d

__all__ = ["Signed", "as_matrix", "conv_fits", "pooling", "signed", "sums"]

CONV_SUM = 2**23
INT8 = 127
INT32 = 2**31 - 1


@dataclass(frozen=True)
class Signed:
    """A fixed-point weight array with the arguments with which Lava keeps it exact.

    Attributes
    ----------
    weight : int32 array
    exponent : int
        Lava's ``weight_exp``.
    mode : {"EXCITATORY", "INHIBITORY", "MIXED"}
        Name of Lava's SignMode.
    """

    weight: npt.NDArray[np.int32]
    exponent: int
    mode: str


def signed(where: str, weight: npt.NDArray[Any], exponent: int, bound: int) -> Signed:
    """Choose mantissas, exponent and sign mode for Lava's Dense and Sparse.

    Parameters
    ----------
    where : str
        Name of the projection, for error messages.
    weight : int8 array
    exponent : int
        Exponent of the projection.
    bound : int
        Largest |sum of weight * value| in a step.

    Raises
    ------
    BackendError
        If there are odd weights of both signs, and doubled sums would exceed 32 bits.
    """
    wide = weight.astype(np.int32)
    if wide.min(initial=0) >= 0:
        return Signed(wide, exponent, "EXCITATORY")
    if wide.max(initial=0) <= 0:
        return Signed(wide, exponent, "INHIBITORY")
    if not (wide & 1).any():
        return Signed(wide, exponent, "MIXED")
    if 2 * bound > INT32:
        raise BackendError(
            where,
            f"can add up to {bound} per step with odd weights of both signs, which Lava holds doubled; at most "
            f"{INT32 // 2} fits. Use even weights, or a smaller input magnitude",
        )
    return Signed(2 * wide, exponent - 1, "MIXED")


def sums(network: Network, projection: Projection) -> int:
    """Largest |sum of weight * value| in one step, before the exponent."""
    return network.accumulator_bound(projection.target, [replace(projection, exponent=0)])


def conv_fits(conv: Conv2d, exponent: int, bound: float, fixed: bool) -> bool:
    """Whether Lava's Conv computes this convolution exactly."""
    geometry = [n for part in (*conv.geometry, conv.weight.shape[2:], (conv.groups,)) for n in part]
    return max(geometry) <= INT8 and (not fixed or (exponent == 0 and bound < CONV_SUM))


def pooling(pool: SumPool2d, channels: int, fixed: bool) -> Conv2d:
    """Express sum pooling as a convolution of ones, with one group per channel."""
    kernel, stride, padding = pool.geometry
    ones = np.ones((channels, 1, *kernel), dtype=np.int8 if fixed else np.float64)
    return Conv2d(ones, stride, padding, groups=channels)


def as_matrix(conv: Conv2d, shape: Shape) -> Sparse:
    """Convert a convolution over an image ``(C, H, W)`` to a compressed matrix."""
    (sh, sw), (ph, pw), (dh, dw) = conv.geometry
    out, per_group, kh, kw = conv.weight.shape
    target = conv.output_shape(shape)
    o, yo, xo, c, ky, kx = np.ogrid[:out, : target[1], : target[2], :per_group, :kh, :kw]
    channel = o // (out // conv.groups) * per_group + c
    y, x = yo * sh + ky * dh - ph, xo * sw + kx * dw - pw
    inside = (y >= 0) & (y < shape[1]) & (x >= 0) & (x < shape[2])
    full = (out, target[1], target[2], per_group, kh, kw)
    rows = np.broadcast_to((o * target[1] + yo) * target[2] + xo, full)
    columns = np.broadcast_to((channel * shape[1] + y) * shape[2] + x, full)
    inside = np.broadcast_to(inside, full)
    weight = np.broadcast_to(conv.weight[:, None, None], full)[inside]
    counts = np.bincount(rows[inside], minlength=int(np.prod(target)))
    indptr = np.concatenate(([0], np.cumsum(counts)))
    return Sparse(indptr, columns[inside], weight, int(np.prod(shape)), target)
