"""Quantise a float network: each population gets one unit, and every quantity measured in that unit becomes an integer.

The unit ``q`` of a population is the float value of an input of integer 1. Membranes and currents have 6 fractional
bits more, hence the factor ``2^6``:

    weight      m = round(w / (q 2^e)), one exponent e per projection
    the rest    fixed_neuron.py

``q`` is rounded up, by at most one part in ``theta / q``, so that a threshold shared by all channels is represented
exactly. Candidate units represent fractions of ``max |w|`` by the largest mantissa, so that larger weights clip; the
one with the smallest expected error (error_model.py) is kept. A unit is allowed only if its head-room is proven from
the weights: the largest possible input per step, and the current that it can build up, stay below 2^23, where u would
wrap. If no candidate is, coarser units are tried. Whatever does not fit is refused by name. Membranes saturate by rule;
the unit leaves them twice the largest value seen in calibration.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from neurosam.arithmetic import DECAY_ONE, FRACTION_BITS
from neurosam.deploy.error_model import Observation, expected_loss, observe, uninformed
from neurosam.deploy.fixed_neuron import fixed_neuron, kept_parts, whole_gains
from neurosam.errors import ExportError
from neurosam.network.elements import Population, Projection
from neurosam.network.fixed_neuron import BIAS_HIGH, FixedLIF
from neurosam.network.network import Network
from neurosam.network.neuron import LIF, Readout
from neurosam.network.precision import Precision
from neurosam.network.trace import SamTrace
from neurosam.signals.events import Events

__all__ = ["PopulationReport", "QuantisationReport", "quantise"]

FRACTIONS = (1.0, 0.95, 0.9, 0.85, 0.8, 0.7, 0.6, 0.5)
"""Units to choose from, relative to the smallest one in which no weight clips."""
COARSER = tuple(2.0 ** (k / 4) for k in range(1, 33))
"""Units to fall back to, in this order, if none of the fractions fits; relative to the same one."""
ARRIVAL_LIMIT = 2**23 >> FRACTION_BITS
MEMBRANE_ROOM = ARRIVAL_LIMIT // 2
"""Largest calibrated |membrane|, in units: half of the range."""
CALIBRATION_SAMPLES = 64
ON_GRID = 1e-6
"""Expected squared errors below this share of the unit's square are rounding errors of float64."""
BIAS_UNITS = BIAS_HIGH << (7 - FRACTION_BITS)
"""Largest |bias| in units: a full mantissa at the largest exponent, 7, less the fractional bits."""


