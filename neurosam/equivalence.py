"""The proof that two back ends agree: every recorded value compared, every difference counted, the first one located.

:func:`compare` gives the first divergence of two recordings, :func:`report` all counts, :func:`verify` runs the back
ends as well. Fixed point is equal bit for bit or it is not; for float64, what rounding can explain (divergence.py,
rounding.py) is told from what it cannot. A comparison of nothing is an error, never an agreement.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import reduce
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from neurosam.backends import run
from neurosam.difference import Difference, compare_networks
from neurosam.divergence import ROUNDING, Divergence, Mismatches, Variable, mismatches, shared
from neurosam.errors import NeurosamError
from neurosam.events import Events
from neurosam.network import Network
from neurosam.recording import Record, Recording
from neurosam.rounding import Consequences, rounded, silent_distance
from neurosam.synapse import neurons

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["Difference", "Divergence", "Equivalence", "Tally", "compare", "compare_networks", "report", "verify"]

CHUNK_BYTES = 2**28


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


def compare(a: Recording, b: Recording, network: Network | None = None) -> Divergence | None:
    """The first divergence of two recordings, or None if they agree in everything that both hold.

    Parameters
    ----------
    a, b : Recording
        Of the same input.
    network : Network, optional
        Gives the order of evaluation, and the thresholds: without it populations come in the order of the recordings,
        no distance is told, and every float spike that differs is a divergence.

    Raises
    ------
    NeurosamError
        If the recordings do not have the same form, or nothing in common.
    """
    return report(a, b, network).divergence


def report(a: Recording, b: Recording, network: Network | None = None, tolerance: float | None = None) -> Equivalence:
    """Compare everything that two recordings both hold.

    Parameters
    ----------
    a, b, network
        See :func:`compare`. For a float network, record spikes and membranes of every population (Record.everything),
        or a spike that rounding decided cannot be told from a wrong one.
    tolerance : float, optional
        Relative rounding of floats (divergence.py); 1e-9 if None. Integers have none.

    Raises
    ------
    NeurosamError
        If the recordings do not have the same form, or nothing in common; if a tolerance is given for integers.
    """
    variables, alone = shared(a, b, network)
    if tolerance is not None and (not 0 <= tolerance < 1 or all(v.exact for v in variables)):
        raise NeurosamError("tolerance", f"got {tolerance}; it is in [0, 1) for floats, and integers have none")
    tolerance = ROUNDING if tolerance is None else tolerance
    near: list[Divergence] = []
    effects: Consequences | None = None
    if network is not None and not network.fixed:
        near, effects = rounded(variables, network, a.samples, tolerance)
    tallies: dict[tuple[str, str], Tally] = {}
    earliest: list[Divergence] = []
    by_name = {(v.population, v.name): v for v in variables}
    for variable in variables:
        found = mismatches(variable, tolerance)
        judged = found if effects is None else found.where(~effects.cover(found))
        here = sum(d.population == variable.population for d in near) if variable.name == "spikes" else 0
        tallies[variable.population, variable.name] = Tally(
            variable.a.size, len(judged), here, len(found) - len(judged) - here
        )
        first = judged.each_sample()
        earliest.extend(first.divergences(_distance(first, by_name, network)))
    return Equivalence((a.backend, b.backend), a.steps, a.samples, tallies, _first(earliest), tuple(near), alone)


def _distance(
    found: Mismatches, by_name: Mapping[tuple[str, str], Variable], network: Network | None
) -> npt.NDArray[np.float64] | None:
    """Distance to threshold at each mismatch, where spikes and membranes tell it."""
    v = found.variable
    spikes, membrane = by_name.get((v.population, "spikes")), by_name.get((v.population, "membrane"))
    if network is None or spikes is None or membrane is None or v.name not in ("membrane", "spikes"):
        return None
    return silent_distance(found, spikes, membrane, network)[0]


def _first(divergences: Sequence[Divergence]) -> tuple[Divergence, ...]:
    """The first in causal order of each sample."""
    found: dict[int, Divergence] = {}
    for divergence in sorted(divergences, key=lambda d: d.place):
        found.setdefault(divergence.sample, divergence)
    return tuple(found[sample] for sample in sorted(found))


def verify(
    network: Network,
    events: Events,
    backends: Sequence[str] = ("reference", "event"),
    record: Record | None = None,
    progress: Callable[[int, int], None] | None = None,
    **options: Any,
) -> dict[str, Equivalence]:
    """Run back ends on the same input and compare each with the first.

    Parameters
    ----------
    network : Network
    events : Events
        At least one sample.
    backends : sequence of str
        Two or more names; the first is the one that the others are held against.
    record : Record, optional
        What to compare beside outputs and spike counts; everything if None.
    progress : callable, optional
        Called with (samples done, samples in all).
    **options
        More arguments of :func:`neurosam.backends.run`, the same for every back end.

    Returns
    -------
    dict of str to Equivalence
        By the other back end's name. Samples run in chunks, so that memory stays bounded however many there are.

    Raises
    ------
    NeurosamError
        If there are fewer than two back ends, or no samples.
    """
    if len(set(backends)) < 2 or len(set(backends)) != len(backends):
        raise NeurosamError(
            "verify: backends", f"got {', '.join(backends) or 'none'}; two or more different ones are required"
        )
    if not events.samples:
        raise NeurosamError("verify: events", "hold no samples; nothing can be compared")
    record = Record.everything(network) if record is None else record
    parts: dict[str, list[Equivalence]] = {name: [] for name in backends[1:]}
    size = _chunk(network, events.steps)
    for start in range(0, events.samples, size):
        chunk = events.select(start, start + size)
        first = run(network, chunk, backends[0], record, **options)
        for name in backends[1:]:
            found = report(first, run(network, chunk, name, record, **options), network)
            parts[name].append(_shifted(found, start))
        if progress is not None:
            progress(min(start + size, events.samples), events.samples)
    return {name: _merged(found) for name, found in parts.items()}


def _chunk(network: Network, steps: int) -> int:
    """Samples whose recordings fit CHUNK_BYTES: a membrane, a current, dense spikes and a map of two back ends."""
    cells = sum(neurons(p.shape) for p in network.populations)
    return max(1, CHUNK_BYTES // (64 * cells * steps))


def _shifted(found: Equivalence, start: int) -> Equivalence:
    """The same, with samples counted from `start`."""

    def moved(d: Divergence) -> Divergence:
        step, order, rank, sample, neuron = d.place
        return replace(d, sample=d.sample + start, place=(step, order, rank, sample + start, neuron))

    return replace(found, first=tuple(map(moved, found.first)), rounded=tuple(map(moved, found.rounded)))


def _merged(parts: Sequence[Equivalence]) -> Equivalence:
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
