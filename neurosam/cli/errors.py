"""What goes wrong becomes a line on standard error and an exit status."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

import typer
from rich.console import Console
from rich.text import Text

from neurosam.errors import NeurosamError

__all__ = ["MISTAKE", "told"]

MISTAKE, INTERRUPTED = 2, 130


@contextmanager
def told() -> Iterator[None]:
    """Around a command: a mistake, a full disk, missing memory or Ctrl-C ends it with a message and without traceback.

    What is left is a defect of neurosam, and keeps its traceback.
    """
    try:
        yield
    except NeurosamError as error:
        _tell(str(error))
        raise typer.Exit(MISTAKE) from None
    except KeyboardInterrupt as interruption:
        _tell(f"interrupted; {interruption}" if str(interruption) else "interrupted; no file was left half-written")
        raise typer.Exit(INTERRUPTED) from None
    except MemoryError:
        _tell("out of memory; give fewer --samples or --steps, or record less")
        raise typer.Exit(MISTAKE) from None
    except ModuleNotFoundError as error:
        if (error.name or "neurosam").startswith("neurosam"):
            raise
        _tell(f"needs the package {error.name!r}, which is not installed: pip install 'neurosam[demo]' has them all")
        raise typer.Exit(MISTAKE) from None
    except OSError as error:
        if error.errno is None or error.errno == errno.EPIPE:  # the reader of a pipe went away: typer ends in silence
            raise
        _tell(f"{error.filename}: {error.strerror}" if error.filename else str(error.strerror))
        raise typer.Exit(MISTAKE) from None


def _tell(message: str) -> None:
    """One paragraph on standard error; never broken into lines where it is not a terminal's affair."""
    line = Text("neurosam: ", style="bold red", end="")
    line.append(message, style="not bold default")
    Console(stderr=True, soft_wrap=True).print(line, highlight=False)
