"""A start for partitions by METIS: the graph of who sends to whom, cut into parts with few edges between them.

METIS is Karypis and Kumar's (A fast and high quality multilevel scheme for partitioning irregular graphs, SIAM J. Sci.
Comput. 20(1), 1998), through pymetis. With a fixed seed the result is always the same.
"""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import numpy.typing as npt

from neurosam._util.packages import require_package
from neurosam_hw.mappers.nets import Nets

__all__ = ["has_metis", "metis"]

LARGEST_SUM = 2**30
"""Of the weights of all edges: METIS adds them in 32 bits."""


def has_metis() -> bool:
    """Whether pymetis is installed (``pip install 'neurosam[hw]'``)."""
    return find_spec("pymetis") is not None


def metis(nets: Nets, parts: int) -> npt.NDArray[np.int64]:
    """A part for each neuron, of about the same sizes: a few neurons more than the average are possible.

    An edge joins the source of a net and each of its targets, with the rate as its weight. A source that is not to be
    divided is a vertex without weight.
    """
    require_package("a partition with METIS", "pymetis")
    import pymetis

    owners = nets.owners
    outside = np.flatnonzero(nets.source < 0)
    vertex = nets.source.copy()
    vertex[outside] = nets.neurons + np.arange(outside.size)
    count = nets.neurons + outside.size
    one, two = vertex[owners], nets.targets
    rates = nets.rates[owners]
    total = int(rates.sum())
    weights = np.maximum(rates if total <= LARGEST_SUM else rates // -(-total // LARGEST_SUM), 1)
    apart = one != two
    key = np.concatenate([one * count + two, two * count + one])[np.tile(apart, 2)]
    order = np.argsort(key, kind="stable")
    key = key[order]
    at = np.flatnonzero(np.diff(key, prepend=-1))
    if not at.size:
        return np.arange(nets.neurons) * parts // max(nets.neurons, 1)
    summed = np.add.reduceat(np.tile(weights[apart], 2)[order], at)
    rows, columns = np.divmod(key[at], count)
    _, part = pymetis.part_graph(
        parts,
        pymetis.CSRAdjacency(np.searchsorted(rows, np.arange(count + 1)).astype(np.int32), columns.astype(np.int32)),
        vweights=(np.arange(count) < nets.neurons).astype(np.int32),
        eweights=summed.astype(np.int32),
        options=pymetis.Options(seed=0),
    )
    return np.asarray(part, dtype=np.int64)[: nets.neurons]
