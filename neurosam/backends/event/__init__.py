"""The event back end: a network in Numba kernels, with work proportional to events, exact in Loihi's integers."""

from neurosam.backends.event.backend import EventBackend
from neurosam.backends.event.run import LayerProfile

__all__ = ["EventBackend", "LayerProfile"]
