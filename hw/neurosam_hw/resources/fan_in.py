"""Synapses onto each neuron.

Neurons of a pooling window send to one address on chips that can add up what arrives there, but each is a synapse of
its own where an address takes one spike a step (a crossbar: TrueNorth, ODIN). So each source neuron counts, whatever
stands between.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from neurosam.metrics.connections import window_taps
from neurosam.network.elements import Projection
from neurosam.network.network import Network
from neurosam.network.synapse import Conv2d, Dense, as_chw

__all__ = ["fan_in", "synapses_onto"]

Counts = npt.NDArray[np.int64]


def fan_in(network: Network, population: str) -> Counts:
    """Synapses onto each neuron of a population, ``(C, H, W)``."""
    found = np.zeros(as_chw(network[population].shape), dtype=np.int64)
    for projection in network.incoming(population):
        found += synapses_onto(network, projection).reshape(found.shape)
    return found


def synapses_onto(network: Network, projection: Projection) -> Counts:
    """Synapses of a projection onto each neuron of its target, flat; those behind a pool are one a source neuron.

    Examples
    --------
    >>> net = ns.Network(
    ...     [ns.Population("in", (1, 4, 4)), ns.Population("out", (1, 2, 2), ns.Readout())],
    ...     [ns.Projection("in", "out", ns.Conv2d(np.ones((1, 1, 3, 3)), padding=1), pool=ns.SumPool2d(2))],
    ... )
    >>> synapses_onto(net, net.projections[0])  # a 3x3 kernel on 2x2 windows of 4 neurons each
    array([16, 16, 16, 16])
    """
    synapse, shape = projection.synapse, network[projection.source].shape
    pooled = shape if projection.pool is None else projection.pool.output_shape(shape)
    rows, columns = _windows(projection, shape)
    if isinstance(synapse, Conv2d):
        (sh, sw), (ph, pw), (dh, dw) = synapse.geometry
        out, per_group, kh, kw = synapse.weight.shape
        _, height, width = synapse.output_shape(pooled)
        across = rows @ window_taps(pooled[1], height, kh, sh, ph, dh).sum(axis=2)
        down = columns @ window_taps(pooled[2], width, kw, sw, pw, dw).sum(axis=2)
        return np.tile(per_group * np.outer(across, down).ravel(), out)
    each = np.tile(np.outer(rows, columns).ravel(), as_chw(pooled)[0])
    if isinstance(synapse, Dense):
        return np.full(len(synapse.weight), each.sum(), dtype=np.int64)
    before = np.concatenate(([0], np.cumsum(each[synapse.indices])))
    return np.diff(before[synapse.indptr])


def _windows(projection: Projection, shape: tuple[int, ...]) -> tuple[Counts, Counts]:
    """Rows and columns of the source in each row and column of the pooled source."""
    _, height, width = as_chw(shape)
    if projection.pool is None:
        return np.ones(height, dtype=np.int64), np.ones(width, dtype=np.int64)
    (kh, kw), (sh, sw), (ph, pw) = projection.pool.geometry
    _, out_height, out_width = as_chw(projection.pool.output_shape(shape))
    rows = window_taps(height, out_height, kh, sh, ph, 1).sum(axis=(0, 2))
    columns = window_taps(width, out_width, kw, sw, pw, 1).sum(axis=(0, 2))
    return rows, columns
