"""What an inference costs on a chip: energy by cause, time by step, board rows apart; summed over batches of samples.

    counts (counts.py) -> work (work.py) -> ledger (ledger.py)
                                         -> duration (duration.py, or xylo.py where the chip counts cycles)

Counts and energies are means over the samples. A network that breaks a rule of the chip is refused, or every output
says "what if".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from neurosam.metrics.measures import neurobench
from neurosam.signals.events import Events
from neurosam.signals.recording import Recording
from neurosam_hw.chips.chip import Board
from neurosam_hw.cost import xylo
from neurosam_hw.cost.amount import Amount, weakest
from neurosam_hw.cost.boards import BoardRow, board_of, board_rows
from neurosam_hw.cost.counts import count
from neurosam_hw.cost.duration import Duration, duration, join, of_cycles
from neurosam_hw.cost.ledger import Ledger, energies, ledger
from neurosam_hw.cost.traffic import traffic
from neurosam_hw.cost.verdict import Verdict, verdict
from neurosam_hw.cost.work import Work, layers, work
from neurosam_hw.mapping.mapping import CoreMapping

__all__ = ["Cost", "Meter", "MeterPart", "cost"]

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Cost:
    """What an inference costs.

    Parameters
    ----------
    mapping : CoreMapping
    samples, steps : int
        Samples B, and steps T of each in a population's own time.
    verdict : Verdict
        Whether the chip takes the network; its label belongs to every number.
    work : mapping of str to (S, cores) array
        How often each thing happened (work.py), over all samples; None for what was not recorded.
    energy : Ledger
        Of an inference, the mean over samples.
    sample_j : (B,) array
        The known energy of each sample.
    duration : Duration
    neurobench : mapping of str to number or mapping
        The run under NeuroBench's names (:func:`neurosam.metrics.neurobench`), each sample a batch.
    board : Board, optional
    board_rows : tuple of BoardRow
        What the board draws over an inference; no part of `energy`.
    """

    mapping: CoreMapping
    samples: int
    steps: int
    verdict: Verdict
    work: Work
    energy: Ledger
    sample_j: Array
    duration: Duration
    neurobench: Mapping[str, Any]
    board: Board | None = None
    board_rows: tuple[BoardRow, ...] = ()

    @property
    def label(self) -> str:
        """What has to be said with every number; empty if the chip takes the network."""
        return self.verdict.label

    @property
    def counts(self) -> dict[str, float | None]:
        """How often each thing happens in an inference, the mean over samples."""
        return {name: None if x is None else float(x.sum()) / self.samples for name, x in self.work.items()}

    @property
    def total(self) -> Amount | None:
        """Energy of an inference; None if a part of it is unknown."""
        return None if self.energy.total is None else Amount.of(self.energy.total)

    @property
    def power(self) -> Amount | None:
        """Energy by latency; None if either is unknown."""
        if self.total is None or self.duration.latency is None:
            return None
        return self.total.per(self.duration.latency, "W")

    @property
    def core_j(self) -> Array:
        """Known energy of each core in an inference, ``[cores]``."""
        found: Array = self._energies.sum(axis=0)
        return found

    @property
    def step_j(self) -> Array:
        """Known energy of each step on the chip in an inference, ``[S]``."""
        found: Array = self._energies.sum(axis=1)
        return found

    @property
    def _energies(self) -> Array:
        found: Array = energies(self.mapping.chip, self.work) / self.samples
        return found

    def by_layer(self, name: str) -> dict[str, float | None]:
        """A count of an inference by layer: cores that hold the same populations."""
        x = self.work[name]
        return {
            layer: None if x is None else float(x[:, cores].sum()) / self.samples
            for layer, cores in layers(self.mapping).items()
        }

    @property
    def layer_j(self) -> dict[str, float]:
        """Known energy of an inference by layer."""
        return {layer: float(self.core_j[cores].sum()) for layer, cores in layers(self.mapping).items()}


@dataclass(frozen=True, eq=False)
class MeterPart:
    """What a meter holds of some batches, on its way from a worker to the meter of all."""

    samples: int
    steps: int
    work: Work
    sample_j: list[Array]
    durations: list[Duration]
    neurobench: list[tuple[int, Mapping[str, Any]]]


class Meter:
    """Sums of a run that comes in batches of samples.

    Parameters
    ----------
    mapping : CoreMapping
    steps : int, optional
        Steps on the chip to count; until the last population has made all of its own if None.
    """

    def __init__(self, mapping: CoreMapping, steps: int | None = None) -> None:
        self.mapping, self.window = mapping, steps
        self.samples = self.steps = 0
        self._caused = traffic(mapping)
        self._work: Work = {}
        self._sample_j: list[Array] = []
        self._durations: list[Duration] = []
        self._neurobench: list[tuple[int, Mapping[str, Any]]] = []

    def add(self, recording: Recording, events: Events | Mapping[str, Events]) -> None:
        """Add a batch.

        Raises
        ------
        NeurosamError
            If the recording is of another network, or holds no spikes of a population.
        """
        counted = count(self.mapping, recording, events, steps=self.window, caused=self._caused)
        self.add_work(work(counted), recording, events)

    def add_work(self, found: Work, recording: Recording, events: Events | Mapping[str, Events]) -> None:
        """Add a batch whose work is known: arrays ``[S, B, cores]`` by the names of terms.py."""
        named = neurobench(self.mapping.network, recording, events, batch_size=1)
        summed = {name: None if x is None else x.sum(axis=1) for name, x in found.items()}
        sample_j = energies(self.mapping.chip, found).sum(axis=(0, 2))
        took = self._duration(recording, events, found)
        self.join(
            MeterPart(recording.samples, recording.steps, summed, [sample_j], [took], [(recording.samples, named)])
        )

    @property
    def part(self) -> MeterPart:
        """All that has been added, to be joined to another meter of the same mapping."""
        return MeterPart(self.samples, self.steps, self._work, self._sample_j, self._durations, self._neurobench)

    def join(self, part: MeterPart) -> None:
        """Add what another meter holds, of the samples that follow."""
        self.samples += part.samples
        self.steps = part.steps
        for name, summed in part.work.items():
            before = self._work.get(name, summed)
            whole = name not in self._work
            self._work[name] = summed if whole or summed is None or before is None else before + summed
        self._sample_j += part.sample_j
        self._durations += part.durations
        self._neurobench += part.neurobench

    def _duration(self, recording: Recording, events: Events | Mapping[str, Events], found: Work) -> Duration:
        chip = self.mapping.chip
        if not xylo.counts_cycles(chip):
            return duration(self.mapping, recording.steps, found)
        some = next(x for x in found.values() if x is not None)
        cycles = xylo.cycles(chip, self.mapping.network, recording, events, len(some))
        return of_cycles(chip, recording.steps, cycles, weakest(*(f.standing for f in xylo.figures(chip) if f.known)))

    def cost(self, verdict: Verdict, board: str | None = None) -> Cost:
        """What an inference costs, from all batches.

        Parameters
        ----------
        verdict : Verdict
            Whether the chip takes the network.
        board : str, optional
            Name of a board in the chip's file.
        """
        chip = self.mapping.chip
        counts = {name: None if x is None else float(x.sum()) / self.samples for name, x in self._work.items()}
        took = join(self._durations)
        place = None if board is None else board_of(chip, board)
        rows = () if place is None else tuple(board_rows(place, self.mapping.chips, took.latency))
        return Cost(
            self.mapping, self.samples, self.steps, verdict, dict(self._work), ledger(chip, counts),
            np.concatenate(self._sample_j), took, _mean(self._neurobench), place, rows,
        )  # fmt: skip


def _mean(parts: Sequence[tuple[int, Mapping[str, Any]]]) -> dict[str, Any]:
    """Means over samples of numbers that are given for batches, by name and within each name."""
    whole = sum(samples for samples, _ in parts)
    found: dict[str, Any] = {}
    for name, first in parts[0][1].items():
        values = [(samples, numbers[name]) for samples, numbers in parts]
        if isinstance(first, Mapping):
            found[name] = _mean(values)
        elif all(value == first for _, value in values):
            found[name] = first
        else:
            found[name] = sum(samples * value for samples, value in values) / whole
    return found


def cost(
    mapping: CoreMapping,
    recording: Recording,
    events: Events | Mapping[str, Events],
    *,
    board: str | None = None,
    steps: int | None = None,
    what_if: bool = False,
) -> Cost:
    """What an inference costs on a chip.

    Parameters
    ----------
    mapping : CoreMapping
    recording : Recording
        With the spikes of all populations that fire; with the membranes of all, where the chip's energy or time tells
        active neurons from others (``Record.everything``).
    events : Events or mapping of str to Events
        The input of the run; by name for a network with several inputs.
    board : str, optional
        Name of a board in the chip's file, for rows of their own.
    steps : int, optional
        Steps on the chip to count; until the last population has made all of its own if None.
    what_if : bool
        Compute it for a network that breaks rules of the chip, and label the result.

    Raises
    ------
    MappingError
        If the network breaks a rule of the chip and `what_if` is not set.
    NeurosamError
        If the recording is of another network, or the events are of another run.

    Examples
    --------
    >>> from neurosam_hw.chips import load_chip
    >>> from neurosam_hw.cost import cost
    >>> from neurosam_hw.mappers import map_network
    >>> net = ns.Network(
    ...     [ns.Population("in", (4,)), ns.Population("out", (3,), ns.FixedReadout())],
    ...     [ns.Projection("in", "out", ns.Dense(np.ones((3, 4), np.int8)))],
    ... )
    >>> events = ns.Events.from_dense(np.ones((5, 1, 4)))
    >>> recording = ns.run(net, events, "reference", ns.Record.everything(net))
    >>> found = cost(map_network(net, load_chip("loihi1")), recording, events)
    >>> found.counts["deliveries"], found.counts["active"], found.counts["idle"]
    (60.0, 15.0, 3.0)
    >>> str(found.total)  # 60 * 23.6 + 15 * 81 + 3 * 52 pJ
    'at least 2.79 nJ (pre-silicon)'
    >>> str(found.duration.latency), found.energy.missing
    ('820 ns to 913 ns (pre-silicon)', {})
    """
    said = verdict(mapping, what_if)
    meter = Meter(mapping, steps)
    meter.add(recording, events)
    return meter.cost(said, board)
