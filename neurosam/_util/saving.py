"""How a value saves itself: the one place where a lower layer calls a higher one, by name.

``Network.save``, ``Recording.save`` and the like are conveniences for :mod:`neurosam.hdf5`, which imports the
classes that it stores; an import in the other direction would close a circle.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

__all__ = ["save"]


def save(value: object, path: str | Path) -> None:
    """Write a network, recording, events or state to a file, atomically; see :func:`neurosam.hdf5.files.save`."""
    import_module("neurosam.hdf5.files").save(value, path)
