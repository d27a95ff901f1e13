"""Back ends: what they promise (:class:`Backend`), how they are found, and :func:`run`, the one way to start one.

A back end is a class named in the entry-point group ``neurosam.backends`` and imported only when asked for. It takes
a request that :func:`run` has already checked, and returns a :class:`~neurosam.signals.recording.Recording` in each
population's own time.
"""

from neurosam.backends.protocol import Backend, Options
from neurosam.backends.registry import available_backends, load_backend, run

__all__ = ["Backend", "Options", "available_backends", "load_backend", "run"]
