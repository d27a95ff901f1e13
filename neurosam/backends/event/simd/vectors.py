"""Vectors for kernels: lanes of int32, int64, float32 or float64, on which a neuron's formulas run as they are.

Numba compiles scalar code and leaves vectorising it to LLVM's heuristics. Here vectors are explicit: LLVM's portable
vector types, which it lowers to what the CPU has (AVX-512, AVX2, NEON); 64 lanes of int32 are four registers of AVX-512
and eight of AVX2. Four types of 16 to 128 lanes, passed by value:

    Lanes   n x int32, with ``+ - * & >> <<`` modulo 2^32 and comparisons between lanes, or lanes and an integer
    Longs   n x int64, likewise, and with Lanes; ``//`` is exact within +-2^53
    Reals   n x float32 or float64, with ``+ - * /`` and ``>``, each rounded once: nothing is fused or reordered
    Mask    n x bool, the result of a comparison; ``mask * x`` is x where the mask is true and 0 elsewhere

simd/load_store.py moves them from and to memory, simd/bits.py to words of bits. Functions named ``build_...`` emit LLVM
instructions and are called while a kernel is compiled; all others are called by kernels.
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
    "CACHE_LINE", "I1", "I16", "I32", "I64", "LANES", "Lanes", "Longs", "Mask", "Reals", "Vector", "VectorModel",
    "aligned", "build_add", "build_splat", "float_zeros", "instruction", "int32_zeros", "literal_instruction",
    "llvm_function", "ones_where", "reduce_add", "round_down", "round_up", "select", "splat", "to_int32_lanes",
    "vector_of", "within", "zero_where",
]  # fmt: skip

LANES = 16
"""Lanes of the shortest vector."""

COUNTS = (LANES, 2 * LANES, 4 * LANES, 8 * LANES)

CACHE_LINE = 64
"""Bytes of a cache line."""

I1, I16, I32, I64 = ir.IntType(1), ir.IntType(16), ir.IntType(32), ir.IntType(64)


def aligned(shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """Zeros that begin at a cache line, so that a vector of 64 bytes in an aligned row never crosses two lines."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    memory = np.zeros(size + CACHE_LINE, np.uint8)
    skip = -memory.ctypes.data % CACHE_LINE
    return memory[skip : skip + size].view(dtype).reshape(shape)


# --- types ---


class Vector(types.Type):
    """A vector, passed by value."""

    def __init__(self, name: str, element: Any, count: int) -> None:
        self.count, self.form = count, ir.VectorType(element, count)
        super().__init__(name=f"{name}({count})")


class Lanes(Vector):
    """int32 lanes."""

    def __init__(self, count: int) -> None:
        super().__init__("Lanes", I32, count)


class Longs(Vector):
    """int64 lanes."""

    def __init__(self, count: int) -> None:
        super().__init__("Longs", I64, count)


class Reals(Vector):
    """Lanes of Numba's float32 or float64."""

    def __init__(self, number: Any, count: int) -> None:
        self.number = number
        super().__init__(f"Reals {number}", ir.FloatType() if number == types.float32 else ir.DoubleType(), count)


def vector_of(number: Any, count: int) -> Vector:
    """The vector type for numbers loaded from an array of this type."""
    return Reals(number, count) if isinstance(number, types.Float) else Lanes(count)


class Mask(Vector):
    """A truth value per lane."""

    def __init__(self, count: int) -> None:
        super().__init__("Mask", I1, count)


@register_model(Lanes)
@register_model(Longs)
@register_model(Reals)
@register_model(Mask)
class VectorModel(models.PrimitiveModel):
    """Numba treats a vector as one primitive value, as it does a number."""

    def __init__(self, manager: Any, kind: Vector) -> None:
        super().__init__(manager, kind, kind.form)  # type: ignore[no-untyped-call]


def instruction(function: Callable[..., Any]) -> Any:
    """Numba's `intrinsic`; its own annotations miss that the first argument does not come from the caller."""
    return intrinsic(function)


literal_instruction: Any = intrinsic(prefer_literal=True)
"""The same, for a function with a literal argument."""


def llvm_function(builder: Any, name: str, kind: ir.FunctionType) -> Any:
    """Declare an LLVM intrinsic function, or return its declaration."""
    module = builder.module
    return module.globals[name] if name in module.globals else ir.Function(module, kind, name)


# --- operators ---


def build_splat(builder: Any, value: Any, form: ir.VectorType) -> Any:
    """Copy an integer to every lane, modulo the lane's width."""
    if value.type != form.element:
        value = builder.trunc(value, form.element)
    one = builder.insert_element(ir.Constant(form, ir.Undefined), value, ir.Constant(I32, 0))
    places = ir.Constant(ir.VectorType(I32, form.count), [0] * form.count)
    return builder.shuffle_vector(one, ir.Constant(form, ir.Undefined), places)


