"""Probe: writes a state variable of another Process to a file after every step. It computes nothing."""

from __future__ import annotations

from typing import Any

from lava.magma.core.process.ports.ports import RefPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.process.variable import Var

__all__ = ["Probe"]


class Probe(AbstractProcess):
    """An instrument beside Lava's Read, whose content would have to be fetched element by element.

    Parameters
    ----------
    var : Var
        What to read.
    path : str
        A NumPy file ``(steps, *var.shape)`` that exists; steps beyond its end are not kept.
    name : str, optional
    """

    def __init__(self, *, var: Var, path: str, name: str | None = None) -> None:
        super().__init__(path=path, name=name)
        self.state: Any = RefPort(var.shape)
        self._post_init()  # names the port, which connect_var asks for
        self.state.connect_var(var)
