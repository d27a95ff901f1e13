"""reference/commands.md, written at each build from the Typer application by Typer's own documentation generator."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import typer
from typer.cli import get_docs_for_click
from typer.main import get_command

from neurosam.cli import app as application

PAGE = "reference/commands.md"


def markdown(text: str) -> str:
    """A help text as Markdown: bold words, and indented lines, which a terminal shows as they are, as a block."""
    text = re.sub(r"\[/?bold\]", "**", text).replace("\b\n", "\n")
    paragraphs = re.split(r"\n\s*\n", text)
    return "\n\n".join(f"```text\n{part.strip(chr(10))}\n```" if part.startswith("  ") else part for part in paragraphs)


def prepare(command: Any) -> None:
    """Rewrite the help of a command and of those below it; its first sentence stands in the list of commands."""
    first = (command.help or "").partition("\n\n")[0]
    command.short_help = " ".join(first.split())
    command.help = markdown(command.help or "")
    for inner in getattr(command, "commands", {}).values():
        prepare(inner)


def page() -> str:
    """The command reference."""
    command = get_command(application)
    prepare(command)
    text = get_docs_for_click(obj=command, ctx=typer.Context(command, info_name="neurosam"), name="neurosam")
    rest = text.partition("\n")[2]
    return f"# Commands\n{rest}"


def write(app: Any) -> None:
    """Write the page where it differs, so that an unchanged one is not read again."""
    path = Path(app.srcdir) / PAGE
    text = page()
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


def setup(app: Any) -> dict[str, bool]:
    """Called by Sphinx."""
    app.connect("builder-inited", write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
