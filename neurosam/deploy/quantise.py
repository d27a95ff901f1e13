"""Float network to fixed-point network: one unit a population, integers for everything measured in it.

A population's unit ``q`` is what an arriving integer 1 is worth. With it (``2^6`` is the fixed point's head start)

    weight      m = round(w / (q 2^e)), one exponent e a projection         threshold     round(theta / q)
    bias        round(b 2^6 / q) = mantissa 2^exponent                      reset amount  round(r 2^6 / q)
    leak        4096 - round(4096 leak) - offset                            gain, offset  round(g 2^shift); as the bias

and ``q`` is moved up by at most one part in ``theta / q`` so that a common threshold is met exactly. The unit is
chosen among fractions of ``max |w|`` (the largest weights clip where that pays) as the one that loses least
(error_model.py). A unit is allowed only if the head-room is proven from the weights: the largest possible input of a
step, and the current it can build up, stay below 2^23, where u would wrap. What does not fit is refused by name.
Membranes saturate by rule: the unit leaves them twice the largest calibrated value.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from neurosam.arithmetic import DECAY_ONE, FRACTION_BITS, STATE_MAX
from neurosam.deploy.error_model import Observation, expected_loss, observe, unknown
from neurosam.errors import ExportError
from neurosam.network.elements import Population, Projection
from neurosam.network.network import Network
from neurosam.network.neuron import BIAS_HIGH, GAIN_LIMIT, LIF, THRESHOLD_MAX, FixedLIF, FixedReadout, Readout
from neurosam.network.precision import Precision
from neurosam.network.trace import SamTrace
from neurosam.signals.events import Events

__all__ = ["PopulationReport", "QuantisationReport", "quantise"]

FRACTIONS = (1.0, 0.95, 0.9, 0.85, 0.8, 0.7, 0.6, 0.5)
COARSER = tuple(2.0 ** (k / 4) for k in range(1, 33))
ARRIVAL_LIMIT = 2**23 >> FRACTION_BITS
MEMBRANE_ROOM = ARRIVAL_LIMIT // 2
CALIBRATION_SAMPLES = 64
ON_GRID = 1e-6


@dataclass(frozen=True)
class PopulationReport:
    """What quantisation did to one population.

    Attributes
    ----------
    population : str
    unit : float
        What an arriving integer 1 is worth.
    weight_low, weight_high : int
        Range of its mantissas.
    clipped : float
        Share of weights that clip.
    weight_snr_db : float
        10 log10 of the weights' power over the power of their error.
    threshold : int
        Largest threshold mantissa; 0 for a readout.
    arrival_bound : int
        Largest possible ``|input|`` of a step, proven; below 2^17.
    membrane_peak : int
        Largest ``|membrane|`` seen on the calibration events, in membrane units (saturates at 2^23 - 1); 0 without
        them.
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
        Share of calibration samples on which float and fixed network predict the same class; NaN without them.
    """

    precision: str
    populations: tuple[PopulationReport, ...]
    agreement: float

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and strings, for JSON."""
        return asdict(self)


def quantise(
    network: Network, precision: Precision, calibration: Events | None = None
) -> tuple[Network, QuantisationReport]:
    """The fixed-point network of a float one, and what was lost.

    Parameters
    ----------
    network : Network
        In float64.
    precision : Precision
    calibration : Events, optional
        Typical input; of more than 64 samples the first 64 count.

    Returns
    -------
    network : Network
    report : QuantisationReport

    Raises
    ------
    ExportError
        If a value does not fit its integer, or no unit gives proven head-room; names the population.
    """
    if network.fixed:
        raise ExportError("network", "is in fixed point already; quantise the float network it came from")
    if calibration is not None:
        if calibration.samples == 0:
            raise ExportError("calibration", "has no samples; give some typical input, or None")
        calibration = calibration.select(0, CALIBRATION_SAMPLES)
    seen = unknown(network) if calibration is None else observe(network, calibration)
    neurons: dict[str, Population] = {network.input.name: network.input}
    projections: dict[int, Projection] = {}
    rows = []
    for population in network.populations:
        if population.neuron is None:
            continue
        incoming = [(i, p) for i, p in enumerate(network.projections) if p.target == population.name]
        fixed, quantised, row = _population(network, population, [p for _, p in incoming], precision, seen)
        neurons[population.name] = fixed
        projections.update(zip((i for i, _ in incoming), quantised, strict=True))
        rows.append(row)
    result = Network(
        populations=tuple(neurons[p.name] for p in network.populations),
        projections=tuple(projections[i] for i in range(len(network.projections))),
        precision=precision,
        output=network.output,
        metadata=network.metadata,
    )
    for name, trace in network.sam.items():
        if isinstance(trace, SamTrace):
            result = result.with_sam(trace, (name,))
    if calibration is None:
        return result, QuantisationReport(precision.name, tuple(rows), float("nan"))
    after = observe(result, calibration)
    agreement = float(np.mean(after.predictions == seen.predictions))
    rows = [replace(row, membrane_peak=int(after.membrane_peaks[row.population])) for row in rows]
    return result, QuantisationReport(precision.name, tuple(rows), agreement)


