"""Loads and stores of vectors and numbers.

Memory is an array, indexed flat in C order, or the :func:`address` of an element. Passing an array to another function
counts its references, which costs more than sixteen neurons do; an address is a plain pointer. Only the debug build
checks accesses (simd/bounds.py). An address does not keep its array alive: Numba frees an array that a kernel has made
after the last use of its name, so such arrays are used by name (tests/event/test_memory.py).
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba import types

from neurosam.backends.event.simd.bounds import address_type, array_address, require_inside, unchecked_pointer
from neurosam.backends.event.simd.vectors import (
    I1,
    I32,
    I64,
    LANES,
    Longs,
    Reals,
    build_splat,
    instruction,
    llvm_function,
    vector_of,
)

__all__ = [
    "address", "element_pointer", "item", "load", "load_first", "load_same_count", "load_weights", "load_wide", "put",
    "store", "store_first",
]  # fmt: skip


def element_pointer(
    context: Any, builder: Any, kind: Any, array: Any, at: Any, form: Any, size: Any = None
) -> Any:  # fmt: skip
    """Pointer to a `form` that begins at element `at` of an array or an address; `size` is its bytes, if not all."""
    pointer = unchecked_pointer(context, builder, kind, array, at)
    if size is None:
        size = ir.Constant(I64, context.get_abi_sizeof(form))
    require_inside(context, builder, kind, array, pointer, size)
    return builder.bitcast(pointer, form.as_pointer())


def _load(builder: Any, place: Any, align: int) -> Any:
    value = builder.load(place)
    value.align = align
    return value


def _some(builder: Any, count: Any, most: int) -> Any:
    """A mask of the first `count` lanes."""
    form = ir.VectorType(I32, most)
    return builder.icmp_signed("<", ir.Constant(form, list(range(most))), build_splat(builder, count, form))


def _some_bytes(builder: Any, count: Any, most: int, dtype: Any) -> Any:
    """Bytes of the first `count` of at most so many lanes, which are none if `count` is negative."""
    lanes = builder.select(builder.icmp_signed("<", count, ir.Constant(I64, most)), count, ir.Constant(I64, most))
    return builder.mul(lanes, ir.Constant(I64, dtype.bitwidth // 8))


@instruction
def address(typing: Any, array: Any, at: Any) -> Any:
    """Where an array's element `at` lies; the caller keeps the array alive."""

    def build(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return array_address(context, builder, sig.args[0], *args)

    return address_type(array.dtype)(array, types.intp), build


@instruction
def item(typing: Any, array: Any, at: Any) -> Any:
    """``array[at]``, an integer as int64, for `at` >= 0: Numba's own indexing tests for negative indices."""

    def build(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        kind = sig.args[0].dtype
        form = context.get_value_type(kind)
        value = builder.load(element_pointer(context, builder, sig.args[0], args[0], args[1], form))
        if form == context.get_value_type(sig.return_type):
            return value
        return builder.sext(value, I64) if kind.signed else builder.zext(value, I64)

    return (types.int64 if isinstance(array.dtype, types.Integer) else array.dtype)(array, types.intp), build


@instruction
def put(typing: Any, value: Any, array: Any, at: Any) -> Any:
    """``array[at] = value``, an integer modulo the width of the array's type."""
    wide = value if value in (types.uint64, types.float64) else types.int64

    def build(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        form = context.get_value_type(sig.args[1].dtype)
        number = args[0] if form == args[0].type else builder.trunc(args[0], form)
        builder.store(number, element_pointer(context, builder, sig.args[1], args[1], args[2], form))
        return context.get_dummy_value()

    return types.void(wide, array, types.intp), build


@instruction
def load(typing: Any, array: Any, at: Any) -> Any:
    """``array[at : at + 16]``."""

    def build(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        place = element_pointer(context, builder, sig.args[0], args[0], args[1], sig.return_type.form)
        return _load(builder, place, array.dtype.bitwidth // 8)

    return vector_of(array.dtype, LANES)(array, types.intp), build


@instruction
def load_like(typing: Any, other: Any, array: Any, at: Any) -> Any:
    """The bytes from ``array[at]`` on, whatever the array's type, as a vector of the type of `other`."""

    def build(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return _load(builder, element_pointer(context, builder, sig.args[1], args[1], args[2], other.form), 1)

    return other(other, array, types.intp), build


@instruction
def load_same_count(typing: Any, other: Any, array: Any, at: Any) -> Any:
    """As many numbers from ``array[at]`` on as another vector has lanes."""

    def build(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        place = element_pointer(context, builder, sig.args[1], args[1], args[2], sig.return_type.form)
        return _load(builder, place, array.dtype.bitwidth // 8)

    return vector_of(array.dtype, other.count)(other, array, types.intp), build


@instruction
def load_weights(typing: Any, array: Any, at: Any) -> Any:
    """``array[at : at + 16]`` of weights: int8, which become int32 lanes, or floats."""

    def build(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        form = ir.VectorType(context.get_value_type(array.dtype), LANES)
        value = _load(builder, element_pointer(context, builder, sig.args[0], args[0], args[1], form), 1)
        return value if form == sig.return_type.form else builder.sext(value, sig.return_type.form)

    return vector_of(array.dtype, LANES)(array, types.intp), build


@instruction
def load_first(typing: Any, array: Any, at: Any, count: Any) -> Any:
    """``array[at : at + count]``, at most 16 lanes; the others are 0."""

    def build(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return _masked_load(context, builder, sig.return_type.form, sig.args[0], *args)

    return vector_of(array.dtype, LANES)(array, types.intp, types.int64), build


@instruction
def load_wide(typing: Any, array: Any, at: Any, count: Any) -> Any:
    """As :func:`load_first`, with integers of any width as int64 lanes."""
    kind = Reals(array.dtype, LANES) if isinstance(array.dtype, types.Float) else Longs(LANES)

    def build(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        form = ir.VectorType(context.get_value_type(array.dtype), LANES)
        value = _masked_load(context, builder, form, sig.args[0], *args)
        return value if form == kind.form else builder.sext(value, kind.form)

    return kind(array, types.intp, types.int64), build


def _masked_load(context: Any, builder: Any, form: Any, kind: Any, array: Any, at: Any, count: Any) -> Any:
    """The first `count` of a vector's lanes; the others are 0."""
    size = _some_bytes(builder, count, LANES, kind.dtype)
    place = element_pointer(context, builder, kind, array, at, form, size)
    signature = ir.FunctionType(form, [place.type, I32, ir.VectorType(I1, LANES), form])
    function = llvm_function(builder, f"llvm.masked.load.{_suffix(form)}.p0", signature)
    align = ir.Constant(I32, kind.dtype.bitwidth // 8)
    return builder.call(function, [place, align, _some(builder, count, LANES), ir.Constant(form, None)])


@instruction
def store(typing: Any, value: Any, array: Any, at: Any) -> Any:
    """Write all lanes to ``array[at :]``, of the same type or of narrower integers (then modulo their width)."""

    def build(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        form = ir.VectorType(context.get_value_type(array.dtype), value.count)
        lanes_ = args[0] if form == value.form else builder.trunc(args[0], form)
        place = element_pointer(context, builder, sig.args[1], args[1], args[2], form)
        builder.store(lanes_, place).align = array.dtype.bitwidth // 8
        return context.get_dummy_value()

    return types.void(value, array, types.intp), build


@instruction
def store_first(typing: Any, value: Any, array: Any, at: Any, count: Any) -> Any:
    """Write the first `count` lanes to ``array[at : at + count]``, converted as :func:`store` does."""

    def build(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        form = ir.VectorType(context.get_value_type(array.dtype), value.count)
        lanes_ = args[0] if form == value.form else builder.trunc(args[0], form)
        size = _some_bytes(builder, args[3], value.count, array.dtype)
        place = element_pointer(context, builder, sig.args[1], args[1], args[2], form, size)
        kind = ir.FunctionType(ir.VoidType(), [form, place.type, I32, ir.VectorType(I1, value.count)])
        function = llvm_function(builder, f"llvm.masked.store.{_suffix(form)}.p0", kind)
        align = ir.Constant(I32, array.dtype.bitwidth // 8)
        builder.call(function, [lanes_, place, align, _some(builder, args[3], value.count)])
        return context.get_dummy_value()

    return types.void(value, array, types.intp, types.int64), build


def _suffix(form: ir.VectorType) -> str:
    """A vector's type as part of the name of an LLVM intrinsic."""
    return f"v{form.count}{form.element.intrinsic_name}"
