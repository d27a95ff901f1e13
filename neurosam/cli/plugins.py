"""Commands of other packages: each entry point ``NAME`` of the group ``neurosam.commands`` is ``neurosam NAME``.

An entry point names a ``typer.Typer``, which becomes a group of commands, or a function, which becomes one command.
"""

from __future__ import annotations

from importlib.metadata import entry_points

import typer

__all__ = ["GROUP", "register"]

GROUP = "neurosam.commands"


def register(app: typer.Typer) -> None:
    """Add what installed packages offer, in order of the names."""
    for point in sorted(entry_points(group=GROUP), key=lambda point: point.name):
        offered = point.load()
        if isinstance(offered, typer.Typer):
            app.add_typer(offered, name=point.name)
        else:
            app.command(point.name)(offered)
