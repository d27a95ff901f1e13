"""Who works: what :func:`~neurosam.sweep.execution.execute` needs to know of an executor.

An executor of the caller is used as it is, and left open. Processes of this machine are in pool.py, those of a Dask
cluster in cluster.py.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Executor, Future
from typing import TypeVar

from neurosam.errors import BackendError

__all__ = ["Workers"]

T = TypeVar("T")


class Workers:
    """An executor of the caller.

    Parameters
    ----------
    executor : concurrent.futures.Executor
    count : int
        Its workers; found out if None.

    Attributes
    ----------
    name : str
        For messages.
    broken : tuple of exception types
        What says that the executor takes no more work.
    lost : tuple of exception types
        What says that a worker has taken a task with it, while the others go on.
    """

    name = "the executor"
    broken: tuple[type[BaseException], ...] = (BrokenExecutor,)
    lost: tuple[type[BaseException], ...] = ()

    def __init__(self, executor: Executor, count: int | None = None) -> None:
        self._executor = executor
        self._count = count or getattr(executor, "_max_workers", None) or 1

    def open(self) -> Executor:
        """An executor that takes work."""
        return self._executor

    def reopen(self) -> Executor:
        """Another one, in place of one that is broken."""
        raise BackendError(self.name, "is broken: a worker has ended. What is finished is kept; give another executor")

    def count(self) -> int:
        """How many tasks are done at the same time; it may change."""
        return self._count

    def submit(self, executor: Executor, task: Callable[[], T]) -> Future[T]:
        """Hand over a task."""
        return executor.submit(task)

    def close(self) -> None:
        """All is done."""

    def abort(self) -> None:
        """End at once, and leave nothing."""
