"""Look for inputs that tell surviving mutants apart.

Candidates are samples of the data, where there are more, and random spikes at several densities, in turn. Of each
batch of candidates the one that tells most survivors apart is kept, then the one that tells most of the rest apart, and
so on; at the end, kept samples that others have made superfluous are left out in the same way.
Candidate i is drawn with ``(seed, i)``: the same number of candidates gives the same samples on every machine.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from neurosam._util.arguments import choice, integer
from neurosam._util.progress import reported
from neurosam.equivalence.detection import LEVELS, Original, Told
from neurosam.equivalence.mutation import Mutant
from neurosam.errors import ArgumentError
from neurosam.network.network import Network
from neurosam.network.synapse import neurons
from neurosam.signals.events import Events
from neurosam.signals.inputs import Inputs

__all__ = ["DENSITIES", "Found", "Samples", "search"]

DENSITIES = (0.02, 0.05, 0.1, 0.2, 0.4, 0.8)
BATCH = 16
MAX_CANDIDATES = 2**20

Samples = Callable[[int, int], Inputs]
"""Gives the samples ``first .. first + count`` of the data; fewer, or none, where it ends."""


@dataclass(frozen=True)
class Found:
    """Result of a search.

    Parameters
    ----------
    inputs : Inputs, optional
        The samples that are kept, those that tell most apart first; None if no candidate tells any mutant apart.
    told : tuple of Mutant
        What they tell apart.
    survivors : tuple of Mutant
        What no candidate tells apart.
    origins : tuple of str
        Of each kept sample: ``data 17`` or ``random 3, density 0.4``.
    candidates : int
        How many were tried.
    time_s : float
    """

    inputs: Inputs | None
    told: tuple[Mutant, ...]
    survivors: tuple[Mutant, ...]
    origins: tuple[str, ...]
    candidates: int
    time_s: float


@reported("searching")
def search(
    network: Network,
    mutants: Sequence[Mutant],
    steps: int,
    candidates: int | None = None,
    *,
    seconds: float | None = None,
    level: str = "spikes",
    seed: int = 0,
    data: Samples | None = None,
    backend: str = "event",
    progress: Callable[[int, int], None] | None = None,
) -> Found:
    """Look for samples that tell mutants apart.

    Parameters
    ----------
    network : Network
    mutants : sequence of Mutant
        Survivors of a score.
    steps : int
        Length of a sample.
    candidates : int, optional
        How many samples to try at most; 1024 if neither this nor `seconds` is given.
    seconds : float, optional
        When to stop; how far a search gets then depends on the machine.
    level : str
        What is compared (detection.py).
    seed : int
    data : callable, optional
        Samples of the data.
    backend : str
    progress : callable, optional
        Called with the number of mutants that are told apart and of all.
    """
    choice("level", level, LEVELS, ArgumentError)
    most = integer("candidates", 1024 if candidates is None else candidates, 1, MAX_CANDIDATES, ArgumentError)
    most = MAX_CANDIDATES if candidates is None and seconds is not None else most
    start = time.perf_counter()
    survivors, told = list(mutants), list[Mutant]()
    kept: list[Inputs] = []
    origins: list[str] = []
    tried, from_data, turn = 0, 0, 0
    while survivors and tried < most and (seconds is None or time.perf_counter() - start < seconds):
        count = min(BATCH, most - tried)
        batch = data(from_data, count) if data is not None and turn % 2 == 0 else None
        if batch is not None and batch.samples:
            names = [f"data {from_data + i}" for i in range(batch.samples)]
            from_data += batch.samples
        else:
            data = data if batch is None else None
            numbers = range(tried, tried + count)
            batch = _joined([_random(network, steps, seed, i) for i in numbers])
            names = [f"random {i}, density {DENSITIES[i % len(DENSITIES)]:g}" for i in numbers]
        turn, tried = turn + 1, tried + batch.samples
        matrix = _told(network, batch, survivors, level, backend)
        for best in _cover(matrix):
            kept.append(batch.select(best, best + 1))
            origins.append(names[best])
        found = np.asarray(matrix.any(axis=1))
        told += [m for m, now in zip(survivors, found, strict=True) if now]
        survivors = [m for m, now in zip(survivors, found, strict=True) if not now]
        if progress is not None:
            progress(len(told), len(mutants))
    if len(kept) > 1:
        matrix = np.concatenate([_told(network, one, told, level, backend) for one in _pieces(kept)], axis=1)
        chosen = _cover(matrix)
        kept, origins = [kept[i] for i in chosen], [origins[i] for i in chosen]
    return Found(
        _joined(kept) if kept else None, tuple(told), tuple(survivors), tuple(origins), tried,
        time.perf_counter() - start,
    )  # fmt: skip


def _told(network: Network, inputs: Inputs, mutants: Sequence[Mutant], level: str, backend: str) -> Told:
    """Whether each sample tells each mutant apart, ``(mutants, samples)``."""
    told = Original(network, inputs, backend).told(mutants, level == "answers", every=True)
    return np.asarray(told[LEVELS.index(level)])


def _cover(matrix: Told) -> list[int]:
    """Samples that together tell apart what all of them do: each time the one that tells most of the rest."""
    chosen = []
    while matrix.any():
        chosen.append(int(np.argmax(matrix.sum(axis=0))))
        matrix = matrix[~matrix[:, chosen[-1]]]
    return chosen


def _pieces(kept: Sequence[Inputs]) -> Iterator[Inputs]:
    """The kept samples, a batch at a time."""
    for start in range(0, len(kept), BATCH):
        yield _joined(kept[start : start + BATCH])


def _random(network: Network, steps: int, seed: int, number: int) -> Inputs:
    """Candidate `number`: each neuron of each input sends in each step with the same probability."""
    rng = np.random.default_rng([seed, number])
    density = DENSITIES[number % len(DENSITIES)]
    events = {}
    for source in network.inputs:
        size = neurons(source.shape)
        time_, neuron = np.nonzero(rng.random((steps, size), dtype=np.float32) < density)
        value = None if source.magnitude == 1 else rng.integers(1, source.magnitude + 1, time_.size)
        events[source.name] = Events(time_, np.zeros_like(time_), neuron, steps, 1, source.shape, value)
    return Inputs(events)


def _joined(parts: Sequence[Inputs]) -> Inputs:
    """The samples of several inputs, one after the other."""
    return Inputs({name: _samples_joined([part[name] for part in parts]) for name in parts[0]})


def _samples_joined(parts: Sequence[Events]) -> Events:
    first = np.cumsum([0, *(part.samples for part in parts)])
    time_ = np.concatenate([part.time for part in parts])
    sample = np.concatenate([part.sample + start for part, start in zip(parts, first, strict=False)])
    order = np.lexsort((sample, time_))  # stable: the neurons of a sample keep their order
    graded = any(part.value is not None for part in parts)
    values = [np.ones(len(part), np.int32) if part.value is None else part.value for part in parts]
    return Events(
        time_[order], sample[order], np.concatenate([part.neuron for part in parts])[order], parts[0].steps,
        int(first[-1]), parts[0].shape, np.concatenate(values)[order] if graded else None,
    )  # fmt: skip
