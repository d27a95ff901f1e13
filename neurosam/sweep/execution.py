"""Chunks on any executor: some in flight, results as they come, what was lost again, and a clean end.

    take a chunk -> submit -> result: hand it on, and measure its time
                           -> its worker is gone: put the chunk back
                           -> an error of the work itself: stop, and raise it

An executor of :mod:`concurrent.futures` says that a worker is gone by an exception, and which one a
:class:`~neurosam.sweep.workers.Workers` knows. A chunk whose workers die again and again is not tried for ever.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, CancelledError, Executor, Future, wait
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

from neurosam._util import progress as bar
from neurosam._util.progress import Tick
from neurosam.errors import BackendError
from neurosam.sweep.chunks import Chunks
from neurosam.sweep.workers import Workers

__all__ = ["Outcome", "execute", "gather", "timed"]

R = TypeVar("R")

AHEAD = 2
"""Chunks in flight for each worker: the one that it works on, and the next."""
MOST_LOSSES = 5
"""Times that a chunk is lost before it is given up."""
LOOK_S = 1.0
"""Time after which the number of workers is looked up again."""


@dataclass(frozen=True)
class Outcome(Generic[R]):
    """What a worker gave, and the seconds that it took."""

    result: R
    seconds: float


def timed(work: Callable[[], R]) -> Outcome[R]:
    """Do some work, in a worker, and measure its time."""
    began = time.perf_counter()
    result = work()
    return Outcome(result, time.perf_counter() - began)


def execute(
    workers: Workers,
    chunks: Chunks,
    work: Callable[[range], Callable[[], R]],
    done: Callable[[range, R], None],
    total: int,
    progress: Tick | None = None,
    what: str = "samples",
) -> None:
    """Do the work of all chunks.

    Parameters
    ----------
    workers : Workers
        Opened and closed here.
    chunks : Chunks
    work : callable
        Called here with a chunk; returns what a worker calls without arguments, which has to be picklable.
    done : callable
        Called here with a chunk and its result, in the order in which they come.
    total : int
        Samples in all, those done before included.
    progress : callable, optional
        Called with (samples done, total).
    what : str
        What chunks are made of, for messages.

    Raises
    ------
    BackendError
        If the same samples are lost MOST_LOSSES times, or the workers are gone for good.
    """
    run = _Run(workers, chunks, work, done, total, progress, what)
    try:
        run.all()
    except BaseException:
        workers.abort()
        raise
    workers.close()


def gather(
    workers: Workers, chunks: Chunks, work: Callable[[range], Callable[[], R]], total: int, progress: Tick | None = None
) -> list[tuple[range, R]]:
    """The chunks with their results, in the order of samples; arguments as of :func:`execute`."""
    found: list[tuple[range, R]] = []
    execute(workers, chunks, work, lambda chunk, result: found.append((chunk, result)), total, progress)
    return sorted(found, key=lambda pair: pair[0].start)


class _Run(Generic[R]):
    """Chunks in flight, and what has been lost."""

    def __init__(
        self, workers: Workers, chunks: Chunks, work: Callable[[range], Callable[[], R]],
        done: Callable[[range, R], None], total: int, progress: Tick | None, what: str,
    ) -> None:  # fmt: skip
        self.what = what
        self.workers, self.chunks, self.work, self.done = workers, chunks, work, done
        self.total, self.progress = total, progress
        self.before = self.finished = total - chunks.left
        self.began = time.monotonic()
        self.flying: dict[Future[Outcome[R]], range] = {}
        self.losses: Counter[int] = Counter()

    def all(self) -> None:
        """Until no chunk is left."""
        executor = self.workers.open()
        self._report()
        while self.chunks.left or self.flying:
            broken = not self._fill(executor)
            ended = wait(self.flying, LOOK_S, FIRST_COMPLETED).done
            for future in [future for future in self.flying if future in ended]:  # in order: `ended` is a set
                broken |= not self._collect(future)
            if broken:
                for chunk in self.flying.values():  # lost with the others
                    self._lose(chunk)
                self.flying.clear()
                executor = self.workers.reopen()

    def _fill(self, executor: Executor) -> bool:
        """Submit chunks; whether the executor takes them."""
        count = self.workers.count()
        while len(self.flying) < AHEAD * max(1, count) and (chunk := self.chunks.take(count)) is not None:
            task: Callable[[], Outcome[R]] = partial(timed, self.work(chunk))
            try:
                self.flying[self.workers.submit(executor, task)] = chunk
            except self.workers.broken:
                self.chunks.put_back(chunk)
                return False
        return True

    def _collect(self, future: Future[Outcome[R]]) -> bool:
        """Hand on a result; whether the executor still works."""
        chunk = self.flying.pop(future)
        try:
            outcome = future.result()
        except self.workers.broken:
            self._lose(chunk)
            return False
        except self.workers.lost:
            self._lose(chunk)
            return True
        except CancelledError:
            raise BackendError(self.workers.name, "cancelled the work: its scheduler is gone") from None
        self.done(chunk, outcome.result)
        self.chunks.measure(len(chunk), outcome.seconds)
        self.finished += len(chunk)
        self._report()
        return True

    def _lose(self, chunk: range) -> None:
        self.chunks.put_back(chunk)
        self.losses[chunk.start] += 1
        if self.losses[chunk.start] >= MOST_LOSSES:
            raise BackendError(
                self.workers.name,
                f"lost the {self.what} from {chunk.start} on {MOST_LOSSES} times: their workers ended. If it was for "
                "lack of memory, use fewer workers, or record less",
            )

    def _report(self) -> None:
        if self.progress is None:
            return
        self.progress(self.finished, self.total)
        passed = time.monotonic() - self.began
        if self.finished > self.before:
            count = self.workers.count()
            rate = (self.finished - self.before) / passed
            bar.say(f"{rate:,.3g} {self.what}/s, {count} worker{'s' * (count != 1)}")