@dataclass(frozen=True)
class PopulationReport:
    """What quantisation did to one population.

    Attributes
    ----------
    population : str
    unit : float
        Float value of an input of integer 1.
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


@dataclass(frozen=True)
class QuantisationReport:
    """What quantisation did to a network.

    Attributes
    ----------
    precision : str
    populations : tuple of PopulationReport
    agreement : float
        Fraction of calibration samples for which the float and the fixed-point network predict the same class; NaN
        without calibration.
    """

    precision: str
    populations: tuple[PopulationReport, ...]
    agreement: float

    def to_dict(self) -> dict[str, Any]:
        """The report as plain numbers and strings, for JSON."""
        return asdict(self)


def quantise(
    network: Network, precision: Precision, calibration: Events | None = None
) -> tuple[Network, QuantisationReport]:
    """Quantise a float network, and report what was lost.

    Parameters
    ----------
    network : Network
        In float64.
    precision : Precision
    calibration : Events, optional
        Typical input; the first 64 samples are used. Without it, all sources count as equally active, and membranes
        may saturate.

    Returns
    -------
    network : Network
        A new network in fixed point.
    report : QuantisationReport

    Raises
    ------
    ExportError
        If a value does not fit its integer, or no unit has proven head-room; the message names the population.

    Examples
    --------
    >>> network = ns.Network(
    ...     [ns.Population("in", (2,)), ns.Population("out", (1,), ns.LIF(leak=0.5, threshold=1.0))],
    ...     [ns.Projection("in", "out", ns.Dense(np.array([[0.5, -0.25]])))],
    ... )
    >>> fixed, report = ns.quantise(network, ns.Precision.lava())
    >>> fixed.projections[0].synapse.weight.tolist()
    [[127, -64]]
    >>> row = report.populations[0]
    >>> row.threshold, row.arrival_bound, round(row.threshold * row.unit, 12)
    (254, 191, 1.0)
    """
    if network.fixed:
        raise ExportError("network", "is in fixed point already; quantise the float network it was made from")
    if calibration is not None:
        if calibration.samples == 0:
            raise ExportError("calibration", "has no samples; give some typical input, or None")
        calibration = calibration.select(0, CALIBRATION_SAMPLES)
    observed = uninformed(network) if calibration is None else observe(network, calibration)
    populations: dict[str, Population] = {p.name: p for p in network.inputs}
    projections: dict[int, Projection] = {}
    rows = []
    for population in network.populations:
        if population.neuron is None:
            continue
        incoming = [(i, p) for i, p in enumerate(network.projections) if p.target == population.name]
        fixed, quantised, row = _population(network, population, [p for _, p in incoming], precision, observed)
        populations[population.name] = fixed
        projections.update(zip((i for i, _ in incoming), quantised, strict=True))
        rows.append(row)
    result = Network(
        populations=tuple(populations[p.name] for p in network.populations),
        projections=tuple(projections[i] for i in range(len(network.projections))),
        precision=precision,
        outputs=network.answers,
        metadata=network.metadata,
    )
    for name, trace in network.sam.items():
        if isinstance(trace, SamTrace):
            result = result.with_sam(trace, (name,))
    if calibration is None:
        return result, QuantisationReport(precision.name, tuple(rows), float("nan"))
    fixed_observed = observe(result, calibration)
    agreement = float(np.mean(fixed_observed.predictions == observed.predictions))
    rows = [replace(row, membrane_peak=int(fixed_observed.membrane_peaks[row.population])) for row in rows]
    return result, QuantisationReport(precision.name, tuple(rows), agreement)


@dataclass(frozen=True)
class _Candidate:
    """The projections of a population, quantised in one unit."""

    unit: float
    projections: list[Projection]
    arrival_bound: int
    loss: float


def _population(
    network: Network, population: Population, incoming: list[Projection], precision: Precision, observed: Observation
) -> tuple[Population, list[Projection], PopulationReport]:
    """Quantise a population and its incoming projections in the unit that fits with the smallest loss."""
    where = f"population {population.name!r}"
    exponents, unclipped = _exponents(incoming, precision)
    fractions, coarser = _candidate_units(unclipped, population)

    def attempt(unit: float) -> _Candidate | None:
        fixed = [_projection(p, unit, e, precision) for p, e in zip(incoming, exponents, strict=True)]
        bound = _fits(network, population, fixed, unit, observed)
        return None if bound is None else _Candidate(unit, fixed, bound, _loss(incoming, fixed, unit, observed))

    best = attempt(unclipped)
    if best is None or best.loss != 0.0:  # keep it only if the weights are already on its grid (fine-tuning)
        best = min(filter(None, map(attempt, fractions)), key=lambda candidate: candidate.loss, default=None)
    if best is None:
        best = next(filter(None, map(attempt, coarser)), None)
    if best is None:
        raise ExportError(
            where, "no unit gives proven head-room below 2^23: too many or too uneven inputs; split the layer"
        )
    quantised = replace(population, neuron=fixed_neuron(where, population.neuron, best.unit, precision))
    return quantised, best.projections, _row(quantised, incoming, best, precision)


def _exponents(incoming: list[Projection], precision: Precision) -> tuple[list[int], float]:
    """One exponent per projection, and the smallest unit in which, with these, no weight clips.

    Projections share the unit of their target. The one with the smallest weights gets exponent 0, those with larger
    weights get larger exponents, up to 7.
    """
    peaks = [float(np.abs(p.synapse.weight).max(initial=0.0)) / precision.weight_high for p in incoming]
    smallest = min((peak for peak in peaks if peak > 0), default=1.0)
    exponents = [min(7, int(np.ceil(np.log2(peak / smallest)))) if peak > smallest else 0 for peak in peaks]
    return exponents, max([smallest, *(peak / 2.0**e for peak, e in zip(peaks, exponents, strict=True))])


def _candidate_units(unclipped: float, population: Population) -> tuple[list[float], list[float]]:
    """Units to choose from, and units to fall back to in this order, each adjusted to the threshold."""
    fractions, coarser = (
        [_exact_threshold(unclipped * factor, population.neuron) for factor in factors]
        for factors in (FRACTIONS, COARSER)
    )
    return fractions, coarser


def _fits(
    network: Network, population: Population, fixed: list[Projection], unit: float, observed: Observation
) -> int | None:
    """Largest |input| per step if head-room is proven, and biases and calibrated membranes are in range; else None."""
    bound = _headroom(network, population, fixed, unit)
    neuron = population.neuron
    bias_peak = float(np.abs(neuron.bias).max(initial=0.0)) if isinstance(neuron, (LIF, Readout)) else 0.0
    if bias_peak / unit > BIAS_UNITS or observed.membrane_peaks.get(population.name, 0.0) / unit > MEMBRANE_ROOM:
        return None
    return bound


def _loss(incoming: list[Projection], fixed: list[Projection], unit: float, observed: Observation) -> float:
    """Expected squared error of the population's input; 0 if the weights lie on the unit's grid."""
    loss = sum(expected_loss(p, q, unit, observed.rates[p.source]) for p, q in zip(incoming, fixed, strict=True))
    return 0.0 if loss < ON_GRID * unit**2 else loss


def _exact_threshold(unit: float, neuron: Any) -> float:
    """The unit, rounded up so that the smallest threshold is an integer (or, if larger than that, the threshold)."""
    if not isinstance(neuron, LIF):
        return unit
    threshold = float(np.min(neuron.threshold))
    return threshold / max(1, int(np.floor(threshold / unit)))


def _projection(projection: Projection, unit: float, exponent: int, precision: Precision) -> Projection:
    scaled = np.rint(projection.synapse.weight / (unit * 2.0**exponent))
    mantissa = np.clip(scaled, -precision.weight_high, precision.weight_high).astype(np.int8)
    return replace(projection, synapse=replace(projection.synapse, weight=mantissa), exponent=exponent)


def _headroom(network: Network, population: Population, fixed: list[Projection], unit: float) -> int | None:
    """Largest |input| per step, if it and the current that it can build up provably do not wrap; else None.

    Proven for the gains and leaks that are stored, which are rounded.
    """
    bound = network.accumulator_bound(population.name, fixed)
    reach = float(bound)
    neuron = population.neuron
    if isinstance(neuron, LIF):
        if neuron.gain is not None and neuron.offset is not None:
            gain, shift = whole_gains(neuron.gain)
            reach = max(
                reach, reach * float(np.abs(gain).max()) / 2**shift + float(np.abs(neuron.offset).max()) / unit + 1
            )
        if neuron.current_leak is not None:
            kept = int(np.max(kept_parts(neuron.current_leak)))
            if kept >= DECAY_ONE:
                raise ExportError(
                    f"population {population.name!r}: current_leak",
                    f"got {np.max(neuron.current_leak):g}, which is 1 in twelve bits: the current would never fade and "
                    "could wrap; give less than 4095.5 / 4096",
                )
            reach = reach * DECAY_ONE / (DECAY_ONE - kept)
    return bound if reach < ARRIVAL_LIMIT else None


def _row(
    population: Population, incoming: list[Projection], chosen: _Candidate, precision: Precision
) -> PopulationReport:
    fixed = chosen.projections
    power = error = clipped = size = 0.0
    for p, q in zip(incoming, fixed, strict=True):
        scale = chosen.unit * 2.0**q.exponent
        power += float((p.synapse.weight**2).sum())
        error += float(((p.synapse.weight - q.synapse.weight * scale) ** 2).sum())
        clipped += np.count_nonzero(np.abs(np.rint(p.synapse.weight / scale)) > precision.weight_high)
        size += p.synapse.weight.size
    weights = [q.synapse.weight for q in fixed if q.synapse.weight.size]
    threshold = population.neuron.threshold if isinstance(population.neuron, FixedLIF) else 0
    return PopulationReport(
        population=population.name,
        unit=chosen.unit,
        weight_low=min((int(weight.min()) for weight in weights), default=0),
        weight_high=max((int(weight.max()) for weight in weights), default=0),
        clipped=float(clipped / max(size, 1)),
        weight_snr_db=float(10 * np.log10(power / error)) if error > 0 and power > 0 else float("inf"),
        threshold=int(np.max(threshold)),
        arrival_bound=chosen.arrival_bound,
    )
