"""What quantisation did to a network, in numbers and in warnings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from neurosam.arithmetic import FRACTION_BITS, STATE_MAX, shift_by
from neurosam.deploy.error_model import PRIOR_STEPS, Observation, by_address, to_weights
from neurosam.deploy.headroom import largest_leak, safe_steps
from neurosam.deploy.units import peaks_by_channel, per_weight
from neurosam.network.elements import Population, Projection
from neurosam.network.fixed_neuron import FixedLIF

__all__ = ["PopulationReport", "QuantisationReport", "general_warnings", "population_report", "warnings_of", "with_run"]

CLIP_WARNING = 0.25
COARSE_WARNING = 2.0
SILENT_WARNING = 0.5
LARGER = 1.25
"""Weights of silent sources are told where they exceed those of all others by this factor."""


@dataclass(frozen=True)
class PopulationReport:
    """What quantisation did to one population.

    Attributes
    ----------
    population : str
    unit : float
        Float value of an input of integer 1; with a unit per channel, the largest.
    weight_low, weight_high : int
        Range of the weight mantissas.
    clipped : float
        Fraction of weights that clip.
    weight_snr_db : float
        10 log10 of the power of the weights over the power of their error.
    threshold : int
        Largest threshold mantissa; 0 for a readout.
    arrival_bound : int
        Largest possible ``|input|`` per step, proven from the weights; below 2^17.
    membrane_peak : int
        Largest ``|membrane|`` on the calibration events, as an integer (it saturates at 2^23 - 1); 0 without
        calibration.
    largest_clip : float
        Largest share of a weight that is lost because it clips, 0..1: 0.5 if -4 becomes -2.
    sources, silent_sources : int
        Sources with weights of their own (neurons, or channels in front of a convolution), and how many of them never
        fired in the calibration; 0 silent ones without calibration.
    dead_channels : int
        Channels whose weights all became 0 and were not.
    coarsening : float
        How many times coarser the weights of a projection are than its bits allow, for want of head-room.
    coarsened_by : str
        What needs it: "bias", "threshold", "reset_amount", "offset", "membrane", or "input" for the sums of weights;
        empty if nothing does.
    safe_steps : int or None
        Length of a run in which the membrane does not saturate: at the calibrated rate of growth, or without
        calibration for any input; None if it never does, or is not known.
    channel_units : tuple of float
        Unit of each channel; empty if the population has one for all.
    """

    population: str
    unit: float
    weight_low: int
    weight_high: int
    clipped: float
    weight_snr_db: float
    threshold: int
    arrival_bound: int
    membrane_peak: int = 0
    largest_clip: float = 0.0
    sources: int = 0
    silent_sources: int = 0
    dead_channels: int = 0
    coarsening: float = 1.0
    coarsened_by: str = ""
    safe_steps: int | None = None
    channel_units: tuple[float, ...] = ()

    @property
    def unit_by_channel(self) -> Any:
        """The unit, or an array ``(C,)`` if each channel has its own."""
        return np.array(self.channel_units) if self.channel_units else self.unit


@dataclass(frozen=True)
class QuantisationReport:
    """What quantisation did to a network.

    Attributes
    ----------
    precision : str
    populations : tuple of PopulationReport
    agreement : float
        Fraction of calibration samples for which the float and the fixed-point network predict the same class, among
        those whose float outputs are not all equal; NaN if there are none.
    steps : int or None
        Longest run that was planned for.
    warnings : tuple of str
        What the user should know: a calibration that does not represent, weights that clip, channels that died.
    """

    precision: str
    populations: tuple[PopulationReport, ...]
    agreement: float
    steps: int | None = None
    warnings: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The report as plain numbers and strings, for JSON."""
        return asdict(self)


def population_report(
    population: Population,
    incoming: Sequence[Projection],
    fixed: Sequence[Projection],
    unit: npt.NDArray[np.float64],
    *,
    arrival_bound: int,
    coarsened_by: str,
    highs: Sequence[int],
    observed: Observation,
) -> PopulationReport:
    """The report of a quantised population, as far as it is known before the fixed-point network has run."""
    power = error = clipped = size = largest_clip = 0.0
    for p, q in zip(incoming, fixed, strict=True):
        weight = np.abs(p.synapse.weight)
        step = per_weight(unit, p.synapse) * 2.0**q.exponent
        power += float((weight**2).sum())
        error += float(((p.synapse.weight - q.synapse.weight * step) ** 2).sum())
        lost = weight - np.abs(q.synapse.weight) * step
        extreme = np.abs(q.synapse.weight) == np.abs(q.synapse.weight).max(initial=0)
        beyond = extreme & (lost > step / 2 * (1 + 1e-9))
        clipped += np.count_nonzero(beyond)
        largest_clip = max(largest_clip, float((lost[beyond] / weight[beyond]).max(initial=0.0)))
        size += weight.size
    mantissas = [q.synapse.weight for q in fixed if q.synapse.weight.size]
    neuron = population.neuron
    sources = {p.source: by_address(p, observed.sent[p.source].rate) for p in incoming}
    return PopulationReport(
        population=population.name,
        unit=float(np.max(unit)),
        weight_low=min((int(m.min()) for m in mantissas), default=0),
        weight_high=max((int(m.max()) for m in mantissas), default=0),
        clipped=float(clipped / max(size, 1)),
        weight_snr_db=float(10 * np.log10(power / error)) if error > 0 and power > 0 else float("inf"),
        threshold=int(np.max(neuron.threshold)) if isinstance(neuron, FixedLIF) else 0,
        arrival_bound=arrival_bound,
        largest_clip=largest_clip,
        sources=sum(rate.size for rate in sources.values()),
        silent_sources=sum(int(np.count_nonzero(rate == 0)) for rate in sources.values()),
        dead_channels=_dead_channels(population, incoming, fixed),
        coarsening=_coarsening(population, incoming, fixed, unit, highs) if coarsened_by else 1.0,
        coarsened_by=coarsened_by,
        safe_steps=None if observed.informed else _proven_steps(population, arrival_bound),
        channel_units=tuple(unit.tolist()) if unit.ndim else (),
    )


