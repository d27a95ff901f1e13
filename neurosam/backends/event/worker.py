"""The memory of one sample: its states, bit planes and records of a chunk of steps, and the kernels that work in it.

It is used for one sample after another, and by the next run of the same kind (plan/compiled.py). What a sample reads
before it has written it is cleared in the beginning: states, and the steps before the first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from neurosam.backends.event.executors.chain import BLOCK_BYTES, Chain
from neurosam.backends.event.executors.general import General
from neurosam.backends.event.executors.recurrent import Loop
from neurosam.backends.event.kernels.layout import Flag, State
from neurosam.backends.event.kernels.sam_by_spike import OFFICIAL
from neurosam.backends.event.kernels.synapses import tally
from neurosam.backends.event.plan.compiled import Prepared
from neurosam.backends.event.plan.populations import Cells
from neurosam.backends.event.simd.int16 import tiles
from neurosam.backends.event.simd.vectors import aligned
from neurosam.signals.recording import Target, words

if TYPE_CHECKING:
    from neurosam.backends.event.backend import Run

__all__ = ["Sample"]

Array = npt.NDArray[Any]
RECORDS = {"spikes": "planes", "sam": "sam", "membrane": "membranes", "current": "currents"}
"""Where a state keeps what is recorded."""


class Part(Protocol):
    """Some populations' way through a chunk of steps."""

    def advance(self, run: Run, sample: Sample, first: int, end: int) -> None:
        """Run them over the own steps ``first:end``, all of one chunk or (General) some."""


