"""A run's input: its events by sample and step, as bit planes if they are spikes, or as lists if they are graded."""

from __future__ import annotations

import math
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from neurosam.backends.event.plan.projections import EventList
from neurosam.backends.event.runtime.jit import kernel
from neurosam.network.synapse import Shape
from neurosam.signals.events import Events

__all__ = ["Input", "Source"]

Array = npt.NDArray[Any]
Int = npt.NDArray[np.int64]


class Source(Protocol):
    """Gives an input's events by step, as kernels count steps."""

    def fill(self, planes: Array, sample: int, first: int, end: int) -> None:
        """Write the spikes of the steps ``first:end`` to ``planes[0]`` and on."""

    def block(self, sample: int, first: int, end: int) -> EventList:
        """Graded events of the steps ``first:end``."""


class Input:
    """A run's events, in the order in which steps read them; the neurons of graded events are in channel-last order.

    Parameters
    ----------
    events : Events
    shape : (C, H, W)
        Of the input population.
    dtype : dtype
        Of the values of graded events: int32, or float64 in a float network.
    graded : bool, optional
        Whether to keep values, 1 for a spike; whether `events` have any, if None.
    recent : (K, B, *shape) array, optional
        What arrived in the K steps before these events (signals/state.py).
    first : int
        Step of the first events, as kernels count steps.

    Attributes
    ----------
    counts : (T, B) int64 array
        Events of each step and sample.
    graded : bool
        Whether events have values.
    value : (n,) array
        Of graded events; empty for spikes.
    """

    def __init__(
        self, events: Events, shape: Shape, dtype: type[np.generic], graded: bool | None = None,
        recent: Array | None = None, first: int = 0,
    ) -> None:  # fmt: skip
        channels, height, width = shape
        self.pixels, self.steps, self.samples = height * width, events.steps, events.samples
        self.graded = events.value is not None if graded is None else graded
        self.counts = np.zeros((events.steps, events.samples), np.int64)
        _count(events.time, events.sample, self.counts)
        self.events, self.recent, self.first = events, recent, first
        self.value = np.zeros(0, dtype)
        if not self.graded:
            self.neuron = events.neuron
            self.start = np.zeros(self.counts.size + 1, np.int64)
            np.cumsum(self.counts, out=self.start[1:])
            return
        time, sample, neuron = events.time, events.sample, events.neuron
        value = np.ones(len(events), dtype) if events.value is None else events.value.astype(dtype)
        if recent is not None and recent.any():
            flat = recent.reshape(len(recent), self.samples, -1)
            earlier = np.nonzero(flat)
            time = np.concatenate((earlier[0], time + len(recent)))
            sample, neuron = np.concatenate((earlier[1], sample)), np.concatenate((earlier[2], neuron))
            value = np.concatenate((flat[earlier].astype(dtype), value))
            self.first, self.steps = first - len(recent), events.steps + len(recent)
        channel, pixel = np.divmod(neuron.astype(np.int32), np.int32(self.pixels))
        slot = (sample.astype(np.int64) * self.steps + time) * self.pixels + pixel
        order = np.argsort(slot, kind="stable")
        self.slot, self.value = slot[order], value[order]
        self.neuron = (pixel * np.int32(channels) + channel)[order]

    def fill(self, planes: Array, sample: int, first: int, end: int) -> None:
        """Write the spikes of the steps ``first:end`` to ``planes[0]`` and on."""
        _fill(self.neuron, self.start, self.samples, sample, first - self.first, end - self.first, planes)

    def block(self, sample: int, first: int, end: int) -> EventList:
        """Graded events of the steps ``first:end``; there are none before the first."""
        steps = np.clip(np.arange(first, end) - self.first, -1, self.steps)[:, None] * self.pixels
        slots = (steps + np.arange(self.pixels)).reshape(-1)
        last = steps[-1] + self.pixels if end > first else np.zeros(1, np.int64)
        slots = np.maximum(np.append(slots, last), 0) + sample * self.steps * self.pixels
        return np.searchsorted(self.slot, slots).astype(np.int32), self.pixels, self.neuron, self.value, True

    def write_last(self, into: Array) -> None:
        """What arrived in the last K steps, ``(K, B, *shape)``: a part of a State."""
        events, length = self.events, len(into)
        earlier = None if self.recent is None else self.recent[events.steps :].copy()  # `into` may be `recent`
        into[:] = 0
        if earlier is not None and events.steps < length:
            into[: length - events.steps] = earlier
        begin = np.searchsorted(events.time, events.steps - length)
        place = events.time[begin:] - (events.steps - length), events.sample[begin:], events.neuron[begin:]
        flat = into.reshape(length, self.samples, math.prod(into.shape[2:]))
        flat[place] = 1 if events.value is None else events.value[begin:]


@kernel
def _count(time: Array, sample: Array, counts: Int) -> None:
    """Count events by step and sample."""
    for e in range(time.size):
        counts[time[e], sample[e]] += 1


@kernel
def _fill(neuron: Array, start: Int, samples: int, sample: int, first: int, end: int, planes: Array) -> None:
    """Write the bit planes of a sample's steps.

    Events are in order of (step, sample, neuron): those of step t and sample b begin at ``start[t * samples + b]``.
    """
    pixels = planes.shape[1]
    for t in range(first, end):
        plane = planes[t - first]
        plane[:] = 0
        channel = origin = 0
        for e in range(start[t * samples + sample], start[t * samples + sample + 1]):
            pixel = neuron[e] - origin
            if pixel >= pixels:
                skipped = pixel // pixels
                channel += skipped
                origin += skipped * pixels
                pixel -= skipped * pixels
            plane[pixel, channel >> 6] |= np.uint64(1) << np.uint64(channel & 63)
