"""Processes of this machine: started afresh, without interrupts, and never outliving the process that started them.

Every worker holds the reading end of a pipe. It ends when the writing end is closed: by the parent that stops, or by
the system when the parent is gone, however it went. Ctrl-C reaches all processes of a terminal; the workers do not hear
it, since the parent decides what becomes of them.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from types import FrameType
from typing import TypeVar

from neurosam._util.arguments import integer
from neurosam.errors import ArgumentError
from neurosam.sweep.workers import Workers

__all__ = ["THREADS", "ProcessPool"]

T = TypeVar("T")

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
"""Variables of the environment that say how many threads a library starts; one, in a worker."""
MOST_JOBS = 1024


class ProcessPool(Workers):
    """Workers that are processes of this machine.

    A program that starts some has to guard its own work by ``if __name__ == "__main__":``, since a worker imports it.

    Parameters
    ----------
    jobs : int
        How many, 1..1024.
    """

    name = "the pool of processes"

    def __init__(self, jobs: int) -> None:
        self._count = integer("jobs", jobs, 1, MOST_JOBS, ArgumentError)
        self._pool: ProcessPoolExecutor | None = None
        self._ends: tuple[Connection, Connection] | None = None

    def open(self) -> Executor:
        """A new pool; its processes start when there is work for them."""
        context = multiprocessing.get_context("spawn")
        reader, writer = context.Pipe(duplex=False)
        self._ends = reader, writer
        self._pool = ProcessPoolExecutor(self._count, context, _begin, (reader,))
        return self._pool

    def reopen(self) -> Executor:
        """A new pool, in place of one of which a process has died."""
        self.abort()
        return self.open()

    def submit(self, executor: Executor, task: Callable[[], T]) -> Future[T]:
        """Hand over a task; a process that is started for it does not hear Ctrl-C."""
        with _held_back():
            return executor.submit(task)

    def close(self) -> None:
        """Let the processes end, which have nothing to do."""
        pool, ends, self._pool, self._ends = self._pool, self._ends, None, None
        if pool is not None:
            pool.shutdown(wait=True)
        _close(ends)

    def abort(self) -> None:
        """End the processes, whatever they do, and wait until they are gone."""
        with _held_back():
            ends, self._ends = self._ends, None
            _close(ends)
            if self._pool is not None:
                self._pool.shutdown(wait=True, cancel_futures=True)
                self._pool = None


def _close(ends: tuple[Connection, Connection] | None) -> None:
    for end in reversed(ends or ()):
        end.close()


def _begin(stop: Connection) -> None:
    """What a worker does first."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for name in THREADS:  # for libraries that are not imported yet
        os.environ[name] = "1"
    threading.Thread(target=_watch, args=(stop,), daemon=True, name="neurosam-parent").start()


def _watch(stop: Connection) -> None:
    with suppress(OSError, EOFError):
        stop.poll(None)
    os._exit(1)


@contextmanager
def _held_back() -> Iterator[None]:
    """Hold back Ctrl-C and SIGTERM, which come when the block has ended.

    SIGINT is blocked as well, which processes inherit that are started meanwhile: one that has not come to ignoring it
    would print a traceback.
    """
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "pthread_sigmask"):
        yield
        return
    came: list[int] = []

    def note(number: int, _frame: FrameType | None) -> None:
        came.append(number)

    before = {
        number: signal.signal(number, note)
        for number in (signal.SIGINT, signal.SIGTERM)
        if callable(signal.getsignal(number))
    }
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        for number, handler in before.items():
            signal.signal(number, handler)
        for late in came:
            signal.raise_signal(late)
