"""Synapses: which target a spike reaches, and with what weight.

Shapes are ``(C, H, W)``, or ``(N,)`` for a population without rows and columns; weights keep torch's layout. A spike
of source neuron ``(c, y, x)`` reaches

    Dense    every target o with weight[o, flat(c, y, x)], flat in C order (torch's Flatten)
    Conv2d   target (o, yo, xo) with weight[o, c', ky, kx] where yo * stride + ky * dilation - padding = y (so for x),
             o and c in the same group: torch's cross-correlation
    Sparse   the targets of its column in a compressed matrix (CSR; rows are targets)

:class:`SumPool2d` in front of a synapse gives a spike another address, ``(c, y // k, x // k)`` for window and stride
k, and costs no synaptic operation. Average pooling is the same with the weights divided by the window's size. Max
pooling of spikes is an OR: a population of its own (:func:`neurosam.network.max_pool`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from neurosam._util.arguments import frozen, integer, integers, pair, reals
from neurosam._util.describing import one_line
from neurosam.errors import NetworkError

__all__ = ["Conv2d", "Dense", "MaxPool2d", "Shape", "Sparse", "SumPool2d", "Synapse", "as_chw", "neurons"]

Shape: TypeAlias = tuple[int, ...]
Weights: TypeAlias = npt.NDArray[Any]  # float64, or int8 mantissas (int16 until a network splits them)
Sums: TypeAlias = npt.NDArray[np.float64]

MAX_SIDE = 2**16


def neurons(shape: Shape) -> int:
    """Number of neurons in a shape, as a Python int, which does not overflow."""
    count = 1
    for side in shape:
        count *= side
    return count


def as_chw(shape: Shape) -> tuple[int, int, int]:
    """A shape as ``(C, H, W)``; ``(N,)`` becomes N channels of one pixel."""
    return (shape[0], shape[1], shape[2]) if len(shape) == 3 else (shape[0], 1, 1)


def _weights(where: str, weight: Any, ndim: tuple[int, ...]) -> Weights:
    """Float weights as float64, integer weights as int8 mantissas, or int16 for a network to split (expand.py)."""
    array = np.asarray(weight)
    if array.dtype.kind in "iu":
        out: Weights = integers(where, array, low=-(2**15), high=2**15 - 1, ndim=ndim, dtype=np.int16)
        return frozen(out, np.int8) if not out.size or (out.min() >= -128 and out.max() <= 127) else out
    return reals(where, weight, ndim=ndim)


def _output_side(where: str, size: int, kernel: int, stride: int, padding: int, dilation: int) -> int:
    """Number of windows along one axis of `size` pixels; at least one has to fit."""
    out = (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
    if size + 2 * padding < dilation * (kernel - 1) + 1 or out < 1:
        raise NetworkError(
            where,
            f"the window (kernel {kernel}, dilation {dilation}) does not fit into {size} pixels padded by {padding}",
        )
    return out


@dataclass(frozen=True, eq=False)
class _Windows:
    """Windows over a picture: kernel, stride and padding, each (height, width)."""

    kernel: int | tuple[int, int]
    stride: int | tuple[int, int] | None = None
    padding: int | tuple[int, int] = 0

    def __post_init__(self) -> None:
        name = type(self).__name__
        kernel = pair(f"{name}: kernel", self.kernel, 1, MAX_SIDE)
        stride = kernel if self.stride is None else pair(f"{name}: stride", self.stride, 1, MAX_SIDE)
        padding = pair(f"{name}: padding", self.padding, 0, MAX_SIDE)
        if padding[0] >= kernel[0] or padding[1] >= kernel[1]:
            raise NetworkError(f"{name}: padding", f"got {padding}; it must be smaller than the kernel {kernel}")
        object.__setattr__(self, "kernel", kernel)
        object.__setattr__(self, "stride", stride)
        object.__setattr__(self, "padding", padding)

    @property
    def geometry(self) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int]]:
        """Kernel, stride and padding, each (height, width)."""
        return self.kernel, self.stride, self.padding  # type: ignore[return-value]  # canonical after __post_init__

    def output_shape(self, shape: Shape) -> Shape:
        """Shape ``(C, H', W')`` of the pooled source."""
        name = type(self).__name__
        if len(shape) != 3:
            raise NetworkError(name, f"got source shape {shape}; pooling needs (C, H, W)")
        (kh, kw), (sh, sw), (ph, pw) = self.geometry
        return (
            shape[0],
            _output_side(name, shape[1], kh, sh, ph, 1),
            _output_side(name, shape[2], kw, sw, pw, 1),
        )


@dataclass(frozen=True, eq=False)
class SumPool2d(_Windows):
    """Sum of the spikes in each window, by giving every spike its window's address.

    Parameters
    ----------
    kernel : int or (int, int)
        Window height and width.
    stride : int or (int, int), optional
        `kernel` if None.
    padding : int or (int, int)
        Zero border, smaller than the kernel.

    Examples
    --------
    >>> ns.SumPool2d(2).output_shape((8, 24, 25))
    (8, 12, 12)
    """

    @property
    def area(self) -> int:
        """Largest number of source neurons that share an address."""
        (kh, kw), _, _ = self.geometry
        return kh * kw


@dataclass(frozen=True, eq=False)
class MaxPool2d(_Windows):
    """The largest sum of each window: ``Population(pool=...)``, whose neurons integrate it in place of one sum.

    Max pooling of spikes needs none of this: it is an OR (:func:`neurosam.max_pool`).

    Parameters
    ----------
    kernel : int or (int, int)
        Window height and width.
    stride : int or (int, int), optional
        `kernel` if None.
    padding : int or (int, int)
        Border that is never the largest, smaller than the kernel.

    Examples
    --------
    >>> ns.MaxPool2d(3, stride=2, padding=1).output_shape((64, 112, 112))
    (64, 56, 56)
    """


@dataclass(frozen=True, eq=False)
class Dense:
    """Every source reaches every target.

    Parameters
    ----------
    weight : (O, I) array
        Float, or integers for a fixed-point network: -128..127, or 16 bits, which a network splits (expand.py).

    Examples
    --------
    >>> ns.Dense([[0.5, -0.25, 1.0]]).output_shape((3,))
    (1,)
    >>> ns.Dense([[64, -32, 127]]).weight.dtype
    dtype('int8')
    """

    weight: Weights

    def __post_init__(self) -> None:
        object.__setattr__(self, "weight", _weights("Dense: weight", self.weight, (2,)))

    def output_shape(self, shape: Shape) -> Shape:
        """``(O,)``."""
        if neurons(shape) != self.weight.shape[1]:
            raise NetworkError(
                "Dense: weight", f"has {self.weight.shape[1]} inputs; the source has {neurons(shape)} neurons {shape}"
            )
        return (self.weight.shape[0],)

    def synapses(self, shape: Shape) -> int:
        """Number of synapses from a source of this shape."""
        return int(self.weight.size)

    def row_sums(self) -> tuple[Sums, Sums]:
        """Sum of the negative and of the positive weights of each target, ``(O,)`` each."""
        return _row_sums(self.weight)

    def __repr__(self) -> str:
        return one_line(self)


@dataclass(frozen=True, eq=False)
class Conv2d:
    """Shared weights over a picture: torch's Conv2d.

    Parameters
    ----------
    weight : (O, C / groups, kH, kW) array
        Float, or integers for a fixed-point network: -128..127, or 16 bits, which a network splits (expand.py).
    stride, padding, dilation : int or (int, int)
        (height, width).
    groups : int
        Divides C and O.

    Examples
    --------
    >>> ns.Conv2d(np.ones((8, 1, 5, 5)), padding=2, stride=2).output_shape((1, 28, 28))
    (8, 14, 14)
    """

    weight: Weights
    stride: int | tuple[int, int] = 1
    padding: int | tuple[int, int] = 0
    dilation: int | tuple[int, int] = 1
    groups: int = 1

    def __post_init__(self) -> None:
        weight = _weights("Conv2d: weight", self.weight, (4,))
        object.__setattr__(self, "weight", weight)
        object.__setattr__(self, "stride", pair("Conv2d: stride", self.stride, 1, MAX_SIDE))
        object.__setattr__(self, "padding", pair("Conv2d: padding", self.padding, 0, MAX_SIDE))
        object.__setattr__(self, "dilation", pair("Conv2d: dilation", self.dilation, 1, MAX_SIDE))
        object.__setattr__(self, "groups", integer("Conv2d: groups", self.groups, 1, MAX_SIDE))
        if 0 in weight.shape or weight.shape[0] % self.groups:
            raise NetworkError(
                "Conv2d: weight", f"got shape {weight.shape} with groups={self.groups}; O must be a multiple of groups"
            )

    @property
    def geometry(self) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int]]:
        """Stride, padding and dilation, each (height, width)."""
        return self.stride, self.padding, self.dilation  # type: ignore[return-value]  # canonical after __post_init__

    def output_shape(self, shape: Shape) -> Shape:
        """``(O, H', W')`` as torch computes it."""
        if len(shape) != 3:
            raise NetworkError("Conv2d", f"got source shape {shape}; a convolution needs (C, H, W)")
        out, per_group, kh, kw = self.weight.shape
        if shape[0] != per_group * self.groups:
            raise NetworkError(
                "Conv2d: weight",
                f"has {per_group} x {self.groups} group(s) input channels; the source has {shape[0]} {shape}",
            )
        (sh, sw), (ph, pw), (dh, dw) = self.geometry
        return (
            out,
            _output_side("Conv2d", shape[1], kh, sh, ph, dh),
            _output_side("Conv2d", shape[2], kw, sw, pw, dw),
        )

    def synapses(self, shape: Shape) -> int:
        """Number of (source, target) connections, without those that fall into the padding."""
        (sh, sw), (ph, pw), (dh, dw) = self.geometry
        out, per_group, kh, kw = self.weight.shape
        _, oh, ow = as_chw(self.output_shape(shape))
        rows = _taps_inside(shape[1], oh, kh, sh, ph, dh)
        columns = _taps_inside(shape[2], ow, kw, sw, pw, dw)
        return int(out * per_group * rows * columns)

    def row_sums(self) -> tuple[Sums, Sums]:
        """Sum of the negative and of the positive weights of each output channel, ``(O,)`` each."""
        return _row_sums(self.weight)

    def __repr__(self) -> str:
        return one_line(self)


@dataclass(frozen=True, eq=False)
class Sparse:
    """A compressed matrix (CSR; rows are targets), for random and one-to-one connections.

    Parameters
    ----------
    indptr : (O + 1,) int array
        Row ``o`` has the entries ``indptr[o] : indptr[o + 1]``; starts at 0, never falls.
    indices : (n,) int array
        Flat source neuron of each entry, without repeats in a row; kept sorted.
    weight : (n,) array
        Float, or integers for a fixed-point network: -128..127, or 16 bits, which a network splits (expand.py).
    sources : int
        Number of source neurons.
    shape : tuple of int, optional
        Shape of the target; ``(O,)`` if None.

    Examples
    --------
    Two targets; the first receives from sources 0 and 2, the second from source 1:

    >>> synapse = ns.Sparse(indptr=np.array([0, 2, 3]), indices=np.array([0, 2, 1]), weight=[0.5, -1.0, 2.0], sources=3)
    >>> synapse.to_dense()
    array([[ 0.5,  0. , -1. ],
           [ 0. ,  2. ,  0. ]])
    """

    indptr: npt.NDArray[np.int64]
    indices: npt.NDArray[np.int64]
    weight: Weights
    sources: int
    shape: Shape | None = None

    def __post_init__(self) -> None:
        sources = integer("Sparse: sources", self.sources, 1, 2**31 - 1)
        indices = integers("Sparse: indices", self.indices, low=0, high=sources - 1, ndim=(1,))
        indptr = integers("Sparse: indptr", self.indptr, low=0, high=indices.size, ndim=(1,))
        weight = _weights("Sparse: weight", self.weight, (1,))
        if indptr.size < 2 or indptr[0] != 0 or indptr[-1] != indices.size or (np.diff(indptr) < 0).any():
            raise NetworkError("Sparse: indptr", f"must rise from 0 to the {indices.size} entries, one row per target")
        if weight.size != indices.size:
            raise NetworkError("Sparse: weight", f"got {weight.size} weights for {indices.size} indices")
        row = np.repeat(np.arange(indptr.size - 1), np.diff(indptr))
        if ((row[1:] == row[:-1]) & (indices[1:] < indices[:-1])).any():
            order = np.lexsort((indices, row))
            indices, weight = frozen(indices[order], np.int64), frozen(weight[order], weight.dtype)
        if ((row[1:] == row[:-1]) & (indices[1:] == indices[:-1])).any():
            at = int(np.flatnonzero((row[1:] == row[:-1]) & (indices[1:] == indices[:-1]))[0])
            raise NetworkError(
                "Sparse: indices", f"row {row[at]} has source {indices[at]} twice; add the weights of repeats first"
            )
        sides = (indptr.size - 1,) if self.shape is None else tuple(self.shape)
        shape = tuple(integer("Sparse: shape", side, 1, 2**31 - 1) for side in sides)
        if neurons(shape) != indptr.size - 1:
            raise NetworkError("Sparse: shape", f"got {shape} for {indptr.size - 1} rows")
        for name, value in (("sources", sources), ("indices", indices), ("indptr", indptr), ("weight", weight)):
            object.__setattr__(self, name, value)
        object.__setattr__(self, "shape", shape)

    @classmethod
    def from_dense(cls, weight: npt.ArrayLike, shape: Shape | None = None) -> Sparse:
        """The nonzero entries of an ``(O, I)`` matrix."""
        matrix: npt.NDArray[Any] = np.asarray(weight)
        rows, columns = np.nonzero(matrix)
        indptr = np.searchsorted(rows, np.arange(matrix.shape[0] + 1))
        return cls(indptr.astype(np.int64), columns.astype(np.int64), matrix[rows, columns], matrix.shape[1], shape)

    def to_dense(self) -> Weights:
        """As an ``(O, I)`` matrix; the inverse of :meth:`from_dense`."""
        matrix: Weights = np.zeros((self.indptr.size - 1, self.sources), dtype=self.weight.dtype)
        matrix[np.repeat(np.arange(self.indptr.size - 1), np.diff(self.indptr)), self.indices] = self.weight
        return matrix

    @classmethod
    def one_to_one(cls, shape: Shape, weight: float | int) -> Sparse:
        """Each source reaches the target with the same address (an identity shortcut)."""
        count = neurons(shape)
        dtype = np.int8 if isinstance(weight, int) else np.float64
        return cls(np.arange(count + 1), np.arange(count), np.full(count, weight, dtype=dtype), count, shape)

    def output_shape(self, shape: Shape) -> Shape:
        """Shape of the target."""
        if neurons(shape) != self.sources:
            raise NetworkError("Sparse", f"has {self.sources} sources; the source has {neurons(shape)} neurons {shape}")
        return self.shape or ()

    def synapses(self, shape: Shape) -> int:
        """Number of stored entries."""
        return int(self.weight.size)

    def row_sums(self) -> tuple[Sums, Sums]:
        """Sum of the negative and of the positive weights of each target, ``(O,)`` each."""
        weight = np.append(self.weight, self.weight.dtype.type(0))  # where an empty last row would start
        starts, empty = self.indptr[:-1], np.diff(self.indptr) == 0
        negative, positive = (
            np.where(empty, 0.0, np.add.reduceat(part(weight, 0), starts, dtype=np.float64))
            for part in (np.minimum, np.maximum)
        )
        return negative, positive

    def __repr__(self) -> str:
        return one_line(self)


Synapse: TypeAlias = Dense | Conv2d | Sparse


def _taps_inside(size: int, out: int, kernel: int, stride: int, padding: int, dilation: int) -> int:
    """Number of (output, tap) pairs along one axis whose source pixel exists."""
    start = padding - dilation * np.arange(kernel)  # source of output o is stride o - start
    first, end = np.maximum(-(-start // stride), 0), np.minimum((start + size - 1) // stride + 1, out)
    return int(np.maximum(end - first, 0).sum())


def _row_sums(weight: Weights) -> tuple[Sums, Sums]:
    """Negative and positive sums over all but the first axis; float64 sums of int8 are exact."""
    rows = weight.reshape(weight.shape[0], -1)
    return (
        np.minimum(rows, 0).sum(axis=1, dtype=np.float64),
        np.maximum(rows, 0).sum(axis=1, dtype=np.float64),
    )
