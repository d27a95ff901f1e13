"""Vectors for kernels: sixteen int32 lanes that arithmetic.py's formulas run on, and sums of int8 weights in 16 bits.

Numba compiles scalars and leaves vectors to LLVM's guesses; here the vectors are said outright, as LLVM's own portable
vector types, which every CPU gets lowered to what it has (AVX-512, AVX2, NEON). Three types, by value:

    Lanes   16 x int32, with ``+ - * & >> <<`` modulo 2^32 and ``< > <=`` between lanes, or lanes and an integer
    Mask    16 x bool, what a comparison gives; ``mask * x`` selects, as it does for integers
    Pairs   32 x int16, each lane holding two weights of a row of 64

**Pairs.** Lane j of 64 weights holds ``256 * w[32 + j] + (w[j] + 128)``, so that two 16-bit sums over n <= 256 rows

    all = sum of lanes  (mod 2^16)          high = sum of (lane >> 8) = sum of w[32 + j]

give both halves exactly: ``sum of w[j] = all - 256 high - 128 n``, within -32768..32512. One load, one shift and two
additions add 64 weights; :func:`paired` brings weights into this order.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.core.typing.templates import ConcreteTemplate, Signature, infer_global
from numba.extending import intrinsic, lower_builtin, models, register_model

__all__ = [
    "CACHE_LINE", "LANES", "MOST_ROWS", "TILE", "add", "add_pairs", "aligned", "bits", "high_weights", "lanes", "load",
    "load_pairs", "load_some", "load_weights", "no_pairs", "ones", "paired", "store", "store_pairs", "store_some",
    "trailing_zeros", "unpack",
]  # fmt: skip

LANES = 16
"""int32 lanes of a vector."""

TILE = 64
"""Weights of a row that one vector of pairs holds."""

CACHE_LINE = 64
"""Bytes."""

MOST_ROWS = 256
"""Rows that may be added before the 16-bit sums have to be emptied."""

_I16, _I32, _I64 = ir.IntType(16), ir.IntType(32), ir.IntType(64)
_LANES, _MASK = ir.VectorType(_I32, LANES), ir.VectorType(ir.IntType(1), LANES)
_BYTES = ir.VectorType(ir.IntType(8), LANES)
_PAIRS, _WIDE = ir.VectorType(_I16, TILE // 2), ir.VectorType(_I32, TILE // 2)


def aligned(shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """Zeros that begin at a cache line, so that no vector of a whole row lies across two."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    room = np.zeros(size + CACHE_LINE, np.uint8)
    skip = -room.ctypes.data % CACHE_LINE
    return room[skip : skip + size].view(dtype).reshape(shape)


