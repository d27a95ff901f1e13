"""Tiles of a layer: the sums of up to 64 output channels, add_rows up in registers, and their neurons.

Weights of one tile stay in the cache for all steps and pixels of a strip, and a row's membranes for all steps. Sums
never reach memory; a membrane is read and written once per step.

What limits it, on one core of an EPYC (Zen 5): a row costs one load, one shift and two additions, 0.29 ns with weights
in L1; a mispredicted end of a list 2 to 5 ns, made rare by whole groups of rows; 16 neurons 1.2 ns, mostly the two
products of the exact decay.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import types

from neurosam.backends.event.kernels.layout import (
    BOUNDED,
    CURRENT,
    CURRENTS,
    FIRES,
    KERNEL_HEIGHT,
    KERNEL_WIDTH,
    MEMBRANE,
    OUTPUTS,
    SAM,
    SATURATES,
    STRIDE_Y,
    TABLES,
    WRAPS,
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
    usual,
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

__all__ = ["add_rows", "tiled_strip"]

Array = npt.NDArray[Any]


class Block(NamedTuple):
    """Output rows ``top:bottom`` for `steps` own steps from `first` on; the state's row 0 is own step `base`."""

    steps: int
    top: int
    bottom: int
    first: int
    base: int


@inlined
def add_rows(zero: Any, pairs: Any, rows: Any, first: int, end: int, width: int) -> Any:
    """Sums of the weight rows ``rows[first:end]`` of a tile of 2^width channels: whole groups, at most 256 rows."""
    a, b = zero, zero
    for e in range(first, end, GROUP):
        for g in range(GROUP):
            x = load_like(zero, pairs, item(rows, e + g) << width)
            a, b = add(a, x), add(b, high_weights(x))
    return unpair_sums(a, b, end - first)


@inlined
def _look_up_sums(
    zero_entry: Any, sums: Any, rows: Any, at: int, pitch: int, height: int, sources: int, width: int
) -> Any:
    """Sums of the patterns of a window's kernel rows, which are `pitch` apart in the list."""
    total = load_like(zero_entry, sums, item(rows, at) << width)
    if height > 1:
        total = add(total, load_like(zero_entry, sums, ((1 << sources) + item(rows, at + pitch)) << width))
    if height > 2:  # a loop of three would cost more than its work
        total = add(total, load_like(zero_entry, sums, ((2 << sources) + item(rows, at + 2 * pitch)) << width))
    for ky in range(3, height):
        total = add(total, load_like(zero_entry, sums, ((ky << sources) + item(rows, at + ky * pitch)) << width))
    return to_int32(total)


def _gather_sums(zero: Any, pairs: Any, rows: Any, first: Any, end: Any, width: Any) -> Any:
    """Sums of the weight rows ``rows[first:end]`` of a tile, any number of them."""
    raise NotImplementedError  # compiled only


@overload(_gather_sums, forceinline=True)
def _gather_sums_compiled(zero: Any, pairs: Any, rows: Any, first: Any, end: Any, width: Any) -> Callable[..., Any]:
    def integers(zero: Any, pairs: Any, rows: Any, first: Any, end: Any, width: Any) -> Any:
        i = add_rows(zero, pairs, rows, first, min(end, first + MOST_ROWS), width)
        for e in range(first + MOST_ROWS, end, MOST_ROWS):
            i = i + add_rows(zero, pairs, rows, e, min(end, e + MOST_ROWS), width)
        return i

    def reals(zero: Any, pairs: Any, rows: Any, first: Any, end: Any, width: Any) -> Any:
        i = zero
        for e in range(first, end):
            i = i + load_same_count(zero, pairs, item(rows, e) << width)
        return i

    return reals if isinstance(zero, Reals) else integers


