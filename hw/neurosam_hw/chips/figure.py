"""A figure with its standing, and sums that keep it.

A sum is as trustworthy as its weakest term, and as wide as its bounds: a term that is a minimum opens the sum upwards,
one that is a maximum opens it down to zero. What must not be added is refused:

- an unknown figure: there is no sum, and the message says which figure is missing;
- an all-in figure and anything else: it already holds everything (leakage, routing, neurons), so it counts that twice.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from neurosam.errors import ArgumentError
from neurosam_hw.chips.units import BASE, to_si

__all__ = ["BOUNDS", "SCOPES", "STANDINGS", "Figure", "Total", "Value", "total", "unknown"]

Value = bool | float | tuple[float, ...] | None

STANDINGS = ("measured", "pre-silicon", "fitted", "derived", "vendor", "unknown")
"""From the strongest to the weakest: measured on silicon; simulated by its designers; fitted to measurements by others;
computed from other figures, or read in others' software; claimed by the vendor without a measurement; unknown."""
SCOPES = ("per-term", "all-in")
"""One cause alone; or everything that was drawn or that passed, divided by the number of operations."""
BOUNDS = ("none", "minimum", "maximum")
"""Whether the true value is about this; at least this; at most this."""


@dataclass(frozen=True)
class Figure:
    """One figure of a chip or board.

    Parameters
    ----------
    name : str
        Section and key, such as "energy.synaptic_operation".
    value : bool, float, tuple of float, or None
        In `unit`, as the source has it; None if unknown.
    unit : str
        A unit of ``units.UNITS``.
    standing : str
        One of STANDINGS.
    scope : str
        One of SCOPES; empty where nothing is added (limits, widths, abilities).
    bound : str
        One of BOUNDS.
    conditions : str
        Under which the value holds: voltage, network, what it includes.
    source, locator : str
        Where it comes from, and where in there.

    Examples
    --------
    >>> from neurosam_hw.chips.figure import Figure
    >>> figure = Figure("energy.synaptic_operation", 23.6, "pJ", "pre-silicon", "per-term", bound="minimum")
    >>> figure.value_si, str(figure)
    (2.36e-11, 'at least 23.6 pJ (pre-silicon, per-term)')
    """

    name: str
    value: Value
    unit: str
    standing: str
    scope: str = ""
    bound: str = "none"
    conditions: str = ""
    source: str = ""
    locator: str = ""

    @property
    def known(self) -> bool:
        """Whether there is a value."""
        return self.value is not None

    @property
    def base_unit(self) -> str:
        """The unit of `value_si`: J, s, W, V, Hz, bit, or a count of things."""
        return BASE[self.unit]

    @property
    def value_si(self) -> Value:
        """The value in `base_unit`, rounded once; abilities (true, false) and unknown ones as they are."""
        if self.value is None or isinstance(self.value, bool):
            return self.value
        if isinstance(self.value, tuple):
            return tuple(to_si(item, self.unit) for item in self.value)
        return to_si(self.value, self.unit)

    def __str__(self) -> str:
        """The value with its unit, bound, standing and scope, in words."""
        marks = ", ".join(filter(None, (self.standing, self.scope)))
        return f"{self.value_text} ({marks})" if self.known else "unknown"

    @property
    def value_text(self) -> str:
        """The value with its unit and bound; "unknown" if there is none."""
        if self.value is None:
            return "unknown"
        if isinstance(self.value, bool):
            return "yes" if self.value else "no"
        items = self.value if isinstance(self.value, tuple) else (self.value,)
        number = ", ".join(f"{item:,}" if abs(item) >= 10_000 else f"{item}" for item in items)
        words = {"none": "", "minimum": "at least ", "maximum": "at most "}[self.bound]
        unit = "" if self.unit in ("count", "integer") else f" {self.unit}"
        return f"{words}{number}{unit}"


