"""Projections that chips have in parts: a delay per synapse, and integer weights beyond 8 bits.

A delay per synapse gives one projection for each delay, with the synapses that have it. A weight ``w`` beyond 8 bits
is ``m * 2^e`` where one mantissa holds it (Loihi's even weights, -256..254), else the sum of two projections,

    w = lo + 2^k hi,     -2^(k-1) <= lo < 2^(k-1),     hi = floor((w + 2^(k-1)) / 2^k),

with the smallest k whose ``hi`` has 8 bits. Both are exact: sums are of integers, and an exponent ``>= 0`` shifts left.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from neurosam.errors import NetworkError
from neurosam.network.elements import MAX_EXPONENT, Projection
from neurosam.network.synapse import Conv2d, Dense, Sparse

__all__ = ["split"]

Array = npt.NDArray[Any]


def split(projection: Projection) -> tuple[Projection, ...]:
    """The projections of one delay and 8-bit weights that together are this one; itself, if it is one already.

    Raises
    ------
    NetworkError
        If the projection cannot be split exactly; says what to do.
    """
    return tuple(part for single in _by_delay(projection) for part in _by_weight(single))


def _by_delay(projection: Projection) -> Iterator[Projection]:
    """One projection for each delay."""
    delay = projection.delay
    if isinstance(delay, int):
        yield projection
        return
    synapse = projection.synapse
    if isinstance(synapse, Conv2d):
        raise NetworkError(
            f"projection {projection.label}: delay", "per synapse needs Dense or Sparse synapses, not shared weights"
        )
    rows, columns, weight = _entries(synapse)
    shape = (synapse.weight.shape[0],) if isinstance(synapse, Dense) else synapse.shape
    targets, sources = (
        synapse.weight.shape if isinstance(synapse, Dense) else (synapse.indptr.size - 1, synapse.sources)
    )
    flat = delay.reshape(-1)
    for steps in np.unique(flat).tolist():
        chosen = flat == steps
        indptr = np.searchsorted(rows[chosen], np.arange(targets + 1))
        part = Sparse(indptr, columns[chosen], weight[chosen], sources, shape)
        yield replace(projection, synapse=part, delay=steps)


def _entries(synapse: Dense | Sparse) -> tuple[Array, Array, Array]:
    """Row, column and weight of every synapse, in order."""
    if isinstance(synapse, Dense):
        row, column = np.indices(synapse.weight.shape)
        return row.reshape(-1), column.reshape(-1), synapse.weight.reshape(-1)
    rows: Array = np.repeat(np.arange(synapse.indptr.size - 1), np.diff(synapse.indptr))
    return rows, synapse.indices, synapse.weight


def _by_weight(projection: Projection) -> Iterator[Projection]:
    """One projection, or two for weights beyond 8 bits."""
    weight = projection.synapse.weight
    if weight.dtype != np.int16:
        yield projection
        return
    where = f"projection {projection.label}: weight"
    wide = weight.astype(np.int64)
    for shift in range(1, MAX_EXPONENT + 1):
        if not (wide & ((1 << shift) - 1)).any() and _fits(wide >> shift):
            yield _part(projection, wide >> shift, shift, where)
            return
    if projection.exponent < 0:
        raise NetworkError(
            where, f"exceeds 8 bits with exponent {projection.exponent}; two projections would round apart. Use >= 0"
        )
    shift = next((k for k in range(1, 9) if _fits((wide + (1 << (k - 1))) >> k)), 8)
    high = (wide + (1 << (shift - 1))) >> shift
    yield _part(projection, wide - (high << shift), 0, where)
    yield _part(projection, high, shift, where)


def _fits(weight: Array) -> bool:
    """Whether weights fit into 8 bits."""
    return not weight.size or (int(weight.min()) >= -128 and int(weight.max()) <= 127)


def _part(projection: Projection, weight: Array, shift: int, where: str) -> Projection:
    """The projection with these mantissas, shifted left by `shift` more."""
    exponent = projection.exponent + shift
    if exponent > MAX_EXPONENT or not _fits(weight):
        raise NetworkError(
            where,
            f"with exponent {projection.exponent} needs an exponent of {exponent} for its part beyond 8 bits; at most "
            f"{MAX_EXPONENT} is allowed. Lower the exponent, or make the unit coarser",
        )
    synapse = replace(projection.synapse, weight=weight.astype(np.int8))
    return replace(projection, synapse=synapse, exponent=exponent)
