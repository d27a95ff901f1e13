"""The command line ``neurosam COMMAND``: commands in commands.py, one module a group of them, mistakes in errors.py.

Exit status 0: done; 1: `verify` found a difference; 2: a mistake of the user, said in a sentence or two, no traceback;
130: interrupted (what was finished is kept). Nothing is imported before :func:`main` runs, so that an interruption
ends in one line from the first moment on.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from neurosam.cli.commands import app

__all__ = ["app", "main"]


def main() -> None:
    """Run the command line; the entry point of ``neurosam``."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # torch's threads wait without spinning on a busy machine
    try:
        from neurosam.cli import interrupt

        interrupt.watch()
        try:
            from neurosam.cli.commands import app

            app()
        finally:
            interrupt.end()
    except KeyboardInterrupt:  # while modules are imported; later ones are told by errors.py
        sys.stderr.write("neurosam: interrupted\n")
        sys.exit(130)


def __getattr__(name: str) -> Any:
    if name == "app":
        from neurosam.cli.commands import app

        return app
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
