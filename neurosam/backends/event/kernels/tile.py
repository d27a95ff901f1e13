"""Tiles of a layer: the sums of up to 64 output channels, added up in registers, and their neurons.

Weights of one tile stay in the cache for all steps and pixels of a strip, and a row's membranes for all steps. Sums
never reach memory; a membrane is read and written once per step.

What limits it, on one core of an EPYC (Zen 5): a row costs one load, one shift and two additions, 0.29 ns with weights
in L1; a mispredicted end of a list 2 to 5 ns, made rare by whole groups of rows; 16 neurons 1.2 ns, mostly the two
products of the exact decay.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import types

from neurosam.backends.event.kernels.layout import (
    CODE_RECORD,
    FIRES,
    KERNEL_HEIGHT,
    KERNEL_WIDTH,
    STRIDE_Y,
    TABLES,
    Strip,
    Workspace,
)
from neurosam.backends.event.kernels.neurons import (
    neuron_view,
    normalise_sums,
    piece_state,
    scale_sums,
    step_neurons,
    to_membrane_units,
    usual,
)
from neurosam.backends.event.runtime.jit import by_address, inlined, overload
from neurosam.backends.event.simd.bits import popcount
from neurosam.backends.event.simd.calls import call
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

__all__ = ["Variant", "add_rows", "tile_kernel"]

Array = npt.NDArray[Any]


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
    """0 as a weight row of a tile, and as a table's entry."""
    raise NotImplementedError  # compiled only


@overload(_zeros, forceinline=True)
def _zeros_compiled(conv: Any) -> Callable[..., Any]:
    def integers(conv: Any) -> Any:
        return zeros_i16x32(), zeros_i16x64()

    def reals(conv: Any) -> Any:
        tile = float_zeros(conv.pairs, TILE)
        return tile, tile

    return reals if isinstance(conv.types[3].dtype, types.Float) else integers


def _half_zeros(conv: Any) -> Any:
    """The same, of half a tile."""
    raise NotImplementedError  # compiled only


@overload(_half_zeros, forceinline=True)
def _half_zeros_compiled(conv: Any) -> Callable[..., Any]:
    def integers(conv: Any) -> Any:
        return zeros_i16x16(), zeros_i16x32()

    def reals(conv: Any) -> Any:
        half = float_zeros(conv.pairs, HALF_TILE)
        return half, half

    return reals if isinstance(conv.types[3].dtype, types.Float) else integers


class Variant(NamedTuple):
    """What a tile kernel is compiled for, so that its inner loop has no branches: one more costs 4 % of a layer.

    Parameters
    ----------
    look_up : bool
        Whether sums are looked up, not gathered.
    half : bool
        Whether a tile has 32 channels, not 64.
    options : bool
        Whether neurons have what :func:`~neurosam.backends.event.kernels.neurons.usual` excludes.
    plain : bool
        Whether neurons have no options and fire, and sums need no shift: nearly all layers.
    counted : bool
        Whether anything may have to be counted.
    """

    look_up: bool
    half: bool
    options: bool
    plain: bool
    counted: bool


@cache
def tile_kernel(variant: Variant) -> Any:
    """The kernel that runs the channels of one tile, ``strip.column`` and on, for all pixels and steps of a strip."""
    look_up, half, options, plain, counted = variant
    zeros, width = (_half_zeros, 5) if half else (_zeros, 6)

    def tile(stage: Any, strip: Strip, workspace: Workspace) -> int:
        conv, rule, state, code = stage.conv, stage.rule, piece_state(stage, strip.piece), stage.code
        zero, zero_entry = zeros(conv)
        fires, tables = plain or rule.flags[FIRES] != 0, options and rule.flags[TABLES] != 0
        view, exponent = neuron_view(rule, state, conv.narrow), conv.exponent
        if not options:
            view = usual(view, counted)
        if plain:
            exponent = 0
        column, first, base = strip.column, strip.first, strip.base
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
        listed = (strip.bottom - strip.top - 1) * stride + kernel_height  # rows of patterns per step
        for yo in range(strip.top, strip.bottom):  # a row's membranes stay in L1 for all steps
            for k in range(strip.steps):
                t = first + k
                count = 0
                place = yo * out_width * channels + column
                word = ((t - base) * image + yo * out_width) * words + column // TILE
                pattern = (k * listed + (yo - strip.top) * stride) * out_width
                slot = (k * (strip.bottom - strip.top) + yo - strip.top) * out_width
                for xo in range(out_width):
                    if look_up:
                        i = _look_up_sums(
                            zero_entry, sums, rows, pattern + xo, out_width, kernel_height, sources, width
                        )  # fmt: skip
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
                if code[CODE_RECORD] != 0:
                    row = Strip(
                        strip.piece, strip.top, strip.bottom, yo * out_width, out_width, t - base, 1, t, base, column
                    )  # fmt: skip
                    call(code[CODE_RECORD], stage, row, workspace)
        return 0

    return by_address(tile, (__name__, "tile_kernel", (variant,)))