def _select(builder: Any, mask: Any, x: Any) -> Any:
    return builder.select(mask, x, ir.Constant(x.type, None))


def build_add(builder: Any, x: Any, y: Any) -> Any:
    """Add two vectors of one type."""
    return builder.fadd(x, y) if _real(x) else builder.add(x, y)


def _real(x: Any) -> bool:
    return isinstance(x.type.element, (ir.FloatType, ir.DoubleType))


KINDS: dict[str, Callable[[int], Any]] = {
    "l": Lanes,
    "w": Longs,
    "m": Mask,
    "i": lambda _: types.int64,
    "f": lambda n: Reals(types.float32, n),
    "d": lambda n: Reals(types.float64, n),
}


def _operator(symbol: Any, build: Callable[..., Any], result: str, *sides: str) -> None:
    """Define an operator for operands of these KINDS.

    An integer is copied to all lanes, and becomes a float beside floats; int32 lanes are widened beside int64 lanes.
    `result` is one of KINDS; if empty, the result has the type of the second operand, or of the first if that is "i".
    """
    signatures = [
        Signature(KINDS[result or side.strip("im")[-1]](n), tuple(KINDS[kind](n) for kind in side), None)  # type: ignore[no-untyped-call]
        for n in COUNTS
        for side in sides
    ]

    @infer_global(symbol)  # type: ignore[no-untyped-call]
    class _Template(ConcreteTemplate):
        cases = signatures

    for signature in signatures:

        @lower_builtin(symbol, *signature.args)  # type: ignore[no-untyped-call]
        def _lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:
            return build(builder, *_operands(builder, sig.args, args))


def _operands(builder: Any, kinds: Any, sides: Any) -> Any:
    """The two sides of an operator as vectors that LLVM can combine."""
    numbers = [kind.form for kind in kinds if isinstance(kind, (Longs, Reals))]
    vector = next(kind for kind in kinds if isinstance(kind, Vector))
    form = numbers[0] if numbers else ir.VectorType(I32, vector.count)
    for kind, side in zip(kinds, sides, strict=True):
        if isinstance(kind, Lanes):
            yield builder.sext(side, form) if form.element == I64 else side
        elif isinstance(kind, Vector):
            yield side
        elif isinstance(form.element, (ir.FloatType, ir.DoubleType)):
            yield build_splat(builder, builder.sitofp(side, form.element), form)
        else:
            yield build_splat(builder, side, form)


def _product(builder: Any, x: Any, y: Any) -> Any:
    if x.type.element == I1:
        return _select(builder, x, y)
    if y.type.element == I1:
        return _select(builder, y, x)
    return builder.fmul(x, y) if _real(x) else builder.mul(x, y)


def _comparison(symbol: str) -> Callable[..., Any]:
    def build(builder: Any, x: Any, y: Any) -> Any:
        if x.type.element == I1:
            x = builder.zext(x, y.type)
        if not _real(x):
            return builder.icmp_signed(symbol, x, y)
        return (builder.fcmp_unordered if symbol == "!=" else builder.fcmp_ordered)(symbol, x, y)

    return build


def _floor_quotient(builder: Any, x: Any, y: Any) -> Any:
    """In float64: no rounded quotient of integers below 2^53 reaches the next integer."""
    form = ir.VectorType(ir.DoubleType(), x.type.count)
    quotient = builder.fdiv(builder.sitofp(x, form), builder.sitofp(y, form))
    return builder.fptosi(build_rounded(builder, "floor", quotient), x.type)


def build_rounded(builder: Any, direction: str, x: Any) -> Any:
    """Round floats to integers, by LLVM's "floor" or "ceil"."""
    name = f"llvm.{direction}.v{x.type.count}{x.type.element.intrinsic_name}"
    return builder.call(llvm_function(builder, name, ir.FunctionType(x.type, [x.type])), [x])


