"""Expected quantisation error of a neuron's input, from the firing rates of its sources.

For sources j that spike independently at rate r_j, the expected squared error of a neuron's input is

    sum_j dw_j^2 r_j  +  (sum_j dw_j r_j)^2          (variance, up to r^2, and squared mean)

where dw is the difference between a weight and its quantised value. Rates are measured on typical input
(:func:`observe`), as are the largest membranes, which decide how much head-room is needed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from neurosam.backends.registry import run
from neurosam.network.elements import Projection
from neurosam.network.network import Network
from neurosam.network.synapse import Conv2d, Dense, neurons
from neurosam.signals.events import Events
from neurosam.signals.recording import Record

__all__ = ["Observation", "expected_loss", "observe", "uninformed"]

UNINFORMED_RATE = 0.1
MEMORY_BYTES = 2**28


@dataclass(frozen=True, eq=False)
class Observation:
    """Activity of a network on typical input.

    Attributes
    ----------
    rates : dict of str to array of the population's shape
        Mean |value| that each source neuron sends per step.
    membrane_peaks : dict of str to float
        Largest |membrane| of each population.
    predictions : (B,) int64 array
    """

    rates: dict[str, npt.NDArray[np.float64]]
    membrane_peaks: dict[str, float]
    predictions: npt.NDArray[np.int64]


def uninformed(network: Network) -> Observation:
    """What is assumed without typical input: every source is equally active, and membranes are not known."""
    rates = {p.name: np.full(p.shape, UNINFORMED_RATE) for p in network.populations if p.fires}
    return Observation(rates, {}, np.zeros(0, dtype=np.int64))


def observe(network: Network, events: Events) -> Observation:
    """Run a network on `events` and collect the statistics, a few samples at a time to bound the memory."""
    simulated = [p for p in network.populations if p.neuron is not None]
    record = Record(spikes=tuple(p.name for p in simulated if p.fires), membrane=tuple(p.name for p in simulated))
    chunk = max(1, MEMORY_BYTES // (8 * events.steps * sum(neurons(p.shape) for p in simulated)))
    rates = {p.name: np.zeros(p.shape) for p in network.populations if p.fires}
    peaks = dict.fromkeys(record.membrane, 0.0)
    predictions = []
    for start in range(0, events.samples, chunk):
        part = events.select(start, start + chunk)
        recording = run(network, part, record=record)
        rates[network.input.name] += np.abs(part.dense().astype(np.float64)).sum(axis=(0, 1))
        for name, spikes in recording.spikes.items():
            rates[name] += spikes.dense().sum(axis=(0, 1))
        for name, membrane in recording.membrane.items():
            peaks[name] = max(peaks[name], float(np.abs(membrane).max(initial=0)))
        predictions.append(recording.predictions)
    rates = {name: total / (events.steps * events.samples) for name, total in rates.items()}
    return Observation(rates, peaks, np.concatenate(predictions))


def expected_loss(projection: Projection, fixed: Projection, unit: float, rate: npt.NDArray[np.float64]) -> float:
    """Expected squared error of a target's input in one step, averaged over targets (or output channels).

    Parameters
    ----------
    projection, fixed : Projection
        The float projection and the quantised one.
    unit : float
        Float value of mantissa 1 at exponent 0.
    rate : array of the source's shape
        Mean |value| per step.
    """
    synapse = projection.synapse
    error = synapse.weight - fixed.synapse.weight * (unit * 2.0**fixed.exponent)
    if projection.pool is not None:  # a pooled address sends the sum of its window: mean rate of the channel * area
        mean = rate.reshape(rate.shape[0], -1).mean(axis=1) * projection.pool.area
        rate = np.broadcast_to(mean[:, None, None], projection.pool.output_shape(rate.shape))
    if isinstance(synapse, Conv2d):
        channel = rate.reshape(synapse.groups, -1, rate.shape[1] * rate.shape[2]).mean(axis=2)
        weighted = np.repeat(channel, error.shape[0] // synapse.groups, axis=0)[:, :, None, None]
        return float(np.mean((error**2 * weighted).sum(axis=(1, 2, 3)) + (error * weighted).sum(axis=(1, 2, 3)) ** 2))
    flat = rate.reshape(-1)
    if isinstance(synapse, Dense):
        return float(np.mean(error**2 @ flat + (error @ flat) ** 2))
    rows = np.repeat(np.arange(synapse.indptr.size - 1), np.diff(synapse.indptr))
    count = synapse.indptr.size - 1
    spread = np.bincount(rows, error**2 * flat[synapse.indices], minlength=count)
    return float(np.mean(spread + np.bincount(rows, error * flat[synapse.indices], minlength=count) ** 2))
