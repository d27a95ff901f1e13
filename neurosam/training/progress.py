"""Progress reports of a training run: none, a progress bar on a terminal, or a callback per epoch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from neurosam.training.history import Epoch

if TYPE_CHECKING:
    from rich.progress import Progress

__all__ = ["Reporter", "reporter"]


class Reporter(ABC):
    """Is notified of the progress of a run."""

    @abstractmethod
    def batch(self, loss: float) -> None:
        """A batch is finished."""

    @abstractmethod
    def epoch(self, epoch: Epoch) -> None:
        """An epoch is finished, including its checkpoint."""


@contextmanager
def reporter(progress: bool | Callable[[Epoch], object], batches: int, done: int) -> Iterator[Reporter]:
    """The reporter for the argument `progress` of a training run.

    Parameters
    ----------
    progress : bool or callable
        True for a progress bar on standard error if that is a terminal; False for none; or a function to be called with
        each epoch.
    batches, done : int
        Batches of the whole run, and those already done before a checkpoint.

    Yields
    ------
    Reporter
    """
    if callable(progress):
        yield _Call(progress)
        return
    if progress:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        console = Console(stderr=True)
        if console.is_terminal:
            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
            with Progress(*columns, console=console, transient=True) as bar:
                yield _Bar(bar, batches, done)
            return
    yield _Quiet()


class _Quiet(Reporter):
    def batch(self, loss: float) -> None:
        pass

    def epoch(self, epoch: Epoch) -> None:
        pass


class _Call(_Quiet):
    def __init__(self, function: Callable[[Epoch], object]) -> None:
        self._function = function

    def epoch(self, epoch: Epoch) -> None:
        self._function(epoch)


class _Bar(Reporter):
    def __init__(self, bar: Progress, batches: int, done: int) -> None:
        self._bar = bar
        self._task = bar.add_task("training", total=batches, completed=done)
        self._accuracy = ""

    def batch(self, loss: float) -> None:
        self._bar.update(self._task, advance=1, description=f"training: loss {loss:.3f}{self._accuracy}")

    def epoch(self, epoch: Epoch) -> None:
        self._accuracy = f", test accuracy {epoch.test_accuracy:.1%} after epoch {epoch.number}"
