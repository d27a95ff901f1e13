"""A film keeps a bounded number of frames whose sums are those of the run, and shows what came in."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest

import neurosam as ns
from neurosam.errors import NeurosamError
from neurosam.report import Film, Report, Sample, write_page
from neurosam.report.colours import OFF, ON
from neurosam.report.film import coloured, shrunk
from neurosam.signals.recording import Recording


def network() -> ns.Network:
    return ns.Network(
        [ns.Population("in", (2, 4, 4)), ns.Population("conv", (1, 2, 2), ns.FixedLIF(membrane_decay=0, threshold=1))],
        [ns.Projection("in", "conv", ns.Conv2d(np.ones((1, 2, 3, 3), np.int8)))],
    ).with_sam()


def run(steps: int, seed: int = 0) -> tuple[ns.Events, Recording]:
    events = ns.Events.from_dense((np.random.default_rng(seed).random((steps, 1, 2, 4, 4)) < 0.3).astype(np.uint8))
    return events, ns.run(network(), events, "reference", ns.Record(sam=("conv",), spikes=("conv",)))


def test_frames_add_up_however_steps_come_in() -> None:
    events, recording = run(14)
    film = Film(network(), ["conv"], window=4, step_us=500)
    assert film.record == ns.Record(sam=("conv",), spikes=("conv",))
    film.add(events, recording)
    report = film.report("t", name="n")
    assert report.labels == [
        "steps 0-3, 0 to 2 ms",
        "steps 4-7, 2 to 4 ms",
        "steps 8-11, 4 to 6 ms",
        "steps 12-13, 6 to 7 ms",
    ]
    sample = report.samples[0]
    starts = [0, 4, 8, 12]
    maps = recording.sam["conv"][:, 0] / recording.sam_scale["conv"]
    assert np.allclose(sample.maps["conv"], np.add.reduceat(maps, starts))
    for name in ("in", "conv"):
        assert np.array_equal(sample.counts[name], np.add.reduceat(recording.counts[name][:, 0], starts))
    assert sample.frames is not None
    assert np.array_equal(sample.frames, coloured(np.add.reduceat(events.dense()[:, 0].astype(np.float32), starts)))
    assert sample.prediction == recording.predictions[0]


def test_a_long_film_has_longer_windows_instead_of_more_frames() -> None:
    events, recording = run(90)
    film = Film(network(), ["conv"], window=1, frames=8)
    film.add(events, recording)
    assert film.window == 16
    assert [label.partition(" ")[2] for label in film.labels] == ["0-15", "16-31", "32-47", "48-63", "64-79", "80-89"]
    counts = film.report("t").samples[0].counts["conv"]
    assert counts.sum() == recording.counts["conv"].sum()


def test_colours_of_events() -> None:
    two = coloured(np.array([[[[0, 3]], [[3, 0]]]], np.float32))
    assert two[0, :, 0].T.tolist() == [list(ON), list(OFF)]
    signed = coloured(np.array([[[[-2, 2, 0]]]], np.float32))
    assert signed[0, :, 0].T.tolist() == [list(OFF), list(ON), [0, 0, 0]]
    assert coloured(np.array([[[[2, 0]]]], np.float32)).tolist() == [[[[255, 0]]]]
    assert coloured(np.zeros((1, 2, 1, 1), np.float32)).shape == (1, 3, 1, 1)


def test_pixels_of_a_large_sensor_are_added_up() -> None:
    picture = np.arange(2 * 3 * 600, dtype=np.float32).reshape(2, 3, 600)
    small = shrunk(picture)
    assert small.shape == (2, 1, 200)
    assert np.array_equal(small[:, 0], picture.reshape(2, 3, 200, 3).sum(axis=(1, 3)))
    assert shrunk(picture[:, :, :7]).shape == (2, 3, 7)


def test_a_gif_has_a_frame_for_each_window(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    image = pytest.importorskip("PIL.Image")
    film = Film(network(), ["conv"], window=3)
    film.add(*run(9))
    (path,) = film.save(tmp_path / "film.gif", "t", classes=["a very long name of a class" * 9])
    with image.open(io.BytesIO(path.read_bytes())) as gif:
        assert gif.n_frames == 3
        assert gif.info["loop"] == 0
        gif.seek(1)
        pixels = np.asarray(gif.convert("RGB"))
    sample = film.report("t").samples[0]
    assert sample.frames is not None
    side = 224 // 4
    centres = pixels[22 + side // 2 : 22 + 224 : side, 8 + side // 2 : 8 + 224 : side].astype(int)
    assert np.abs(centres - np.moveaxis(sample.frames[1], 0, -1)).max() < 32  # the nearest of 256 colours


def test_a_film_that_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(NeurosamError, match="layer 'in': has no SAM trace"):
        Film(network(), ["in"], window=4)
    with pytest.raises(NeurosamError, match="got windows of 0 steps"):
        Film(network(), ["conv"], window=0)
    with pytest.raises(NeurosamError, match="has no frames"):
        Film(network(), ["conv"], window=4).save(tmp_path / "x.html", "t")
    maps = {"conv": np.zeros((2, 2, 2))}
    with pytest.raises(NeurosamError, match="uint8"):
        Sample(np.zeros((1, 4, 4), np.uint8), maps, frames=np.zeros((2, 2, 4, 4), np.uint8))
    with pytest.raises(NeurosamError, match="as the image"):
        Sample(np.zeros((1, 4, 4), np.uint8), maps, frames=np.zeros((2, 1, 5, 4), np.uint8))
    with pytest.raises(NeurosamError, match="series of"):
        Sample(np.zeros((1, 4, 4), np.uint8), maps, frames=np.zeros((3, 1, 4, 4), np.uint8))
    with pytest.raises(NeurosamError, match="one for each of 2 steps"):
        write_page(tmp_path / "x.html", Report("t", (Sample(np.zeros((1, 4, 4), np.uint8), maps),), labels=["one"]))
