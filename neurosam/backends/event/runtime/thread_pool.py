"""A pool of threads that outlive a run: waking a thread costs a fraction of starting and ending one.

The calling thread does its share of the work, and does not wait for a pool thread that has not started: so a busy
machine, a run inside a run, or many runs at once may be slow but cannot deadlock.
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
    """A task for one pool thread, which runs it, or whose caller withdraws it: whichever locks `begun` first."""

    def __init__(self, task: Callable[[int], None], thread: int) -> None:
        self.task, self.thread = task, thread
        self.begun, self.done = Lock(), Lock()
        self.done.acquire()
        self.error: BaseException | None = None


class _Worker:
    """A thread that waits for jobs, on any processor but that of its last caller."""

    def __init__(self) -> None:
        self.jobs: SimpleQueue[_Job] = SimpleQueue()
        self.allowed: set[int] = set()
        self.thread = Thread(target=_run_jobs, args=(self,), name="neurosam", daemon=True)
        self.thread.start()

    def submit(self, job: _Job) -> None:
        """Hand over a job.

        The scheduler may queue a woken thread on the processor of the thread that woke it, though another processor is
        idle: for a millisecond, and again in the next run. So that processor is excluded.
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


_idle: deque[_Worker] = deque()
"""Threads without a job."""
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_idle.clear)  # a forked process has no copies of the threads


def _processor() -> int:
    """The processor that this thread runs on, or -1 where it is unknown or the system does not support affinity."""
    return -1 if _getcpu is None else int(_getcpu())


def _run_jobs(worker: _Worker) -> None:
    """Run one job after another, as long as the process lives."""
    while True:
        job = worker.jobs.get()
        if job.begun.acquire(blocking=False):
            try:
                job.task(job.thread)
            except BaseException as error:
                job.error = error
            _idle.append(worker)
            job.done.release()
        else:
            _idle.append(worker)
        del job  # release what its task refers to


def _submit(task: Callable[[int], None], thread: int) -> _Job:
    """Hand a task to a pool thread."""
    try:
        worker = _idle.pop()
    except IndexError:
        worker = _Worker()
    job = _Job(task, thread)
    worker.submit(job)
    return job


def run_parallel(task: Callable[[int], None], threads: int) -> None:
    """Run ``task(0)`` on this thread and ``task(1)`` ... on others, unless they start only after this one is done.

    Returns when all that have started are done, and raises what any of them raised. If one fails, the others have to
    notice by themselves and end.
    """
    submitted: list[_Job] = []
    try:
        submitted.extend(_submit(task, thread) for thread in range(1, threads))
        task(0)
    finally:
        begun = [job for job in submitted if not job.begun.acquire(blocking=False)]
        for job in begun:
            job.done.acquire()
    for job in begun:
        if job.error is not None:
            raise job.error
