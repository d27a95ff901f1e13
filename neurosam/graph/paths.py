"""A linear path from a population to the neurons it ends in, kept in the simplest form that is exact.

    y = A P x        P: sum pooling of the source, or nothing;  A: a synapse, or a selection with factors

While there is only a selection (elements of the source, in any order, each with a factor), pooling, slicing, joining
and scaling cost nothing: a convolution or a matrix that follows takes them into its weights. What follows a synapse is
multiplied into it (matrices.py).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from neurosam.graph.matrices import (
    as_sparse,
    bounded,
    conv_after_conv,
    dense_after,
    pool_as_conv,
    product,
    without_groups,
)
from neurosam.network.synapse import Conv2d, Dense, Shape, Sparse, SumPool2d, Synapse, neurons

__all__ = ["Path"]

Values = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Path:
    """A linear map from a source population to values of `shape`.

    Parameters
    ----------
    source : str
        Population.
    source_shape : tuple of int
    shape : tuple of int
        Of the values now.
    steps : int
        Steps by which values are later than the source's spikes.
    pool : SumPool2d, optional
        In front of all else.
    index : (neurons,) int array, optional
        Selection: for each value the element of the (pooled) source, or -1 for none. None: all, in order.
    factor : float or (neurons,) array
        Of the selected elements. 1 once there is a synapse.
    synapse : Dense, Conv2d or Sparse, optional
    """

    source: str
    source_shape: Shape
    shape: Shape
    steps: int = 0
    pool: SumPool2d | None = None
    index: npt.NDArray[np.int64] | None = None
    factor: float | Values = 1.0
    synapse: Synapse | None = None

    @property
    def pooled(self) -> Shape:
        """Shape that the synapse sees."""
        return self.source_shape if self.pool is None else self.pool.output_shape(self.source_shape)

    @property
    def is_identity(self) -> bool:
        """Whether values are the source's own events."""
        plain = self.synapse is None and self.pool is None and self.index is None
        return plain and np.ndim(self.factor) == 0 and self.factor == 1.0

    def later(self, steps: int) -> Path:
        """The same path, `steps` later."""
        return replace(self, steps=self.steps + steps) if steps else self

    def scaled(self, factor: Values, where: str) -> Path:
        """``factor * y``; a scalar, ``(C,)``, or of the shape of the values."""
        if factor.ndim == 0:
            if self.synapse is None:
                return replace(self, factor=self.factor * float(factor))
            return replace(self, synapse=_with_weight(self.synapse, self.synapse.weight * float(factor)))
        each = _by_element(factor, self.shape)
        if self.synapse is None:
            return replace(self, factor=self.factor * each.reshape(-1))
        synapse = self.synapse
        if isinstance(synapse, Conv2d) and factor.ndim == 1 and len(self.shape) == 3:
            return replace(self, synapse=_with_weight(synapse, synapse.weight * factor[:, None, None, None]))
        if isinstance(synapse, Dense):
            return replace(self, synapse=Dense(synapse.weight * each.reshape(-1, 1)))
        matrix = as_sparse(synapse, self.pooled, where)
        rows = np.repeat(each.reshape(-1), np.diff(matrix.indptr))
        return replace(self, synapse=_with_weight(matrix, matrix.weight * rows))

    def selected(self, index: npt.NDArray[np.int64], where: str) -> Path:
        """``y[index]``, in the shape of `index`; -1 gives 0."""
        flat = index.reshape(-1)
        if np.array_equal(flat, np.arange(neurons(self.shape))):
            return replace(self, shape=index.shape)
        inside = flat >= 0
        if self.synapse is None:
            before = np.arange(neurons(self.shape)) if self.index is None else self.index
            factor = self.factor if np.ndim(self.factor) == 0 else np.where(inside, np.asarray(self.factor)[flat], 0.0)
            return replace(self, shape=index.shape, index=np.where(inside, before[flat], -1), factor=factor)
        if isinstance(self.synapse, Dense):
            weight = np.where(inside[:, None], self.synapse.weight[flat], 0.0)
            return replace(self, shape=index.shape, synapse=Dense(weight))
        if isinstance(self.synapse, Conv2d) and len(index.shape) == 3 and index.shape[1:] == self.shape[1:]:
            channels = _channels_of(flat, index.shape[0])
            if channels is not None:  # of a concatenation: the others are 0
                whole = self.synapse.weight if self.synapse.groups == 1 else without_groups(self.synapse)
                weight = np.where((channels >= 0)[:, None, None, None], whole[channels], 0.0)
                return replace(self, shape=index.shape, synapse=replace(self.synapse, weight=weight, groups=1))
        chosen = self._selection(index.shape, flat, 1.0, neurons(self.shape))
        return replace(self, shape=index.shape, synapse=product(chosen, self._matrix(where), where))

    def pooled_by(self, pool: SumPool2d, where: str) -> Path:
        """Sums over windows."""
        shape = pool.output_shape(self.shape)
        if self.synapse is None and self.pool is None:
            channels = self._channels()
            if self.shape[1:] == self.source_shape[1:] and channels is not None:
                area = neurons(shape[1:])
                index = _whole_channels(channels, area)
                factor = self.factor if np.ndim(self.factor) == 0 else self._factor_by_channel(area)
                if factor is not None:
                    trivial = np.array_equal(channels, np.arange(self.source_shape[0]))
                    return replace(self, shape=shape, pool=pool, index=None if trivial else index, factor=factor)
        return self.through(pool_as_conv(pool, self.shape[0]), where)

    def through(self, synapse: Synapse, where: str) -> Path:
        """``W y``."""
        shape = synapse.output_shape(self.shape)
        if isinstance(synapse, Sparse) and self.synapse is None and (np.diff(synapse.indptr) <= 1).all():
            return self._picked(synapse, shape, where)
        if self.synapse is None:
            return replace(self, shape=shape, synapse=self._absorbed(synapse, where), index=None, factor=1.0)
        if isinstance(synapse, Dense) and isinstance(self.synapse, Dense):
            bounded(where, synapse.weight.shape[0] * self.synapse.weight.shape[1])
            return replace(self, shape=shape, synapse=Dense(synapse.weight @ self.synapse.weight))
        if isinstance(synapse, Conv2d) and isinstance(self.synapse, Conv2d):
            one = conv_after_conv(synapse, self.synapse)
            if one is not None and self.synapse.output_shape(self.pooled) == self.shape:
                return replace(self, shape=shape, synapse=one)
        if isinstance(synapse, Dense):
            return replace(self, shape=shape, synapse=dense_after(synapse, self._matrix(where), where))
        both = product(as_sparse(synapse, self.shape, where), self._matrix(where), where)
        return replace(self, shape=shape, synapse=_dense_if_full(both))

    def finished(self, where: str) -> Synapse:
        """The synapse whose target has the shape of the values; a selection becomes one-to-one synapses."""
        synapse = self.synapse
        if synapse is None:
            index = np.arange(neurons(self.shape)) if self.index is None else self.index
            synapse = self._selection(self.shape, index, self.factor, neurons(self.pooled))
        if synapse.output_shape(self.pooled) == self.shape:
            return synapse
        if isinstance(synapse, Conv2d):
            synapse = as_sparse(synapse, self.pooled, where)
        elif isinstance(synapse, Dense):
            synapse = Sparse.from_dense(synapse.weight)
        return Sparse(synapse.indptr, synapse.indices, synapse.weight, synapse.sources, self.shape)

    def _picked(self, synapse: Sparse, shape: Shape, where: str) -> Path:
        """Behind a matrix with at most one entry per row, which selects: nearest upsampling, one-to-one synapses."""
        index = np.full(neurons(shape), -1)
        filled = np.diff(synapse.indptr) == 1
        index[filled] = synapse.indices
        factor = np.ones(index.size)
        factor[filled] = synapse.weight
        picked = self.selected(index.reshape(shape), where)
        return picked if (factor == 1.0).all() else picked.scaled(factor.reshape(shape), where)

    def _matrix(self, where: str) -> Sparse:
        """What there is so far, as a matrix from the pooled source."""
        if self.synapse is not None:
            return as_sparse(self.synapse, self.pooled, where)
        index = np.arange(neurons(self.shape)) if self.index is None else self.index
        return self._selection(self.shape, index, self.factor, neurons(self.pooled))

    @staticmethod
    def _selection(shape: Shape, index: npt.NDArray[np.int64], factor: float | Values, sources: int) -> Sparse:
        """One entry per selected element."""
        weight = np.broadcast_to(np.asarray(factor, dtype=np.float64), index.shape)
        keep = (index >= 0) & (weight != 0)
        indptr = np.concatenate([[0], np.cumsum(keep)])
        return Sparse(indptr, index[keep], weight[keep], sources, shape)

    def _absorbed(self, synapse: Synapse, where: str) -> Synapse:
        """A synapse behind a selection, as one on the pooled source."""
        plain = self.index is None
        if plain and np.ndim(self.factor) == 0:
            same = self.pooled == self.shape or not isinstance(synapse, Conv2d)
            if same:
                return synapse if self.factor == 1.0 else _with_weight(synapse, synapse.weight * self.factor)
        if isinstance(synapse, Conv2d):
            found = self._convolution(synapse)
            if found is not None:
                return found
        if isinstance(synapse, Dense):
            count = neurons(self.pooled)
            columns = np.arange(count) if self.index is None else self.index
            factor = np.broadcast_to(np.asarray(self.factor), columns.shape)
            inside = columns >= 0
            weight = np.zeros((count, synapse.weight.shape[0]))
            np.add.at(weight, columns[inside], (synapse.weight * factor).T[inside])
            return Dense(np.ascontiguousarray(weight.T))
        both = product(as_sparse(synapse, self.shape, where), self._matrix(where), where)
        return _dense_if_full(both)

    def _convolution(self, synapse: Conv2d) -> Conv2d | None:
        """A convolution behind a selection of whole channels, with one factor for each; None for another selection."""
        channels = self._channels()
        factor = self._factor_by_channel(1)
        if channels is None or factor is None or self.shape[1:] != self.pooled[1:]:
            return None
        each = np.broadcast_to(np.asarray(factor, dtype=np.float64), channels.shape)
        trivial = np.array_equal(channels, np.arange(self.pooled[0]))
        if synapse.groups > 1:
            if not trivial:
                return None
            per_group = synapse.weight.shape[1]
            rows = synapse.weight.shape[0] // synapse.groups
            by_group = np.repeat(each.reshape(synapse.groups, per_group), rows, axis=0)
            return _conv(synapse, synapse.weight * by_group[:, :, None, None])
        weight = np.zeros((self.pooled[0], synapse.weight.shape[0], *synapse.weight.shape[2:]))
        inside = channels >= 0
        np.add.at(weight, channels[inside], (synapse.weight * each[:, None, None]).swapaxes(0, 1)[inside])
        return _conv(synapse, np.ascontiguousarray(weight.swapaxes(0, 1)))

    def _channels(self) -> npt.NDArray[np.int64] | None:
        """The source channel of each channel (-1: none), if whole channels are selected; else None."""
        if len(self.shape) != 3 or len(self.source_shape) != 3:
            return None
        area = neurons(self.pooled[1:])
        if self.index is None:
            return np.arange(self.pooled[0]) if self.shape == self.pooled else None
        if neurons(self.shape[1:]) != area:
            return None
        return _channels_of(self.index, self.shape[0])

    def _factor_by_channel(self, area: int) -> float | Values | None:
        """Factors, `area` times each channel's; None if they differ within a channel."""
        if np.ndim(self.factor) == 0:
            return float(self.factor)
        rows = np.asarray(self.factor).reshape(self.shape[0], -1)
        if (rows != rows[:, :1]).any():
            return None
        return np.repeat(rows[:, 0], area)


