"""Files that appear whole or not at all: written under a temporary name beside the target, then renamed over it."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

__all__ = ["replace_bytes"]


def replace_bytes(path: str | Path, content: bytes) -> Path:
    """Write `content` to `path` and return it; an old file stays until the new one is whole.

    The folder is made where it is missing.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    try:
        temporary.write_bytes(content)
        os.replace(temporary, target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return target
