"""Kernels that a plan needs, loaded or compiled before its first step: on all cores, with a line that says how far.

Numba compiles one function at a time in a process. So kernels that are not stored yet are a queue, from which this
process and its helpers (helper.py) take; a helper stores what it compiles, and this process loads it. A helper takes a
second to start, so there is one only for several kernels; where none can be started, or one fails, this process
compiles what is left.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections import deque
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from threading import Thread
from typing import Any, NamedTuple

from numba.core.registry import cpu_target

from neurosam.backends.event.runtime.folder import cache_folder
from neurosam.backends.event.runtime.stored_kernels import NEWS

__all__ = ["HELPERS", "Request", "load"]

HELPERS = 3
"""Most helpers."""
WORTH = 3
"""Kernels in the queue for which one more helper is started."""
NONE = "NEUROSAM_COMPILE_ALONE"
"""An environment variable: if it is set, no other process is started."""


class Request(NamedTuple):
    """A kernel, and the Numba signature for which it is needed."""

    kernel: Any
    signature: Any

    @property
    def compiled(self) -> Any:
        """What this process has of it, or None."""
        return self.kernel.overloads.get(tuple(self.signature.args))

    @property
    def stored(self) -> bool:
        """Whether a file has it."""
        return bool(self.kernel._cache.has(self.signature, cpu_target.target_context))

    def compile(self) -> None:
        """Load it, or compile it here."""
        self.kernel.compile(self.signature)

    def address(self) -> int:
        """Where its machine code begins, for simd/calls.py."""
        self.compile()
        compiled = self.compiled
        found: int = compiled.library.get_pointer_to_function(compiled.fndesc.llvm_func_name)
        return found


def load(requests: Sequence[Request]) -> None:
    """Load or compile all kernels, the longest of which should come first."""
    wanted = {(id(request.kernel), str(request.signature)): request for request in requests if not request.compiled}
    cpu_target.target_context.refresh()
    missing = deque(request for request in wanted.values() if not request.stored)
    total = len(missing)
    with ExitStack() as helpers:
        for _ in range(_helpers(total)):
            helpers.enter_context(_Helper(missing))
        while missing:
            with suppress(IndexError):  # a helper has taken the last one
                request = missing.popleft()
                news = NEWS.set(f"compiling kernels, {total - len(missing)} of {total}, once on this machine")
                try:
                    request.compile()
                finally:
                    NEWS.reset(news)
    for request in wanted.values():
        request.compile()


def _helpers(missing: int) -> int:
    """How many helpers are worth their start."""
    ordinary = Path(sys.executable or "").name.lower().startswith("python")  # not a program that embeds Python
    if os.environ.get(NONE) or not ordinary or not os.access(cache_folder(), os.W_OK):
        return 0
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(0, min(HELPERS, cores - 1, missing // WORTH))


class _Helper:
    """A process that compiles kernels, and a thread that hands it one after another."""

    def __init__(self, missing: deque[Request]) -> None:
        self._missing = missing
        self._process: subprocess.Popen[bytes] | None = None
        start = (
            f"import sys; sys.path[:] = {sys.path!r}\nfrom neurosam.backends.event.runtime.helper import main\nmain()"
        )
        with suppress(OSError):
            self._process = subprocess.Popen(
                [sys.executable, "-c", start], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                start_new_session=True,
            )  # fmt: skip
        self._thread = Thread(target=self._feed, name="neurosam compile helper", daemon=True)
        self._thread.start()

    def _feed(self) -> None:
        """Whenever the helper says that it is ready, give it the next kernel; end when there are none."""
        process = self._process
        if process is None or process.stdin is None or process.stdout is None:
            return
        with suppress(OSError, ValueError):  # it has ended, or been ended
            while process.stdout.readline():
                try:
                    request = self._missing.pop()  # from the end, where the short ones are: so both end together
                except IndexError:
                    break
                pickle.dump((request.kernel.origin, request.signature), process.stdin)
                process.stdin.flush()
            process.stdin.close()

    def __enter__(self) -> _Helper:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Wait for what the helper compiles now, or, after an error or an interrupt, end it."""
        process = self._process
        if process is None or process.stdin is None or process.stdout is None:
            return
        try:
            if kind is None:
                self._thread.join()
            else:
                process.kill()
        except BaseException:
            process.kill()
            raise
        finally:
            self._thread.join()
            with suppress(OSError):
                process.stdin.close()
            process.wait()
            process.stdout.close()
