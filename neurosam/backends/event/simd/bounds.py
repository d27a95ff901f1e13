"""Bounds checks of the debug build: ``NEUROSAM_CHECK_BOUNDS=1`` compiles every kernel with them.

Numba checks what is indexed as an array. What goes by address (load_store.py, atomics.py) is checked here: an address
then carries the limits of the array that it was taken from, and each access has to lie within them. Either way an
IndexError names the kernel. The results are the same bits as without checks, several times as slowly.

Not checked: that an index stays within its own row, or within the part of a larger array that is in use; prefetches,
which may go anywhere; and that an array is still alive. Numba shortens slices that reach beyond an array, in silence.
"""

from __future__ import annotations

import os
from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.core import cgutils
from numba.extending import models, register_model

__all__ = ["CHECKED", "Address", "address_type", "array_address", "require_inside", "unchecked_pointer"]

CHECKED = os.environ.get("NEUROSAM_CHECK_BOUNDS", "0") not in ("", "0")
"""Whether this process uses the debug build."""


class Address(types.Type):
    """Where an element of an array lies, with the limits of the array."""

    def __init__(self, dtype: Any) -> None:
        self.dtype = dtype
        super().__init__(name=f"Address({dtype})")


@register_model(Address)
class _AddressModel(models.StructModel):
    """The element, the array's first byte, and the byte behind its last."""

    def __init__(self, manager: Any, kind: Address) -> None:
        pointer = types.CPointer(kind.dtype)  # type: ignore[no-untyped-call]
        members = [("data", pointer), ("begin", types.intp), ("end", types.intp)]
        super().__init__(manager, kind, members)  # type: ignore[no-untyped-call]


def address_type(dtype: Any) -> Any:
    """The type of an address of numbers."""
    return Address(dtype) if CHECKED else types.CPointer(dtype)  # type: ignore[no-untyped-call]


def _limits(context: Any, builder: Any, kind: Any, array: Any) -> tuple[Any, Any, Any]:
    """Of an array or a checked address: the pointer, the first byte's address, and the one behind the last."""
    if isinstance(kind, Address):
        place = cgutils.create_struct_proxy(kind)(context, builder, array)  # type: ignore[no-untyped-call]
        return place.data, place.begin, place.end
    place = context.make_array(kind)(context, builder, array)
    begin = builder.ptrtoint(place.data, place.nitems.type)
    return place.data, begin, builder.add(begin, builder.mul(place.nitems, place.itemsize))


def unchecked_pointer(context: Any, builder: Any, kind: Any, array: Any, at: Any) -> Any:
    """Pointer to element `at` of an array or an address."""
    if isinstance(kind, types.CPointer):
        data = array
    elif isinstance(kind, Address):
        data = _limits(context, builder, kind, array)[0]
    else:
        data = context.make_array(kind)(context, builder, array).data
    return builder.gep(data, [at])


def array_address(context: Any, builder: Any, kind: Any, array: Any, at: Any) -> Any:
    """The value of an address: of element `at` of an array or an address."""
    pointer = unchecked_pointer(context, builder, kind, array, at)
    if not CHECKED:
        return pointer
    place = cgutils.create_struct_proxy(Address(kind.dtype))(context, builder)  # type: ignore[no-untyped-call]
    place.data = pointer
    _, place.begin, place.end = _limits(context, builder, kind, array)
    return place._getvalue()


def require_inside(context: Any, builder: Any, kind: Any, array: Any, pointer: Any, size: Any) -> None:
    """Raise IndexError unless `size` bytes (int64) from `pointer` on are in the array; 0 bytes may be anywhere."""
    if not CHECKED:
        return
    _, begin, end = _limits(context, builder, kind, array)
    first = builder.ptrtoint(pointer, begin.type)
    outside = builder.or_(
        builder.icmp_unsigned("<", first, begin), builder.icmp_unsigned(">", builder.add(first, size), end)
    )
    outside = builder.and_(outside, builder.icmp_signed(">", size, ir.Constant(size.type, 0)))
    with cgutils.if_unlikely(builder, outside):  # type: ignore[no-untyped-call]
        message = f"{_kernel_name(context)}: memory access outside of an array"
        context.call_conv.return_user_exc(builder, IndexError, (message,))


def _kernel_name(context: Any) -> str:
    """The function that is being compiled, as ``module.function``."""
    function = context.fndesc
    return f"{function.modname.rpartition('.')[2]}.{function.qualname}"


def _require_index(context: Any, builder: Any, ind: Any, dimlen: Any, axis: Any = None) -> None:
    """Numba's check of an array index, with a message that names the kernel."""
    with cgutils.if_unlikely(builder, builder.icmp_unsigned(">=", ind, dimlen)):  # type: ignore[no-untyped-call]
        message = f"{_kernel_name(context)}: index of axis {axis} is out of bounds"
        context.call_conv.return_user_exc(builder, IndexError, (message,))


if CHECKED:
    cgutils.do_boundscheck = _require_index
