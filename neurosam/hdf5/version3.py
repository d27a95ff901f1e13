"""What version 3 of the format had otherwise: all that is needed to read its files.

Version 4 added the digest of the content to the root, and the first step of a part of a run. A version-3 recording that
has one is refused by name.
"""

from __future__ import annotations

from collections.abc import Mapping

from neurosam.hdf5.fields import Field
from neurosam.signals.recording import Recording

__all__ = ["HEADER", "version_3"]

HEADER = frozenset({"format", "version", "producer"})
"""Attributes of the root that identify the file, in versions 1 to 3."""

NEW_FIELDS: Mapping[type, frozenset[str]] = {Recording: frozenset({"first_step"})}


def version_3(records: Mapping[type, Mapping[str, Field]]) -> dict[type, dict[str, Field]]:
    """The records of version 3, from those of version 4."""
    return {
        kind: {name: field for name, field in fields.items() if name not in NEW_FIELDS.get(kind, ())}
        for kind, fields in records.items()
    }
