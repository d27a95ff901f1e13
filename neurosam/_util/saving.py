"""How a value saves itself: the one place where a lower room asks a higher one, by name.

``Network.save`` and ``Recording.save`` are conveniences for :mod:`neurosam.hdf5`, which imports the classes that it
stores; an import the other way round would close a circle.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

__all__ = ["save"]


def save(value: object, path: str | Path) -> None:
    """Write a network, recording or events to a file, atomically; see :func:`neurosam.hdf5.files.save`."""
    import_module("neurosam.hdf5.files").save(value, path)
