"""Recorder: writes the messages of a port to a file, one row per step. It computes nothing."""

from __future__ import annotations

from typing import Any

from lava.magma.core.process.ports.ports import InPort
from lava.magma.core.process.process import AbstractProcess

__all__ = ["Recorder"]


class Recorder(AbstractProcess):
    """An instrument that writes to a memory-mapped file; Var.get would take tens of microseconds per element.

    Parameters
    ----------
    shape : tuple of int
        Shape of a message.
    path : str
        An existing NumPy file ``(steps, *shape)``; steps beyond its end are not recorded.
    name : str, optional
    """

    def __init__(self, *, shape: tuple[int, ...], path: str, name: str | None = None) -> None:
        super().__init__(shape=shape, path=path, name=name)
        self.a_in: Any = InPort(shape=shape)
