"""The debug build of the event back end's kernels finds accesses outside of their arrays (simd/bounds.py)."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

PROGRAM = """
    import numpy as np
    from neurosam.backends.event.kernels.spike_lists import active, decode
    from neurosam.backends.event.runtime.jit import cache_folder, kernel
    from neurosam.backends.event.simd.atomics import observe, publish, read_struct, write_struct
    from neurosam.backends.event.simd.load_store import address, item, load, load_first, put, store, store_first

    @kernel
    def indexed(x, at):
        x[at] = x[at]

    @kernel
    def addressed(x, at):
        part = address(address(x, 3), -1)
        put(item(part, at - 2), part, at - 2)

    @kernel
    def stored(x, at):
        store(load(x, 0), x, at)

    @kernel
    def loaded(x, at):
        store(load(address(x, 0), at), x, 0)

    @kernel
    def first_stored(x, at):
        store_first(load_first(x, 0, 3), address(x, 0), at, 3)

    @kernel
    def first_loaded(x, at):
        store_first(load_first(x, at, 3), x, 0, 3)

    @kernel
    def published(x, at):
        publish(x, at, observe(x, at))

    @kernel
    def written(x, at):
        value = (x, 1)
        write_struct(value, value, x.view(np.uint8), 8 * at)
        read_struct(value, x.view(np.uint8), 8 * at)

    def attempt(function, *arguments):
        try:
            function(*arguments)
        except IndexError as error:
            return str(error)
        return "nothing"

    print(cache_folder().name)
    x, counters = np.zeros(40, np.int32), np.zeros(40, np.int64)
    for function, array, inside, outside in (
        (indexed, x, (0, -40, 39), (40, -41)),
        (addressed, x, (0, 39), (-1, 40)),
        (stored, x, (0, 24), (-1, 25)),
        (loaded, x, (0, 24), (-1, 25)),
        (first_stored, x, (0, 37), (-1, 38)),
        (first_loaded, x, (0, 37), (-1, 38)),
        (published, counters, (0, 39), (-1, 40)),
        (written, counters, (0,), (-1, 36)),
    ):
        for at in inside:
            assert attempt(function, array, at) == "nothing", (function, at)
        for at in outside:
            message = attempt(function, array, at)
            assert message.startswith(f"__main__.{function.__name__}: "), (function, at, message)

    planes = np.full((2, 5, 2), -1, np.int64).view(np.uint64)
    start, index = np.zeros(6, np.int32), np.zeros(5 * 128 + 16, np.int32)
    assert active(planes, 1, 0, 5) == decode(planes, 1, 1, 0, 5, 128, start, index) == 5 * 128
    print(attempt(active, planes, 2, 0, 5))
    print(attempt(decode, planes, 1, 1, 0, 5, 128, start, index[:-17].copy()))
    print(attempt(decode, planes, 1, 1, 0, 5, 128, start[:5].copy(), index))
"""


def output(program: Path, cache: Path, checked: str) -> list[str]:
    environment = {**os.environ, "NEUROSAM_CHECK_BOUNDS": checked, "NUMBA_CACHE_DIR": str(cache)}
    done = subprocess.run([sys.executable, str(program)], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_planted_faults_are_found(tmp_path: Path) -> None:
    """By every kind of access, by kernels compiled here and loaded from the cache, and in kernels of the back end."""
    program, cache = tmp_path / "program.py", tmp_path / "cache"
    program.write_text(textwrap.dedent(PROGRAM), encoding="utf-8")
    for _ in range(2):
        folder, *messages = output(program, cache, "1")
        assert [path.name for path in cache.iterdir()] == [folder]
        assert [message.split(":")[0].split(".")[0] for message in messages] == ["spike_lists"] * 3
        assert messages[0] == "spike_lists.active: memory access outside of an array"


def test_kernels_with_and_without_checks_are_kept_apart(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text("from neurosam.backends.event.runtime import jit\nprint(jit.cache_folder())\n", encoding="utf-8")
    plain, checked = (output(program, tmp_path, value)[0] for value in ("0", "1"))
    assert plain != checked
    assert output(program, tmp_path, "")[0] == plain
