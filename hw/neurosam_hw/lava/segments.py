"""Shared memory and semaphores of a worker, which are found and removed by the worker's prefix in their names.

A semaphore is unlinked right after its creation; a process that is killed in between leaves it behind. (Killed even
before the semaphore has its name, it leaves a file of the C library that cannot be attributed.)
"""

from __future__ import annotations

import secrets
from pathlib import Path

__all__ = ["new_prefix", "segments", "unlink_segments"]

FOLDER = Path("/dev/shm")


def new_prefix() -> str:
    """Create a prefix that no other worker has."""
    return f"psm_ns{secrets.token_hex(4)}"


def segments(prefix: str) -> list[Path]:
    """List the existing segments and semaphores with a prefix."""
    return sorted([*FOLDER.glob(f"{prefix}*"), *FOLDER.glob(f"sem.{prefix}*")]) if FOLDER.is_dir() else []


def unlink_segments(prefix: str) -> None:
    """Remove the segments and semaphores with a prefix."""
    for path in segments(prefix):
        path.unlink(missing_ok=True)
