"""What arrives at a layer: paths from populations, a constant, and perhaps a maximum that is still to be taken.

    y = max over windows of (sum over paths of path(spikes) + constant)

Affine layers act on every path and on the constant. Behind a maximum, only what commutes with it is left: factors of
at least 0 and constants by channel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from neurosam.errors import ExportError, NetworkError
from neurosam.graph.layers import MaxPool, Offset, Pool, Reindex, Scale, Weights
from neurosam.graph.matrices import apply, pool_as_conv
from neurosam.graph.paths import Path
from neurosam.network.synapse import MaxPool2d, Shape, neurons

__all__ = ["Affine", "Value", "added"]

MAX_PATHS = 4096

Values = npt.NDArray[np.float64]
Affine = Weights | Pool | Scale | Offset | Reindex


@dataclass(frozen=True, eq=False)
class Value:
    """The values at one place of a graph.

    Parameters
    ----------
    shape : tuple of int
    paths : tuple of Path
        Each of `shape`, or of what the maximum is taken of.
    constant : array, optional
        Of the same shape; None for 0.
    maximum : MaxPool2d, optional
        Taken of all that.
    """

    shape: Shape
    paths: tuple[Path, ...]
    constant: Values | None = None
    maximum: MaxPool2d | None = None

    @property
    def spikes_of(self) -> str | None:
        """The population whose own spikes of this step these are, if they are just that."""
        if len(self.paths) != 1 or self.constant is not None or self.maximum is not None:
            return None
        (path,) = self.paths
        return path.source if path.is_identity and path.steps == 0 else None

    def later(self, steps: int, where: str) -> Value:
        """The same values, `steps` later."""
        if steps and self.constant is not None and self.constant.any():
            raise ExportError(where, "delays a constant, which would be 0 in the first steps; put the bias behind it")
        return replace(self, paths=tuple(path.later(steps) for path in self.paths)) if steps else self

    def then(self, layer: Affine, where: str) -> Value:
        """Pass an affine layer.

        Raises
        ------
        ExportError
            If the layer does not fit, or not behind a maximum.
        """
        try:
            if self.maximum is not None:
                return self._behind_maximum(layer, where)
            if isinstance(layer, Weights):
                constant = None if self.constant is None else apply(layer.synapse, self.constant)
                shape = layer.synapse.output_shape(self.shape)
                return Value(shape, tuple(p.through(layer.synapse, where) for p in self.paths), constant)
            if isinstance(layer, Pool):
                ones = pool_as_conv(layer.pool, self.shape[0])
                constant = None if self.constant is None else apply(ones, self.constant)
                shape = layer.pool.output_shape(self.shape)
                return Value(shape, tuple(p.pooled_by(layer.pool, where) for p in self.paths), constant)
            if isinstance(layer, Reindex):
                return self._selected(layer.index, where)
            if isinstance(layer, Scale):
                factor = _fitting(layer.factor, self.shape)
                paths = tuple(p.scaled(factor, where) for p in self.paths)
                constant = None if self.constant is None else self.constant * _spread(factor, self.shape)
                return Value(self.shape, paths, constant)
            return replace(self, constant=_plus(self.constant, _fitting(layer.value, self.shape), self.shape))
        except NetworkError as error:
            raise ExportError(where, error.problem if error.where == where else str(error)) from None

    def pooled_by(self, layer: MaxPool, where: str) -> Value:
        """The largest of each window, still to be taken."""
        if self.maximum is not None:
            raise ExportError(where, "takes a maximum of maxima; use one max pooling with larger windows")
        try:
            return replace(self, shape=layer.pool.output_shape(self.shape), maximum=layer.pool)
        except NetworkError as error:
            raise ExportError(where, str(error)) from None

    def _selected(self, index: npt.NDArray[np.int64], where: str) -> Value:
        largest = int(index.max(initial=-1))
        if largest >= neurons(self.shape):
            raise ExportError(where, f"selects element {largest} of {neurons(self.shape)} {self.shape}")
        paths = tuple(path.selected(index, where) for path in self.paths)
        constant = None
        if self.constant is not None:
            constant = np.where(index >= 0, self.constant.reshape(-1)[index], 0.0)
        return Value(index.shape, paths, constant)

    def _behind_maximum(self, layer: Affine, where: str) -> Value:
        """Pass a layer that commutes with the maximum."""
        before = self._shape_before()
        if isinstance(layer, Scale) and layer.factor.ndim < 2 and (layer.factor >= 0).all():
            inner = replace(self, shape=before, maximum=None).then(layer, where)
            return replace(inner, shape=self.shape, maximum=self.maximum)
        if isinstance(layer, Offset) and layer.value.ndim < 2:
            return replace(self, constant=_plus(self.constant, _fitting(layer.value, before), before))
        if isinstance(layer, Reindex) and layer.index.shape == self.shape and _in_order(layer.index):
            return self
        raise ExportError(
            where,
            "follows max pooling of weighted sums, which only neurons can follow; put the neurons between (max pooling "
            "of their spikes is allowed), or use average pooling",
        )

    def _shape_before(self) -> Shape:
        if self.paths:
            return self.paths[0].shape
        return self.shape if self.constant is None else self.constant.shape


def added(values: Sequence[Value], where: str) -> Value:
    """The sum of values.

    Raises
    ------
    ExportError
        If their shapes differ, or one of several is a maximum.
    """
    first, *others = values
    if not others:
        return first
    shapes = {value.shape for value in values}
    if len(shapes) > 1:
        raise ExportError(where, f"adds values of shapes {' and '.join(map(str, sorted(shapes)))}; one is required")
    if any(value.maximum is not None for value in values):
        raise ExportError(
            where, "adds to max pooling of weighted sums; put neurons behind the pooling, or use average pooling"
        )
    if sum(len(value.paths) for value in values) > MAX_PATHS:
        raise ExportError(where, f"is reached on over {MAX_PATHS} paths without neurons between; use fewer branches")
    constant = first.constant
    for value in others:
        if value.constant is not None:
            constant = _plus(constant, value.constant, value.shape)
    return Value(first.shape, tuple(path for value in values for path in value.paths), constant)


def _plus(constant: Values | None, value: Values, shape: Shape) -> Values:
    spread = _spread(value, shape)
    return np.array(spread) if constant is None else constant + spread


def _spread(value: Values, shape: Shape) -> Values:
    if value.ndim == 1 and len(shape) == 3:
        value = value[:, None, None]
    return np.broadcast_to(value, shape)


def _fitting(value: Values, shape: Shape) -> Values:
    """Check that a factor or an offset is a scalar, by channel, or by element."""
    allowed = ((), (shape[0],), (1,), shape)
    if value.shape not in allowed:
        raise NetworkError("values", f"of shape {value.shape} do not fit {shape}; one per channel or per element")
    return value.reshape(()) if value.shape == (1,) and shape != (1,) else value


def _in_order(index: npt.NDArray[np.int64]) -> bool:
    return np.array_equal(index.reshape(-1), np.arange(index.size))
