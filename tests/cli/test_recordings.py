"""`neurosam run NET FILE...`: recordings piece by piece, spikes and images; a film; mistakes, each in a line."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

import neurosam as ns
from neurosam.cli import app
from neurosam.formats.events import EventRules, read_events_file
from neurosam.signals.stimulus import Stimulus

pytestmark = pytest.mark.usefixtures("one_thread")

DTYPE = [("x", "<i2"), ("y", "<i2"), ("t", "<i8"), ("p", "?")]


def net(shape: tuple[int, int, int] = (2, 8, 8), **metadata: str) -> ns.Network:
    rng = np.random.default_rng(0)
    return ns.Network(
        [
            ns.Population("in", shape),
            ns.Population("conv", (4, 6, 6), ns.FixedLIF(membrane_decay=300, threshold=30)),
            ns.Population("out", (3,), ns.FixedReadout()),
        ],
        [
            ns.Projection("in", "conv", ns.Conv2d(rng.integers(-20, 40, (4, shape[0], 3, 3)))),
            ns.Projection("conv", "out", ns.Dense(rng.integers(-9, 9, (3, 144)))),
        ],
        metadata={"classes": '["zero", "one", "two"]', **metadata},
    )


def recording(seed: int, span: int = 700_000, size: int = 4000) -> np.ndarray[Any, Any]:
    rng = np.random.default_rng(seed)
    events = np.zeros(size, DTYPE)
    events["t"], events["p"] = np.sort(rng.integers(0, span, size)) + 10_000, rng.random(size) < 0.5
    events["x"], events["y"] = rng.integers(0, 8, size), rng.integers(0, 8, size)
    return events


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with net.h5, a.npy and b.npy."""
    net().save(tmp_path / "net.h5")
    np.save(tmp_path / "a.npy", recording(0))
    np.save(tmp_path / "b.npy", recording(1, span=90_000, size=900))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def neurosam(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(a) for a in arguments])


def told(*arguments: object) -> str:
    result = neurosam(*arguments)
    assert result.exit_code == 0, result.output
    return result.output


def test_recordings_that_workers_share_give_the_same(work: Path) -> None:
    def lines(*options: str) -> list[str]:
        output = told("run", "net.h5", "a.npy", "b.npy", *options)
        return [line for line in output.splitlines() if "s with reading" not in line]

    assert lines("--jobs", "1") == lines()
    assert "leave out --jobs and --dask" in neurosam("run", "net.h5", "a.npy", "--jobs", "1", "--film", "f.gif").output


def answer_of(rec: ns.Recording, sample: int = 0) -> str:
    return ("zero", "one", "two")[rec.predictions[sample]]


def test_recordings_are_streamed_as_whole_ones_run(work: Path) -> None:
    rules = EventRules(dt_us=1000, coincident="clip")
    runs = [ns.run(net(), read_events_file(f"{name}.npy", (2, 8, 8), rules)) for name in "ab"]
    output = told("run", "net.h5", "a.npy", "b.npy")
    assert "2 recordings x 90 to 700 steps on event" in output
    assert "rules: dt_us=1000, polarity=two, coincident=clip" in output
    assert f"answers: a.npy {answer_of(runs[0])}, b.npy {answer_of(runs[1])}" in output
    for name in ("in", "conv"):
        spikes = sum(int(run.counts[name].sum()) for run in runs)
        assert re.search(rf"{name} +{spikes:,} ", output), name
    joined = 4900 - sum(int(run.counts["in"].sum()) for run in runs)
    assert f"4,900 events, of which {joined:,} joined with another of their step and pixel" in output


def test_rules_come_from_the_network_and_from_options(work: Path) -> None:
    rules = EventRules(dt_us=5000, polarity="signed", coincident="clip", sensor=(8, 8))
    net((1, 8, 8), **rules.to_metadata()).save("one.h5")
    assert "140 steps" in (output := told("run", "one.h5", "a.npy"))
    assert f"rules: {rules}" in output
    output = told(
        "run", "one.h5", "a.npy", "--polarity", "on", "--dt-us", 10_000, "--steps", 30, "--rule", "sensor=none"
    )
    assert "30 steps" in output
    assert "rules: dt_us=10000, steps=30, polarity=on, coincident=clip" in output
    assert "after the last step" in output
    output = told(
        "run", "net.h5", "a.npy", "--rule", "dt_us=none", "--steps", 20, "--rule", "crop=2,2", "--rule", "sensor=9x9"
    )
    assert "20 steps" in output
    assert "outside of the view" in output


