"""Every synapse of a projection as an edge: source neuron, target neuron, weight.

SANA-FE has no padding, no dilation and no pools, so shared weights are written out. A sum pool gives a spike the
address of each window that it lies in; it then has the synapses of all of them. Weights of 0 are synapses.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from neurosam.arithmetic import shift_by
from neurosam.errors import ExportError
from neurosam.graph.matrices import entries, pool_as_conv
from neurosam.network.elements import Projection
from neurosam.network.network import Network

__all__ = ["Edges", "edges"]

Values = npt.NDArray[Any]


class Edges(NamedTuple):
    """Synapses in order of source, then target.

    Parameters
    ----------
    source, target : (synapses,) int64 array
        Flat neurons.
    weight : (synapses,) int64 array
        Mantissa times ``2^exponent``.
    """

    source: Values
    target: Values
    weight: Values


def edges(network: Network, projection: Projection) -> Edges:
    """The synapses of a projection.

    Raises
    ------
    ExportError
        If a negative exponent would round.

    Examples
    --------
    >>> from neurosam_hw.sanafe.edges import edges
    >>> net = ns.Network(
    ...     [ns.Population("in", (1, 1, 4)), ns.Population("out", (1,), ns.FixedReadout())],
    ...     [ns.Projection("in", "out", ns.Dense(np.array([[5, 7]], np.int8)), pool=ns.SumPool2d((1, 2)), exponent=1)],
    ... )
    >>> edges(net, net.projections[0])
    Edges(source=array([0, 1, 2, 3]), target=array([0, 0, 0, 0]), weight=array([10, 10, 14, 14]))
    """
    shape, pool = network[projection.source].shape, projection.pool
    pooled = shape if pool is None else pool.output_shape(shape)
    target, source, weight = entries(projection.synapse, pooled)
    weight = _scaled(weight, projection)
    if pool is not None:
        address, below, _ = entries(pool_as_conv(pool, shape[0]), shape)
        order = np.argsort(source, kind="stable")
        starts = np.searchsorted(source[order], address)
        lengths = np.searchsorted(source[order], address, side="right") - starts
        first = np.cumsum(lengths) - lengths
        at = order[np.arange(int(lengths.sum())) + np.repeat(starts - first, lengths)]
        source, target, weight = np.repeat(below, lengths), target[at], weight[at]
    order = np.lexsort((target, source))
    return Edges(source[order].astype(np.int64), target[order].astype(np.int64), weight[order])


def _scaled(weight: Values, projection: Projection) -> Values:
    """Weights with their projection's exponent."""
    exponent, wide = projection.exponent, weight.astype(np.int64)
    if exponent < 0 and (wide & ((1 << -exponent) - 1)).any():
        raise ExportError(
            f"projection {projection.label}",
            f"has exponent {exponent}, which rounds its sums down; SANA-FE adds without rounding, so it cannot be "
            f"written for it. Only weights that are multiples of {1 << -exponent} could be, and no command makes them",
        )
    return np.asarray(shift_by(wide, exponent))
