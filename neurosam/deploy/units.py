"""Candidate units of a population, the exponents that go with them, and the rounding of weights.

A weight is ``w = q 2^e m``: one unit q per population (or channel), one exponent e per projection, a mantissa m within
``+-high``. Candidates, from the first kind to the last:

    grid       units in which all weights are whole numbers: nothing is lost                     (:func:`grid_units`)
    fractions  of units in which the weights of one projection take all mantissas: larger weights clip
    coarser    units, where head-room forbids these

In each unit a projection gets the smallest exponent in which its weights fit; where this is negative, the sum of full
mantissas is rounded instead of the mantissas.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from neurosam.arithmetic import FRACTION_BITS
from neurosam.network.elements import Projection
from neurosam.network.neuron import LIF, Readout
from neurosam.network.synapse import Sparse, Synapse

__all__ = [
    "COARSER",
    "FRACTIONS",
    "MEASURED",
    "base_units",
    "by_channel",
    "exact_threshold",
    "fitting_exponents",
    "grid_units",
    "in_units",
    "is_representable",
    "on_grid",
    "peaks_by_channel",
    "per_neuron",
    "per_weight",
    "quantise_weights",
    "refinements",
]

FRACTIONS = (1.0, 0.95, 0.9, 0.85, 0.8, 0.7, 0.6, 0.5)
"""Units to choose from, relative to one in which no weight clips."""
COARSER = tuple(2.0 ** (k / 4) for k in range(1, 49))
"""Units to fall back to, in this order, if none of the fractions fits; relative to the smallest unclipped one."""
EXPONENT_LOW, EXPONENT_HIGH = -8, 7
ON_GRID = 1e-3
"""Weights this close to whole numbers of a step, in steps, lie on its grid: the rest is float rounding."""
THRESHOLD_UNITS = 64
"""Units that a threshold has at least, where exponents and head-room allow: meeting it then changes weights little."""
MEASURED = (
    "threshold", "reset_amount", "bias", "offset", "reset_value", "lower_bound", "threshold_step", "initial_membrane",
    "initial_current",
)  # fmt: skip
"""Parameters of a neuron that are measured in the membrane's unit."""
GRID_SAMPLE = 4096
"""Weights of a projection that are looked at first, to dismiss a grid."""

Array = npt.NDArray[np.float64]


def peaks_by_channel(projection: Projection, channels: int) -> Array:
    """Largest |weight| into each channel, ``(channels,)``."""
    synapse = projection.synapse
    size = np.abs(synapse.weight)
    if isinstance(synapse, Sparse):
        rows = np.repeat(np.arange(synapse.indptr.size - 1), np.diff(synapse.indptr))
        peaks = np.zeros(synapse.indptr.size - 1)
        np.maximum.at(peaks, rows, size)
    else:
        peaks = size.reshape(len(size), -1).max(axis=1, initial=0.0)
    return np.asarray(peaks.reshape(channels, -1).max(axis=1, initial=0.0))


