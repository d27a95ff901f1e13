"""Commands of other packages: each entry point ``NAME`` of the group ``neurosam.commands`` adds ``neurosam NAME``.

An entry point names a ``typer.Typer``, which becomes a group of commands, or a function, which becomes one command.
A plug-in that cannot be loaded is reported in one line, and the other commands work.
"""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points
from typing import Any

import typer

from neurosam.cli.errors import report_warning

__all__ = ["GROUP", "register"]

GROUP = "neurosam.commands"


def register(app: typer.Typer) -> None:
    """Add the commands of installed packages, in alphabetical order."""
    for point in sorted(entry_points(group=GROUP), key=lambda point: point.name):
        try:
            command = _load(point)
        except Exception as error:
            package = point.dist.name if point.dist else point.module
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            report_warning(f"cannot load the command {point.name!r} of the package {package!r}: {reason}")
            continue
        if isinstance(command, typer.Typer):
            app.add_typer(command, name=point.name)
        else:
            app.command(point.name)(command)


def _load(point: EntryPoint) -> Any:
    command = point.load()
    if not (isinstance(command, typer.Typer) or callable(command)):
        raise TypeError(f"{point.value} is neither a function nor a typer.Typer")
    return command