class Sample:
    """Memory for one sample.

    Attributes
    ----------
    b : int
        The sample.
    base : int
        First step of the chunk.
    states : mapping of str to State
    planes : mapping of str to (K, P, words) array
        Bit planes by population, the input too.
    work : (populations, 4) int64 array
        Blocks scattered, gathered and looked up, and synaptic operations of chains, not yet handed over.
    operations : (projections,) int64 array
        Those of the others, likewise.
    seconds : (populations,) float64 array
        Time of each, likewise.
    """

    def __init__(self, prepared: Prepared) -> None:
        self.prepared = prepared
        self.b = self.base = 0
        self.states = {name: self._state(p) for name, p in prepared.cells.items()}
        self.planes = {name: state.planes for name, state in self.states.items()}
        channels, height, width = prepared.source_shape
        rows = 0 if prepared.graded else prepared.tails[prepared.source] + prepared.chunk
        self.planes[prepared.source] = np.empty((rows, height * width, words(channels)), np.uint64)
        self.fired = np.zeros(prepared.counted, np.int64)
        self.operations = np.zeros(len(prepared.labels), np.int64)
        self.work = np.zeros((len(prepared.cells), 4), np.int64)
        self.seconds = np.zeros(len(prepared.cells))
        kinds: dict[str, Any] = {"chain": Chain, "loop": Loop, "general": General}
        self.parts: list[Part] = [kinds[way](prepared, self, names) for way, names in prepared.course]
        arrays = [x for state in self.states.values() for x in state]
        self.nbytes = sum(x.nbytes for x in (*arrays, self.planes[prepared.source]))

    def _state(self, p: Cells) -> State:
        prepared, flags, size = self.prepared, p.rule.flags, (p.pixels, p.channels)
        number, wide = prepared.number, np.int32 if prepared.fixed else np.float64
        row, whole = size, (p.pixels, sum(width for _, width in tiles(p.channels)))
        if prepared.paths[p.name] == "layer" and prepared.links[p.name][0].tiled:
            row = whole
        traced = size if flags[Flag.SAM] else (0, 0)
        together = flags[Flag.VECTORISED] != 0
        rows = prepared.tails[p.name] + prepared.chunk
        return State(
            aligned(row if flags[Flag.CURRENT] else (0, 0), number),
            aligned(row, number),
            np.zeros(whole if together else traced, wide),
            np.zeros((0, 0) if together else traced, np.int32),
            np.zeros(traced if flags[Flag.MODE] == OFFICIAL else (0, 0), np.int32),
            np.empty((rows if flags[Flag.FIRES] else 0, p.pixels, p.words), np.uint64),
            np.zeros(rows, np.int64),
            np.empty((rows if flags[Flag.SAM] else 0, p.pixels), wide),
            np.empty((rows if flags[Flag.MEMBRANE] else 0, *size), number),
            np.empty((rows if flags[Flag.CURRENTS] else 0, *size), number),
        )

    def run(self, run: Run, b: int) -> None:
        """A sample's populations, all steps; then hand over what is recorded."""
        self.b = b
        self.clear()
        for first in range(0, run.steps, self.prepared.chunk):
            end = min(first + self.prepared.chunk, run.steps)
            self.begin(run, first, end)
            for part in self.parts:
                part.advance(run, self, first, end)
                if run.stopped:
                    return
            self._keep(run, first, end)
        self._hand_over(run)

    def clear(self) -> None:
        """The state before the first step."""
        for name, state in self.states.items():
            tail = self.prepared.tails[name]
            trace = state.trace[: len(state.last)]  # that of kernels/sam_vector.py begins anew by itself
            for values in (state.u, state.v, trace, state.last, state.spikes, state.counts[:tail]):
                if values.size:
                    values.fill(0)
        for name, planes in self.planes.items():
            planes[: self.prepared.tails[name]] = 0  # what arrives before the first step
        self.fired.fill(0)

    def begin(self, run: Run, first: int, end: int) -> None:
        """Make room for a chunk of steps: keep the tail of the one before, and put the input in."""
        tails, chunk = self.prepared.tails, self.prepared.chunk
        self.base = first
        if first:
            for name, planes in self.planes.items():
                if planes.size:
                    planes[: tails[name]] = planes[chunk : chunk + tails[name]].copy()
            for name, state in self.states.items():
                state.counts[: tails[name]] = state.counts[chunk : chunk + tails[name]].copy()
        for name, state in self.states.items():
            state.counts[tails[name] :] = 0
        if not self.prepared.graded:
            source = self.prepared.source
            run.input.fill(self.planes[source][tails[source] :], self.b, first, end)

    def _keep(self, run: Run, first: int, end: int) -> None:
        """Hand over what is recorded of a chunk of steps."""
        tails, steps = self.prepared.tails, end - first
        for name, counts in run.counts.items():
            if name in self.states:
                counts[first:end, self.b] = self.states[name].counts[tails[name] : tails[name] + steps]
        for (variable, name), target in run.kept.items():
            values = getattr(self.states[name], RECORDS[variable])[tails[name] : tails[name] + steps]
            self._put(target, first, values, channels_first=variable not in ("spikes", "sam"))
        if self.fired.size:
            output = self.prepared.output
            tally(self.planes[output], tails[output], steps, self.fired)

    def _put(self, target: Target, first: int, values: Array, channels_first: bool) -> None:
        """Hand the values of some steps over, as many at a time as stay in the cache when they are reordered."""
        length = max(1, BLOCK_BYTES // max(values[:1].nbytes, 1)) if channels_first else max(1, len(values))
        for start in range(0, len(values), length):
            own = values[start : start + length]
            laid = (_channels_first(own) if channels_first else own).reshape(len(own), 1, *target.shape[2:])
            target[first + start : first + start + len(own), self.b : self.b + 1] = laid

    def _hand_over(self, run: Run) -> None:
        output = self.prepared.output
        if self.fired.size:
            run.output[self.b] = self.fired
        else:
            run.output[self.b] = _channels_first(self.states[output].v[:, : self.prepared.cells[output].channels])
        with run.lock:
            run.operations += self.operations
            run.work += self.work
            run.seconds += self.seconds
        for counted in (self.operations, self.work, self.seconds):
            counted.fill(0)


def _channels_first(x: Array) -> Array:
    """``(..., pixels, C)`` as ``(..., C * pixels)``."""
    return np.ascontiguousarray(np.swapaxes(x, -1, -2)).reshape(*x.shape[:-2], -1)
