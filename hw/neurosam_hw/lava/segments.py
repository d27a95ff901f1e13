"""Shared memory and semaphores of a worker: named by a prefix of its own, so that they can be found and removed.

A semaphore loses its name as soon as it is made; a process that is killed between the two leaves it behind. (Killed
even before it has its name, it leaves a file of the C library's that nobody can attribute.)
"""

from __future__ import annotations

import secrets
from pathlib import Path

__all__ = ["new_prefix", "segments", "unlink_segments"]

FOLDER = Path("/dev/shm")


def new_prefix() -> str:
    """A prefix that no other worker has."""
    return f"psm_ns{secrets.token_hex(4)}"


def segments(prefix: str) -> list[Path]:
    """The segments and semaphores that exist under a prefix."""
    return sorted([*FOLDER.glob(f"{prefix}*"), *FOLDER.glob(f"sem.{prefix}*")]) if FOLDER.is_dir() else []


def unlink_segments(prefix: str) -> None:
    """Remove them."""
    for path in segments(prefix):
        path.unlink(missing_ok=True)
