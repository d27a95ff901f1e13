"""Search the thresholds of a quantised network on held-out samples, one population after the other.

Quantised weights are a little smaller or larger on average than the float ones, so a layer fires a little too rarely or
too often. For each population that fires, the threshold mantissas are multiplied by each candidate factor, and what is
subtracted at a spike with them; the factor with the best score is kept, if it is better than none. One sweep over all
populations may be followed by others, which start from the result.

    score    accuracy, if there are labels; else agreement with the predictions of the float network

The samples are divided in two. Factors are chosen on the first half; the second is not seen by the search, and tells
whether what was found holds for other samples.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from neurosam.arithmetic import STATE_MAX
from neurosam.backends.registry import run
from neurosam.errors import ArgumentError, EventError, NetworkError
from neurosam.network.fixed_neuron import THRESHOLD_MAX, FixedLIF
from neurosam.network.network import Network
from neurosam.signals.events import Events

__all__ = ["FACTORS", "ThresholdSearch", "search_thresholds"]

FACTORS = (0.8, 0.9, 0.95, 1.05, 1.1, 1.2)
"""Candidate factors of a threshold."""


@dataclass(frozen=True)
class ThresholdSearch:
    """What :func:`search_thresholds` found.

    Attributes
    ----------
    factors : dict of str to float
        By population that fires; 1 where nothing was better.
    measure : {"accuracy", "agreement"}
        Of which the four scores are.
    search_before, search_after : float
        On the samples that factors were chosen on.
    held_out_before, held_out_after : float
        On the samples that the search did not see.
    search_samples, held_out_samples : int
    """

    factors: dict[str, float]
    measure: str
    search_before: float
    search_after: float
    held_out_before: float
    held_out_after: float
    search_samples: int
    held_out_samples: int


def search_thresholds(
    network: Network,
    fixed: Network,
    events: Events,
    labels: npt.NDArray[np.int64] | None = None,
    *,
    factors: Sequence[float] = FACTORS,
    sweeps: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Network, ThresholdSearch]:
    """Scale the thresholds of a fixed-point network where that brings predictions closer to those wanted.

    Parameters
    ----------
    network : Network
        The float network that `fixed` was made from; without labels, its predictions are what is wanted.
    fixed : Network
    events : Events
        At least 2 samples that the network was neither trained nor calibrated on; a few hundred are enough. The first
        half is searched on.
    labels : (B,) int64 array, optional
    factors : sequence of float
        Candidates, each above 0.
    sweeps : int
        At least 1.
    progress : callable, optional
        Called with (runs done, all runs).

    Returns
    -------
    network : Network
        `fixed` with other thresholds and reset amounts.
    search : ThresholdSearch

    Raises
    ------
    EventError
        For too few samples, or labels that are not one for each.
    ArgumentError
        If a factor is not above 0, or there is no sweep.
    NetworkError
        If `fixed` is not in fixed point.

    Examples
    --------
    >>> from neurosam.deploy.threshold_search import search_thresholds
    >>> rng = np.random.default_rng(0)
    >>> network = ns.Network(
    ...     [
    ...         ns.Population("in", (8,)),
    ...         ns.Population("a", (6,), ns.LIF(leak=0.9, threshold=1.0)),
    ...         ns.Population("out", (3,), ns.Readout()),
    ...     ],
    ...     [
    ...         ns.Projection("in", "a", ns.Dense(rng.normal(0, 0.5, (6, 8)))),
    ...         ns.Projection("a", "out", ns.Dense(rng.normal(0, 0.5, (3, 6)))),
    ...     ],
    ... )
    >>> spikes = ns.Events.from_dense((rng.random((10, 64, 8)) < 0.3).astype(np.uint8))
    >>> fixed, _ = ns.quantise(network, ns.Precision.lava(2), spikes)
    >>> better, search = search_thresholds(network, fixed, spikes)
    >>> search.search_after >= search.search_before, list(search.factors)
    (True, ['a'])
    """
    if not fixed.fixed:
        raise NetworkError("search_thresholds: fixed", "is a float network; quantise it first")
    if events.samples < 2:
        raise EventError("search_thresholds: events", f"got {events.samples} samples; at least 2 are required")
    if labels is not None and labels.shape != (events.samples,):
        raise EventError(
            "search_thresholds: labels", f"got {labels.shape}; one for each of {events.samples} is required"
        )
    if sweeps < 1 or not all(np.isfinite(factor) and factor > 0 for factor in factors):
        raise ArgumentError("search_thresholds", f"got factors {[*factors]}, sweeps {sweeps}; above 0, at least 1")
    wanted = run(network, events).predictions if labels is None else labels
    names = [name for group in fixed.groups for name in group if isinstance(fixed[name].neuron, FixedLIF)]
    half = (events.samples + 1) // 2
    searched, held_out = events.select(0, half), events.select(half, events.samples)
    total, done = sweeps * len(names) * len(factors) + 3, 0

    def score(candidate: Network, part: Events, target: npt.NDArray[np.int64]) -> float:
        nonlocal done
        value = float(np.mean(run(candidate, part).predictions == target))
        done += 1
        if progress is not None:
            progress(min(done, total), total)
        return value

    before = best = score(fixed, searched, wanted[:half])
    found = dict.fromkeys(names, 1.0)
    for _ in range(sweeps):
        for name in names:
            start = found[name]
            for factor in factors:
                candidate = _scaled(fixed, found | {name: start * factor})
                if (value := score(candidate, searched, wanted[:half])) > best:
                    best, found[name] = value, start * factor
    result = _scaled(fixed, found)
    search = ThresholdSearch(
        factors=found,
        measure="agreement" if labels is None else "accuracy",
        search_before=before,
        search_after=best,
        held_out_before=score(fixed, held_out, wanted[half:]),
        held_out_after=score(result, held_out, wanted[half:]),
        search_samples=half,
        held_out_samples=events.samples - half,
    )
    return result, search


def _scaled(fixed: Network, factors: dict[str, float]) -> Network:
    """The network with thresholds and reset amounts multiplied, rounded, and kept inside their range."""
    populations = []
    for population in fixed.populations:
        neuron, factor = population.neuron, factors.get(population.name, 1.0)
        if isinstance(neuron, FixedLIF) and factor != 1.0:
            threshold = _times(neuron.threshold, factor, THRESHOLD_MAX)
            whole = neuron.reset_amount_64ths
            amount = None if whole is None else _times(whole, factor, STATE_MAX)
            population = replace(population, neuron=replace(neuron, threshold=threshold, reset_amount_64ths=amount))
        populations.append(population)
    return replace(fixed, populations=populations)


def _times(value: Any, factor: float, high: int) -> npt.NDArray[np.int64]:
    return np.clip(np.rint(np.asarray(value) * factor), 1, high).astype(np.int64)
