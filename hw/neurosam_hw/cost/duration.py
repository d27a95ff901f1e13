"""How long a step takes on a chip, and an inference.

Most chips end a step when their slowest core has ended, and all have met at a barrier. As SANA-FE's model `simple` has
it (its source at 8951ab0), with the times of the chip's file (terms.py) and the counts of one step:

    core = max(neurons + traces + packets sent, messages received + synapses)
    step = max over cores of core + barrier(tiles in use)

The network on chip is taken to keep up: hops take no time. A chip with a fixed step takes that; one that counts cycles
has a model of its own (xylo.py). An asynchronous chip, whose file has the time of an event and no barrier, has no
steps, and its time is refused.

The barrier is a table by tiles in use: the entry of the largest number that is not above. Between two numbers, the
range reaches to the next entry. No file has a barrier between chips, so on several chips the time is refused.

Populations run behind each other (mapping/schedule.py), so an inference of T steps takes T + depth on the chip; its
latency is the sum of all of them. While the last populations end, the first may start on the next sample: pipelined, an
inference takes T steps.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from neurosam_hw.chips.chip import Chip
from neurosam_hw.chips.figure import Figure
from neurosam_hw.cost.amount import Amount, weakest
from neurosam_hw.cost.terms import Term, counted, terms
from neurosam_hw.mapping.mapping import CoreMapping

__all__ = ["ASYNCHRONOUS", "CYCLES", "FIXED", "SLOWEST_CORE", "Duration", "Span", "duration", "join", "of_cycles"]

Array = npt.NDArray[np.float64]
Work = Mapping[str, npt.NDArray[np.int64] | None]

SLOWEST_CORE = "slowest core and barrier"
FIXED = "steps of fixed length"
CYCLES = "clock cycles"
ASYNCHRONOUS = "no steps: each event takes its own time"

SENT = ("neuron_steps", "active", "idle", "spikes", "packets", "in_tile", "trace_updates", "trace_reads")
"""Counts that the sending side of a core works on; the receiving side has the others."""


@dataclass(frozen=True, eq=False)
class Span:
    """Length of each step and sample in seconds, ``[S, B]``: value, and the range that the figures' bounds allow."""

    value: Array
    low: Array
    high: Array

    def over(self, reduce: Callable[[Array], float], standing: str) -> Amount:
        """One number of each."""
        return Amount(reduce(self.value), reduce(self.low), reduce(self.high), "s", standing)


@dataclass(frozen=True, eq=False)
class Duration:
    """How long the steps of a run take on a chip.

    Parameters
    ----------
    method : str
        What ends a step: SLOWEST_CORE, FIXED or CYCLES; ASYNCHRONOUS where nothing does.
    own_steps : int
        Steps T of an inference in a population's own time; on the chip there are S.
    known : Span
        Length of each step, as far as it is known: a length only if nothing is missing.
    standing : str
        The weakest of the figures.
    missing : tuple of str
        What a length needs and no one gives.
    cycles : (S, B) array, optional
        Clock cycles of each step, where they are counted.
    busy_s : (cores,) array, optional
        How long each core works, over all steps and samples, as far as it is known; None if no time is.

    Examples
    --------
    Two steps of 1 and 3 µs, of which the second is there because the output runs one step behind the input:

    >>> from neurosam_hw.cost.duration import SLOWEST_CORE, Duration, Span
    >>> length = np.array([[1e-6], [3e-6]])
    >>> took = Duration(SLOWEST_CORE, 1, Span(length, length, length), "fitted")
    >>> str(took.latency), took.throughput.text, took.pipelined.text
    ('4 µs (fitted)', '250 kHz', '500 kHz')
    """

    method: str
    own_steps: int
    known: Span
    standing: str
    missing: tuple[str, ...] = ()
    cycles: Array | None = None
    busy_s: Array | None = None

    @property
    def step(self) -> Span | None:
        """Length of each step; None if something is missing."""
        return None if self.missing else self.known

    @property
    def refusal(self) -> str:
        """Why there is no time; empty if there is one."""
        return ", ".join(self.missing)

    @property
    def latency(self) -> Amount | None:
        """Time of an inference from its first step to its last: the mean over samples."""
        return self._of(lambda x: float(x.sum(axis=0).mean()))

    @property
    def slowest(self) -> Amount | None:
        """Time of the slowest sample."""
        return self._of(lambda x: float(x.sum(axis=0).max()))

    @property
    def longest_step(self) -> Amount | None:
        """Time of the longest step of any sample."""
        return self._of(lambda x: float(x.max()))

    @property
    def throughput(self) -> Amount | None:
        """Inferences a second, one after the other."""
        return None if self.latency is None else self.latency.inverse("Hz")

    @property
    def pipelined(self) -> Amount | None:
        """Inferences a second, if each starts when the input has made its T steps."""
        period = self._of(lambda x: float(x.mean()) * self.own_steps)
        return None if period is None else period.inverse("Hz")

    def _of(self, reduce: Callable[[Array], float]) -> Amount | None:
        return None if self.step is None else self.step.over(reduce, self.standing)