def paired(weight: npt.NDArray[np.int8]) -> npt.NDArray[np.int8]:
    """Rows of weights ``(rows, targets)`` in the order of Pairs, targets filled up with 0 to a multiple of 64."""
    rows, targets = weight.shape
    tiles = -(-targets // TILE)
    full = np.zeros((rows, tiles * TILE), np.int8)
    full[:, :targets] = weight
    halves = full.reshape(rows, tiles, 2, TILE // 2)
    out = aligned((rows, tiles, TILE // 2, 2), np.int8)
    out[..., 0] = halves[:, :, 0] ^ np.int8(-128)
    out[..., 1] = halves[:, :, 1]
    return out.reshape(rows, tiles * TILE)


# --- types ---


class _Vector(types.Type):
    """A vector by value."""

    def __init__(self, name: str, form: ir.VectorType) -> None:
        self.form = form
        super().__init__(name=name)


class _Lanes(_Vector):
    pass


class _Mask(_Vector):
    pass


class _Pairs(_Vector):
    pass


_lanes, _mask, _pairs = _Lanes("Lanes", _LANES), _Mask("Mask", _MASK), _Pairs("Pairs", _PAIRS)


@register_model(_Lanes)
@register_model(_Mask)
@register_model(_Pairs)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: _Vector) -> None:
        super().__init__(manager, kind, kind.form)  # type: ignore[no-untyped-call]


def _instruction(function: Callable[..., Any]) -> Any:
    """Numba's `intrinsic`, whose annotations do not know that the first argument is not the caller's."""
    return intrinsic(function)


# --- operators ---


def _splat(builder: Any, value: Any, form: ir.VectorType) -> Any:
    """An integer in every lane, modulo the lane's width."""
    value = builder.trunc(value, form.element)
    one = builder.insert_element(ir.Constant(form, ir.Undefined), value, ir.Constant(_I32, 0))
    places = ir.Constant(ir.VectorType(_I32, form.count), [0] * form.count)
    return builder.shuffle_vector(one, ir.Constant(form, ir.Undefined), places)


def _operator(symbol: Any, build: Callable[..., Any], result: _Vector, *cases: tuple[Any, Any]) -> None:
    """Teach Numba one operator: integers among the operands become lanes first."""
    signatures = [Signature(result, case, None) for case in cases]  # type: ignore[no-untyped-call]

    @infer_global(symbol)  # type: ignore[no-untyped-call]
    class _Template(ConcreteTemplate):
        cases = signatures

    for case in cases:

        @lower_builtin(symbol, *case)  # type: ignore[no-untyped-call]
        def _lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:
            sides = (
                side if isinstance(kind, _Vector) else _splat(builder, side, _LANES)
                for kind, side in zip(sig.args, args, strict=True)
            )
            return build(builder, *sides)


_SIDES = ((_lanes, _lanes), (_lanes, types.int64), (types.int64, _lanes))
_operator(operator.add, lambda b, x, y: b.add(x, y), _lanes, *_SIDES)
_operator(operator.sub, lambda b, x, y: b.sub(x, y), _lanes, *_SIDES)
_operator(operator.and_, lambda b, x, y: b.and_(x, y), _lanes, *_SIDES)
_operator(operator.lshift, lambda b, x, y: b.shl(x, y), _lanes, *_SIDES[:2])
_operator(operator.rshift, lambda b, x, y: b.ashr(x, y), _lanes, *_SIDES[:2])
_operator(operator.gt, lambda b, x, y: b.icmp_signed(">", x, y), _mask, *_SIDES[:2])
_operator(operator.lt, lambda b, x, y: b.icmp_signed("<", x, y), _mask, *_SIDES[:2])
_operator(operator.le, lambda b, x, y: b.icmp_signed("<=", x, y), _mask, *_SIDES[:2])
_operator(
    operator.mul,
    lambda b, x, y: b.select(x, y, ir.Constant(_LANES, [0] * LANES)) if x.type == _MASK else b.mul(x, y),
    _lanes, *_SIDES, (_mask, _lanes), (_mask, types.int64),
)  # fmt: skip


# --- memory: arrays are addressed flat, in C order ---


def _pointer(context: Any, builder: Any, kind: Any, array: Any, at: Any, form: ir.VectorType) -> Any:
    data = context.make_array(kind)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [at]), form.as_pointer())


def _load(builder: Any, pointer: Any, align: int) -> Any:
    value = builder.load(pointer)
    value.align = align
    return value


def _some(builder: Any, count: Any) -> Any:
    """Mask of the first `count` lanes."""
    return builder.icmp_signed("<", ir.Constant(_LANES, list(range(LANES))), _splat(builder, count, _LANES))


@_instruction
def lanes(typing: Any, value: Any) -> Any:
    """`value` in all lanes."""

    def build(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return _splat(builder, args[0], _LANES)

    return _lanes(types.int64), build


@_instruction
def load(typing: Any, array: Any, at: Any) -> Any:
    """Lanes of ``array[at : at + 16]`` (int32)."""

    def build(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return _load(builder, _pointer(context, builder, sig.args[0], args[0], args[1], _LANES), 4)

    return _lanes(array, types.intp), build


@_instruction
def load_weights(typing: Any, array: Any, at: Any) -> Any:
    """Lanes of ``array[at : at + 16]`` (int8)."""

    def build(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        pointer = _pointer(context, builder, sig.args[0], args[0], args[1], _BYTES)
        return builder.sext(_load(builder, pointer, 1), _LANES)

    return _lanes(array, types.intp), build


@_instruction
def load_some(typing: Any, array: Any, at: Any, count: Any) -> Any:
    """Lanes of ``array[at : at + count]``, the rest 0."""

    def build(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        pointer = _pointer(context, builder, sig.args[0], args[0], args[1], _LANES)
        kind = ir.FunctionType(_LANES, [pointer.type, _I32, _MASK, _LANES])
        function = _declared(builder, "llvm.masked.load.v16i32.p0", kind)
        nothing = ir.Constant(_LANES, [0] * LANES)
        return builder.call(function, [pointer, ir.Constant(_I32, 4), _some(builder, args[2]), nothing])

    return _lanes(array, types.intp, types.int64), build


@_instruction
def store(typing: Any, value: Any, array: Any, at: Any) -> Any:
    """Write all lanes to ``array[at : at + 16]``."""

    def build(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        builder.store(args[0], _pointer(context, builder, sig.args[1], args[1], args[2], _LANES)).align = 4
        return context.get_dummy_value()

    return types.void(_lanes, array, types.intp), build


@_instruction
def store_some(typing: Any, value: Any, array: Any, at: Any, count: Any) -> Any:
    """Write the first lanes to ``array[at : at + count]``."""

    def build(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        pointer = _pointer(context, builder, sig.args[1], args[1], args[2], _LANES)
        kind = ir.FunctionType(ir.VoidType(), [_LANES, pointer.type, _I32, _MASK])
        function = _declared(builder, "llvm.masked.store.v16i32.p0", kind)
        builder.call(function, [args[0], pointer, ir.Constant(_I32, 4), _some(builder, args[3])])
        return context.get_dummy_value()

    return types.void(_lanes, array, types.intp, types.int64), build


def _declared(builder: Any, name: str, kind: ir.FunctionType) -> Any:
    module = builder.module
    return module.globals[name] if name in module.globals else ir.Function(module, kind, name)


# --- bits ---


@_instruction
def bits(typing: Any, mask: Any) -> Any:
    """A mask as the low 16 bits of a word, lane 0 the lowest."""

    def build(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.zext(builder.bitcast(args[0], _I16), _I64)

    return types.uint64(_mask), build


@_instruction
def trailing_zeros(typing: Any, word: Any) -> Any:
    """Position of the lowest set bit; 64 if there is none."""

    def build(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 0))

    return types.int64(types.uint64), build


@_instruction
def ones(typing: Any, word: Any) -> Any:
    """Number of set bits."""

    def build(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.ctpop(args[0])

    return types.int64(types.uint64), build


# --- pairs ---


@_instruction
def no_pairs(typing: Any) -> Any:
    """All 0."""

    def build(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return ir.Constant(_PAIRS, [0] * (TILE // 2))

    return _pairs(), build


@_instruction
def load_pairs(typing: Any, array: Any, at: Any) -> Any:
    """64 weights from ``array[at]`` on (int8, as :func:`paired`), or 32 lanes of sums (int16)."""

    def build(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return _load(builder, _pointer(context, builder, sig.args[0], args[0], args[1], _PAIRS), 1)

    return _pairs(array, types.intp), build


@_instruction
def store_pairs(typing: Any, x: Any, array: Any, at: Any) -> Any:
    """Write all lanes to ``array[at : at + 32]`` (int16)."""

    def build(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        builder.store(args[0], _pointer(context, builder, sig.args[1], args[1], args[2], _PAIRS)).align = 2
        return context.get_dummy_value()

    return types.void(_pairs, array, types.intp), build


@_instruction
def add(typing: Any, x: Any, y: Any) -> Any:
    """Sum, each lane modulo 2^16."""

    def build(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.add(args[0], args[1])

    return _pairs(_pairs, _pairs), build


@_instruction
def high_weights(typing: Any, x: Any) -> Any:
    """The upper weight of each lane, signed."""

    def build(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.ashr(args[0], ir.Constant(_PAIRS, [8] * (TILE // 2)))

    return _pairs(_pairs), build


@_instruction
def add_pairs(typing: Any, total: Any, high: Any, rows: Any, array: Any, at: Any) -> Any:
    """Add the sums of `rows` rows (at most 256) to ``array[at : at + 64]`` (int32), in the order of the targets."""

    def build(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        byte = ir.Constant(_PAIRS, [8] * (TILE // 2))
        offset = _splat(builder, builder.shl(args[2], ir.Constant(_I64, 7)), _PAIRS)
        low = builder.sub(builder.sub(args[0], builder.shl(args[1], byte)), offset)
        for place, half in ((0, low), (TILE // 2, args[1])):
            at = builder.add(args[4], ir.Constant(_I64, place))
            pointer = _pointer(context, builder, sig.args[3], args[3], at, _WIDE)
            builder.store(builder.add(_load(builder, pointer, 4), builder.sext(half, _WIDE)), pointer).align = 4
        return context.get_dummy_value()

    return types.void(_pairs, _pairs, types.int64, array, types.intp), build


@_instruction
def unpack(typing: Any, array: Any, at: Any, mask: Any) -> Any:
    """The weights from ``array[at]`` on (int8, biased as in Pairs), one for each set bit of `mask`, as 64 in pairs."""

    def build(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        vector = ir.VectorType(ir.IntType(8), TILE)
        data = context.make_array(sig.args[0])(context, builder, args[0]).data
        place = builder.gep(data, [args[1]])
        kind = ir.FunctionType(vector, [place.type, ir.VectorType(ir.IntType(1), TILE), vector])
        expand = _declared(builder, "llvm.masked.expandload.v64i8", kind)
        nothing = ir.Constant(vector, [-128, 0] * (TILE // 2))
        bits = builder.bitcast(args[2], ir.VectorType(ir.IntType(1), TILE))
        return builder.bitcast(builder.call(expand, [place, bits, nothing]), _PAIRS)

    return _pairs(array, types.intp, types.uint64), build
