"""Vectors for kernels: 16, 32 or 64 lanes of int32, float32 or float64 that a neuron's formulas run on.

Numba compiles scalars and leaves vectors to LLVM's guesses; here the vectors are said outright, as LLVM's own portable
vector types, which every CPU gets lowered to what it has (AVX-512, AVX2, NEON): 64 lanes are four registers of AVX-512
and eight of AVX2. Three types, by value:

    Lanes   n x int32, with ``+ - * & >> <<`` modulo 2^32 and ``< > <=`` between lanes, or lanes and an integer
    Reals   n x float32 or float64, with ``+ - *`` and ``>``, each rounded once: nothing is fused or reordered
    Mask    n x bool, what a comparison gives; ``mask * x`` selects, as it does for integers

Memory is an array, addressed flat in C order, or the :func:`address` of one: passing an array to another function
counts its references, which costs more than sixteen neurons; an address is a plain number. Nothing is checked.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import llvmlite.binding  # type: ignore[import-untyped]
import numba
import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import types
from numba.core.typing.templates import ConcreteTemplate, Signature, infer_global
from numba.extending import intrinsic, lower_builtin, models, register_model

__all__ = [
    "CACHE_LINE", "LANES", "Lanes", "Reals", "Vector", "VectorModel", "address", "aligned", "bits", "cleared",
    "compresses", "declared", "instruction", "item", "lanes", "load", "load_as", "load_some", "load_weights",
    "no_reals", "ones", "places", "pointer", "put", "sixteen_bytes", "splat", "store", "store_some", "total",
    "trailing_zeros", "zeros_as",
]  # fmt: skip

LANES = 16
"""Lanes of the shortest vector."""

COUNTS = (LANES, 2 * LANES, 4 * LANES)

CACHE_LINE = 64
"""Bytes."""

I1, I16, I32, I64 = ir.IntType(1), ir.IntType(16), ir.IntType(32), ir.IntType(64)


def aligned(shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """Zeros that begin at a cache line, so that no vector of a whole row lies across two."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    room = np.zeros(size + CACHE_LINE, np.uint8)
    skip = -room.ctypes.data % CACHE_LINE
    return room[skip : skip + size].view(dtype).reshape(shape)


# --- types ---


class Vector(types.Type):
    """A vector by value."""

    def __init__(self, name: str, element: Any, count: int) -> None:
        self.count, self.form = count, ir.VectorType(element, count)
        super().__init__(name=f"{name}({count})")


class Lanes(Vector):
    """int32 lanes."""

    def __init__(self, count: int) -> None:
        super().__init__("Lanes", I32, count)


class Reals(Vector):
    """Lanes of Numba's float32 or float64."""

    def __init__(self, number: Any, count: int) -> None:
        self.number = number
        super().__init__(f"Reals {number}", ir.FloatType() if number == types.float32 else ir.DoubleType(), count)


def vector_of(number: Any, count: int) -> Vector:
    """The vector that numbers of an array become."""
    return Reals(number, count) if isinstance(number, types.Float) else Lanes(count)


class Mask(Vector):
    """Truth by lane."""

    def __init__(self, count: int) -> None:
        super().__init__("Mask", I1, count)


@register_model(Lanes)
@register_model(Reals)
@register_model(Mask)
class VectorModel(models.PrimitiveModel):
    """Numba keeps a vector in a register, as it does a number."""

    def __init__(self, manager: Any, kind: Vector) -> None:
        super().__init__(manager, kind, kind.form)  # type: ignore[no-untyped-call]


def instruction(function: Callable[..., Any]) -> Any:
    """Numba's `intrinsic`, whose annotations do not know that the first argument is not the caller's."""
    return intrinsic(function)


literal_instruction: Any = intrinsic(prefer_literal=True)
"""The same for a function that needs a literal argument."""


# --- operators ---


def splat(builder: Any, value: Any, form: ir.VectorType) -> Any:
    """An integer in every lane, modulo the lane's width."""
    if value.type != form.element:
        value = builder.trunc(value, form.element)
    one = builder.insert_element(ir.Constant(form, ir.Undefined), value, ir.Constant(I32, 0))
    places = ir.Constant(ir.VectorType(I32, form.count), [0] * form.count)
    return builder.shuffle_vector(one, ir.Constant(form, ir.Undefined), places)


