"""What a pass is worth: how many mutants of a network a stimulus tells from their original, and which ones survive.

Two implementations that agree on a stimulus may differ in a number that the stimulus does not depend on. Each mutant
(mutation.py) is such a difference, made on purpose; a stimulus that tells nine of ten apart would have noticed nine of
ten mistakes of this kind. It depends on what is compared, so results are by level (detection.py).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from neurosam._util.arguments import choice, integer
from neurosam._util.progress import reported
from neurosam.equivalence.detection import LEVELS, Original, samples_at_once
from neurosam.equivalence.equivalents import proof, unreached
from neurosam.equivalence.mutation import Mutant, draw
from neurosam.errors import ArgumentError, NeurosamError
from neurosam.network.network import Network
from neurosam.signals.events import Events
from neurosam.signals.inputs import Inputs

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["Outcome", "Score", "score"]

MAX_MUTANTS = 2**20
SHOWN = 12
"""Survivors that a table's caption lists."""


@dataclass(frozen=True)
class Outcome:
    """What became of one mutant.

    Parameters
    ----------
    mutant : Mutant
    first : mapping of str to int
        The first sample that tells it apart, by level; no entry where none does.
    equivalent : str
        Why no input can ever tell it apart, where that is proven; else empty.
    reason : str
        Why this stimulus does not, where that is known; else empty.
    """

    mutant: Mutant
    first: Mapping[str, int]
    equivalent: str = ""
    reason: str = ""

    def survives(self, level: str) -> bool:
        """Whether no sample tells it apart by this level, though one might."""
        return level not in self.first and not self.equivalent

    def __str__(self) -> str:
        why = self.equivalent or self.reason
        return f"{self.mutant}{f' ({why})' if why else ''}"


@dataclass(frozen=True)
class Score:
    """How many mutants a stimulus tells apart.

    Parameters
    ----------
    outcomes : tuple of Outcome
    levels : tuple of str
        What was looked at: "answers" (of outputs), "spikes", "maps", "membranes" (and currents); each includes those
        before it.
    steps, samples : int
        Of the stimulus.
    time_s : float
    """

    outcomes: tuple[Outcome, ...]
    levels: tuple[str, ...]
    steps: int
    samples: int
    time_s: float = 0.0

    def told(self, level: str = "spikes", samples: int | None = None, **only: str) -> tuple[int, int]:
        """Mutants that are told apart, and mutants that are not proven to be equivalent.

        Parameters
        ----------
        level : str
            What is compared.
        samples : int, optional
            Count what the first samples alone tell apart.
        **only
            ``kind`` or ``layer``: count these mutants.
        """
        choice("level", level, self.levels, ArgumentError)
        chosen = [
            o for o in self.outcomes
            if not o.equivalent and all(getattr(o.mutant.site, name) == value for name, value in only.items())
        ]  # fmt: skip
        limit = self.samples if samples is None else samples
        return sum(o.first.get(level, limit) < limit for o in chosen), len(chosen)

    def survivors(self, level: str = "spikes") -> tuple[Outcome, ...]:
        """Mutants that the stimulus does not tell apart, but some input might."""
        choice("level", level, self.levels, ArgumentError)
        return tuple(o for o in self.outcomes if o.survives(level))

    @property
    def equivalent(self) -> tuple[Outcome, ...]:
        """Mutants that are proven to do what the original does, whatever the input."""
        return tuple(o for o in self.outcomes if o.equivalent)

    def to_dict(self) -> dict[str, Any]:
        """The result as lists, dicts, numbers and strings, for JSON."""
        return {
            "steps": self.steps, "samples": self.samples, "time_s": self.time_s,
            "mutants": len(self.outcomes), "equivalent": len(self.equivalent),
            "told": {level: self.told(level)[0] for level in self.levels},
            "outcomes": [
                {
                    "layer": o.mutant.site.layer, "kind": o.mutant.site.kind, "label": o.mutant.label,
                    "index": list(o.mutant.index), "value": o.mutant.value, "change": o.mutant.change,
                    "first_sample": dict(o.first), "equivalent": o.equivalent, "reason": o.reason,
                }
                for o in self.outcomes
            ],
        }  # fmt: skip

    def table(self, level: str = "spikes") -> Table:
        """A table for the terminal: a row for each kind of number and layer; the caption lists survivors by a level."""
        from neurosam._util.tables import PlainTable

        count = len(self.outcomes)
        title = f"{count:,} mutants: how many {self.samples:,} sample(s) of {self.steps:,} steps tell apart"
        table = PlainTable(title, self._caption(level), caption_justify="left")
        table.add_column("number")
        table.add_column("layer")
        for name in ("mutants", "equivalent", *(f"by {level}" for level in self.levels)):
            table.add_column(name, justify="right")
        keys = dict.fromkeys((o.mutant.site.kind, o.mutant.site.layer) for o in self.outcomes)
        for kind, layer in sorted(keys, key=lambda key: key[0]):
            every = [o for o in self.outcomes if (o.mutant.site.kind, o.mutant.site.layer) == (kind, layer)]
            told = [self.told(each, kind=kind, layer=layer)[0] for each in self.levels]
            table.add_row(kind, layer, *map(str, (len(every), sum(bool(o.equivalent) for o in every), *told)))
        table.add_section()
        told = [self.told(each)[0] for each in self.levels]
        table.add_row("all", "", *map(str, (count, len(self.equivalent), *told)), style="bold")
        return table

    def _caption(self, level: str) -> str:
        told, possible = self.told(level)
        rate = len(self.outcomes) / self.time_s if self.time_s else 0.0
        lines = [f"by {level}: {told} of {possible} ({told / max(possible, 1):.0%}); {rate:,.0f} mutants a second"]
        for title, found in (("survive", self.survivors(level)), ("equivalent", self.equivalent)):
            if found:
                more = f", and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
                lines.append(f"{title}: {'; '.join(map(str, found[:SHOWN]))}{more}")
        return "\n".join(lines)


