"""Threads that help a run and outlive it: to wake one costs a fraction of what it costs to start one and to end it.

Whoever asks for help does the work as well, and does not wait for a helper that has not begun: so a busy machine, a run
inside a run, or many runs at once, can be slow but never stand still.
"""

from __future__ import annotations

import ctypes
import os
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from threading import Lock, Thread

__all__ = ["run_parallel"]

_getcpu = getattr(ctypes.CDLL(None), "sched_getcpu", None) if hasattr(os, "sched_setaffinity") else None


class _Job:
    """A task for one helper. Who locks `begun` first decides: the helper does it, or the caller has taken it back."""

    def __init__(self, task: Callable[[int], None], thread: int) -> None:
        self.task, self.thread = task, thread
        self.begun, self.done = Lock(), Lock()
        self.done.acquire()
        self.error: BaseException | None = None


class _Helper:
    """A thread that waits for jobs, on any processor but that of who asked it last."""

    def __init__(self) -> None:
        self.jobs: SimpleQueue[_Job] = SimpleQueue()
        self.allowed: set[int] = set()
        self.thread = Thread(target=_help, args=(self,), name="neurosam", daemon=True)
        self.thread.start()

    def ask(self, job: _Job) -> None:
        """Hand over a job.

        A system that wakes a thread may let it wait for the processor of the one that woke it, though another is idle:
        for a millisecond, and again in the next run.
        """
        caller = _processor()
        if caller >= 0 and self.thread.native_id is not None:
            allowed = os.sched_getaffinity(0)
            others = allowed - {caller} or allowed
            if others != self.allowed:
                self.allowed = others
                with suppress(OSError):
                    os.sched_setaffinity(self.thread.native_id, others)
        self.jobs.put(job)


_idle: deque[_Helper] = deque()
"""Helpers that have nothing to do."""
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_idle.clear)  # threads do not live on in a forked process


def _processor() -> int:
    """The processor that this thread runs on, or -1 where a system does not say or takes no wishes."""
    return -1 if _getcpu is None else int(_getcpu())


def _help(helper: _Helper) -> None:
    """Do job after job, as long as the process lives."""
    while True:
        job = helper.jobs.get()
        if job.begun.acquire(blocking=False):
            try:
                job.task(job.thread)
            except BaseException as error:
                job.error = error
            _idle.append(helper)
            job.done.release()
        else:
            _idle.append(helper)
        del job  # what its task holds is not kept


def _ask(task: Callable[[int], None], thread: int) -> _Job:
    """Hand a task to a helper."""
    try:
        helper = _idle.pop()
    except IndexError:
        helper = _Helper()
    job = _Job(task, thread)
    helper.ask(job)
    return job


def run_parallel(task: Callable[[int], None], threads: int) -> None:
    """Run ``task(0)`` on this thread and ``task(1)`` ... on others, as far as they come before this one is done.

    Returns, or raises what any of them has raised, when nobody works on it any more. A task whose fellow fails has to
    end soon by itself.
    """
    asked: list[_Job] = []
    try:
        asked.extend(_ask(task, thread) for thread in range(1, threads))
        task(0)
    finally:
        begun = [job for job in asked if not job.begun.acquire(blocking=False)]
        for job in begun:
            job.done.acquire()
    for job in begun:
        if job.error is not None:
            raise job.error
