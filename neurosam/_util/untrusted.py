"""What comes from files: texts to be shown on a terminal, and all that parsing damaged content can raise."""

from __future__ import annotations

import zipfile
import zlib

__all__ = ["MALFORMED", "MALFORMED_ARCHIVE", "printable"]

MALFORMED = (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError, OverflowError)
"""What reading JSON and taking values out of it raises: deep nesting, numbers out of range, other kinds of fields."""

MALFORMED_ARCHIVE = (
    *MALFORMED, EOFError, OSError, SyntaxError, NotImplementedError, RuntimeError, MemoryError, zipfile.BadZipFile,
    zlib.error,
)  # fmt: skip
"""What NumPy's reader of .npy and .npz raises; SyntaxError is that of a header's text (tokenize)."""


def printable(text: str) -> str:
    r"""A text for a terminal or log: control characters (ESC, C1, directions of writing) as escapes; lines stay lines.

    Examples
    --------
    >>> from neurosam._util.untrusted import printable
    >>> printable("red \x1b[31m text")
    'red \\x1b[31m text'
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in "\n\t" else c.encode("unicode_escape").decode() for c in text)
