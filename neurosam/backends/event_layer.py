"""A layer of neurons behind one convolution, from bit planes to bit planes in one kernel: the fast path.

A layer is cut into strips of output rows, which are independent: threads take them one by one. All to all is a
convolution whose kernel is the whole picture. A strip runs a block of steps at a time:

    list      spikes of the strip's sources, then the weight rows of each output pixel (a row a spike it hears)
    tile      for 64 output channels, every step and every pixel: add the rows up in registers, advance the neurons
    trace     SAM, for the neurons that fired

Tiles are the outer loop, so that a tile's weights stay in the cache, and the lists are made once for all tiles. Sums
never reach memory; a membrane is read and written once a step. There are three ways to a pixel's sums:

**Gather.** Weight rows of int8, 64 an instruction or two (event_short.py), or of reals, 64 lanes.

**Look-up.** A first layer of few channels has so few sources a kernel row that the sums of all patterns of spikes fit
a table: one vector a kernel row, whatever the activity, and no branch.

**Scatter** adds each spike's weight row to the sums of every pixel it reaches, in memory, and then advances the
neurons (event_neuron.block): for layers of few output channels, and for silent ones.

Each block measures its activity and takes one of them; the sums are the same integers. Reals are added in another
order by each, so that their sums agree to rounding.

What limits them: the gather, one load, one shift and two additions for 64 weights, from the cache that holds a tile's
weights, and one mispredicted branch a pixel, at the end of its list; the look-up, the neurons; the scatter, load and
store of the sums. On one core of an EPYC (Zen 5) the gather adds 261 G weights/s from the first cache and 165 with
1.2 MB of weights; vgg11-64's seven wide layers, lists and neurons included, 111 to 161 (`neurosam bench`). The most is
lost where a pixel has few rows (its neurons cost as much as 20 rows) and where weights come from afar for few pixels.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import types
from numba.extending import overload

from neurosam.backends.event_compile import inlined, kernel
from neurosam.backends.event_neuron import (
    advance,
    arrived,
    block,
    cell,
    keep,
    normalised,
    scaled,
)  # fmt: skip
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
)  # fmt: skip
from neurosam.backends.event_state import CURRENTS, FIRES, MEMBRANE, SAM, TABLES, Rule, State
from neurosam.backends.event_synapse import decode_step
from neurosam.backends.event_trace import trace, trace_listed
from neurosam.backends.event_vector import (
    CACHE_LINE,
    LANES,
    Reals,
    address,
    item,
    load,
    load_as,
    load_some,
    load_weights,
    no_reals,
    ones,
    put,
    store,
    store_some,
)  # fmt: skip

__all__ = ["GATHER_ROWS", "Conv", "Room", "added", "layer", "scatter"]

Array = npt.NDArray[Any]
Int = npt.NDArray[np.int64]

GATHER_ROWS = 0.5
"""Active sources an output pixel from which on the gather is faster than the scatter."""
SCATTER, GATHER, LOOK_UP = 1, 2, 3
"""Ways to the sums, as `force` names them."""


class Conv(NamedTuple):
    """A convolution as the fast path takes it.

    Parameters
    ----------
    source : (C, H, W) of the source population
    geometry : kernel, stride, padding (height and width each), dilation 1, 1, groups 1, and O
    size : (H', W') of the target
    weight : (kH, kW, C, O) int8, float32 or float64 array, flat, with 15 spare weights
    pairs : array of its type
        The same, ``(kH kW C, O)`` in tiles (event_short.tiled), int8 as Pairs; empty if the gather cannot take it.
    tables : array of int16, or of its type
        By tile: (kH, 2^(kW C), width), the sums of every pattern of a kernel row; flat; empty if there is none.
    exponent : int
        Of the projection.
    narrow : bool
        Whether no input to a neuron can leave 24 bits, so that a current need not wrap.
    """

    source: Int
    geometry: Int
    size: Int
    weight: Array
    pairs: Array
    tables: Array
    exponent: int
    narrow: bool


class Room(NamedTuple):
    """Memory of one thread, for any layer.

    `start` and `spikes` list spikes (event_synapse.py). `rows` lists weight rows by output pixel, pixel i's from
    ``edges[i]`` on, or the patterns of kernel rows (uint16); `sums` are those of the scatter (flat).
    """

    start: Array
    spikes: Array
    rows: Array
    edges: Array
    sums: Array


# --- lists ---


@kernel
def _windows(conv: Conv, begin: int, pixels: int, top: int, bottom: int, steps: int, room: Room) -> int:
    """List the weight rows of each output pixel, from the spikes of pixels from `begin` on; returns their number.

    The sources of one kernel row lie side by side in the list of spikes, because it is in the order of ``(y, x, c)``
    and so are the weights ``[ky, kx, c]``: source j has row ``j + (ky kW - y W - x_0) C``.
    """
    geometry, out_width = conv.geometry, conv.size[1]
    channels, height, width = conv.source[0], conv.source[1], conv.source[2]
    kernel_height, kernel_width, stride, stride_x = geometry[0], geometry[1], geometry[2], geometry[3]
    padding, padding_x = geometry[4], geometry[5]
    start, index = address(room.start, 0), address(room.spikes, 0)
    rows, edges = address(room.rows, 0), address(room.edges, 0)
    some = widened(no_shorts_32())
    count = slot = 0
    for k in range(steps):
        for yo in range(top, bottom):
            y_0 = yo * stride - padding
            y_first, y_end = max(0, y_0), min(height, y_0 + kernel_height)
            for xo in range(out_width):
                x_0 = xo * stride_x - padding_x
                x_first = max(0, x_0)
                x_end = max(x_first, min(width, x_0 + kernel_width))
                put(count, edges, slot)
                slot += 1
                for y in range(y_first, y_end):
                    at = k * pixels - begin + y * width
                    first, end = item(start, at + x_first), item(start, at + x_end)
                    shift = ((y - y_0) * kernel_width - y * width - x_0) * channels
                    store(load_as(some, index, first) + shift, rows, count)  # most have no more, so no branch
                    for e in range(first + HALF_TILE, end, HALF_TILE):
                        store(load_as(some, index, e) + shift, rows, count + e - first)
                    count += end - first
    put(count, edges, slot)
    return count


@kernel
def _patterns(
    planes: Array, at: int, conv: Conv, y_first: int, y_end: int, top: int, bottom: int, steps: int, room: Room
) -> int:  # fmt: skip
    """List the pattern of spikes of each kernel row, by step, source row and output column.

    Bit ``kx C + c`` is channel c of the window's column kx. Returns the number of weight rows they stand for.
    """
    geometry, out_width = conv.geometry, conv.size[1]
    channels, width, pixels = conv.source[0], conv.source[2], planes.shape[1]
    last = np.uint64((geometry[1] - 1) * channels)
    kernel_width, stride_x, padding_x = geometry[1], geometry[3], geometry[5]
    words, rows = address(planes, at * pixels), address(room.rows, 0)
    total = slot = 0
    for k in range(steps):
        for y in range(y_first, y_end):
            low, high = max(0, y + geometry[4] - geometry[0] + 1), y + geometry[4]
            reached = min(high // geometry[2], bottom - 1) - max((low + geometry[2] - 1) // geometry[2], top) + 1
            count = 0
            window = np.uint64(0)
            x = -padding_x
            for xo in range(out_width):
                while x < xo * stride_x - padding_x + kernel_width:
                    window >>= np.uint64(channels)
                    if 0 <= x < width:
                        window |= np.uint64(item(words, k * pixels + y * width + x)) << last
                    x += 1
                put(window, rows, slot)
                count += ones(window)
                slot += 1
            total += count * max(0, reached)
    return total


# --- tiles ---


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
def _tiles(
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
        for t in range(first, first + steps):
            _trace_strip(t, t - base, begin, end, conv.geometry[9], rule, state, room)


def _trace_strip(
    t: Any, at: Any, begin: Any, end: Any, channels: Any, rule: Any, state: Any, room: Any
) -> None:  # fmt: skip
    """The traces of a strip; the difference of two running sums is exact for integers alone."""
    raise NotImplementedError  # compiled only


@overload(_trace_strip)
def _trace_strip_compiled(
    t: Any, at: Any, begin: Any, end: Any, channels: Any, rule: Any, state: Any, room: Any
) -> Callable[..., Any]:  # fmt: skip
    def integers(
        t: Any, at: Any, begin: Any, end: Any, channels: Any, rule: Any, state: Any, room: Any
    ) -> None:  # fmt: skip
        count = decode_step(state.planes, at, begin, end, channels, 0, 0, room.start, room.spikes)
        room.start[end - begin] = count
        trace_listed(t, begin, end - begin, at, room.start, room.spikes, room.sums, rule, state)

    def reals(
        t: Any, at: Any, begin: Any, end: Any, channels: Any, rule: Any, state: Any, room: Any
    ) -> None:  # fmt: skip
        trace(t, begin, end, at, rule, state)

    return reals if isinstance(room.types[4].dtype, types.Float) else integers


# --- scatter ---


@kernel
def scatter(start: Array, pixels: int, index: Array, begin: int, conv: Conv, top: int, acc: Array) -> int:
    """Add a list of spikes of pixels from `begin` on to ``acc (steps, rows, W', >= O)``, by sources.

    A spike at y reaches the rows ``yo`` with ``0 <= y + padding - yo * stride < kernel``, by kernel row of that value.
    Returns the synaptic operations.
    """
    geometry, weight = conv.geometry, conv.weight
    channels, width, size = conv.source[0], conv.source[2], geometry[9]
    rows, out_width, pitch = acc.shape[1], acc.shape[2], acc.shape[3]
    active = 0
    for k in range(acc.shape[0]):
        for q in range(pixels):
            first, last = start[k * pixels + q], start[k * pixels + q + 1]
            if first == last:
                continue
            y, x = (begin + q) // width + geometry[4], (begin + q) % width + geometry[5]
            low, high = max(0, y - geometry[0] + 1), y // geometry[2]
            left, right = max(0, x - geometry[1] + 1), min(x // geometry[3], out_width - 1)
            y_first = max(top, (low + geometry[2] - 1) // geometry[2])
            y_last = min(high, top + rows - 1)
            x_first = (left + geometry[3] - 1) // geometry[3]
            for yo in range(y_first, y_last + 1):
                for xo in range(x_first, right + 1):
                    at = ((k * rows + yo - top) * out_width + xo) * pitch
                    tap = (y - yo * geometry[2]) * geometry[1] + x - xo * geometry[3]
                    shift = tap * channels - (begin + q) * channels
                    for e in range(first, last):
                        row = (index[e] + shift) * size
                        for o in range(0, size - LANES + 1, LANES):
                            store(load(acc, at + o) + load_weights(weight, row + o), acc, at + o)
                        rest = size % LANES
                        if rest:
                            o = size - rest
                            total = load_some(acc, at + o, rest) + load_weights(weight, row + o)
                            store_some(total, acc, at + o, rest)
            active += (last - first) * max(0, y_last + 1 - y_first) * max(0, right + 1 - x_first)
    return int(active * size)


@kernel
def _clear(sums: Array) -> None:
    """Set sums to 0."""
    flat = sums.reshape(sums.size)
    for j in range(flat.size):
        flat[j] = 0


@kernel
def _scattered(
    conv: Conv, begin: int, pixels: int, steps: int, top: int, bottom: int, first: int, base: int, rule: Rule,
    state: State, room: Room,
) -> int:  # fmt: skip
    """Sums by scattering, and neurons, of a strip for a block of steps; returns the synaptic operations."""
    out_width, pitch = conv.size[1], state.v.shape[1]
    row = (bottom - top) * out_width * pitch
    most = room.sums.size // row
    operations = 0
    for done in range(0, steps, most):
        length = min(most, steps - done)
        sums = room.sums[: length * row].reshape(length, bottom - top, out_width, pitch)
        _clear(sums)
        operations += scatter(room.start[done * pixels :], pixels, room.spikes, begin, conv, top, sums)
        pixel_sums = sums.reshape(length, (bottom - top) * out_width, pitch)
        block(pixel_sums, conv.exponent, length, first + done, top * out_width, base, rule, state)
    return operations


@kernel
def layer(
    planes: Array, at: int, conv: Conv, steps: int, first: int, base: int, top: int, bottom: int, force: int,
    rule: Rule, state: State, room: Room, work: Int,
) -> int:  # fmt: skip
    """Run output rows ``top:bottom`` of a layer for `steps` steps, from own step `first` on.

    Parameters
    ----------
    planes : (kept, H * W, words) array
        Bit planes of the source.
    at : int
        Plane that arrives in step `first`.
    conv, rule, state
    base : int
        Own step of the state's first row.
    force : int
        0: choose; 1: scatter; 2: gather; 3: look up, as far as the convolution can.
    room : Room
        Large enough for any one step whose sources all fire.
    work : (3,) array
        Blocks that were scattered, gathered and looked up; added to.

    Returns
    -------
    int
        Synaptic operations.
    """
    height, width, channels = conv.source[1], conv.source[2], conv.source[0]
    geometry, out_pixels = conv.geometry, (bottom - top) * conv.size[1]
    y_first = max(0, top * geometry[2] - geometry[4])
    y_end = max(y_first, min(height, (bottom - 1) * geometry[2] - geometry[4] + geometry[0]))
    begin, end = y_first * width, y_end * width
    pixels = end - begin
    reach = (-(-geometry[0] // geometry[2])) * (-(-geometry[1] // geometry[3]))  # most pixels that hear a spike
    spare = pixels * channels + HALF_TILE
    operations = done = 0
    while done < steps:
        if conv.tables.size and (force == 0 or force == LOOK_UP):
            length = min(steps - done, room.rows.size // max(1, (y_end - y_first) * conv.size[1]))
            rows = _patterns(planes, at + done, conv, y_first, y_end, top, bottom, length, room)
            _tiles(True, conv, length, y_first, y_end, top, bottom, first + done, base, rule, state, room)
            operations += rows * geometry[9]
            work[2] += 1
            done += length
            continue
        most = min((room.start.size - 1) // max(1, pixels), (room.edges.size - 1) // out_pixels, steps - done)
        length = count = 0
        while length < most and count + spare <= room.spikes.size and (count + spare) * reach <= room.rows.size:
            count = decode_step(
                planes, at + done + length, begin, end, channels, count, length * pixels, room.start, room.spikes
            )
            length += 1
        room.start[length * pixels] = count
        if conv.pairs.size and (force >= GATHER or (force == 0 and count * reach >= GATHER_ROWS * length * out_pixels)):
            rows = _windows(conv, begin, pixels, top, bottom, length, room)
            _tiles(False, conv, length, y_first, y_end, top, bottom, first + done, base, rule, state, room)
            operations += rows * geometry[9]
            work[1] += 1
        else:
            operations += _scattered(conv, begin, pixels, length, top, bottom, first + done, base, rule, state, room)
            work[0] += 1
        done += length
    return operations
