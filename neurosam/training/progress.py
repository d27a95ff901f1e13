"""Progress reports of a training run: a bar, and a callback per epoch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from neurosam._util.progress import Tick, progress, say, task
from neurosam.training.history import Epoch

__all__ = ["Reporter", "reporter"]


class Reporter:
    """Is notified of the progress of a run."""

    def __init__(self, tick: Tick | None, batches: int, done: int, function: Callable[[Epoch], object] | None) -> None:
        self._tick, self._batches, self._done, self._function = tick, batches, done, function
        self._accuracy = ""

    def batch(self, loss: float) -> None:
        """A batch is finished."""
        self._done += 1
        if self._tick is not None:
            self._tick(self._done, self._batches)
            say(f"loss {loss:.3f}{self._accuracy}")

    def epoch(self, epoch: Epoch) -> None:
        """An epoch is finished, including its checkpoint."""
        self._accuracy = f", test accuracy {epoch.test_accuracy:.1%} after epoch {epoch.number}"
        if self._tick is not None:
            say(f"loss {epoch.loss:.3f}{self._accuracy}")
        if self._function is not None:
            self._function(epoch)


@contextmanager
def reporter(wanted: bool | Callable[[Epoch], object], batches: int, done: int) -> Iterator[Reporter]:
    """The reporter for the argument `progress` of a training run.

    Parameters
    ----------
    wanted : bool or callable
        True for a bar; False for one only within ``ns.progress()``; or a function to be called with each epoch as well.
    batches, done : int
        Batches of the whole run, and those already done before a checkpoint.

    Yields
    ------
    Reporter
    """
    with ExitStack() as stack:
        if wanted is True:
            stack.enter_context(progress())
        tick = stack.enter_context(task("training"))
        yield Reporter(tick, batches, done, wanted if callable(wanted) else None)
