"""Compiled kernels on disk: damaged ones are compiled again, those of others are not used, and no home is needed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from neurosam.backends.event.runtime import jit
from neurosam.backends.event.runtime.jit import cache_folder, kernel

SCRIPT = """
import sys, warnings
warnings.simplefilter("ignore")
import numpy as np
from neurosam.backends.event.runtime.jit import cache_folder, kernel
print(cache_folder())
"""


def twice(x: int) -> int:
    return 2 * x


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A cache of its own."""
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    cache_folder.cache_clear()
    monkeypatch.setattr(jit, "cache_folder", lambda: tmp_path)
    return tmp_path


def compiled_anew() -> int:
    """Kernels that had to be compiled in a first call."""
    dispatcher = kernel(twice)
    assert dispatcher(21) == 42
    return len(dispatcher.stats.cache_misses)


@pytest.mark.parametrize("suffix", ["nbi", "nbc"])
@pytest.mark.parametrize("damage", ["empty", "cut", "flipped"])
def test_a_damaged_kernel_is_compiled_again(folder: Path, suffix: str, damage: str) -> None:
    assert (compiled_anew(), compiled_anew()) == (1, 0)
    [file] = folder.rglob(f"*.{suffix}")
    content = bytearray(file.read_bytes())
    if damage == "flipped":
        content[np.random.default_rng(0).integers(len(content))] ^= 4
    file.write_bytes(b"" if damage == "empty" else content[: -7 if damage == "cut" else None])
    with pytest.warns(RuntimeWarning, match=rf"{suffix}: the compiled kernel is damaged .* compiled again"):
        assert compiled_anew() == 1
    assert compiled_anew() == 0


def test_a_full_disk_costs_time_only(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("neurosam.backends.event.runtime.stored_kernels._SealedFiles.save", full)
    with pytest.warns(RuntimeWarning, match="No space left on device; this kernel will be compiled again in the next"):
        assert compiled_anew() == 1


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="owners of files are POSIX's")
def test_a_folder_that_others_can_write_to_is_not_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A stored kernel is code that is run."""
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    cache_folder.cache_clear()
    try:
        mine = cache_folder()
        assert mine.parent == tmp_path
        mine.chmod(0o777)
        cache_folder.cache_clear()
        assert cache_folder().parent != tmp_path
    finally:
        cache_folder.cache_clear()


def test_no_home_is_needed(tmp_path: Path) -> None:
    """A container: no HOME, and a user that is in no list."""
    environment = {key: value for key, value in os.environ.items() if key not in ("HOME", "XDG_CACHE_HOME")}
    environment |= {"NUMBA_CACHE_DIR": str(tmp_path)}
    unknown = "import pathlib, os\ndef none(*_): raise RuntimeError('no home')\npathlib.Path.home = none\n"
    for given in (environment, {k: v for k, v in environment.items() if k != "NUMBA_CACHE_DIR"}):
        done = subprocess.run([sys.executable, "-c", unknown + SCRIPT], env=given, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert (Path(done.stdout.strip()).parent == tmp_path) is ("NUMBA_CACHE_DIR" in given)


def test_without_a_compiler_the_back_end_says_so() -> None:
    script = "import neurosam as ns\nfrom neurosam.backends.registry import load_backend\nload_backend('event')"
    given = {**os.environ, "NUMBA_DISABLE_JIT": "1"}
    done = subprocess.run([sys.executable, "-c", script], env=given, capture_output=True, text=True)
    assert "NUMBA_DISABLE_JIT switches off; unset it, or use 'reference'" in done.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    "switched_off", [{"NUMBA_ENABLE_AVX": "0"}, {"NUMBA_CPU_FEATURES": "-avx512f"}, {"NUMBA_CPU_NAME": "generic"}]
)
def test_instructions_that_are_switched_off_are_not_used(switched_off: dict[str, str]) -> None:
    """The compiler is asked, not the CPU: a kernel with an instruction that it may not use ends the process."""
    script = "from neurosam.backends.event.simd.bits import has_compress\nprint(has_compress())"
    done = subprocess.run(
        [sys.executable, "-c", script], env={**os.environ, **switched_off}, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"