def _channels_of(index: npt.NDArray[np.int64], count: int) -> npt.NDArray[np.int64] | None:
    """The channel that each of `count` channels takes (-1: none), if whole ones are selected; else None."""
    rows = index.reshape(count, -1)
    channels: npt.NDArray[np.int64] = np.where(rows[:, 0] < 0, -1, rows[:, 0] // rows.shape[1])
    return channels if np.array_equal(_whole_channels(channels, rows.shape[1]), index) else None


def _whole_channels(channels: npt.NDArray[np.int64], area: int) -> npt.NDArray[np.int64]:
    """The selection of whole channels, by element."""
    rows = np.where(channels[:, None] < 0, -1, channels[:, None] * area + np.arange(area))
    return rows.reshape(-1)


def _by_element(value: Values, shape: Shape) -> Values:
    """``(C,)`` or one value per element, for each element."""
    if value.ndim == 1 and len(shape) == 3:
        value = value[:, None, None]
    return np.broadcast_to(value, shape)


def _with_weight(synapse: Synapse, weight: Values) -> Synapse:
    return replace(synapse, weight=weight)


def _conv(like: Conv2d, weight: Values) -> Conv2d:
    return replace(like, weight=weight)


def _dense_if_full(matrix: Sparse) -> Synapse:
    """A matrix with more than half of its entries, between flat populations, is stored as one."""
    rows = matrix.indptr.size - 1
    full = len(matrix.shape or ()) == 1 and matrix.weight.size > rows * matrix.sources // 2
    return Dense(matrix.to_dense()) if full else matrix
