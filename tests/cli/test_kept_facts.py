"""What an export found is printed, kept in the file, and used by later commands; numbers of samples are answered."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import neurosam as ns
from neurosam.cli import app
from neurosam.deploy.kept_report import kept_report, with_report
from neurosam.signals.stimulus import Stimulus
from neurosam.training.model_file import Recipe, load_model, save_model
from support.toy_dataset import ARCHITECTURE, write_bars

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with bars/, m.safetensors (not trained), and m.h5, exported from it."""
    folder = tmp_path_factory.mktemp("kept")
    bars = write_bars(folder / "bars")
    recipe = Recipe(ARCHITECTURE, (1, 12, 12), Stimulus(4, "poisson", classes=("0", "1"), data=str(bars)))
    save_model(folder / "m.safetensors", recipe.build(), recipe)
    text = run("export", folder / "m.safetensors", "--samples", 1000)
    assert "warning: --samples 1,000: there are 24 held-out samples of" in text
    assert "on 24 held-out samples" in text
    return folder


def run(*arguments: object, status: int = 0) -> str:
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    assert result.exit_code == status, result.output
    return " ".join(str(result.output).split())


def test_export_measures_what_run_measures(place: Path) -> None:
    net = ns.load_network(place / "m.h5")
    text = run("run", place / "m.h5", "--samples", 24)
    accuracy = net.metadata["accuracy"]
    assert f"accuracy {accuracy.partition(' ')[0]} on 24 samples" in text
    assert accuracy.endswith("on 24 held-out samples")
    run("export", place / "m.safetensors", "-o", place / "float.h5", "--precision", "float")
    exact = ns.load_network(place / "float.h5").metadata["accuracy"]
    assert f"(float {exact.partition(' ')[0]})" in accuracy


def test_export_without_data_says_so_and_goes_on(place: Path, tmp_path: Path) -> None:
    module, recipe = load_model(place / "m.safetensors")
    save_model(tmp_path / "m.safetensors", module, replace(recipe, stimulus=replace(recipe.stimulus, data="./none")))
    text = run("export", tmp_path / "m.safetensors", "--calibrate", 0)
    assert "held-out accuracy: not measured (--data: is needed: the file says that it was trained on './none'" in text
    text = run("export", tmp_path / "m.safetensors", "--calibrate", 0, "--force", "--data", "./none")
    assert "held-out accuracy: not measured (./none: no data set and no folder of that name" in text
    assert "accuracy" not in ns.load_network(tmp_path / "m.h5").metadata
    assert "accuracy" not in run("export", place / "m.safetensors", "-o", tmp_path / "n.h5", "--samples", 0)


def test_info_shows_a_line_a_table_or_everything(place: Path) -> None:
    net = ns.load_network(place / "m.h5")
    report = kept_report(net)
    assert report is not None
    short = run("info", place / "m.h5")
    assert f"quantisation: lava, {report.agreement:.1%} agreement in calibration" in short
    assert "arrival_bound" not in short
    assert "safe steps" in run("info", place / "m.h5", "--full")
    told = json.loads(run("info", place / "m.h5", "--json"))
    assert [row["population"] for row in told["quantisation"]["populations"]] == ["conv1", "out"]
    assert told["metadata"]["steps"] == "4"
    assert len(told["digest"]) == 64
    assert told["populations"][0] == {"name": "input", "shape": [1, 12, 12], "neurons": 144, "neuron": None}


def test_a_run_beyond_the_planned_room_is_warned_of(place: Path, tmp_path: Path) -> None:
    net = ns.load_network(place / "m.h5")
    report = kept_report(net)
    assert report is not None
    rows = tuple(replace(row, safe_steps=3) for row in report.populations)
    with_report(net, replace(report, populations=rows)).save(tmp_path / "n.h5")
    expected = "has room for 3 steps, as its quantisation found, and 4 are run"
    assert expected in run("run", tmp_path / "n.h5", "--samples", 2)
    assert expected in run("explain", tmp_path / "n.h5", "-o", tmp_path / "maps", "--samples", 1)
    page = json.loads((tmp_path / "maps" / "report.json").read_text())
    assert page["provenance"]["quantisation"].startswith("lava, ")
    assert expected not in run("run", tmp_path / "n.h5", "--samples", 2, "--steps", 3)


