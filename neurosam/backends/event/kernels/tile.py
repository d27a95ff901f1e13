"""Tiles of a layer: the sums of up to 64 output channels, added up in registers, and their neurons.

Weights of one tile stay in the cache for all steps and pixels of a strip, and a row's membranes for all steps. Sums
never reach memory; a membrane is read and written once a step.

What limits it: a row costs one load, one shift and two additions, 0.29 ns on one core of an EPYC (Zen 5) with weights
in the first cache; a list that ends where no processor foresees it, 2 to 5 ns, which whole groups of rows keep rare;
16 neurons 1.2 ns, mostly the two products of the exact decay.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import types

from neurosam.backends.event.kernels.layout import (
    CURRENT,
    CURRENTS,
    FIRES,
    KERNEL_HEIGHT,
    KERNEL_WIDTH,
    MEMBRANE,
    OUTPUTS,
    SAM,
    STRIDE_Y,
    TABLES,
    Conv,
    Rule,
    State,
    Workspace,
)
from neurosam.backends.event.kernels.neurons import (
    neuron_view,
    normalise_sums,
    record_state,
    scale_sums,
    step_neurons,
    to_membrane_units,
    without_current,
)
from neurosam.backends.event.kernels.sam_by_spike import trace
from neurosam.backends.event.runtime.jit import inlined, inlined_source, kernel, overload
from neurosam.backends.event.simd.bits import popcount
from neurosam.backends.event.simd.int16 import (
    GROUP,
    HALF_TILE,
    MOST_ROWS,
    TILE,
    add,
    high_weights,
    to_int32,
    unpair_sums,
    zeros_i16x16,
    zeros_i16x32,
    zeros_i16x64,
)
from neurosam.backends.event.simd.load_store import address, item, load_like, load_same_count, put, store
from neurosam.backends.event.simd.vectors import CACHE_LINE, Reals, float_zeros

__all__ = ["added", "tiled_strip"]

Array = npt.NDArray[Any]


class Block(NamedTuple):
    """Output rows ``top:bottom`` in `steps` own steps from `first` on; `base` is the own step of the state's row 0."""

    steps: int
    top: int
    bottom: int
    first: int
    base: int


@inlined
def added(zero: Any, pairs: Any, rows: Any, first: int, end: int, width: int) -> Any:
    """Sums of the weights at ``rows[first:end]``, whole groups and at most 256, of a tile with rows of 2^width."""
    a, b = zero, zero
    for e in range(first, end, GROUP):
        for g in range(GROUP):
            x = load_like(zero, pairs, item(rows, e + g) << width)
            a, b = add(a, x), add(b, high_weights(x))
    return unpair_sums(a, b, end - first)


@inlined
def _looked_up(nothing: Any, sums: Any, rows: Any, at: int, pitch: int, height: int, sources: int, width: int) -> Any:
    """Sums of the patterns of a window's kernel rows, which lie `pitch` apart in a list."""
    total = load_like(nothing, sums, item(rows, at) << width)
    if height > 1:
        total = add(total, load_like(nothing, sums, ((1 << sources) + item(rows, at + pitch)) << width))
    if height > 2:  # a loop of three would cost more than its work
        total = add(total, load_like(nothing, sums, ((2 << sources) + item(rows, at + 2 * pitch)) << width))
    for ky in range(3, height):
        total = add(total, load_like(nothing, sums, ((ky << sources) + item(rows, at + ky * pitch)) << width))
    return to_int32(total)


def _gathered(zero: Any, pairs: Any, rows: Any, first: Any, end: Any, width: Any) -> Any:
    """Sums of any number of rows of a tile."""
    raise NotImplementedError  # compiled only


@overload(_gathered, forceinline=True)
def _gathered_compiled(zero: Any, pairs: Any, rows: Any, first: Any, end: Any, width: Any) -> Callable[..., Any]:
    def integers(zero: Any, pairs: Any, rows: Any, first: Any, end: Any, width: Any) -> Any:
        i = added(zero, pairs, rows, first, min(end, first + MOST_ROWS), width)
        for e in range(first + MOST_ROWS, end, MOST_ROWS):
            i = i + added(zero, pairs, rows, e, min(end, e + MOST_ROWS), width)
        return i

    def reals(zero: Any, pairs: Any, rows: Any, first: Any, end: Any, width: Any) -> Any:
        i = zero
        for e in range(first, end):
            i = i + load_same_count(zero, pairs, item(rows, e) << width)
        return i

    return reals if isinstance(zero, Reals) else integers


def _zeros(conv: Any) -> Any:
    """0 as a weight row and as a table's entry, for whole tiles, and the same for half tiles."""
    raise NotImplementedError  # compiled only


@overload(_zeros, forceinline=True)
def _zeros_compiled(conv: Any) -> Callable[..., Any]:
    def integers(conv: Any) -> Any:
        return zeros_i16x32(), zeros_i16x64(), zeros_i16x16(), zeros_i16x32()

    def reals(conv: Any) -> Any:
        tile, half = float_zeros(conv.pairs, TILE), float_zeros(conv.pairs, HALF_TILE)
        return tile, tile, half, half

    return reals if isinstance(conv.types[3].dtype, types.Float) else integers


