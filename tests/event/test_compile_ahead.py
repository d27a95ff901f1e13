"""Kernels compiled by several processes: a helper stores what it compiles, and whatever becomes of it, all get done."""

from __future__ import annotations

import itertools
import os
import sys
from collections import deque
from collections.abc import Iterator
from pathlib import Path

import pytest
from numba import types

from neurosam.backends.event.kernels.input_events import count_events
from neurosam.backends.event.kernels.strips import scatter_kernel
from neurosam.backends.event.kernels.tile import Variant, tile_kernel
from neurosam.backends.event.runtime import compile_ahead, helper
from neurosam.backends.event.runtime.compile_ahead import NONE, WORTH, Request, load
from neurosam.backends.event.runtime.folder import cache_folder


@pytest.fixture(autouse=True)
def _cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """A cache of its own."""
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "cache"))
    cache_folder.cache_clear()
    yield
    cache_folder.cache_clear()


def wanted(time: types.Integer) -> Request:
    """A small kernel for events whose times have a type that no run has."""
    return Request(count_events, types.none(time[::1], types.int32[::1], types.int64[:, ::1]))


def test_a_helper_compiles_and_stores() -> None:
    request = wanted(types.int16)
    missing = deque([request])
    with compile_ahead._Helper(missing):
        pass  # its end waits
    assert not missing
    assert request.stored
    assert request.compiled is None
    request.compile()
    assert request.signature not in count_events.stats.cache_misses


def test_an_interrupt_ends_a_helper() -> None:
    with pytest.raises(KeyboardInterrupt), compile_ahead._Helper(deque([wanted(types.uint16)] * 100)) as running:
        raise KeyboardInterrupt
    assert running._process is not None
    assert running._process.returncode is not None


def test_without_helpers_that_work_this_process_compiles(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    broken = tmp_path / "python-broken"
    broken.write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
    broken.chmod(0o700)
    monkeypatch.setattr(compile_ahead, "_helpers", lambda missing: 2)
    for executable, kind in ((broken, types.uint8), (tmp_path / "none", types.int8)):
        monkeypatch.setattr(sys, "executable", str(executable))
        request = wanted(kind)
        load([request, request])
        assert request.compiled is not None
        assert request.stored


def test_helpers_are_few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(NONE, raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)), raising=False)
    assert [compile_ahead._helpers(n * WORTH) for n in (0, 1, 2, 3, 50)] == [0, 1, 2, 3, compile_ahead.HELPERS]
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0}, raising=False)
    assert compile_ahead._helpers(50) == 0
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1}, raising=False)
    assert compile_ahead._helpers(50) == 1
    monkeypatch.setattr(sys, "executable", "/usr/bin/blender")  # it would start once more
    assert compile_ahead._helpers(50) == 0
    monkeypatch.undo()
    monkeypatch.setenv(NONE, "1")
    assert compile_ahead._helpers(50) == 0


def test_a_kernel_is_found_by_its_origin() -> None:
    made = tile_kernel(Variant(True, False, False, True, False))
    assert helper.resolve(made.origin) is made
    assert helper.resolve(count_events.origin) is count_events


def test_no_two_kernels_of_one_factory_have_one_name() -> None:
    """LLVM finds machine code by its name, and Numba numbers closures of one name anew in each process."""
    for factory, switches in ((lambda literals: tile_kernel(Variant(*literals)), 5), (scatter_kernel, 4)):
        made = [factory(literals) for literals in itertools.product((False, True), repeat=switches)]
        assert len({kernel.py_func.__qualname__ for kernel in made}) == len(made) == 2**switches
