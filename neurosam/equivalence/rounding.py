"""Spike differences attributable to rounding: spikes decided by the last bits of a membrane, and their consequences.

A membrane that differs by rounding only (tolerance.py) can still decide a spike if it is that close to the threshold.
A spike that only one side has is *rounded* if the membrane of the silent side is within the tolerance of the threshold,
and so is the membrane of the side that fired, if its reset can be undone (threshold.py). Whatever the spike can have
changed is *caused* by it and not counted as a mismatch: its own neuron from that step on (and the neuron's pixel of the
map, and its population's count), and every population that it reaches, from the step at which it can first arrive.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from neurosam.equivalence.divergence import Divergence, Index, Mismatches, Variable, mismatches
from neurosam.equivalence.threshold import silent_distance
from neurosam.network.network import Network
from neurosam.network.schedule import earliest
from neurosam.network.synapse import as_chw, neurons
from neurosam.signals.state import State

__all__ = ["Consequences", "reach", "rounded"]

NEVER = np.iinfo(np.int64).max


class Consequences:
    """The values that rounded spikes can have changed, per sample.

    Parameters
    ----------
    network : Network
    samples : int
    """

    def __init__(self, network: Network, samples: int) -> None:
        self._network = network
        self._samples = samples
        self._reach: dict[str, dict[str, int]] = {}
        # first step that can be affected: of whole populations [B], and of the neurons that had rounded spikes [B, N]
        self._population_from = {p.name: np.full(samples, NEVER) for p in network.populations}
        self._neuron_from: dict[str, Index] = {}

    def add(self, spikes: Mismatches) -> None:
        """Add the consequences of rounded spikes of one population."""
        name = spikes.variable.population
        start = self._neuron_from.setdefault(name, np.full((self._samples, neurons(spikes.variable.shape)), NEVER))
        np.minimum.at(start, (spikes.sample, spikes.neuron), spikes.step)
        if name not in self._reach:
            self._reach[name] = reach(self._network, name)
        for target, steps in self._reach[name].items():
            np.minimum.at(self._population_from[target], spikes.sample, spikes.step + steps)

    def cover(self, differing: Mismatches) -> npt.NDArray[np.bool_]:
        """Which mismatches can be consequences of the spikes added so far."""
        v = differing.variable
        covered: npt.NDArray[np.bool_] = differing.step >= self._population_from[v.population][differing.sample]
        if v.population not in self._neuron_from or v.name in ("current", "state.u"):
            return covered
        by_neuron = self._neuron_from[v.population]
        if v.name == "counts":
            start = by_neuron.min(axis=1)[differing.sample]
        elif v.name == "sam":
            channels, height, width = as_chw(self._network[v.population].shape)
            start = by_neuron.reshape(-1, channels, height * width).min(axis=1)[differing.sample, differing.neuron]
        else:
            start = by_neuron[differing.sample, differing.neuron]
        covered = covered | (differing.step >= start)
        return covered


def reach(network: Network, name: str) -> dict[str, int]:
    """Steps until a spike of `name` can first have an effect, by population that it reaches (itself through a loop)."""
    edges = [(p.source, p.target, network.lag(p)) for p in network.projections]
    return earliest([(target, lag) for source, target, lag in edges if source == name], edges)


def rounded(
    variables: Iterable[Variable], network: Network, samples: int, tolerance: float, initial: State | None = None
) -> tuple[list[Divergence], Consequences]:
    """The spikes that rounding decided, in causal order, and their consequences; `variables` are in causal order."""
    by_name = {(v.population, v.name): v for v in variables}
    pairs = [
        (spikes, by_name[population, "membrane"])
        for (population, name), spikes in by_name.items()
        if name == "spikes" and (population, "membrane") in by_name
    ]
    differing = [mismatches(spikes, 0.0) for spikes, _ in pairs]
    distances = [
        silent_distance(where, spikes, membrane, network, initial)
        for where, (spikes, membrane) in zip(differing, pairs, strict=True)
    ]
    rounded_spikes: list[Divergence] = []
    consequences = Consequences(network, samples)
    for step in np.unique(np.concatenate([m.step for m in differing])) if differing else ():
        for where, (_, membrane), distance in zip(differing, pairs, distances, strict=True):
            start, stop = np.searchsorted(where.step, [step, step + 1])
            candidates = np.arange(start, stop)
            candidates = candidates[~consequences.cover(where.at(candidates))]
            silent, fired = (x[candidates] for x in distance)
            bound = tolerance * (membrane.scale + np.abs(silent))
            close = (np.abs(silent) <= bound) & (bound < np.inf) & (np.isnan(fired) | (np.abs(fired) <= bound))
            found = where.at(candidates[close])
            rounded_spikes.extend(found.divergences(silent[close]))
            consequences.add(found)
    return rounded_spikes, consequences