def test_recordings_read_whole_for_a_file(work: Path) -> None:
    output = told("run", "net.h5", "a.npy", "b.npy", "--record", "spikes", "-o", "rec.h5")
    assert "2 samples x 700 steps on event" in output
    held = ns.load_recording("rec.h5")
    rules = EventRules(dt_us=1000, coincident="clip")
    alone = ns.run(net(), read_events_file("b.npy", (2, 8, 8), rules), record=ns.Record(spikes=("conv",)))
    assert np.array_equal(held.spikes["conv"].dense()[:90, 1], alone.spikes["conv"].dense()[:, 0])


def test_a_folder_with_a_class_in_each_sub_folder(work: Path) -> None:
    rules = EventRules(dt_us=1000, coincident="clip")
    right = ns.run(net(), read_events_file("a.npy", (2, 8, 8), rules)).predictions[0]
    for label in (0, 1, 2):
        (work / "set" / str(label)).mkdir(parents=True)
        np.save(work / "set" / str(label) / "x.npy", recording(0))
    output = told("run", "net.h5", "set")
    assert "accuracy 33.33% on 3 recordings" in output
    assert f"accuracy {100 * (right == 0):.2f}% on 1 recordings" in told("run", "net.h5", "set", "--samples", 1)


def test_spikes_in_an_archive(work: Path) -> None:
    np.savez("spikes.npz", time=[0, 1, 2], sample=[0, 0, 1], neuron=[5, 70, 9], steps=4, samples=2, shape=[2, 8, 8])
    output = told("run", "net.h5", "spikes.npz")
    assert "2 samples x 4 steps" in output
    assert "2 samples x 4 steps" in told("run", "net.h5", "--events", "spikes.npz")
    assert re.search(r"in +3 ", output)


def test_images_are_encoded_as_the_network_was_trained(work: Path) -> None:
    stimulus = Stimulus(steps=12, coding="latency")
    one = net((1, 8, 8), **stimulus.to_metadata())
    one.save("one.h5")
    images = np.random.default_rng(0).integers(0, 256, (5, 1, 8, 8), dtype=np.uint8)
    np.save("images.npy", images)
    np.save("flat.npy", images[:, 0])
    run = ns.run(one, stimulus.encode(images))
    expected = "answers: " + ", ".join(answer_of(run, i) for i in range(5))
    arguments: tuple[str, ...]
    for arguments in (("images.npy",), ("flat.npy",), ("--data", "images.npy")):
        output = told("run", "one.h5", *arguments)
        assert "5 images, coding latency, 12 steps" in output
        assert expected in output
    pytest.importorskip("PIL")
    from PIL import Image

    (work / "pictures").mkdir()
    for i, image in enumerate(images):
        Image.fromarray(image[0]).save(work / "pictures" / f"{i}.png")
    for arguments in (("pictures",), ("--data", "pictures"), tuple(f"pictures/{i}.png" for i in range(5))):
        assert expected in told("run", "one.h5", *arguments)
    assert "answer: " in told("run", "one.h5", "pictures/0.png", "--size", 8)


