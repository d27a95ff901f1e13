"""Synapses as matrices: applied to values, multiplied, and composed with each other.

A chain of linear maps is one matrix, so what no single Dense or Conv2d expresses becomes a
:class:`~neurosam.network.synapse.Sparse`. Two convolutions, and a convolution and the average pooling behind it, are
one convolution wherever the second is not padded:

    W[o, i, a] = sum over c, k1, k2 with a = k2 d2 s1 + k1 d1 of W2[o, c, k2] W1[c, i, k1]     stride s1 s2, padding p1

where s, d, p are stride, dilation and padding. (Padding of the second is 0 outside, where the first would have values.)
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from neurosam.errors import NetworkError
from neurosam.network.synapse import Conv2d, Dense, Shape, Sparse, SumPool2d, Synapse, neurons

__all__ = [
    "MAX_ENTRIES",
    "apply",
    "as_sparse",
    "bounded",
    "conv_after_conv",
    "dense_after",
    "entries",
    "pool_as_conv",
    "product",
    "without_groups",
]

MAX_ENTRIES = 2**26
"""Most entries of a matrix that is written out (1.5 GiB while it is made)."""
BLOCK = 2**22
"""Numbers that are multiplied at a time."""

Values = npt.NDArray[np.float64]


def apply(synapse: Synapse, x: Values) -> Values:
    """``W x`` for one step of values: ``x`` of the source's shape, the result of the target's."""
    if isinstance(synapse, Conv2d):
        return _convolved(synapse, x)
    flat = x.reshape(-1)
    if isinstance(synapse, Dense):
        return np.asarray(synapse.weight.astype(np.float64) @ flat)
    rows = np.repeat(np.arange(synapse.indptr.size - 1), np.diff(synapse.indptr))
    weighted: Values = synapse.weight.astype(np.float64) * flat[synapse.indices]
    sums = np.bincount(rows, weighted, synapse.indptr.size - 1)
    return sums.reshape(synapse.output_shape(x.shape)).astype(np.float64)


def as_sparse(synapse: Synapse, shape: Shape, where: str) -> Sparse:
    """The matrix of a synapse whose source has this shape, without its zeros.

    Raises
    ------
    NetworkError
        If it has more than `MAX_ENTRIES` entries; `where` begins the message.
    """
    if isinstance(synapse, Sparse):
        return synapse
    bounded(where, synapse.synapses(shape))
    out_shape = synapse.output_shape(shape)
    if isinstance(synapse, Dense):
        return Sparse.from_dense(synapse.weight.astype(np.float64), out_shape)
    rows, columns, weight = entries(synapse, shape)
    return _compressed(rows, columns, weight, neurons(out_shape), neurons(shape), out_shape)


def product(second: Sparse, first: Sparse, where: str) -> Sparse:
    """The matrix ``second @ first``: what `second` makes of the values of `first`."""
    lengths = np.diff(first.indptr)[second.indices]
    bounded(where, int(lengths.sum()))
    rows = np.repeat(np.repeat(np.arange(second.indptr.size - 1), np.diff(second.indptr)), lengths)
    starts = np.cumsum(lengths) - lengths
    place = np.arange(rows.size) - np.repeat(starts - first.indptr[:-1][second.indices], lengths)
    weight = np.repeat(second.weight, lengths) * first.weight[place]
    shape = second.shape or ()
    return _compressed(rows, first.indices[place], weight, second.indptr.size - 1, first.sources, shape)


def dense_after(second: Dense, first: Sparse, where: str) -> Dense:
    """The matrix ``second @ first``, entry by entry of `first`: what a Linear makes of its values."""
    rows = np.repeat(np.arange(first.indptr.size - 1), np.diff(first.indptr))
    order = np.argsort(first.indices, kind="stable")
    rows, columns, weight = rows[order], first.indices[order], first.weight[order]
    targets = second.weight.shape[0]
    bounded(where, targets * first.sources)
    out = np.zeros((first.sources, targets))
    block = max(1, BLOCK // targets)
    for start in range(0, columns.size, block):
        part = slice(start, start + block)
        firsts = np.flatnonzero(np.diff(columns[part], prepend=-1))
        terms = second.weight.T[rows[part]] * weight[part, None]
        out[columns[part][firsts]] += np.add.reduceat(terms, firsts)
    return Dense(np.ascontiguousarray(out.T))


def pool_as_conv(pool: SumPool2d, channels: int) -> Conv2d:
    """Sums over windows as a convolution of ones, each channel by itself."""
    kernel, stride, padding = pool.geometry
    return Conv2d(np.ones((channels, 1, *kernel)), stride, padding, groups=channels)


def conv_after_conv(second: Conv2d, first: Conv2d) -> Conv2d | None:
    """One convolution for two, or None where the padding of the second or its size forbids it (equation above)."""
    (s1, p1, d1), (s2, p2, d2) = first.geometry, second.geometry
    if p2 != (0, 0):
        return None
    by_channel = second.groups == second.weight.shape[0] and second.weight.shape[1] == 1
    apart = tuple(d * s for d, s in zip(d2, s1, strict=True))  # between two taps of the second, in pixels of the source
    extent = tuple(d * (k - 1) + 1 for d, k in zip(d1, first.weight.shape[2:], strict=True))
    side = tuple(a * (k - 1) + e for a, k, e in zip(apart, second.weight.shape[2:], extent, strict=True))
    channels = first.weight.shape[1] * (1 if by_channel else first.groups)
    middle = 0 if by_channel else first.weight.shape[0]
    out = second.weight.shape[0]
    if max(out * max(channels, middle) * math.prod(side), middle * channels * math.prod(extent)) > MAX_ENTRIES:
        return None
    w1 = first.weight if by_channel else without_groups(first)
    w2 = second.weight if by_channel else without_groups(second)
    weight = np.zeros((w2.shape[0], w1.shape[1], *side))
    for y in range(w2.shape[2]):
        for x in range(w2.shape[3]):
            taps = w2[:, :, y, x]
            part = taps[:, :, None, None] * w1 if by_channel else np.einsum("oc,cikl->oikl", taps, w1)
            top, left = y * apart[0], x * apart[1]
            weight[:, :, top : top + extent[0] : d1[0], left : left + extent[1] : d1[1]] += part
    stride = (s1[0] * s2[0], s1[1] * s2[1])
    return Conv2d(weight, stride, p1, groups=first.groups if by_channel else 1)


def without_groups(synapse: Conv2d) -> Values:
    """Weights ``(O, C, kH, kW)`` with zeros between the groups."""
    out, per_group, *kernel = synapse.weight.shape
    weight = np.zeros((out, per_group * synapse.groups, *kernel))
    rows = out // synapse.groups
    for group in range(synapse.groups):
        to, of = slice(group * rows, (group + 1) * rows), slice(group * per_group, (group + 1) * per_group)
        weight[to, of] = synapse.weight[to]
    return weight


def _convolved(synapse: Conv2d, x: Values) -> Values:
    """A convolution of one picture, tap by tap."""
    (sh, sw), (ph, pw), (dh, dw) = synapse.geometry
    out, per_group, kh, kw = synapse.weight.shape
    _, height, width = synapse.output_shape(x.shape)
    padded = np.pad(x, ((0, 0), (ph, ph), (pw, pw))).reshape(synapse.groups, per_group, x.shape[1] + 2 * ph, -1)
    weight = synapse.weight.astype(np.float64).reshape(synapse.groups, -1, per_group, kh, kw)
    sums = np.zeros((synapse.groups, out // synapse.groups, height, width))
    for ky in range(kh):
        for kx in range(kw):
            rows = slice(ky * dh, ky * dh + (height - 1) * sh + 1, sh)
            columns = slice(kx * dw, kx * dw + (width - 1) * sw + 1, sw)
            sums += np.einsum("goc,gchw->gohw", weight[..., ky, kx], padded[:, :, rows, columns])
    return sums.reshape(out, height, width)


def entries(synapse: Synapse, shape: Shape) -> tuple[Any, Any, Any]:
    """Target, source and weight of each connection from a source of this shape, weights of 0 included."""
    if isinstance(synapse, Dense):
        target, source = np.indices(synapse.weight.shape).reshape(2, -1)
        return target, source, synapse.weight.reshape(-1)
    if isinstance(synapse, Sparse):
        return np.repeat(np.arange(synapse.indptr.size - 1), np.diff(synapse.indptr)), synapse.indices, synapse.weight
    (sh, sw), (ph, pw), (dh, dw) = synapse.geometry
    out, per_group, kh, kw = synapse.weight.shape
    _, height, width = synapse.output_shape(shape)
    y = np.arange(height)[:, None] * sh + np.arange(kh) * dh - ph  # source row of each (target row, tap)
    x = np.arange(width)[:, None] * sw + np.arange(kw) * dw - pw
    yo, ky = np.nonzero((y >= 0) & (y < shape[1]))
    xo, kx = np.nonzero((x >= 0) & (x < shape[2]))
    place_out = (yo[:, None] * width + xo).reshape(-1)
    place_in = (y[yo, ky][:, None] * shape[2] + x[xo, kx]).reshape(-1)
    o = np.arange(out)[:, None]
    c = o // (out // synapse.groups) * per_group + np.arange(per_group)
    rows = np.broadcast_to((o * height * width)[..., None] + place_out, (out, per_group, place_out.size))
    columns = c[..., None] * shape[1] * shape[2] + place_in
    weight = synapse.weight[:, :, ky[:, None], kx].reshape(out, per_group, -1)
    return rows.reshape(-1), columns.reshape(-1), weight.reshape(-1)


def _compressed(rows: Any, columns: Any, weight: Any, targets: int, sources: int, shape: Shape) -> Sparse:
    """Sort entries, add repeats up, and leave zeros out."""
    key = rows.astype(np.int64) * sources + columns
    unique, place = np.unique(key, return_inverse=True)
    sums = np.bincount(place, weight, unique.size).astype(np.float64)  # of no entries: integers
    unique, sums = unique[sums != 0], sums[sums != 0]
    rows, columns = np.divmod(unique, sources)
    indptr = np.searchsorted(rows, np.arange(targets + 1))
    return Sparse(indptr.astype(np.int64), columns, sums, sources, shape)


def bounded(where: str, entries: int) -> None:
    """Refuse a matrix of too many entries; a NetworkError whose message begins with `where`."""
    if entries > MAX_ENTRIES:
        raise NetworkError(
            where,
            f"needs a matrix of {entries:,} entries, because no single convolution does the same; at most "
            f"{MAX_ENTRIES:,} are allowed. Put neurons between the two linear layers, or use a smaller input",
        )
