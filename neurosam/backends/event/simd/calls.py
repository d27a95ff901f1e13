"""Calls of kernels by their address, and tuples that stay in memory while kernels pass them on.

Numba links what a kernel calls into it, optimises it there, and translates it, once for each caller. A call by address
links nothing: callee and caller are compiled apart, each once, at the same time on two cores, or one of them not at
all. It costs some nanoseconds more, so it is for calls that do the work of microseconds.

All callees have one signature, ``(Place, strip, workspace) -> int64``, by Numba's own calling convention.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.core import cgutils
from numba.core.typing.templates import AttributeTemplate, infer_getattr
from numba.extending import lower_getattr_generic, models, register_model

from neurosam.backends.event.simd.load_store import element_pointer
from neurosam.backends.event.simd.vectors import I32, instruction

__all__ = ["Place", "call", "place"]

BYTES = ir.IntType(8).as_pointer()


class Place(types.Type):
    """Where a named tuple lies that :func:`~neurosam.backends.event.simd.atomics.write_struct` wrote.

    A kernel reads its fields by name, as those of the tuple itself, and loads no more than it uses.
    """

    def __init__(self, kind: Any) -> None:
        self.kind = kind
        super().__init__(name=f"Place({kind})")


@register_model(Place)
class _PlaceModel(models.PrimitiveModel):
    """A pointer."""

    def __init__(self, manager: Any, kind: Place) -> None:
        super().__init__(manager, kind, BYTES)  # type: ignore[no-untyped-call]


@infer_getattr
class _PlaceFields(AttributeTemplate):
    """The types of the fields."""

    key = Place

    def generic_resolve(self, kind: Place, name: str) -> Any:  # type: ignore[override]
        fields = kind.kind.fields
        return kind.kind.types[fields.index(name)] if name in fields else None


@lower_getattr_generic(Place)  # type: ignore[no-untyped-call]
def _field(context: Any, builder: Any, kind: Any, value: Any, name: str) -> Any:
    """Load a field."""
    whole = builder.bitcast(value, context.get_value_type(kind.kind).as_pointer())
    at = [ir.Constant(I32, 0), ir.Constant(I32, kind.kind.fields.index(name))]
    return builder.load(builder.gep(whole, at, inbounds=True))


@instruction
def place(typing: Any, like: Any, memory: Any, at: Any) -> Any:
    """The place ``memory[at :]`` of a tuple of the type of `like`; the caller keeps memory and arrays alive."""

    def build(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.bitcast(element_pointer(context, builder, sig.args[1], args[1], args[2], args[0].type), BYTES)

    return Place(like)(like, memory, types.intp), build


@instruction
def call(typing: Any, address: Any, where: Any, strip: Any, workspace: Any) -> Any:
    """What the kernel at this address (int64, not 0) returns; what it raises is raised here."""
    if not isinstance(where, Place):
        return None

    def build(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        kinds, convention = sig.args[1:], context.call_conv
        form = convention.get_function_type(sig.return_type, kinds)
        callee = builder.inttoptr(args[0], form.as_pointer())
        status, result = convention.call_function(builder, callee, sig.return_type, kinds, args[1:])
        with cgutils.if_unlikely(builder, status.is_error):  # type: ignore[no-untyped-call]
            convention.return_status_propagate(builder, status)
        return result

    return types.int64(types.int64, where, strip, workspace), build
