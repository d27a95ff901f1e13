"""Threads that help a run and outlive it: to wake one costs a fraction of what it costs to start one and to end it.

Whoever asks for help does the work as well, and does not wait for a helper that has not begun: so a busy machine, a run
inside a run, or many runs at once, can be slow but never stand still.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from threading import Lock, Thread

__all__ = ["assisted"]


class _Job:
    """A task for one helper. Who locks `begun` first decides: the helper does it, or the caller has taken it back."""

    def __init__(self, task: Callable[[int], None], thread: int) -> None:
        self.task, self.thread = task, thread
        self.begun, self.done = Lock(), Lock()
        self.done.acquire()
        self.error: BaseException | None = None


_Jobs = SimpleQueue[_Job]
_idle: deque[_Jobs] = deque()
"""Where helpers that have nothing to do wait for a job."""
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_idle.clear)  # threads do not live on in a forked process


def _help(jobs: _Jobs) -> None:
    """Do job after job, as long as the process lives."""
    while True:
        job = jobs.get()
        if job.begun.acquire(blocking=False):
            try:
                job.task(job.thread)
            except BaseException as error:
                job.error = error
            _idle.append(jobs)
            job.done.release()
        else:
            _idle.append(jobs)
        del job  # what its task holds is not kept


def _ask(task: Callable[[int], None], thread: int) -> _Job:
    """Hand a task to a helper."""
    try:
        jobs = _idle.pop()
    except IndexError:
        jobs = SimpleQueue()
        Thread(target=_help, args=(jobs,), name="neurosam", daemon=True).start()
    job = _Job(task, thread)
    jobs.put(job)
    return job


def assisted(task: Callable[[int], None], threads: int) -> None:
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
