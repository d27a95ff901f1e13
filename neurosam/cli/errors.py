"""Turn errors into a line on standard error and an exit status.

0 success; 1 the command's answer is no: a difference, cores that would hold too much, a Lava that does not work; 2 a
user error; 70 a defect of neurosam (EX_SOFTWARE of sysexits.h); 130 interrupted; 141 the reader of a pipe is gone; 143
terminated. So 1 is never the end of a command that could not do its work.
"""

from __future__ import annotations

import errno
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import typer
from rich.console import Console
from rich.text import Text

from neurosam._util.memory import is_out_of_memory
from neurosam._util.untrusted import printable
from neurosam.cli.interrupt import Terminated
from neurosam.errors import NeurosamError

__all__ = ["DEFECT", "PIPE", "USER_ERROR", "behind", "discard_output", "report", "report_errors", "report_warning"]

USER_ERROR, DEFECT, INTERRUPTED, PIPE, TERMINATED = 2, 70, 130, 141, 143
SHOWN = 200
"""Characters of a defect's own words; the traceback has all of them."""


def report_warning(message: str) -> None:
    """Print a warning on standard error."""
    _print(f"warning: {message}")


@contextmanager
def report_errors() -> Iterator[None]:
    """Turn what a command raises into a message and an exit status; what the command line itself raises passes."""
    try:
        yield
    except BaseException as error:
        if isinstance(error, (typer.Abort, SystemExit, GeneratorExit)) or hasattr(error, "exit_code"):
            raise
        raise typer.Exit(report(error)) from None


def report(error: BaseException) -> int:
    """Report an error; returns the exit status. A defect has its traceback before the line."""
    if isinstance(error, KeyboardInterrupt):
        terminated = isinstance(error, Terminated)
        _print(f"{'terminated' if terminated else 'interrupted'}; {str(error) or 'no file was left half-written'}")
        return TERMINATED if terminated else INTERRUPTED
    if isinstance(error, OSError) and error.errno == errno.EPIPE:
        discard_output()
        return PIPE
    if message := _mistake(error):
        _print(message)
        return USER_ERROR
    with suppress(OSError, ValueError):
        traceback.print_exception(error)
    said = " ".join(f"{type(error).__name__}: {error}".split())[:SHOWN]
    _print(f"a defect of neurosam ({said}); its traceback is above, please report it")
    return DEFECT


def behind(exit_: SystemExit) -> BaseException | None:
    """The signal, or the pipe without a reader, that typer or Rich turned into an exit of their own."""
    context = exit_.__context__
    if isinstance(context, OSError) and context.errno == errno.EPIPE:
        return context
    cause = None if context is None else context.__cause__
    return cause if isinstance(cause, KeyboardInterrupt) else None


def discard_output() -> None:
    """Let what is still to be written vanish, since nobody reads it."""
    with suppress(OSError, ValueError):  # a stream that is no file
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _mistake(error: BaseException) -> str:
    """What a user can mend: wrong arguments and files, lack of memory, a full disk, a missing package; "" otherwise."""
    if isinstance(error, NeurosamError):
        return str(error)
    if is_out_of_memory(error):
        return "out of memory; give fewer --samples or --steps, or record less"
    if isinstance(error, ModuleNotFoundError) and not (error.name or "neurosam").startswith("neurosam"):
        return f"needs the package {error.name!r}, which is not installed: pip install 'neurosam[demo]' has them all"
    if isinstance(error, OSError) and error.errno is not None:
        return f"{error.filename}: {error.strerror}" if error.filename else str(error.strerror)
    return ""


def _print(message: str) -> None:
    """Print a message on standard error, without wrapping it."""
    line = Text("neurosam: ", style="bold red", end="")
    line.append(printable(message), style="not bold default")
    with suppress(SystemExit):  # Rich leaves when nobody reads it; the exit status says enough
        Console(stderr=True, soft_wrap=True).print(line, highlight=False)
