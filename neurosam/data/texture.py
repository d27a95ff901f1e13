"""Smooth random backgrounds, the same bytes on every machine.

A texture is value noise: random bytes on the knots of a lattice, interpolated smoothly, summed over three lattices with
4, 8 and 16 cells per side and random weights (so that some textures look like clouds and some like grain), and then
stretched to the requested range. All values are integers. The interpolation is a product of small integer matrices in
float32, which is exact because every partial sum stays below 2**24: at most 12 (weights) * 64 * 64 (blends) * 255 =
12.5 million.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from neurosam.data.draws import Purpose, below, words

_CELLS = (4, 8, 16)
_PARTS = 64  # a blend of two knots is k/64 and (64 - k)/64
_HEAVIEST = 4  # a lattice's weight is 1 .. 4


def textures(
    seed: int, samples: Sequence[int] | NDArray[np.int64], height: int, width: int, top: int
) -> NDArray[np.uint8]:
    """Make one texture per sample.

    Parameters
    ----------
    seed : int
        0 .. 2**64 - 1.
    samples : sequence of int, length N
        Sample numbers; texture i depends only on (seed, samples[i]) and on the size.
    height, width : int
        Pixels.
    top : int
        Brightest level, 0 .. 255; the darkest pixel of a texture is 0 and the brightest is `top`.

    Returns
    -------
    uint8 [N, height, width]
    """
    knots = sum((cells + 1) ** 2 for cells in _CELLS)
    drawn = words(seed, Purpose.TEXTURE, samples, knots + len(_CELLS))
    noise = np.zeros((len(samples), height, width), dtype=np.float32)
    used = len(_CELLS)
    for octave, cells in enumerate(_CELLS):
        side = cells + 1
        lattice = below(drawn[:, used : used + side**2], 256).astype(np.float32).reshape(-1, side, side)
        used += side**2
        weight = 1 + below(drawn[:, octave], _HEAVIEST).astype(np.float32)
        noise += weight[:, None, None] * (_blend(height, cells) @ lattice @ _blend(width, cells).T)
    level = noise.astype(np.int64)
    level -= level.min(axis=(1, 2), keepdims=True)
    span = np.maximum(level.max(axis=(1, 2), keepdims=True), 1)
    stretched: NDArray[np.uint8] = (level * top // span).astype(np.uint8)
    return stretched


def _blend(pixels: int, cells: int) -> NDArray[np.float32]:
    """Return integers, float32 [pixels, cells + 1]: each row holds the weights (out of 64) of the two nearest knots."""
    position = np.arange(pixels) * cells * _PARTS // pixels
    knot, part = np.divmod(position, _PARTS)
    part = part * part * (3 * _PARTS - 2 * part) // _PARTS**2  # smoothstep: 3 x^2 - 2 x^3, flat at the knots
    parts = np.zeros((pixels, cells + 1), dtype=np.float32)
    row = np.arange(pixels)
    parts[row, knot] = _PARTS - part
    parts[row, knot + 1] = part
    return parts
