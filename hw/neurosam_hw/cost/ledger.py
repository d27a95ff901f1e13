"""The energy of an inference by cause: how often each thing happened, times what the chip's file says it draws.

    energy = sum over the terms of the chip (terms.py) of count * figure

A total carries the weakest standing of its terms and the range of their bounds. It is refused, by name, where a figure
is needed that no source gives; the parts that are known are there all the same, and are no total. An all-in figure
(everything that was drawn, divided by synaptic operations) gives a total of its own, which adds to nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from neurosam_hw.chips.chip import Chip
from neurosam_hw.chips.figure import Figure, Total, total
from neurosam_hw.cost.terms import CAUSES, counted, terms

__all__ = ["ALL_IN", "Ledger", "Line", "energies", "ledger"]

ALL_IN = ("deliveries", "energy.synaptic_operation_all_in")
"""The count and the figure of a total of everything."""


@dataclass(frozen=True)
class Line:
    """One term of the sum.

    Parameters
    ----------
    cause, count : str
        A cause of terms.py, and the name of what was counted.
    number : float, optional
        How often, in an inference; None if the recording does not say.
    figure : Figure
        The energy of each.
    """

    cause: str
    count: str
    number: float | None
    figure: Figure

    @property
    def energy(self) -> Total | None:
        """The product; None if either is unknown."""
        if self.number is None or (self.number and not self.figure.known):
            return None
        return total([(self.number, self.figure)])


@dataclass(frozen=True)
class Ledger:
    """Energy of an inference.

    Parameters
    ----------
    lines : tuple of Line
    missing : mapping of str to tuple of str
        What a total needs and no one gives, by cause: names of figures, or of counts that were not recorded.
    total : Total, optional
        The sum of all lines; None if anything is missing.
    known : Total
        The sum of the lines that are known; a total only if nothing is missing.
    all_in : Total, optional
        Everything that the chip draws, by its all-in figure; None if it has none. It adds to nothing.
    """

    lines: tuple[Line, ...]
    missing: Mapping[str, tuple[str, ...]]
    total: Total | None
    known: Total
    all_in: Total | None

    @property
    def by_cause(self) -> dict[str, Total | None]:
        """The sum of each cause; None where a part of it is unknown."""
        found: dict[str, Total | None] = {}
        for cause in dict.fromkeys(line.cause for line in self.lines):
            lines = [line for line in self.lines if line.cause == cause]
            found[cause] = None if cause in self.missing else _sum(lines)
        return found

    @property
    def refusal(self) -> str:
        """Why there is no total; empty if there is one."""
        return "; ".join(f"{cause}: {', '.join(names)}" for cause, names in self.missing.items())


def ledger(chip: Chip, counts: Mapping[str, float | None]) -> Ledger:
    """Add up the energy of an inference.

    Parameters
    ----------
    chip : Chip
    counts : mapping of str to float
        How often each thing happened, by the names of terms.py; None for what was not recorded.

    Examples
    --------
    >>> from neurosam_hw.chips import load_chip
    >>> from neurosam_hw.cost.ledger import ledger
    >>> counts = {"deliveries": 100, "active": 10, "idle": 40, "in_tile": 5}
    >>> counts |= dict.fromkeys(("hops", "hops_east_west", "hops_north_south", "crossings"), 0)
    >>> bill = ledger(load_chip("loihi1"), counts)
    >>> f"{bill.total.value:.4g} J or more, {bill.total.standing}"  # 100 * 23.6 + 10 * 81 + 40 * 52 + 5 * 1.7 pJ
    '5.259e-09 J or more, pre-silicon'
    >>> ledger(load_chip("darwin3"), counts).missing["neurons"]
    ('energy.neuron_update_active', 'energy.neuron_update_inactive')
    """
    every = [
        Line(term.cause, term.count, counts[term.count], term.figure)
        for term in terms(chip, "energy")
        if counted(term, counts)
    ]
    lines = tuple(line for line in every if line.number != 0 or line.figure.known)
    missing = {cause: names for cause in CAUSES if (names := _missing([x for x in lines if x.cause == cause]))}
    known = _sum([line for line in lines if line.energy is not None])
    count, name = ALL_IN
    number, whole = counts[count], chip.figure(name)
    all_in = total([(number, whole)]) if whole.known and number is not None else None
    return Ledger(lines, missing, None if missing else known, known, all_in)


def energies(
    chip: Chip, counts: Mapping[str, npt.NDArray[np.int64] | None], causes: tuple[str, ...] = tuple(CAUSES)
) -> npt.NDArray[np.float64]:
    """The known energy of each place in arrays of counts, all of one shape: by step, sample or core.

    It is what :attr:`Ledger.known` is the sum of.
    """
    found = np.zeros(next(x.shape for x in counts.values() if x is not None))
    for term in terms(chip, "energy", causes):
        if not counted(term, counts):
            continue
        number, each_j = counts[term.count], term.figure.value_si
        if number is not None and isinstance(each_j, (int, float)):
            found += number * each_j
    return found


def _missing(lines: list[Line]) -> tuple[str, ...]:
    """What the energy of some lines needs and no one gives."""
    return tuple(
        f"the count {line.count!r} (record the membranes)" if line.number is None else line.figure.name
        for line in lines
        if line.energy is None
    )


def _sum(lines: list[Line]) -> Total:
    nothing = Figure("energy", 0.0, "J", "measured", "per-term")
    return total([(0, nothing), *((line.number or 0, line.figure) for line in lines)])
