"""The fixed-point format of a network: bits and sign of a weight, and which decay offsets the chip's rule adds.

A decay ``d`` acts as the factor ``4096 - d - offset`` (arithmetic.py). lava-nc adds 1 to the current's decay and 0 to
the membrane's; NxSDK-style models (brian2-loihi) add 0 to both. The offsets are therefore part of a network, with
named presets.

A weight is ``mantissa * 2^exponent``, the exponent being that of its projection. Loihi, Lava and NxSDK keep 8 bits of a
weight and its sign, of which a mixed sign takes one (lava-nc 0.10.0, ``weightutils.py``):

    sign          chip, n = 2..8 bits                     mantissa here            at 8 bits the chip has
    mixed         multiples of 2^(9-n) in -256..255       -2^(n-1)..2^(n-1)-1      -256, -254, ..., 254
    excitatory    multiples of 2^(8-n) in 0..255          0..2^n-1                 0, 1, ..., 255
    inhibitory    multiples of 2^(8-n) in -255..0         -(2^n-1)..0              -255, -254, ..., 0

so that the chip's weight is the mantissa with an exponent that is 9 - n (mixed) or 8 - n higher. Nine bits of mixed
sign, -256..255, are on a chip the sum of two projections; here they are one until a network splits it (expand.py). It
splits 8 bits of one sign too, which the chip holds in one projection, since parts are stored in signed 8 bits.
"""

from __future__ import annotations

from dataclasses import dataclass

from neurosam._util.arguments import choice, integer
from neurosam.arithmetic import DECAY_ONE
from neurosam.errors import ArgumentError
from neurosam.network.elements import MAX_EXPONENT, MIN_EXPONENT

__all__ = ["Precision"]

SIGNS = ("mixed", "excitatory", "inhibitory")


@dataclass(frozen=True)
class Precision:
    """The integers a network is made of. A float network has ``None`` in its place.

    Parameters
    ----------
    name : str
        Label that files and reports show.
    weight_bits : int
        Bits of a weight mantissa, 2..9 with mixed sign (``-2^(bits-1) .. 2^(bits-1) - 1``), else 2..8.
    current_decay_offset, membrane_decay_offset : int
        Added to every 12-bit decay by the hardware's rule, 0 or 1.
    sign : {"mixed", "excitatory", "inhibitory"}
        Sign of the weights. Without a bit for it, a mantissa is in ``0 .. 2^bits - 1``, or ``-(2^bits - 1) .. 0``.

    Raises
    ------
    ArgumentError
        For a value outside its range.

    Examples
    --------
    >>> ns.Precision.lava().name, ns.Precision.lava().current_decay_offset
    ('lava', 1)
    >>> ns.Precision.nxsdk(weight_bits=4).weight_low
    -8
    >>> ns.Precision.lava(sign="excitatory").weight_high
    255
    """

    name: str = "lava"
    weight_bits: int = 8
    current_decay_offset: int = 1
    membrane_decay_offset: int = 0
    sign: str = "mixed"

    def __post_init__(self) -> None:
        choice("precision: sign", self.sign, SIGNS, ArgumentError)
        most = 9 if self.sign == "mixed" else 8
        ranges = ("weight_bits", 2, most), ("current_decay_offset", 0, 1), ("membrane_decay_offset", 0, 1)
        for name, low, high in ranges:
            object.__setattr__(self, name, integer(f"precision: {name}", getattr(self, name), low, high, ArgumentError))
        if not isinstance(self.name, str):
            raise ArgumentError("precision: name", f"got {self.name!r}; a string is required")

    @classmethod
    def lava(cls, weight_bits: int = 8, sign: str = "mixed") -> Precision:
        """The rule of lava-nc 0.10.0's CPU ``fixed_pt`` models."""
        return cls("lava", weight_bits, 1, 0, sign)

    @classmethod
    def nxsdk(cls, weight_bits: int = 8, sign: str = "mixed") -> Precision:
        """The rule that brian2-loihi matched to NxSDK: no decay offset."""
        return cls("nxsdk", weight_bits, 0, 0, sign)

    @classmethod
    def of(cls, value: Precision | str | int) -> Precision:
        """A precision as a user may write it: one itself, a preset's name, or the bits of a weight on Loihi.

        Raises
        ------
        ArgumentError
            For anything else, with what is allowed.

        Examples
        --------
        >>> ns.Precision.of("nxsdk").name, ns.Precision.of(4) == ns.Precision.lava(weight_bits=4)
        ('nxsdk', True)
        """
        if isinstance(value, Precision):
            return value
        if isinstance(value, str) and value in ("lava", "nxsdk"):
            return cls.lava() if value == "lava" else cls.nxsdk()
        if isinstance(value, int) and not isinstance(value, bool):
            return cls.lava(weight_bits=value)
        raise ArgumentError(
            "precision",
            f"got {value!r}; allowed are 'lava', 'nxsdk', the bits of a weight (2..9), or a Precision",
        )

    @property
    def weight_low(self) -> int:
        """Smallest weight mantissa."""
        if self.sign == "mixed":
            return -(1 << (self.weight_bits - 1))
        return 1 - (1 << self.weight_bits) if self.sign == "inhibitory" else 0

    @property
    def weight_high(self) -> int:
        """Largest weight mantissa."""
        if self.sign == "mixed":
            return (1 << (self.weight_bits - 1)) - 1
        return (1 << self.weight_bits) - 1 if self.sign == "excitatory" else 0

    def exponent_range(self) -> tuple[int, int]:
        """Exponents that a projection of any such weights can have, with one left for the part beyond 8 bits."""
        wide = self.weight_high > 127 or self.weight_low < -128
        return MIN_EXPONENT + wide, MAX_EXPONENT - wide

    def current_decay_range(self) -> tuple[int, int]:
        """Allowed ``current_decay``, from "keeps everything" to "forgets everything"."""
        return -self.current_decay_offset, DECAY_ONE - self.current_decay_offset

    def membrane_decay_range(self) -> tuple[int, int]:
        """Allowed ``membrane_decay``."""
        return -self.membrane_decay_offset, DECAY_ONE - self.membrane_decay_offset
