"""Accuracy against bits per weight, on a tiny network: what is measured, kept, and shown."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from neurosam.cli.inputs import held_out, training_set
from neurosam.deploy.from_torch import to_network
from neurosam.deploy.quantise import quantise
from neurosam.network.precision import Precision
from neurosam.training.model_file import load_model
from neurosam_study import bits
from support.toy_dataset import ARCHITECTURE, write_bars

pytestmark = pytest.mark.usefixtures("one_thread")

TINY = {"tiny": bits.Net(train_steps=2, steps=3, epochs=2, batch=8, bntt=False, architecture=ARCHITECTURE)}


def test_every_column_is_measured_kept_and_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = str(write_bars(tmp_path / "bars"))
    train_set, test_set = training_set(folder, 0), held_out(folder, 0)
    said: list[str] = []
    first = bits.measure(tmp_path, TINY, (8,), said.append, train_set, test_set)
    assert len(said) == 4
    assert first == json.loads((tmp_path / "bits.json").read_text())
    assert list(first["tiny"]["8"]) == list(bits.COLUMNS)
    module, recipe = load_model(tmp_path / "tiny.safetensors")
    network = to_network(module, recipe.input_shape)
    bench = bits._Bench(module, recipe, train_set, test_set)
    assert first["tiny"]["float"] == bench.accuracy(network)
    plain, _ = quantise(network, Precision.lava(8), recipe.stimulus.encode(train_set.images[:64], seed=0))
    assert first["tiny"]["8"]["quantised"] == bench.accuracy(plain)
    assert (bench.calibration.samples, bench.search.samples, bench.test.samples) == (64, 500, 24)

    monkeypatch.setattr(bits.Net, "trained", lambda *_: (module, recipe))
    monkeypatch.setattr(bits._Bench, "accuracy", None)  # what is kept is not measured again
    assert bits.measure(tmp_path, TINY, (8,), said.append, train_set, test_set) == first
    assert len(said) == 4


def test_the_table_has_a_row_per_number_of_bits() -> None:
    results = {"a": {"float": 0.5, "4": dict.fromkeys(bits.COLUMNS, 0.25), "8": dict.fromkeys(bits.COLUMNS, 0.125)}}
    lines = bits.table(results).splitlines()
    assert lines[2:] == [
        "| a | float | 50.0% | | | |",
        "| a | 8 | 12.5% | 12.5% | 12.5% | 12.5% |",
        "| a | 4 | 25.0% | 25.0% | 25.0% | 25.0% |",
    ]
