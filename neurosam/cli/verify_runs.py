"""What ``neurosam verify`` runs, as its options say, and what it found."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from neurosam.cli.common import console, say
from neurosam.cli.event_files import read_inputs
from neurosam.cli.inputs import presented
from neurosam.cli.sample_count import first_samples
from neurosam.errors import NeurosamError
from neurosam.signals.inputs import Inputs

if TYPE_CHECKING:
    from neurosam.equivalence.result import Equivalence
    from neurosam.network.network import Network

__all__ = ["Found", "Runs", "shown"]


@dataclass(frozen=True)
class Runs:
    """What to run, as the options say."""

    backends: str
    data: str | None
    size: int | None
    events: list[str] | None
    samples: int
    steps: int | None
    seed: int
    dtype: str

    def inputs(self, network: Network) -> Inputs:
        """The events that are given, or those of the data's first held-out images."""
        if self.events and (self.data is not None or self.size is not None):
            raise NeurosamError("--events", "and --data or --size exclude each other; give one of them")
        if self.events:
            return first_samples(read_inputs(self.events, network), self.samples)
        images = presented(network, self.data, self.samples, self.seed, self.steps, size=self.size)
        return Inputs.of(network, images[0])

    def more(self, network: Network) -> Callable[[int], Inputs]:
        """A function that gives the first samples of the data, as many as there are up to a number."""
        return lambda count: replace(self, samples=count).inputs(network)

    def names(self) -> tuple[str, ...]:
        """The back ends; a missing one is reported before the others run."""
        from neurosam.backends.registry import load_backend

        requested = tuple(name.strip() for name in self.backends.split(",") if name.strip())
        if not requested:
            raise NeurosamError("--backends", "names none; give at least one")
        for name in requested:
            load_backend(name)
        return requested


@dataclass(frozen=True)
class Found:
    """Whether all is equal, what was required but not compared, and the result for JSON."""

    equal: bool
    lacking: tuple[str, ...]
    result: dict[str, Any]


def shown(
    results: Mapping[str, Equivalence],
    required: Sequence[str],
    network: Network | None,
    title: Callable[[str], str] = lambda _: "",
) -> Found:
    """Print the results, and see what they lack."""
    from neurosam.equivalence.required import lacking

    missing: list[str] = []
    for name, equivalence in results.items():
        if title(name):
            say(title(name))
        console.print(equivalence.table())
        missing += lacking(equivalence, required, network)
    return Found(
        all(e.equal for e in results.values()), tuple(dict.fromkeys(missing)),
        {name: e.to_dict() for name, e in results.items()},
    )  # fmt: skip
