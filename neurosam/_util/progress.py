"""How far a long computation is: ``with ns.progress():`` around it shows a bar in a terminal or a notebook.

A function that takes long opens a :func:`task` and calls what it gives with (done, all). That is the function that its
caller passed as ``progress=``, or a bar within :func:`progress`, or else nothing. Of nested tasks only the outermost is
shown. In a terminal, rich draws the bar on standard error. In a notebook it is a line of HTML, replaced in place and
removed at the end, which needs no widgets. Elsewhere (a pipe, a file) nothing is written.
"""

from __future__ import annotations

import html
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from inspect import signature
from typing import Any, ParamSpec, Protocol, TypeVar

__all__ = ["Tick", "progress", "reported", "say", "task"]

P = ParamSpec("P")
R = TypeVar("R")

Tick = Callable[[int, int], None]
"""Called with what is done and all that is to be done."""

INTERVAL_S = 0.1
"""Shortest time between two pictures in a notebook."""


class _Display(Protocol):
    """Where bars are drawn, one at a time."""

    def begin(self, title: str) -> None: ...

    def show(self, done: int, total: int) -> None: ...

    def say(self, text: str) -> None: ...

    def end(self) -> None: ...

    def close(self) -> None: ...


_display: ContextVar[_Display | None] = ContextVar("display", default=None)
_busy: ContextVar[bool] = ContextVar("busy", default=False)


@contextmanager
def progress() -> Iterator[None]:
    """Show how far the long functions that are called inside are, in a terminal or a notebook.

    Trainings, runs, comparisons, searches and reports draw a bar; it says so while the event back end compiles
    kernels. A function that is given a ``progress=`` of its own calls that instead. The bar is gone afterwards.

    Examples
    --------
    >>> net = ns.Network(
    ...     [ns.Population("in", (2,)), ns.Population("out", (1,), ns.LIF(leak=0.5, threshold=1.0))],
    ...     [ns.Projection("in", "out", ns.Dense(np.array([[0.75, 0.5]])))],
    ... )
    >>> with ns.progress():
    ...     recording = ns.run(net, ns.Events.from_dense(np.ones((6, 100, 2))))
    >>> recording.samples
    100
    """
    display = None if _display.get() is not None else _open()
    if display is None:  # nowhere to draw, or inside another one
        yield
        return
    token = _display.set(display)
    try:
        yield
    finally:
        _display.reset(token)
        display.close()


@contextmanager
def task(title: str, given: Tick | None = None) -> Iterator[Tick | None]:
    """Open a part of the work that takes long.

    Parameters
    ----------
    title : str
        What is being done, in a word or two.
    given : callable, optional
        The caller's own function.

    Yields
    ------
    callable or None
        To be called with (done, all), by any thread; None if nobody wants to know.
    """
    display = None if given is not None or _busy.get() else _display.get()
    token = _busy.set(True)
    try:
        if display is None:
            yield given
        else:
            display.begin(title)
            yield display.show
    finally:
        _busy.reset(token)
        if display is not None:
            display.end()


def reported(title: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Make a function with a parameter ``progress`` a task, whose callback it is given."""

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        form = signature(function)

        @wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            bound = form.bind(*args, **kwargs)
            with task(title, bound.arguments.get("progress")) as tick:
                bound.arguments["progress"] = tick
                return function(*bound.args, **bound.kwargs)

        return call

    return decorate


def say(text: str) -> None:
    """Add a few words to the bar's title, in place of earlier ones; nothing without a bar."""
    if (display := _display.get()) is not None:
        display.say(text)


def _open() -> _Display | None:
    """The display of this process's surroundings; None where there is none."""
    if (shell := _shell()) is not None:
        return _Notebook(shell)
    from rich.console import Console

    console = Console(stderr=True)
    return _Terminal(console) if console.is_terminal else None


def _shell() -> Any:
    """The shell of a notebook's kernel, which shows HTML; None in a terminal, IPython's own included."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return shell if shell is not None and getattr(shell, "kernel", None) is not None else None


class _Terminal:
    """A bar on standard error."""

    def __init__(self, console: Any) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        title = TextColumn("{task.description}", markup=False)
        self._bar = Progress(
            title, BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=console, transient=True
        )
        self._title = ""
        self._task: Any = None  # the number that rich gave it

    def begin(self, title: str) -> None:
        self._title, self._task = title, self._bar.add_task(title, total=None)
        self._bar.start()

    def show(self, done: int, total: int) -> None:
        self._bar.update(self._task, completed=done, total=total)

    def say(self, text: str) -> None:
        if self._task is not None:
            self._bar.update(self._task, description=_titled(self._title, text))

    def end(self) -> None:
        self._bar.refresh()  # so that short tasks are seen at all
        self._bar.remove_task(self._task)
        self._task = None

    def close(self) -> None:
        self._bar.stop()


class _Notebook:
    """A line of HTML in the output of a cell."""

    def __init__(self, shell: Any) -> None:
        self._publish, self._name = shell.display_pub.publish, uuid.uuid4().hex
        self._title, self._text, self._done, self._total = "", "", 0, 0
        self._began = self._drawn = 0.0

    def begin(self, title: str) -> None:
        self._title, self._text, self._done, self._total = title, "", 0, 0
        self._began = time.monotonic()
        self._draw()

    def show(self, done: int, total: int) -> None:
        self._done, self._total = done, total
        if done == total or time.monotonic() - self._drawn >= INTERVAL_S:
            self._draw()

    def say(self, text: str) -> None:
        if text != self._text:
            self._text = text
            self._draw()

    def end(self) -> None:
        self._title = self._text = ""

    def close(self) -> None:
        if self._drawn:
            self._put("", "")

    def _draw(self) -> None:
        title = _titled(self._title, self._text)
        if not self._total:
            return self._put(title, f"{html.escape(title)} <progress></progress>")
        passed = time.monotonic() - self._began
        left = f", {passed / self._done * (self._total - self._done):.0f} s left" if self._done else ""
        count = f"{self._done:,} of {self._total:,}"
        bar = f"<progress value='{self._done}' max='{self._total}'></progress>"
        return self._put(f"{title} {count}", f"{html.escape(title)} {bar} {count}{left}")

    def _put(self, text: str, line: str) -> None:
        """Show a line in place of the one before."""
        self._publish(
            {"text/plain": text, "text/html": f"<div>{line}</div>" if line else ""},
            transient={"display_id": self._name}, update=bool(self._drawn),
        )  # fmt: skip
        self._drawn = time.monotonic()


def _titled(title: str, text: str) -> str:
    return f"{title}: {text}" if title and text else title or text
