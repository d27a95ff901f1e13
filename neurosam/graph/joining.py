"""Branches of a concatenation that come from one population, as one convolution.

Each branch gives the channels of its own and zeros elsewhere. Convolutions of one stride whose channels are disjoint
are one convolution with the taps of all: a kernel of k taps and padding p lies in one of K taps and padding P at the
offset (P - p) / dilation.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from neurosam.graph.paths import Path
from neurosam.network.synapse import Conv2d

__all__ = ["joined"]


def joined(paths: Iterable[Path]) -> tuple[Path, ...]:
    """The same paths, those that can be one convolution as one, at the place of the first."""
    out: list[Path] = []
    for path in paths:
        for i, other in enumerate(out):
            both = _both(other, path)
            if both is not None:
                out[i] = both
                break
        else:
            out.append(path)
    return tuple(out)


def _both(a: Path, b: Path) -> Path | None:
    """One path for two, or None."""
    if not isinstance(a.synapse, Conv2d) or not isinstance(b.synapse, Conv2d):
        return None
    same = a.source == b.source and a.steps == b.steps and a.shape == b.shape and _pool(a) == _pool(b)
    if not same or a.synapse.groups > 1 or b.synapse.groups > 1 or (_used(a.synapse) & _used(b.synapse)).any():
        return None
    synapse = _sum(a.synapse, b.synapse)
    if synapse is None or synapse.output_shape(a.pooled) != a.shape:
        return None
    return replace(a, synapse=synapse)


def _pool(path: Path) -> object:
    return None if path.pool is None else path.pool.geometry


def _used(synapse: Conv2d) -> npt.NDArray[np.bool_]:
    """The output channels that have weights."""
    return np.asarray(synapse.weight.reshape(synapse.weight.shape[0], -1).any(axis=1))


def _sum(a: Conv2d, b: Conv2d) -> Conv2d | None:
    """The sum of two convolutions, or None where their taps do not lie on one grid."""
    (stride, p1, d1), (stride2, p2, d2) = a.geometry, b.geometry
    if stride != stride2:
        return None
    padding, dilation, kernel, at = [], [], [], []
    for axis in range(2):
        k1, k2 = a.weight.shape[2 + axis], b.weight.shape[2 + axis]
        step = d2[axis] if k1 == 1 else d1[axis]
        if (k1 > 1 and k2 > 1 and d1[axis] != d2[axis]) or (p1[axis] - p2[axis]) % step:
            return None
        most = max(p1[axis], p2[axis])
        first = ((most - p1[axis]) // step, (most - p2[axis]) // step)
        padding.append(most)
        dilation.append(step)
        kernel.append(max(first[0] + k1, first[1] + k2))
        at.append(first)
    weight = np.zeros((*a.weight.shape[:2], *kernel))
    for number, part in enumerate((a.weight, b.weight)):
        y, x = at[0][number], at[1][number]
        weight[:, :, y : y + part.shape[2], x : x + part.shape[3]] += part
    return Conv2d(weight, stride, (padding[0], padding[1]), (dilation[0], dilation[1]))
