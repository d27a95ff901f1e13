"""One neuron in plain Python: the integer rule, the float rule and the SAM score, each as its source states it.

Nothing here uses `neurosam.arithmetic` or the traces of `neurosam.network.trace`. The integer rule is the scalar
listing of lava-nc 0.10.0's ``fixed_pt`` LIF, with ifs; a score is a sum over all previous spikes, from the list of
their times.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from neurosam.network.fixed_neuron import FixedLIF, FixedReadout
from neurosam.network.neuron import LIF, Readout
from neurosam.network.precision import Precision
from neurosam.network.trace import FixedSamTrace, SamTrace

__all__ = ["contribution", "fixed_neuron", "fixed_step", "float_neuron", "rtz12", "wrap24", "wrap32"]

# --- the integer neuron -----------------------------------------------------------------------------------------------


def wrap32(x: int) -> int:
    """Signed 32 bits, modulo 2^32."""
    return ((x + 2**31) % 2**32) - 2**31


def rtz12(x: int) -> int:
    """``x / 4096`` toward zero."""
    return -((-x) >> 12) if x < 0 else x >> 12


def wrap24(x: int) -> int:
    """Lava's wrap of the current: once, and not symmetric (+2^23 stays, -2^23 becomes +2^23)."""
    if x > 2**23:
        x = x - 2**24
    if x <= -(2**23):
        x = x + 2**24
    return x


def fixed_step(
    u: int, v: int, a: int, *, factor_u: int, factor_v: int, bias: int,
    threshold: int | None, reset_amount: int | None, norm: tuple[int, int, int] | None = None,
) -> tuple[int, int, bool]:  # fmt: skip
    """One neuron, one step, from the sum `a` of weighted spikes to ``(u, v, spike)``.

    `threshold` is in membrane units (None: a readout), `reset_amount` None for a reset to zero, and `norm` is
    (gain, shift, offset).
    """
    i = wrap32(a * 2**6)
    if norm is not None:
        gain, shift, offset = norm
        i = wrap32((i * gain) // 2**shift + offset)
    u = wrap24(wrap32(rtz12(u * factor_u) + i))
    v = wrap32(wrap32(rtz12(v * factor_v) + u) + bias)
    if v > 2**23 - 1:
        v = 2**23 - 1
    if v < -(2**23) + 1:
        v = -(2**23) + 1
    spike = threshold is not None and v > threshold
    if spike:
        v = 0 if reset_amount is None else v - reset_amount
    return u, v, spike


def _channel(parameter: Any, c: int) -> Any:
    """A parameter of channel `c`: scalar, or one value a channel."""
    values = np.asarray(parameter).reshape(-1).tolist()
    return values[0] if len(values) == 1 else values[c]


def fixed_neuron(
    precision: Precision, neuron: FixedLIF | FixedReadout, c: int, t: int, u: int, v: int, a: int
) -> tuple[int, int, bool]:
    bias = int(_channel(neuron.bias_mantissa, c)) * 2**neuron.bias_exponent
    if isinstance(neuron, FixedReadout):
        return fixed_step(0, v, a, factor_u=0, factor_v=4096, bias=bias, threshold=None, reset_amount=None)
    norm = None
    if neuron.gain is not None and neuron.offset_64ths is not None:
        norm = (_channel(neuron.gain[t], c), neuron.gain_shift, _channel(neuron.offset_64ths[t], c))
    factor_u = 0
    if neuron.current_decay is not None:
        factor_u = 4096 - (_channel(neuron.current_decay, c) + precision.current_decay_offset)
    factor_v = 4096 - (_channel(neuron.membrane_decay, c) + precision.membrane_decay_offset)
    return fixed_step(
        u, v, a, factor_u=factor_u, factor_v=factor_v, bias=bias, threshold=_channel(neuron.threshold, c) * 2**6,
        reset_amount=None if neuron.reset == "zero" else _channel(neuron.reset_amount_64ths, c), norm=norm,
    )  # fmt: skip


# --- the float neuron -------------------------------------------------------------------------------------------------


def float_neuron(neuron: LIF | Readout, c: int, t: int, u: float, v: float, i: float) -> tuple[float, float, bool]:
    if isinstance(neuron, Readout):
        return i, (v + i) + _channel(neuron.bias, c), False
    if neuron.gain is not None and neuron.offset is not None:
        i = _channel(neuron.gain[t], c) * i + _channel(neuron.offset[t], c)
    u = i if neuron.current_leak is None else _channel(neuron.current_leak, c) * u + i
    v = (_channel(neuron.leak, c) * v + u) + _channel(neuron.bias, c)
    spike = v > _channel(neuron.threshold, c)
    if spike:
        v = 0.0 if neuron.reset == "zero" else v - _channel(neuron.reset_amount, c)
    return u, v, spike


# --- spike activation maps --------------------------------------------------------------------------------------------


def contribution(trace: SamTrace | FixedSamTrace, times: list[int]) -> float | int:
    """Score of the last spike in `times`, the rising steps at which one neuron spiked so far."""
    t = times[-1]
    if isinstance(trace, FixedSamTrace):
        return _fixed_contribution(trace, times)
    if trace.mode == "strict":
        return sum((math.exp(-trace.gamma * (t - earlier)) for earlier in times[:-1]), 0.0)
    if trace.mode == "inclusive":
        return sum((math.exp(-trace.gamma * (t - earlier)) for earlier in times), 0.0)
    score = 0.0
    for step in range(t + 1):  # the released code: exp(-gamma (t - S t')), so a silent step counts as a spike at step 0
        spike = 1 if step in times else 0
        score += math.exp(-trace.gamma * (t - spike * step))
    return score


def _fixed_contribution(trace: FixedSamTrace, times: list[int]) -> int:
    kernel = trace.table.tolist()
    one = 2**trace.shift
    held, last, decayed = 0, 0, 0
    for t in times:  # integers round at every spike, so the history has to be told spike by spike
        n = t - last
        decayed = held * (kernel[n] if n < len(kernel) else kernel[-1]) // one
        held, last = decayed + trace.impulse, t
    if trace.mode == "strict":
        return int(decayed)
    if trace.mode == "inclusive":
        return int(decayed + trace.impulse)
    t = times[-1]
    silent = t + 1 - len(times)
    return int(decayed + trace.impulse + silent * trace.impulse * (kernel[t] if t < len(kernel) else kernel[-1]) // one)
