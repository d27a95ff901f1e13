"""How objects show themselves: a line, a few lines, or in a notebook a table with pictures.

What a person sees in a prompt is short, whatever the size of the arrays. Pictures are the report's business, which
imports the classes that it draws; :func:`to_html` and :func:`plots` therefore call it by name (as saving.py does).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import MISSING, fields
from importlib import import_module
from typing import Any

import numpy as np

__all__ = ["LOOKED_THROUGH", "array_text", "field_texts", "one_line", "plots", "some_lines", "to_html"]

MOST_LINES = 24
LOOKED_THROUGH = 2**24
"""Most items of an array whose range is worked out for a line of text."""


def array_text(array: Any) -> str:
    """Shape, dtype and range of an array in a few words; a scalar as its value; of a large one no range."""
    values = array if isinstance(array, np.ndarray) else np.asarray(array)
    if values.ndim == 0:
        return f"{values.item():g}" if values.dtype.kind == "f" else str(values.item())
    form = "x".join(map(str, values.shape))
    if not 0 < values.size <= LOOKED_THROUGH or values.dtype.kind not in "biuf":
        return f"{form} {values.dtype}"
    low, high = (f"{limit:.4g}" if values.dtype.kind == "f" else str(limit) for limit in (values.min(), values.max()))
    return f"{form} {values.dtype} {low}" if low == high else f"{form} {values.dtype} {low}..{high}"


def field_texts(value: Any, hide: Iterable[str] = ()) -> dict[str, str]:
    """The fields of a dataclass that are not at their default, each as a short text."""
    found: dict[str, str] = {}
    for item in fields(value):
        field = getattr(value, item.name)
        default = item.default if item.default is not MISSING else MISSING
        if item.name in hide or (default is not MISSING and _same(field, default)):
            continue
        found[item.name] = array_text(field) if isinstance(field, (np.ndarray, np.generic)) else repr(field)
    return found


def one_line(value: Any, hide: Iterable[str] = ()) -> str:
    """``Name(field=..., field=...)``, for the ``__repr__`` of a dataclass that may hold arrays."""
    listed = ", ".join(f"{name}={text}" for name, text in field_texts(value, hide).items())
    return f"{type(value).__name__}({listed})"


def some_lines(head: str, lines: Iterable[str]) -> str:
    """A heading and indented lines, of which the middle is left out if there are many."""
    rest = list(lines)
    if len(rest) > MOST_LINES:
        half = MOST_LINES // 2
        rest = [*rest[:half], f"... {len(rest) - 2 * half} more ...", *rest[-half:]]
    return "\n  ".join([head, *rest])


def to_html(value: object) -> str:
    """What a notebook shows; see :mod:`neurosam.report.notebook`."""
    text: str = import_module("neurosam.report.notebook").html_of(value)
    return text


def plots(value: object) -> Any:
    """The pictures of a recording; see :class:`neurosam.report.plots.Plots`."""
    return import_module("neurosam.report.plots").Plots(value)


def _same(field: Any, default: Any) -> bool:
    """Whether a field has its default; one number stands for a pair of equal ones."""
    if isinstance(field, tuple) and isinstance(default, (int, float)):
        return set(field) == {default}
    try:
        return bool(np.array_equal(field, default)) if field is not None and default is not None else field is default
    except (TypeError, ValueError):
        return False
