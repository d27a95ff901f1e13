"""Rules about weights: bits, sign, range, exponent.

A float network has weights yet to be quantised; they are assumed to become as wide as the chip's widest, so of the
rules here it is held to the sign alone. A chip may hold weights of both signs as multiples of a step: Loihi's are even,
so an odd mantissa is held doubled, with an exponent that is one lower.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from neurosam.network.elements import Projection
from neurosam.network.network import Network
from neurosam.network.synapse import Sparse
from neurosam_hw.rules.limits import Limits
from neurosam_hw.rules.registry import Broken, rule

__all__: list[str] = []

RANGE = ("numbers.weight_min", "numbers.weight_max", "numbers.weight_step")


@rule("projection", "numbers.weight_bits", "numbers.weight_signed")
def weight_bits(network: Network, projection: Projection, limits: Limits) -> Broken | None:
    """Weights have no more bits than the chip's widest, their sign counted where the chip has signed weights."""
    if not projection.integral:
        return None
    low, high = _ends(projection.synapse.weight)
    signed = limits.figure("numbers.weight_signed").value is True
    used = max((-low - 1).bit_length(), high.bit_length()) + 1 if signed else max(-low, high).bit_length()
    widest = max(limits.numbers("numbers.weight_bits"))
    if used <= widest:
        return None
    return Broken(f"{used} bit", f"{widest} bit", f"quantise to {widest} bits (--bits {widest})")


@rule("projection", "numbers.weight_signed")
def weight_sign(network: Network, projection: Projection, limits: Limits) -> Broken | None:
    """A projection has weights of both signs only where the chip can hold them."""
    if not _mixed(projection.synapse.weight) or limits.has("numbers.weight_signed"):
        return None
    return Broken(
        "both signs", "one sign", "split it into two projections, of the positive and of the negative weights"
    )


@rule("projection", *RANGE)
def weight_range(network: Network, projection: Projection, limits: Limits) -> Broken | None:
    """Weights of both signs are in the chip's range, in its own steps."""
    weight = projection.synapse.weight
    if not projection.integral or not _mixed(weight) or not limits.stated("numbers.weight_min"):
        return None
    least, most = limits.number("numbers.weight_min"), limits.number("numbers.weight_max")
    low, high = (end << _shift(weight, limits) for end in _ends(weight))
    if least <= low and high <= most:
        return None
    return Broken(f"{low}..{high}", f"{least}..{most}", "quantise to fewer bits (--bits)")


@rule("projection", "numbers.weight_exponent_min", "numbers.weight_exponent_max", "numbers.weight_step")
def weight_exponent(network: Network, projection: Projection, limits: Limits) -> Broken | None:
    """The exponent of a projection is in the chip's range, after odd weights of both signs have been doubled."""
    if not projection.integral:
        return None
    weight = projection.synapse.weight
    used = projection.exponent - (_shift(weight, limits) if _mixed(weight) else 0)
    if not used:
        return None
    least, most = limits.number("numbers.weight_exponent_min"), limits.number("numbers.weight_exponent_max")
    if least <= used <= most:
        return None
    scale = "larger" if used < least else "smaller"
    return Broken(used, f"{least}..{most}", f"quantise to {scale} weights and thresholds")


@rule("population", "numbers.weight_types")
def weight_types(network: Network, population: Any, limits: Limits) -> Broken | None:
    """A neuron has no more different weights than types of axons can choose."""
    incoming = network.incoming(population.name)
    if not incoming or not limits.stated("numbers.weight_types"):
        return None
    allowed = limits.number("numbers.weight_types")
    if not network.fixed:
        return None
    used = max(_different(projection) for projection in incoming)
    if used <= allowed:
        return None
    return Broken(used, allowed, "train with that few different weights a neuron")


def _ends(weight: npt.NDArray[Any]) -> tuple[int, int]:
    """Smallest and largest weight, 0 included, as Python ints."""
    return int(weight.min(initial=0)), int(weight.max(initial=0))


def _mixed(weight: npt.NDArray[Any]) -> bool:
    return bool((weight < 0).any() and (weight > 0).any())


def _shift(weight: npt.NDArray[Any], limits: Limits) -> int:
    """Bits by which integer weights of both signs are shifted left to be multiples of the step, a power of two."""
    if not limits.stated("numbers.weight_step"):
        return 0
    union = int(np.bitwise_or.reduce(weight, axis=None))
    zeros = (union & -union).bit_length() - 1  # at the end of every weight
    return max(limits.number("numbers.weight_step").bit_length() - 1 - zeros, 0)


def _different(projection: Projection) -> int:
    """Most different weights of a neuron, 0 apart."""
    synapse = projection.synapse
    if isinstance(synapse, Sparse):
        rows = np.split(synapse.weight, synapse.indptr[1:-1])
    else:
        rows = list(synapse.weight.reshape(len(synapse.weight), -1))
    return max(len(np.unique(row[row != 0])) for row in rows)
