"""The integer neuron: one formula, one function, for every back end.

Every function here is written with operators alone (``+ - * // & >> << < >``), so that the *same* source runs on Python
integers, on int64 NumPy arrays, on int64 torch tensors (CPU or GPU), and inside Numba kernels. In order of use in one
step (``a`` is the sum of weighted spikes, all other values carry six fractional bits):

    i = arrive(a)                                  i = wrap32(a * 2^6)
    i = normalise(i, gain, shift, offset)          i = wrap32(floor(i * gain / 2^shift) + offset)      (optional)
    u = current(u, i, factor_u)                    u = wrap24(wrap32(decay(u, factor_u) + i))
    x = total(v, u, factor_v, bias)                x = wrap32(wrap32(decay(v, factor_v) + u) + bias)
    v = saturate(x)                                to [-(2^23 - 1), 2^23 - 1]
    s = fire(v, threshold)                         s = v > threshold
    v = reset_to_zero(v, s)  or  reset_by_subtraction(v, s, amount)

These are the parts; network/dynamics.py composes them with a neuron's options (lower bound, refractory period, several
spikes per step, ...). Here ``decay(x, factor) = trunc(x * factor / 4096)`` (toward zero) and ``factor = 4096 - decay -
offset``. A neuron without a synaptic current is a neuron whose current forgets everything: ``factor_u = 0``.

The rules are those of the ``fixed_pt`` LIF model of lava-nc 0.10.0 (``lava/proc/lif/models.py``), with its asymmetric
24-bit wrap; normalisation, all resets but that to zero, and the trace are neurosam's own. Values stay within +-2^62 for
any int32 sum, 13-bit factor and 16-bit gain, so 64 bits are exact. All but `normalise`, `spikes_above`, `spikes_at` and
the ``wraps_`` questions are exact modulo 2^32 as well (`wrap32` then changes nothing), which lets the event back end
run them on vectors of int32.
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
    "fire_at",
    "fresh",
    "larger",
    "lowered",
    "membrane",
    "normalise",
    "reset_by_subtraction",
    "reset_to_zero",
    "saturate",
    "select",
    "shift_by",
    "spikes_above",
    "spikes_at",
    "total",
    "wrap24",
    "wrap32",
    "wraps_arriving",
    "wraps_current",
    "wraps_normalised",
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


def fresh(i: Any) -> Any:
    """The synaptic current of a neuron that retains none: one whose old current is forgotten."""
    return wrap24(wrap32(i))


def total(v: Any, u: Any, factor: Any, bias: Any) -> Any:
    """The membrane after integration, before it saturates.

    The wraps are Lava's; they change nothing, since a current has ``|u| <= 2^31 - 2^24`` after its own wraps, and what
    `v` and `bias` can add is less than 2^24 (a membrane above 2^23 is lowered, by a reset in the next step).
    """
    return wrap32(wrap32(decay(v, factor) + u) + bias)


def lowered(x: Any, amount: Any) -> Any:
    """An unsaturated membrane less `amount`."""
    return wrap32(x - amount)


def membrane(v: Any, u: Any, factor: Any, bias: Any) -> Any:
    """The membrane after integration, before firing."""
    return saturate(total(v, u, factor, bias))


def fire(v: Any, threshold: Any) -> Any:
    """Whether the neuron spikes: strictly above threshold."""
    return v > threshold


def fire_at(v: Any, threshold: Any) -> Any:
    """Whether the neuron spikes: at the threshold or above."""
    return v >= threshold


def spikes_above(v: Any, threshold: Any, amount: Any, most: Any) -> Any:
    """How often `amount` is subtracted until `v` is no longer above `threshold`; at most `most` times."""
    s = (v - threshold + amount - 1) // amount
    s = s * (s > 0)
    return s + (s > most) * (most - s)


def spikes_at(v: Any, threshold: Any, amount: Any, most: Any) -> Any:
    """How often `amount` is subtracted until `v` is below `threshold`; at most `most` times."""
    s = (v - threshold + amount) // amount
    s = s * (s > 0)
    return s + (s > most) * (most - s)


def select(condition: Any, a: Any, b: Any) -> Any:
    """`a` where the condition holds, else `b`."""
    return b + (condition * 1) * (a - b)


def larger(a: Any, b: Any) -> Any:
    """The larger of two values."""
    return a + (a < b) * (b - a)


def reset_to_zero(v: Any, s: Any) -> Any:
    """Membrane 0 after a spike."""
    return v * (1 - s * 1)


def reset_by_subtraction(v: Any, s: Any, amount: Any) -> Any:
    """Membrane lowered by `amount` after a spike."""
    return v - s * amount


def contribution(trace: Any, kernel: Any, shift: Any) -> Any:
    """Neuronal contribution score: the decayed trace, ``floor(trace * K[t - t_last] / 2^shift)``."""
    return (trace * kernel) >> shift


# Whether a step left its bits. In 64-bit arithmetic; a kernel on lanes of 32 bits needs another form.


def wraps_arriving(a: Any) -> Any:
    """Whether the sum `a` leaves 32 bits in membrane units."""
    return wrap32(a << FRACTION_BITS) != a << FRACTION_BITS


def wraps_normalised(i: Any, gain: Any, shift: Any, offset: Any) -> Any:
    """Whether :func:`normalise` wraps."""
    x = ((i * gain) >> shift) + offset
    return wrap32(x) != x


def wraps_current(u: Any, i: Any, factor: Any) -> Any:
    """Whether :func:`current` wraps."""
    x = decay(u, factor) + i
    return wrap24(wrap32(x)) != x
