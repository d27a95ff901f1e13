"""The order of the work on one sample: chunk by chunk, executor by executor, and what is recorded after each chunk."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from neurosam._util.progress import say, task
from neurosam.backends.event.context import RunContext
from neurosam.backends.event.executors.base import Executor
from neurosam.backends.event.executors.chain import ChainExecutor
from neurosam.backends.event.executors.general import GeneralExecutor
from neurosam.backends.event.executors.recurrent import RecurrentExecutor
from neurosam.backends.event.memory import SampleMemory
from neurosam.backends.event.plan import blocks
from neurosam.backends.event.plan.compiled import Plan
from neurosam.signals.recording import Target
from neurosam.signals.state import State

__all__ = ["Worker"]

Array = npt.NDArray[Any]

EXECUTORS: dict[str, type[Executor]] = {"chain": ChainExecutor, "loop": RecurrentExecutor, "general": GeneralExecutor}


class Worker:
    """Runs one sample after another in a memory of its own.

    Attributes
    ----------
    memory : SampleMemory
        Its counters add up over samples.
    executors : list of Executor
        In order of evaluation.
    pools : list of Executor
        Of max poolings whose membranes are part of a state.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan, self.memory = plan, SampleMemory(plan)
        self.executors = [EXECUTORS[name](plan, self.memory, group) for name, group in plan.schedule]
        pools = [name for name, path in plan.paths.items() if path == "or"] if plan.stateful else []
        self.pools = [GeneralExecutor(plan, self.memory, (name,)) for name in pools]

    def load_kernels(self, context: RunContext) -> None:
        """Call every kernel that a sample needs, on no steps, so that it is loaded or compiled."""
        with task("loading kernels"):
            self.memory.clear(0)
            self.memory.begin(context.inputs, 0, 0)
            for executor in (*self.executors, *self.pools):
                executor.run(context, 0, 0)
            self.memory.add_answers()
            say("")  # in place of what was said of the compiler

    def run(self, context: RunContext, sample: int) -> None:
        """Run a sample to its last step, or until the run is stopped."""
        self.start(context.initial, sample)
        self.go_on(context)

    def start(self, initial: State | None, sample: int) -> None:
        """Begin a sample in a given state, or in that before the first step."""
        self.memory.clear(sample)
        if initial is not None:
            self.memory.restore(initial, sample)
        elif self.plan.at_rest is not None:
            self.memory.restore(self.plan.at_rest, 0)

    def go_on(self, context: RunContext) -> None:
        """Run the steps of `context`, and hand over what they give, unless the run is stopped."""
        last = context.begin + context.steps
        for first in range(context.begin, last, self.plan.chunk):
            end = min(first + self.plan.chunk, last)
            if not self.advance(context, first, end):
                return
            self._record(context, first - context.begin, end - context.begin)
        self._finish(context)

    def advance(self, context: RunContext, first: int, end: int) -> bool:
        """Run the steps ``first:end``, a chunk; False if the run was stopped."""
        self.memory.begin(context.inputs, first, end)
        for executor in self.executors:
            executor.run(context, first, end)
            if context.stopped:
                return False
        self.memory.add_answers()
        return True

    def _record(self, context: RunContext, first: int, end: int) -> None:
        """Hand over what is recorded of a chunk."""
        history, states, steps = self.plan.history, self.memory.states, end - first
        for name, counts in context.counts.items():
            if name in states:
                counts[first:end, self.memory.sample] = states[name].counts[history[name] : history[name] + steps]
        if context.lost is not None:
            for index, name in self.plan.counted:
                context.lost[:, index, self.memory.sample] += states[name].counts[-2:]
        for (variable, name), target in context.targets.items():
            values = self.memory.recorded(variable, name)[history[name] : history[name] + steps]
            self._put(target, first, values, channels_first=variable not in ("spikes", "sam"))

    def _put(self, target: Target, first: int, values: Array, channels_first: bool) -> None:
        """Write the values of some steps to their target, as many at a time as L2 holds while they are reordered."""
        length = max(1, blocks.BLOCK_BYTES // max(values[:1].nbytes, 1)) if channels_first else max(1, len(values))
        b = self.memory.sample
        for start in range(0, len(values), length):
            part = values[start : start + length]
            part = (_channels_first(part) if channels_first else part).reshape(len(part), 1, *target.shape[2:])
            target[first + start : first + start + len(part), b : b + 1] = part

    def _finish(self, context: RunContext) -> None:
        """Hand over the answers of a sample, and its state."""
        memory, steps = self.memory, context.first_step + context.begin + context.steps
        for name, out in context.outputs.items():
            out[memory.sample] = self.answer(name, steps)
        if context.final is not None:
            self.save(context, context.final)

    def save(self, context: RunContext, into: State) -> None:
        """Write the state after the last step to this sample of a state.

        A max pooling keeps no membranes: those of the last step are computed here, from the spikes that arrived then.
        """
        memory = self.memory
        if memory.length:
            operations, end = memory.operations.copy(), memory.base + memory.length
            for executor in self.pools:
                executor.run(context, end - 1, end)
            memory.operations[:] = operations
        memory.save(into, memory.sample)

    def answer(self, name: str, steps: int) -> Array:
        """The answer of an output after `steps` own steps, in the network's order."""
        answer = self.plan.answers[name]
        if answer == "last":
            return _channels_first(self.memory.states[name].v[:, : self.plan.populations[name].channels])
        total = self.memory.answers[name]
        if answer == "count":
            return total
        return _channels_first(total / steps if answer == "mean" else total)


def _channels_first(x: Array) -> Array:
    """``(..., pixels, C)`` as ``(..., C * pixels)``."""
    return np.ascontiguousarray(np.swapaxes(x, -1, -2)).reshape(*x.shape[:-2], -1)
