"""Turn errors into a line on standard error and an exit status."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

import typer
from rich.console import Console
from rich.text import Text

from neurosam._util.untrusted import printable
from neurosam.cli.interrupt import Terminated
from neurosam.errors import NeurosamError

__all__ = ["USER_ERROR", "report_errors", "report_warning"]

USER_ERROR, INTERRUPTED, TERMINATED = 2, 130, 143


def report_warning(message: str) -> None:
    """Print a warning on standard error."""
    _print(f"warning: {message}")


@contextmanager
def report_errors() -> Iterator[None]:
    """Report user errors, a full disk, lack of memory, Ctrl-C and SIGTERM as a message without a traceback.

    Any other exception is a defect of neurosam and keeps its traceback.
    """
    try:
        yield
    except NeurosamError as error:
        _print(str(error))
        raise typer.Exit(USER_ERROR) from None
    except KeyboardInterrupt as interruption:
        what, status = (
            ("terminated", TERMINATED) if isinstance(interruption, Terminated) else ("interrupted", INTERRUPTED)
        )
        _print(f"{what}; {str(interruption) or 'no file was left half-written'}")
        raise typer.Exit(status) from None
    except MemoryError:
        _print("out of memory; give fewer --samples or --steps, or record less")
        raise typer.Exit(USER_ERROR) from None
    except ModuleNotFoundError as error:
        if (error.name or "neurosam").startswith("neurosam"):
            raise
        _print(f"needs the package {error.name!r}, which is not installed: pip install 'neurosam[demo]' has them all")
        raise typer.Exit(USER_ERROR) from None
    except OSError as error:
        if error.errno is None or error.errno == errno.EPIPE:  # the reader of a pipe is gone: typer exits silently
            raise
        _print(f"{error.filename}: {error.strerror}" if error.filename else str(error.strerror))
        raise typer.Exit(USER_ERROR) from None


def _print(message: str) -> None:
    """Print a message on standard error, without wrapping it."""
    line = Text("neurosam: ", style="bold red", end="")
    line.append(printable(message), style="not bold default")
    Console(stderr=True, soft_wrap=True).print(line, highlight=False)
