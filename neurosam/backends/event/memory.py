"""The arrays of one sample: its state, its bit planes and records of a chunk of steps, and its counters.

They serve one sample after another, and the next run with the same plan (cache.py). What is read before it is written
is cleared when a sample begins: states, and the planes of the steps before the first.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import numpy.typing as npt

from neurosam.backends.event.kernels.layout import Flag, OptionalState, State, Work
from neurosam.backends.event.kernels.sam_by_spike import OFFICIAL
from neurosam.backends.event.plan.compiled import Plan
from neurosam.backends.event.plan.inputs import Input
from neurosam.backends.event.plan.populations import CompiledPopulation
from neurosam.backends.event.simd.int16 import tiles
from neurosam.backends.event.simd.vectors import aligned
from neurosam.network.dynamics import RELATIVE, Switches
from neurosam.signals.recording import words

__all__ = ["SampleMemory"]

Array = npt.NDArray[Any]
Int = npt.NDArray[np.int64]

RECORDS = {"spikes": "planes", "sam": "sam", "membrane": "membranes", "current": "currents"}
"""The field of a State that holds each recorded variable."""


class SampleMemory:
    """Memory for one sample at a time.

    Planes, counts and records have a row per step: first those of ``plan.history`` before the chunk, then the chunk's.

    Attributes
    ----------
    sample : int
        Index of the sample.
    base : int
        First step of the chunk.
    states : mapping of str to State
    optional : mapping of str to OptionalState
        Of the populations that are not plain.
    planes : mapping of str to (K, P, words) array
        Bit planes by population, the input too.
    output_counts : (output_size,) int64 array
        Spikes of the output population so far, if they are the output; else empty.
    work : (populations, columns of Work) int64 array
        Of chains, since :meth:`reset_counters`.
    operations : (projections,) int64 array
        Synaptic operations of the other executors, likewise.
    seconds : (populations,) float64 array
        Time of each population, likewise.
    nbytes : int
        Of states and planes.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.sample = self.base = 0
        self.states = {name: _state(plan, p) for name, p in plan.populations.items()}
        self.optional = {
            name: _optional_state(plan, p, p.optional.switches)
            for name, p in plan.populations.items()
            if p.optional is not None
        }
        self.planes = {name: state.planes for name, state in self.states.items()}
        channels, height, width = plan.input_shape
        rows = 0 if plan.graded else plan.history[plan.input] + plan.chunk
        self.planes[plan.input] = np.empty((rows, height * width, words(channels)), np.uint64)
        self.output_counts: Int = np.zeros(plan.output_size if plan.counts_output else 0, np.int64)
        self.operations: Int = np.zeros(len(plan.labels), np.int64)
        self.work: Int = np.zeros((len(plan.populations), len(Work)), np.int64)
        self.seconds = np.zeros(len(plan.populations))
        arrays = [array for state in (*self.states.values(), *self.optional.values()) for array in state]
        self.nbytes = sum(array.nbytes for array in (*arrays, self.planes[plan.input]))

    def clear(self, sample: int) -> None:
        """Begin a sample: the state before its first step."""
        self.sample = sample
        for state in self.states.values():
            trace = state.trace[: len(state.last)]  # none with kernels/sam_vector.py, which restarts its traces itself
            for values in (state.u, state.v, trace, state.last, state.spikes):
                if values.size:
                    values.fill(0)
        for name, kept in self.optional.items():
            for values in (kept.wait, kept.h, kept.r, kept.magnitude[: self.plan.history[name]], kept.clipped):
                values.fill(0)
        for name, planes in self.planes.items():
            planes[: self.plan.history[name]] = 0  # nothing arrives from before the first step
        self.output_counts.fill(0)

    def begin(self, events: Input, first: int, end: int) -> None:
        """Begin the chunk ``first:end``: keep the history that it reads, and fill in its input."""
        history, chunk = self.plan.history, self.plan.chunk
        self.base = first
        if first:
            magnitudes = ((name, kept.magnitude) for name, kept in self.optional.items())
            for name, rows in itertools.chain(self.planes.items(), magnitudes):
                if rows.size:
                    rows[: history[name]] = rows[chunk : chunk + history[name]].copy()
        for name, state in self.states.items():
            state.counts[history[name] :] = 0
        if not self.plan.graded:
            events.fill(self.planes[self.plan.input][history[self.plan.input] :], self.sample, first, end)

    def recorded(self, variable: str, name: str) -> Array:
        """What has been recorded of a population, a row per step: the field that holds it."""
        if variable == "magnitude":
            return self.optional[name].magnitude
        values: Array = getattr(self.states[name], RECORDS[variable])
        return values

    def reset_counters(self) -> None:
        """Set `work`, `operations` and `seconds` to 0."""
        for counters in (self.work, self.operations, self.seconds):
            counters.fill(0)


def _state(plan: Plan, p: CompiledPopulation) -> State:
    """State and records of a population; what its run does not need is empty."""
    flags, size = p.rule.flags, (p.pixels, p.channels)
    whole = p.pixels, sum(width for _, width in tiles(p.channels))
    row = whole if plan.paths[p.name] == "layer" and plan.incoming[p.name][0].tiled else size
    traced = size if flags[Flag.SAM] else (0, 0)
    vectorised = flags[Flag.VECTORISED] != 0
    rows = plan.history[p.name] + plan.chunk
    return State(
        aligned(row if flags[Flag.CURRENT] else (0, 0), plan.dtype),
        aligned(row, plan.dtype),
        np.zeros(whole if vectorised else traced, plan.record_dtype),
        np.zeros((0, 0) if vectorised else traced, np.int32),
        np.zeros(traced if flags[Flag.MODE] == OFFICIAL else (0, 0), np.int32),
        np.empty((rows if flags[Flag.FIRES] else 0, p.pixels, p.words), np.uint64),
        np.zeros(rows, np.int64),
        np.empty((rows if flags[Flag.SAM] else 0, p.pixels), plan.record_dtype),
        np.empty((rows if flags[Flag.MEMBRANE] else 0, *size), plan.dtype),
        np.empty((rows if flags[Flag.CURRENTS] else 0, *size), plan.dtype),
    )


def _optional_state(plan: Plan, p: CompiledPopulation, switches: Switches) -> OptionalState:
    """What a population keeps for its options."""
    size, rows = (p.pixels, p.channels), plan.history[p.name] + plan.chunk
    return OptionalState(
        aligned(size if switches.refractory else (0, 0), np.int32),
        aligned(size if switches.adaptive else (0, 0), plan.dtype),
        aligned(size if switches.reset == RELATIVE else (0, 0), plan.dtype),
        np.empty((rows if p.has_magnitudes else 0, *size), np.int32),
        np.zeros(2, np.int64),
    )
