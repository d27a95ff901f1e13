"""Where a run's time goes: the time of every population on one thread, compared with the machine's limits.

limits.py measures the peak rates of the same kernels in the same run of the benchmark: `gather` with weights in the L1
cache, `gather_far` with weights in L2, and `neurons`, the rate of neuron updates. A layer's time then has four parts:

    gather     operations / gather
    weights    operations / gather_far - operations / gather, if its weights do not fit into L1
    neurons    updates / neurons
    the rest   listing spikes, clearing sums, rows narrower than a tile, scatter instead of gather, Python

The largest part is called the layer's limit. The rest is clipped at 0, since the rates were measured on other shapes.
Max pooling works on words of 64 channels and is not divided.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from neurosam.backends.event.backend import EventBackend
from neurosam_bench.cases import Case

__all__ = ["profile", "shares"]

L1_BYTES = 2**15
"""Weights up to this size are assumed to fit into the L1 cache."""


def profile(case: Case, repeats: int, limits: Mapping[str, float]) -> list[dict[str, Any]]:
    """Measure the median time of each population on one thread.

    Parameters
    ----------
    case : Case
    repeats : int
    limits : mapping
        As returned by :func:`~neurosam_bench.limits.roofline`.

    Returns
    -------
    list of dict
        ``population``, ``path``, ``median_s``, ``of_run`` (fraction of the total time), ``operations``,
        ``updates``, ``operations_per_s``, and for layers the result of :func:`shares`.
    """
    backend = EventBackend()
    runs = [backend.profile(case.network, case.events, threads=1) for _ in range(repeats + 1)][1:]
    medians = [float(np.median([row.time_s for row in repeats])) for repeats in zip(*runs, strict=True)]
    total = sum(medians)
    weights = {p.target: int(p.synapse.weight.size) for p in case.network.projections}
    return [
        {
            "population": row.population,
            "path": row.path,
            "median_s": seconds,
            "of_run": seconds / total,
            "operations": row.operations,
            "updates": row.updates,
            "operations_per_s": row.operations / seconds,
            **(
                shares(seconds, row.operations, row.updates, weights[row.population], limits)
                if row.path == "layer" and case.network.fixed  # the limits were measured with 8-bit weights
                else {}
            ),
        }
        for row, seconds in zip(runs[0], medians, strict=True)
    ]


def shares(seconds: float, operations: int, updates: int, weights: int, limits: Mapping[str, float]) -> dict[str, Any]:
    """Divide a layer's time into parts by the limits.

    Parameters
    ----------
    seconds : float
    operations, updates, weights : int
        Number of weights added, neurons times steps, and size of the weights in bytes.
    limits : mapping
        In 10^9 per second: ``gather_G_per_s``, ``gather_far_G_per_s``, ``neurons_G_per_s``.

    Returns
    -------
    dict
        ``of_gather`` and ``of_gather_far``, operations per second as a fraction of these limits; ``parts``, fractions
        of the time by name; ``limit``, the name of the largest part.
    """
    gathering = operations / (1e9 * limits["gather_G_per_s"]) / seconds
    reading = max(0.0, operations / (1e9 * limits["gather_far_G_per_s"]) / seconds - gathering)
    parts = {
        "gather": gathering,
        "weights": reading if weights > L1_BYTES else 0.0,
        "neurons": updates / (1e9 * limits["neurons_G_per_s"]) / seconds,
    }
    parts["the rest"] = max(0.0, 1.0 - sum(parts.values()))
    return {
        "of_gather": gathering,
        "of_gather_far": operations / (1e9 * limits["gather_far_G_per_s"]) / seconds,
        "parts": parts,
        "limit": max(parts, key=lambda name: parts[name]),
    }
