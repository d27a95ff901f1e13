"""The arrays of one sample: its state, its bit planes and records of a chunk of steps, and its counters.

They serve one sample after another, and the next run with the same plan (cache.py). What is read before it is written
is cleared when a sample begins: states, and the planes of the steps before the first.

A :class:`~neurosam.signals.state.State` has the variables of a sample in the network's order, this memory in that of
kernels: pixels first, channels padded. They are converted here, where a run begins or ends with a state.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from neurosam.backends.event.kernels.answers import add_membranes, keep_largest
from neurosam.backends.event.kernels.layout import Flag, OptionalState, State, Work
from neurosam.backends.event.kernels.sam_by_spike import OFFICIAL
from neurosam.backends.event.kernels.synapses import tally
from neurosam.backends.event.plan.compiled import Plan
from neurosam.backends.event.plan.inputs import Source
from neurosam.backends.event.plan.populations import CompiledPopulation
from neurosam.backends.event.simd.int16 import tiles
from neurosam.backends.event.simd.vectors import aligned
from neurosam.network.dynamics import RELATIVE, Switches
from neurosam.network.synapse import as_chw
from neurosam.signals.recording import Spikes, words
from neurosam.signals.state import VARIABLES
from neurosam.signals.state import State as NetworkState

__all__ = ["SampleMemory"]

Array = npt.NDArray[Any]
Int = npt.NDArray[np.int64]

RECORDS = {"spikes": "planes", "sam": "sam", "membrane": "membranes", "current": "currents"}
"""The field of a State that holds each recorded variable."""

LOST = 2
"""Entries of `counts` behind the steps: what saturated, and what wrapped around."""
FIELDS = {variable: "spikes" if variable == "fired" else variable for variable in VARIABLES}
"""The field of a State that holds each variable of a neuron."""


class SampleMemory:
    """Memory for one sample at a time.

    Planes, counts and records have a row per step: first those of ``plan.history`` before the chunk, then the chunk's.

    Attributes
    ----------
    sample : int
        Index of the sample.
    base, length : int
        First step of the chunk, and its steps.
    states : mapping of str to State
    optional : mapping of str to OptionalState
        Of the populations that are not plain.
    planes : mapping of str to (K, P, words) array
        Bit planes by population, inputs too.
    answers : mapping of str to array
        What answers over time have added up: "count" (neurons,), in the network's order; "mean" and "max" (P, C).
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
        self.sample = self.base = self.length = 0
        self.states = {name: _state(plan, p) for name, p in plan.populations.items()}
        self.optional = {
            name: _optional_state(plan, p, p.optional.switches)
            for name, p in plan.populations.items()
            if p.optional is not None
        }
        self.planes = {name: state.planes for name, state in self.states.items()}
        for name, (channels, height, width) in plan.inputs.items():
            rows = 0 if name in plan.graded else plan.history[name] + plan.chunk
            self.planes[name] = np.empty((rows, height * width, words(channels)), np.uint64)
        sent = [*self.planes.items(), *((name, kept.magnitude) for name, kept in self.optional.items())]
        self.remembered = [(plan.history[name], rows) for name, rows in sent if plan.history[name] and rows.size]
        self.answers = {
            name: _total(plan, plan.populations[name], answer)
            for name, answer in plan.answers.items()
            if answer != "last"
        }
        self.operations: Int = np.zeros(len(plan.labels), np.int64)
        self.work: Int = np.zeros((len(plan.populations), len(Work)), np.int64)
        self.seconds = np.zeros(len(plan.populations))
        arrays = [array for state in (*self.states.values(), *self.optional.values()) for array in state]
        self.nbytes = sum(array.nbytes for array in (*arrays, *(self.planes[name] for name in plan.inputs)))

    def clear(self, sample: int) -> None:
        """Begin a sample in the state of all zeros."""
        self.sample, self.length = sample, 0
        for state in self.states.values():
            trace = state.trace[: len(state.last)]  # none with kernels/sam_vector.py, which restarts its traces itself
            for values in (state.u, state.v, trace, state.last, state.spikes):
                if values.size:
                    values.fill(0)
        for name, kept in self.optional.items():
            for values in (kept.wait, kept.h, kept.r, kept.magnitude[: self.plan.history[name]]):
                values.fill(0)
        for name, planes in self.planes.items():
            planes[: self.plan.history[name]] = 0  # nothing arrives from before the first step
        for name, total in self.answers.items():
            total.fill(_lowest(total.dtype) if self.plan.answers[name] == "max" else 0)

    def begin(self, inputs: Mapping[str, Source], first: int, end: int) -> None:
        """Begin the chunk ``first:end``: keep the history that it reads, and fill in its inputs."""
        history = self.plan.history
        if self.length:
            for length, rows in self.remembered:
                rows[:length] = rows[self.length : self.length + length].copy()
        self.base, self.length = first, end - first
        for name, state in self.states.items():
            state.counts[history[name] :] = 0
        for name, given in inputs.items():
            if name not in self.plan.graded:
                given.fill(self.planes[name][history[name] :], self.sample, first, end)

    def add_answers(self) -> None:
        """Add the chunk to the answers over time."""
        for name, total in self.answers.items():
            answer, at = self.plan.answers[name], self.plan.history[name]
            if name in self.plan.magnitudes and answer == "count":
                total += self.optional[name].magnitude[at : at + self.length].sum(axis=0).T.reshape(-1)
            elif answer == "count":
                tally(self.planes[name], at, self.length, total)
            elif answer == "mean":
                add_membranes(self.states[name].membranes, at, self.length, total)
            else:
                keep_largest(self.states[name].membranes, at, self.length, total)

    def restore(self, given: NetworkState, sample: int) -> None:
        """Begin in a given state (its sample of this index) instead of :meth:`clear`'s."""
        for name in self.states:
            for variable, values in given.neurons[name].items():
                held = self._held(name, variable)
                if held.size:
                    held[:, : self.plan.populations[name].channels] = _pixels_first(values[sample], held.shape[0])
        for name, recent in given.recent.items():
            if self.planes[name].size:
                planes = Spikes.from_dense(recent[:, sample : sample + 1]).planes
                self.planes[name][: len(planes)] = planes.reshape(len(planes), *self.planes[name].shape[1:])
            if name in self.plan.magnitudes:
                magnitude = self.optional[name].magnitude[: len(recent)]
                magnitude[:] = recent[:, sample].reshape(len(recent), -1, magnitude.shape[1]).swapaxes(1, 2)
        for name, answer in given.answers.items():
            total = self.answers[name]
            total[:] = answer[sample] if total.ndim == 1 else _pixels_first(answer[sample], total.shape[0])

    def save(self, into: NetworkState, sample: int) -> None:
        """Write the state at the end of the chunk, without what graded inputs sent, to a sample of a state."""
        for name in self.states:
            for variable, values in into.neurons[name].items():
                held = self._held(name, variable)[:, : self.plan.populations[name].channels]
                values[sample] = held.T.reshape(values.shape[1:])
        for name, recent in into.recent.items():
            if name in self.plan.magnitudes:
                magnitude = self.optional[name].magnitude[self.length : self.length + len(recent)]
                recent[:, sample] = magnitude.swapaxes(1, 2).reshape(recent[:, sample].shape)
            elif name not in self.plan.graded:
                planes, (_, height, width) = self.planes[name], as_chw(recent.shape[2:])
                sent = planes[self.length : self.length + len(recent)].reshape(len(recent), 1, height, width, -1)
                recent[:, sample : sample + 1] = Spikes(sent, recent.shape[2:]).dense()
        for name, answer in into.answers.items():
            total = self.answers[name]
            answer[sample] = total if total.ndim == 1 else total.T.reshape(-1)

    def _held(self, name: str, variable: str) -> Array:
        """The array ``(P, >= C)`` that holds a variable of a population's neurons."""
        if variable in OptionalState._fields:
            values: Array = getattr(self.optional[name], variable)
            return values
        values = getattr(self.states[name], FIELDS[variable])
        return values

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


def _total(plan: Plan, p: CompiledPopulation, answer: str) -> Array:
    """Room for an answer over time."""
    if answer == "count":
        return np.zeros(p.channels * p.pixels, np.int64)
    dtype = np.int64 if plan.fixed and answer == "mean" else plan.record_dtype
    return np.zeros((p.pixels, p.channels), dtype)


def _lowest(dtype: np.dtype[Any]) -> Any:
    """The number that is below all others."""
    return -np.inf if dtype.kind == "f" else np.iinfo(dtype).min


def _pixels_first(values: Array, pixels: int) -> Array:
    """A population's values, in the network's order, as ``(P, C)``."""
    return values.reshape(-1, pixels).T


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
        np.zeros(rows + LOST, np.int64),
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
    )
