"""Commands of other packages: each entry point ``NAME`` of the group ``neurosam.commands`` adds ``neurosam NAME``.

An entry point names a ``typer.Typer``, which becomes a group of commands, or a function, which becomes one command.
A plug-in that cannot be loaded, or has the name of another command, is reported in one line, and the others work.
"""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points
from typing import Any

import typer
from typer.main import get_command

from neurosam.cli.errors import report_warning

__all__ = ["GROUP", "register"]

GROUP = "neurosam.commands"
BROKEN = (Exception, SystemExit)
"""What importing others' code may raise; Ctrl-C is not among them."""


def register(app: typer.Typer) -> None:
    """Add the commands of installed packages, in alphabetical order."""
    taken = {info.name or getattr(info.callback, "__name__", "") for info in app.registered_commands}
    for point in sorted(entry_points(group=GROUP), key=lambda point: point.name):
        try:
            if point.name in taken:
                raise ValueError("neurosam has a command of this name")
            command = _load(point)
        except BROKEN as error:
            report_warning(
                f"cannot load the command {point.name!r} of the package {_package(point)!r}: {_reason(error)}"
            )
            continue
        taken.add(point.name)
        if isinstance(command, typer.Typer):
            app.add_typer(command, name=point.name)
        else:
            app.command(point.name)(command)


def _load(point: EntryPoint) -> Any:
    """The function or group of an entry point, built once, since an option of an impossible type shows only then."""
    command = point.load()
    if isinstance(command, typer.Typer):
        get_command(command)
    elif callable(command):
        alone = typer.Typer()
        alone.command()(command)
        get_command(alone)
    else:
        raise TypeError(f"{point.value} is neither a function nor a typer.Typer")
    return command


def _package(point: EntryPoint) -> str:
    try:
        return str(point.dist.name if point.dist else point.module)
    except BROKEN:  # a package without metadata, or a value that names no module
        return "unknown"


def _reason(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())
