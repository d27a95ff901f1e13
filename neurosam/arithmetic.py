"""The integer neuron: one formula, one function, for every back end.

Every function here is written with ``+ - * & >> << < >`` alone, so that the *same* source runs on Python integers, on
int64 NumPy arrays, on int64 torch tensors (CPU or GPU), and inside Numba kernels. In order of use in one step (``a``
is the sum of weighted spikes, all other values carry six fractional bits):

    i = arrive(a)                                  i = wrap32(a * 2^6)
    i = normalise(i, gain, shift, offset)          i = wrap32(floor(i * gain / 2^shift) + offset)      (optional)
    u = current(u, i, factor_u)                    u = wrap24(wrap32(decay(u, factor_u) + i))
    v = membrane(v, u, factor_v, bias)             v = saturate(wrap32(wrap32(decay(v, factor_v) + u) + bias))
    s = fire(v, threshold)                         s = v > threshold
    v = reset_to_zero(v, s)  or  reset_by_subtraction(v, s, amount)

with ``decay(x, factor) = trunc(x * factor / 4096)`` (toward zero) and ``factor = 4096 - decay - offset``. A neuron
without a synaptic current is a neuron whose current forgets everything: ``factor_u = 0``.

The rules are those of the ``fixed_pt`` LIF model of lava-nc 0.10.0 (``lava/proc/lif/models.py``), with its asymmetric
24-bit wrap; normalisation, subtractive reset and the trace are neurosam's own. Values stay within +-2^62 for any
int32 sum, 13-bit factor and 16-bit gain, so 64 bits are exact. All but `normalise` are exact modulo 2^32 as well
(`wrap32` then changes nothing), which lets the event back end run them on vectors of int32.
"""

from __future__ import annotations

from typing import Any

__all__ = [
    "DECAY_ONE",
    "FRACTION_BITS",
    "STATE_MAX",
    "arrive",
    "contribution",
    "current",
    "decay",
    "fire",
    "membrane",
    "normalise",
    "reset_by_subtraction",
    "reset_to_zero",
    "saturate",
    "shift_by",
    "wrap24",
    "wrap32",
]

FRACTION_BITS = 6
"""Fractional bits that inputs, biases and thresholds gain on entry."""

DECAY_ONE = 4096
"""The 12-bit factor that keeps a state unchanged."""

STATE_MAX = 2**23 - 1
"""Largest magnitude of a membrane; the smallest value is its negative."""

# ``Any`` stands for "int, int64 array, int64 tensor, or Numba int64": the functions are polymorphic by construction.


def wrap32(x: Any) -> Any:
    """Reduce to signed 32 bits, modulo 2^32."""
    return ((x + 0x80000000) & 0xFFFFFFFF) - 0x80000000


def wrap24(x: Any) -> Any:
    """Wrap a current once around 24 bits, as Lava does: ``x > 2^23`` loses 2^24, then ``x <= -2^23`` gains 2^24.

    So +2^23 stays, -2^23 becomes +2^23, and a value more than one turn away stays outside 24 bits.
    """
    x = x - (x > 0x800000) * 0x1000000
    return x + (x <= -0x800000) * 0x1000000


def saturate(x: Any) -> Any:
    """Clip to ``[-STATE_MAX, STATE_MAX]``."""
    x = x + (x > STATE_MAX) * (STATE_MAX - x)
    return x + (x < -STATE_MAX) * (-STATE_MAX - x)


def decay(x: Any, factor: Any) -> Any:
    """``x * factor / 4096``, truncated toward zero; `factor` in 0..4096.

    With ``x = 4096 h + l`` no product is longer than 32 bits where x has 32, so that lanes of int32 are exact too.
    """
    return (x >> 12) * factor + (((x & 4095) * factor + (x < 0) * 4095) >> 12)


def shift_by(x: Any, exponent: int) -> Any:
    """``x * 2^exponent``; a negative exponent floors."""
    return x << exponent if exponent >= 0 else x >> -exponent


def arrive(a: Any) -> Any:
    """The weighted sum `a` in membrane units."""
    return wrap32(a << FRACTION_BITS)


def normalise(i: Any, gain: Any, shift: Any, offset: Any) -> Any:
    """Gain and offset of one step (batch norm through time); `gain` is 16-bit signed, `offset` in membrane units."""
    return wrap32(((i * gain) >> shift) + offset)


def current(u: Any, i: Any, factor: Any) -> Any:
    """The synaptic current after one step."""
    return wrap24(wrap32(decay(u, factor) + i))


def membrane(v: Any, u: Any, factor: Any, bias: Any) -> Any:
    """The membrane after integration, before firing."""
    return saturate(wrap32(wrap32(decay(v, factor) + u) + bias))


def fire(v: Any, threshold: Any) -> Any:
    """Whether the neuron spikes: strictly above threshold."""
    return v > threshold


def reset_to_zero(v: Any, s: Any) -> Any:
    """Membrane 0 after a spike."""
    return v * (1 - s * 1)


def reset_by_subtraction(v: Any, s: Any, amount: Any) -> Any:
    """Membrane lowered by `amount` after a spike."""
    return v - s * amount


def contribution(trace: Any, kernel: Any, shift: Any) -> Any:
    """Neuronal contribution score: the decayed trace, ``floor(trace * K[t - t_last] / 2^shift)``."""
    return (trace * kernel) >> shift
