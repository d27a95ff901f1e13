"""Commands of other packages: every ``typer.Typer`` in the entry-point group ``neurosam.commands``, under its name."""

from __future__ import annotations

from importlib.metadata import entry_points

import typer

__all__ = ["GROUP", "register"]

GROUP = "neurosam.commands"


def register(app: typer.Typer) -> None:
    """Add the groups of commands that installed packages offer, in order of their names."""
    for point in sorted(entry_points(group=GROUP), key=lambda point: point.name):
        app.add_typer(point.load(), name=point.name)
