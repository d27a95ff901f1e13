"""Probe: writes a state variable of another Process to a file after every step. It computes nothing."""

from __future__ import annotations

from typing import Any

from lava.magma.core.process.ports.ports import RefPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.process.variable import Var

__all__ = ["Probe"]


class Probe(AbstractProcess):
    """An instrument that replaces Lava's Read, whose content would have to be fetched element by element.

    Parameters
    ----------
    var : Var
        Variable to read.
    path : str
        An existing NumPy file ``(steps, *var.shape)``; steps beyond its end are not recorded.
    name : str, optional
    """

    def __init__(self, *, var: Var, path: str, name: str | None = None) -> None:
        super().__init__(path=path, name=name)
        self.state: Any = RefPort(var.shape)
        self._post_init()  # names the port, which connect_var needs
        self.state.connect_var(var)
