"""One run: its threads take sample after sample, and their counters add up to what each population cost."""

from __future__ import annotations

import logging
import threading
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from neurosam.backends.event.cache import CACHE
from neurosam.backends.event.context import RunContext
from neurosam.backends.event.kernels.layout import Work
from neurosam.backends.event.plan.compiled import Plan
from neurosam.backends.event.plan.inputs import Input
from neurosam.backends.event.runtime.thread_pool import run_parallel
from neurosam.backends.event.worker import Worker
from neurosam.backends.protocol import Progress
from neurosam.signals.inputs import Inputs
from neurosam.signals.recording import Recording, Target
from neurosam.signals.state import State

__all__ = ["LayerProfile", "Run", "answer_arrays"]

log = logging.getLogger("neurosam.backends.event")
_ready: set[Hashable] = set()
"""Sets of kernels (Plan.kernels) that this process has loaded; it does no harm if two threads load the same."""


@dataclass(frozen=True)
class LayerProfile:
    """What one population cost in a run.

    `time_s` is the time that its work took, added up over samples and blocks of steps; samples that run at the same
    time on several threads each count. `operations` are weights added, `updates` neurons times steps.
    """

    population: str
    path: str
    time_s: float
    operations: int
    updates: int


class Run:
    """A run of a plan on events.

    Parameters
    ----------
    plan : Plan
    given : Inputs
    targets : mapping of (variable, population) to Target
        What is recorded, and where it goes.
    threads : int
        Threads that take samples; each may have `plan.threads` work on its sample.
    progress : callable, optional
        Called with (samples done, samples in all).
    timed : bool
        Whether to measure the time of each population.
    initial, final : State, optional
        Where the run begins, if not at rest, and what its end is written to.
    begin : int
        Steps that have been done, of a run in pieces (:meth:`go_on`).
    recent : mapping of str to (K, B, *shape) array, optional
        What graded inputs have sent in the last steps before; as in `initial` if None.
    """

    def __init__(
        self, plan: Plan, given: Inputs, targets: Mapping[tuple[str, str], Target], threads: int,
        progress: Progress | None = None, timed: bool = False, initial: State | None = None,
        final: State | None = None, begin: int = 0, recent: Mapping[str, npt.NDArray[Any]] | None = None,
    ) -> None:  # fmt: skip
        self.plan, self.threads, self.progress = plan, threads, progress
        self.steps, self.samples = given.steps, given.samples
        if recent is None:
            recent = {} if initial is None else initial.recent
        inputs = {
            name: Input(given[name], shape, plan.record_dtype, name in plan.graded, recent.get(name), begin)
            for name, shape in plan.inputs.items()
        }
        counts = {
            name: inputs[name].counts if name in inputs else np.zeros((self.steps, self.samples), np.int64)
            for name in plan.firing
        }
        first = plan.first_step if initial is None else initial.step
        outputs = answer_arrays(plan, self.samples)
        lost = np.zeros((2, len(plan.populations), self.samples), np.int64) if plan.fixed else None
        self.context = RunContext(
            inputs, self.steps, first, targets, counts, outputs, initial, final, lost, begin, timed
        )
        self._inputs = inputs
        self.operations = np.zeros(len(plan.labels), np.int64)
        self.work = np.zeros((len(plan.populations), len(Work)), np.int64)
        self.seconds = np.zeros(len(plan.populations))
        self._lock = threading.Lock()
        self._next = self._done = 0
        self._workers: list[Worker] = []

    def load_kernels(self) -> None:
        """Load or compile every kernel that the run needs; once per process for each set of kernels."""
        if self.plan.kernels not in _ready:
            Worker(self.plan).load_kernels(self.context)
            _ready.add(self.plan.kernels)

    def run_samples(self) -> None:
        """Run all samples; an interrupt stops them between two calls of a kernel."""
        try:
            run_parallel(self._work, self.threads)
        finally:
            self.context.stopped = True
        self._add_counters(self._workers)
        CACHE.release(self.plan, self._workers)

    def go_on(self, workers: Sequence[Worker]) -> None:
        """Run all samples, each by the worker that has done its steps so far."""
        for sample, worker in enumerate(workers):
            worker.memory.sample = sample
            worker.memory.reset_counters()
            worker.go_on(self.context)
        self._add_counters(workers)

    def _add_counters(self, workers: Sequence[Worker]) -> None:
        for worker in workers:
            self.operations += worker.memory.operations
            self.work += worker.memory.work
            self.seconds += worker.memory.seconds

    def _work(self, thread: int) -> None:
        """Take sample after sample until none is left."""
        try:
            worker = CACHE.acquire(self.plan)
            worker.memory.reset_counters()
            while not self.context.stopped:
                with self._lock:
                    sample, self._next = self._next, self._next + 1
                if sample >= self.samples:
                    self._workers.append(worker)
                    return
                worker.run(self.context, sample)
                with self._lock:
                    self._done += 1
                    if self.progress is not None:
                        self.progress(self._done, self.samples)
        except BaseException:
            self.context.stopped = True
            raise

    def report(self) -> None:
        """Log the path of each population."""
        if log.isEnabledFor(logging.INFO):
            for name, path in self.plan.paths.items():
                scattered, gathered, looked_up, _ = self.work[self.plan.index_of[name]]
                detail = f", {scattered} blocks scattered, {gathered} gathered, {looked_up} looked up"
                log.info("%s: %s%s", name, path, detail if path == "layer" else "")

    def profile(self) -> list[LayerProfile]:
        """What each population cost."""
        by_label = self._operations()
        return [
            LayerProfile(
                name, self.plan.paths[name], float(self.seconds[self.plan.index_of[name]]),
                sum(by_label[label] for label in {projection.label for projection in self.plan.incoming[name]}),
                p.pixels * p.channels * self.steps * self.samples,
            )
            for name, p in self.plan.populations.items()
        ]  # fmt: skip

    def _operations(self) -> dict[str, int]:
        """Synaptic operations by projection; chains count them by population, which has one projection there."""
        operations = dict(zip(self.plan.labels, self.operations.tolist(), strict=True))
        in_chains = self.work[:, Work.OPERATIONS].tolist()
        for name, index in self.plan.index_of.items():
            if in_chains[index]:
                operations[self.plan.incoming[name][0].label] += in_chains[index]
        return operations

    def write_last(self, name: str, into: npt.NDArray[Any]) -> None:
        """What an input has sent in the last steps, ``(K, B, *shape)``."""
        self._inputs[name].write_last(into)

    def recording(self, time_s: float) -> Recording:
        """The recording, without the arrays that went to the targets."""
        (_, output), *others = self.context.outputs.items()
        lost = self.context.lost if self.context.lost is not None else ((), ())
        saturated, wrapped = (dict(zip(self.plan.populations, counts, strict=False)) for counts in lost)
        if self.context.final is not None:
            for name in self.plan.graded & self.context.final.recent.keys():
                self.write_last(name, self.context.final.recent[name])
        return Recording(
            backend="event",
            steps=self.steps,
            samples=self.samples,
            output=output,
            other_outputs=dict(others),
            state=self.context.final,
            saturated=saturated,
            wrapped=wrapped,
            sam_scale={name: self.plan.sam_scale[name] for variable, name in self.context.targets if variable == "sam"},
            counts=self.context.counts,
            operations=self._operations(),
            time_s=time_s,
        )


def answer_arrays(plan: Plan, samples: int) -> dict[str, npt.NDArray[Any]]:
    """Room for the answers, ``(B, neurons)``, by output."""
    dtypes = {"count": np.int64, "mean": np.float64, "last": plan.record_dtype, "max": plan.record_dtype}
    return {
        name: np.zeros((samples, plan.populations[name].channels * plan.populations[name].pixels), dtypes[answer])
        for name, answer in plan.answers.items()
    }