@pytest.mark.parametrize(
    "command",
    ["run m.h5", "verify m.h5", "explain m.h5 -o {out}", "check m.safetensors m.h5", "run m.h5 events.npz",
     "run m.h5 --events events.npz", "explain m.h5 -o {out} --events events.npz", "run m.h5 images.npy"],
)  # fmt: skip
def test_more_samples_than_there_are_is_said(
    command: str, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place)
    images = np.random.default_rng(0).integers(0, 256, (3, 1, 12, 12), dtype=np.uint8)
    np.save("images.npy", images)
    np.savez("events.npz", x=ns.encode(images, 4).dense(), labels=np.array([0, 1, 1]))
    arguments = command.format(out=tmp_path / "out").split()
    assert "warning: --samples 100,000: there are " in run(*arguments, "--samples", 100_000)


def test_a_default_is_not_answered(place: Path) -> None:
    assert "there are" not in run("run", place / "m.h5")


def test_labels_beside_events_give_an_accuracy(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    net = ns.load_network(place / "m.h5")
    images = np.random.default_rng(0).integers(0, 256, (5, 1, 12, 12), dtype=np.uint8)
    events = ns.encode(images, 4)
    right = ns.run(net, events).predictions
    labels = right.copy()
    labels[0] = 1 - labels[0]
    events.save("e.h5")
    np.savez("e.npz", x=events.dense(), labels=labels)
    np.save("l.npy", labels)
    Path("l.txt").write_text("\n".join(map(str, right)))
    assert "accuracy 80.00% on 5 samples" in run("run", place / "m.h5", "--events", "e.npz")
    assert "accuracy 80.00% on 5 samples" in run("run", place / "m.h5", "--events", "e.h5", "--labels", "l.npy")
    assert "accuracy 100.00% on 5 samples" in run("run", place / "m.h5", "--events", "e.npz", "--labels", "l.txt")
    assert "accuracy" not in run("run", place / "m.h5", "--events", "e.h5")
    text = run("explain", place / "m.h5", "--events", "e.npz", "-o", "maps")
    assert "accuracy 80.0% on 5 samples" in text
    page = json.loads(Path("maps/report.json").read_text())
    assert [sample["label"] for sample in page["samples"]] == labels.tolist()
    assert page["provenance"]["data"] == "e.npz"
    assert "accuracy" not in run("explain", place / "m.h5", "--events", "e.h5", "-o", "plain", "--samples", 2)


@pytest.mark.parametrize(
    ("content", "says"),
    [("0\n1\n", "got 2 for 3 samples"), ("0 1 x", "is no text with an integer a line"), ("0\n7\n1\n", "got 0..7; the"),
     (None, "does not exist")],
)  # fmt: skip
def test_wrong_labels_are_refused(
    content: str | None, says: str, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ns.encode(np.zeros((3, 1, 12, 12), dtype=np.uint8), 4).save("e.h5")
    if content is not None:
        Path("l.txt").write_text(content)
    text = run("run", place / "m.h5", "--events", "e.h5", "--labels", "l.txt", status=2)
    assert f"--labels l.txt: {says}" in text
    assert "--labels: goes with --events" in run("run", place / "m.h5", "--labels", "l.txt", status=2)


def test_training_on_fewer_samples(place: Path, tmp_path: Path) -> None:
    command = ("train", "--data", place / "bars", "--arch", "3C3S2-D2", "--steps", 2, "--epochs", 1, "--shift", 0)
    assert "16 samples to train, 24 held out" in run(*command, "--samples", 16, "-o", tmp_path / "a.safetensors")
    text = run(*command, "--samples", 10**6, "-o", tmp_path / "b.safetensors")
    assert "--samples 1,000,000: there are 64 training samples; all of them are used" in text
