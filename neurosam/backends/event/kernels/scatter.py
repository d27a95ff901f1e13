"""A layer's sums, source by source: each spike adds its weight row to every pixel it reaches, in memory.

Cost: load and store of the sums, for each vector of a weight row.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from neurosam.backends.event.kernels.layout import (
    CODE_RECORD,
    KERNEL_HEIGHT,
    KERNEL_WIDTH,
    OUTPUTS,
    PADDING_X,
    PADDING_Y,
    STRIDE_X,
    STRIDE_Y,
    TABLES,
    Conv,
    Strip,
    Workspace,
)
from neurosam.backends.event.kernels.neurons import neuron_view, piece_state, step_pixels, usual
from neurosam.backends.event.runtime.jit import inlined_source
from neurosam.backends.event.simd.calls import call
from neurosam.backends.event.simd.load_store import load, load_first, load_weights, store, store_first
from neurosam.backends.event.simd.vectors import LANES

__all__ = ["scatter", "scattered_strip"]

Array = npt.NDArray[Any]
Int = npt.NDArray[np.int64]


@inlined_source
def scatter(start: Array, pixels: int, index: Array, begin: int, conv: Conv, top: int, acc: Array) -> int:
    """Add a list of spikes, of pixels from `begin` on, to ``acc (steps, rows, W', >= O)``.

    A spike at y reaches the output rows ``yo`` with ``0 <= y + padding - yo * stride < kernel``; this value is the
    kernel row of its weights. Returns the synaptic operations.
    """
    geometry, weight = conv.geometry, conv.weight
    channels, width, size = conv.source[0], conv.source[2], geometry[OUTPUTS]
    rows, out_width, pitch = acc.shape[1], acc.shape[2], acc.shape[3]
    active = 0
    for k in range(acc.shape[0]):
        for q in range(pixels):
            first, last = start[k * pixels + q], start[k * pixels + q + 1]
            if first == last:
                continue
            y, x = (begin + q) // width + geometry[PADDING_Y], (begin + q) % width + geometry[PADDING_X]
            low, high = max(0, y - geometry[KERNEL_HEIGHT] + 1), y // geometry[STRIDE_Y]
            left, right = max(0, x - geometry[KERNEL_WIDTH] + 1), min(x // geometry[STRIDE_X], out_width - 1)
            y_first = max(top, (low + geometry[STRIDE_Y] - 1) // geometry[STRIDE_Y])
            y_last = min(high, top + rows - 1)
            x_first = (left + geometry[STRIDE_X] - 1) // geometry[STRIDE_X]
            for yo in range(y_first, y_last + 1):
                for xo in range(x_first, right + 1):
                    at = ((k * rows + yo - top) * out_width + xo) * pitch
                    tap = (y - yo * geometry[STRIDE_Y]) * geometry[KERNEL_WIDTH] + x - xo * geometry[STRIDE_X]
                    shift = tap * channels - (begin + q) * channels
                    for e in range(first, last):
                        row = (index[e] + shift) * size
                        for o in range(0, size - LANES + 1, LANES):
                            store(load(acc, at + o) + load_weights(weight, row + o), acc, at + o)
                        rest = size % LANES
                        if rest:
                            o = size - rest
                            total = load_first(acc, at + o, rest) + load_weights(weight, row + o)
                            store_first(total, acc, at + o, rest)
            active += (last - first) * max(0, y_last + 1 - y_first) * max(0, right + 1 - x_first)
    return int(active * size)


@inlined_source
def scattered_strip(
    stage: Any, strip: Strip, workspace: Workspace, whole: bool, options: bool, plain: bool, counted: bool
) -> int:  # fmt: skip
    """Scatter the spikes of a strip and update its neurons; returns the synaptic operations.

    The last four are literals. `whole`: channels are padded to whole vectors; the others are those of
    :class:`~neurosam.backends.event.kernels.tile.Variant`.
    """
    conv, rule, state, code = stage.conv, stage.rule, piece_state(stage, strip.piece), stage.code
    out_width, pitch = conv.size[1], state.v.shape[1]
    rows = strip.bottom - strip.top
    row = rows * out_width * pitch
    most = workspace.sums.size // row
    view, exponent, scratch = neuron_view(rule, state, False), conv.exponent, np.empty(LANES, np.int32)
    tables = options and rule.flags[TABLES] != 0
    if not options:
        view = usual(view, counted)
    if plain:
        exponent = 0
    operations = 0
    for done in range(0, strip.steps, most):
        length = min(most, strip.steps - done)
        flat = workspace.sums[: length * row]
        for j in range(flat.size):
            flat[j] = 0
        sums = flat.reshape(length, rows, out_width, pitch)
        operations += scatter(
            workspace.start[done * strip.pixels :], strip.pixels, workspace.spikes, strip.begin, conv, strip.top, sums
        )
        pixel_sums, begin = flat.reshape(length, rows * out_width, pitch), strip.top * out_width
        for k in range(length):
            t = strip.first + done + k
            step_pixels(pixel_sums, exponent, k, t, begin, strip.base, rule, state, view, tables, whole, scratch)
            if code[CODE_RECORD] != 0:
                place = Strip(
                    strip.piece, strip.top, strip.bottom, begin, rows * out_width, t - strip.base, 1, t, strip.base, -1
                )  # fmt: skip
                call(code[CODE_RECORD], stage, place, workspace)
    return operations
