"""Sums of int8 weights in vectors of 16-bit lanes: two weights per lane, or the sums of whole patterns of spikes.

**Pairs.** Lane j of n holds two of 2 n weights, ``256 * w[n + j] + (w[j] + 128)``, so that two 16-bit sums over
r <= 256 rows

    all = sum of lanes  (mod 2^16)          high = sum of (lane >> 8) = sum of w[n + j]

give both sums exactly: ``sum of w[j] = all - 256 high - 128 r``, within -32768..32512. One load, one shift and two
additions add 2 n weights; :func:`paired` brings weights into this order. n is 32 (a register of AVX-512), or 16 where
at most 32 channels of a layer are left.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.extending import register_model

from neurosam.backends.event.simd.load_store import element_pointer
from neurosam.backends.event.simd.vectors import (
    I16,
    I32,
    Lanes,
    Vector,
    VectorModel,
    aligned,
    build_add,
    build_splat,
    instruction,
    llvm_function,
)

__all__ = [
    "GROUP", "HALF_TILE", "MOST_ROWS", "TILE", "Shorts", "add", "add_scalar", "high_weights", "iota_i16x32", "paired",
    "shift_left", "tiled", "tiles", "to_int32", "unpack", "unpair_sums", "zeros_i16x16", "zeros_i16x32",
    "zeros_i16x64",
]  # fmt: skip

TILE = 64
"""Channels that a kernel processes at once."""

HALF_TILE = 32

MOST_ROWS = 256
"""Rows that may be added before the 16-bit sums have to be moved to 32 bits."""

GROUP = 8
"""Rows that a kernel adds at once."""


def tiles(channels: int) -> list[tuple[int, int]]:
    """First channel and width of each tile: 64, or 32 for the last one if at most 32 channels are left."""
    return [(c, TILE if channels - c > HALF_TILE else HALF_TILE) for c in range(0, channels, TILE)]


def paired(weight: npt.NDArray[np.int8], tile: int = TILE) -> npt.NDArray[np.int8]:
    """Rows of weights ``(rows, targets)`` in the order of Pairs, targets padded with 0 to a multiple of `tile`."""
    rows, targets = weight.shape
    count = -(-targets // tile)
    full = np.zeros((rows, count * tile), np.int8)
    full[:, :targets] = weight
    halves = full.reshape(rows, count, 2, tile // 2)
    out = aligned((rows, count, tile // 2, 2), np.int8)
    out[..., 0] = halves[:, :, 0] ^ np.int8(-128)
    out[..., 1] = halves[:, :, 1]
    return out.reshape(rows, count * tile)


def tiled(weight: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Weights tile by tile, flat: all rows of the first tile, then of the next; int8 weights are :func:`paired`.

    Each tile ends with a row of zeros, and is padded with zeros to its width.
    """
    rows = len(weight) + 1
    weight = np.pad(weight, ((0, 1), (0, 0)))
    parts = [(c, _whole(weight[:, c : c + width], width)) for c, width in tiles(weight.shape[1])]
    out = aligned((sum(part.size for _, part in parts),), weight.dtype)
    for c, part in parts:
        out[rows * c : rows * c + part.size] = part.reshape(-1)
    return out


def _whole(weight: npt.NDArray[Any], width: int) -> npt.NDArray[Any]:
    """The weights of one tile, padded to its width."""
    if weight.dtype == np.int8:
        return paired(weight, width)
    return np.pad(weight, ((0, 0), (0, width - weight.shape[1])))


class Shorts(Vector):
    """int16 lanes."""

    def __init__(self, count: int) -> None:
        super().__init__("Shorts", I16, count)


register_model(Shorts)(VectorModel)


@instruction
def zeros_i16x16(typing: Any) -> Any:
    """0 in sixteen lanes."""
    return _nothing(16)


@instruction
def zeros_i16x32(typing: Any) -> Any:
    """0 in 32 lanes."""
    return _nothing(32)


@instruction
def zeros_i16x64(typing: Any) -> Any:
    """0 in 64 lanes."""
    return _nothing(64)


@instruction
def iota_i16x32(typing: Any) -> Any:
    """0, 1, 2 ... 31."""

    def build(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return ir.Constant(sig.return_type.form, list(range(32)))

    return Shorts(32)(), build


def _nothing(count: int) -> Any:
    def build(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return ir.Constant(sig.return_type.form, [0] * count)

    return Shorts(count)(), build


@instruction
def unpack(typing: Any, array: Any, at: Any, mask: Any) -> Any:
    """64 weights as Pairs: for each set bit of `mask` the next one from ``array[at]`` on (int8, biased), else 0."""

    def build(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        bits = ir.VectorType(ir.IntType(1), TILE)
        vector = ir.VectorType(ir.IntType(8), TILE)
        size = builder.ctpop(args[2])
        place = element_pointer(context, builder, sig.args[0], args[0], args[1], ir.IntType(8), size)
        kind = ir.FunctionType(vector, [place.type, bits, vector])
        expand = llvm_function(builder, f"llvm.masked.expandload.v{TILE}i8", kind)
        nothing = ir.Constant(vector, [-128, 0] * (TILE // 2))
        spread = builder.call(expand, [place, builder.bitcast(args[2], bits), nothing])
        return builder.bitcast(spread, sig.return_type.form)

    return Shorts(TILE // 2)(array, types.intp, types.uint64), build


@instruction
def add(typing: Any, x: Any, y: Any) -> Any:
    """Sum, lane by lane; of integers modulo 2^16."""

    def build(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return build_add(builder, *args)

    return x(x, y), build


@instruction
def add_scalar(typing: Any, x: Any, distance: Any) -> Any:
    """Add an integer to every lane, modulo 2^16."""

    def build(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.add(args[0], build_splat(builder, args[1], x.form))

    return x(x, types.int64), build


@instruction
def shift_left(typing: Any, x: Any, bits: Any) -> Any:
    """Shift every lane left by fewer than 16 bits."""

    def build(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.shl(args[0], build_splat(builder, args[1], x.form))

    return x(x, types.int64), build


@instruction
def high_weights(typing: Any, x: Any) -> Any:
    """The upper weight of each lane of Pairs, signed."""

    def build(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.ashr(args[0], ir.Constant(x.form, [8] * x.count))

    return x(x), build


@instruction
def to_int32(typing: Any, x: Any) -> Any:
    """Sign-extend 16-bit lanes to int32; other vectors are returned as they are."""

    def build(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.sext(args[0], sig.return_type.form) if isinstance(x, Shorts) else args[0]

    return (Lanes(x.count) if isinstance(x, Shorts) else x)(x), build


@instruction
def unpair_sums(typing: Any, both: Any, high: Any, rows: Any) -> Any:
    """The int32 sums of twice as many targets, in order, from both 16-bit sums of `rows` (at most 256) of Pairs."""

    def build(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        shifted = builder.shl(args[1], ir.Constant(both.form, [8] * both.count))
        offset = build_splat(builder, builder.shl(args[2], ir.Constant(args[2].type, 7)), both.form)
        low = builder.sub(builder.sub(args[0], shifted), offset)
        order = ir.Constant(ir.VectorType(I32, 2 * both.count), list(range(2 * both.count)))
        return builder.sext(builder.shuffle_vector(low, args[1], order), sig.return_type.form)

    return Lanes(2 * both.count)(both, high, types.int64), build
