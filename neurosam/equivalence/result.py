"""What a comparison of two recordings found: counts by variable, and where they part.

Comparisons of chunks of samples add up to the comparison of all.
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
    """Counts of one variable of one population.

    Parameters
    ----------
    compared : int
        Values compared.
    mismatches : int
        Values that differ, beyond rounding for floats, and not as a consequence of a rounded spike.
    rounded : int
        Spikes of one side only that rounding decided.
    caused : int
        Values that differ as a consequence of those.
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
    """What a comparison of two recordings found.

    Parameters
    ----------
    backends : (str, str)
    steps, samples : int
    tallies : mapping of (population, variable) to Tally
        In causal order.
    first : tuple of Divergence
        The first divergence of each sample that has one, in order of samples.
    rounded : tuple of Divergence
        Spikes that rounding decided, each with its distance.
    not_compared : tuple of str
        What only one of the recordings holds.
    """

    backends: tuple[str, str]
    steps: int
    samples: int
    tallies: Mapping[tuple[str, str], Tally]
    first: tuple[Divergence, ...] = ()
    rounded: tuple[Divergence, ...] = ()
    not_compared: tuple[str, ...] = ()

    @property
    def total(self) -> Tally:
        """All counts together."""
        return reduce(Tally.__add__, self.tallies.values(), Tally())

    @property
    def equal(self) -> bool:
        """Whether nothing differs beyond what rounding explains; for integers, whether nothing differs."""
        return self.total.mismatches == 0

    @property
    def divergence(self) -> Divergence | None:
        """The first divergence in causal order, of all samples."""
        return min(self.first, key=lambda d: d.place, default=None)

    def to_dict(self) -> dict[str, Any]:
        """Everything in lists, dicts, numbers and strings, as JSON holds them."""
        return {
            "backends": list(self.backends),
            "equal": self.equal,
            "steps": self.steps,
            "samples": self.samples,
            "total": asdict(self.total),
            "variables": [
                {"population": population, "variable": variable, **asdict(tally)}
                for (population, variable), tally in self.tallies.items()
            ],
            "first": [_plain(d) for d in self.first],
            "rounded": [_plain(d) for d in self.rounded],
            "not_compared": list(self.not_compared),
        }

    def to_json(self) -> str:
        """:meth:`to_dict` as text (NaN and infinities as strings)."""
        return json.dumps(self.to_dict(), indent=2, allow_nan=False)

    def table(self) -> Table:
        """A table for the terminal, one line a variable."""
        from rich.table import Table

        verdict = "equal" if self.equal else "NOT equal"
        table = Table(title=f"{self.backends[0]} and {self.backends[1]}: {verdict}", caption=self._caption())
        for name in ("population", "variable"):
            table.add_column(name)
        for name in ("compared", "mismatches", "rounded", "caused"):
            table.add_column(name, justify="right")
        for (population, variable), tally in self.tallies.items():
            style = "bold red" if tally.mismatches else None
            table.add_row(population, variable, *(f"{count:,}" for count in asdict(tally).values()), style=style)
        return table

    def _caption(self) -> str:
        lines = [f"{self.samples} sample(s), {self.steps} steps"]
        if self.divergence is not None:
            lines.append(f"first divergence: {self.divergence}")
        if self.not_compared:
            lines.append(f"not compared: {'; '.join(self.not_compared)}")
        return "\n".join(line.replace("[", r"\[") for line in lines)


def _plain(divergence: Divergence) -> dict[str, Any]:
    values = {**asdict(divergence), "coordinates": list(divergence.coordinates)}
    del values["place"]
    return {name: str(v) if isinstance(v, float) and not np.isfinite(v) else v for name, v in values.items()}


def shifted(found: Equivalence, start: int) -> Equivalence:
    """The same, with samples counted from `start` on."""

    def moved(d: Divergence) -> Divergence:
        step, order, rank, sample, neuron = d.place
        return replace(d, sample=d.sample + start, place=(step, order, rank, sample + start, neuron))

    return replace(found, first=tuple(map(moved, found.first)), rounded=tuple(map(moved, found.rounded)))


def merged(parts: Sequence[Equivalence]) -> Equivalence:
    """The comparison of all samples, from those of one chunk after the other."""
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
    )
