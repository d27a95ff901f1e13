"""Atomic operations between threads, prefetching, arrays made from addresses, and tuples of arrays stored in memory."""

from __future__ import annotations

from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba import types

from neurosam.backends.event.simd.bounds import unchecked_pointer
from neurosam.backends.event.simd.load_store import element_pointer
from neurosam.backends.event.simd.vectors import CACHE_LINE, I64, instruction, llvm_function

__all__ = [
    "as_pointer", "claim", "load_word", "observe", "prefetch", "publish", "read_struct", "struct_size", "write_struct",
]  # fmt: skip


@instruction
def as_pointer(typing: Any, address: Any) -> Any:
    """An integer address as a pointer, for :func:`numba.carray`."""

    def build(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.inttoptr(args[0], context.get_value_type(types.voidptr))

    return types.voidptr(types.int64), build


@instruction
def load_word(typing: Any, array: Any, at: Any) -> Any:
    """``array[at]`` (uint64), for `at` >= 0: Numba's own indexing tests for negative indices."""

    def build(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.load(element_pointer(context, builder, sig.args[0], args[0], args[1], I64))

    return types.uint64(array, types.intp), build


@instruction
def prefetch(typing: Any, array: Any, at: Any) -> Any:
    """Prefetch the cache line of ``array[at]``; an index beyond the end does no harm."""

    def build(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        line = unchecked_pointer(context, builder, sig.args[0], args[0], args[1])
        line = builder.bitcast(line, ir.IntType(8).as_pointer())
        number = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [line.type, number, number, number])
        function = llvm_function(builder, "llvm.prefetch.p0", kind)
        read, nearest_cache, data = (ir.Constant(number, n) for n in (0, 3, 1))
        builder.call(function, [line, read, nearest_cache, data])
        return context.get_dummy_value()

    return types.void(array, types.intp), build


@instruction
def publish(typing: Any, array: Any, at: Any, value: Any) -> Any:
    """``array[at] = value`` (int64), released: a thread that observes it sees all that this one wrote before."""

    def build(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        place = element_pointer(context, builder, sig.args[0], args[0], args[1], I64)
        builder.store_atomic(args[2], place, "release", 8)
        return context.get_dummy_value()

    return types.void(array, types.intp, types.int64), build


@instruction
def claim(typing: Any, array: Any, at: Any, value: Any) -> Any:
    """Whether ``array[at]`` (int64) was `value` and has been incremented: true for one thread only."""

    def build(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        place = element_pointer(context, builder, sig.args[0], args[0], args[1], I64)
        more = builder.add(args[2], ir.Constant(args[2].type, 1))
        return builder.extract_value(builder.cmpxchg(place, args[2], more, "acq_rel", "acquire"), 1)

    return types.boolean(array, types.intp, types.int64), build


@instruction
def observe(typing: Any, array: Any, at: Any) -> Any:
    """``array[at]`` (int64), acquired: with all that the thread that published it wrote before."""

    def build(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        place = element_pointer(context, builder, sig.args[0], args[0], args[1], I64)
        return builder.load_atomic(place, "acquire", 8)

    return types.int64(array, types.intp), build


def _unowned(context: Any, builder: Any, kind: Any, value: Any) -> Any:
    """A tuple of arrays, tuples and numbers without the owners of its arrays: no references are counted."""
    if isinstance(kind, types.BaseTuple):
        for k, part in enumerate(kind.types):  # type: ignore[attr-defined]
            inner = _unowned(context, builder, part, builder.extract_value(value, k))
            value = builder.insert_value(value, inner, k)
    elif isinstance(kind, types.Array):
        array = context.make_array(kind)(context, builder, value)
        array.meminfo, array.parent = (ir.Constant(owner.type, None) for owner in (array.meminfo, array.parent))
        value = array._getvalue()
    return value


@instruction
def struct_size(typing: Any, value: Any) -> Any:
    """Bytes that :func:`write_struct` writes, in whole cache lines."""

    def build(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        size = context.get_abi_sizeof(args[0].type)
        return ir.Constant(ir.IntType(64), -(-size // CACHE_LINE) * CACHE_LINE)

    return types.int64(value), build


@instruction
def write_struct(typing: Any, like: Any, value: Any, memory: Any, at: Any) -> Any:
    """Write a tuple of arrays and numbers to ``memory[at :]`` (aligned bytes); the caller keeps the arrays alive.

    Compilation fails unless it has the type of `like`.
    """
    if value != like:
        return None

    def build(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        place = element_pointer(context, builder, sig.args[2], args[2], args[3], args[1].type)
        builder.store(_unowned(context, builder, sig.args[1], args[1]), place)
        return context.get_dummy_value()

    return types.void(like, value, memory, types.intp), build


@instruction
def read_struct(typing: Any, like: Any, memory: Any, at: Any) -> Any:
    """The tuple, of the type of `like`, that :func:`write_struct` wrote to ``memory[at :]``."""

    def build(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.load(element_pointer(context, builder, sig.args[1], args[1], args[2], args[0].type))

    return like(like, memory, types.intp), build
