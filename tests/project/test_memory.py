"""Freed memory that is kept is not asked for again: page faults, counted by the system, of a process of its own."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

_FAULTS = """
import ctypes, resource, sys
ctypes.CDLL(None).prctl(41, 1, 0, 0, 0)  # PR_SET_THP_DISABLE: pages of 4 kB, whatever the system prefers
import numpy as np
from neurosam._util.memory import keep_freed_memory
kept = sys.argv[1] == "kept" and keep_freed_memory()
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
np.ones(8_000_000)
before = faults()
for _ in range(4):
    np.ones(8_000_000)
print(int(kept), faults() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="mallopt is glibc's")
def test_arrays_take_the_memory_that_was_freed() -> None:
    environment = os.environ | {"NUMPY_MADVISE_HUGEPAGE": "0"}
    found = {}
    for how in ("kept", "returned"):
        done = subprocess.run(
            [sys.executable, "-c", _FAULTS, how], capture_output=True, text=True, check=True, env=environment
        )
        kept, faults = map(int, done.stdout.split())
        assert kept == (how == "kept")
        found[how] = faults
    assert found["returned"] > 4 * 10_000  # 64 MB are 15,625 pages of 4 kB
    assert found["kept"] < 1_000
