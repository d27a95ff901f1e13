"""Synaptic memory by the chip's own row formula.

The synapses that one input axon reaches are a list. It is cut into rows of at most `synapses_per_row`, each with a
header, and a row is rounded up to words:

    bits = sum over rows of ceil((n * (weight + index + delay) + header) / word) * word

on Loihi 1 with rows of 64, a header of 10 bits and words of 64. The weight has the smallest width of the chip that
holds all weights of the projection; the index the smallest that reaches the last neuron of the piece, and none where
the synapses are dense; the delay ``bit_length(delay - 1)`` bits. What a chip's file does not say takes no memory: the
result is then a lower bound.

Source: nengo-loihi, block.py, SynapseConfig.bits_per_axon; there weights always have 8 bits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from neurosam.network.elements import Projection
from neurosam.network.synapse import Dense
from neurosam_hw.chips.chip import Chip
from neurosam_hw.resources.figures import number, numbers

__all__ = ["Lists", "RowFormula", "SynapseFormat"]

Counts = npt.NDArray[np.int64]

STORED_BITS = 8
"""Width of a weight in the deployed network, for chips that do not say what they hold."""


class SynapseFormat(NamedTuple):
    """What the synapses of a list have in common; a core has room for so many different ones.

    Parameters
    ----------
    weight_bits, index_bits, delay_bits : int
    signs : str
        "both", "positive" or "negative".
    exponent : int
    """

    weight_bits: int
    index_bits: int
    delay_bits: int
    signs: str
    exponent: int

    @property
    def bits(self) -> int:
        """Bits of one synapse."""
        return self.weight_bits + self.index_bits + self.delay_bits


@dataclass(frozen=True)
class RowFormula:
    """The formula of a chip.

    Parameters
    ----------
    word, header : int
        Bits.
    longest : int, optional
        Synapses in a row; None for rows without end.
    index_widths, weight_widths : tuple of int
        Allowed widths, rising; without widths an index takes no memory.
    exponent_min : int, optional
        Smallest exponent of a projection.
    base_max : int, optional
        Farthest neuron of a core at which a list can begin; None for any.
    weight_step : int
        What weights of both signs are multiples of at the largest width, a power of two.

    Examples
    --------
    Loihi 1: 100 synapses of 8 bits are rows of 64 and 36, of 9 and 5 words.

    >>> from neurosam_hw.chips import load_chip
    >>> formula = RowFormula.of(load_chip("loihi1"))
    >>> int(formula.bits(np.array(100), 8)), formula.index_bits(1023)
    (896, 10)
    """

    word: int = 1
    header: int = 0
    longest: int | None = None
    index_widths: tuple[int, ...] = ()
    weight_widths: tuple[int, ...] = (STORED_BITS,)
    exponent_min: int | None = None
    base_max: int | None = None
    weight_step: int = 1

    @classmethod
    def of(cls, chip: Chip) -> RowFormula:
        """The formula of a chip's file."""
        return cls(
            word=number(chip, "limits.synapse_word") or 1,
            header=number(chip, "limits.synapse_row_header") or 0,
            longest=number(chip, "limits.synapses_per_row"),
            index_widths=tuple(sorted(numbers(chip, "limits.synapse_index_bits") or ())),
            weight_widths=tuple(sorted(numbers(chip, "numbers.weight_bits") or (STORED_BITS,))),
            exponent_min=number(chip, "numbers.weight_exponent_min"),
            base_max=number(chip, "limits.shared_base_max"),
            weight_step=number(chip, "numbers.weight_step") or 1,
        )

    def bits(self, synapses: Counts, each: int) -> Counts:
        """Bits of lists of so many synapses of `each` bits."""
        if self.longest is None:
            return np.where(synapses > 0, self._row(synapses, each), 0)
        full, rest = np.divmod(synapses, self.longest)
        return full * self._row(np.int64(self.longest), each) + np.where(rest > 0, self._row(rest, each), 0)

    def _row(self, synapses: Counts | np.int64, each: int) -> Counts:
        words: Counts = np.asarray(-((synapses * each + self.header) // -self.word))
        return words * self.word

    def index_bits(self, last: int) -> int:
        """Width of an index that reaches neuron `last` of a core; the widest if none does, which a rule reports."""
        fitting = [width for width in self.index_widths if width >= last.bit_length()]
        return fitting[0] if fitting else max(self.index_widths, default=0)


@dataclass(frozen=True)
class Lists:
    """The synapses of one projection on a chip: their format in each place.

    Parameters
    ----------
    formula : RowFormula
    weight_bits : int
    signs : str
        "both", "positive" or "negative".
    exponent, delay : int
        The delay is the chip's, from 1 (HardwareSchedule).
    dense : bool
        Whether a list reaches every neuron of a piece, and so needs no index.
    """

    formula: RowFormula
    weight_bits: int
    signs: str
    exponent: int
    delay: int
    dense: bool

    @classmethod
    def of(cls, projection: Projection, delay: int, formula: RowFormula) -> Lists:
        """The lists of a projection.

        Examples
        --------
        Weights of 4 bits, two of which are 0, and are not stored where the chip has a width of 2:

        >>> from neurosam_hw.chips import load_chip
        >>> projection = ns.Projection("in", "out", ns.Dense(np.array([[4, -8, 0]], np.int8)))
        >>> Lists.of(projection, 1, RowFormula.of(load_chip("loihi1"))).weight_bits
        2
        """
        weight = projection.synapse.weight
        signs, bits = "both", formula.weight_widths[-1]  # before weights are integers, or where there are none
        if projection.integral and weight.size:
            signs = "positive" if weight.min() >= 0 else "negative" if weight.max() <= 0 else "both"
            bits = _weight_bits(projection, formula, signs)
        return cls(formula, bits, signs, projection.exponent, delay, isinstance(projection.synapse, Dense))

    def format(self, offset: int, size: int) -> SynapseFormat:
        """The format onto a piece that has the core's neurons ``offset : offset + size``."""
        base_max = self.formula.base_max
        listed = not self.dense or (base_max is not None and offset > base_max)
        index = self.formula.index_bits(offset + size - 1) if listed else 0
        return SynapseFormat(self.weight_bits, index, (self.delay - 1).bit_length(), self.signs, self.exponent)


def _weight_bits(projection: Projection, formula: RowFormula, signs: str) -> int:
    """The smallest width that holds all weights; zeros at the end move into the exponent, as far as that goes.

    A mantissa stands at the upper end of the largest width, above the bits that its width lacks and the one that both
    signs cost: Loihi shifts it by ``8 - width + mixed`` (block.py, SynapseConfig.shift_bits).
    """
    weight = projection.synapse.weight.astype(np.int64).ravel()
    union = int(np.bitwise_or.reduce(weight))
    zeros = (union & -union).bit_length() - 1 if union else 0
    largest = max(int(np.abs(weight).max()), 1) >> zeros
    if signs == "both":
        needed = max(int(weight.max()).bit_length(), int(~weight.min()).bit_length()) + 1 - zeros
    else:
        needed = largest.bit_length()
    widest = formula.weight_widths[-1]
    lost = formula.weight_step.bit_length() - 1 if signs == "both" else 0
    for width in formula.weight_widths:
        lowest = projection.exponent + zeros - (widest - width) - lost
        if width >= needed and (formula.exponent_min is None or lowest >= formula.exponent_min):
            return width
    return widest
