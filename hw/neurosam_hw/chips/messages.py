"""Parts of messages about files that people write: what was got, at a bounded length, and what was meant perhaps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any

from neurosam.errors import NeurosamError

__all__ = ["nearest", "only", "short"]


def nearest(name: str, names: Iterable[str]) -> str:
    """A question for the end of a message, if one of the names is close."""
    found = get_close_matches(name, names, n=1)
    return f"; did you mean {found[0]!r}" if found else ""


def only(where: str, table: Mapping[str, Any], allowed: tuple[str, ...], error: type[NeurosamError]) -> None:
    """Refuse keys that mean nothing here."""
    for key in table:
        if key not in allowed:
            raise error(
                where, f"has the unknown key {short(key)}{nearest(key, allowed)}; allowed are {', '.join(allowed)}"
            )


def short(value: Any) -> str:
    """A value of a stranger's file, at a length that fits a message."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # an integer of thousands of digits, or tables and lists without end
        return "a value that is too large to print"
    return text if len(text) <= 60 else f"{text[:57]}..."
