"""Search the thresholds of a quantised network on held-out samples, one population after the other.

Quantised weights are a little smaller or larger on average than the float ones, so a layer fires a little too rarely or
too often. For each population that fires, the threshold mantissas are multiplied by each candidate factor, and what is
subtracted at a spike with them. The factor of least loss is kept, among those with which no fewer predictions are right
than before. One sweep over all populations may be followed by others, which start from the result.

    right   the label, if there are labels; else the prediction of the float network
    loss    mean over samples of  - sum_k p_k log softmax(y / T)_k,   p = 1 for the label and 0 elsewhere, else
            softmax(x / T);  x, y: outputs of the float and of the fixed-point network in the same unit, T: steps

The number of right predictions is a coarse measure, which a search over a few hundred samples fits by chance; the loss
is a smooth one. The samples are divided in two: the search uses the first half, and the second, which it does not see,
tells whether what was found holds for other samples.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from neurosam._util.progress import reported
from neurosam.arithmetic import FRACTION_BITS, STATE_MAX
from neurosam.backends.registry import run
from neurosam.deploy.quantisation_report import QuantisationReport
from neurosam.errors import ArgumentError, EventError, NetworkError
from neurosam.network.fixed_neuron import THRESHOLD_MAX, FixedLIF
from neurosam.network.network import Network
from neurosam.signals.events import Events

__all__ = ["FACTORS", "ThresholdSearch", "scaled_thresholds", "search_thresholds"]

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


@reported("searching thresholds")
def search_thresholds(
    network: Network,
    fixed: Network,
    quantisation: QuantisationReport,
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
    quantisation : QuantisationReport
        As :func:`neurosam.quantise` returned it with `fixed`.
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
    >>> fixed, quantisation = ns.quantise(network, ns.Precision.lava(2), spikes)
    >>> better, search = search_thresholds(network, fixed, quantisation, spikes)
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
    names = [name for group in fixed.groups for name in group if isinstance(fixed[name].neuron, FixedLIF)]
    half = (events.samples + 1) // 2
    unit = 1.0 if fixed.readout.fires else _unit(quantisation, fixed.readout.name)
    searched, held_out = (
        _Goal.of(network, events.select(start, stop), None if labels is None else labels[start:stop], unit)
        for start, stop in ((0, half), (half, events.samples))
    )
    total, done = sweeps * len(names) * len(factors) + 3, 0

    def measure(candidate: Network, goal: _Goal) -> _Measure:
        nonlocal done
        measured = goal.measure(candidate)
        done += 1
        if progress is not None:
            progress(done, total)
        return measured

    before = best = measure(fixed, searched)
    found = dict.fromkeys(names, 1.0)
    for _ in range(sweeps):
        for name in names:
            start = found[name]
            for factor in factors:
                measured = measure(scaled_thresholds(fixed, found | {name: start * factor}), searched)
                if measured.loss < best.loss and measured.right >= best.right:
                    best, found[name] = measured, start * factor
    result = scaled_thresholds(fixed, found)
    search = ThresholdSearch(
        factors=found,
        measure="agreement" if labels is None else "accuracy",
        search_before=before.right,
        search_after=best.right,
        held_out_before=measure(fixed, held_out).right,
        held_out_after=measure(result, held_out).right,
        search_samples=half,
        held_out_samples=events.samples - half,
    )
    return result, search


class _Measure(NamedTuple):
    """Share of predictions that are right, and loss."""

    right: float
    loss: float


@dataclass(frozen=True, eq=False)
class _Goal:
    """Samples, their right predictions and target distributions, and the unit of fixed-point outputs."""

    events: Events
    predictions: npt.NDArray[np.int64]
    target: npt.NDArray[np.float64]
    unit: float

    @classmethod
    def of(cls, network: Network, events: Events, labels: npt.NDArray[np.int64] | None, unit: float) -> _Goal:
        recording = run(network, events)
        target = np.exp(_log_softmax(recording.output, 1 / events.steps))
        if labels is None:
            return cls(events, recording.predictions, target, unit)
        return cls(events, labels, np.eye(target.shape[1])[labels], unit)

    def measure(self, fixed: Network) -> _Measure:
        recording = run(fixed, self.events)
        log = _log_softmax(recording.output, self.unit / self.events.steps)
        right = float(np.mean(recording.predictions == self.predictions))
        return _Measure(right, -float((self.target * log).sum(axis=1).mean()))


def _log_softmax(output: npt.NDArray[Any], scale: float) -> npt.NDArray[np.float64]:
    x = output.reshape(len(output), -1) * scale
    x = x - x.max(axis=1, keepdims=True)
    return np.asarray(x - np.log(np.exp(x).sum(axis=1, keepdims=True)))


def _unit(quantisation: QuantisationReport, name: str) -> float:
    """Float value of one step of a membrane."""
    return next(row.unit for row in quantisation.populations if row.population == name) / (1 << FRACTION_BITS)


def scaled_thresholds(fixed: Network, factors: dict[str, float]) -> Network:
    """The network with thresholds and reset amounts multiplied, rounded, and kept inside their range.

    Parameters
    ----------
    fixed : Network
        In fixed point.
    factors : dict of str to float
        By population that fires; 1 where none is given.
    """
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
