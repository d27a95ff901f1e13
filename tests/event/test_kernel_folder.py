"""The folder of compiled kernels: what its name depends on, which others are removed, and where it may lie."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from neurosam.backends import event
from neurosam.backends.event.runtime import folder as kernel_folder
from neurosam.backends.event.runtime.folder import KEPT, KEPT_DAYS, LOCK, SHARED, cache_folder

DAY = 86_400
PACKAGE = Path(event.__file__).parents[2]
UNCOMPILED = "neurosam.errors"
"""What modules of kernels import and no kernel contains: errors of Python functions."""


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """A cache of its own."""
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "cache"))
    cache_folder.cache_clear()
    yield tmp_path / "cache"
    cache_folder.cache_clear()


def again() -> Path:
    cache_folder.cache_clear()
    return cache_folder()


def test_another_python_has_another_folder(monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    here = cache_folder()
    assert here.parent == cache
    monkeypatch.setattr(sys, "version", "another Python")
    assert again() != here


def copied(tmp_path: Path) -> Path:
    """A copy of the package, that a process can import instead."""
    root = tmp_path / "copy"
    shutil.copytree(PACKAGE, root / "neurosam", ignore=shutil.ignore_patterns("__pycache__"))
    return root


def named(root: Path) -> str:
    """The name of the folder for a copy of the package."""
    script = "from neurosam.backends.event.runtime.folder import _digest, __file__ as f\nprint(_digest(), f)"
    done = subprocess.run(
        [sys.executable, "-c", script], env={**os.environ, "PYTHONPATH": str(root)}, capture_output=True, text=True,
        check=True, cwd=root,
    )  # fmt: skip
    digest, file = done.stdout.split()
    assert Path(file).is_relative_to(root)
    return digest


def test_only_what_is_compiled_names_the_folder(tmp_path: Path) -> None:
    """A new version of neurosam, and other code that calls kernels, keep compiled kernels; another kernel does not."""
    root = copied(tmp_path)
    before = named(root)
    for name in ("_version.py", "backends/event/executors/chain.py", "backends/event/plan/compiled.py", "cli/run.py"):
        path = root / "neurosam" / name
        path.write_text(path.read_text(encoding="utf-8") + "\n# changed\n", encoding="utf-8")
    assert named(root) == before
    for name in ("backends/event/kernels/tile.py", "arithmetic.py"):
        path = root / "neurosam" / name
        path.write_text(path.read_text(encoding="utf-8") + "\n# changed\n", encoding="utf-8")
        after = named(root)
        assert after != before
        before = after


def test_every_file_that_kernels_are_compiled_from_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """One byte in any of them; read through a spy, so that no file is changed."""
    seen: list[Path] = []
    read = Path.read_bytes

    def spy(path: Path) -> bytes:
        seen.append(path)
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", spy)
    kernel_folder._digest()
    below = Path(event.__file__).parent
    expected = {*(below / "kernels").rglob("*.py"), *(below / "simd").rglob("*.py")}
    expected |= {below / "runtime" / "jit.py", below / "runtime" / "jit_options.py"}
    assert expected | {Path(str(module.__file__)) for module in SHARED} == set(seen)
    assert {"tile.py", "strips.py", "vectors.py", "dynamics.py", "arithmetic.py"} <= {path.name for path in seen}


def test_kernels_contain_nothing_else_of_neurosam() -> None:
    """What modules of kernels import is in the digest, or compiled into no kernel."""
    below = Path(event.__file__).parent
    event_ = "neurosam.backends.event"
    counted = (f"{event_}.kernels.", f"{event_}.simd.", f"{event_}.runtime.jit", *(m.__name__ for m in SHARED))
    for path in (*(below / "kernels").glob("*.py"), *(below / "simd").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and str(node.module).startswith("neurosam"):
                for alias in node.names:
                    name = f"{node.module}.{alias.name}"
                    assert name.startswith((*counted, UNCOMPILED)), f"{path.name} imports {name}"


def made(base: Path, name: str, days: float, lock: bool = True) -> Path:
    folder = base / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tile.tile-0123.kernel").write_bytes(b"code")
    if lock:
        (folder / LOCK).touch()
    os.utime(folder, (time.time() - days * DAY,) * 2)
    return folder


def test_kernels_unused_for_long_are_removed(monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    """Of our naming, older than the limit: nothing else, and never this source's own."""
    here = cache_folder()
    old = made(cache, "kernels-0123456789abcdef", KEPT_DAYS + 1)
    recent = made(cache, "kernels-fedcba9876543210", KEPT_DAYS - 1)
    others = [made(cache, name, 1000) for name in ("kernels-0123456789abcde", "kernels-0123456789ABCDEF", "tests", "x")]
    file = cache / "kernels-1111111111111111"
    file.write_text("no folder")
    os.utime(file, (0, 0))
    link = cache / "kernels-2222222222222222"
    link.symlink_to(others[2], target_is_directory=True)
    os.utime(link, (0, 0), follow_symlinks=False)
    made(cache, here.name, 1000)
    assert again() == here
    assert not old.exists()
    assert all(path.exists() for path in (here, recent, *others, file, link))
    assert (here / "tile.tile-0123.kernel").exists()
    assert (others[2] / "tile.tile-0123.kernel").exists()
    assert here.stat().st_mtime > time.time() - DAY  # it has been used now
    made(cache, old.name, KEPT_DAYS + 1)

    def refused(*_: object) -> None:
        raise PermissionError(1, "not permitted")

    monkeypatch.setattr(Path, "rename", refused)  # whatever cannot be removed stays, in silence
    assert again() == here
    assert old.exists()


