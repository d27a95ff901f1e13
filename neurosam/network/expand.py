"""Projections that chips have in parts: a delay per synapse, and integer weights beyond 8 bits.

A delay per synapse gives one projection for each delay, with the synapses that have it; an exponent below 0 then rounds
down the sum of each delay. A weight ``w`` beyond 8 bits is ``m * 2^k`` where one mantissa holds it (Loihi's even
weights, -256..254), else the sum of two projections,

    w = lo + 2^k hi,     hi = w / 2^k truncated toward zero,     |lo| < 2^k,

so that both parts have the sign of w and their bounds add up to its own. ``k`` is the smallest with which ``hi`` has 8
bits and ``exponent + k >= 0``: then what ``hi`` adds is an integer, and to round down the rest rounds down the whole,

    floor(2^exponent (sum lo + 2^k sum hi)) = floor(2^exponent sum lo) + 2^(exponent + k) sum hi.

Sparse parts hold no synapse of weight 0. Dense and convolutional parts keep their form, in which a 0 counts.
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

LOW_BITS = 7
"""Most bits of ``|lo|``, which has to fit into 8 bits with its sign."""


def split(projection: Projection) -> tuple[Projection, ...]:
    """The projections of one delay and 8-bit weights that together are this one; itself, if it is one already.

    Raises
    ------
    NetworkError
        If the projection cannot be split exactly; says what to do.
    """
    return tuple(part for single in _by_delay(projection) for part in _by_weight(single))


def _by_delay(projection: Projection) -> Iterator[Projection]:
    """One projection for each delay; none for a delay whose synapses all have the weight 0, but for the first."""
    delay = projection.delay
    if isinstance(delay, int):
        yield projection
        return
    synapse = projection.synapse
    if isinstance(synapse, Conv2d):
        raise NetworkError(
            f"projection {projection.label}: delay", "per synapse needs Dense or Sparse synapses, not shared weights"
        )
    shape = (synapse.weight.shape[0],) if isinstance(synapse, Dense) else synapse.shape
    targets, sources = (
        synapse.weight.shape if isinstance(synapse, Dense) else (synapse.indptr.size - 1, synapse.sources)
    )
    rows, columns = _addresses(synapse)
    weight, steps = synapse.weight.reshape(-1), delay.reshape(-1)
    real = weight != 0
    for value in np.unique(steps[real]).tolist() or [int(steps.min())]:
        chosen = real & (steps == value)
        indptr = np.searchsorted(rows[chosen], np.arange(targets + 1))
        part = Sparse(indptr, columns[chosen], weight[chosen], sources, shape)
        yield replace(projection, synapse=part, delay=value)


def _addresses(synapse: Dense | Sparse) -> tuple[Array, Array]:
    """Row and column of every synapse, in order."""
    if isinstance(synapse, Dense):
        row, column = np.indices(synapse.weight.shape)
        return row.reshape(-1), column.reshape(-1)
    rows: Array = np.repeat(np.arange(synapse.indptr.size - 1), np.diff(synapse.indptr))
    return rows, synapse.indices


def _by_weight(projection: Projection) -> Iterator[Projection]:
    """One projection, or two for weights beyond 8 bits."""
    weight = projection.synapse.weight
    if weight.dtype != np.int16:
        yield projection
        return
    wide = weight.astype(np.int64)
    for shift in range(1, LOW_BITS + 1):
        if not (wide & ((1 << shift) - 1)).any() and _fits(wide >> shift):
            yield _part(projection, wide >> shift, shift)
            return
    for shift in range(max(1, -projection.exponent), LOW_BITS + 1):
        high = np.sign(wide) * (np.abs(wide) >> shift)
        if _fits(high):
            yield _part(projection, wide - (high << shift), 0)
            yield _part(projection, high, shift)
            return
    raise NetworkError(
        f"projection {projection.label}: weight",
        f"got {weight.min()}..{weight.max()} with exponent {projection.exponent}; two projections of 8 bits hold up to "
        f"-16384..16383, with an exponent of at least {-LOW_BITS}. Use smaller weights, or a larger exponent",
    )


def _fits(weight: Array) -> bool:
    """Whether weights fit into 8 bits."""
    return not weight.size or (int(weight.min()) >= -128 and int(weight.max()) <= 127)


def _part(projection: Projection, weight: Array, shift: int) -> Projection:
    """The projection with these mantissas, shifted left by `shift` more."""
    exponent = projection.exponent + shift
    if exponent > MAX_EXPONENT:
        raise NetworkError(
            f"projection {projection.label}: weight",
            f"with exponent {projection.exponent} needs an exponent of {exponent} for its part beyond 8 bits; at most "
            f"{MAX_EXPONENT} is allowed. Lower the exponent, or make the unit coarser",
        )
    synapse = projection.synapse
    small = weight.astype(np.int8)
    if isinstance(synapse, Sparse):
        real = small != 0
        before = np.concatenate([[0], np.cumsum(real)])  # entries that remain, before each
        synapse = replace(synapse, indptr=before[synapse.indptr], indices=synapse.indices[real], weight=small[real])
    else:
        synapse = replace(synapse, weight=small)
    return replace(projection, synapse=synapse, exponent=exponent)
