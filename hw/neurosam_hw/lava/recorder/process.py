"""Recorder: writes the messages of a port to a file; a row each step. It computes nothing."""

from __future__ import annotations

from typing import Any

from lava.magma.core.process.ports.ports import InPort
from lava.magma.core.process.process import AbstractProcess

__all__ = ["Recorder"]


class Recorder(AbstractProcess):
    """An instrument: Var.get takes tens of microseconds an element, a mapped file none.

    Parameters
    ----------
    shape : tuple of int
        Of a message.
    path : str
        A NumPy file ``(steps, *shape)`` that exists; steps beyond its end are not kept.
    name : str, optional
    """

    def __init__(self, *, shape: tuple[int, ...], path: str, name: str | None = None) -> None:
        super().__init__(shape=shape, path=path, name=name)
        self.a_in: Any = InPort(shape=shape)