@kernel
def _tile(
    zero: Any, nothing: Any, width: int, look_up: bool, plain: bool, column: int, conv: Conv, block: Block, rule: Rule,
    state: State, workspace: Workspace,
) -> None:  # fmt: skip
    """Sums and neurons of the 2^width channels from `column` on, for all pixels and steps of a block.

    `zero` and `nothing` are 0, as many lanes as a weight row and a table's entry have. `look_up` and `plain`
    (:func:`_plain`) are literals, and nothing is asked then; only what is not plain takes a variable `look_up`.
    """
    steps, top, bottom, first, base = block
    fires, tables = plain or rule.flags[FIRES] != 0, not plain and rule.flags[TABLES] != 0
    kept = rule.flags[MEMBRANE] != 0 or rule.flags[CURRENTS] != 0
    view, exponent = neuron_view(rule, state, conv.narrow), conv.exponent
    if plain:
        view, exponent = without_current(view), 0
    geometry, out_width = conv.geometry, conv.size[1]
    kernel_height, stride = geometry[KERNEL_HEIGHT], geometry[STRIDE_Y]
    sources = geometry[KERNEL_WIDTH] * conv.source[0]
    weights = kernel_height * sources + 1
    pairs = address(conv.pairs, weights * column)
    sums = address(conv.tables, (kernel_height << sources) * column)
    rows, edges, planes = address(workspace.rows, 0), address(workspace.edges, 0), address(state.planes, 0)
    words, channels, image = state.planes.shape[2], state.v.shape[1], state.planes.shape[1]
    scratch = np.empty(TILE, state.v.dtype)
    if not look_up:  # once from end to end, which memory streams: rows come in no order that a processor foresees
        seen = zero
        for at in range(0, weights << width, CACHE_LINE // conv.pairs.itemsize):
            seen = add(seen, load_like(zero, pairs, at))
        store(to_int32(seen), scratch, 0)
    listed = (bottom - top - 1) * stride + kernel_height  # rows of patterns a step
    for yo in range(top, bottom):  # a row's membranes stay in the first cache for all steps
        for k in range(steps):
            t = first + k
            count = 0
            place = yo * out_width * channels + column
            word = ((t - base) * image + yo * out_width) * words + column // TILE
            pattern = (k * listed + (yo - top) * stride) * out_width
            slot = (k * (bottom - top) + yo - top) * out_width
            for xo in range(out_width):
                if look_up:
                    i = _looked_up(nothing, sums, rows, pattern + xo, out_width, kernel_height, sources, width)
                else:
                    i = _gathered(zero, pairs, rows, item(edges, slot + xo), item(edges, slot + xo + 1), width)
                i = scale_sums(i, exponent)
                i = normalise_sums(i, column, t, rule, scratch) if tables else to_membrane_units(i)
                fired = step_neurons(i, place, column, view)
                if fires:
                    put(fired, planes, word)
                    count += popcount(fired)
                place += channels
                word += words
            state.counts[t - base] += count
            if kept:
                record_state(t - base, yo * out_width, (yo + 1) * out_width, column, column + TILE, rule, state)


@kernel
def _plain(conv: Conv, rule: Rule) -> bool:
    """Whether neurons fire, have no current of their own and no tables, and sums need no shift: nearly all layers."""
    flags = rule.flags
    return conv.exponent == 0 and flags[FIRES] != 0 and flags[CURRENT] == 0 and flags[TABLES] == 0


@inlined_source
def tiled_strip(
    look_up: bool, conv: Conv, steps: int, top: int, bottom: int, first: int, base: int, rule: Rule, state: State,
    workspace: Workspace,
) -> None:  # fmt: skip
    """All channels of a strip for a block of steps, and their traces."""
    zero, nothing, half_zero, half_nothing = _zeros(conv)
    block = Block(steps, top, bottom, first, base)
    plain = _plain(conv, rule)
    for column in range(0, conv.geometry[OUTPUTS], TILE):
        half = conv.geometry[OUTPUTS] - column <= HALF_TILE
        if plain and look_up:
            if half:
                _tile(half_zero, half_nothing, 5, True, True, column, conv, block, rule, state, workspace)
            else:
                _tile(zero, nothing, 6, True, True, column, conv, block, rule, state, workspace)
        elif plain:
            if half:
                _tile(half_zero, half_nothing, 5, False, True, column, conv, block, rule, state, workspace)
            else:
                _tile(zero, nothing, 6, False, True, column, conv, block, rule, state, workspace)
        elif half:
            _tile(half_zero, half_nothing, 5, look_up, False, column, conv, block, rule, state, workspace)
        else:
            _tile(zero, nothing, 6, look_up, False, column, conv, block, rule, state, workspace)
    if rule.flags[SAM] != 0:
        begin, end = top * conv.size[1], bottom * conv.size[1]
        trace(first, steps, begin, end, first - base, rule, state)
