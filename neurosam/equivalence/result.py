"""The result of comparing two recordings: counts per variable, and where they first diverge.

Results for chunks of samples add up to the result for all samples.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import reduce
from typing import TYPE_CHECKING, Any

import numpy as np

from neurosam.equivalence.divergence import Divergence

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["Equivalence", "Tally", "merged", "shifted"]


@dataclass(frozen=True)
class Tally:
    """Counts for one variable of one population.

    Parameters
    ----------
    compared : int
        Values compared.
    mismatches : int
        Values that differ, for floats by more than rounding, and not as a consequence of a rounded spike.
    rounded : int
        Spikes of one side only that are attributable to rounding.
    caused : int
        Values that differ as a consequence of rounded spikes.
    """

    compared: int = 0
    mismatches: int = 0
    rounded: int = 0
    caused: int = 0

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            self.compared + other.compared,
            self.mismatches + other.mismatches,
            self.rounded + other.rounded,
            self.caused + other.caused,
        )


@dataclass(frozen=True)
class Equivalence:
    """The result of comparing two recordings.

    Parameters
    ----------
    backends : (str, str)
    steps, samples : int
        That were compared.
    tallies : mapping of (population, variable) to Tally
        In causal order.
    first : tuple of Divergence
        The first divergence of each sample that has one, in order of samples.
    rounded : tuple of Divergence
        Spikes of one side only that are attributable to rounding, each with its distance to the threshold.
    not_compared : tuple of str
        What only one of the recordings holds.
    first_step : int
        Own step of the first step that was compared.
    in_one : tuple of (population, variable)
        What only one of the recordings holds.
    steps_in_one : int
        Steps that only one of them holds.
    hint : str
        How the second recording may be laid out, if that explains the population that differs first.

    Examples
    --------
    >>> from neurosam.equivalence import Tally
    >>> result = ns.Equivalence(
    ...     ("reference", "event"), 8, 1, {("out", "membrane"): Tally(80, 0), ("out", "output"): Tally(10)}
    ... )
    >>> result.equal, result.divergence, result.total.compared
    (True, None, 90)
    """

    backends: tuple[str, str]
    steps: int
    samples: int
    tallies: Mapping[tuple[str, str], Tally]
    first: tuple[Divergence, ...] = ()
    rounded: tuple[Divergence, ...] = ()
    not_compared: tuple[str, ...] = ()
    first_step: int = 0
    in_one: tuple[tuple[str, str], ...] = ()
    steps_in_one: int = 0
    hint: str = ""

    @property
    def total(self) -> Tally:
        """Sum of all tallies."""
        return reduce(Tally.__add__, self.tallies.values(), Tally())

    @property
    def equal(self) -> bool:
        """Whether nothing differs; for floats, whether nothing differs beyond what rounding explains."""
        return self.total.mismatches == 0

    @property
    def divergence(self) -> Divergence | None:
        """The first divergence in causal order over all samples."""
        return min(self.first, key=lambda d: d.place, default=None)

    def to_dict(self) -> dict[str, Any]:
        """The result as lists, dicts, numbers and strings, for JSON."""
        return {
            "backends": list(self.backends),
            "equal": self.equal,
            "steps": self.steps,
            "first_step": self.first_step,
            "samples": self.samples,
            "total": asdict(self.total),
            "variables": [
                {"population": population, "variable": variable, **asdict(tally)}
                for (population, variable), tally in self.tallies.items()
            ],
            "first": [_plain(d) for d in self.first],
            "rounded": [_plain(d) for d in self.rounded],
            "not_compared": list(self.not_compared),
            "hint": self.hint,
        }

    def to_json(self) -> str:
        """:meth:`to_dict` as text (NaN and infinities as strings)."""
        return json.dumps(self.to_dict(), indent=2, allow_nan=False)

    def table(self) -> Table:
        """A table for the terminal, one row per variable."""
        from neurosam._util.tables import PlainTable

        verdict = "equal" if self.equal else "NOT equal"
        table = PlainTable(f"{self.backends[0]} and {self.backends[1]}: {verdict}", self._caption())
        for name in ("population", "variable"):
            table.add_column(name)
        for name in ("compared", "mismatches", "rounded", "caused"):
            table.add_column(name, justify="right")
        for (population, variable), tally in self.tallies.items():
            style = "bold red" if tally.mismatches else None
            table.add_row(population, variable, *(f"{count:,}" for count in asdict(tally).values()), style=style)
        return table

    def _caption(self) -> str:
        start = f", from own step {self.first_step} on" if self.first_step else ""
        lines = [f"{self.samples} sample(s), {self.steps} steps{start}"]
        if self.divergence is not None:
            lines.append(f"first divergence: {self.divergence}")
        if self.hint:
            lines.append(self.hint)
        if self.not_compared:
            lines.append(f"not compared: {'. '.join(gathered(self.not_compared))}")
        return "\n".join(lines)


def gathered(not_compared: Sequence[str]) -> list[str]:
    """What was not compared, briefly: populations by variable, and variables by reason.

    Examples
    --------
    >>> from neurosam.equivalence.result import gathered
    >>> gathered(["a: spikes (only in x)", "b: spikes (only in x)", "a: sam (only in x)", "operations (only in x)"])
    ['only in x: spikes of a, b; sam of a; operations']
    """
    by_reason: dict[str, dict[str, list[str]]] = {}
    for text in not_compared:
        what, _, reason = text.removesuffix(")").rpartition(" (")
        name, _, variable = what.rpartition(": ")
        by_reason.setdefault(reason, {}).setdefault(variable, []).extend([name] if name else [])
    return [
        f"{reason}: " + "; ".join(f"{v} of {', '.join(names)}" if names else v for v, names in variables.items())
        for reason, variables in by_reason.items()
    ]


def _plain(divergence: Divergence) -> dict[str, Any]:
    values = {**asdict(divergence), "coordinates": list(divergence.coordinates)}
    del values["place"]
    return {name: str(v) if isinstance(v, float) and not np.isfinite(v) else v for name, v in values.items()}


def shifted(result: Equivalence, start: int) -> Equivalence:
    """The same result with `start` added to its sample numbers."""

    def moved(d: Divergence) -> Divergence:
        step, order, rank, sample, neuron = d.place
        return replace(d, sample=d.sample + start, place=(step, order, rank, sample + start, neuron))

    return replace(result, first=tuple(map(moved, result.first)), rounded=tuple(map(moved, result.rounded)))


def merged(parts: Sequence[Equivalence]) -> Equivalence:
    """The result for all samples, from the results for consecutive chunks."""
    tallies: dict[tuple[str, str], Tally] = {}
    for part in parts:
        for key, tally in part.tallies.items():
            tallies[key] = tallies.get(key, Tally()) + tally
    return replace(
        parts[0],
        samples=sum(part.samples for part in parts),
        tallies=tallies,
        first=tuple(d for part in parts for d in part.first),
        rounded=tuple(d for part in parts for d in part.rounded),
        hint=next((part.hint for part in parts if part.hint), ""),
    )
