"""The reference back end: a network in torch, on a CPU or a GPU, exact in integers."""

from neurosam.backends.reference.backend import ReferenceBackend

__all__ = ["ReferenceBackend"]
