"""The general path: any projections, any neurons, by a call of a kernel for each block of steps.

The steps of a chunk are cut into blocks whose sums stay in the cache; a group of populations that depend on their own
earlier steps goes on step by step.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from neurosam.backends.event.executors.chain import BLOCK_BYTES, BLOCK_SPIKES
from neurosam.backends.event.kernels.neurons import block
from neurosam.backends.event.kernels.spike_lists import decode
from neurosam.backends.event.plan.compiled import Prepared
from neurosam.backends.event.plan.projections import EventList, Link
from neurosam.backends.event.simd.vectors import LANES, aligned

if TYPE_CHECKING:
    from neurosam.backends.event.backend import Run
    from neurosam.backends.event.worker import Sample

__all__ = ["General"]

Array = npt.NDArray[Any]


class General:
    """A group of populations in one sample.

    Parameters
    ----------
    prepared : Prepared
    sample : Sample
    group : sequence of str
        Populations in order of evaluation.
    """

    def __init__(self, prepared: Prepared, sample: Sample, group: Sequence[str]) -> None:
        self.prepared, self.group = prepared, group
        self.looped = prepared.looped[tuple(group)]
        self.index = np.zeros(0, np.int32)

    def advance(self, run: Run, sample: Sample, first: int, end: int) -> None:
        """Run the own steps ``first:end``, within one chunk."""
        for step in range(first, end) if self.looped else (first,):
            for name in self.group:
                if run.stopped:
                    return
                start = time.perf_counter()
                self._advance(run, sample, name, step, step + 1 if self.looped else end)
                sample.seconds[self.prepared.places[name]] += time.perf_counter() - start

    def _advance(self, run: Run, sample: Sample, name: str, first: int, end: int) -> None:
        """Run a population."""
        p, links, number = self.prepared.cells[name], self.prepared.links[name], self.prepared.number
        pitch = p.channels
        if p.pixels == 1:
            pitch = max((source.pitch for source in links), default=pitch)
        row = p.pixels * pitch
        listed = max((int(np.prod(source.source_shape)) for source in links), default=1)
        length = max(1, min(BLOCK_BYTES // (row * number.itemsize), BLOCK_SPIKES // listed))
        room = aligned((min(length, end - first), row), number)
        base = sample.base - self.prepared.tails[name]
        for start in range(first, max(end, first + 1), length):
            steps = min(length, end - start)
            acc = room[:steps]
            acc[:] = 0
            for source in links:
                arriving = self._arriving(run, sample, source, start, start + steps)
                sample.operations[self.prepared.labels[source.label]] += source.deliver(arriving, acc)
            sums = acc.reshape(steps, p.pixels, pitch)
            block(sums, 0, steps, start, 0, base, p.rule, sample.states[name])

    def _arriving(self, run: Run, sample: Sample, source: Link, first: int, end: int) -> EventList:
        """What a projection delivers in own steps ``first:end`` of its target."""
        if source.source == self.prepared.source and self.prepared.graded:
            return run.input.block(sample.b, first - source.lag, end - source.lag)
        channels, height, width = source.source_shape
        pixels = int(height * width)
        most = (end - first) * pixels * int(channels)
        if self.index.size < most + LANES:
            self.index = np.empty(most + LANES, np.int32)
        start = np.empty((end - first) * pixels + 1, np.int32)
        at = first - source.lag - sample.base + self.prepared.tails[source.source]
        decode(sample.planes[source.source], at, end - first, 0, pixels, int(channels), start, self.index)
        return start, pixels, self.index, run.input.value[:0], False
