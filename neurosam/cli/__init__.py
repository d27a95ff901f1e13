"""The command line ``neurosam COMMAND``: commands.py lists the commands, errors.py reports what goes wrong.

The exit statuses are in errors.py. Nothing is imported before :func:`main` runs, so that Ctrl-C prints a single line
from the very start.
"""

from __future__ import annotations

import os
import sys
import warnings
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from neurosam.cli.commands import app

__all__ = ["app", "main"]


def main() -> None:
    """Run the command line; the entry point of ``neurosam``."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # keeps torch's idle threads from spinning on a busy machine
    try:
        _open_streams()
        from neurosam.cli import interrupt

        interrupt.watch()
        try:
            status = _run()
        finally:
            interrupt.end()
    except KeyboardInterrupt as interruption:  # outside of a command, which reports it itself
        terminated = type(interruption).__name__ == "Terminated"  # interrupt.py may not have been imported
        sys.stderr.write(f"neurosam: {'terminated' if terminated else 'interrupted'}\n")
        status = 143 if terminated else 130
    sys.exit(status)


def _run() -> Any:
    """Run the command, and write what is left to write; returns the exit status."""
    from neurosam.cli.errors import behind, discard_output, report
    from neurosam.errors import RangeWarning

    warnings.simplefilter("ignore", RangeWarning)  # commands say it themselves
    try:
        from neurosam.cli.commands import app

        app()
    except SystemExit as done:
        error = behind(done)
        status = done.code if error is None else report(error)
    except Exception as error:
        status = report(error)
    try:
        sys.stdout.flush()
    except OSError as error:
        status = report(error)
        discard_output()  # else Python fails once more when it closes it
    return status


def _open_streams() -> None:
    """Let standard streams that were closed lead to nothing, before a file that is opened gets their number."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free
    if sys.stdout is None:
        sys.stdout = open(1, "w")  # noqa: SIM115 - it stays open
    if sys.stderr is None:
        sys.stderr = open(2, "w")  # noqa: SIM115


def __getattr__(name: str) -> Any:
    if name == "app":
        from neurosam.cli.commands import app

        return app
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
