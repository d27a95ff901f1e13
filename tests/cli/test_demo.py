"""The demonstration from end to end, on so little data that it takes seconds."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from neurosam.demo import FULL, QUICK, Plan, demo, tables
from neurosam.hdf5 import load_network
from neurosam.network.precision import Precision

PLAN = Plan(
    train=96, test=40, epochs=1, architecture="4C5S2-P2-6C3-P4-D10", train_steps=2, steps=4, verified=6, explained=5,
    timed=3, lava=1,
)  # fmt: skip


@contextmanager
def bar(_title: str) -> Iterator[Callable[[int, int], None]]:
    yield lambda _done, _total: None


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any], list[str]]:
    pytest.importorskip("mlxtend")
    folder = tmp_path_factory.mktemp("demo")
    (folder / "notes.txt").write_text("mine")
    said: list[str] = []
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        results = demo(folder, PLAN, seed=3, say=said.append, bar=bar)
    finally:
        torch.set_num_threads(threads)
    return folder, results, said


def test_every_file_is_written_and_the_users_files_are_kept(made: Any) -> None:
    folder, _, _ = made
    assert {path.name for path in folder.iterdir()} == {
        "notes.txt", "model.safetensors", "network.h5", "network-float.h5", "results.json", "report.html",
        "report.json", "samples.png", "sheet-0.png", "sheet-1.png", "raster-conv1.png", "raster-conv2.png",
        "spikes.png",
    }  # fmt: skip
    assert (folder / "notes.txt").read_text() == "mine"


def test_results_in_the_file_are_those_returned(made: Any) -> None:
    folder, results, _ = made
    assert json.loads((folder / "results.json").read_text()) == json.loads(json.dumps(results))
    assert results["finished"] is True
    assert results["seed"] == 3


def test_accuracies_are_measured_on_all_held_out_canvases(made: Any) -> None:
    _, results, said = made
    accuracy = results["accuracy"]
    assert accuracy["samples"] == PLAN.test
    for name in ("float", "fixed", "agreement"):
        assert 0 <= accuracy[name] <= 1
        assert accuracy[name] * PLAN.test == pytest.approx(round(accuracy[name] * PLAN.test))
    assert any(line.startswith("accuracy on 40 canvases") for line in said)


def test_back_ends_are_equal_in_every_compared_value(made: Any) -> None:
    _, results, _ = made
    for name, samples in (("fixed point", PLAN.verified), ("float64", 1)):
        equivalence = results["equivalence"][name]
        assert equivalence["equal"] is True
        assert equivalence["samples"] == samples
        assert equivalence["backends"] == ["reference", "event"]
        assert equivalence["total"]["compared"] > 10_000 * samples
        assert equivalence["total"]["mismatches"] == 0


def test_maps_are_reported_next_to_baselines(made: Any) -> None:
    _, results, _ = made
    assert set(results["localisation"]) == {
        "SAM conv1", "SAM conv2", "spike count conv1", "spike count conv2", "input image", "centre", "uniform",
    }  # fmt: skip
    assert 0 < results["localisation"]["uniform"]["mass_inside"] < 0.3  # the digit's share of the canvas


def test_both_networks_are_saved(made: Any) -> None:
    folder, _, _ = made
    fixed, real = load_network(folder / "network.h5"), load_network(folder / "network-float.h5")
    assert fixed.precision == Precision.lava(8)
    assert real.precision is None
    assert fixed.metadata["data"] == "cluttered-mnist5k"
    assert [p.name for p in fixed.populations] == ["input", "conv1", "conv2", "out"]


def test_tables_hold_the_figures(made: Any) -> None:
    _, results, _ = made
    shown = {table.heading.split(" on ")[0]: table for table in tables(results)}
    assert list(shown) == ["accuracy", "equivalence", "where the maps point", "throughput, fixed point"]
    assert [row[0] for row in shown["accuracy"].rows] == ["float64", "8 bits", "6 bits", "5 bits", "4 bits"]
    assert shown["accuracy"].rows[0][1] == round(100 * results["accuracy"]["float"], 1)
    assert shown["accuracy"].rows[0][2] == 100.0
    timed = [row[:2] for row in shown["throughput, fixed point"].rows]
    assert timed[:3] == [("reference", 2), ("event", 1), ("event", 2)]
    on_lava = "fixed point on Lava" in results["equivalence"]
    assert timed[3:] == ([("lava", "-")] if on_lava else [])


def test_plans_are_as_large_as_promised() -> None:
    assert FULL.verified >= 200
    assert FULL.test >= QUICK.test >= 500  # the accuracies of float and 8 bits are measured on at least 500 samples
