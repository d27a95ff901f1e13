"""What the figures draw, read back from their artists; that they look well is for eyes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from neurosam.errors import NeurosamError
from neurosam.report import Sample, heat_sheet, raster, sample_sheet, save, show, signed_overlay, spikes_per_step
from neurosam.report.figures import blend, caption, visible
from neurosam.signals.recording import Spikes

pytest.importorskip("matplotlib", reason="an optional dependency, neurosam[viz]")

IMAGE = np.arange(48, dtype=np.uint8).reshape(3, 4, 4) * 5
MASK = np.eye(4, dtype=bool)


@pytest.fixture
def maps() -> dict[str, npt.NDArray[np.float64]]:
    rng = np.random.default_rng(0)
    return {"conv1": rng.random((9, 4, 4)), "conv2": 7 * rng.random((9, 2, 2))}


def test_heat_sheet_draws_the_chosen_steps_on_one_scale_per_row(maps: dict[str, npt.NDArray[np.float64]]) -> None:
    figure = heat_sheet(IMAGE, maps, [1, 8], mask=MASK, unit="SAM")
    pictures = [a for a in figure.axes if a.images]
    assert [a.get_title() for a in pictures] == ["input", "step 1", "step 8", "sum on input", "", "", ""]
    for row, x in enumerate(maps.values()):
        for column, step in enumerate((1, 8)):
            shown = pictures[1 + 3 * row + column].images[0]
            assert np.array_equal(np.asarray(shown.get_array()), x[step])
            assert shown.get_clim() == (0, x.max())
    assert pictures[1].get_ylabel() == "conv1\n4 × 4"


def test_heat_sheet_can_scale_each_step(maps: dict[str, npt.NDArray[np.float64]]) -> None:
    maps["conv1"][0] = 0  # silent: gets a scale of 1 instead of 0
    pictures = [a for a in heat_sheet(IMAGE, maps, [0, 3], scale="step").axes if a.images]
    assert [p.images[0].get_clim()[1] for p in pictures[1:3]] == [1, maps["conv1"][3].max()]


def test_heat_sheet_shows_six_steps_by_default(maps: dict[str, npt.NDArray[np.float64]]) -> None:
    titles = [a.get_title() for a in heat_sheet(IMAGE, maps).axes]
    assert [t for t in titles if t.startswith("step")] == [f"step {t}" for t in (0, 2, 3, 5, 6, 8)]


def test_heat_sheet_refuses(maps: dict[str, npt.NDArray[np.float64]]) -> None:
    with pytest.raises(NeurosamError, match=r"steps: got \[9\]; at least one in 0\.\.8"):
        heat_sheet(IMAGE, maps, [9])
    with pytest.raises(NeurosamError, match="scale: got 'row'"):
        heat_sheet(IMAGE, maps, scale="row")
    with pytest.raises(NeurosamError, match="maps: got none"):
        heat_sheet(IMAGE, {})


def test_sample_sheet_has_one_column_per_sample(maps: dict[str, npt.NDArray[np.float64]]) -> None:
    samples = [Sample(IMAGE, maps, MASK, label=0, prediction=1), Sample(IMAGE, maps, label=1, prediction=1)]
    figure = sample_sheet(samples, ["cat", "$x^$"], layers=["conv2"])
    assert len(figure.axes) == 2 * 3
    assert [a.get_ylabel() for a in figure.axes[:3]] == ["input", "mask", "conv2"]
    assert figure.axes[0].get_title() == "label cat\n→ \\$x^\\$ (wrong)"
    assert np.array_equal(np.asarray(figure.axes[2].images[0].get_array()), blend(samples[0], "conv2", "inferno"))
    figure.draw_without_rendering()  # a class name that looks like a formula is text
    with pytest.raises(NeurosamError, match="sample 0: has no map of 'conv9'"):
        sample_sheet(samples, layers=["conv9"])


def test_caption_says_in_words_what_its_colour_shows(maps: dict[str, npt.NDArray[np.float64]]) -> None:
    assert caption(Sample(IMAGE, maps, label=2, prediction=2), ()) == "label 2\n→ 2 (right)"
    assert caption(Sample(IMAGE, maps, prediction=0), ["a very long class name"]) == "→ a very long c…"
    assert caption(Sample(IMAGE, maps), ()) == ""


def test_images_with_other_numbers_of_channels_show_the_largest() -> None:
    two = IMAGE[:2]
    assert np.array_equal(visible(two), two.max(axis=0, keepdims=True))
    assert np.array_equal(visible(IMAGE), IMAGE)


def test_raster_draws_every_spike_of_its_sample() -> None:
    rng = np.random.default_rng(1)
    dense = (rng.random((8, 2, 3, 4, 5)) < 0.2).astype(np.uint8)
    figure = raster(Spikes.from_dense(dense), sample=1, name="conv1")
    above, main = figure.axes[1], figure.axes[0]
    x = dense[:, 1].reshape(8, 60)
    drawn = {
        (int(s[0, 0]), round(float(s[:, 1].mean())))
        for c in main.collections
        for s in c.get_segments()  # type: ignore[attr-defined]
    }
    assert drawn == set(zip(*(axis.tolist() for axis in np.nonzero(x)), strict=True))
    assert [bar.get_height() for bar in above.patches] == x.sum(axis=1).tolist()  # type: ignore[attr-defined]
    assert main.get_ylabel() == "channel (20 neurons each)"
    assert [t.get_text() for t in main.get_yticklabels()] == ["0", "1", "2"]
    assert f"{int(x.sum())} spikes" in above.get_title()


def test_raster_of_many_neurons_shades_bundles_within_a_channel() -> None:
    rng = np.random.default_rng(2)
    x = rng.random((6, 3 * 500)) < 0.1
    figure = raster(x, channels=3)
    mesh = figure.axes[0].collections[0]
    bundle = 4  # 1500 neurons on 400 lines
    expected = x.reshape(6, 3, 500 // bundle, bundle).mean(axis=-1).reshape(6, -1).T
    assert np.array_equal(np.asarray(mesh.get_array()), expected)


def test_raster_bundles_cover_every_neuron_once_where_they_do_not_divide_a_channel() -> None:
    x = np.ones((2, 7 * 101), dtype=bool)  # bundles of 2, the last of each channel of 1
    shares = np.asarray(raster(x, channels=7).axes[0].collections[0].get_array())
    assert shares.shape == (7 * 51, 2)
    assert np.array_equal(shares, np.ones_like(shares))


def test_raster_of_silence_and_of_one_step() -> None:
    for x in (np.zeros((4, 10)), np.zeros((4, 2000)), np.ones((1, 1))):
        raster(x).draw_without_rendering()


def test_raster_refuses() -> None:
    with pytest.raises(NeurosamError, match=r"sample: got 2; allowed is 0\.\.1"):
        raster(Spikes.from_dense(np.zeros((3, 2, 4))), sample=2)
    with pytest.raises(NeurosamError, match="one sample"):
        raster(np.zeros((3, 4)), sample=1)
    with pytest.raises(NeurosamError, match="4 neurons at 3 steps do not make 3 equal channels"):
        raster(np.zeros((3, 4)), channels=3)
    with pytest.raises(NeurosamError, match=r"float64 \(3, 4, 1\)"):
        raster(np.zeros((3, 4, 1)))


def test_spikes_per_step_is_the_mean_rate() -> None:
    counts = {"a": np.array([[1, 3], [2, 6]]), "b": np.array([[0, 0], [10, 10]])}
    figure = spikes_per_step(counts, {"a": 4, "b": 20})
    lines = {line.get_label(): np.asarray(line.get_ydata()).tolist() for line in figure.axes[0].lines}
    assert lines == {"a": [0.5, 1.0], "b": [0.0, 0.5]}
    assert figure.axes[0].get_ylabel() == "spikes per neuron and step"
    plain = spikes_per_step(counts).axes[0]
    assert np.asarray(plain.lines[0].get_ydata()).tolist() == [2, 4]
    assert plain.get_ylabel() == "spikes per step and sample"


def test_spikes_per_step_refuses() -> None:
    with pytest.raises(NeurosamError, match="got none"):
        spikes_per_step({})
    with pytest.raises(NeurosamError, match="'a': got counts of shape"):
        spikes_per_step({"a": [1, 2]})
    with pytest.raises(NeurosamError, match="'a': its number of neurons"):
        spikes_per_step({"a": [[1, 2]]}, {"b": 3})


def test_save_writes_equal_files_for_equal_figures_and_leaves_nothing_else(tmp_path: Path) -> None:
    figure = spikes_per_step({"a": [[1, 2], [3, 4]]})
    one, two = save(figure, tmp_path / "new" / "a.png", dpi=50), save(figure, tmp_path / "new" / "b.png", dpi=50)
    assert one.read_bytes().startswith(b"\x89PNG")
    assert one.read_bytes() == two.read_bytes()
    assert sorted(p.name for p in (tmp_path / "new").iterdir()) == ["a.png", "b.png"]


def test_a_failed_save_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "a.png"
    target.write_bytes(b"old")

    def full(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(OSError, match="disk full"):
        save(spikes_per_step({"a": [[1]]}), target, dpi=50)
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]
    assert target.read_bytes() == b"old"


def test_importing_draws_on_no_matplotlib_and_drawing_on_no_pyplot() -> None:
    code = (
        "import sys, numpy as np; from neurosam.report import *; assert 'matplotlib' not in sys.modules;"
        "raster(np.eye(3)); spikes_per_step({'a': np.eye(3)}); assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_signed_overlay_is_symmetric_around_white() -> None:
    """The same magnitude on both sides gives mirrored colours, whatever the larger side is."""
    heat = np.array([[-1.0, 0.0, 1.0, 4.0]])
    low, zero, high, most = signed_overlay(np.zeros((1, 4)), heat, alpha=1.0)[0].astype(int)
    assert low[2] == high[0] == 255
    assert abs(low[0] - high[2]) <= 2  # of 256 colours
    assert (zero >= 254).all()
    assert most.tolist() == [255, 0, 0]
    mirrored = signed_overlay(np.zeros((1, 4)), -heat, alpha=1.0)[0].astype(int)
    assert np.abs(mirrored[:, ::-1] - [low, zero, high, most]).max() <= 2
    blank = signed_overlay(np.full((2, 2), 200, np.uint8), np.zeros((1, 1)))
    assert len(np.unique(blank.reshape(-1, 3), axis=0)) == 1  # a map of zeros marks nothing
    with pytest.raises(NeurosamError, match="NaN or infinite"):
        signed_overlay(np.zeros((2, 2)), np.full((2, 2), np.nan))


def test_show_draws_a_row_per_method_on_a_scale_of_its_own(maps: dict[str, npt.NDArray[np.float64]]) -> None:
    signed = np.array([[[0.5, -2.0]], [[1.0, 0.0]]])
    over_time = maps["conv1"][:, None].repeat(2, axis=1)
    figure = show({"lrp": signed, "sam": over_time}, np.stack([IMAGE, IMAGE]), title="two")
    pictures = [a for a in figure.axes if a.images]
    assert [a.get_ylabel() for a in pictures] == ["input", "", "lrp", "", "sam", ""]
    assert np.array_equal(np.asarray(pictures[0].images[0].get_array()), np.moveaxis(IMAGE, 0, -1))
    for axes, wanted in zip(pictures[2:4], signed, strict=True):
        assert np.array_equal(np.asarray(axes.images[0].get_array()), wanted)
        assert axes.images[0].get_clim() == (-2, 2)
        assert axes.images[0].get_cmap().name == "bwr"
    total = maps["conv1"].sum(axis=0)
    assert np.allclose(np.asarray(pictures[5].images[0].get_array()), total)
    assert pictures[4].images[0].get_clim() == (0, total.max())
    assert len([a for a in show(np.zeros((3, 2, 2))).axes if a.images]) == 3
    with pytest.raises(NeurosamError, match=r"show: got numbers of samples {'a': 2, 'b': 3}; all must be equal"):
        show({"a": signed, "b": np.zeros((3, 1, 1))})
    with pytest.raises(NeurosamError, match=r"show: map: got shape \(2, 2\); finite maps"):
        show(np.zeros((2, 2)))
