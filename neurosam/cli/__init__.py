"""The command line ``neurosam COMMAND``: commands.py lists the commands, errors.py reports what goes wrong.

Exit status 0: success; 1: `verify` or `check` found a difference; 2: a user error, reported in a sentence or two
without a traceback; 130: interrupted, 143: terminated (finished results are kept). Nothing is imported before
:func:`main` runs, so that Ctrl-C prints a single line from the very start.
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
        from neurosam.cli import interrupt
        from neurosam.errors import RangeWarning

        interrupt.watch()
        warnings.simplefilter("ignore", RangeWarning)  # commands say it themselves
        try:
            from neurosam.cli.commands import app

            app()
        finally:
            interrupt.end()
    except KeyboardInterrupt as interruption:  # during imports; once a command runs, errors.py reports it
        terminated = type(interruption).__name__ == "Terminated"  # interrupt.py may not have been imported
        sys.stderr.write(f"neurosam: {'terminated' if terminated else 'interrupted'}\n")
        sys.exit(143 if terminated else 130)


def __getattr__(name: str) -> Any:
    if name == "app":
        from neurosam.cli.commands import app

        return app
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
