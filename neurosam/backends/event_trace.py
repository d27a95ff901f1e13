"""SAM in kernels: the traces of the neurons that fired in a step, and the map of the step (trace.py).

Only neurons that fired touch their trace, so the cost is that of the spikes: about 2.7 ns each on one core of an EPYC
(Zen 5), for listing it and for two places of memory, its trace and the step of its last spike.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import types
from numba.extending import overload

from neurosam import arithmetic
from neurosam.backends.event_bits import trailing_zeros
from neurosam.backends.event_compile import formulas, inlined, kernel
from neurosam.backends.event_memory import address, item, put
from neurosam.backends.event_state import MODE, Rule, State
from neurosam.trace import MODES

__all__ = ["OFFICIAL", "trace", "trace_listed"]

Array = npt.NDArray[Any]

STRICT, OFFICIAL = MODES.index("strict"), MODES.index("official")
_contribution = formulas.contribution


def _faded(trace: Any, table: Any, shift: Any) -> Any:
    """A trace after some steps: the integer rule for an integer trace, a product for a float one."""
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
    t: int, j: int, traces: Any, lasts: Any, spikes: Any, table: Any, fade_out: int, shift: int, impulse: Any, mode: int
) -> Any:  # fmt: skip
    """Neuron `j` fired in step `t`: update its trace; what it adds to the map."""
    decayed = _faded(item(traces, j), item(table, min(t - item(lasts, j), fade_out)), shift)
    put(decayed + impulse, traces, j)
    put(t, lasts, j)
    score = decayed if mode == STRICT else decayed + impulse
    if mode == OFFICIAL:
        silent = t - item(spikes, j)
        put(t + 1 - silent, spikes, j)
        score += _faded(silent * impulse, item(table, min(t, fade_out)), shift)
    return score


@kernel
def trace(t: int, begin: int, end: int, at: int, rule: Rule, state: State) -> None:
    """Update the traces of the neurons of some pixels that fired in step `t` (trace.py), and write their maps."""
    impulse, shift, mode, fade_out = rule.impulse, rule.trace_shift, rule.flags[MODE], rule.table.size - 1
    image, width, channels = state.planes.shape[1], state.planes.shape[2], state.trace.shape[1]
    planes, maps, table = address(state.planes, 0), address(state.sam, at * image), address(rule.table, 0)
    traces, lasts, spikes = address(state.trace, 0), address(state.last, 0), address(state.spikes, 0)
    for p in range(begin, end):
        total = impulse - impulse
        for w in range(width):
            fired = np.uint64(item(planes, (at * image + p) * width + w))
            while fired != np.uint64(0):
                j = p * channels + 64 * w + trailing_zeros(fired)
                fired &= fired - np.uint64(1)
                total += _score(t, j, traces, lasts, spikes, table, fade_out, shift, impulse, mode)
        put(total, maps, p)


@kernel
def trace_listed(
    t: int, begin: int, pixels: int, at: int, start: Array, index: Array, sums: Array, rule: Rule, state: State
) -> None:  # fmt: skip
    """The same for integers and listed spikes (event_synapse.py): a map is a difference of running sums.

    So nothing depends on how many spikes a pixel has, which no processor foresees. `sums` (int32) has room for one
    number more than there are spikes; sums and differences are exact modulo 2^32.
    """
    impulse, shift, mode, fade_out = rule.impulse, rule.trace_shift, rule.flags[MODE], rule.table.size - 1
    maps, table = address(state.sam, at * state.sam.shape[1] + begin), address(rule.table, 0)
    traces, lasts, spikes = address(state.trace, 0), address(state.last, 0), address(state.spikes, 0)
    first, neurons, running = address(start, 0), address(index, 0), address(sums, 0)
    total = 0
    put(total, running, 0)
    for e in range(item(first, pixels)):
        total += _score(t, item(neurons, e), traces, lasts, spikes, table, fade_out, shift, impulse, mode)
        put(total, running, e + 1)
    for p in range(pixels):
        put(item(running, item(first, p + 1)) - item(running, item(first, p)), maps, p)
