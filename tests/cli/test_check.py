"""`neurosam check` compares a network file with the user's own module, and its exit status is the answer."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import neurosam as ns
from neurosam.cli import app
from neurosam.cli.modules import load_module
from neurosam.signals.stimulus import Stimulus
from neurosam.training.model_file import Recipe, save_model

pytestmark = pytest.mark.usefixtures("one_thread")

FILE = """
import torch
from torch import nn
from neurosam import training

def build(leak=0.75, reset="subtract"):
    torch.manual_seed(3)
    lif = [training.LIF(leak, 0.25, reset=reset) for _ in range(2)]
    layers = nn.Conv2d(1, 3, 3), lif[0], nn.Flatten(), nn.Linear(48, 8), lif[1], nn.Linear(8, 4)
    return training.SpikingSequential(*layers)

def zero():
    return build(reset="zero")
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with model.py, its networks and events."""
    folder = tmp_path_factory.mktemp("check")
    (folder / "model.py").write_text(FILE)
    for name, function in (("same", "build"), ("other", "zero")):
        ns.export(load_module(f"{folder / 'model.py'}:{function}"), (1, 6, 6)).save(folder / f"{name}.h5")
    ns.quantise(ns.load_network(folder / "same.h5"), ns.Precision.lava())[0].save(folder / "fixed.h5")
    rng = np.random.default_rng(0)
    np.save(folder / "events.npy", (rng.random((8, 3, 1, 6, 6)) < 0.4).astype(np.uint8))
    return folder


def check(place: Path, network: str, *options: str, status: int, model: str = "model.py:build") -> str:
    paths = [str(place / model), str(place / network), "--events", str(place / "events.npy")]
    result = CliRunner().invoke(app, ["check", *paths, *options])
    assert result.exit_code == status, result.output
    return " ".join(str(result.output).split())


def test_the_same_network_is_status_0(place: Path) -> None:
    out = check(place, "same.h5", "--json", str(place / "same.json"), status=0)
    assert "module and network: the same network" in out
    assert "3 sample(s), 8 steps" in out
    assert json.loads((place / "same.json").read_text())["equal"] is True


def test_another_network_is_status_1(place: Path) -> None:
    out = check(place, "other.h5", "--samples", "2", status=1)
    assert "NOT the same network" in out
    assert "reset 'subtract' in the module, 'zero' in the network" in out
    assert "2 sample(s)" in out


def test_a_quantised_network_is_measured(place: Path) -> None:
    assert "module and network: quantised:" in check(place, "fixed.h5", status=0)


@pytest.mark.parametrize("order", ["integrate_first", "fire_first"])
def test_a_model_of_our_own_training(place: Path, order: str) -> None:
    """With batch norm through time: a table for each of the 8 steps."""
    recipe = Recipe("3C3-P2-4C3-D4", (1, 6, 6), Stimulus(8), threshold=0.25, order=order, bntt=True)
    module = recipe.build().eval()
    save_model(place / f"{order}.safetensors", module, recipe)
    ns.export(module, (1, 6, 6)).save(place / f"{order}.h5")
    out = check(place, f"{order}.h5", status=0, model=f"{order}.safetensors")
    assert "module and network: the same network" in out
    assert "conv2" in out


def test_mistakes_are_status_2(place: Path) -> None:
    assert "has no 'built'" in check(place, "same.h5", status=2, model="model.py:built")
    assert "--data or --size exclude" in check(place, "same.h5", "--data", "mnist5k", status=2)
    (place / "net.py").write_text("from torch import nn\nnet = nn.Sequential(nn.Flatten(), nn.Linear(36, 5))\n")
    assert "has shape (5,); population 'out' has (4,)" in check(place, "same.h5", status=2, model="net.py:net")
