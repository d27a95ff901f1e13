"""Shared-memory segments of a worker: named by a prefix of its own, so that they can be found and removed."""

from __future__ import annotations

import secrets
from pathlib import Path

__all__ = ["new_prefix", "segments", "unlink_segments"]

FOLDER = Path("/dev/shm")


def new_prefix() -> str:
    """A prefix that no other worker has."""
    return f"psm_ns{secrets.token_hex(4)}"


def segments(prefix: str) -> list[Path]:
    """The segments that exist under a prefix."""
    return sorted(FOLDER.glob(f"{prefix}*")) if FOLDER.is_dir() else []


def unlink_segments(prefix: str) -> None:
    """Remove them."""
    for path in segments(prefix):
        path.unlink(missing_ok=True)
