"""What a projection delivers in one step, in plain Python: sums over windows, taps and rows, written out.

Nothing here uses `neurosam.arithmetic` or a back end.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from neurosam.network.elements import Projection
from neurosam.network.synapse import Conv2d, Dense, MaxPool2d, Shape, SumPool2d, Synapse

__all__ = ["Values", "deliver", "largest", "operations"]

Values = list[Any]  # of one population, flat in C order: ints or floats


def _side(size: int, kernel: int, stride: int, padding: int, dilation: int) -> int:
    return (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1


def _pool(x: Values, shape: Shape, pool: SumPool2d) -> tuple[Values, Shape]:
    (kh, kw), (sh, sw), (ph, pw) = pool.geometry
    channels, height, width = shape
    rows, columns = _side(height, kh, sh, ph, 1), _side(width, kw, sw, pw, 1)
    out = []
    for c in range(channels):
        for yo in range(rows):
            for xo in range(columns):
                total = 0
                for y in range(yo * sh - ph, yo * sh - ph + kh):
                    for x_ in range(xo * sw - pw, xo * sw - pw + kw):
                        if 0 <= y < height and 0 <= x_ < width:
                            total += x[(c * height + y) * width + x_]
                out.append(total)
    return out, (channels, rows, columns)


def _convolve(x: Values, shape: Shape, conv: Conv2d) -> Values:
    (sh, sw), (ph, pw), (dh, dw) = conv.geometry
    weight = conv.weight.tolist()
    outputs, per_group, kh, kw = conv.weight.shape
    _, height, width = shape
    out = []
    for o in range(outputs):
        first = o // (outputs // conv.groups) * per_group  # first input channel of this output's group
        for yo in range(_side(height, kh, sh, ph, dh)):
            for xo in range(_side(width, kw, sw, pw, dw)):
                total = 0
                for c in range(per_group):
                    for ky in range(kh):
                        for kx in range(kw):
                            y, x_ = yo * sh + ky * dh - ph, xo * sw + kx * dw - pw
                            if 0 <= y < height and 0 <= x_ < width:
                                total += weight[o][c][ky][kx] * x[((first + c) * height + y) * width + x_]
                out.append(total)
    return out


def _weigh(x: Values, shape: Shape, synapse: Synapse) -> Values:
    if isinstance(synapse, Conv2d):
        return _convolve(x, shape, synapse)
    if isinstance(synapse, Dense):
        return [sum(w * s for w, s in zip(row, x, strict=True)) for row in synapse.weight.tolist()]
    start, source, weight = synapse.indptr.tolist(), synapse.indices.tolist(), synapse.weight.tolist()
    return [sum(weight[k] * x[source[k]] for k in range(start[o], start[o + 1])) for o in range(len(start) - 1)]


def deliver(projection: Projection, x: Values, shape: Shape) -> Values:
    """What one projection adds to every target in one step."""
    if projection.pool is not None:
        x, shape = _pool(x, shape, projection.pool)
    total = _weigh(x, shape, projection.synapse)
    if projection.exponent > 0:
        return [a * 2**projection.exponent for a in total]
    if projection.exponent < 0:
        return [a // 2**-projection.exponent for a in total]
    return total


def largest(x: Values, shape: Shape, pool: MaxPool2d) -> Values:
    """The largest of each window of a pool that stands behind the sums, flat; the border has no values."""
    (kh, kw), (sh, sw), (ph, pw) = pool.geometry
    channels, height, width = shape
    out = []
    for c in range(channels):
        for yo in range(_side(height, kh, sh, ph, 1)):
            for xo in range(_side(width, kw, sw, pw, 1)):
                window = [
                    x[(c * height + y) * width + x_]
                    for y in range(yo * sh - ph, yo * sh - ph + kh)
                    for x_ in range(xo * sw - pw, xo * sw - pw + kw)
                    if 0 <= y < height and 0 <= x_ < width
                ]
                out.append(sorted(window)[-1])
    return out


def operations(projection: Projection, x: Values, shape: Shape) -> int:
    """Weights that the events among `x` meet: every weight counted as 1, every event as 1 at each of its addresses."""
    ones = replace(projection.synapse, weight=np.ones_like(projection.synapse.weight))
    return int(sum(deliver(replace(projection, synapse=ones, exponent=0), [int(value != 0) for value in x], shape)))
