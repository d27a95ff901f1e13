"""The first run of a machine: what it compiles, what a second process and `neurosam warm` leave to compile: nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import neurosam as ns
from neurosam.backends import Options
from neurosam.backends.event.plan.compiled import CacheKey, Plan
from neurosam.backends.event.warm import usual_networks
from neurosam.signals.inputs import Inputs

RUN = """
import sys
import numpy as np
import neurosam as ns
from numba.core import event

def main():
    compiled = []
    class Listener(event.Listener):
        def on_start(self, e):
            compiled.append(e.data["dispatcher"].py_func.__name__)
        def on_end(self, e):
            pass
    event.register("numba:compile", Listener())
    net = ns.load(sys.argv[1])
    record = ns.Record.everything(net) if sys.argv[2] == "all" else ns.Record()
    spikes = np.random.default_rng(0).integers(0, 2, (6, 2, 1, 12, 12), dtype=np.uint8)
    print(ns.run(net, ns.Events.from_dense(spikes), record=record).output.tolist())
    print(len(compiled))

main()
"""

PLAIN = {
    "input_events.count_events", "input_events.fill_planes",  # spikes become planes
    "spike_patterns._receiving_rows", "strips._patterns", "tile._look_up_sums",  # the first layer looks its sums up
    "spike_lists._copy_run", "strips._list", "tile.add_rows",  # the others gather
    "strips.scatter_kernel_1010", "strips.scatter_kernel_1001",  # or scatter, where little fires
    "tile.tile_kernel_11010", "tile.tile_kernel_01010", "tile.tile_kernel_01001",  # half tiles; the last: a readout
    "spike_lists.active", "work_sharing._finish", "work_sharing._size", "work_sharing._stash", "work_sharing._take",
    "work_sharing.run_stages",
}  # fmt: skip
"""What the run of an integer convolutional network needs. On processors with vector compress, other lists of spikes."""
COMPRESSING = {"spike_lists._decode_halves", "spike_lists._list_positions"}


def network() -> ns.Network:
    """Two convolutions and a readout, with traces that a plain run does not need."""
    neuron = ns.FixedLIF(membrane_decay=410, threshold=90)
    rng = np.random.default_rng(0)
    return ns.Network(
        [
            ns.Population("in", (1, 12, 12)), ns.Population("a", (8, 10, 10), neuron),
            ns.Population("b", (16, 8, 8), neuron), ns.Population("out", (10,), ns.FixedReadout()),
        ],
        [
            ns.Projection("in", "a", ns.Conv2d(rng.integers(-9, 40, (8, 1, 3, 3)))),
            ns.Projection("a", "b", ns.Conv2d(rng.integers(-9, 20, (16, 8, 3, 3)))),
            ns.Projection("b", "out", ns.Dense(rng.integers(-9, 9, (10, 1024)))),
        ],
    ).with_sam()  # fmt: skip


def called(arguments: list[str], cache: Path, **environment: str) -> list[str]:
    """Lines of a process with a cache of its own."""
    given = {**os.environ, "NUMBA_CACHE_DIR": str(cache), **environment}
    done = subprocess.run([sys.executable, *arguments], env=given, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def names(cache: Path) -> set[str]:
    """Kernels in the only folder of a cache."""
    [folder] = cache.iterdir()
    return {path.name.rpartition("-")[0] for path in folder.glob("*.kernel")}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network's file, and a cache in which it was run once; two processes compile where there are two cores."""
    folder = tmp_path_factory.mktemp("cold")
    network().save(folder / "net.h5")
    (folder / "run.py").write_text(RUN, encoding="utf-8")
    (folder / "output.txt").write_text("\n".join(called(run(folder, "plain"), folder / "cache")), encoding="utf-8")
    return folder


def run(folder: Path, record: str) -> list[str]:
    return [str(folder / "run.py"), str(folder / "net.h5"), record]


def test_a_run_compiles_what_it_needs_and_no_more(place: Path) -> None:
    """A kernel that joins this set makes everybody's first run longer."""
    assert names(place / "cache") <= PLAIN | COMPRESSING


def test_a_second_process_compiles_nothing(place: Path) -> None:
    files = {path: path.stat().st_mtime_ns for path in (place / "cache").rglob("*.kernel")}
    output, compiled = called(run(place, "plain"), place / "cache")
    assert int(compiled) == 0
    assert output == (place / "output.txt").read_text(encoding="utf-8").splitlines()[0]
    assert files == {path: path.stat().st_mtime_ns for path in (place / "cache").rglob("*.kernel")}


def test_after_warm_a_run_compiles_nothing_whatever_it_records(place: Path) -> None:
    arguments = ["-m", "neurosam", "warm", str(place / "net.h5")]
    before = len(list((place / "cache").rglob("*.kernel")))
    [line] = called(arguments, place / "cache", NEUROSAM_COMPILE_ALONE="1")
    after = len(list((place / "cache").rglob("*.kernel")))
    assert line.startswith(f"{after - before} kernels compiled; {after} of ")
    assert after > before  # traces and records
    assert int(called(run(place, "all"), place / "cache")[1]) == 0


def test_usual_networks_take_every_fast_path() -> None:
    """So `neurosam warm` alone compiles chains, poolings and recurrent groups, of integers and floats."""
    found = set()
    for _, usual in usual_networks():
        inputs = Inputs.of(usual, ns.Events.from_dense(np.zeros((1, 1, *usual.input.shape), np.uint8)))
        key = CacheKey.of(usual, inputs, ns.Record(), Options(), "auto", 1)
        plan = Plan(usual, key, lambda _element, _key, make: make())
        found |= {(path, usual.fixed) for path in plan.paths.values()}
    assert {("layer", True), ("or", True), ("loop", True), ("layer", False), ("or", False)} <= found
