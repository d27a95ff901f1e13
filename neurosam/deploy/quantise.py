"""Quantise a float network: each population gets one unit, and every quantity measured in that unit becomes an integer.

The unit ``q`` of a population is the float value of an input of integer 1. Membranes and currents have 6 fractional
bits more, hence the factor ``2^6``:

    weight      m = round(w / (q 2^e)), one exponent e per projection              units.py
    the rest    fixed_neuron.py

``q`` is rounded up, by at most one part in ``theta / q``, so that a threshold shared by all channels is represented
exactly. Of the candidate units (units.py), the one that loses nothing, or else the smallest expected error
(error_model.py), is kept. A unit is allowed only if everything fits (headroom.py); if none is, coarser units are tried.
Whatever does not fit is refused by name. With ``scale="channel"`` each channel has a unit of its own. That is exact,
because membranes of different channels never meet; except in a readout, where classes are compared.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from neurosam._util.arguments import choice, integer
from neurosam.deploy.error_model import Observation, observe, uninformed
from neurosam.deploy.fixed_neuron import fixed_neuron
from neurosam.deploy.headroom import smallest_units
from neurosam.deploy.kept_report import with_report
from neurosam.deploy.quantisation_report import (
    PopulationReport,
    QuantisationReport,
    general_warnings,
    population_report,
    warnings_of,
    with_run,
)
from neurosam.deploy.unit_search import UnitSearch
from neurosam.deploy.units import in_units
from neurosam.errors import ArgumentError, ExportError
from neurosam.network.elements import Population, Projection
from neurosam.network.network import Network
from neurosam.network.precision import Precision
from neurosam.network.trace import SamTrace
from neurosam.signals.events import Events
from neurosam.signals.inputs import Inputs

__all__ = ["quantise"]

CALIBRATION_SAMPLES = 64
THRESHOLDS_PER_CORE = {"nxsdk": 8}
"""Presets whose chip has few thresholds per core, so that few channels can have units of their own."""


def quantise(
    network: Network,
    precision: Precision | str | int,
    calibration: Events | Mapping[str, Events] | None = None,
    *,
    steps: int | None = None,
    scale: str = "population",
    rounding: str = "nearest",
    seed: int = 0,
    weight_bits: Mapping[str, int] | None = None,
) -> tuple[Network, QuantisationReport]:
    """Quantise a float network, and report what was lost.

    Parameters
    ----------
    network : Network
        In float64.
    precision : Precision, str or int
        Also a preset's name ("lava", "nxsdk"), or the bits of a weight.
    calibration : Events or mapping of str to Events, optional
        Typical input; the first 64 samples are used. Without it, all sources count as equally active, and membranes
        may saturate. It must represent later input in how often each source fires, and in how fast membranes grow.
    steps : int, optional
        Longest run that is planned; needs a calibration. The membrane of a readout grows with the length of a run: it
        gets room for twice the largest calibrated value, extrapolated to this many steps. Without `steps`, it has room
        for a run at least twice as long as the calibration (``safe_steps`` in the report says how long).
    scale : {"population", "channel"}
        One unit per population, or one per channel of each spiking population. ``nxsdk`` allows the latter for at
        most 8 channels, because a core of Loihi 1 has no more thresholds.
    rounding : {"nearest", "stochastic"}
        Of weights: to nearest, or up or down at random, with the right mean.
    seed : int
        Of stochastic rounding.
    weight_bits : mapping of str to int, optional
        Bits of the weights, 2 to those of `precision`, of single projections (``"conv1->conv2"``) or of all projections
        into a population (``"conv2"``).

    Returns
    -------
    network : Network
        A new network in fixed point, with the report in its metadata (kept_report.py).
    report : QuantisationReport

    Raises
    ------
    ExportError
        If a value does not fit its integer, or no unit has proven head-room; the message names the population.
    ArgumentError
        For an unknown scale, rounding or projection, or bits out of range.

    Examples
    --------
    >>> network = ns.Network(
    ...     [ns.Population("in", (2,)), ns.Population("out", (1,), ns.LIF(leak=0.5, threshold=1.0))],
    ...     [ns.Projection("in", "out", ns.Dense(np.array([[0.5, -0.25]])))],
    ... )
    >>> fixed, report = ns.quantise(network, ns.Precision.lava())
    >>> fixed.projections[0].synapse.weight.tolist()
    [[126, -63]]
    >>> row = report.populations[0]
    >>> row.threshold, row.arrival_bound, round(row.threshold * row.unit, 12)
    (252, 189, 1.0)
    """
    if network.fixed:
        raise ExportError("network", "is in fixed point already; quantise the float network it was made from")
    choice("quantise: scale", scale, ("population", "channel"))
    choice("quantise: rounding", rounding, ("nearest", "stochastic"))
    precision = Precision.of(precision)
    shown = None if calibration is None else Inputs.of(network, calibration)
    if shown is not None:
        if shown.samples == 0:
            raise ExportError("calibration", "has no samples; give some typical input, or None")
        shown = shown.select(0, CALIBRATION_SAMPLES)
    if steps is not None:
        steps = integer("quantise: steps", steps, 1, 2**31 - 1, ArgumentError)
        if shown is None:
            raise ArgumentError("quantise: steps", "needs a calibration: how fast membranes grow is measured on it")
    observed = uninformed(network) if shown is None else observe(network, shown)
    bits = _weight_bits(network, precision, weight_bits or {})
    populations: dict[str, Population] = {p.name: p for p in network.inputs}
    projections: dict[int, Projection] = {}
    rows: dict[str, PopulationReport] = {}
    for population in network.populations:
        if population.neuron is None:
            continue
        places = [i for i, p in enumerate(network.projections) if p.target == population.name]
        search = UnitSearch(
            network=network,
            population=population,
            incoming=[network.projections[i] for i in places],
            highs=[_largest_mantissa(network.projections[i], bits[i], precision) for i in places],
            observed=observed,
            needed=smallest_units(population, observed, steps),
            by_channel=scale == "channel" and _has_threshold_per_channel(population, precision),
            seeds=[(seed, i) for i in places] if rounding == "stochastic" else None,
        )
        best = search.best()
        where = f"population {population.name!r}"
        neuron, unit = in_units(population.neuron, best.unit)
        fixed = replace(population, neuron=fixed_neuron(where, neuron, unit, precision))
        populations[population.name] = fixed
        projections.update(zip(places, best.projections, strict=True))
        rows[population.name] = population_report(
            fixed, search.incoming, best.projections, best.unit,
            arrival_bound=best.arrival_bound, coarsened_by=best.coarsened_by, highs=search.highs, observed=observed,
        )  # fmt: skip
    result = Network(
        populations=tuple(populations[p.name] for p in network.populations),
        projections=tuple(projections[i] for i in range(len(network.projections))),
        precision=precision,
        outputs=network.answers,
        metadata=network.metadata,
        check_alignment=False,
    )
    for name, trace in network.sam.items():
        if isinstance(trace, SamTrace):
            result = result.with_sam(trace, (name,))
    report = _report(precision.name, network, result, shown, observed, rows, steps)
    return with_report(result, report), report


def _report(
    precision: str,
    network: Network,
    fixed: Network,
    calibration: Inputs | None,
    observed: Observation,
    rows: dict[str, PopulationReport],
    steps: int | None,
) -> QuantisationReport:
    """Complete the rows by a run of the fixed-point network on the calibration events, and collect warnings."""
    agreement = float("nan")
    seen = None if calibration is None else observe(fixed, calibration)
    if seen is not None:
        rows = {name: with_run(row, network[name], seen) for name, row in rows.items()}
        if observed.decided.any():
            agreement = float(np.mean((seen.predictions == observed.predictions)[observed.decided]))
    warnings = general_warnings(observed)
    for name, row in rows.items():
        warnings += warnings_of(row, network.incoming(name), observed, seen, steps)
    return QuantisationReport(precision, tuple(rows.values()), agreement, steps, tuple(warnings))


def _has_threshold_per_channel(population: Population, precision: Precision) -> bool:
    """Whether a population can have a unit per channel: it fires, and the chip has that many thresholds."""
    channels = population.shape[0]
    limit = THRESHOLDS_PER_CORE.get(precision.name, channels)
    if population.fires and channels > limit:
        raise ExportError(
            f"population {population.name!r}",
            f"has {channels} channels; scale 'channel' needs a threshold for each, and a core of {precision.name} has "
            f"{limit}. Use scale 'population'",
        )
    return population.fires


def _largest_mantissa(projection: Projection, bits: int, precision: Precision) -> int:
    """Largest ``|mantissa|`` of a projection's weights, which have the sign that the precision allows."""
    if precision.sign == "mixed":
        return (1 << (bits - 1)) - 1
    weight = projection.synapse.weight
    if (weight < 0).any() if precision.sign == "excitatory" else (weight > 0).any():
        raise ExportError(
            f"projection {projection.label}: weight",
            f"lies in [{weight.min():g}, {weight.max():g}]; a precision of sign {precision.sign!r} holds one sign. "
            "Use sign 'mixed', or split the projection by sign",
        )
    return (1 << bits) - 1


def _weight_bits(network: Network, precision: Precision, requested: Mapping[str, int]) -> list[int]:
    """Bits of the weights of each projection; a projection's own count before those of its target."""
    names = {p.label for p in network.projections} | {p.target for p in network.projections}
    for name, bits in requested.items():
        if name not in names:
            raise ArgumentError(
                f"weight_bits: {name!r}", f"is no projection or target; allowed: {', '.join(sorted(names))}"
            )
        integer(f"weight_bits: {name!r}", bits, 2, precision.weight_bits, ArgumentError)
    return [requested.get(p.label, requested.get(p.target, precision.weight_bits)) for p in network.projections]
