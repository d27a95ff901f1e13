"""Readout: neurons that integrate without leak, never fire, and send their membrane in every step."""

from __future__ import annotations

from typing import Any

from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.process.variable import Var

__all__ = ["Readout"]


class Readout(AbstractProcess):
    """The readout of a network, with a port for its membrane.

    Parameters
    ----------
    shape : tuple of int
    bias_mant, bias_exp
        As for Lava's LIF; the exponent is used in fixed point only.
    reset_interval, reset_offset : int
        As for Lava's LIFReset.
    name : str, optional
    """

    def __init__(
        self, *, shape: tuple[int, ...], bias_mant: Any, bias_exp: int, reset_interval: int, reset_offset: int,
        name: str | None = None,
    ) -> None:  # fmt: skip
        super().__init__(shape=shape, reset_interval=reset_interval, reset_offset=reset_offset, name=name)
        self.a_in = InPort(shape=shape)
        self.v_out = OutPort(shape=shape)
        self.v = Var(shape=shape, init=0)
        self.bias_mant = Var(shape=shape, init=bias_mant)
        self.bias_exp = Var(shape=(1,), init=bias_exp)