def per_weight(unit: Array, synapse: Synapse) -> Array:
    """A value, or one value per channel, as an array that broadcasts to the weights."""
    if unit.ndim == 0:
        return unit
    rows = synapse.indptr.size - 1 if isinstance(synapse, Sparse) else len(synapse.weight)
    by_row: Array = np.repeat(unit, rows // unit.size)
    if isinstance(synapse, Sparse):
        return np.repeat(by_row, np.diff(synapse.indptr))
    return np.asarray(by_row.reshape(-1, *(1,) * (synapse.weight.ndim - 1)))


def per_neuron(unit: Any, ndim: int) -> Any:
    """A unit, or one per channel, as a value that broadcasts to a parameter or state of 3, 2, 1 or no dimensions."""
    array = np.asarray(unit)
    return array[:, None, None] if array.ndim and ndim == 3 else unit


def in_units(neuron: Any, unit: Array) -> tuple[Any, float]:
    """A neuron and its unit; where each channel has its own, the neuron measured in these, and a unit of 1."""
    if not unit.ndim:
        return neuron, float(unit)
    given = {name: getattr(neuron, name) for name in MEASURED if getattr(neuron, name, None) is not None}
    return replace(neuron, **{name: x / per_neuron(unit, x.ndim) for name, x in given.items()}), 1.0


def by_channel(parameter: Any, channels: int, reduce: Any = np.max) -> Array:
    """The largest (or by another `reduce`) value of a parameter in each channel: a scalar, or ``(C,)``."""
    array = np.asarray(parameter, dtype=np.float64)
    return np.asarray(reduce(array.reshape(channels, -1), axis=1) if array.ndim == 3 else array)


def quantise_weights(
    projection: Projection, unit: Array, exponent: int, high: int, rng: np.random.Generator | None = None
) -> Projection:
    """The projection in mantissas, rounded to nearest, or at random with the right mean if there is an `rng`."""
    scaled = projection.synapse.weight / (per_weight(unit, projection.synapse) * 2.0**exponent)
    rounded = np.rint(scaled) if rng is None else np.floor(scaled + rng.random(scaled.shape))
    mantissa = np.clip(rounded, -high, high).astype(np.int16)  # beyond 8 bits, the network splits them (expand.py)
    return replace(projection, synapse=replace(projection.synapse, weight=mantissa), exponent=exponent)


def fitting_exponents(peaks: Sequence[Array], unit: Any) -> list[int]:
    """Smallest exponent of each projection in which its weights fit, -8..7.

    Parameters
    ----------
    peaks : sequence of float or (C,) array
        Largest |weight| of each projection over its largest mantissa.
    unit : float or (C,) array
    """
    largest = [float(np.max(peak / unit, initial=0.0)) for peak in peaks]
    return [
        int(np.clip(np.ceil(np.log2(ratio) - 1e-9), EXPONENT_LOW, EXPONENT_HIGH)) if ratio > 0 else 0
        for ratio in largest
    ]


def base_units(peaks: Sequence[float]) -> list[float]:
    """Units, over less than an octave, in which the weights of at least one projection take all mantissas.

    The first is the smallest in which no weight clips: the projection with the smallest weights then has exponent 0,
    and that with the largest at most exponent 7.
    """
    positive = [peak for peak in peaks if peak > 0]
    smallest = max(min(positive, default=1.0), max(positive, default=1.0) / 2.0**EXPONENT_HIGH)
    filling = {peak / 2.0 ** int(np.floor(np.log2(peak / smallest))) for peak in positive if peak > smallest}
    return [smallest, *sorted(unit for unit in filling if smallest * (1 + 1e-9) < unit < 2 * smallest * (1 - 1e-9))]


def grid_units(incoming: Sequence[Projection], highs: Sequence[int], neuron: Any) -> list[float]:
    """Units in which all weights are whole numbers; the one that suits the neuron's parameters best comes first."""
    peaks = [float(np.abs(p.synapse.weight).max(initial=0.0)) for p in incoming]
    weighted = [(p.synapse.weight, peak / high, high) for p, peak, high in zip(incoming, peaks, highs, strict=True)]
    weighted = [item for item in weighted if item[1] > 0]
    if not weighted:
        return []
    _, finest, high = min(weighted, key=lambda item: item[1] * item[2])
    units = []
    for mantissa in range(1, high + 1):
        unit = finest * high / mantissa
        exponents = [max(0, e) for e in fitting_exponents([np.asarray(peak) for _, peak, _ in weighted], unit)]
        steps = [unit * 2.0**exponent for exponent in exponents]
        if any(
            peak > step * (1 + 1e-9) or not (_is_whole(w.reshape(-1)[:GRID_SAMPLE] / step) and _is_whole(w / step))
            for (w, peak, _), step in zip(weighted, steps, strict=True)
        ):
            continue
        units.append(unit)
    return sorted(units, key=lambda unit: (round(_parameter_error(neuron, unit) / units[0], 9), unit))


def on_grid(projection: Projection, unit: Array, exponent: int) -> bool:
    """Whether all weights are whole numbers of this unit and exponent."""
    return _is_whole(projection.synapse.weight / (per_weight(unit, projection.synapse) * 2.0**exponent))


def _is_whole(values: Array) -> bool:
    return bool((np.abs(values - np.rint(values)) <= ON_GRID).all())


def _parameter_error(neuron: Any, unit: float) -> float:
    """Largest rounding error of a threshold, reset amount or bias."""
    error = 0.0
    fine = unit / (1 << FRACTION_BITS)
    for value, step in (
        *(((neuron.threshold, unit), (neuron.reset_amount, fine)) if isinstance(neuron, LIF) else ()),
        *(((neuron.bias, fine),) if isinstance(neuron, (LIF, Readout)) else ()),
    ):
        if value is not None:
            error = max(error, float(np.abs(value - step * np.rint(value / step)).max(initial=0.0)))
    return error


def refinements(unit: Array, exponents: Sequence[int], neuron: Any) -> list[int]:
    """Powers of two by which to make the unit finer and exponents larger: from what the threshold wants down to 0."""
    wanted = 0
    if isinstance(neuron, LIF):
        share = float(np.min(neuron.threshold / per_neuron(unit, np.ndim(neuron.threshold)))) / THRESHOLD_UNITS
        wanted = int(np.clip(np.ceil(-np.log2(share)), 0, EXPONENT_HIGH - max(exponents, default=0)))
    return list(range(wanted, -1, -1))


def is_representable(neuron: Any, unit: Any) -> bool:
    """Whether no threshold or reset amount becomes 0 in this unit, or in these, one per channel."""
    if not isinstance(neuron, LIF):
        return True
    values = [neuron.threshold]
    if neuron.reset_amount is not None:
        values.append(neuron.reset_amount * (1 << FRACTION_BITS))
    return all(bool((value > per_neuron(unit, np.ndim(value)) / 2).all()) for value in values)


def exact_threshold(unit: Any, neuron: Any) -> Array:
    """The unit, rounded up so that the smallest threshold is an integer (or, if larger than that, the threshold).

    With a unit per channel, each channel's own threshold.
    """
    whole: Array = np.asarray(unit, dtype=np.float64)
    if not isinstance(neuron, LIF):
        return whole
    threshold = by_channel(neuron.threshold, whole.size, np.min) if whole.ndim else np.min(neuron.threshold)
    return np.asarray(threshold / np.maximum(1, np.floor(threshold / whole)))
