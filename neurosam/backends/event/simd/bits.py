"""Words of spikes: how many bits are set, where they are, and vector comparisons as words.

:func:`bit_positions` and :func:`compress` are one instruction on CPUs with AVX-512 VBMI2 (:func:`has_compress`), slow
on others, and used only where they are fast. That instruction waits for the previous value of its destination register
(Zen 5): a register that nothing else writes makes a chain of such instructions, 5 cycles each. Lanes behind the last
are therefore defined as those of another vector, which is copied into the destination first and breaks the chain.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.core.registry import cpu_target
from numba.extending import register_model

from neurosam.backends.event.simd.int16 import Shorts
from neurosam.backends.event.simd.vectors import (
    I1,
    I32,
    I64,
    LANES,
    Lanes,
    Mask,
    Vector,
    VectorModel,
    instruction,
    literal_instruction,
    llvm_function,
)

__all__ = [
    "bit_positions", "compress", "has_compress", "lane_popcounts", "mask_bits", "mask_from_bits", "popcount",
    "sixteen_bytes", "trailing_zeros",
]  # fmt: skip


@instruction
def mask_bits(typing: Any, mask: Any) -> Any:
    """A mask as the low bits of a word; lane 0 is the lowest bit."""

    def build(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        word = builder.bitcast(args[0], ir.IntType(mask.count))
        return word if mask.count == I64.width else builder.zext(word, I64)

    return types.uint64(mask), build


@instruction
def mask_from_bits(typing: Any, low: Any, high: Any, other: Any) -> Any:
    """The bits of a word, followed by those of a second one if 64 are too few, as a mask for `other`'s lanes."""

    def build(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        form = ir.IntType(other.count)
        if other.count <= I64.width:
            word = args[0] if other.count == I64.width else builder.trunc(args[0], form)
        else:
            wide = (builder.zext(half, form) for half in args[:2])
            word = builder.or_(next(wide), builder.shl(next(wide), ir.Constant(form, I64.width)))
        return builder.bitcast(word, sig.return_type.form)

    return Mask(other.count)(types.uint64, types.uint64, other), build


@instruction
def trailing_zeros(typing: Any, word: Any) -> Any:
    """Position of the lowest set bit; 64 if there is none."""

    def build(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.cttz(args[0], ir.Constant(I1, 0))

    return types.int64(types.uint64), build


class Bytes(Vector):
    """64 x int8."""

    def __init__(self) -> None:
        super().__init__("Bytes", ir.IntType(8), I64.width)


register_model(Bytes)(VectorModel)


def has_compress() -> bool:
    """Whether kernels are compiled for a CPU with AVX-512 VBMI2, where :func:`bit_positions` is one instruction.

    Asks the compiler, not the CPU: NUMBA_ENABLE_AVX, NUMBA_CPU_NAME and NUMBA_CPU_FEATURES can switch instructions off.
    """
    _, _, text = cpu_target.target_context.codegen().magic_tuple()
    features = set(text.split(","))
    return {"+avx512vbmi2", "+avx512bw"} <= features and "-avx512f" not in features


def _compress(builder: Any, x: Any, word: Any) -> Any:
    """The lanes whose bits are set, in order; the lanes behind them are arbitrary, and here the vector's own."""
    form, mask = x.type, ir.VectorType(I1, x.type.count)
    name = f"llvm.experimental.vector.compress.v{form.count}{form.element.intrinsic_name}"
    function = llvm_function(builder, name, ir.FunctionType(form, [form, mask, form]))
    if mask.count != word.type.width:
        word = builder.trunc(word, ir.IntType(mask.count))
    return builder.call(function, [x, builder.bitcast(word, mask), x])


@instruction
def bit_positions(typing: Any, word: Any) -> Any:
    """Positions of the set bits of a word, in order; the lanes behind them are arbitrary."""

    def build(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return _compress(builder, ir.Constant(sig.return_type.form, list(range(I64.width))), args[0])

    return Bytes()(types.uint64), build


@instruction
def compress(typing: Any, x: Any, word: Any) -> Any:
    """The lanes whose bits are set in a word (lane 0 is the lowest bit), in order; those behind are arbitrary."""

    def build(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return _compress(builder, args[0], args[1])

    return x(x, types.uint64), build


@literal_instruction
def sixteen_bytes(typing: Any, x: Any, quarter: Any) -> Any:
    """One quarter (a literal, 0 to 3) of the bytes, as int32 lanes."""
    if not isinstance(quarter, types.IntegerLiteral):
        return None
    first = LANES * quarter.literal_value

    def build(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        order = ir.Constant(ir.VectorType(I32, LANES), list(range(first, first + LANES)))
        nothing = ir.Constant(args[0].type, ir.Undefined)
        return builder.zext(builder.shuffle_vector(args[0], nothing, order), sig.return_type.form)

    return Lanes(LANES)(x, quarter), build


@instruction
def popcount(typing: Any, word: Any) -> Any:
    """Number of set bits."""

    def build(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.ctpop(args[0])

    return types.int64(types.uint64), build


@instruction
def lane_popcounts(typing: Any, x: Any) -> Any:
    """Number of set bits of each lane."""
    if not isinstance(x, Shorts):
        return None

    def build(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        function = llvm_function(builder, f"llvm.ctpop.v{x.count}i16", ir.FunctionType(x.form, [x.form]))
        return builder.call(function, [args[0]])

    return x(x), build