def duration(mapping: CoreMapping, own_steps: int, work: Work) -> Duration:
    """How long each step takes, on a chip with a fixed step or one that waits for its slowest core.

    Parameters
    ----------
    mapping : CoreMapping
    own_steps : int
        Steps of an inference in a population's own time.
    work : mapping of str to (S, B, cores) array
        What each core does, by the names of terms.py; None for what was not recorded.
    """
    fixed = mapping.chip.figure("time.step")
    if fixed.known or fixed.name in mapping.chip.figures:
        some = next(x for x in work.values() if x is not None)
        known = [np.full(some.shape[:2], x) for x in _range(fixed)]
        return Duration(FIXED, own_steps, Span(*known), fixed.standing, () if fixed.known else (fixed.name,))
    if "time.event" in mapping.chip.figures and "sync.barrier" not in mapping.chip.figures:
        none = np.zeros(next(x for x in work.values() if x is not None).shape[:2])
        return Duration(
            ASYNCHRONOUS, own_steps, Span(none, none, none), fixed.standing, ("steps: an asynchronous chip has none",)
        )
    causes = ("neurons", "packets", "synapses", "traces")
    needed = [term for term in terms(mapping.chip, "time", causes) if counted(term, work)]
    missing = tuple(name for term in needed if (name := _lacks(term, work[term.count])))
    standings = [term.figure.standing for term in needed if term.figure.known]
    sent = [term for term in needed if term.count in SENT]
    received = [term for term in needed if term.count not in SENT]
    cores = [np.maximum(_core(sent, work, which), _core(received, work, which)) for which in range(3)]
    value, low, high = (core.max(axis=2) for core in cores)
    busy = cores[0].sum(axis=(0, 1)) if standings else None
    barrier = _barrier(mapping)
    if isinstance(barrier, str):
        lower = Span(value, low, high)
        return Duration(SLOWEST_CORE, own_steps, lower, weakest(*standings), (*missing, barrier), busy_s=busy)
    whole = Span(value + barrier.value, low + barrier.low, high + barrier.high)
    return Duration(SLOWEST_CORE, own_steps, whole, weakest(*standings, barrier.standing), missing, busy_s=busy)


def of_cycles(chip: Chip, own_steps: int, cycles: Array, standing: str) -> Duration:
    """How long each step takes, from its clock cycles ``[S, B]`` and the chip's clock."""
    clock = chip.figure("time.clock")
    hertz = clock.value_si
    if not isinstance(hertz, (int, float)) or not hertz:
        nothing = np.zeros_like(cycles)
        return Duration(CYCLES, own_steps, Span(nothing, nothing, nothing), standing, (clock.name,), cycles)
    length = cycles / hertz
    return Duration(CYCLES, own_steps, Span(length, length, length), weakest(standing, clock.standing), (), cycles)


def join(parts: Sequence[Duration]) -> Duration:
    """The steps of consecutive samples of one run."""
    spans = [part.known for part in parts]
    cycles = [part.cycles for part in parts if part.cycles is not None]
    busy = [part.busy_s for part in parts if part.busy_s is not None]
    return replace(
        parts[0],
        known=Span(*(np.concatenate([getattr(x, name) for x in spans], axis=1) for name in ("value", "low", "high"))),
        missing=tuple(dict.fromkeys(name for part in parts for name in part.missing)),
        cycles=np.concatenate(cycles, axis=1) if cycles else None,
        busy_s=np.sum(busy, axis=0) if busy else None,
    )


def _core(side: Sequence[Term], work: Work, which: int) -> Array:
    """Time of one side of each core, ``[S, B, cores]``: its value, or the low or high end of its range."""
    found = np.zeros(next(x.shape for x in work.values() if x is not None))
    for term in side:
        number = work[term.count]
        if number is None or not term.figure.known:
            continue
        each_s = _range(term.figure)[which]
        found += np.where(number > 0, math.inf, 0.0) if math.isinf(each_s) else number * each_s
    return found


def _lacks(term: Term, number: npt.NDArray[np.int64] | None) -> str:
    """What a term needs and no one gives; empty if nothing."""
    if number is None:
        return f"the count {term.count!r} (record the membranes)"
    return term.figure.name if not term.figure.known and number.any() else ""


def _range(figure: Figure) -> tuple[float, float, float]:
    """Value, low and high end of a figure; 0 if unknown."""
    value = figure.value_si
    number = float(value) if isinstance(value, (int, float)) else 0.0
    low = 0.0 if figure.bound == "maximum" else number
    return number, low, math.inf if figure.bound == "minimum" and figure.known else number


def _barrier(mapping: CoreMapping) -> Amount | str:
    """Time of the barrier, or what is missing for it."""
    name = "sync.barrier"
    figure, at = mapping.chip.figure(name), mapping.chip.figure("sync.barrier_tiles")
    if mapping.chips > 1:
        return f"{name} between {mapping.chips} chips"
    if figure.value_si is None or at.value_si is None:
        return name
    lengths, tiles = (x if isinstance(x, tuple) else (x,) for x in (figure.value_si, at.value_si))
    table = sorted(zip(tiles, lengths, strict=True))
    below = [length for number, length in table if number <= mapping.tiles] or [table[0][1]]
    above = [length for number, length in table if number >= mapping.tiles] or [table[-1][1]]
    return Amount(below[-1], min(below[-1], above[0]), max(below[-1], above[0]), "s", figure.standing)
