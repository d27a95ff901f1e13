"""Who fires when: the spikes of a recording and the events of its inputs as lists, part by part.

A part is some steps of some samples, small enough that arrays of all its neurons fit into memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from neurosam.errors import NeurosamError
from neurosam.metrics.connections import inputs_of, spikes_of
from neurosam.network.elements import Population
from neurosam.network.network import Network
from neurosam.network.synapse import Shape, as_chw
from neurosam.signals.events import Events
from neurosam.signals.recording import Recording, words

__all__ = ["PART", "Firing", "Part", "Sent", "parts"]

Index = npt.NDArray[np.int64]

PART = 2**22
"""Neurons (or cores, if these are more) times steps times samples of a part; one step of one sample may have more."""


class Part(NamedTuple):
    """The steps ``first:stop`` of the samples ``start:end``."""

    first: int
    stop: int
    start: int
    end: int

    @property
    def rows(self) -> int:
        """Steps times samples."""
        return (self.stop - self.first) * (self.end - self.start)

    def earlier(self, steps: int) -> Part:
        """As long a part, that many steps before."""
        return self._replace(first=self.first - steps, stop=self.stop - steps)


class Sent(NamedTuple):
    """Spikes or events, one an entry: row of the part and flat neuron.

    A row is a sample in a step; rows go step by step, and rise.
    """

    row: Index
    neuron: Index


def parts(steps: int, samples: int, size: int) -> Iterator[Part]:
    """All steps of all samples, part by part, for arrays of `size` numbers for each step and sample."""
    together = max(1, PART // max(steps * size, 1))  # samples
    length = max(steps if together > 1 else PART // max(size, 1), 1)
    for start in range(0, samples, together):
        for first in range(0, steps, length):
            yield Part(first, min(first + length, steps), start, min(start + together, samples))


class Firing:
    """The spikes of a run.

    Parameters
    ----------
    network : Network
    recording : Recording
        With the spikes of every population that fires.
    events : Events or mapping of str to Events
        The input of the run; by name for a network with several inputs.

    Raises
    ------
    NeurosamError
        If spikes are missing, the recording is of another network, or the events are of another run.
    """

    def __init__(self, network: Network, recording: Recording, events: Events | Mapping[str, Events]) -> None:
        check_recording(network, recording)
        self.steps, self.samples = recording.steps, recording.samples
        self._inputs = inputs_of(network, recording, events, "counts")
        self._spikes = {
            p.name: spikes_of(recording, p, "counts") for p in network.populations if p.neuron is not None and p.fires
        }

    def sent(self, population: Population, part: Part) -> Sent:
        """What a population sends in a part; nothing before its step 0."""
        first = max(part.first, 0)
        if first >= part.stop or not population.fires:
            return Sent(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64))
        if population.neuron is None:
            time, sample, neuron = self._events(population.name, first, part)
        else:
            time, sample, neuron = self._fired(population, first, part)
        return Sent((time - part.first) * (part.end - part.start) + sample - part.start, neuron)

    def _events(self, name: str, first: int, part: Part) -> tuple[Index, Index, Index]:
        events = self._inputs[name]
        within = slice(*np.searchsorted(events.time, (first, part.stop)))
        time, sample, neuron = (x[within].astype(np.int64) for x in (events.time, events.sample, events.neuron))
        chosen = (sample >= part.start) & (sample < part.end)
        return time[chosen], sample[chosen], neuron[chosen]

    def _fired(self, population: Population, first: int, part: Part) -> tuple[Index, Index, Index]:
        """Only words with a spike are unpacked."""
        planes = self._spikes[population.name].planes[first : part.stop, part.start : part.end]
        place = np.flatnonzero(planes)
        octets = planes.reshape(-1)[place].astype("<u8").view(np.uint8)
        entry, bit = np.divmod(np.flatnonzero(np.unpackbits(octets, bitorder="little")), 64)
        _, height, width = as_chw(population.shape)
        pixel, word = np.divmod(place, planes.shape[4])
        row, pixel = np.divmod(pixel, height * width)
        time, sample = np.divmod(row[entry], planes.shape[1])
        neuron = (word[entry] * 64 + bit) * (height * width) + pixel[entry]
        return time + first, sample + part.start, neuron


def check_recording(network: Network, recording: Recording) -> None:
    """Refuse a recording of another network: populations that it lacks, or arrays of other shapes.

    Raises
    ------
    NeurosamError
        Names the population and what was got.
    """
    whole = recording.steps, recording.samples
    for variable in ("spikes", "membrane", "current"):
        recorded: Mapping[str, Any] = getattr(recording, variable)
        _known(network, variable, recorded)
        for name, values in recorded.items():
            shape = network[name].shape
            if variable == "spikes":
                channels, height, width = as_chw(shape)
                _same(variable, name, values.shape, shape)
                _same(f"{variable} planes", name, values.planes.shape, (*whole, height, width, words(channels)))
            else:
                _same(variable, name, values.shape, (*whole, *shape))


def _known(network: Network, variable: str, recorded: Iterable[str]) -> None:
    names = [p.name for p in network.populations]
    for name in recorded:
        if name not in names:
            raise NeurosamError(
                "recording",
                f"is of another network: it holds {variable} of {name!r}; the network has {', '.join(names)}",
            )


def _same(variable: str, name: str, got: Shape, required: Shape) -> None:
    if got != required:
        raise NeurosamError(
            "recording", f"is of another network: {variable} of {name!r} have the shape {got}; {required} is required"
        )