_operator(operator.add, build_add, "l", "ll", "li", "il")
_operator(operator.add, build_add, "w", "ww", "wi", "iw", "wl")
_operator(operator.add, build_add, "", "ff", "dd")
_operator(operator.sub, lambda b, x, y: b.sub(x, y), "l", "ll", "li", "il")
_operator(operator.sub, lambda b, x, y: b.sub(x, y), "w", "ww", "wi", "iw", "wl")
_operator(operator.sub, lambda b, x, y: b.fsub(x, y), "", "ff", "dd", "fi", "di")
_operator(operator.and_, lambda b, x, y: b.and_(x, y), "l", "ll", "li")
_operator(operator.and_, lambda b, x, y: b.and_(x, y), "w", "ww", "wi")
_operator(operator.and_, lambda b, x, y: b.and_(x, y), "m", "mm")
_operator(operator.or_, lambda b, x, y: b.or_(x, y), "m", "mm")
_operator(operator.lshift, lambda b, x, y: b.shl(x, y), "l", "ll", "li")
_operator(operator.lshift, lambda b, x, y: b.shl(x, y), "w", "ww", "wi")
_operator(operator.rshift, lambda b, x, y: b.ashr(x, y), "l", "ll", "li")
_operator(operator.rshift, lambda b, x, y: b.ashr(x, y), "w", "ww", "wi")
_operator(operator.gt, _comparison(">"), "m", "ll", "li", "ww", "wi", "mi", "ff", "dd", "fi", "di")
_operator(operator.lt, _comparison("<"), "m", "ll", "li", "ww", "wi")
_operator(operator.le, _comparison("<="), "m", "ll", "li", "ww", "wi")
_operator(operator.ge, _comparison(">="), "m", "ll", "li", "ww", "wi", "ff", "dd")
_operator(operator.eq, _comparison("=="), "m", "li", "wi", "mi")
_operator(operator.ne, _comparison("!="), "m", "ll", "li", "ww", "ff", "dd")
_operator(operator.mul, _product, "l", "ll", "li", "il", "ml", "mi")
_operator(operator.mul, _product, "w", "ww", "wi", "iw", "mw", "wm", "lw")
_operator(operator.mul, _product, "", "ff", "dd", "mf", "md", "fm", "dm", "fi", "di", "if", "id")
_operator(operator.floordiv, _floor_quotient, "w", "ww")
_operator(operator.truediv, lambda b, x, y: b.fdiv(x, y), "", "ff", "dd")


@instruction
def zero_where(typing: Any, x: Any, mask: Any) -> Any:
    """0 where the mask is true, `x` elsewhere."""

    def build(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.select(args[1], ir.Constant(args[0].type, None), args[0])

    return x(x, mask), build


@instruction
def select(typing: Any, mask: Any, x: Any, y: Any) -> Any:
    """`x` where the mask is true, `y` elsewhere."""

    def build(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.select(*args)

    return x(mask, x, x), build


@instruction
def ones_where(typing: Any, mask: Any, other: Any) -> Any:
    """1 where the mask is true, else 0, as lanes of another vector's type."""

    def build(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return (builder.uitofp if isinstance(other, Reals) else builder.zext)(args[0], other.form)

    return other(mask, other), build


@instruction
def to_int32_lanes(typing: Any, x: Any) -> Any:
    """int64 modulo 2^32, or floats without their fraction, as int32 lanes."""

    def build(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return (builder.fptosi if isinstance(x, Reals) else builder.trunc)(args[0], sig.return_type.form)

    return Lanes(x.count)(x), build


@instruction
def round_down(typing: Any, x: Any) -> Any:
    """The largest integers that are not above `x`, which is floats."""

    def build(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return build_rounded(builder, "floor", args[0])

    return x(x), build


@instruction
def round_up(typing: Any, x: Any) -> Any:
    """The smallest integers that are not below `x`, which is floats."""

    def build(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return build_rounded(builder, "ceil", args[0])

    return x(x), build


@instruction
def within(typing: Any, x: Any, most: Any) -> Any:
    """Floats clipped to 0..most."""

    def build(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        zero = ir.Constant(x.form, None)
        limit = build_splat(builder, builder.sitofp(args[1], x.form.element), x.form)
        low = builder.select(builder.fcmp_ordered(">", args[0], zero), args[0], zero)
        return builder.select(builder.fcmp_ordered(">", low, limit), limit, low)

    return x(x, types.int64), build


@literal_instruction
def float_zeros(typing: Any, array: Any, count: Any) -> Any:
    """0 in `count` lanes (a literal) of the array's float type."""
    if not isinstance(count, types.IntegerLiteral):
        return None

    def build(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return ir.Constant(sig.return_type.form, None)

    return Reals(array.dtype, count.literal_value)(array, count), build


@instruction
def splat(typing: Any, other: Any, value: Any) -> Any:
    """`value` in every lane, with as many int32 lanes as another vector has."""

    def build(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return build_splat(builder, args[1], sig.return_type.form)

    return Lanes(other.count)(other, types.int64), build


@instruction
def int32_zeros(typing: Any, other: Any) -> Any:
    """0 in every lane, with as many int32 lanes as another vector has."""

    def build(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return ir.Constant(sig.return_type.form, None)

    return Lanes(other.count)(other), build


@instruction
def reduce_add(typing: Any, x: Any) -> Any:
    """The sum of all lanes (int32), modulo 2^32."""
    if not isinstance(x, Lanes):
        return None

    def build(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        function = llvm_function(builder, f"llvm.vector.reduce.add.v{x.count}i32", ir.FunctionType(I32, [x.form]))
        return builder.sext(builder.call(function, [args[0]]), I64)

    return types.int64(x), build
