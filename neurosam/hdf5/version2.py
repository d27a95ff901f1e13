"""What version 2 of the format had otherwise: all that is needed to read its files.

Version 3 added the pool of a population. A version-2 file has none, and is refused by name if it does.
"""

from __future__ import annotations

from collections.abc import Mapping

from neurosam.hdf5.fields import Field
from neurosam.network.elements import Population
from neurosam.network.synapse import MaxPool2d

__all__ = ["version_2"]

NEW_TYPES = frozenset({MaxPool2d})

NEW_FIELDS: Mapping[type, frozenset[str]] = {Population: frozenset({"pool"})}


def version_2(records: Mapping[type, Mapping[str, Field]]) -> dict[type, dict[str, Field]]:
    """The records of version 2, from those of version 3."""
    return {
        kind: {name: field for name, field in fields.items() if name not in NEW_FIELDS.get(kind, ())}
        for kind, fields in records.items()
        if kind not in NEW_TYPES
    }