@dataclass(frozen=True)
class Total:
    """A sum of figures, each so many times.

    Parameters
    ----------
    value, low, high : float
        The sum of the values, and the range that their bounds allow; `high` is infinite above a minimum.
    unit : str
        J, s or W.
    standing, scope : str
        The weakest standing of the terms, and their one scope.
    terms : tuple of (float, Figure)
        What was added.
    """

    value: float
    low: float
    high: float
    unit: str
    standing: str
    scope: str
    terms: tuple[tuple[float, Figure], ...]


def total(terms: Iterable[tuple[float, Figure]]) -> Total:
    """Add figures, each so many times: ``sum(count * figure)``.

    Parameters
    ----------
    terms : iterable of (float, Figure)
        How many times, at least 0, and what. What is added 0 times is not needed, and may be unknown; if that is all,
        the sum is 0, of the strongest standing.

    Returns
    -------
    Total

    Raises
    ------
    ArgumentError
        If there is nothing to add, a figure that is needed is unknown, or they do not add: different units, or an
        all-in figure with any other.

    Examples
    --------
    >>> from neurosam_hw.chips.figure import Figure, total
    >>> synapse = Figure("energy.synaptic_operation", 23.6, "pJ", "pre-silicon", "per-term", bound="minimum")
    >>> hop = Figure("energy.hop", 4, "pJ", "fitted", "per-term")
    >>> energy = total([(10, synapse), (5, hop)])
    >>> f"{energy.value:.3g} J, {energy.low:.3g} to {energy.high:.3g}: {energy.standing}"
    '2.56e-10 J, 2.56e-10 to inf: fitted'
    """
    terms = tuple(terms)
    needed = _needed(terms)
    values, lows, highs = [], [], []
    for count, figure in terms:
        term = count * _number(figure) if count else 0.0
        values.append(term)
        lows.append(0.0 if figure.bound == "maximum" else term)
        highs.append(math.inf if figure.bound == "minimum" and count else term)
    weakest = max((figure.standing for figure in needed), key=STANDINGS.index, default=STANDINGS[0])
    any_term = needed[0] if needed else terms[0][1]
    return Total(
        math.fsum(values), math.fsum(lows), math.fsum(highs), any_term.base_unit, weakest, any_term.scope, terms
    )


def _needed(terms: tuple[tuple[float, Figure], ...]) -> list[Figure]:
    """The figures that a sum depends on; refuses those of which there is none."""
    if not terms:
        raise ArgumentError("total", "got no figures; at least one is required")
    for count, figure in terms:
        if not 0 <= count < math.inf:
            raise ArgumentError(figure.name, f"is to be added {count} times; a finite number from 0 is required")
    units = {figure.base_unit: figure.name for _, figure in terms}
    if len(units) > 1:
        found = " and ".join(f"{name} in {unit}" for unit, name in units.items())
        raise ArgumentError("total", f"got {found}; one unit is required")
    needed = [figure for count, figure in terms if count]
    missing = sorted({figure.name for figure in needed if not figure.known})
    if missing:
        raise ArgumentError("total", f"needs {', '.join(missing)}, which no source gives: no total is possible")
    different = sorted(set(needed), key=lambda figure: figure.name)
    whole = [figure for figure in different if figure.scope == "all-in"]
    if whole and len(different) > 1:
        others = ", ".join(figure.name for figure in different if figure is not whole[0])
        raise ArgumentError(
            "total", f"{whole[0].name} is all-in: it holds everything already, and does not add to {others}"
        )
    return needed


def _number(figure: Figure) -> float:
    """The one value of a figure that has a scope, in its base unit."""
    value = figure.value_si
    if value is None or isinstance(value, (bool, tuple)) or not figure.scope:
        raise ArgumentError(figure.name, f"got {figure.value_text}; one energy, time or power is required in a sum")
    return value


def unknown(name: str, unit: str) -> Figure:
    """A figure of which a file says nothing."""
    return Figure(name, None, unit, "unknown", conditions="not in the file")