@reported("running mutants")
def score(
    network: Network,
    events: Events | Mapping[str, Events],
    count: int = 100,
    *,
    seed: int = 0,
    answers: bool = True,
    mutants: Sequence[Mutant] | None = None,
    backend: str = "event",
    progress: Callable[[int, int], None] | None = None,
) -> Score:
    """Change a network's numbers one at a time, and count how many changes a stimulus tells apart.

    Parameters
    ----------
    network : Network
        In fixed point.
    events : Events or mapping of str to Events
        The stimulus, of at least one sample.
    count : int
        Mutants to draw; all numbers are changed if there are no more.
    seed : int
        They are drawn with it.
    answers : bool
        Whether to compute which answers differ: the slower part, because all that follows a layer has to run again.
    mutants : sequence of Mutant, optional
        These, in place of drawn ones.
    backend : str
    progress : callable, optional
        Called with samples done and all samples.

    Raises
    ------
    NeurosamError
        For a float network, or a stimulus without samples.

    Examples
    --------
    All six numbers of a neuron that forgets its membrane: changed, four of them show in membranes, none in spikes.
    A decay of 4095 instead of 4096 can never show, as no membrane below the threshold leaves anything:

    >>> from neurosam.equivalence import score
    >>> network = ns.Network(
    ...     [ns.Population("in", (2,)), ns.Population("out", (1,), ns.FixedLIF(membrane_decay=4096, threshold=20))],
    ...     [ns.Projection("in", "out", ns.Dense(np.array([[15, 30]], np.int8)))],
    ... )
    >>> spikes = np.array([[[1, 0]], [[0, 1]], [[0, 0]]])  # [T, B, N]
    >>> result = score(network, ns.Events.from_dense(spikes), 6)
    >>> result.told("spikes"), result.told("membranes")
    ((0, 5), (4, 5))
    >>> print(result.equivalent[0])
    out: membrane_decay[0]: 4096 -> 4095 (every membrane decays to the same)
    """
    count = integer("mutants", count, 1, MAX_MUTANTS, ArgumentError)
    inputs = Inputs.of(network, events)
    if not inputs.samples:
        raise NeurosamError("mutants: events", "hold no samples; nothing can be told apart")
    start = time.perf_counter()
    drawn = draw(network, count, seed, inputs.steps) if mutants is None else list(mutants)
    proven = [proof(network, m, inputs.steps) for m in drawn]
    levels = tuple(level for level in LEVELS if (level != "answers" or answers) and (level != "maps" or network.sam))
    first: list[dict[str, int]] = [{} for _ in drawn]
    active = {p.name: np.zeros(p.shape, np.bool_) for p in network.populations if p.fires}
    size = samples_at_once(network, inputs.steps)
    for begin in range(0, inputs.samples, size):
        chunk = inputs.select(begin, min(begin + size, inputs.samples))
        original = Original(network, chunk, backend)
        for name, seen in active.items():
            seen.reshape(-1)[original.tape[name].neuron] = True
        open_ = [i for i in range(len(drawn)) if not proven[i] and levels[0] not in first[i]]
        told = original.told([drawn[i] for i in open_], answers)
        for place, i in enumerate(open_):
            for level in levels:
                samples = np.flatnonzero(told[LEVELS.index(level), place])
                if samples.size and level not in first[i]:
                    first[i][level] = begin + int(samples[0])
        if progress is not None:
            progress(min(begin + size, inputs.samples), inputs.samples)
    reasons = [
        "" if levels[-1] in found or why else unreached(network, mutant, active, inputs.steps)
        for mutant, found, why in zip(drawn, first, proven, strict=True)
    ]
    outcomes = tuple(map(Outcome, drawn, first, proven, reasons))
    return Score(outcomes, levels, inputs.steps, inputs.samples, time.perf_counter() - start)