def _select(builder: Any, mask: Any, x: Any) -> Any:
    return builder.select(mask, x, ir.Constant(x.type, None))


def total(builder: Any, x: Any, y: Any) -> Any:
    """The sum of two vectors of one type."""
    return builder.fadd(x, y) if _real(x) else builder.add(x, y)


def _real(x: Any) -> bool:
    return isinstance(x.type.element, (ir.FloatType, ir.DoubleType))


KINDS: dict[str, Callable[[int], Any]] = {
    "l": Lanes,
    "m": Mask,
    "i": lambda _: types.int64,
    "f": lambda n: Reals(types.float32, n),
    "d": lambda n: Reals(types.float64, n),
}


def _operator(symbol: Any, build: Callable[..., Any], result: str, *sides: str) -> None:
    """Teach Numba one operator for sides of these `KINDS` (an integer becomes lanes); `result` may be the last side."""
    signatures = [
        Signature(KINDS[result or side[1]](n), (KINDS[side[0]](n), KINDS[side[1]](n)), None)  # type: ignore[no-untyped-call]
        for n in COUNTS
        for side in sides
    ]

    @infer_global(symbol)  # type: ignore[no-untyped-call]
    class _Template(ConcreteTemplate):
        cases = signatures

    for signature in signatures:

        @lower_builtin(symbol, *signature.args)  # type: ignore[no-untyped-call]
        def _lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:
            count = next(kind.count for kind in sig.args if isinstance(kind, Vector))
            operands = (
                side if isinstance(kind, Vector) else splat(builder, side, ir.VectorType(I32, count))
                for kind, side in zip(sig.args, args, strict=True)
            )
            return build(builder, *operands)


def _product(builder: Any, x: Any, y: Any) -> Any:
    if x.type.element == I1:
        return _select(builder, x, y)
    return builder.fmul(x, y) if _real(x) else builder.mul(x, y)


def _above(builder: Any, x: Any, y: Any) -> Any:
    return builder.fcmp_ordered(">", x, y) if _real(x) else builder.icmp_signed(">", x, y)


_operator(operator.add, total, "l", "ll", "li", "il")
_operator(operator.add, total, "", "ff", "dd")
_operator(operator.sub, lambda b, x, y: b.sub(x, y), "l", "ll", "li", "il")
_operator(operator.sub, lambda b, x, y: b.fsub(x, y), "", "ff", "dd")
_operator(operator.and_, lambda b, x, y: b.and_(x, y), "l", "ll", "li", "il")
_operator(operator.lshift, lambda b, x, y: b.shl(x, y), "l", "ll", "li")
_operator(operator.rshift, lambda b, x, y: b.ashr(x, y), "l", "ll", "li")
_operator(operator.gt, _above, "m", "ll", "li", "ff", "dd")
_operator(operator.lt, lambda b, x, y: b.icmp_signed("<", x, y), "m", "ll", "li")
_operator(operator.le, lambda b, x, y: b.icmp_signed("<=", x, y), "m", "ll", "li")
_operator(operator.mul, _product, "l", "ll", "li", "il", "ml", "mi")
_operator(operator.mul, _product, "", "ff", "dd", "mf", "md")


