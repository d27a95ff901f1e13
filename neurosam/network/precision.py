"""The fixed-point format of a network: how many bits a weight has, and which decay offsets the chip's rule adds.

A decay ``d`` acts as the factor ``4096 - d - offset`` (arithmetic.py). lava-nc adds 1 to the current's decay and 0 to
the membrane's; NxSDK-style models (brian2-loihi) add 0 to both. The offsets are therefore part of a network, with
named presets.
"""

from __future__ import annotations

from dataclasses import dataclass

from neurosam._util.arguments import integer
from neurosam.arithmetic import DECAY_ONE
from neurosam.errors import ArgumentError

__all__ = ["Precision"]


@dataclass(frozen=True)
class Precision:
    """The integers a network is made of. A float network has ``None`` in its place.

    Parameters
    ----------
    name : str
        Label that files and reports show.
    weight_bits : int
        Bits of a signed weight mantissa, 2..8: mantissas lie in ``-2^(bits-1) .. 2^(bits-1) - 1``.
    current_decay_offset, membrane_decay_offset : int
        Added to every 12-bit decay by the hardware's rule, 0 or 1.

    Raises
    ------
    ArgumentError
        For a value outside its range.

    Examples
    --------
    >>> ns.Precision.lava()
    Precision(name='lava', weight_bits=8, current_decay_offset=1, membrane_decay_offset=0)
    >>> ns.Precision.nxsdk(weight_bits=4).weight_low
    -8
    """

    name: str = "lava"
    weight_bits: int = 8
    current_decay_offset: int = 1
    membrane_decay_offset: int = 0

    def __post_init__(self) -> None:
        for name, low, high in (("weight_bits", 2, 8), ("current_decay_offset", 0, 1), ("membrane_decay_offset", 0, 1)):
            object.__setattr__(self, name, integer(f"precision: {name}", getattr(self, name), low, high, ArgumentError))
        if not isinstance(self.name, str):
            raise ArgumentError("precision: name", f"got {self.name!r}; a string is required")

    @classmethod
    def lava(cls, weight_bits: int = 8) -> Precision:
        """The rule of lava-nc 0.10.0's CPU ``fixed_pt`` models."""
        return cls("lava", weight_bits, 1, 0)

    @classmethod
    def nxsdk(cls, weight_bits: int = 8) -> Precision:
        """The rule that brian2-loihi matched to NxSDK: no decay offset."""
        return cls("nxsdk", weight_bits, 0, 0)

    @property
    def weight_low(self) -> int:
        """Smallest weight mantissa."""
        return -(1 << (self.weight_bits - 1))

    @property
    def weight_high(self) -> int:
        """Largest weight mantissa."""
        return (1 << (self.weight_bits - 1)) - 1

    def current_decay_range(self) -> tuple[int, int]:
        """Allowed ``current_decay``, from "keeps everything" to "forgets everything"."""
        return -self.current_decay_offset, DECAY_ONE - self.current_decay_offset

    def membrane_decay_range(self) -> tuple[int, int]:
        """Allowed ``membrane_decay``."""
        return -self.membrane_decay_offset, DECAY_ONE - self.membrane_decay_offset
