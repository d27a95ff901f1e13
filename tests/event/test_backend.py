"""The event back end's own promises: compiled once, any number of threads, interrupts, kernels like their Python."""

from __future__ import annotations

import ast
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest

import neurosam as ns
from neurosam.backends import event
from neurosam.backends.event.kernels import spike_lists
from neurosam.backends.event.runtime.jit import KEPT_DAYS, cache_folder, formulas
from neurosam.errors import BackendError
from support.networks import random_case

SCRIPT = """
import numpy as np
import neurosam as ns
from neurosam.backends.event.kernels import neurons, spike_lists, synapses
net = ns.Network(
    [ns.Population("in", (1, 4, 4)), ns.Population("a", (2, 4, 4), ns.FixedLIF(membrane_decay=410, threshold=3)),
     ns.Population("out", (3,), ns.FixedReadout())],
    [ns.Projection("in", "a", ns.Conv2d(np.ones((2, 1, 3, 3), np.int8), padding=1)),
     ns.Projection("a", "out", ns.Dense(np.ones((3, 32), np.int8)))],
).with_sam()
events = ns.Events.from_dense(np.ones((5, 2, 1, 4, 4), np.uint8))
print(ns.run(net, events, record=ns.Record(sam=("a",))).output.tolist())
kernels = (neurons.block, synapses.deliver_conv, synapses.deliver_dense, spike_lists.decode)
print(sum(sum(k.stats.cache_misses.values()) for k in kernels))
"""


def test_a_second_process_compiles_nothing(tmp_path: Path) -> None:
    def once() -> list[str]:
        environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
        command = [sys.executable, "-c", SCRIPT]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        return done.stdout.split("\n")

    first = once()
    files = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.nb?")}
    second = once()
    assert int(first[1]) > 0
    assert int(second[1]) == 0
    assert first[0] == second[0]
    assert files
    assert files == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.nb?")}


