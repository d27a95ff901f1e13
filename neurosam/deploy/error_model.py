"""Expected quantisation error of a neuron's input, from the activity of its sources.

For sources j that send independent values s_j, with mean r_j = E|s_j| and power p_j = E[s_j^2] (both are the firing
rate if s_j is a spike), the expected squared error of a neuron's input is

    sum_j dw_j^2 p_j  +  (sum_j dw_j r_j)^2          (variance, up to r^2, and squared mean)

where dw is the difference between a weight and its quantised value. The sum of a projection with a negative exponent is
rounded down, by half a unit q on average: q^2 / 3 more in every step in which it receives something.

Activity is measured on calibration events (:func:`observe`), which may not represent what comes later. Therefore

- n observed steps count n times, and the typical activity (the mean over the sources that were active) counts
  ``PRIOR_STEPS`` times: a short calibration says little about a single source;
- the error of a weight that clips counts as if its source had at least the typical activity. Clipping a weight whose
  source happened to be silent is not free.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from neurosam.backends.registry import run
from neurosam.network.elements import Population, Projection
from neurosam.network.network import Network
from neurosam.network.synapse import Conv2d, Sparse, Synapse, neurons
from neurosam.signals.inputs import Inputs
from neurosam.signals.recording import Record

__all__ = [
    "PRIOR_STEPS",
    "Activity",
    "Observation",
    "by_address",
    "expected_errors",
    "expected_loss",
    "observe",
    "to_weights",
    "uninformed",
]

UNINFORMED_RATE = 0.1
PRIOR_STEPS = 16
MEMORY_BYTES = 2**28
BEYOND_ROUNDING = 0.5 * (1 + 1e-9)
"""Errors of more steps than this are those of weights that clip."""

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Activity:
    """What the neurons of a population send per step.

    Attributes
    ----------
    rate, power : array of the population's shape
        Mean |value| and mean squared value.
    steps : float
        Observed steps of all samples together; 0 if nothing was observed.
    """

    rate: Array
    power: Array
    steps: float


@dataclass(frozen=True, eq=False)
class Observation:
    """Activity of a network on typical input.

    Attributes
    ----------
    sent : dict of str to Activity
        By population that fires.
    membrane_peaks : dict of str to (C,) array
        Largest |membrane| of each channel.
    predictions : (B,) int64 array
    decided : (B,) bool array
        Whether the outputs of a sample differ at all, so that its prediction means something.
    steps : int
        Length of a sample; 0 without calibration.
    """

    sent: dict[str, Activity]
    membrane_peaks: dict[str, Array]
    predictions: npt.NDArray[np.int64]
    decided: npt.NDArray[np.bool_]
    steps: int

    @property
    def informed(self) -> bool:
        """Whether there was a calibration."""
        return self.steps > 0


def uninformed(network: Network) -> Observation:
    """What is assumed without typical input: every source is equally active, and membranes are not known."""
    sent = {p.name: _typical(p) for p in network.populations if p.fires}
    return Observation(sent, {}, np.zeros(0, dtype=np.int64), np.zeros(0, dtype=bool), 0)


def _typical(population: Population) -> Activity:
    rate = np.full(population.shape, UNINFORMED_RATE * population.largest_event)
    return Activity(rate, rate * population.largest_event, 0)


def observe(network: Network, events: Inputs) -> Observation:
    """Run a network on `events` and collect the statistics, a few samples at a time to bound the memory."""
    simulated = [p for p in network.populations if p.neuron is not None]
    record = Record(spikes=tuple(p.name for p in simulated if p.fires), membrane=tuple(p.name for p in simulated))
    chunk = max(1, MEMORY_BYTES // (8 * events.steps * sum(neurons(p.shape) for p in simulated)))
    rates = {p.name: np.zeros(p.shape) for p in network.populations if p.fires}
    powers = {name: rate.copy() for name, rate in rates.items()}
    peaks = {p.name: np.zeros(p.shape[0]) for p in simulated}
    predictions, decided = [], []
    for start in range(0, events.samples, chunk):
        part = events.select(start, start + chunk)
        recording = run(network, part, record=record)
        sent = {name: values.dense().astype(np.float64) for name, values in part.items()}
        sent |= {name: spikes.dense().astype(np.float64) for name, spikes in recording.spikes.items()}
        for name, values in sent.items():
            rates[name] += np.abs(values).sum(axis=(0, 1))
            powers[name] += np.square(values).sum(axis=(0, 1))
        for name, membrane in recording.membrane.items():
            by_channel = np.abs(membrane).reshape(-1, peaks[name].size, membrane[0, 0].size // peaks[name].size)
            peaks[name] = np.maximum(peaks[name], by_channel.max(axis=(0, 2), initial=0))
        predictions.append(recording.predictions)
        decided.append(np.ptp(recording.output.reshape(recording.samples, -1), axis=1) > 0)
    total = events.steps * events.samples
    activities = {name: Activity(rates[name] / total, powers[name] / total, total) for name in rates}
    return Observation(activities, peaks, np.concatenate(predictions), np.concatenate(decided), events.steps)


def expected_loss(projection: Projection, fixed: Projection, unit: Any, sent: Activity) -> float:
    """Expected squared error of a target's input in one step, averaged over targets (or output channels)."""
    return float(np.mean(expected_errors(projection, fixed, unit, sent)))


