"""How kernels are compiled: the decorators, one for each way in which a function is called.

    kernel           by Python, and by other kernels, into which it is linked
    by_address       by kernels, through its address (simd/calls.py): compiled apart, and only if it is needed
    inlined          by kernels; LLVM inlines it: for functions that run once per vector and take vectors by value
    inlined_source   by kernels; its source is inlined, so it is compiled in its callers alone

:data:`formulas` is arithmetic.py compiled as it stands: the same functions that Python integers and torch tensors use.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from types import FunctionType, SimpleNamespace
from typing import Any

import numba

from neurosam import arithmetic
from neurosam.backends.event.runtime import jit_options
from neurosam.backends.event.runtime.stored_kernels import StoredKernels
from neurosam.errors import BackendError

__all__ = ["by_address", "formulas", "inlined", "inlined_source", "kernel", "overload"]

if numba.config.DISABLE_JIT:  # type: ignore[attr-defined]
    raise BackendError(
        "back end 'event'", "needs Numba's compiler, which NUMBA_DISABLE_JIT switches off; unset it, or use 'reference'"
    )


def kernel(function: Callable[..., Any]) -> Any:
    """Compile a function when it is first called, without the GIL, and store it (stored_kernels.py)."""
    return _stored(function, {})


def by_address(function: Callable[..., Any], origin: tuple[str, str, tuple[Any, ...] | None] | None = None) -> Any:
    """A kernel that others call by its address.

    `origin` says how another process finds it: module, name, and if this is the name of a function that makes it, the
    arguments, which are tuples of truth values. They become part of the kernel's name: LLVM tells machine code apart by
    its name, in which Numba numbers closures of one name by process, so that two of two processes could be mixed up.
    """
    if origin is not None and origin[2] is not None:
        function.__qualname__ = f"{origin[1]}_{''.join(str(int(switch)) for switch in chain(*origin[2]))}"
    dispatcher = _refusing(_stored(function, jit_options.BY_ADDRESS))
    dispatcher.origin = origin or dispatcher.origin
    return dispatcher


def inlined(function: Callable[..., Any]) -> Any:
    """A kernel that LLVM inlines, and Python does not call."""
    return _refusing(_stored(function, jit_options.INLINED))


def inlined_source(function: Callable[..., Any]) -> Any:
    """A kernel whose source is inlined in its callers; compiled apart only if Python calls it, in tests."""
    return _stored(function, jit_options.INLINED_SOURCE)


def overload(stub: Callable[..., Any], **options: Any) -> Any:
    """Numba's `overload`, with the bounds checks that kernels are compiled with."""
    given: Any = {**jit_options.OVERLOAD, **options}
    return numba.extending.overload(stub, jit_options=given)


def _stored(function: Callable[..., Any], options: dict[str, Any]) -> Any:
    dispatcher = numba.njit(**jit_options.ALWAYS, **options)(function)
    dispatcher._cache = StoredKernels(function)
    dispatcher.origin = function.__module__, function.__name__, None
    return dispatcher


def _refusing(dispatcher: Any) -> Any:
    """Let a call from Python end in an error, not at address 0, which a kernel without a wrapper has for Python."""
    dispatcher._insert = lambda *_: None

    def refuse(*_: Any, **__: Any) -> None:
        raise TypeError(f"kernel {dispatcher.py_func.__name__}: is called by other kernels only")

    dispatcher._compile_for_args = refuse
    return dispatcher


def _compiled(module: Any) -> SimpleNamespace:
    """All functions of a module as kernels, which call each other instead of the originals."""
    namespace = dict(vars(module))
    kernels = {}
    for name in module.__all__:
        function = getattr(module, name)
        if isinstance(function, FunctionType):
            twin = FunctionType(function.__code__, namespace, name, function.__defaults__)
            kernels[name] = inlined_source(twin)
    namespace.update(kernels)
    return SimpleNamespace(**kernels)


formulas = _compiled(arithmetic)
