"""Where a run's time goes: seconds of every population on one thread, held against the limits of the same minute.

limits.py measures the highest rates of the same kernels: `near`, weights gathered from the first cache; `far`, from
the second; `neurons`, neurons advanced. A layer's time then has four parts:

    gather     operations / near
    weights    operations / far - operations / near, where its weights do not fit the first cache
    neurons    updates / neurons
    the rest   listing spikes, clearing sums, rows narrower than a tile, scatter instead of gather, Python

The largest is called its limit; the rest is at least 0, since the rates are those of other shapes. Max
pooling works on words of 64 channels and has no such parts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from neurosam.backends.event.backend import EventBackend
from neurosam_bench.cases import Case

__all__ = ["profile", "shares"]

FIRST_CACHE = 2**15
"""Bytes of weights up to which a first-level cache is taken to hold them."""


def profile(case: Case, repeats: int, limits: Mapping[str, float]) -> list[dict[str, Any]]:
    """Median seconds of each population on one thread.

    Parameters
    ----------
    case : Case
    repeats : int
    limits : mapping
        Of :func:`~neurosam_bench.limits.roofline`.

    Returns
    -------
    list of dict
        ``population``, ``path``, ``median_s``, ``of_run`` (share of all populations' time), ``operations``,
        ``updates``, ``operations_per_s``, and for layers what :func:`shares` finds.
    """
    backend = EventBackend()
    runs = [backend.profile(case.network, case.events, threads=1) for _ in range(repeats + 1)][1:]
    medians = [float(np.median([row.time_s for row in same])) for same in zip(*runs, strict=True)]
    whole = sum(medians)
    weights = {p.target: int(p.synapse.weight.size) for p in case.network.projections}
    return [
        {
            "population": row.population,
            "path": row.path,
            "median_s": seconds,
            "of_run": seconds / whole,
            "operations": row.operations,
            "updates": row.updates,
            "operations_per_s": row.operations / seconds,
            **(
                shares(seconds, row.operations, row.updates, weights[row.population], limits)
                if row.path == "layer" and case.network.fixed  # the limits are those of 8-bit weights
                else {}
            ),
        }
        for row, seconds in zip(runs[0], medians, strict=True)
    ]


def shares(seconds: float, operations: int, updates: int, weights: int, limits: Mapping[str, float]) -> dict[str, Any]:
    """How much of a layer's time the limits explain.

    Parameters
    ----------
    seconds : float
    operations, updates, weights : int
        Weights added, neurons times steps, and bytes of weights.
    limits : mapping
        In 10^9 a second: ``gather_G_per_s``, ``gather_far_G_per_s``, ``neurons_G_per_s``.

    Returns
    -------
    dict
        ``of_gather`` and ``of_gather_far``, operations a second as a share of theirs; ``parts``, shares of the time by
        name; ``limit``, the name of the largest.
    """
    gathering = operations / (1e9 * limits["gather_G_per_s"]) / seconds
    reading = max(0.0, operations / (1e9 * limits["gather_far_G_per_s"]) / seconds - gathering)
    parts = {
        "gather": gathering,
        "weights": reading if weights > FIRST_CACHE else 0.0,
        "neurons": updates / (1e9 * limits["neurons_G_per_s"]) / seconds,
    }
    parts["the rest"] = max(0.0, 1.0 - sum(parts.values()))
    return {
        "of_gather": gathering,
        "of_gather_far": operations / (1e9 * limits["gather_far_G_per_s"]) / seconds,
        "parts": parts,
        "limit": max(parts, key=lambda name: parts[name]),
    }
