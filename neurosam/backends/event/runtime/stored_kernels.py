"""Compiled kernels on disk, a sealed file for each function, argument types and processor.

A file is the SHA-256 of its content followed by the content. One that does not match, cut by a power loss or with a
flipped bit, is removed, said to be damaged, and its kernel is compiled again. A digest is no signature: whoever may
write to the folder may plant code, which is why folder.py takes the user's own only.

A file's name is a digest of its key: the function's file and code, its closure, the argument types, and the processor's
name and features. So it needs no index, unlike Numba's own cache, in which two processes that store kernels of one
function at the same time can mix them up; it is written to a temporary name and renamed. Processes, and machines that
share the folder, need no locks: if two compile the same kernel, one of two equal files stays.
"""

from __future__ import annotations

import hashlib
import os
import pickle
import re
import uuid
import warnings
from contextlib import suppress
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from typing import Any

from numba.core.caching import _Cache
from numba.core.compiler import CompileResult
from numba.core.serialize import dumps

from neurosam._util.progress import say
from neurosam.backends.event.runtime import folder

__all__ = ["NEWS", "SUFFIX", "StoredKernels"]

SEAL = hashlib.sha256().digest_size
SUFFIX = ".kernel"
NEWS: ContextVar[str] = ContextVar("news", default="compiling kernels, once on this machine")
"""What is said when a kernel has to be compiled."""
_unwritable: set[Path] = set()
"""Folders of which was said that they take no more kernels."""


class StoredKernels(_Cache):
    """The compiled signatures of one function, as a dispatcher of Numba's asks for them."""

    def __init__(self, function: Any) -> None:
        self._function = function
        self._name = re.sub(r"[<>]", "", f"{function.__module__.rpartition('.')[2]}.{function.__qualname__}")
        self._enabled = True

    @property
    def cache_path(self) -> str:
        """The folder."""
        return str(folder.cache_folder())

    def enable(self) -> None:
        """Load and store from now on."""
        self._enabled = True

    def disable(self) -> None:
        """Neither load nor store."""
        self._enabled = False

    def flush(self) -> None:
        """Forget what is stored of this function."""
        for path in folder.cache_folder().glob(f"{self._name}-*{SUFFIX}"):
            path.unlink(missing_ok=True)

    def path(self, signature: Any, codegen: Any) -> tuple[Path, Any]:
        """The file of a signature, and the key that it has to hold."""
        function = self._function
        cells = tuple(cell.cell_contents for cell in function.__closure__ or ())
        parts = (
            _file_digest(function.__code__.co_filename), function.__code__.co_firstlineno,
            hashlib.sha256(function.__code__.co_code).hexdigest(), hashlib.sha256(dumps(cells)).hexdigest(),
            codegen.magic_tuple(), str(signature),
        )  # fmt: skip
        name = hashlib.sha256(repr(parts).encode()).hexdigest()[:24]
        return folder.cache_folder() / f"{self._name}-{name}{SUFFIX}", (parts, signature)

    def has(self, signature: Any, target: Any) -> bool:
        """Whether a signature seems to be stored."""
        return self._enabled and self.path(signature, target.codegen())[0].is_file()

    def load_overload(self, signature: Any, target: Any) -> Any:
        """A stored signature; None if there is none, so that it will be compiled now."""
        target.refresh()
        if self._enabled:
            path, key = self.path(signature, target.codegen())
            content = _read(path)
            if content is not None:
                stored, reduced = pickle.loads(content)
                if stored == key:
                    return CompileResult._rebuild(target, *reduced)
        say(NEWS.get())
        return None

    def save_overload(self, signature: Any, data: Any) -> None:
        """Store a compiled signature; without room for it, only this process has it."""
        if not self._enabled or data.library.has_dynamic_globals:
            return
        path, key = self.path(signature, data.codegen)
        content = dumps((key, data._reduce()))
        temporary = path.with_name(f"{path.name}.{uuid.uuid4().hex}")
        try:
            try:
                temporary.write_bytes(hashlib.sha256(content).digest() + content)
                temporary.replace(path)
            except OSError:
                temporary.unlink(missing_ok=True)
                raise
        except OSError as error:
            self.disable()
            if path.parent not in _unwritable:
                _unwritable.add(path.parent)
                _warn(f"{path.parent}: {error.strerror or error}; new kernels will be compiled again in each process")


@cache
def _file_digest(path: str) -> str:
    """Of a source file, which may be none of those that name the folder; of its name if there is no file."""
    with suppress(OSError):
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()
    return path


def _read(path: Path) -> bytes | None:
    """The content of a file; None if there is none, or it was damaged, in which case it is removed."""
    try:
        whole = path.read_bytes()
    except FileNotFoundError:
        return None
    content = whole[SEAL:]
    if hashlib.sha256(content).digest() == whole[:SEAL]:
        return content
    with suppress(OSError):
        os.unlink(path)
    _warn(f"{path}: the compiled kernel is damaged (cut off, or changed); it is compiled again")
    return None


def _warn(message: str) -> None:
    warnings.warn(message, RuntimeWarning, stacklevel=2)
