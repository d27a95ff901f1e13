"""What a study would train, how much of it is done, and how long the rest takes on this machine.

The seconds of an epoch are those of a few batches, trained and thrown away, times the number of batches. Maps and
curves come on top of the trainings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from neurosam.errors import DataError
from neurosam.training.checkpoint import finished_epochs
from neurosam_study.clock import duration
from neurosam_study.models import ANN, REFERENCE, Models, trained_name
from neurosam_study.plan import CODINGS, Plan

__all__ = ["Training", "describe", "trainings"]

BATCHES = 8
"""Number of batches that are timed."""


@dataclass(frozen=True)
class Training:
    """Nets of a study that differ in their seeds alone.

    Attributes
    ----------
    plan : Plan
        The study's, or that of a deployment.
    leak, order : float or None, str
        Of the net; None for the ANN.
    seeds : tuple of int
    coding : str
        Of the input, if it is not the samples' own.
    """

    plan: Plan
    leak: float | None
    order: str
    seeds: tuple[int, ...]
    coding: str = ""

    @property
    def name(self) -> str:
        """Name of the checkpoints."""
        return ANN if self.leak is None else trained_name(self.leak, self.order, self.coding)

    @property
    def epochs(self) -> int:
        """Epochs of one net."""
        return self.plan.ann_epochs if self.leak is None else self.plan.epochs

    @property
    def steps(self) -> int:
        """Steps per sample."""
        return 1 if self.leak is None else self.plan.steps

    def left(self, folder: Path) -> int:
        """Epochs of all seeds that their checkpoints in a folder do not have."""
        done = 0
        for seed in self.seeds:
            path = Models(self.plan, seed, folder, lambda _: None).checkpoint(self.name)
            done += min(self.epochs, finished_epochs(path)) if path.exists() else 0
        return self.epochs * len(self.seeds) - done

    def seconds(self, device: str) -> float:
        """Seconds of an epoch on this machine."""
        count = Models(self.plan, 0, Path(), lambda _: None).count
        timed = min(count, BATCHES * self.plan.batch)
        tested = max(1, timed * min(self.plan.test, count) // count)
        few = Models(replace(self.plan, train=timed, test=tested), 0, Path(), lambda _: None, device)
        coding = "direct" if self.leak is None else self.coding or few.coding
        module = few.initial(self.leak, self.order)
        history = few.fit(self.name, module, steps=self.steps, coding=coding, epochs=2, keep=False)
        return history.epochs[-1].seconds * count / timed


def trainings(plan: Plan) -> Iterator[Training]:
    """All that a study trains, in its order."""
    for each in dict.fromkeys((plan, *plan.deployments.values())):
        seeds = tuple(range(plan.seeds))
        if not each.recordings:
            others = range(REFERENCE, REFERENCE + plan.references) if each == plan else ()
            yield Training(each, None, "", (*seeds, *others))
        for order in each.orders:
            yield Training(each, each.leak, order, seeds)
        for leak in each.leaks if each == plan and not each.recordings else ():
            if leak != each.leak:
                yield Training(each, leak, each.orders[0], seeds)
        for coding in each.judged_codings if each == plan and not each.recordings else ():
            if coding != CODINGS[0]:
                yield Training(each, each.leak, each.orders[0], seeds, coding)


def describe(plan: Plan, folder: Path, device: str, say: Callable[[str], None]) -> float:
    """Say what a study would train, measure how long that takes, and return the seconds."""
    total = 0.0
    for training in trainings(plan):
        what = Path(training.plan.data).name
        try:
            seconds = training.seconds(device)
        except DataError as error:
            say(f"{what} {training.name}: left out: {error}")
            continue
        left = training.left(folder)
        total += left * seconds
        nets = len(training.seeds)
        say(
            f"{what} {training.name}: {nets} nets x {training.epochs} epochs of {training.steps} steps, "
            f"{left} epochs to go at {duration(seconds)}: {duration(left * seconds)}"
        )
    say(f"all trainings: about {duration(total)} on this machine as it is now; maps and curves come on top")
    return total
