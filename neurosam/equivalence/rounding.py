"""Spike differences attributable to rounding: spikes decided by the last bits of a membrane, and their consequences.

A membrane that differs by rounding only (divergence.py) can still decide a spike if it is that close to the threshold.
A spike that only one side has is *rounded* if the membrane of the silent side (which was not reset, so it is still the
one compared with the threshold) is within the tolerance of the threshold, and so is the membrane of the side that
fired, if its reset can be undone. Whatever the spike can have changed is *caused* by it and not counted as a mismatch:
its own neuron from that step on (and the neuron's pixel of the map, and its population's count), and every population
that it reaches, from the step at which it can first arrive there.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from neurosam.arithmetic import FRACTION_BITS
from neurosam.equivalence.divergence import Divergence, Index, Mismatches, Variable, mismatches
from neurosam.network.fixed_neuron import FixedLIF
from neurosam.network.network import Network
from neurosam.network.neuron import LIF
from neurosam.network.schedule import earliest
from neurosam.network.synapse import as_chw, neurons

__all__ = ["Consequences", "reach", "rounded", "silent_distance"]

NEVER = np.iinfo(np.int64).max


def silent_distance(
    where: Mismatches, spikes: Variable, membrane: Variable, network: Network
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Distances to the threshold at mismatches of one population.

    Returns
    -------
    silent : array
        Threshold minus the membrane of the side that did not fire; NaN where the spikes agree.
    fired : array
        Membrane before the reset, of the side that fired, minus threshold; NaN where the spikes agree or the reset
        cannot be undone.
    """
    threshold, amount = _levels(network, spikes.population)
    at = (where.step, where.sample, where.neuron)
    a_fired = spikes.a[at].astype(bool)
    differ = a_fired != spikes.b[at].astype(bool)
    a, b = membrane.a[at].astype(np.float64), membrane.b[at].astype(np.float64)
    level = threshold[where.neuron]
    silent = np.where(differ, level - np.where(a_fired, b, a), np.nan)
    fired = np.where(differ, np.where(a_fired, a, b) + amount[where.neuron] - level, np.nan)
    return silent, fired


def _levels(network: Network, name: str) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Threshold and reset amount (NaN for a reset to zero) of every neuron, in units of its membrane."""
    population = network[name]
    neuron = population.neuron
    if not isinstance(neuron, (LIF, FixedLIF)):
        nothing = np.full(neurons(population.shape), np.nan)
        return nothing, nothing
    shift = 1 << FRACTION_BITS if isinstance(neuron, FixedLIF) else 1
    channels, height, width = as_chw(population.shape)
    reset = neuron.reset_amount if isinstance(neuron, LIF) else neuron.reset_amount_64ths
    amount = np.nan if reset is None else reset
    levels = (np.asarray(neuron.threshold) * shift, np.asarray(amount))
    threshold, reset = (np.repeat(np.broadcast_to(x, channels).astype(np.float64), height * width) for x in levels)
    return threshold, reset


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
        if v.population not in self._neuron_from or v.name == "current":
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
    variables: Iterable[Variable], network: Network, samples: int, tolerance: float
) -> tuple[list[Divergence], Consequences]:
    """The spikes that rounding decided, in causal order, and their consequences; `variables` are in causal order."""
    by_name = {(v.population, v.name): v for v in variables}
    pairs = [
        (spikes, by_name[population, "membrane"])
        for (population, name), spikes in by_name.items()
        if name == "spikes" and (population, "membrane") in by_name
    ]
    differing = [mismatches(spikes, 0.0) for spikes, _ in pairs]
    rounded_spikes: list[Divergence] = []
    consequences = Consequences(network, samples)
    for step in np.unique(np.concatenate([m.step for m in differing])) if differing else ():
        for (spikes, membrane), all_steps in zip(pairs, differing, strict=True):
            start, stop = np.searchsorted(all_steps.step, [step, step + 1])
            now = Mismatches(spikes, *(x[start:stop] for x in (all_steps.step, all_steps.sample, all_steps.neuron)))
            now = now.where(~consequences.cover(now))
            if not len(now):
                continue
            silent, fired = silent_distance(now, spikes, membrane, network)
            bound = tolerance * (membrane.scale + np.abs(silent))
            close = (np.abs(silent) <= bound) & (np.isnan(fired) | (np.abs(fired) <= bound))
            rounded_spikes.extend(now.where(close).divergences(silent[close]))
            consequences.add(now.where(close))
    return rounded_spikes, consequences
