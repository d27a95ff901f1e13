"""The general path: any projections and any neurons, with a call of a kernel for each block of steps.

A chunk is divided into blocks whose sums stay in L2; a recurrent group runs step by step.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from neurosam.backends.event.context import RunContext
from neurosam.backends.event.executors.base import Executor
from neurosam.backends.event.kernels.neurons import block
from neurosam.backends.event.kernels.optional_neurons import optional_block
from neurosam.backends.event.kernels.pooled_sums import pool_largest
from neurosam.backends.event.kernels.spike_lists import decode, list_magnitudes
from neurosam.backends.event.memory import SampleMemory
from neurosam.backends.event.plan import blocks
from neurosam.backends.event.plan.compiled import Plan
from neurosam.backends.event.plan.projections import CompiledProjection, EventList
from neurosam.backends.event.simd.vectors import LANES, aligned

__all__ = ["GeneralExecutor"]


class GeneralExecutor(Executor):
    """A group of populations."""

    def __init__(self, plan: Plan, memory: SampleMemory, names: Sequence[str]) -> None:
        super().__init__(plan, memory, names)
        self.recurrent = tuple(names) in plan.recurrent
        self.sizes = {name: self._sizes(name) for name in names}
        self.listed, self.no_values = np.zeros(0, np.int32), np.zeros(0, plan.record_dtype)

    def run(self, context: RunContext, first: int, end: int) -> None:
        """Run the steps ``first:end``."""
        for step in range(first, max(end, first + 1)) if self.recurrent else (first,):
            for name in self.names:
                if context.stopped:
                    return
                start = time.perf_counter()
                self._run_population(context, name, step, min(step + 1, end) if self.recurrent else end)
                self.memory.seconds[self.plan.index_of[name]] += time.perf_counter() - start

    def _sizes(self, name: str) -> tuple[int, int]:
        """Sums of a pixel that arrive at a population, and steps of a block."""
        p, projections = self.plan.populations[name], self.plan.incoming[name]
        pitch, pixels = p.channels, p.drive[1] * p.drive[2]
        if pixels == 1:
            pitch = max((projection.pitch for projection in projections), default=pitch)
        row = pixels * pitch * self.plan.dtype.itemsize
        most_spikes = max((int(np.prod(projection.source_shape)) for projection in projections), default=1)
        return pitch, max(1, min(blocks.BLOCK_BYTES // row, blocks.BLOCK_SPIKES // most_spikes))

    def _run_population(self, context: RunContext, name: str, first: int, end: int) -> None:
        p, projections = self.plan.populations[name], self.plan.incoming[name]
        pitch, length = self.sizes[name]
        rows, (_, height, width) = min(length, end - first), p.drive
        sums = aligned((rows, height * width * pitch), self.plan.dtype)
        largest = aligned((rows if p.pooled else 0, *p.shape[1:], pitch), self.plan.dtype)
        base = self.memory.base - self.plan.history[name]
        for start in range(first, max(end, first + 1), length):
            steps = min(length, end - start)
            acc = sums[:steps]
            acc[:] = 0
            for projection in projections:
                arriving = self._arriving(context, projection, start, start + steps)
                self.memory.operations[self.plan.labels[projection.label]] += projection.deliver(arriving, acc)
            if p.pooled is not None:
                pool_largest(acc.reshape(steps, height, width, pitch), p.pooled.geometry, largest[:steps])
                acc = largest[:steps]
            block_sums, state = acc.reshape(steps, p.pixels, pitch), self.memory.states[name]
            if p.optional is None:
                block(block_sums, 0, steps, start, 0, base, p.rule, state)
            else:
                optional_block(block_sums, steps, start, base, p.rule, p.optional, state, self.memory.optional[name])

    def _arriving(self, context: RunContext, projection: CompiledProjection, first: int, end: int) -> EventList:
        """The events that a projection delivers in the steps ``first:end`` of its target."""
        memory, lag = self.memory, projection.lag
        if projection.source in self.plan.graded:
            return context.inputs[projection.source].block(memory.sample, first - lag, end - lag)
        channels, height, width = projection.source_shape
        pixels = int(height * width)
        most = (end - first) * pixels * int(channels)
        if self.listed.size < most + LANES:
            self.listed = np.empty(most + LANES, np.int32)
        start = np.empty((end - first) * pixels + 1, np.int32)
        at = first - lag - memory.base + self.plan.history[projection.source]
        decode(memory.planes[projection.source], at, end - first, 0, pixels, int(channels), start, self.listed)
        if projection.source not in self.plan.magnitudes:
            return start, pixels, self.listed, self.no_values, False
        value = np.empty(start[-1], self.plan.record_dtype)
        list_magnitudes(start[::pixels].copy(), self.listed, memory.optional[projection.source].magnitude[at:], value)
        return start, pixels, self.listed, value, True
