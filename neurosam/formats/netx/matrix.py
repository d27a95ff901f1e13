"""What lava-dl's netx 0.6 and Lava's fixed-point Dense make of a matrix of weights."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["read_by_netx"]


def read_by_netx(weight: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The weights that netx 0.6 and Lava's fixed-point Dense use for a matrix; -1 everywhere where they fail.

    netx shifts a matrix left until its largest weight fills 8 bits, states how many of them are used and lowers the
    exponent; Lava, which does not get the sign mode, guesses it, clips to 8 bits and drops the unused bits.
    """
    high, low = int(weight.max(initial=0)), int(weight.min(initial=0))
    if high == low == 0:
        return np.full_like(weight, -1)  # netx divides by zero
    mixed = low < 0 <= int(weight.max())
    if not mixed:
        scale = -256 / low if low < 0 else 255 / high
    else:
        scale = min(127 / high if high > 0 else np.inf, -128 / low)
    shift = int(np.floor(np.log2(scale))) + mixed
    exact = next(n for n in range(8, -1, -1) if n == 0 or not (weight % 2**n).any())
    bits = 8 - shift - (exact - mixed)
    held = weight << shift if shift >= 0 else np.zeros_like(weight)
    guess = "EXCITATORY" if held.min() >= 0 else "INHIBITORY" if held.max() <= 0 else "MIXED"
    sign = -1 if guess == "INHIBITORY" else 1
    clipped = np.clip(sign * held, -256 if guess == "MIXED" else 0, 255)
    dropped = max(8 - bits + (guess == "MIXED"), 0)
    kept = sign * (clipped >> dropped << dropped)
    return kept >> shift if not (kept % 2**shift).any() else np.full_like(weight, -1)