def test_the_cache_belongs_to_this_source(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    cache_folder.cache_clear()
    try:
        here = cache_folder()
        assert here.parent == tmp_path
        monkeypatch.setattr(sys, "version", "another Python")
        cache_folder.cache_clear()
        assert cache_folder() != here
    finally:
        cache_folder.cache_clear()


def test_every_file_of_the_back_end_counts_for_the_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A byte changed in any of them gives another folder: a kernel compiled from other sources is never loaded."""
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "cache"))
    copy = tmp_path / "event"
    shutil.copytree(Path(event.__file__).parent, copy, ignore=shutil.ignore_patterns("__pycache__"))
    spec = importlib.util.spec_from_file_location("copied_jit", copy / "runtime" / "jit.py")
    assert spec is not None
    assert spec.loader is not None
    copied_jit = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(copied_jit)

    def folder() -> str:
        copied_jit.cache_folder.cache_clear()
        return str(copied_jit.cache_folder().name)

    before = folder()
    files = sorted(path for path in copy.rglob("*") if path.is_file())
    assert {"backend.py", "layer.py", "vectors.py", "jit.py", "compiled.py", "chain.py"} <= {p.name for p in files}
    seen = {before}
    for path in files:
        source = path.read_bytes()
        path.write_bytes(source[:-1] + bytes([source[-1] ^ 1]))
        seen.add(folder())
        path.write_bytes(source)
    assert len(seen) == 1 + len(files)
    assert folder() == before


def test_kernels_unused_for_long_are_removed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Of our naming, older than the limit: nothing else, and never this source's own."""
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    now, day = time.time(), 86_400

    def made(name: str, days: float) -> Path:
        folder = tmp_path / name
        (folder / "event_layer").mkdir(parents=True, exist_ok=True)
        (folder / "event_layer" / "layer.nbi").write_bytes(b"index")
        os.utime(folder, (now, now - days * day))
        return folder

    cache_folder.cache_clear()
    try:
        here = cache_folder()
        old, recent = made("kernels-0123456789abcdef", KEPT_DAYS + 1), made("kernels-fedcba9876543210", KEPT_DAYS - 1)
        others = [made(name, 1000) for name in ("kernels-0123456789abcde", "kernels-0123456789ABCDEF", "tests", "x")]
        file = tmp_path / "kernels-1111111111111111"
        file.write_text("no folder")
        os.utime(file, (0, 0))
        link = tmp_path / "kernels-2222222222222222"
        link.symlink_to(others[2], target_is_directory=True)
        os.utime(link, (0, 0), follow_symlinks=False)
        made(here.name, 1000)
        cache_folder.cache_clear()
        assert cache_folder() == here
        assert not old.exists()
        assert all(path.exists() for path in (here, recent, *others, file, link))
        assert (here / "event_layer" / "layer.nbi").exists()
        assert here.stat().st_mtime > now - day  # it has been used now
        cache_folder.cache_clear()
        made(old.name, KEPT_DAYS + 1)
        monkeypatch.setattr(shutil, "rmtree", lambda *_, **__: None)  # whatever cannot be removed stays, in silence
        assert cache_folder() == here
        assert old.exists()
    finally:
        cache_folder.cache_clear()


def test_a_folder_that_cannot_be_written_is_passed_over(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(blocked))
    cache_folder.cache_clear()
    try:
        assert cache_folder().is_dir()
        assert tmp_path not in cache_folder().parents
    finally:
        cache_folder.cache_clear()


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
    cache_folder.cache_clear()
    try:
        assert (cache_folder().parent == guessed) is trusted
    finally:
        cache_folder.cache_clear()


@pytest.mark.parametrize("threads", [1, 2, 3, 16])
def test_threads_do_not_change_a_bit(threads: int) -> None:
    network, some = random_case(np.random.default_rng(11))
    events = ns.Events.from_dense(np.concatenate([some.dense()] * 5, axis=1))
    everything = ns.Record.everything(network)
    assert ns.run(network, events, record=everything, threads=threads).same_as(
        ns.run(network, events, "reference", everything)
    )


def test_progress_reaches_the_number_of_samples() -> None:
    network, events = random_case(np.random.default_rng(13))
    seen: list[tuple[int, int]] = []
    ns.run(network, events, progress=lambda done, total: seen.append((done, total)))
    assert [done for done, _ in seen] == list(range(1, events.samples + 1))
    assert {total for _, total in seen} == {events.samples}


def test_an_interrupt_stops_the_other_threads() -> None:
    network, _ = random_case(np.random.default_rng(14))
    events = ns.Events.from_dense(np.zeros((50, 400, *network.input.shape), np.uint8))
    calls = []

    def interrupt(done: int, total: int) -> None:
        calls.append(done)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ns.run(network, events, threads=2, progress=interrupt)
    assert len(calls) <= 2


def test_another_device_is_refused() -> None:
    network = ns.Network(
        [ns.Population("in", (1,)), ns.Population("n", (1,), ns.LIF(leak=0.9, threshold=1.0))],
        [ns.Projection("in", "n", ns.Dense(np.ones((1, 1))))],
    )
    with pytest.raises(BackendError, match="runs on the CPU"):
        ns.run(network, ns.Events.from_dense(np.ones((1, 1, 1))), device="cuda")


def test_the_plan_is_the_only_reader_of_a_network() -> None:
    """Three modules above it hand one on, and read nothing of it; no other mentions it."""
    mentions: set[str] = set()
    reads: set[str] = set()
    root = Path(event.__file__).parent
    for path in root.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case (
                    ast.ImportFrom(module="neurosam.network.network") | ast.arg(arg="network") | ast.Name(id="Network")
                ):
                    mentions.add(path.relative_to(root).as_posix())
                case ast.Attribute(value=ast.Name(id="network")):
                    reads.add(path.relative_to(root).as_posix())
    assert mentions == {"backend.py", "session.py", "cache.py", "plan/compiled.py"}
    assert reads == {"plan/compiled.py"}


def test_decode_lists_every_bit() -> None:
    rng = np.random.default_rng(15)
    for channels in (1, 63, 64, 65, 130):
        dense = (rng.random((4, 1, channels, 2, 3)) < 0.3).astype(np.uint8)
        dense[0, 0, -1] = 1
        planes = ns.Spikes.from_dense(dense).planes.reshape(4, 6, -1)
        start, index = np.zeros(25, np.int32), np.zeros(dense.size + 15, np.int32)
        count = spike_lists.decode(planes, 0, 4, 0, 6, channels, start, index)
        expected = [np.flatnonzero(np.moveaxis(step[0], 0, -1)) for step in dense]
        np.testing.assert_array_equal(index[:count], np.concatenate(expected))
        np.testing.assert_array_equal(start[::6], [0, *np.cumsum([e.size for e in expected])])


def test_compiled_formulas_are_arithmetic() -> None:
    from neurosam import arithmetic

    rng = np.random.default_rng(17)
    for x, factor in zip(rng.integers(-(2**31), 2**31, 200), rng.integers(0, 4097, 200), strict=True):
        for name in ("wrap32", "wrap24", "saturate", "arrive"):
            assert getattr(formulas, name)(x) == getattr(arithmetic, name)(int(x))
        assert formulas.decay(x, factor) == arithmetic.decay(int(x), int(factor))
        assert formulas.current(x, 77, factor) == arithmetic.current(int(x), 77, int(factor))


def test_one_projection_object_may_serve_networks_of_other_shapes() -> None:
    projection = ns.Projection("in", "a", ns.Conv2d(np.ones((2, 1, 3, 3), np.int8)), pool=ns.SumPool2d(2))
    for side in (6, 8, 9):
        source = ns.Population("in", (1, side, side))
        size = side // 2 - 2
        network = ns.Network([source, ns.Population("a", (2, size, size), ns.FixedReadout())], [projection])
        events = ns.Events.from_dense(np.ones((2, 1, 1, side, side), np.uint8))
        expected = ns.run(network, events, "reference")
        assert ns.run(network, events).same_as(expected)
        assert expected.output.min() == 2 * 9 * 4 * 64