def _zeros(conv: Any) -> Any:
    """0 as a weight row and as a table's entry, first for whole tiles, then for half tiles."""
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
    zero: Any, zero_entry: Any, width: int, look_up: bool, plain: bool, counted: bool, column: int, conv: Conv,
    block: Block, rule: Rule, state: State, workspace: Workspace,
) -> None:  # fmt: skip
    """Sums and neurons of the 2^width channels from `column` on, for all pixels and steps of a block.

    `zero` and `zero_entry` are 0 with the lanes of a weight row and of a table's entry. `plain` (:func:`_plain`) and
    `counted` (whether anything may have to be counted) are literals, and so is `look_up` if it is true, so that the
    inner loop has no branches on them: one more costs 4 % of a layer.
    """
    steps, top, bottom, first, base = block
    fires, tables = plain or rule.flags[FIRES] != 0, not plain and rule.flags[TABLES] != 0
    kept = rule.flags[MEMBRANE] != 0 or rule.flags[CURRENTS] != 0
    view, exponent = neuron_view(rule, state, conv.narrow), conv.exponent
    if plain:
        view, exponent = usual(view, counted), 0
    geometry, out_width = conv.geometry, conv.size[1]
    kernel_height, stride = geometry[KERNEL_HEIGHT], geometry[STRIDE_Y]
    sources = geometry[KERNEL_WIDTH] * conv.source[0]
    weights = kernel_height * sources + 1
    pairs = address(conv.pairs, weights * column)
    sums = address(conv.tables, (kernel_height << sources) * column)
    rows, edges, planes = address(workspace.rows, 0), address(workspace.edges, 0), address(state.planes, 0)
    words, channels, image = state.planes.shape[2], state.v.shape[1], state.planes.shape[1]
    scratch = np.empty(TILE, state.v.dtype)
    if not look_up:  # read once in order, which memory streams: later accesses have no order that a CPU predicts
        touched = zero
        for at in range(0, weights << width, max(1 << width, CACHE_LINE // conv.pairs.itemsize)):
            touched = add(touched, load_like(zero, pairs, at))
        store(to_int32(touched), scratch, 0)
    listed = (bottom - top - 1) * stride + kernel_height  # rows of patterns per step
    for yo in range(top, bottom):  # a row's membranes stay in L1 for all steps
        for k in range(steps):
            t = first + k
            count = 0
            place = yo * out_width * channels + column
            word = ((t - base) * image + yo * out_width) * words + column // TILE
            pattern = (k * listed + (yo - top) * stride) * out_width
            slot = (k * (bottom - top) + yo - top) * out_width
            for xo in range(out_width):
                if look_up:
                    i = _look_up_sums(zero_entry, sums, rows, pattern + xo, out_width, kernel_height, sources, width)
                else:
                    i = _gather_sums(zero, pairs, rows, item(edges, slot + xo), item(edges, slot + xo + 1), width)
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
    """Whether neurons fire, have nothing that :func:`usual` excludes, and sums need no shift: nearly all layers."""
    flags = rule.flags
    options = flags[CURRENT] + flags[TABLES] + flags[BOUNDED]
    return conv.exponent == 0 and flags[FIRES] != 0 and options == 0


@inlined_source
def tiled_strip(
    look_up: bool, conv: Conv, steps: int, top: int, bottom: int, first: int, base: int, rule: Rule, state: State,
    workspace: Workspace,
) -> None:  # fmt: skip
    """Run all channels of a strip for a block of steps, and their traces."""
    zero, zero_entry, half_zero, half_zero_entry = _zeros(conv)
    block = Block(steps, top, bottom, first, base)
    plain, counted = _plain(conv, rule), rule.flags[SATURATES] != 0 or rule.flags[WRAPS] != 0
    for column in range(0, conv.geometry[OUTPUTS], TILE):
        half = conv.geometry[OUTPUTS] - column <= HALF_TILE
        uncounted = plain and not counted
        if uncounted and look_up:
            if half:
                _tile(half_zero, half_zero_entry, 5, True, True, False, column, conv, block, rule, state, workspace)
            else:
                _tile(zero, zero_entry, 6, True, True, False, column, conv, block, rule, state, workspace)
        elif uncounted:
            if half:
                _tile(half_zero, half_zero_entry, 5, False, True, False, column, conv, block, rule, state, workspace)
            else:
                _tile(zero, zero_entry, 6, False, True, False, column, conv, block, rule, state, workspace)
        elif plain and not look_up and not half:  # wide layers, which are seldom proven not to saturate
            _tile(zero, zero_entry, 6, False, True, True, column, conv, block, rule, state, workspace)
        elif half:
            _tile(half_zero, half_zero_entry, 5, look_up, False, True, column, conv, block, rule, state, workspace)
        else:
            _tile(zero, zero_entry, 6, look_up, False, True, column, conv, block, rule, state, workspace)
    if rule.flags[SAM] != 0:
        begin, end = top * conv.size[1], bottom * conv.size[1]
        trace(first, steps, begin, end, first - base, rule, state)
