"""SAM in kernels: the traces of the neurons that fired in a block of steps, and the maps of these steps (trace.py).

There are two ways, with identical results. Short integer traces are updated 128 neurons at a time, on CPUs that can
(kernels/sam_vector.py). All others are updated spike by spike: only neurons that fired touch their trace, so the cost
is that of the spikes, each of which is listed and accesses two numbers in memory, its neuron's trace and last spike.
Spikes that come several at once are always updated one event at a time (:func:`trace_magnitudes`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import types

from neurosam import arithmetic
from neurosam.backends.event.kernels.layout import CLOCK, MODE, VECTORISED, Rule, State
from neurosam.backends.event.kernels.sam_vector import LOOKS_UP, trace_vectorised
from neurosam.backends.event.kernels.spike_lists import decode_step
from neurosam.backends.event.runtime.jit import formulas, inlined, kernel, overload
from neurosam.backends.event.simd.bits import trailing_zeros
from neurosam.backends.event.simd.int16 import TILE
from neurosam.backends.event.simd.load_store import address, item, put
from neurosam.network.trace import MODES

__all__ = ["OFFICIAL", "trace", "trace_magnitudes"]

Array = npt.NDArray[Any]

STRICT, OFFICIAL = MODES.index("strict"), MODES.index("official")
LISTED = 2**13
"""Neurons whose spikes are listed at once, so that their traces and lists stay in L2."""
STATE_TRACE = State._fields.index("trace")
_contribution = formulas.contribution


def _faded(trace: Any, table: Any, shift: Any) -> Any:
    """A decayed trace, by the integer rule for an integer trace; `table` is the factor."""
    return arithmetic.contribution(trace, table, shift) if isinstance(trace, (int, np.integer)) else trace * table


@overload(_faded)
def _faded_compiled(trace: Any, table: Any, shift: Any) -> Callable[..., Any]:
    def integer(trace: Any, table: Any, shift: Any) -> Any:
        return _contribution(trace, table, shift)

    def real(trace: Any, table: Any, shift: Any) -> Any:
        return trace * table

    return integer if isinstance(trace, types.Integer) else real


@inlined
def _score(
    t: int, j: int, traces: Any, lasts: Any, spikes: Any, table: Any, fade_out: int, shift: int, impulse: Any,
    mode: int, magnitude: int,
) -> Any:  # fmt: skip
    """Update the trace of neuron `j`, which fired `magnitude` times in step `t`; returns what it adds to the map."""
    decayed = _faded(item(traces, j), item(table, min(t - item(lasts, j), fade_out)), shift)
    left = decayed + magnitude * impulse
    put(left, traces, j)
    put(t, lasts, j)
    score = decayed if mode == STRICT else left
    if mode == OFFICIAL:
        silent = t - item(spikes, j)
        put(t + 1 - silent, spikes, j)
        score += _faded(silent * impulse, item(table, min(t, fade_out)), shift)
    return magnitude * score


@kernel
def _by_spike(
    first: int, steps: int, begin: int, end: int, at: int, rule: Rule, state: State, magnitude: Array | None
) -> None:
    """Update the traces and maps of pixels ``begin:end``, in the order of the bit planes.

    `magnitude` is that of :class:`OptionalState`; without it, neurons fire once.
    """
    impulse, shift, mode, fade_out = rule.impulse, rule.trace_shift, rule.flags[MODE], rule.table.size - 1
    image, width, channels = state.planes.shape[1], state.planes.shape[2], state.trace.shape[1]
    planes, maps = address(state.planes, at * image * width), address(state.sam, at * image)
    table, traces = address(rule.table, 0), address(state.trace, 0)
    lasts, spikes = address(state.last, 0), address(state.spikes, 0)
    for k in range(steps):
        for p in range(begin, end):
            total = impulse - impulse
            for w in range(width):
                fired = np.uint64(item(planes, (k * image + p) * width + w))
                while fired != np.uint64(0):
                    c = 64 * w + trailing_zeros(fired)
                    fired &= fired - np.uint64(1)
                    times = 1
                    if magnitude is not None:
                        times = magnitude[at + k, p, c]
                    j = p * channels + c
                    total += _score(first + k, j, traces, lasts, spikes, table, fade_out, shift, impulse, mode, times)
            put(total, maps, k * image + p)


@kernel
def _by_list(first: int, steps: int, begin: int, end: int, at: int, rule: Rule, state: State) -> None:
    """The same for integers, with the spikes of many pixels listed: a pixel's map is a difference of running sums.

    So no branch depends on a pixel's number of spikes, which a CPU cannot predict. Sums and differences are exact
    modulo 2^32.
    """
    impulse, shift, mode, fade_out = rule.impulse, rule.trace_shift, rule.flags[MODE], rule.table.size - 1
    image, channels = state.planes.shape[1], state.trace.shape[1]
    maps, table = address(state.sam, at * image), address(rule.table, 0)
    traces, lasts, spikes = address(state.trace, 0), address(state.last, 0), address(state.spikes, 0)
    most = min(end - begin, max(1, LISTED // channels))
    start, index = np.empty(most + 1, np.int32), np.empty(most * channels + TILE, np.int32)
    sums = np.empty(most * channels + 1, np.int32)
    for p in range(begin, end, most):
        pixels = min(most, end - p)
        for k in range(steps):
            count = decode_step(state.planes, at + k, p, p + pixels, channels, 0, 0, start, index)
            put(count, start, pixels)
            total = 0
            put(total, sums, 0)
            for e in range(count):
                j = item(index, e)
                total += _score(first + k, j, traces, lasts, spikes, table, fade_out, shift, impulse, mode, 1)
                put(total, sums, e + 1)
            for q in range(pixels):
                score = item(sums, item(start, q + 1)) - item(sums, item(start, q))
                put(score, maps, k * image + p + q)


def trace(first: Any, steps: Any, begin: Any, end: Any, at: Any, rule: Any, state: Any) -> None:
    """Update the traces of pixels ``begin:end`` by their spikes, and write their maps.

    Parameters
    ----------
    first, steps : int
        Steps ``first : first + steps`` of the run, whose spikes are in the planes. Calls cover all from 0 on, in order.
    begin, end : int
    at : int
        Row of the first step in planes and maps.
    rule, state
        See :class:`Rule` and :class:`State`; the state is updated in place.
    """
    raise NotImplementedError  # compiled only


@overload(trace)
def _trace_compiled(
    first: Any, steps: Any, begin: Any, end: Any, at: Any, rule: Any, state: Any
) -> Callable[..., Any]:  # fmt: skip
    def integers(first: Any, steps: Any, begin: Any, end: Any, at: Any, rule: Any, state: Any) -> None:
        _by_list(first + rule.flags[CLOCK], steps, begin, end, at, rule, state)

    def integers_together(first: Any, steps: Any, begin: Any, end: Any, at: Any, rule: Any, state: Any) -> None:
        if rule.flags[VECTORISED] != 0:
            trace_vectorised(first, steps, begin, end, at, rule, state)
        else:
            _by_list(first + rule.flags[CLOCK], steps, begin, end, at, rule, state)

    def reals(first: Any, steps: Any, begin: Any, end: Any, at: Any, rule: Any, state: Any) -> None:
        _by_spike(first + rule.flags[CLOCK], steps, begin, end, at, rule, state, None)

    if isinstance(state[STATE_TRACE].dtype, types.Float):
        return reals
    return integers_together if LOOKS_UP else integers


@inlined
def trace_magnitudes(first: int, steps: int, at: int, rule: Rule, state: State, magnitude: Array) -> None:
    """As :func:`trace`, for all pixels of neurons that fire `magnitude` times in a step (:class:`OptionalState`)."""
    _by_spike(first + rule.flags[CLOCK], steps, 0, state.planes.shape[1], at, rule, state, magnitude)
