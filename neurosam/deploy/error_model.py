"""What a quantised weight costs, judged by how often its source really spikes.

For sources j that spike independently at rate r_j, the expected squared error of a neuron's input is

    sum_j dw_j^2 r_j  +  (sum_j dw_j r_j)^2          (variance, up to r^2, and squared mean)

with dw the difference of a weight and its quantised form. Rates, and the membranes' peaks that decide about
head-room, are observed on typical input (:func:`observe`).
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

__all__ = ["Observation", "expected_loss", "observe", "unknown"]

UNKNOWN_RATE = 0.1
MEMORY_BYTES = 2**28


@dataclass(frozen=True, eq=False)
class Observation:
    """What a network does on typical input.

    Attributes
    ----------
    rates : dict of str to array of the population's shape
        Mean |value| that each source neuron sends a step.
    membrane_peaks : dict of str to float
        Largest |membrane| of each population.
    predictions : (B,) int64 array
    """

    rates: dict[str, npt.NDArray[np.float64]]
    membrane_peaks: dict[str, float]
    predictions: npt.NDArray[np.int64]


def unknown(network: Network) -> Observation:
    """Without typical input: every source equally busy, nothing known of membranes."""
    rates = {p.name: np.full(p.shape, UNKNOWN_RATE) for p in network.populations if p.fires}
    return Observation(rates, {}, np.zeros(0, dtype=np.int64))


def observe(network: Network, events: Events) -> Observation:
    """Run a network, a few samples at a time so that memory stays bounded, and keep the statistics."""
    acting = [p for p in network.populations if p.neuron is not None]
    record = Record(spikes=tuple(p.name for p in acting if p.fires), membrane=tuple(p.name for p in acting))
    chunk = max(1, MEMORY_BYTES // (8 * events.steps * sum(neurons(p.shape) for p in acting)))
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
        In float, and its quantised form.
    unit : float
        Worth of mantissa 1 at exponent 0.
    rate : array of the source's shape
        Mean |value| a step.
    """
    synapse = projection.synapse
    error = synapse.weight - fixed.synapse.weight * (unit * 2.0**fixed.exponent)
    if projection.pool is not None:  # an address stands for its window: the channel's mean rate, times the window
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
