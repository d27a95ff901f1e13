"""What version 3 of the format had otherwise: all that is needed to read its files.

Version 4 added the digest of the content to the root. What a version-3 file holds is otherwise the same.
"""

from __future__ import annotations

__all__ = ["HEADER"]

HEADER = frozenset({"format", "version", "producer"})
"""Attributes of the root that identify the file, in versions 1 to 3."""
