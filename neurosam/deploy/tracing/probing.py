"""The matrix of a linear function, from what it makes of one basis vector after the other."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from neurosam.deploy.tracing.calls import Call, NotExpressible
from neurosam.deploy.tracing.nodes import Source, population_shape
from neurosam.graph.layers import Weights
from neurosam.network.synapse import Sparse

__all__ = ["probe"]

MAX_ENTRIES = 2**26
MAX_WORK = 2**31


def probe(call: Call, x: Tensor) -> None:
    """Record a linear function of `x`, whose leading axes it leaves alone, as sparse synapses and a constant."""
    rows, sources, shape = call.trace(x)
    out = tuple(call.result.shape[len(rows.lead) :])
    if tuple(x.shape[: len(rows.lead)]) != rows.lead or tuple(call.result.shape[: len(rows.lead)]) != rows.lead:
        raise NotExpressible(f"mixes the steps or samples of {tuple(x.shape)}; keep them in the leading axes")
    count, size = int(np.prod(shape)), int(np.prod(out))
    if count * size > MAX_WORK:
        raise NotExpressible(f"has {count:,} x {size:,} weights without a form of their own; use a convolution instead")
    constant = _apply(call, x, torch.zeros(x.shape, dtype=torch.float64)).reshape(rows.steps.size, -1)
    if bool((constant != constant[:1]).any()):
        raise NotExpressible("adds constants that differ from step to step or from sample to sample")
    targets, places, weights = [], [], []
    entries = 0
    for start in range(0, count, rows.steps.size):
        part = np.arange(start, min(start + rows.steps.size, count))
        basis = torch.zeros(rows.steps.size, count, dtype=torch.float64)
        basis[np.arange(part.size), part] = 1.0
        answer = (
            _apply(call, x, basis.reshape(x.shape)).reshape(rows.steps.size, -1)[: part.size] - constant[: part.size]
        )
        row, column = np.nonzero(answer.numpy())
        targets.append(column)
        places.append(part[row])
        weights.append(answer.numpy()[row, column])
        entries += row.size
        if entries > MAX_ENTRIES:
            raise NotExpressible("has more than 2^26 weights without a form of their own; use a convolution instead")
    target, place, weight = (np.concatenate(parts) for parts in (targets, places, weights))
    order = np.lexsort((place, target))
    indptr = np.searchsorted(target[order], np.arange(size + 1))
    synapse = Sparse(indptr, place[order], weight[order], count, population_shape(out))
    node = call.node(Weights(synapse), (Source(call.one(sources, shape)),), out)
    call.give(rows, call.one(call.shifted((Source(node),), out, constant[0].numpy().reshape(out)), out))


def _apply(call: Call, x: Tensor, instead: Tensor) -> Any:
    def put(item: Any) -> Any:
        if item is x:
            return instead
        if isinstance(item, (tuple, list)):
            return type(item)(put(part) for part in item)
        return item

    return call.func(*put(call.args), **{key: put(value) for key, value in call.kwargs.items()})
