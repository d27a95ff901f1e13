"""An energy, time, power or rate with its range and standing, and how it is written.

The range follows from the bounds of the figures that went in (chips/figure.py): a term that is a minimum opens it
upwards, one that is a maximum opens it down to zero.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from neurosam_hw.chips.figure import STANDINGS, Total

__all__ = ["Amount", "prefix", "si", "weakest"]

PREFIXES = {-15: "f", -12: "p", -9: "n", -6: "µ", -3: "m", 0: "", 3: "k", 6: "M", 9: "G"}


@dataclass(frozen=True)
class Amount:
    """A value that a model gives, with the range in which its figures allow it to be.

    Parameters
    ----------
    value, low, high : float
        In `unit`; `high` is infinite where a figure is a minimum.
    unit : str
        J, s, W or Hz.
    standing : str
        The weakest of the figures that went in.

    Examples
    --------
    >>> from neurosam_hw.cost.amount import Amount
    >>> str(Amount(2.5e-6, 2.5e-6, float("inf"), "J", "pre-silicon"))
    'at least 2.5 µJ (pre-silicon)'
    >>> str(Amount(2.5e-6, 2e-6, 3e-6, "J", "fitted"))
    '2.5 µJ, 2 µJ to 3 µJ (fitted)'
    >>> Amount(4.801e-3, 4.798e-3, 4.802e-3, "s", "fitted").text  # a range that three digits do not show
    '4.8 ms'
    """

    value: float
    low: float
    high: float
    unit: str
    standing: str

    @classmethod
    def of(cls, total: Total) -> Amount:
        """A sum of figures, without its terms."""
        return cls(total.value, total.low, total.high, total.unit, total.standing)

    def times(self, other: Amount, unit: str) -> Amount:
        """The product, in a unit of its own: power by time is an energy."""
        return Amount(
            self.value * other.value, _product(self.low, other.low), _product(self.high, other.high), unit,
            weakest(self.standing, other.standing),
        )  # fmt: skip

    def per(self, other: Amount, unit: str) -> Amount:
        """The quotient, in a unit of its own: energy by time is a power."""
        return self.times(other.inverse(unit), unit)

    def inverse(self, unit: str) -> Amount:
        """One by the value, in a unit of its own: the rate of something that takes this long."""
        value, low, high = (1 / x if x else math.inf for x in (self.value, self.high, self.low))
        return Amount(value, low, high, unit, self.standing)

    @property
    def text(self) -> str:
        """The value and its range, with a unit."""
        value = si(self.value, self.unit)
        if self.low == self.high:
            return value
        if self.high == self.value and self.low == 0:
            return f"at most {value}"
        low, high = si(self.low, self.unit), si(self.high, self.unit)
        if math.isinf(self.high):
            return f"at least {low}" if low == value else f"{value}, at least {low}"
        if low == high:
            return value
        return f"{low} to {high}" if value in (low, high) else f"{value}, {low} to {high}"

    def __str__(self) -> str:
        """The value with its range and standing."""
        return f"{self.text} ({self.standing})"


def si(value: float, unit: str) -> str:
    """A value with three digits and a prefix: ``1.23 µJ``.

    Examples
    --------
    >>> si(1.2345e-6, "J"), si(0, "J"), si(1234.5, "Hz"), si(999.96e-9, "s"), si(2.5e-18, "J")
    ('1.23 µJ', '0 J', '1.23 kHz', '1 µs', '0.0025 fJ')
    """
    if not value or not math.isfinite(value):
        return f"{value:g} {unit}"
    rounded = float(f"{value:.3g}")
    factor, prefixed = prefix(abs(rounded), unit)
    return f"{rounded * factor:.3g} {prefixed}"


def prefix(largest: float, unit: str) -> tuple[float, str]:
    """A factor and a unit, in which the largest of some values has one to three digits in front of the point.

    Examples
    --------
    >>> prefix(4.5e-8, "J"), prefix(0.0, "s"), prefix(1234.0, "")
    ((1000000000.0, 'nJ'), (1.0, 's'), (1.0, ''))
    """
    if not largest or not unit:
        return 1.0, unit
    exponent = min(max(3 * math.floor(math.log10(largest) / 3), min(PREFIXES)), max(PREFIXES))
    return 10.0**-exponent, f"{PREFIXES[exponent]}{unit}"


def weakest(*standings: str) -> str:
    """The weakest of some standings; the strongest there is if there are none."""
    return max(standings, key=STANDINGS.index, default=STANDINGS[0])


def _product(a: float, b: float) -> float:
    """A product in which 0 wins over infinity: nothing at an unbounded price is nothing."""
    return 0.0 if 0 in (a, b) else a * b
