"""One step of a run's input, from dense values: for sessions that are given a step at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from neurosam.backends.event.plan.projections import EventList
from neurosam.backends.event.runtime.jit import kernel
from neurosam.network.synapse import Shape

__all__ = ["Frame"]

Array = npt.NDArray[Any]


class Frame:
    r"""The values of an input in the present step, and in the last K steps, which graded events need for lags.

    Parameters
    ----------
    shape : (C, H, W)
    samples : int
        B.
    history : int
        K.
    dtype : dtype
        Of the values of graded events: int32, or float64 in a float network.

    Attributes
    ----------
    values : (K + 1, B, C, H * W) float64 array
        The present step is the last row.
    step : int
        The present step, as kernels count steps.
    """

    def __init__(self, shape: Shape, samples: int, history: int, dtype: type[np.generic]) -> None:
        channels, height, width = shape
        self.values = np.zeros((history + 1, samples, channels, height * width))
        self.step, self.dtype = 0, dtype
        self._present = self.values[-1]
        self._flat = self._present.reshape(-1)
        self._pixels = height * width

    @property
    def recent(self) -> Array:
        """``values`` of the last K steps, when the present one has not been put yet."""
        return self.values[:-1]

    def put(self, values: Array, step: int) -> tuple[bool, bool, float]:
        """Put the values of a step, ``(B, *shape)``.

        Returns
        -------
        graded, whole : bool
            Whether any is neither 0 nor 1, and whether all are whole.
        largest : float
            The largest magnitude; infinite if any is not finite.
        """
        self.step = step
        self._flat[:] = values.reshape(-1)
        found: tuple[bool, bool, float] = _examine(self._flat)
        return found

    def keep(self) -> None:
        """The present step is done: it is now one of the last K."""
        if len(self.values) > 1:
            self.values[:-1] = self.values[1:].copy()

    def fill(self, planes: Array, sample: int, first: int, end: int) -> None:
        """Write the spikes of the present step to ``planes[0]``."""
        if end > first:
            _pack(self._present[sample], planes[0])

    def block(self, sample: int, first: int, end: int) -> EventList:
        """Graded events of the steps ``first:end``, none of which is later than the present one."""
        begin = len(self.values) - 1 + first - self.step
        rows = self.values[begin : begin + end - first, sample]
        start, index = np.empty(rows.shape[0] * self._pixels + 1, np.int32), np.empty(rows.size, np.int32)
        value = np.empty(rows.size, self.dtype)
        _list(rows, start, index, value)
        return start, self._pixels, index, value, True


@kernel
def _examine(values: Array) -> tuple[bool, bool, float]:
    """Whether any value is neither 0 nor 1, whether all are whole, and the largest magnitude (infinite for NaN)."""
    graded, whole, largest = False, True, 0.0
    for x in values:
        if x != 0.0:
            if x != 1.0:
                graded = True
                whole = whole and x == np.rint(x)
            largest = max(largest, abs(x) if x == x else np.inf)
    return graded, whole, largest


@kernel
def _pack(values: Array, plane: Array) -> None:
    """Write ``values (C, P)`` as a bit plane."""
    plane[:] = 0
    for c in range(values.shape[0]):
        for p in range(values.shape[1]):
            if values[c, p] != 0.0:
                plane[p, c >> 6] |= np.uint64(1) << np.uint64(c & 63)


@kernel
def _list(rows: Array, start: Array, index: Array, value: Array) -> None:
    """List the events of ``rows (steps, C, P)`` by step and pixel (plan/inputs.py)."""
    channels, pixels = rows.shape[1], rows.shape[2]
    count = 0
    for k in range(rows.shape[0]):
        for p in range(pixels):
            start[k * pixels + p] = count
            for c in range(channels):
                if rows[k, c, p] != 0.0:
                    index[count] = p * channels + c
                    value[count] = rows[k, c, p]
                    count += 1
    start[rows.shape[0] * pixels] = count
