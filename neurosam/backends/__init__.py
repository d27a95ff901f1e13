"""Back ends: their protocol (:class:`Backend`, :class:`Streaming`), how they are found, and :func:`run`."""

from neurosam.backends.protocol import Backend, Options, Running, Sessions, Streaming
from neurosam.backends.registry import available_backends, load_backend, run

__all__ = ["Backend", "Options", "Running", "Sessions", "Streaming", "available_backends", "load_backend", "run"]
