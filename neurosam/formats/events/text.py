"""Events in a text table: one line per event, columns separated by commas, semicolons, tabs or spaces.

With a header, the columns are found by their names; what follows an ``@``, as in faery's ``x@640``, is the size of the
sensor. Without a header, they are t, x, y, p, unless told otherwise. Lines that begin with # or % are comments.

faery reads such tables as well, but moves events whose time runs backwards without a word.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from neurosam.errors import FormatError
from neurosam.formats.events.columns import block, columns_of
from neurosam.formats.events.source import BLOCK, Block, Source

__all__ = ["text_file"]

LONGEST_LINE = 1000
WORDS = {"true": "1", "false": "0", "on": "1", "off": "0"}


def text_file(path: Path, columns: str = "") -> Source:
    """Open a table.

    Raises
    ------
    FormatError
        If its first lines are no table.
    """
    where = str(path)
    with path.open(encoding="utf-8", errors="replace") as file:
        lines = [line for _ in range(100) if (line := file.readline(LONGEST_LINE)) and not _is_comment(line)]
    if not lines:
        raise FormatError(where, "holds no events")
    separator = next((mark for mark in ",;\t" if mark in lines[0]), None)
    cells = [cell.strip() for cell in lines[0].split(separator)]
    has_header = not _is_number(cells[0])
    names, sides = cells, {}
    if has_header:
        names = [cell.partition("@")[0] for cell in cells]
        sides = {cell.partition("@")[0]: int(side) for cell in cells if (side := cell.partition("@")[2]).isdecimal()}
    elif len(cells) < 3:
        raise FormatError(where, f"begins with {lines[0].strip()[:60]!r}; t, x, y, p are required in each line")
    found = columns_of(names) if has_header else {name: name for name in columns or "txyp"[: len(cells)]}
    places = {column: (names if has_header else list(found)).index(name) for column, name in found.items()}
    if not {"t", "x"} <= places.keys():
        raise FormatError(where, f"has the columns {', '.join(names)[:100]}; t, x, y and p are required")
    sensor = (sides["x"], sides["y"]) if {"x", "y"} <= sides.keys() else None
    words = re.compile("|".join(WORDS), re.IGNORECASE) if re.search("[a-zA-Z]", lines[-1]) else None

    def blocks() -> Iterator[Block]:
        first = 0
        with path.open(encoding="utf-8", errors="replace") as file:
            rows = (line for line in iter(lambda: file.readline(LONGEST_LINE), "") if not _is_comment(line))
            for _ in islice(rows, int(has_header)):
                pass
            while part := list(islice(rows, BLOCK)):
                if words is not None:
                    part = [words.sub(lambda match: WORDS[match[0].lower()], line) for line in part]
                try:
                    table = np.loadtxt(part, np.float64, delimiter=separator, usecols=list(places.values()), ndmin=2)
                except (ValueError, IndexError, OverflowError) as error:
                    reason = str(error).split(";")[0]
                    raise FormatError(where, f"is no table of numbers after event {first} ({reason})") from None
                fields = {name: table[:, i] for i, name in enumerate(places)}
                if (fields["t"] == np.floor(fields["t"])).all() and np.abs(fields["t"]).max(initial=0) < 2**53:
                    fields["t"] = fields["t"].astype(np.int64)
                yield block(where, fields, first)
                first += len(part)

    return Source(where, blocks, sensor=sensor)


def _is_comment(line: str) -> bool:
    return not line.strip() or line.lstrip()[0] in "#%"


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
