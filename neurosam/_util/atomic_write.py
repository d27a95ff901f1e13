"""Writing a file whole or not at all: under a temporary name in the same folder first, then renamed.

What a killed process leaves under such a name is removed by the next one that writes into the folder (orphans.py).
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from neurosam._util.orphans import remove_orphans, temporary_name

__all__ = ["replacing", "write_bytes", "write_text"]


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A temporary path to write to; the file is renamed to `path` when the block ends, and removed if that fails.

    The content is synced to disk before the renaming. An older file's permissions are kept. If `path` is a link, the
    file that it points to is replaced.

    Raises
    ------
    OSError
        If the disk is full or the folder cannot be written; with the name of `path`, not of the temporary file.
    """
    target = Path(os.path.realpath(path))
    temporary = target.parent / temporary_name()
    remove_orphans(target.parent)
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        if target.exists():
            shutil.copymode(target, temporary)
        temporary.replace(target)
        _sync(target.parent)
    except OSError as error:
        if error.errno is None:
            raise
        raise OSError(error.errno, error.strerror, os.fspath(path)) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def write_bytes(path: str | os.PathLike[str], content: bytes) -> Path:
    """Write bytes atomically and return the path; a missing folder is created."""
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    with replacing(target) as temporary:
        temporary.write_bytes(content)
    return target


def write_text(path: str | os.PathLike[str], content: str) -> Path:
    """Write UTF-8 text atomically; see :func:`write_bytes`."""
    return write_bytes(path, content.encode())


def _sync(folder: Path) -> None:
    """Make the renaming durable, where the system can sync a folder."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
