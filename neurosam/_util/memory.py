"""The memory that this process may still take, so that what is too large ends in a sentence and no killed process.

Also, for commands that train: the allocator keeps what is freed, since every batch asks for the same arrays again.
"""

from __future__ import annotations

import ctypes
import os
from contextlib import suppress
from pathlib import Path

__all__ = ["available_bytes", "is_out_of_memory", "keep_freed_memory", "size_text"]

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""M_TRIM_THRESHOLD and M_MMAP_THRESHOLD of malloc.h."""
CGROUP = Path("/sys/fs/cgroup")
TORCH_LACKS_MEMORY = ("can't allocate memory", "not enough memory", "out of memory", "std::bad_alloc")
"""What torch says in a RuntimeError, on the CPU and on a GPU."""


def available_bytes() -> int | None:
    """Bytes of memory and swap that system, container and ``ulimit -v`` leave to this process; None if unknown."""
    known = [room for room in (_system(), _container(), _address_space()) if room is not None]
    return max(min(known), 0) if known else None


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory is lacking: a MemoryError, or what torch raises in its place.

    Examples
    --------
    >>> from neurosam._util.memory import is_out_of_memory
    >>> is_out_of_memory(RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes"))
    True
    """
    if isinstance(error, RuntimeError):
        return any(words in str(error) for words in TORCH_LACKS_MEMORY)
    return isinstance(error, MemoryError)


def keep_freed_memory() -> bool:
    """Let the C library keep what this process frees, up to 2 GB, for its next arrays; False where it cannot.

    By default, glibc returns arrays above some megabytes to the system at once, which then clears their pages again for
    the next batch: about a fifth of the time of training on a CPU. For commands, not for a library: it concerns the
    whole process. Source: mallopt(3).
    """
    with suppress(OSError, AttributeError):  # another C library, or none that can be asked
        ask = ctypes.CDLL(None).mallopt
        return bool(ask(_MMAP_THRESHOLD, 1 << 30)) and bool(ask(_TRIM_THRESHOLD, (1 << 31) - 1))
    return False


def size_text(count: int) -> str:
    """Bytes in a unit that people read.

    Examples
    --------
    >>> from neurosam._util.memory import size_text
    >>> size_text(8_100_000_000), size_text(2000)
    ('8.1 GB', '2.0 kB')
    """
    if count < 1000:
        return f"{count} bytes"
    units = ("kB", "MB", "GB", "TB", "PB")
    power = min((len(str(count)) - 1) // 3, len(units))
    return f"{count / 1000**power:.1f} {units[power - 1]}"


def _system() -> int | None:
    try:
        lines = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
        return 1024 * sum(int(lines[name].split()[0]) for name in ("MemAvailable", "SwapFree"))
    except (OSError, KeyError, ValueError, IndexError):
        try:
            return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        except (AttributeError, OSError, ValueError):
            return None


def _container() -> int | None:
    try:
        limit = (CGROUP / "memory.max").read_text().strip()
        return None if limit == "max" else int(limit) - int((CGROUP / "memory.current").read_text())
    except (OSError, ValueError):
        return None


def _address_space() -> int | None:
    try:
        import resource

        limit = resource.getrlimit(resource.RLIMIT_AS)[0]
        if limit == resource.RLIM_INFINITY:
            return None
        return limit - resource.getpagesize() * int(Path("/proc/self/statm").read_text().split()[0])
    except (ImportError, OSError, ValueError, IndexError):
        return None
