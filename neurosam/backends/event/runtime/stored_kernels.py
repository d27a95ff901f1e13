"""Compiled kernels on disk, each sealed with a digest.

Numba's files hold machine code and pickles, and it loads them as they are: an empty one, or one cut by a power loss,
ends every later run, and one with a flipped bit may end the process. Here a file is the SHA-256 of its content followed
by the content. One that does not match is removed, said to be damaged, and its kernel is compiled again.

A digest is no signature: whoever may write to the folder may plant code. That is why the folder has to be the user's
own (jit.py).
"""

from __future__ import annotations

import hashlib
import os
import pickle
import warnings
from contextlib import suppress
from typing import Any

from numba.core.caching import FunctionCache, IndexDataCacheFile

from neurosam._util.progress import say

__all__ = ["StoredKernels"]

SEAL = hashlib.sha256().digest_size


class _SealedFiles(IndexDataCacheFile):
    """Numba's two kinds of files, an index and one for each compiled signature, with a digest in front."""

    def _load_index(self) -> dict[Any, str]:
        content = _read(self._index_path)
        if content is None:
            return {}
        version, stamp, overloads = pickle.loads(content)
        found: dict[Any, str] = overloads if (version, stamp) == (self._version, self._source_stamp) else {}
        return found

    def _save_index(self, overloads: dict[Any, str]) -> None:
        self._write(self._index_path, (self._version, self._source_stamp, overloads))

    def _load_data(self, name: str) -> Any:
        content = _read(self._data_path(name))
        return None if content is None else pickle.loads(content)

    def _save_data(self, name: str, data: Any) -> None:
        self._write(self._data_path(name), data)

    def _write(self, path: str, data: Any) -> None:
        content = self._dump(data)
        with self._open_for_write(path) as file:
            file.write(hashlib.sha256(content).digest())
            file.write(content)


class StoredKernels(FunctionCache):
    """The compiled signatures of one function."""

    def __init__(self, function: Any) -> None:
        super().__init__(function)
        stamp = self._impl.locator.get_source_stamp()
        self._cache_file = _SealedFiles(self._cache_path, self._impl.filename_base, stamp)

    def load_overload(self, signature: Any, target: Any) -> Any:
        """A stored signature; None if there is none, so that it will be compiled now."""
        found = super().load_overload(signature, target)
        if found is None:
            say("compiling kernels, once on this machine")
        return found

    def save_overload(self, signature: Any, data: Any) -> None:
        """Store a compiled signature; without room for it, only this process has it."""
        try:
            super().save_overload(signature, data)
        except OSError as error:
            self.disable()
            _warn(
                f"{self._cache_path}: {error.strerror or error}; this kernel will be compiled again in the next process"
            )


def _read(path: str) -> bytes | None:
    """The content of a file; None if there is none, or it was damaged, in which case it is removed."""
    try:
        with open(path, "rb") as file:
            seal, content = file.read(SEAL), file.read()
    except FileNotFoundError:
        return None
    if hashlib.sha256(content).digest() == seal:
        return content
    with suppress(OSError):
        os.unlink(path)
    _warn(f"{path}: the compiled kernel is damaged (cut off, or changed); it is compiled again")
    return None


def _warn(message: str) -> None:
    warnings.warn(message, RuntimeWarning, stacklevel=2)
