"""A layer of neurons behind one convolution, from bit planes to bit planes in one kernel: the fast path.

A layer is cut into strips of output rows, which are independent: threads take them one by one. An all-to-all projection
is a convolution whose kernel is the whole picture. A strip runs a block of steps at a time:

    list      the spikes of the strip's sources, then for each output pixel its weight rows, one per spike in its window
              (kernels/spike_lists.py), or the patterns of spikes in its window (kernels/spike_patterns.py)
    tile      for 64 output channels, every step and every pixel: add up the rows in registers, update the neurons
              (kernels/tile.py)
    trace     SAM, for the neurons that fired (kernels/sam_by_spike.py)

Tiles are the outer loop, so that a tile's weights stay in the cache, and the lists are made once for all tiles. Sums
never reach memory; a membrane is read and written once per step. There are three ways to add up a pixel's sums:

**Gather** adds weight rows: of int8, 64 weights with one or two instructions (simd/int16.py), or 64 lanes of floats.

**Look-up.** A first layer of few channels has so few sources per kernel row that the sums of all patterns of spikes fit
a table: one vector per kernel row, whatever the activity, and no branch.

**Scatter** adds each spike's weight row to the sums of every pixel it reaches, in memory, and then updates the neurons
(kernels/scatter.py): for layers of few output channels, and for nearly silent ones.

For each block the activity is measured and one way is chosen; the sums are the same integers. Float sums are added in
a different order by each way, and agree to rounding.

What limits them: the gather, one load, one shift and two additions for 64 weights, from the cache that holds a tile's
weights, and one mispredicted branch per pixel, at the end of its list; the look-up, the neurons; the scatter, load and
store of the sums. On one core of an EPYC (Zen 5) the gather adds 234 G weights/s from L1 and 159 with 1.2 MB of
weights; vgg11-64's seven wide layers, lists and neurons included, 118 to 163 (`neurosam bench`). The gather is least
efficient where a pixel has few rows (its neurons cost as much as 16 rows) and where weights are fetched from a distant
cache for few pixels.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from neurosam.backends.event.kernels.layout import (
    ANY_WAY,
    GATHER,
    GATHERED,
    KERNEL_HEIGHT,
    KERNEL_WIDTH,
    LOOK_UP,
    LOOKED_UP,
    OUTPUTS,
    PADDING_Y,
    SCATTERED,
    STRIDE_X,
    STRIDE_Y,
    Conv,
    Rule,
    State,
    Workspace,
)
from neurosam.backends.event.kernels.scatter import scattered_strip
from neurosam.backends.event.kernels.spike_lists import active, decode, decode_short, windows
from neurosam.backends.event.kernels.spike_patterns import patterns
from neurosam.backends.event.kernels.tile import tiled_strip
from neurosam.backends.event.runtime.jit import inlined_source, kernel
from neurosam.backends.event.simd.int16 import GROUP, HALF_TILE, TILE

__all__ = ["GATHER_ROWS", "layer"]

Array = npt.NDArray[Any]
Int = npt.NDArray[np.int64]

GATHER_ROWS = 0.5
"""Active sources per output pixel from which on the gather is faster than the scatter."""


@kernel
def _block(
    planes: Array, at: int, steps: int, begin: int, end: int, channels: int, reach: int, out_pixels: int,
    workspace: Workspace,
) -> tuple[int, int]:  # fmt: skip
    """How many of the steps from plane `at` on fit the workspace, at least one, and their spikes in ``begin:end``."""
    pixels = end - begin
    spare = pixels * channels + TILE  # for one more step, whose spikes are not counted yet
    most = min((workspace.start.size - 1) // max(1, pixels), (workspace.edges.size - 1) // out_pixels, steps)
    length = count = 0
    while (
        length < most
        and count + spare <= workspace.spikes.size
        and (count + spare) * reach + GROUP * (length + 1) * out_pixels <= workspace.rows.size
    ):
        count += active(planes, at + length, begin, end)
        length += 1
    return length, count


@inlined_source
def layer(
    planes: Array, at: int, conv: Conv, steps: int, first: int, base: int, top: int, bottom: int, force: int,
    rule: Rule, state: State, workspace: Workspace, work: Int,
) -> int:  # fmt: skip
    """Run output rows ``top:bottom`` of a layer for `steps` steps, from own step `first` on.

    Parameters
    ----------
    planes : (kept, H * W, words) array
        Bit planes of the source.
    at : int
        Plane that arrives in step `first`.
    conv, rule, state
        See kernels/layout.py.
    base : int
        Own step of the state's first row.
    force : int
        A :class:`Way`: ANY_WAY to choose, or one of the others, as far as the convolution can.
    workspace : Workspace
        Large enough for any single step in which all sources fire.
    work : (4,) array
        See :class:`Work`; the blocks are added to.

    Returns
    -------
    int
        Synaptic operations.
    """
    height, width, channels = conv.source[1], conv.source[2], conv.source[0]
    geometry, out_pixels = conv.geometry, (bottom - top) * conv.size[1]
    y_first = max(0, top * geometry[STRIDE_Y] - geometry[PADDING_Y])
    y_end = max(y_first, min(height, (bottom - 1) * geometry[STRIDE_Y] - geometry[PADDING_Y] + geometry[KERNEL_HEIGHT]))
    begin, end = y_first * width, y_end * width
    pixels = end - begin
    reach = (-(-geometry[KERNEL_HEIGHT] // geometry[STRIDE_Y])) * (
        -(-geometry[KERNEL_WIDTH] // geometry[STRIDE_X])
    )  # output pixels that one spike reaches at most
    look_up = conv.tables.size > 0 and force in (ANY_WAY, LOOK_UP)
    operations = done = 0
    while done < steps:
        if look_up:
            listed = (bottom - top - 1) * geometry[STRIDE_Y] + geometry[KERNEL_HEIGHT]
            length = min(steps - done, (workspace.rows.size - HALF_TILE) // max(1, listed * conv.size[1]))
            rows = patterns(planes, at + done, conv, top, bottom, length, workspace)
            tiled_strip(look_up, conv, length, top, bottom, first + done, base, rule, state, workspace)
            operations += rows * geometry[OUTPUTS]
            work[LOOKED_UP] += 1
            done += length
            continue
        length, count = _block(planes, at + done, steps - done, begin, end, channels, reach, out_pixels, workspace)
        if conv.pairs.size and (
            force >= GATHER or (force == ANY_WAY and count * reach >= GATHER_ROWS * length * out_pixels)
        ):
            short = workspace.spikes.view(np.uint16)
            decode_short(planes, at + done, length, begin, end, channels, workspace.start, short)
            rows = windows(conv, begin, pixels, top, bottom, length, workspace)
            tiled_strip(look_up, conv, length, top, bottom, first + done, base, rule, state, workspace)
            operations += rows * geometry[OUTPUTS]
            work[GATHERED] += 1
        else:
            decode(planes, at + done, length, begin, end, channels, workspace.start, workspace.spikes)
            operations += scattered_strip(
                conv, begin, pixels, length, top, bottom, first + done, base, rule, state, workspace
            )
            work[SCATTERED] += 1
        done += length
    return operations
