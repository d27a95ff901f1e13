"""What a run amounts to, as ``neurosam run`` prints it: spikes, integers out of range, speed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from neurosam.cli.common import say, show
from neurosam.network.network import Network
from neurosam.network.synapse import neurons
from neurosam.signals.answer import answer_name
from neurosam.signals.recording import Recording
from neurosam.signals.stimulus import Stimulus

__all__ = ["Totals", "show_answers", "show_speed", "show_totals"]

SHOWN = 8
"""Answers that are printed."""


@dataclass
class Totals:
    """Sums over the samples and steps of a run; recordings of consecutive pieces can be added.

    Attributes
    ----------
    samples, steps : int
        Samples, and steps of all samples together.
    spikes, saturated, wrapped : dict of str to int
        By population.
    operations : int
        Synaptic operations.
    time_s : float
        Time in the back end.
    """

    samples: int = 0
    steps: int = 0
    spikes: dict[str, int] = field(default_factory=dict)
    saturated: dict[str, int] = field(default_factory=dict)
    wrapped: dict[str, int] = field(default_factory=dict)
    operations: int = 0
    time_s: float = 0.0

    @classmethod
    def of(cls, recording: Recording) -> Totals:
        """Of a whole run."""
        totals = cls(samples=recording.samples)
        totals.add(recording)
        return totals

    def add(self, recording: Recording) -> None:
        """Add the steps of a piece of a run; its samples are counted by the caller."""
        self.steps += recording.steps * recording.samples
        for mine, theirs in (
            (self.spikes, recording.counts), (self.saturated, recording.saturated), (self.wrapped, recording.wrapped)
        ):  # fmt: skip
            for name, counts in theirs.items():
                mine[name] = mine.get(name, 0) + int(counts.sum())
        self.operations += sum(recording.operations.values())
        self.time_s += recording.time_s

    def join(self, other: Totals) -> None:
        """Add the sums over other samples."""
        self.samples += other.samples
        self.steps += other.steps
        for mine, theirs in (
            (self.spikes, other.spikes), (self.saturated, other.saturated), (self.wrapped, other.wrapped)
        ):  # fmt: skip
            for name, count in theirs.items():
                mine[name] = mine.get(name, 0) + count
        self.operations += other.operations
        self.time_s += other.time_s


def show_totals(network: Network, totals: Totals, title: str, per: str = "sample") -> None:
    """Print the spikes of each population, how often its integers left their range, and the speed."""
    counted = bool(totals.saturated)
    rows = []
    for population in network.populations:
        name = population.name
        row = ["-", "-", "-"]
        if name in totals.spikes:
            spikes = totals.spikes[name]
            places = totals.steps * neurons(population.shape)
            row = [
                f"{spikes:,}",
                f"{spikes / max(totals.samples, 1):,.0f}",
                f"{spikes / places:.2%}" if places else "-",
            ]
        left_range: tuple[Mapping[str, int], ...] = (totals.saturated, totals.wrapped) if counted else ()
        row += [f"{counts[name]:,}" if name in counts else "-" for counts in left_range]
        if name in totals.spikes or counted:
            rows.append((name, *row))
    columns = ["population", "spikes", f"per {per}", "per neuron and step"]
    note = (
        "saturated, wrapped: neuron-steps in which a membrane was clipped, or a sum wrapped around" if counted else ""
    )
    show(title, [*columns, *(["saturated", "wrapped"] if counted else [])], rows, note=note)


def show_speed(totals: Totals) -> None:
    """Print time, samples and operations a second."""
    if totals.time_s:
        speed = f"{totals.time_s:.3f} s: {totals.samples / totals.time_s:,.0f} samples/s"
        if totals.operations:
            speed += f", {totals.operations / totals.time_s / 1e9:.2f} G synaptic operations/s"
        say(speed)


def show_answers(network: Network, predictions: Sequence[int], names: Sequence[str] = ()) -> None:
    """Print the answers of the first samples, which may have names."""
    classes = Stimulus.from_metadata(network.metadata).classes
    answers = [answer_name(i, classes) for i in predictions]
    shown = [f"{names[i]} {answer}" if names else answer for i, answer in enumerate(answers[:SHOWN])]
    more = f" and {len(answers) - SHOWN} more" if len(answers) > SHOWN else ""
    say(f"answer{'s' * (len(answers) > 1)}: {', '.join(shown)}{more}")