def _population(
    network: Network, population: Population, incoming: list[Projection], precision: Precision, seen: Observation
) -> tuple[Population, list[Projection], PopulationReport]:
    """Quantise one population with its projections at the unit that loses least and fits."""
    where = f"population {population.name!r}"
    peaks = [float(np.abs(p.synapse.weight).max(initial=0.0)) / precision.weight_high for p in incoming]
    full = min((peak for peak in peaks if peak > 0), default=1.0)
    exponents = [min(7, int(np.ceil(np.log2(peak / full)))) if peak > full else 0 for peak in peaks]
    full = max([full, *(peak / 2.0**e for peak, e in zip(peaks, exponents, strict=True))])
    neuron = population.neuron
    bias_peak = float(np.abs(neuron.bias).max(initial=0.0)) if isinstance(neuron, (LIF, Readout)) else 0.0
    best: tuple[float, float, list[Projection], int] | None = None
    units = [full, *(_exact_threshold(full * factor, population.neuron) for factor in (*FRACTIONS, *COARSER))]
    for place, unit in enumerate(units):
        if best is not None and (place > len(FRACTIONS) or best[0] == 0.0):
            break
        fixed = [_projection(p, unit, e, precision) for p, e in zip(incoming, exponents, strict=True)]
        bound = _headroom(network, population, fixed, unit)
        if bias_peak / unit > BIAS_HIGH << 1:  # the largest exponent, 7, less the six fractional bits
            continue
        if bound is None or seen.membrane_peaks.get(population.name, 0.0) / unit > MEMBRANE_ROOM:
            continue
        loss = sum(expected_loss(p, q, unit, seen.rates[p.source]) for p, q in zip(incoming, fixed, strict=True))
        loss = 0.0 if loss < ON_GRID * unit**2 else loss
        if place == 0 and loss:
            continue  # only weights that lie on its grid already (fine-tuning puts them there) keep the largest unit
        if best is None or loss < best[0]:
            best = (loss, unit, fixed, bound)
    if best is None:
        raise ExportError(
            where, "no unit gives proven head-room below 2^23: too many or too uneven inputs; split the layer"
        )
    _, unit, fixed, bound = best
    quantised = replace(population, neuron=_neuron(where, population.neuron, unit, precision))
    return quantised, fixed, _row(population.name, unit, incoming, fixed, quantised, bound, precision)


def _exact_threshold(unit: float, neuron: Any) -> float:
    """The next larger unit in which a common threshold is a whole number."""
    if not isinstance(neuron, LIF):
        return unit
    threshold = float(np.min(neuron.threshold))
    return threshold / max(1, int(np.floor(threshold / unit)))


def _projection(projection: Projection, unit: float, exponent: int, precision: Precision) -> Projection:
    scaled = np.rint(projection.synapse.weight / (unit * 2.0**exponent))
    mantissa = np.clip(scaled, -precision.weight_high, precision.weight_high).astype(np.int8)
    return replace(projection, synapse=replace(projection.synapse, weight=mantissa), exponent=exponent)


def _headroom(network: Network, population: Population, fixed: list[Projection], unit: float) -> int | None:
    """Largest |input| of a step if it, and the current it can build up, provably stay below the wrap; else None."""
    bound = network.accumulator_bound(population.name, fixed)
    reach = float(bound)
    neuron = population.neuron
    if isinstance(neuron, LIF):
        if neuron.gain is not None and neuron.offset is not None:
            reach = max(reach, reach * float(np.abs(neuron.gain).max()) + float(np.abs(neuron.offset).max()) / unit + 1)
        if neuron.current_leak is not None:
            keep = float(np.max(neuron.current_leak))
            reach = reach / (1 - keep) if keep < 1 else np.inf
    return bound if reach < ARRIVAL_LIMIT else None


