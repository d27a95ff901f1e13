"""A process that compiles kernels for another one (compile_ahead.py) and stores them.

It says "ready" on standard output, reads a kernel's origin and signature from standard input, compiles it, and so on
until its input ends: with the other process too, however that ended.
"""

from __future__ import annotations

import pickle
import sys
from importlib import import_module
from typing import Any

__all__ = ["main", "resolve"]


def resolve(origin: tuple[str, str, tuple[Any, ...] | None]) -> Any:
    """The kernel that another process names: see :func:`~neurosam.backends.event.runtime.jit.by_address`."""
    module, name, arguments = origin
    found = getattr(import_module(module), name)
    return found if arguments is None else found(*arguments)


def main() -> None:
    """Compile what comes in."""
    import_module("neurosam.backends.event.kernels.strips")
    while True:
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        try:
            origin, signature = pickle.load(sys.stdin.buffer)
        except (EOFError, KeyboardInterrupt):
            return
        resolve(origin).compile(signature)