def test_a_film_of_a_recording(work: Path) -> None:
    pytest.importorskip("matplotlib")
    image = pytest.importorskip("PIL.Image")
    assert "wrote film.html: 140 frames" in told("run", "net.h5", "a.npy", "--film", "film.html")
    numbers = json.loads(Path("film.json").read_text())
    assert numbers["step_names"][1] == "steps 5-9, 5 to 10 ms"
    rules = EventRules(dt_us=1000, coincident="clip")
    sam = ns.SAM(net(), "conv").attribute(read_events_file("a.npy", (2, 8, 8), rules))
    scale = ns.SAM(net(), "conv").scales()["conv"]
    expected = np.asarray(sam).sum(axis=(1, 2, 3)).reshape(140, 5).sum(axis=1) / scale
    assert np.allclose(numbers["samples"][0]["maps"]["conv"]["sum_per_step"], expected, rtol=1e-5)
    readout = np.array(numbers["samples"][0]["readout_per_step"])
    run = ns.run(net(), read_events_file("a.npy", (2, 8, 8), rules), record=ns.Record(membrane=("out",)))
    assert np.array_equal(readout, run.membrane["out"][4::5, 0])
    assert "wrote film.gif: 18 frames" in told("run", "net.h5", "b.npy", "--film", "film.gif", "--layers", "conv")
    with image.open("film.gif") as film:
        assert film.n_frames == 18


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("none.aedat4",), "none.aedat4: does not exist; check the name"),
        (("a.npy", "--rule", "speed=3"), "--rule speed=3: is no NAME=VALUE; the names are dt_us, steps, unit"),
        (("a.npy", "--rule", "unit=step"), "look like microseconds: give dt_us"),
        (("a.npy", "--polarity", "one"), "polarity 'one' gives 1 channel; the input (2, 8, 8) has 2"),
        (("a.npy", "--events", "b.npy"), "and --events or --data exclude each other"),
        (("a.npy", "spikes.npz"), "are of several kinds: a.npy recordings, spikes.npz spikes"),
        (
            ("backwards.npy",),
            "backwards.npy: time runs backwards at event 1: from 9 to 5 us; sort the events, or order=",
        ),
        (("cut.bin",), "cut.bin: has 7 bytes, which is no multiple of 5: the recording is cut off"),
        (("a.npy", "--rule", "sensor=4x4"), "4 x 4 pixels (width x height); the input (2, 8, 8) sees 8 x 8"),
        (("--film", "x.gif"), "are for recordings of an event camera; name some"),
        (("a.npy", "--film", "x.mp4"), "x.mp4: has the wrong suffix; give a name that ends in .html"),
        (("a.npy", "--film", "x.gif", "-o", "x.h5"), "leave out --out, --initial and --keep-state"),
        (("a.npy", "--film", "x.html", "--layers", "out"), "does not spike"),
        (("a.npy", "--coding", "latency"), "--coding, --size: are for images; a recording takes --dt-us"),
        (("a.npy", "--film", "spikes.html"), "spikes.json: exists already; give another name, or --force"),
        (("--events", "a.npy"), "a.npy: is a recording of a camera; give it as it is: neurosam run NET a.npy"),
        (("graded.npy",), "coincident='clip'"),
        (("pixels.png",), "is an image"),
    ],
)
def test_mistakes(work: Path, arguments: tuple[str, ...], message: str) -> None:
    np.savez("spikes.npz", time=[0], sample=[0], neuron=[5], steps=4, shape=[2, 8, 8])
    np.save("backwards.npy", np.array([(0, 0, 9, 1), (0, 0, 5, 1)], DTYPE))
    np.save("graded.npy", np.full((2, 1, 2, 8, 8), 3))
    Path("cut.bin").write_bytes(bytes(7))
    Path("spikes.json").write_text("{}")
    if "pixels.png" in arguments:
        pytest.importorskip("PIL.Image").fromarray(np.zeros((4, 4), np.uint8)).save("pixels.png")
    before = sorted(path.name for path in work.iterdir())
    result = neurosam("run", "net.h5", *arguments)
    assert result.exit_code == 2, result.output
    assert isinstance(result.exception, SystemExit), result.exception
    assert message in " ".join(result.stderr.split())
    assert sorted(path.name for path in work.iterdir()) == before


def test_a_unit_that_puts_everything_into_one_step_is_suspected(work: Path) -> None:
    np.save("ms.npy", recording(0, span=300))
    result = neurosam("run", "net.h5", "ms.npy")
    assert "everything lies within one step of 1000 us; is the unit another one (--rule unit=ms)?" in result.stderr
    assert "300 steps" in told("run", "net.h5", "ms.npy", "--rule", "unit=ms")
