"""The model file: what it brings back, what it refuses, and what is left when it cannot be written."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from neurosam.errors import DataError
from neurosam.signals.stimulus import Stimulus
from neurosam.training import convert
from neurosam.training.model_file import Recipe, load_model, save_model

RECIPE = Recipe(
    "3C3-P2-5C3-D2", (2, 8, 6), Stimulus(5, "poisson_signed", (0.5, 0.25), (1.0, 2.0), ("a", "b"), "set"),
    leak=0.8, threshold=0.75, reset="zero", order="fire_first", seed=7,
)  # fmt: skip


def about() -> dict[str, Any]:
    return asdict(RECIPE) | {"stimulus": RECIPE.stimulus.to_metadata()}


def test_weights_and_recipe_come_back(tmp_path: Path) -> None:
    module = RECIPE.build()
    with torch.no_grad():
        for p in module.parameters():
            p.add_(torch.randn_like(p))
    save_model(tmp_path / "m.safetensors", module, RECIPE)
    found, recipe = load_model(tmp_path / "m.safetensors")
    assert recipe == RECIPE
    assert not found.training
    assert all(torch.equal(value, found.state_dict()[name]) for name, value in module.state_dict().items())
    assert module.state_dict().keys() == found.state_dict().keys()
    assert [p.name for p in tmp_path.iterdir()] == ["m.safetensors"]


def test_a_recipe_always_builds_the_same_weights() -> None:
    one, same, other = RECIPE.build(), RECIPE.build(), replace(RECIPE, seed=8).build()
    weights = [torch.cat([p.flatten() for p in module.parameters()]) for module in (one, same, other)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_an_ann_and_what_it_converts_to_come_back(tmp_path: Path) -> None:
    ann = Recipe("3C3-P2-5C3-D2", (1, 8, 6), Stimulus(1, "direct"), ann=True, seed=3)
    images = np.random.default_rng(0).integers(0, 256, (6, 1, 8, 6), dtype=np.uint8)
    conversion = convert(ann.build().eval(), images, steps=5)
    recipe = ann.converted(conversion.thresholds, Stimulus(5))
    for name, module, known in (("ann", ann.build().eval(), ann), ("converted", conversion.module, recipe)):
        path = tmp_path / f"{name}.safetensors"
        save_model(path, module, known)
        found, again = load_model(path)
        assert again == known
        assert repr(found) == repr(module)
        x = torch.rand(5, 3, 1, 8, 6)
        assert torch.equal(found(x), module(x))
    assert len(set(recipe.thresholds.values())) == 2


@pytest.mark.parametrize("value", [0.0, -1.0, math.nan, "x", None])
def test_a_threshold_that_none_can_be(tmp_path: Path, value: object) -> None:
    recipe = Recipe("3C3-D2", (1, 8, 6), Stimulus(5), leak=1.0, thresholds={"conv1": 0.5})
    path = tmp_path / "m.safetensors"
    save_model(path, recipe.build(), recipe)
    content = asdict(recipe) | {"stimulus": recipe.stimulus.to_metadata(), "thresholds": {"conv1": value}}
    save_file(load_file(path), path, metadata={"neurosam-model": json.dumps(content)})
    with pytest.raises(DataError, match=r"m\.safetensors: is not a model"):
        load_model(path)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.safetensors: does not exist; `neurosam train` writes one"):
        load_model(tmp_path / "none.safetensors")


@pytest.mark.parametrize("content", [b"", b"hello", b"\x08\x00\x00\x00\x00\x00\x00\x00{}      "])
def test_a_foreign_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "m.safetensors"
    path.write_bytes(content)
    with pytest.raises(DataError, match="is not a model that `neurosam train` wrote"):
        load_model(path)


@pytest.mark.parametrize("part", [0.01, 0.5, 0.999])
def test_a_truncated_file(tmp_path: Path, part: float) -> None:
    path = tmp_path / "m.safetensors"
    save_model(path, RECIPE.build(), RECIPE)
    content = path.read_bytes()
    path.write_bytes(content[: int(part * len(content))])
    with pytest.raises(DataError, match="is not a model that `neurosam train` wrote"):
        load_model(path)


@pytest.mark.parametrize(
    "change",
    [
        {"architecture": "4C3-P2-5C3-D2"},
        {"architecture": "nonsense"},
        {"input_shape": [1, 8, 6]},
        {"leak": 7},
        {"stimulus": {"steps": "x"}},
        {"stimulus": None},
        {"surprise": 1},
        {"thresholds": {"conv1": 1.0}},
        {"thresholds": {"conv1": 1.0, "conv2": 1.0}},  # no batch norm then, and other tensors
        {"thresholds": 5},
    ],
)
def test_a_recipe_that_does_not_fit_the_weights(tmp_path: Path, change: dict[str, Any]) -> None:
    path = tmp_path / "m.safetensors"
    save_model(path, RECIPE.build(), RECIPE)
    tensors = load_file(path)
    save_file(tensors, path, metadata={"neurosam-model": json.dumps(about())})
    assert load_model(path)[1] == RECIPE
    save_file(tensors, path, metadata={"neurosam-model": json.dumps(about() | change)})
    with pytest.raises(DataError, match=r"m\.safetensors: is not a model"):
        load_model(path)


def test_the_file_has_the_permissions_of_any_new_file(tmp_path: Path) -> None:
    save_model(tmp_path / "m.safetensors", RECIPE.build(), RECIPE)
    (tmp_path / "other").touch()
    assert (tmp_path / "m.safetensors").stat().st_mode == (tmp_path / "other").stat().st_mode


def test_a_file_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot write the model"):
        save_model(tmp_path / "none" / "m.safetensors", RECIPE.build(), RECIPE)
    assert not list(tmp_path.iterdir())
