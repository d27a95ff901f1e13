"""Which differences of a float run rounding explains: spikes decided by the last bits, and what they changed.

A membrane that differs by rounding (divergence.py) can still decide a spike, if it lies that close to its threshold. A
spike of one side only is *rounded* if the silent side's membrane (not reset, so still that of the decision) is within
the bound of the threshold, and so is that of the fired side where a subtraction can be undone. What it can have changed
is *caused*, and is not judged: its own neuron from that step on (its pixel of the map, its population's count), and
every population that it reaches, from the step at which it can first arrive there.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from neurosam.arithmetic import FRACTION_BITS
from neurosam.equivalence.divergence import Divergence, Index, Mismatches, Variable, mismatches
from neurosam.network.network import Network
from neurosam.network.neuron import LIF, FixedLIF
from neurosam.network.schedule import earliest
from neurosam.network.synapse import as_chw, neurons

__all__ = ["Consequences", "reach", "rounded", "silent_distance"]

NEVER = np.iinfo(np.int64).max


def silent_distance(
    found: Mismatches, spikes: Variable, membrane: Variable, network: Network
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """At mismatches of one population: threshold minus the silent side's membrane, and the fired side's excess over it.

    NaN where the spikes agree, or where the fired side's reset cannot be undone.
    """
    threshold, amount = _levels(network, spikes.population)
    at = (found.step, found.sample, found.neuron)
    first = spikes.a[at].astype(bool)
    differ = first != spikes.b[at].astype(bool)
    a, b = membrane.a[at].astype(np.float64), membrane.b[at].astype(np.float64)
    level = threshold[found.neuron]
    silent = np.where(differ, level - np.where(first, b, a), np.nan)
    fired = np.where(differ, np.where(first, a, b) + amount[found.neuron] - level, np.nan)
    return silent, fired


def _levels(network: Network, name: str) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Threshold and reset amount (NaN for a reset to zero) of every neuron, in the unit of its membrane."""
    population = network[name]
    neuron = population.neuron
    if not isinstance(neuron, (LIF, FixedLIF)):
        nothing = np.full(neurons(population.shape), np.nan)
        return nothing, nothing
    shift = 1 << FRACTION_BITS if isinstance(neuron, FixedLIF) else 1
    channels, height, width = as_chw(population.shape)
    amount = np.nan if neuron.reset_amount is None else neuron.reset_amount
    levels = (np.asarray(neuron.threshold) * shift, np.asarray(amount))
    threshold, reset = (np.repeat(np.broadcast_to(x, channels).astype(np.float64), height * width) for x in levels)
    return threshold, reset


class Consequences:
    """What the spikes that rounding decided can have changed, sample by sample.

    Parameters
    ----------
    network : Network
    samples : int
    """

    def __init__(self, network: Network, samples: int) -> None:
        self._network = network
        self._samples = samples
        self._reach: dict[str, dict[str, int]] = {}
        self._everywhere = {p.name: np.full(samples, NEVER) for p in network.populations}
        self._own: dict[str, Index] = {}

    def add(self, spikes: Mismatches) -> None:
        """Count what follows from spikes of one population."""
        name = spikes.variable.population
        own = self._own.setdefault(name, np.full((self._samples, neurons(spikes.variable.shape)), NEVER))
        np.minimum.at(own, (spikes.sample, spikes.neuron), spikes.step)
        if name not in self._reach:
            self._reach[name] = reach(self._network, name)
        for target, steps in self._reach[name].items():
            np.minimum.at(self._everywhere[target], spikes.sample, spikes.step + steps)

    def cover(self, found: Mismatches) -> npt.NDArray[np.bool_]:
        """Which mismatches follow from the spikes added so far."""
        v = found.variable
        covered: npt.NDArray[np.bool_] = found.step >= self._everywhere[v.population][found.sample]
        if v.population not in self._own or v.name == "current":
            return covered
        own = self._own[v.population]
        if v.name == "counts":
            start = own.min(axis=1)[found.sample]
        elif v.name == "sam":
            channels, height, width = as_chw(self._network[v.population].shape)
            start = own.reshape(-1, channels, height * width).min(axis=1)[found.sample, found.neuron]
        else:
            start = own[found.sample, found.neuron]
        covered = covered | (found.step >= start)
        return covered


def reach(network: Network, name: str) -> dict[str, int]:
    """Least own steps until a spike of `name` can act, for each population that it reaches (itself by a loop)."""
    edges = [(p.source, p.target, network.lag(p)) for p in network.projections]
    return earliest([(target, lag) for source, target, lag in edges if source == name], edges)


def rounded(
    variables: Iterable[Variable], network: Network, samples: int, tolerance: float
) -> tuple[list[Divergence], Consequences]:
    """The spikes that rounding decided, in causal order, and their consequences."""
    by_name = {(v.population, v.name): v for v in variables}
    pairs = [
        (spikes, by_name[population, "membrane"])
        for (population, name), spikes in by_name.items()
        if name == "spikes" and (population, "membrane") in by_name
    ]
    pairs.sort(key=lambda pair: pair[0].order)
    found = [mismatches(spikes, 0.0) for spikes, _ in pairs]
    near: list[Divergence] = []
    effects = Consequences(network, samples)
    for step in np.unique(np.concatenate([m.step for m in found])) if found else ():
        for (spikes, membrane), all_steps in zip(pairs, found, strict=True):
            start, stop = np.searchsorted(all_steps.step, [step, step + 1])
            now = Mismatches(spikes, *(x[start:stop] for x in (all_steps.step, all_steps.sample, all_steps.neuron)))
            now = now.where(~effects.cover(now))
            if not len(now):
                continue
            silent, fired = silent_distance(now, spikes, membrane, network)
            bound = tolerance * (membrane.scale + np.abs(silent))
            close = (np.abs(silent) <= bound) & (np.isnan(fired) | (np.abs(fired) <= bound))
            near.extend(now.where(close).divergences(silent[close]))
            effects.add(now.where(close))
    return near, effects
