"""A run that goes on: plan, memory and state stay in place, and a step costs little more than its kernels.

Each sample has a worker of its own, whose memory holds its state; samples run one after the other. A new plan is made,
and the state carried over, where an input turns out to send values instead of spikes, or where the tables of float
traces come to their end.

A step of a small network takes 0.02 to 0.03 ms on one core, most of it Python (`neurosam bench`).
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from neurosam.backends.event.cache import CACHE
from neurosam.backends.event.context import RunContext
from neurosam.backends.event.plan.compiled import CacheKey, Plan, sends_values
from neurosam.backends.event.plan.frame import Frame
from neurosam.backends.event.run import Run, answer_arrays
from neurosam.backends.event.worker import Worker
from neurosam.backends.protocol import Options
from neurosam.backends.registry import check_values, shifted
from neurosam.network.network import Network
from neurosam.signals.events import Events
from neurosam.signals.inputs import Inputs
from neurosam.signals.recording import Record, Recording, arranged, extents
from neurosam.signals.state import State

__all__ = ["EventSession"]

Array = npt.NDArray[Any]


class EventSession:
    """A run of a network that goes on (:class:`neurosam.backends.protocol.Running`).

    Parameters
    ----------
    network, samples, record, options, most_steps
        As :meth:`neurosam.backends.protocol.Sessions.session` takes them. One thread works on a sample unless
        ``options.threads`` says otherwise.
    path : str
        As :class:`EventBackend` takes it.
    """

    def __init__(
        self, network: Network, samples: int, record: Record, options: Options, most_steps: int | None, path: str
    ) -> None:
        self._network, self._samples, self._record, self._options = network, samples, record, options
        self._most_steps, self._path = most_steps, path
        self._begin(options.initial, frozenset(), 1)

    def _begin(self, initial: State | None, graded: frozenset[str], steps: int) -> None:
        """Make plan and memory for at least so many steps that start in `initial`."""
        first = 0 if initial is None else initial.step
        network = shifted(self._network, first)
        if initial is not None:
            graded |= frozenset(name for name, recent in initial.recent.items() if sends_values(recent))
        key = CacheKey.of_session(
            network, self._record, self._options, self._path, graded, first, steps, self._most_steps
        )
        self._plan = Plan(network, key, CACHE.element)
        self._workers = [Worker(self._plan) for _ in range(self._samples)]
        graded = self._plan.graded
        self._frames = {
            name: Frame(
                shape, self._samples, self._plan.history[name] if name in graded else 0, self._plan.record_dtype
            )
            for name, shape in self._plan.inputs.items()
        }
        self._context = RunContext(self._frames, 0, first, {}, {}, {})
        self._load_kernels()
        self._start(initial)

    def _load_kernels(self) -> None:
        """Load or compile every kernel that a step needs, so that the first one is as fast as the others."""
        self._workers[0].load_kernels(self._context)
        for name, frame in self._frames.items():
            frame.put(frame.values[-1], 0)
            if name in self._plan.graded:
                frame.block(0, 0, 1)
            else:
                frame.fill(self._workers[0].memory.planes[name], 0, 0, 1)

    def _start(self, initial: State | None) -> None:
        """Begin in a state; of the first step of the plan's run."""
        self._position = 0
        for sample, worker in enumerate(self._workers):
            worker.start(initial, sample)
        for name in self._plan.graded:
            frame = self._frames[name]
            frame.recent[:] = 0 if initial is None or not frame.recent.size else _as_frame(initial.recent[name], frame)

    def restart(self) -> None:
        """Go back to where the run began."""
        initial = self._options.initial
        if self._plan.first_step == (0 if initial is None else initial.step):
            self._start(initial)
        else:
            self._begin(initial, self._plan.graded, 1)

    def step(self, values: Mapping[str, Array]) -> None:
        """Run one step; nothing is recorded."""
        if self._position == self._plan.steps:
            self._begin(self.state(), self._plan.graded, 1)
        position, graded = self._position, self._plan.graded
        for name, frame in self._frames.items():
            sends, whole, largest = frame.put(values[name], position)
            if sends:
                if largest > self._plan.largest_input[name] or (self._plan.fixed and not whole):
                    self._refuse(values)
                graded |= {name}
        if graded != self._plan.graded:
            self._begin(self.state(), graded, 1)
            self.step(values)
            return
        for sample, worker in enumerate(self._workers):
            worker.memory.sample = sample
            worker.advance(self._context, position, position + 1)
        self._position = position + 1
        for name in graded:
            self._frames[name].keep()

    def _refuse(self, values: Mapping[str, Array]) -> None:
        """Refuse values that the network cannot take, as :func:`neurosam.run` does."""
        given = {name: Events.from_dense(np.asarray(x)[None]) for name, x in values.items()}
        check_values(self._network, Inputs.of(self._network, given))

    def advance(self, inputs: Inputs) -> Recording:
        """Run further steps."""
        graded = self._plan.graded | {name for name, events in inputs.items() if events.value is not None}
        if graded != self._plan.graded or self._position + inputs.steps > self._plan.steps:
            self._begin(self.state(), graded, inputs.steps)
        requested = extents(self._network, self._record, inputs.steps, inputs.samples)
        arrays = {key: np.empty(shape, dtype) for key, (shape, dtype) in requested.items()}
        recent = {
            name: self._frames[name].recent.reshape(-1, self._samples, *inputs[name].shape)
            for name in self._plan.graded
        }
        run = Run(self._plan, inputs, arrays, 1, begin=self._position, recent=recent)
        start = time.perf_counter()
        run.go_on(self._workers)
        time_s = time.perf_counter() - start
        self._position += inputs.steps
        for name, last in recent.items():
            run.write_last(name, last)
        return replace(run.recording(time_s), **arranged(self._network, arrays))

    def answers(self) -> dict[str, Array]:
        """Answers of the whole run so far."""
        steps = self._plan.first_step + self._position
        out = answer_arrays(self._plan, self._samples)
        for name, array in out.items():
            for sample, worker in enumerate(self._workers):
                array[sample] = worker.answer(name, steps)
        return out

    def state(self) -> State:
        """The state after the steps so far."""
        state = replace(State.initial(self._network, self._samples), step=self._plan.first_step + self._position)
        for sample, worker in enumerate(self._workers):
            worker.memory.sample = sample
            worker.save(self._context, state)
        for name in self._plan.graded & state.recent.keys():
            recent = state.recent[name]
            recent[:] = self._frames[name].recent.reshape(recent.shape)
        return state


def _as_frame(recent: Array, frame: Frame) -> Array:
    """What an input sent lately, as a frame has it."""
    return recent.reshape(frame.recent.shape)
