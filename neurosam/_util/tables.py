"""Tables for a terminal whose cells come from files: no markup is read in them, no control character gets out."""

from __future__ import annotations

from typing import Any

from rich.table import Table
from rich.text import Text

from neurosam._util.untrusted import printable

__all__ = ["PlainTable"]


class PlainTable(Table):
    r"""A table of which every text is shown as it is, with control characters as escapes.

    Examples
    --------
    >>> from neurosam._util.tables import PlainTable
    >>> table = PlainTable(title="a [bold]title[/bold]")
    >>> table.add_column("name\x1b[2J")
    >>> str(table.columns[0].header), str(table.title)
    ('name\\x1b[2J', 'a [bold]title[/bold]')
    """

    def __init__(self, title: str, caption: str = "", caption_style: str = "table.caption", **options: Any) -> None:
        note = _plain(caption, caption_style) if caption else None
        super().__init__(title=_plain(title, options.pop("title_style", "table.title")), caption=note, **options)

    def add_column(self, header: Any = "", *arguments: Any, **options: Any) -> None:
        """As of rich's table."""
        super().add_column(_plain(header), *arguments, **options)

    def add_row(self, *cells: Any, **options: Any) -> None:
        """As of rich's table; cells are texts or numbers."""
        super().add_row(*map(_plain, cells), **options)


def _plain(value: object, style: str = "") -> Text:
    return Text(printable(str(value)), style=style)