def expected_errors(projection: Projection, fixed: Projection, unit: Any, sent: Activity) -> Array:
    """Expected squared error of the input of each target (or output channel) in one step, ``(O,)``.

    Parameters
    ----------
    projection, fixed : Projection
        The float projection and the quantised one.
    unit : float or array that broadcasts to the weights
        Float value of mantissa 1 at exponent 0.
    sent : Activity
        Of the source.
    """
    synapse = projection.synapse
    step = unit * 2.0**fixed.exponent
    error = synapse.weight - fixed.synapse.weight * step
    by_weight = _expected_activity(projection, sent)
    power = np.where(np.abs(error) > BEYOND_ROUNDING * step, by_weight.clipped_power, by_weight.power)
    errors = _row_sum(synapse, error**2 * power) + _row_sum(synapse, error * by_weight.rate) ** 2
    if fixed.exponent < 0:
        received = np.minimum(1.0, _row_sum(synapse, np.broadcast_to(by_weight.rate, error.shape)))
        per_row = np.broadcast_to(unit, error.shape)
        errors += _row_value(synapse, per_row) ** 2 / 3 * received
    return errors


@dataclass(frozen=True, eq=False)
class _ByWeight:
    """Expected activity of the source of each weight, in arrays that broadcast to the weights."""

    rate: Array
    power: Array
    clipped_power: Array


def _expected_activity(projection: Projection, sent: Activity) -> _ByWeight:
    synapse = projection.synapse
    rate, power = (by_address(projection, values) for values in (sent.rate, sent.power))
    steps = sent.steps * (sent.rate.size // rate.size if isinstance(synapse, Conv2d) else 1)
    rate, _ = _with_prior(rate, steps)
    power, typical = _with_prior(power, steps)
    return _ByWeight(*(to_weights(synapse, x) for x in (rate, power, np.maximum(power, typical))))


def by_address(projection: Projection, values: Array) -> Array:
    """Values of source neurons, ``(C, H, W)`` or ``(N,)``, for the addresses that own weights: flat.

    The address of a pool sends the sum of its window; a weight of a convolution is used at all positions of a channel.
    Both take the mean of a channel.
    """
    pool, synapse = projection.pool, projection.synapse
    if pool is None and not isinstance(synapse, Conv2d):
        return values.reshape(-1)
    by_channel = values.reshape(values.shape[0], -1).mean(axis=1) * (pool.area if pool else 1)
    if isinstance(synapse, Conv2d):
        return np.asarray(by_channel)
    return np.repeat(by_channel, neurons(pool.output_shape(values.shape)[1:]) if pool else 1)


def to_weights(synapse: Synapse, values: Array) -> Array:
    """Values of addresses as an array that broadcasts to the weights."""
    if isinstance(synapse, Conv2d):
        by_group = values.reshape(synapse.groups, -1)
        return np.repeat(by_group, synapse.weight.shape[0] // synapse.groups, axis=0)[:, :, None, None]
    return values[synapse.indices] if isinstance(synapse, Sparse) else values


def _with_prior(measured: Array, steps: float) -> tuple[Array, float]:
    """What is expected after `steps` observed ones, and what is typical."""
    active = measured[measured > 0]
    typical = float(active.mean()) if active.size else UNINFORMED_RATE
    return (steps * measured + PRIOR_STEPS * typical) / (steps + PRIOR_STEPS), typical


def _row_sum(synapse: Synapse, values: Array) -> Array:
    """Sum over the weights of each target (or output channel), ``(O,)``."""
    if isinstance(synapse, Sparse):
        count = synapse.indptr.size - 1
        rows = np.repeat(np.arange(count), np.diff(synapse.indptr))
        return np.asarray(np.bincount(rows, values, minlength=count), dtype=np.float64)
    return np.asarray(values.reshape(len(values), -1).sum(axis=1))


def _row_value(synapse: Synapse, values: Array) -> Array:
    """The common value of the weights of each target (or output channel), ``(O,)``; 0 where there are no weights."""
    if isinstance(synapse, Sparse):
        filled = np.diff(synapse.indptr) > 0
        rows = np.zeros(filled.size)
        rows[filled] = values[synapse.indptr[:-1][filled]]
        return rows
    return np.asarray(values.reshape(len(values), -1)[:, 0])