@instruction
def cleared(typing: Any, x: Any, mask: Any) -> Any:
    """0 where the mask is true, `x` elsewhere."""

    def build(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.select(args[1], ir.Constant(args[0].type, None), args[0])

    return x(x, mask), build


@literal_instruction
def no_reals(typing: Any, array: Any, count: Any) -> Any:
    """0 in so many lanes (a literal) of the array's type."""
    if not isinstance(count, types.IntegerLiteral):
        return None

    def build(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return ir.Constant(sig.return_type.form, None)

    return Reals(array.dtype, count.literal_value)(array, count), build


@instruction
def lanes(typing: Any, value: Any) -> Any:
    """`value` in sixteen lanes."""

    def build(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return splat(builder, args[0], sig.return_type.form)

    return Lanes(LANES)(types.int64), build


@instruction
def zeros_as(typing: Any, other: Any) -> Any:
    """0 in as many lanes as another vector has."""

    def build(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return ir.Constant(sig.return_type.form, None)

    return Lanes(other.count)(other), build


# --- memory ---


def pointer(context: Any, builder: Any, kind: Any, array: Any, at: Any, form: Any) -> Any:
    """Pointer to a `form` that begins at element `at` of an array or an address."""
    data = array if isinstance(kind, types.CPointer) else context.make_array(kind)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [at]), form.as_pointer())


def _load(builder: Any, place: Any, align: int) -> Any:
    value = builder.load(place)
    value.align = align
    return value


def _some(builder: Any, count: Any, most: int) -> Any:
    """Mask of the first `count` lanes."""
    form = ir.VectorType(I32, most)
    return builder.icmp_signed("<", ir.Constant(form, list(range(most))), splat(builder, count, form))


@instruction
def address(typing: Any, array: Any, at: Any) -> Any:
    """Where an array's element `at` lies; whoever takes it keeps the array alive."""

    def build(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.gep(context.make_array(sig.args[0])(context, builder, args[0]).data, [args[1]])

    return types.CPointer(array.dtype)(array, types.intp), build  # type: ignore[no-untyped-call]


@instruction
def item(typing: Any, array: Any, at: Any) -> Any:
    """``array[at]``, an integer in 64 bits; Numba's own indexing first asks whether `at` is negative."""

    def build(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        kind = sig.args[0].dtype
        form = context.get_value_type(kind)
        value = builder.load(pointer(context, builder, sig.args[0], args[0], args[1], form))
        if form == context.get_value_type(sig.return_type):
            return value
        return builder.sext(value, I64) if kind.signed else builder.zext(value, I64)

    return (types.int64 if isinstance(array.dtype, types.Integer) else array.dtype)(array, types.intp), build


@instruction
def put(typing: Any, value: Any, array: Any, at: Any) -> Any:
    """``array[at] = value``, an integer modulo the array's width."""
    wide = value if value in (types.uint64, types.float64) else types.int64

    def build(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        form = context.get_value_type(sig.args[1].dtype)
        number = args[0] if form == args[0].type else builder.trunc(args[0], form)
        builder.store(number, pointer(context, builder, sig.args[1], args[1], args[2], form))
        return context.get_dummy_value()

    return types.void(wide, array, types.intp), build


@instruction
def load(typing: Any, array: Any, at: Any) -> Any:
    """Lanes of ``array[at : at + 16]``, of the array's type."""

    def build(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        place = pointer(context, builder, sig.args[0], args[0], args[1], sig.return_type.form)
        return _load(builder, place, array.dtype.bitwidth // 8)

    return vector_of(array.dtype, LANES)(array, types.intp), build


@instruction
def load_as(typing: Any, other: Any, array: Any, at: Any) -> Any:
    """As many lanes of ``array[at :]``, of the array's type, as another vector has."""

    def build(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        place = pointer(context, builder, sig.args[1], args[1], args[2], sig.return_type.form)
        return _load(builder, place, array.dtype.bitwidth // 8)

    return vector_of(array.dtype, other.count)(other, array, types.intp), build


@instruction
def load_weights(typing: Any, array: Any, at: Any) -> Any:
    """Lanes of ``array[at : at + 16]`` (int8, or real)."""

    def build(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        form = ir.VectorType(context.get_value_type(array.dtype), LANES)
        value = _load(builder, pointer(context, builder, sig.args[0], args[0], args[1], form), 1)
        return value if form == sig.return_type.form else builder.sext(value, sig.return_type.form)

    return vector_of(array.dtype, LANES)(array, types.intp), build


@instruction
def load_some(typing: Any, array: Any, at: Any, count: Any) -> Any:
    """Lanes of ``array[at : at + count]``, at most 16; the rest 0."""

    def build(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        form = sig.return_type.form
        place = pointer(context, builder, sig.args[0], args[0], args[1], form)
        kind = ir.FunctionType(form, [place.type, I32, ir.VectorType(I1, LANES), form])
        function = declared(builder, f"llvm.masked.load.{_suffix(form)}.p0", kind)
        align = ir.Constant(I32, array.dtype.bitwidth // 8)
        return builder.call(function, [place, align, _some(builder, args[2], LANES), ir.Constant(form, None)])

    return vector_of(array.dtype, LANES)(array, types.intp, types.int64), build


@instruction
def store(typing: Any, value: Any, array: Any, at: Any) -> Any:
    """Write all lanes to ``array[at :]`` (of their type, or narrower integers and then modulo their width)."""

    def build(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        form = ir.VectorType(context.get_value_type(array.dtype), value.count)
        lanes_ = args[0] if form == value.form else builder.trunc(args[0], form)
        place = pointer(context, builder, sig.args[1], args[1], args[2], form)
        builder.store(lanes_, place).align = array.dtype.bitwidth // 8
        return context.get_dummy_value()

    return types.void(value, array, types.intp), build


@instruction
def store_some(typing: Any, value: Any, array: Any, at: Any, count: Any) -> Any:
    """Write the first lanes to ``array[at : at + count]``."""

    def build(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        place = pointer(context, builder, sig.args[1], args[1], args[2], value.form)
        kind = ir.FunctionType(ir.VoidType(), [value.form, place.type, I32, ir.VectorType(I1, value.count)])
        function = declared(builder, f"llvm.masked.store.{_suffix(value.form)}.p0", kind)
        align = ir.Constant(I32, array.dtype.bitwidth // 8)
        builder.call(function, [args[0], place, align, _some(builder, args[3], value.count)])
        return context.get_dummy_value()

    return types.void(value, array, types.intp, types.int64), build


def _suffix(form: ir.VectorType) -> str:
    """A vector's type in the name of LLVM's function."""
    return f"v{form.count}{form.element.intrinsic_name}"


def declared(builder: Any, name: str, kind: ir.FunctionType) -> Any:
    """LLVM's own function of this name."""
    module = builder.module
    return module.globals[name] if name in module.globals else ir.Function(module, kind, name)


# --- bits ---


@instruction
def bits(typing: Any, mask: Any) -> Any:
    """A mask as the low bits of a word, lane 0 the lowest."""

    def build(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        word = builder.bitcast(args[0], ir.IntType(mask.count))
        return word if mask.count == I64.width else builder.zext(word, I64)

    return types.uint64(mask), build


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


def compresses() -> bool:
    """Whether kernels are compiled for a CPU that has :func:`places` as one instruction (AVX-512 VBMI2)."""
    if numba.config.CPU_NAME not in (None, "host"):  # type: ignore[attr-defined]
        return False
    return bool(llvmlite.binding.get_host_cpu_features().get("avx512vbmi2", False))


@instruction
def places(typing: Any, word: Any) -> Any:
    """Positions of the set bits of a word, in order; behind them anything."""

    def build(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        form, mask = sig.return_type.form, ir.VectorType(I1, I64.width)
        function = declared(
            builder, f"llvm.experimental.vector.compress.v{I64.width}i8", ir.FunctionType(form, [form, mask, form])
        )
        every = ir.Constant(form, list(range(I64.width)))
        return builder.call(function, [every, builder.bitcast(args[0], mask), ir.Constant(form, ir.Undefined)])

    return Bytes()(types.uint64), build


@literal_instruction
def sixteen_bytes(typing: Any, x: Any, quarter: Any) -> Any:
    """One of the four quarters of the bytes, as lanes; which is said by a literal."""
    if not isinstance(quarter, types.IntegerLiteral):
        return None
    first = LANES * quarter.literal_value

    def build(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        chosen = ir.Constant(ir.VectorType(I32, LANES), list(range(first, first + LANES)))
        nothing = ir.Constant(args[0].type, ir.Undefined)
        return builder.zext(builder.shuffle_vector(args[0], nothing, chosen), sig.return_type.form)

    return Lanes(LANES)(x, quarter), build


@instruction
def ones(typing: Any, word: Any) -> Any:
    """Number of set bits."""

    def build(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.ctpop(args[0])

    return types.int64(types.uint64), build
