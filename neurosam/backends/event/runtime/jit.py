"""How kernels are compiled: once, into a cache that belongs to exactly this source code.

Numba keys a cached kernel by the file that defines it, but a kernel also contains the functions that it calls, such as
those of arithmetic.py. So the cache folder is named by a digest of all kernel sources: a kernel compiled from an old
formula is never used with a changed one. The folder is below ``NUMBA_CACHE_DIR``, or in the user's cache folder, or
(if neither can be written, or somebody else could write there too) in a temporary folder. Its modification time is that
of its last use; a folder that no process has used for KEPT_DAYS belongs to a version no longer in use, and is removed.

:data:`formulas` is arithmetic.py compiled as it stands: the same functions that Python integers and torch tensors use.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import stat
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from types import FunctionType, SimpleNamespace
from typing import Any

import numba

from neurosam import arithmetic
from neurosam.backends.event.runtime.stored_kernels import StoredKernels
from neurosam.backends.event.simd.bounds import CHECKED
from neurosam.errors import BackendError
from neurosam.network import dynamics

__all__ = ["cache_folder", "formulas", "inlined", "inlined_source", "kernel", "overload"]

if numba.config.DISABLE_JIT:  # type: ignore[attr-defined]
    raise BackendError(
        "back end 'event'", "needs Numba's compiler, which NUMBA_DISABLE_JIT switches off; unset it, or use 'reference'"
    )

KEPT_DAYS = 30
FOLDER = re.compile(r"kernels-[0-9a-f]{16}")


@cache
def cache_folder() -> Path:
    """The folder of this source's kernels, created if needed."""
    sources = Path(__file__).parents[1].rglob("*.py")
    digest = hashlib.sha256(f"{numba.__version__} {sys.version} {CHECKED}".encode())
    for source in sorted([*sources, Path(arithmetic.__file__), Path(dynamics.__file__)]):
        digest.update(source.read_bytes())
    for base in _bases():
        folder = base / f"kernels-{digest.hexdigest()[:16]}"
        try:
            base.mkdir(mode=0o700, parents=True, exist_ok=True)
            if base.parent == Path(tempfile.gettempdir()) and not _own(base):
                continue
            folder.mkdir(mode=0o700, exist_ok=True)
            if not _own(folder):
                continue
            with tempfile.TemporaryFile(dir=folder):
                pass
            _remove_others(folder)
            return folder
        except OSError:
            continue
    return Path(tempfile.mkdtemp(prefix="neurosam-"))


def _bases() -> Iterator[Path]:
    """Where kernels may be kept, the best place first; a container may have no home."""
    if os.environ.get("NUMBA_CACHE_DIR"):
        yield Path(os.environ["NUMBA_CACHE_DIR"])
    elif os.environ.get("XDG_CACHE_HOME"):
        yield Path(os.environ["XDG_CACHE_HOME"]) / "neurosam"
    else:
        with suppress(RuntimeError):  # neither HOME nor an entry in the list of users
            yield Path.home() / ".cache" / "neurosam"
    yield Path(tempfile.gettempdir()) / f"neurosam-{os.getuid() if hasattr(os, 'getuid') else 'user'}"


def _remove_others(folder: Path) -> None:
    """Mark a folder as used now, and remove neighbouring ones unused for KEPT_DAYS; failures are ignored.

    Only folders with our naming that belong to our user are removed, and links are not followed. A process that has run
    for longer than KEPT_DAYS is not harmed: it keeps loaded kernels in memory, and compiles missing ones again.
    """
    with suppress(OSError):
        os.utime(folder)
    oldest = time.time() - 86_400 * KEPT_DAYS
    with suppress(OSError), os.scandir(folder.parent) as entries:
        for entry in entries:
            if FOLDER.fullmatch(entry.name) and entry.name != folder.name and entry.is_dir(follow_symlinks=False):
                status = entry.stat(follow_symlinks=False)
                if status.st_mtime < oldest and (not hasattr(os, "getuid") or status.st_uid == os.getuid()):
                    shutil.rmtree(entry.path, ignore_errors=True)


def _own(folder: Path) -> bool:
    """Whether the folder is ours and nobody else can write to it: a stored kernel is code that will be run."""
    if not hasattr(os, "getuid"):
        return True
    status = folder.lstat()
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid() and not status.st_mode & 0o022


def kernel(function: Callable[..., Any]) -> Any:
    """Compile a function when it is first called, without the GIL, cached in :func:`cache_folder`."""
    return _cached(function)


def inlined(function: Callable[..., Any]) -> Any:
    """A :func:`kernel` that LLVM inlines: for functions that run once per vector and take vectors by value."""
    return _cached(function, forceinline=True)


def inlined_source(function: Callable[..., Any]) -> Any:
    """A function inlined in its callers' source, for large ones: compiling them apart as well would take seconds."""
    return numba.njit(nogil=True, inline="always", boundscheck=CHECKED)(function)


def overload(stub: Callable[..., Any], **options: Any) -> Any:
    """Numba's `overload`, with the bounds checks that kernels are compiled with."""
    jit_options: Any = {"boundscheck": CHECKED, **options}
    return numba.extending.overload(stub, jit_options=jit_options)


def _cached(function: Callable[..., Any], **options: Any) -> Any:
    config: Any = numba.config
    before = config.CACHE_DIR
    config.CACHE_DIR = str(cache_folder())
    try:
        dispatcher = numba.njit(nogil=True, boundscheck=CHECKED, **options)(function)
        dispatcher._cache = StoredKernels(function)
        return dispatcher
    finally:
        config.CACHE_DIR = before


def _compiled(module: Any) -> SimpleNamespace:
    """All functions of a module as kernels, which call each other instead of the originals."""
    namespace = dict(vars(module))
    kernels = {}
    for name in module.__all__:
        function = getattr(module, name)
        if isinstance(function, FunctionType):
            twin = FunctionType(function.__code__, namespace, name, function.__defaults__)
            kernels[name] = kernel(twin)
    namespace.update(kernels)
    return SimpleNamespace(**kernels)


formulas = _compiled(arithmetic)
