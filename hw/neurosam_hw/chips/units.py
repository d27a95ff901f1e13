"""Units that a chip file may use, by kind of quantity, each with its exact factor to the unit of the kind.

Factors are fractions, so that 23.6 pJ becomes the same float as ``23.6e-12``.
"""

from __future__ import annotations

from fractions import Fraction

__all__ = ["BASE", "UNITS", "WHOLE", "to_si"]

PREFIXES = {"f": -15, "p": -12, "n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9}


def _prefixed(unit: str, prefixes: str) -> dict[str, Fraction]:
    """A unit with each of these prefixes, and alone."""
    return {f"{prefix}{unit}": Fraction(10) ** PREFIXES[prefix] for prefix in (*prefixes, "")}


UNITS: dict[str, dict[str, Fraction]] = {
    "energy": _prefixed("J", "fpnum"),
    "time": _prefixed("s", "pnum"),
    "power": _prefixed("W", "numk"),
    "voltage": _prefixed("V", "m"),
    "frequency": _prefixed("Hz", "kMG"),
    "memory": {"bit": Fraction(1), "byte": Fraction(8), "KiB": Fraction(8 * 1024), "MiB": Fraction(8 * 1024**2)},
    "count": {"count": Fraction(1)},
    "step": {"step": Fraction(1)},
    "cycle": {"cycle": Fraction(1)},
    "integer": {"integer": Fraction(1)},
    "boolean": {"boolean": Fraction(1)},
}
"""Allowed units by kind, with the factor to the unit of the kind."""

BASE = {unit: next(u for u, factor in units.items() if factor == 1) for units in UNITS.values() for unit in units}
"""The unit in which the SI value of a unit is given: J, s, W, V, Hz, bit, and counts of things."""

WHOLE = frozenset({"memory", "count", "step", "integer"})
"""Kinds whose values are whole numbers."""


def to_si(value: float, unit: str) -> float:
    """A value in the base unit of its kind, rounded once.

    Examples
    --------
    >>> to_si(23.6, "pJ") == 23.6e-12, to_si(128, "KiB")
    (True, 1048576.0)
    """
    factor = next(units[unit] for units in UNITS.values() if unit in units)
    return float(Fraction(repr(value)) * factor)