def _neuron(where: str, neuron: Any, unit: float, precision: Precision) -> FixedLIF | FixedReadout:
    mantissa, exponent = _bias(where, neuron.bias, unit)
    if isinstance(neuron, Readout):
        return FixedReadout(bias_mantissa=mantissa, bias_exponent=exponent)
    fine = unit / (1 << FRACTION_BITS)
    current = None
    if neuron.current_leak is not None:
        current = _decay(neuron.current_leak, precision.current_decay_offset)
    gain, shift, offset = _tables(where, neuron, fine)
    return FixedLIF(
        membrane_decay=_decay(neuron.leak, precision.membrane_decay_offset),
        threshold=_whole(f"{where}: threshold", neuron.threshold / unit, 1, THRESHOLD_MAX),
        reset=neuron.reset,
        reset_amount=None if neuron.reset_amount is None
        else _whole(f"{where}: reset_amount", neuron.reset_amount / fine, 1, STATE_MAX),
        bias_mantissa=mantissa,
        bias_exponent=exponent,
        current_decay=current,
        gain=gain,
        gain_shift=shift,
        offset=offset,
    )  # fmt: skip


def _decay(leak: Any, offset: int) -> npt.NDArray[np.int64]:
    return np.asarray(DECAY_ONE - np.rint(np.asarray(leak) * DECAY_ONE) - offset, dtype=np.int64)


def _bias(where: str, bias: Any, unit: float) -> tuple[npt.NDArray[np.int64], int]:
    """The smallest exponent (finest step) whose mantissas fit 13 bits."""
    fine = np.asarray(bias) * (1 << FRACTION_BITS) / unit
    for exponent in range(8):
        mantissa = np.rint(fine / (1 << exponent))
        if np.abs(mantissa).max(initial=0) <= BIAS_HIGH:
            return mantissa.astype(np.int64), exponent
    top = float(np.abs(np.asarray(bias)).max())
    raise ExportError(
        f"{where}: bias", f"{top:g} is more than {BIAS_HIGH << 7} units of {unit / 64:g}; rescale the layer"
    )


def _tables(where: str, neuron: LIF, fine: float) -> tuple[Any, int, Any]:
    """Gain as 16-bit multipliers with the largest shift that fits, offset in membrane units."""
    if neuron.gain is None or neuron.offset is None:
        return None, 0, None
    shift = 30
    while shift > 0 and np.abs(np.rint(neuron.gain * 2.0**shift)).max() >= GAIN_LIMIT:
        shift -= 1
    gain = _whole(f"{where}: gain", neuron.gain * 2.0**shift, -GAIN_LIMIT, GAIN_LIMIT - 1)
    return gain, shift, _whole(f"{where}: offset", neuron.offset / fine, -STATE_MAX, STATE_MAX)


def _whole(where: str, value: Any, low: int, high: int) -> npt.NDArray[np.int64]:
    rounded = np.rint(np.asarray(value, dtype=np.float64))
    if rounded.size and (rounded.min() < low or rounded.max() > high):
        raise ExportError(
            where,
            f"becomes {rounded.min():.0f}..{rounded.max():.0f}; allowed is {low}..{high}. Rescale the layer's weights",
        )
    return rounded.astype(np.int64)


def _row(
    name: str, unit: float, incoming: list[Projection], fixed: list[Projection], population: Population, bound: int,
    precision: Precision,
) -> PopulationReport:  # fmt: skip
    power = error = clipped = size = 0.0
    for p, q in zip(incoming, fixed, strict=True):
        scale = unit * 2.0**q.exponent
        power += float((p.synapse.weight**2).sum())
        error += float(((p.synapse.weight - q.synapse.weight * scale) ** 2).sum())
        clipped += np.count_nonzero(np.abs(np.rint(p.synapse.weight / scale)) > precision.weight_high)
        size += p.synapse.weight.size
    threshold = population.neuron.threshold if isinstance(population.neuron, FixedLIF) else 0
    return PopulationReport(
        population=name,
        unit=unit,
        weight_low=min((int(q.synapse.weight.min(initial=0)) for q in fixed), default=0),
        weight_high=max((int(q.synapse.weight.max(initial=0)) for q in fixed), default=0),
        clipped=float(clipped / max(size, 1)),
        weight_snr_db=float(10 * np.log10(power / error)) if error > 0 and power > 0 else float("inf"),
        threshold=int(np.max(threshold)),
        arrival_bound=bound,
    )
