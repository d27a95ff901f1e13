"""Where the samples of a sweep come from, cut into parts that travel to workers.

Pictures travel as bytes and are encoded by the worker: what a sample draws depends on the seed and on its own number
(signals/draws.py), so a part gives the events that it has in the whole. Events travel as they are.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol

import numpy as np
import numpy.typing as npt

from neurosam.errors import EventError
from neurosam.hdf5.files import digest
from neurosam.network.network import Network
from neurosam.signals.events import Events
from neurosam.signals.inputs import Inputs
from neurosam.signals.stimulus import Stimulus

__all__ = ["Part", "Pictures", "Source", "Spikes"]

EVENT_BYTES = 60
"""Memory that an event takes while a part is encoded and run, about."""


class Part(Protocol):
    """Some samples, on their way to a worker; picklable."""

    def inputs(self, network: Network) -> Inputs:
        """The events of these samples, numbered from 0."""
        ...


class Source(Part, Protocol):
    """All samples of a sweep, as one part and in smaller ones."""

    @property
    def samples(self) -> int:
        """How many there are."""
        ...

    @property
    def steps(self) -> int:
        """T."""
        ...

    @property
    def sample_bytes(self) -> int:
        """Memory that the events of a sample take, about."""
        ...

    def name(self) -> str:
        """A name that sources of other events do not have."""
        ...

    def part(self, where: range) -> Part:
        """Some of the samples."""
        ...


@dataclass(frozen=True, eq=False)
class Pictures:
    """Images, and how they become events; also a part of them.

    Parameters
    ----------
    images : (B, C, H, W) or (B, N) uint8 array
    stimulus : Stimulus
    seed : int
        Of the events.
    first : int
        Number of the first image.

    Examples
    --------
    >>> from neurosam.signals import Stimulus
    >>> from neurosam.sweep import Pictures
    >>> net = ns.Network(
    ...     [ns.Population("in", (4,)), ns.Population("out", (1,), ns.Readout())],
    ...     [ns.Projection("in", "out", ns.Dense(np.ones((1, 4))))],
    ... )
    >>> pictures = Pictures(np.full((8, 4), 100, np.uint8), Stimulus(steps=5), seed=1)
    >>> whole, part = pictures.part(range(8)).inputs(net), pictures.part(range(3, 5)).inputs(net)
    >>> np.array_equal(whole["in"].dense()[:, 3:5], part["in"].dense())
    True
    """

    images: npt.NDArray[np.uint8]
    stimulus: Stimulus
    seed: int = 0
    first: int = 0

    @property
    def samples(self) -> int:
        """How many images there are."""
        return len(self.images)

    @property
    def steps(self) -> int:
        """T."""
        return self.stimulus.steps

    @property
    def sample_bytes(self) -> int:
        """Memory that the events of an image take, about; at most."""
        return self.steps * int(np.prod(self.images.shape[1:])) * EVENT_BYTES

    def name(self) -> str:
        """The SHA-256 of images and stimulus, the seed, and the number of the first image."""
        images = hashlib.sha256(f"{self.images.shape} {self.images.dtype}".encode())
        images.update(np.ascontiguousarray(self.images).reshape(-1).view(np.uint8).data)
        settings = self.stimulus.to_metadata()
        return f"images {images.hexdigest()[:16]} {settings} seed {self.seed} from {self.first}"

    def part(self, where: range) -> Pictures:
        """Some of the images."""
        return replace(self, images=self.images[where.start : where.stop], first=self.first + where.start)

    def inputs(self, network: Network) -> Inputs:
        """The events of the images."""
        return Inputs.of(network, self.stimulus.encode(self.images, self.seed, self.first))


@dataclass(frozen=True, eq=False)
class _Given:
    """Events on their way."""

    events: Inputs

    def inputs(self, network: Network) -> Inputs:
        """The same events."""
        return Inputs.of(network, self.events)


class Spikes:
    """Events of all samples.

    Parameters
    ----------
    network : Network
    events : Events or mapping of str to Events
        As :func:`neurosam.run` takes them; at least one sample.
    """

    def __init__(self, network: Network, events: Events | Mapping[str, Events]) -> None:
        inputs = Inputs.of(network, events)
        if not inputs.samples:
            raise EventError("events", "hold no samples; at least 1 is required")
        self._inputs = inputs
        self.samples, self.steps = inputs.samples, inputs.steps

    @cached_property
    def _order(self) -> dict[str, npt.NDArray[np.int64]]:
        """Events in order of samples, so that those of a part are a slice."""
        return {name: np.argsort(events.sample, kind="stable") for name, events in self._inputs.items()}

    @cached_property
    def _sorted(self) -> dict[str, npt.NDArray[np.int32]]:
        """The samples of the events in that order."""
        return {name: events.sample[self._order[name]] for name, events in self._inputs.items()}

    @property
    def sample_bytes(self) -> int:
        """Memory that the events of a sample take, on average."""
        return EVENT_BYTES * sum(map(len, self._inputs.values())) // self.samples

    def name(self) -> str:
        """The digest of the events (FORMAT.md)."""
        return f"events {digest(self._inputs)}"

    def part(self, where: range) -> Part:
        """Some of the samples."""
        return _Given(Inputs({name: self._cut(name, where) for name in self._inputs}))

    def inputs(self, network: Network) -> Inputs:
        """The events of all samples."""
        return Inputs.of(network, self._inputs)

    def _cut(self, name: str, where: range) -> Events:
        events = self._inputs[name]
        first, last = np.searchsorted(self._sorted[name], (where.start, where.stop))
        kept = np.sort(self._order[name][first:last])  # in the order of the whole: by step, sample, neuron
        value = None if events.value is None else events.value[kept]
        return Events(
            events.time[kept], events.sample[kept] - where.start, events.neuron[kept], events.steps, len(where),
            events.shape, value,
        )  # fmt: skip