def test_no_more_than_so_many_are_kept(cache: Path) -> None:
    """The last used ones, this one among them; one without a lock file may be in use for a day."""
    cache_folder()
    found = [made(cache, f"kernels-{n:016x}", 0.1 + n / 10) for n in range(KEPT + 2)]
    unlocked = made(cache, "kernels-aaaaaaaaaaaaaaaa", 0.95, lock=False)
    long_unlocked = made(cache, "kernels-bbbbbbbbbbbbbbbb", 1.5, lock=False)
    again()
    assert [path.exists() for path in found] == [True] * (KEPT - 1) + [False] * 3
    assert unlocked.exists()
    assert not long_unlocked.exists()
    assert all(path.name.startswith("kernels-") and len(path.name) == 24 for path in cache.iterdir())


@pytest.mark.skipif(kernel_folder.fcntl is None, reason="no locks of files here")
def test_a_folder_that_a_process_uses_stays(cache: Path) -> None:
    cache_folder()
    used = made(cache, "kernels-0123456789abcdef", KEPT_DAYS + 1)
    script = (
        f"import fcntl, sys\nfile = open({str(used / LOCK)!r})\nfcntl.flock(file, fcntl.LOCK_SH)\n"
        "print('locked', flush=True)\nsys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "locked\n"
        again()
        assert used.exists()
        process.communicate()
    again()
    assert not used.exists()


def test_this_process_holds_its_lock(cache: Path) -> None:
    here = cache_folder()
    script = (
        "import fcntl, sys\n"
        f"file = open({str(here / LOCK)!r}, 'r+')\n"
        "try:\n    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)\nexcept OSError:\n    print('held')"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "held\n"


def test_a_folder_that_cannot_be_written_is_passed_over(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(blocked))
    with pytest.warns(RuntimeWarning, match=r"cannot be kept in .*file \(.*\); they are kept in .*NUMBA_CACHE_DIR"):
        assert again().is_dir()
    assert tmp_path not in cache_folder().parents


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() == 0, reason="root may write everywhere")
def test_a_folder_that_can_only_be_read_is_read(cache: Path) -> None:
    """That of a container image."""
    here = cache_folder()
    here.chmod(0o500)
    assert again() == here
    here.chmod(0o700)


@pytest.mark.skipif(os.name == "nt", reason="temporary folders belong to one user there")
@pytest.mark.parametrize(("mode", "trusted"), [(0o700, True), (0o777, False)])
def test_a_temporary_folder_open_to_others_is_not_trusted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, mode: int, trusted: bool
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(blocked))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    guessed = tmp_path / f"neurosam-{os.getuid()}"
    guessed.mkdir()
    guessed.chmod(mode)
    with pytest.warns(RuntimeWarning, match="cannot be kept in"):
        assert (again().parent == guessed) is trusted