def _coarsening(
    population: Population,
    incoming: Sequence[Projection],
    fixed: Sequence[Projection],
    unit: npt.NDArray[np.float64],
    highs: Sequence[int],
) -> float:
    """The step of the weights over the one in which they would take all mantissas: of the worst projection."""
    coarsest = 1.0
    for p, q, high in zip(incoming, fixed, highs, strict=True):
        peaks = peaks_by_channel(p, population.shape[0])
        peaks = peaks if unit.ndim else peaks.max(keepdims=True)
        steps = np.broadcast_to(unit * 2.0**q.exponent, peaks.shape)
        coarsest = max(coarsest, float((steps * high / peaks)[peaks > 0].max(initial=1.0)))
    return coarsest


def _dead_channels(population: Population, incoming: Sequence[Projection], fixed: Sequence[Projection]) -> int:
    before, after = (
        sum((peaks_by_channel(p, population.shape[0]) for p in projections), np.zeros(population.shape[0]))
        for projections in (incoming, fixed)
    )
    return int(np.count_nonzero((before > 0) & (after == 0)))


def _proven_steps(population: Population, arrival_bound: int) -> int | None:
    """For how many steps a membrane without leak or spikes cannot saturate, whatever arrives."""
    if largest_leak(population) < 1.0 or population.fires:
        return None
    neuron: Any = population.neuron
    bias = int(np.abs(shift_by(neuron.bias_mantissa, neuron.bias_exponent)).max())
    most = (arrival_bound << FRACTION_BITS) + bias
    return STATE_MAX // most if most else None


def with_run(row: PopulationReport, original: Population, fixed_observed: Observation) -> PopulationReport:
    """The report with what the fixed-point network did on the calibration events."""
    peak = int(fixed_observed.membrane_peaks[row.population].max())
    return replace(row, membrane_peak=peak, safe_steps=safe_steps(original, peak, fixed_observed.steps))


def general_warnings(observed: Observation) -> list[str]:
    """What a calibration as a whole does not represent."""
    if not observed.informed:
        return []
    if not any(activity.rate.any() for activity in observed.sent.values()):
        return ["calibration: has no events; scales are chosen as without one, and membranes may saturate"]
    steps = max(activity.steps for activity in observed.sent.values())
    if steps < PRIOR_STEPS:
        return [
            f"calibration: has {steps:g} step(s) in all samples together; rates of sources are hardly known from it"
        ]
    return []


def warnings_of(
    row: PopulationReport,
    incoming: Sequence[Projection],
    observed: Observation,
    fixed: Observation | None,
    steps: int | None,
) -> list[str]:
    """What the user should know of one population."""
    texts = []
    if row.largest_clip > CLIP_WARNING:
        texts.append(f"the most clipped weight loses {row.largest_clip:.0%} of its value; more bits would keep it")
    if row.dead_channels:
        texts.append(
            f"all weights of {row.dead_channels} channel(s) became 0: they are too small beside the largest weight, or "
            "beside a bias or threshold"
        )
    if row.coarsening >= COARSE_WARNING:
        texts.append(
            f"its weights are {row.coarsening:.3g} times coarser than their bits allow, to leave room for "
            f"{row.coarsened_by}"
        )
    if observed.informed:
        texts += _of_calibration(row, incoming, observed)
    if fixed is not None:
        if row.membrane_peak >= STATE_MAX:
            texts.append("its membrane saturates on the calibration events")
        elif steps is not None and row.safe_steps is not None and row.safe_steps < steps:
            texts.append(f"its membrane is expected to saturate after {row.safe_steps:,} steps; {steps:,} are planned")
        if row.population in fixed.sent and _fell_silent(observed, fixed, row.population):
            texts.append("fires on the calibration events in floating point, and never in fixed point")
    return [f"population {row.population!r}: {text}" for text in texts]


def _of_calibration(row: PopulationReport, incoming: Sequence[Projection], observed: Observation) -> list[str]:
    """Warnings about sources that the calibration does not show."""
    silent_peak = active_peak = 0.0
    for p in incoming:
        silent = to_weights(p.synapse, by_address(p, observed.sent[p.source].rate)) == 0
        weight = np.abs(p.synapse.weight)
        silent_peak = max(silent_peak, float(np.where(silent, weight, 0.0).max(initial=0.0)))
        active_peak = max(active_peak, float(np.where(silent, 0.0, weight).max(initial=0.0)))
    counted = f"{row.silent_sources:,} of {row.sources:,} sources never fired in the calibration"
    if row.silent_sources and silent_peak > LARGER * active_peak:
        return [f"{counted}, and the largest weight ({silent_peak:.3g}) is theirs; others reach {active_peak:.3g}"]
    if row.silent_sources > SILENT_WARNING * row.sources:
        return [f"{counted}; calibrate with input in which they do"]
    return []


def _fell_silent(observed: Observation, fixed: Observation, name: str) -> bool:
    return bool(observed.sent[name].rate.any()) and not fixed.sent[name].rate.any()
