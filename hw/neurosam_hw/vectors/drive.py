"""What arrives at a population in each step, before its neurons: from what its sources sent.

    a = sum over projections of floor(2^exponent * sum of weight * s[t - lag]),  then the largest of each window (pool)

All sums are proven to stay within 32 bits (:meth:`neurosam.Network.accumulator_bound`), so float64 adds them exactly.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from neurosam.arithmetic import shift_by
from neurosam.graph.matrices import apply, pool_as_conv
from neurosam.network.elements import Projection
from neurosam.network.network import Network
from neurosam.network.synapse import MaxPool2d, Shape, neurons

__all__ = ["arriving"]

Integers = npt.NDArray[np.int64]


def arriving(network: Network, name: str, sent: Mapping[str, Integers]) -> Integers:
    r"""The sums that a population's neurons take, ``[T, B, N]``.

    Parameters
    ----------
    network : Network
        Fixed point.
    name : str
    sent : mapping of str to (T, B, \*shape) int array
        Spikes or events of every source, in its own time.
    """
    drive = network.drive_shape(name)
    steps, samples = next(iter(sent.values())).shape[:2]
    sums = np.zeros((steps, samples, neurons(drive)), dtype=np.int64)
    for projection in network.incoming(name):
        lag, source = network.lag(projection), sent[projection.source]
        for t in range(lag, steps):
            for b in range(samples):
                if source[t - lag, b].any():
                    sums[t, b] += _delivered(projection, source[t - lag, b])
    pool = network[name].pool
    return sums if pool is None else _largest(sums.reshape(steps, samples, *drive), pool, network[name].shape)


def _delivered(projection: Projection, x: Integers) -> Integers:
    """What a projection delivers for one step of values."""
    values = x.astype(np.float64)
    if projection.pool is not None:
        values = apply(pool_as_conv(projection.pool, x.shape[0]), values)
    sums = np.rint(apply(projection.synapse, values)).astype(np.int64).reshape(-1)
    return np.asarray(shift_by(sums, projection.exponent))


def _largest(sums: Integers, pool: MaxPool2d, shape: Shape) -> Integers:
    """The largest sum of each window, never the padding."""
    kernel, (down, right), (top, left) = pool.geometry
    border = ((0, 0),) * 3 + ((top, top), (left, left))
    padded = np.pad(sums, border, constant_values=-(2**62))
    windows = np.lib.stride_tricks.sliding_window_view(padded, kernel, axis=(3, 4))
    found: Integers = windows[:, :, :, ::down, ::right].max(axis=(5, 6))
    return found[..., : shape[1], : shape[2]].reshape(*sums.shape[:2], -1)
