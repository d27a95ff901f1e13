"""The search for a population's unit: the candidate (units.py) of least expected error that fits (headroom.py)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from neurosam.deploy.error_model import Observation, expected_errors
from neurosam.deploy.headroom import arrival_bound
from neurosam.deploy.units import (
    COARSER,
    FRACTIONS,
    base_units,
    exact_threshold,
    fitting_exponents,
    grid_units,
    is_representable,
    on_grid,
    peaks_by_channel,
    per_weight,
    quantise_weights,
    refinements,
)
from neurosam.errors import ExportError
from neurosam.network.elements import Population, Projection
from neurosam.network.network import Network

__all__ = ["Candidate", "UnitSearch"]

ROUNDING = 1e-12
"""Units this close to the smallest one that fits do fit."""

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Candidate:
    """The projections of a population, quantised in one unit or one per channel.

    Attributes
    ----------
    unit : () or (C,) array
    projections : list of Projection
    arrival_bound : int
        Largest |input| per step.
    loss : float
        Expected squared error of the population's input.
    coarsened_by : str
        What the unit had to leave room for, if it is coarser than the weights need.
    """

    unit: Array
    projections: list[Projection]
    arrival_bound: int
    loss: float
    coarsened_by: str

    @property
    def value(self) -> Any:
        """The unit as a number, or as an array ``(C,)``."""
        return self.unit if self.unit.ndim else float(self.unit)


@dataclass(frozen=True, eq=False)
class UnitSearch:
    """The search for the unit of one population.

    Attributes
    ----------
    network : Network
    population : Population
    incoming : list of Projection
    highs : list of int
        Largest mantissa of each projection.
    observed : Observation
    needed : dict of str to () or (C,) array
        Smallest units that parameters and membranes allow, by name.
    by_channel : bool
        Whether each channel gets a unit of its own.
    seeds : list of tuple, optional
        Of the stochastic rounding of each projection; weights are rounded to nearest if None.
    """

    network: Network
    population: Population
    incoming: list[Projection]
    highs: list[int]
    observed: Observation
    needed: dict[str, Array]
    by_channel: bool
    seeds: list[tuple[int, int]] | None

    @cached_property
    def lowest(self) -> Array:
        """Smallest unit of each channel that parameters and membranes allow, ``(C,)``."""
        units = [np.broadcast_to(unit, self.population.shape[:1]) for unit in self.needed.values()]
        return np.asarray(np.max(units, axis=0))

    @property
    def because(self) -> str:
        """What needs the largest unit."""
        return max(self.needed, key=lambda name: float(self.needed[name].max()))

    def best(self) -> Candidate:
        """The first candidate that loses nothing; else that of least loss; else the best of the first coarser ones."""
        peaks = self._peaks()
        bases = base_units([float(peak.max(initial=0.0)) for peak in peaks])
        exact = self._exact(bases[0], peaks)
        if exact is not None:
            return exact
        fitting = [c for base in bases for c in self._fractions(base, peaks)] or self._coarser(bases, peaks)
        if fitting:
            return min(fitting, key=lambda candidate: candidate.loss)
        where = f"population {self.population.name!r}"
        times = float(self.lowest.max()) / bases[0]
        if times > 1:
            raise ExportError(
                f"{where}: {self.because}",
                f"needs a unit of {self.lowest.max():.3g}, {times:,.0f} times that of the weights, which would all "
                "become 0; rescale the layer" + (", or plan shorter runs" if self.because == "membrane" else ""),
            )
        why, remedy = "too many or too uneven inputs", "split the layer"
        for source in (self.network[projection.source] for projection in self.incoming):
            if (most := getattr(source.neuron, "max_spikes", 1)) > 1:
                why = f"{source.name!r} may send {most:,} spikes in a step"
                remedy = "give its neurons the most that occur, max_spikes (Sinabs: spike_fn=MaxSpike(n))"
        raise ExportError(where, f"no unit gives proven head-room below 2^23: {why}; {remedy}")

    def _peaks(self) -> list[Array]:
        """Smallest unit, by projection and channel, in which no weight clips at exponent 0."""
        channels = self.population.shape[0]
        return [peaks_by_channel(p, channels) / high for p, high in zip(self.incoming, self.highs, strict=True)]

    def _exact(self, base: float, peaks: list[Array]) -> Candidate | None:
        """The candidate in which all weights are whole numbers, if there is one that fits."""
        for unit in grid_units(self.incoming, self.highs, self.population.neuron):
            exponents = [max(0, e) for e in fitting_exponents(peaks, unit)]
            found = self._refined(np.asarray(unit), exponents, exact=False)
            if found is not None and is_representable(self.population.neuron, found.value):
                return found
        if self.by_channel:
            units, exponents = self._units(base, peaks), [max(0, e) for e in fitting_exponents(peaks, base)]
            if all(on_grid(p, units, e) for p, e in zip(self.incoming, exponents, strict=True)):
                return self._refined(units, exponents, exact=False)
        return None

    def _units(self, base: float, peaks: list[Array]) -> Array:
        """The unit; or that of each channel in which its own weights just fit the exponents that go with it."""
        if not self.by_channel:
            return np.asarray(base)
        exponents = fitting_exponents(peaks, base)
        needed = np.max([peak / 2.0**e for peak, e in zip(peaks, exponents, strict=True)], axis=0, initial=0.0)
        return np.maximum(np.where(needed > 0, needed, base), self.lowest)

    def _fractions(self, base: float, peaks: list[Array]) -> list[Candidate]:
        """Candidates in fractions of a unit; in the best fraction of each channel if these have their own."""
        exponents = [max(0, e) for e in fitting_exponents(peaks, base)]
        whole = self._units(base, peaks)
        units = [whole * f for f in FRACTIONS]
        if self.by_channel:
            errors = np.stack([self._errors(unit, self._nearest(unit, exponents)) for unit in units])
            units = [np.take_along_axis(np.stack(units), errors.argmin(axis=0)[None], axis=0)[0]]
        tried = (self._refined(unit, exponents) for unit in units)
        return [candidate for candidate in tried if candidate is not None]

    def _refined(self, unit: Array, exponents: list[int], exact: bool = True) -> Candidate | None:
        """The candidate in a unit, made finer for the threshold as far as it fits; with `exact`, moved to meet it."""
        for k in refinements(unit, exponents, self.population.neuron):
            finer = np.maximum(unit / 2.0**k, self.lowest) if self.by_channel else unit / 2.0**k
            candidate = self._attempt(
                exact_threshold(finer, self.population.neuron) if exact else finer, [e + k for e in exponents]
            )
            if candidate is not None:
                return candidate
        return None

    def _coarser(self, bases: list[float], peaks: list[Array]) -> list[Candidate]:
        """The first coarser unit that fits, and those up to twice it that suit the weights of another projection."""
        multiples = {bases[0] * factor for factor in COARSER}
        multiples |= {base * 2.0**k for base in bases[1:] for k in range(int(np.log2(COARSER[-1])))}
        fitting: list[Candidate] = []
        stop = bases[0] * COARSER[-1]
        because = self.because if self.lowest.max() > bases[0] else "input"
        for multiple in sorted(multiples):
            if multiple > stop:
                break
            unit = exact_threshold(self._units(bases[0], peaks) * multiple / bases[0], self.population.neuron)
            candidate = self._attempt(unit, self._exponents(unit, peaks), because)
            if candidate is not None and not self._is_lost(candidate):
                if not fitting:
                    stop = multiple if len(self.incoming) == 1 else 1.99 * multiple
                fitting.append(candidate)
        return fitting

    def _is_lost(self, candidate: Candidate) -> bool:
        """Whether nothing is left of the weights."""
        before, after = (any(p.synapse.weight.any() for p in ps) for ps in (self.incoming, candidate.projections))
        return before and not after

    def _exponents(self, unit: Array, peaks: list[Array]) -> list[int]:
        """Exponents that fit; negative ones, which round sums down, only where they lose less than 0 does."""
        exponents = fitting_exponents(peaks, unit)
        for place, exponent in enumerate(exponents):
            if exponent < 0:
                losses = [self._error(place, unit, e).mean() for e in (0, exponent)]
                exponents[place] = 0 if losses[0] <= losses[1] else exponent
        return exponents

    def _attempt(self, unit: Array, exponents: list[int], coarsened_by: str = "") -> Candidate | None:
        """The candidate in this unit if everything fits."""
        if (unit * (1 + ROUNDING) < self.lowest).any():
            return None
        nearest = self._nearest(unit, exponents)
        projections = nearest
        if self.seeds is not None:
            projections = [
                quantise_weights(p, unit, e, high, np.random.default_rng(seed))
                for p, e, high, seed in zip(self.incoming, exponents, self.highs, self.seeds, strict=True)
            ]
        bound = arrival_bound(self.network, self.population, projections, unit)
        if bound is None:
            return None
        return Candidate(unit, projections, bound, float(self._errors(unit, nearest).mean()), coarsened_by)

    def _nearest(self, unit: Array, exponents: list[int]) -> list[Projection]:
        return [
            quantise_weights(p, unit, e, high) for p, e, high in zip(self.incoming, exponents, self.highs, strict=True)
        ]

    def _errors(self, unit: Array, fixed: list[Projection]) -> Array:
        """Expected squared error of the input of each channel, ``(C,)``."""
        total = np.zeros(self.population.shape[0])
        for p, q in zip(self.incoming, fixed, strict=True):
            errors = expected_errors(p, q, per_weight(unit, p.synapse), self.observed.sent[p.source])
            total += errors.reshape(total.size, -1).mean(axis=1)
        return total

    def _error(self, place: int, unit: Array, exponent: int) -> Array:
        """Expected squared error of the input from one projection."""
        projection = self.incoming[place]
        fixed = quantise_weights(projection, unit, exponent, self.highs[place])
        scale = per_weight(unit, projection.synapse)
        return expected_errors(projection, fixed, scale, self.observed.sent[projection.source])
