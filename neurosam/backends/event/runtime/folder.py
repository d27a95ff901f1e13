"""The folder of compiled kernels: one for each set of kernel sources, kept across upgrades that do not change them.

A kernel holds machine code of every function that it calls, so it is old as soon as one of these has changed. The
folder is named by a digest of all that kernels are compiled from: the files of kernels/ and simd/, jit.py and its
options, the formulas that kernels share with the rest of neurosam (SHARED), and the versions of Python, Numba and
llvmlite. Neither neurosam's version nor the code that calls kernels counts. The processor counts in each file
(stored_kernels.py), so machines of a cluster may share a folder.

It lies below ``NUMBA_CACHE_DIR``, or in the user's cache folder, or (if neither can be used, which is said) in a
temporary folder. A stored kernel is code that is run, so a folder has to be the user's own, or root's, and nobody else
may write to it; one that can only be read, such as that of a container image, serves as it is.

Each process holds a shared lock on the file LOCK of its folder. Other folders of the same naming and owner are removed
when they have not been used for KEPT_DAYS, or are not among the KEPT last used, unless a process holds their lock: one
is renamed, which is atomic, and then deleted; links are not followed.
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
import uuid
import warnings
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import llvmlite  # type: ignore[import-untyped]
import numba

from neurosam import arithmetic
from neurosam.backends.event.simd.bounds import CHECKED
from neurosam.network import dynamics, trace

fcntl: Any
try:
    fcntl = import_module("fcntl")
except ImportError:  # Windows
    fcntl = None

__all__ = ["KEPT", "KEPT_DAYS", "LOCK", "SHARED", "cache_folder"]

KEPT_DAYS = 30
KEPT = 4
"""Folders that are kept, this one among them."""
UNLOCKED_DAYS = 1
"""A folder without a lock file, of a version that made none, is in use if it was used within this time."""
LOCK = "in-use"
SHARED = (arithmetic, dynamics, trace)
"""Modules outside of this back end whose functions and constants become part of kernels."""
FOLDER = re.compile(r"kernels-[0-9a-f]{16}")

_locks: list[int] = []
"""Open files whose locks this process holds until it ends."""


def _digest() -> str:
    """Of all that kernels are compiled from."""
    event = Path(__file__).parents[1]
    folders = (path for name in ("kernels", "simd") for path in (event / name).rglob("*.py"))
    versions = f"{numba.__version__} {llvmlite.__version__} {sys.version} {CHECKED}"
    digest = hashlib.sha256(versions.encode())
    ours = (event / "runtime" / name for name in ("jit.py", "jit_options.py"))
    for source in sorted([*folders, *ours, *(Path(str(module.__file__)) for module in SHARED)]):
        digest.update(source.read_bytes())
    return digest.hexdigest()[:16]


@cache
def cache_folder() -> Path:
    """The folder of these kernels, created if needed; this process holds its lock from now on."""
    name, refused = f"kernels-{_digest()}", []
    for base in _bases():
        folder = base / name
        try:
            _make(base)
            _make(folder)
        except OSError as error:
            refused.append(f"{base} ({error.strerror or error})")
            continue
        _report(refused, str(base))
        _lock(folder)
        _remove_others(folder)
        return folder
    _report(refused, "this process")
    return Path(tempfile.mkdtemp(prefix="neurosam-"))


def _report(refused: list[str], instead: str) -> None:
    if refused:
        warnings.warn(
            f"compiled kernels cannot be kept in {', '.join(refused)}; they are kept in {instead}. NUMBA_CACHE_DIR "
            "names another folder", RuntimeWarning, stacklevel=3,
        )  # fmt: skip


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


def _make(folder: Path) -> None:
    """Create a folder if it is missing; refuse one that others can write to, but for an ordinary base."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if (FOLDER.fullmatch(folder.name) or folder.parent == Path(tempfile.gettempdir())) and not _is_trusted(folder):
        raise PermissionError(0, "others can write to it")


def _is_trusted(folder: Path) -> bool:
    """Whether the folder is ours or root's, and nobody else can write to it."""
    if not hasattr(os, "getuid"):
        return True
    status = folder.lstat()
    return stat.S_ISDIR(status.st_mode) and status.st_uid in (os.getuid(), 0) and not status.st_mode & 0o022


def _lock(folder: Path) -> None:
    """Hold a shared lock until this process ends, and mark the folder as used now; a read-only one needs neither."""
    with suppress(OSError):
        os.utime(folder)
        _locks.append(os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        if fcntl is not None:
            fcntl.flock(_locks[-1], fcntl.LOCK_SH | fcntl.LOCK_NB)


def _remove_others(folder: Path) -> None:
    """Remove neighbours that are no longer used; failures are ignored."""
    found = []
    with suppress(OSError), os.scandir(folder.parent) as entries:
        for entry in entries:
            if FOLDER.fullmatch(entry.name) and entry.name != folder.name and entry.is_dir(follow_symlinks=False):
                status = entry.stat(follow_symlinks=False)
                if not hasattr(os, "getuid") or status.st_uid == os.getuid():
                    found.append((status.st_mtime, Path(entry.path)))
    now = time.time()
    for rank, (used, other) in enumerate(sorted(found, reverse=True), start=1):
        if rank >= KEPT or used < now - 86_400 * KEPT_DAYS:
            _remove(other, now - used)


def _remove(folder: Path, unused_s: float) -> None:
    """Remove a folder unless a process uses it."""
    with suppress(OSError):
        lock = None
        if fcntl is None or not (folder / LOCK).is_file():
            if unused_s < 86_400 * UNLOCKED_DAYS:
                return
        else:
            lock = os.open(folder / LOCK, os.O_RDWR | os.O_CLOEXEC | getattr(os, "O_NOFOLLOW", 0))
        try:
            if lock is not None:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # fails while another process holds it
            doomed = folder.with_name(f"{folder.name}-{uuid.uuid4().hex}")
            folder.rename(doomed)
            shutil.rmtree(doomed, ignore_errors=True)
        finally:
            if lock is not None:
                os.close(lock)
