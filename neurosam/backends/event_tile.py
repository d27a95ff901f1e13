"""Tiles of a layer: the sums of up to 64 output channels, added up in registers, and their neurons.

Weights of one tile stay in the cache for all steps and pixels of a strip. Sums never reach memory; a membrane is read
and written once a step.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import types
from numba.extending import overload

from neurosam.backends.event_bits import ones
from neurosam.backends.event_compile import inlined, kernel
from neurosam.backends.event_list import Conv, Room
from neurosam.backends.event_memory import address, item, load_as, put, store
from neurosam.backends.event_neuron import advance, arrived, cell, keep, normalised, scaled
from neurosam.backends.event_short import (
    HALF_TILE,
    MOST_ROWS,
    TILE,
    add,
    high_weights,
    load_shorts,
    no_shorts_16,
    no_shorts_32,
    no_shorts_64,
    separated,
    widened,
)
from neurosam.backends.event_state import CURRENTS, FIRES, MEMBRANE, SAM, TABLES, Rule, State
from neurosam.backends.event_trace import trace
from neurosam.backends.event_vector import CACHE_LINE, Reals, no_reals

__all__ = ["added", "tiled_strip"]

Array = npt.NDArray[Any]


@inlined
def added(zero: Any, pairs: Any, rows: Any, first: int, end: int, width: int) -> Any:
    """Sums of the weights at ``rows[first:end]`` (at most 256) of a tile whose rows are 2^width long."""
    a, b = zero, zero
    for e in range(first, end):
        x = load_shorts(zero, pairs, item(rows, e) << width)
        a, b = add(a, x), add(b, high_weights(x))
    return separated(a, b, end - first)


def _gathered(zero: Any, pairs: Any, rows: Any, first: Any, end: Any, width: Any) -> Any:
    """Sums of any number of rows of a tile."""
    raise NotImplementedError  # compiled only


@overload(_gathered, jit_options={"forceinline": True})
def _gathered_compiled(zero: Any, pairs: Any, rows: Any, first: Any, end: Any, width: Any) -> Callable[..., Any]:
    def integers(zero: Any, pairs: Any, rows: Any, first: Any, end: Any, width: Any) -> Any:
        i = added(zero, pairs, rows, first, min(end, first + MOST_ROWS), width)
        for e in range(first + MOST_ROWS, end, MOST_ROWS):
            i = i + added(zero, pairs, rows, e, min(end, e + MOST_ROWS), width)
        return i

    def reals(zero: Any, pairs: Any, rows: Any, first: Any, end: Any, width: Any) -> Any:
        i = zero
        for e in range(first, end):
            i = i + load_as(zero, pairs, item(rows, e) << width)
        return i

    return reals if isinstance(zero, Reals) else integers


@kernel
def _tile(
    zero: Any, nothing: Any, width: int, look_up: bool, column: int, conv: Conv, steps: int, y_first: int, y_end: int,
    top: int, bottom: int, first: int, base: int, rule: Rule, state: State, room: Room,
) -> None:  # fmt: skip
    """Sums and neurons of the 2^width channels from `column` on, for all pixels of a strip and a block of steps.

    `zero` and `nothing` are 0, as many lanes as a weight row and a table's entry have.
    """
    fires, tables = rule.flags[FIRES] != 0, rule.flags[TABLES] != 0
    kept = rule.flags[MEMBRANE] != 0 or rule.flags[CURRENTS] != 0
    own, exponent = cell(rule, state, conv.narrow), conv.exponent
    geometry, height, out_width = conv.geometry, conv.source[1], conv.size[1]
    kernel_height, stride, padding = geometry[0], geometry[2], geometry[4]
    sources = geometry[1] * conv.source[0]
    pairs = address(conv.pairs, kernel_height * sources * column)
    sums = address(conv.tables, (kernel_height << sources) * column)
    rows, edges, planes = address(room.rows, 0), address(room.edges, 0), address(state.planes, 0)
    words, channels, image = state.planes.shape[2], state.v.shape[1], state.planes.shape[1]
    scratch = np.empty(TILE, state.v.dtype)
    if not look_up:  # once from end to end, which memory streams: rows come in no order that a processor foresees
        seen = zero
        for at in range(0, kernel_height * sources << width, CACHE_LINE // conv.pairs.itemsize):
            seen = add(seen, load_shorts(zero, pairs, at))
        store(widened(seen), scratch, 0)
    slot = 0
    for k in range(steps):
        t = first + k
        count = 0
        for yo in range(top, bottom):
            y_0 = yo * stride - padding
            low, high = max(0, -y_0), min(kernel_height, height - y_0)
            listed = (k * (y_end - y_first) + y_0 - y_first) * out_width
            for xo in range(out_width):
                if look_up:
                    total = nothing
                    for ky in range(low, high):
                        pattern = (ky << sources) + item(rows, listed + ky * out_width + xo)
                        total = add(total, load_shorts(nothing, sums, pattern << width))
                    i = widened(total)
                else:
                    begin, end = item(edges, slot), item(edges, slot + 1)
                    slot += 1
                    i = _gathered(zero, pairs, rows, begin, end, width)
                i = scaled(i, exponent)
                i = normalised(i, column, t, rule, scratch) if tables else arrived(i)
                p = yo * out_width + xo
                fired = advance(i, p * channels + column, column, own)
                if fires:
                    put(fired, planes, ((t - base) * image + p) * words + column // TILE)
                    count += ones(fired)
        state.counts[t - base] += count
        if kept:
            keep(t - base, top * out_width, bottom * out_width, column, column + TILE, rule, state)


def _zeros(conv: Any) -> Any:
    """0 as a weight row and as a table's entry, for whole tiles, and the same for half tiles."""
    raise NotImplementedError  # compiled only


@overload(_zeros, jit_options={"forceinline": True})
def _zeros_compiled(conv: Any) -> Callable[..., Any]:
    def integers(conv: Any) -> Any:
        return no_shorts_32(), no_shorts_64(), no_shorts_16(), no_shorts_32()

    def reals(conv: Any) -> Any:
        tile, half = no_reals(conv.pairs, TILE), no_reals(conv.pairs, HALF_TILE)
        return tile, tile, half, half

    return reals if isinstance(conv.types[3].dtype, types.Float) else integers


@kernel
def tiled_strip(
    look_up: bool, conv: Conv, steps: int, y_first: int, y_end: int, top: int, bottom: int, first: int, base: int,
    rule: Rule, state: State, room: Room,
) -> None:  # fmt: skip
    """All channels of a strip for a block of steps, and their traces."""
    zero, nothing, half_zero, half_nothing = _zeros(conv)
    for column in range(0, conv.geometry[9], TILE):
        if conv.geometry[9] - column > HALF_TILE:
            _tile(
                zero, nothing, 6, look_up, column, conv, steps, y_first, y_end, top, bottom, first, base, rule, state,
                room,
            )  # fmt: skip
        else:
            _tile(
                half_zero, half_nothing, 5, look_up, column, conv, steps, y_first, y_end, top, bottom, first, base,
                rule, state, room,
            )  # fmt: skip
    if rule.flags[SAM] != 0:
        begin, end = top * conv.size[1], bottom * conv.size[1]
        trace(first, steps, begin, end, first - base, rule, state)
