"""Errors of the machines; like all of neurosam's, a message says where, what was got, what is allowed, what to do."""

from __future__ import annotations

from neurosam.errors import NeurosamError

__all__ = ["MappingError"]


class MappingError(NeurosamError):
    """A mapping that is incomplete or contradicts itself, or a network that no chip can hold as it is."""
