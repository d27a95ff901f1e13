"""Neurons, input spikes, a second run and empty maps on the page, in a real browser (tests/support/browser.py)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neurosam.report import Beside, NeuronKind, Report, Sample, write_page
from neurosam.report.colours import OFF, ON
from support.browser import Browser

STEPS, SIDE, CHANNELS = 6, 4, 3
NEURONS = SIDE * SIDE * CHANNELS


def numbered(text: str) -> int:
    """The integer that a page shows with its thousands apart."""
    return int(text.replace("\u202f", "").replace("−", "-"))


def made(seed: int) -> Sample:
    rng = np.random.default_rng(seed)
    maps = rng.random((STEPS, SIDE, SIDE))
    maps[0] = 0
    spikes = (rng.random((STEPS, CHANNELS, SIDE, SIDE)) < 0.3).astype(np.uint8)
    membrane = rng.integers(-(2**23), 2**23, spikes.shape, dtype=np.int32)
    membrane[0, 0, 0, :2] = 2**23 - 1, -(2**23)
    readout = rng.integers(-999, 999, (STEPS, 3)).astype(np.int32)
    readout[0] = 0
    if seed == 2:
        readout[:] = 7
    return Sample(
        image=rng.integers(0, 256, (1, 8, 8), dtype=np.uint8),
        maps={"conv": maps, "other": maps[:, :2, :2]},
        label=1,
        prediction=-1 if seed == 2 else int(np.argmax(readout[-1])),
        readout=readout,
        counts={"conv": spikes.reshape(STEPS, -1).sum(axis=1).astype(np.int64), "other": np.zeros(STEPS, np.int64)},
        spikes={
            "in": rng.integers(0, 2, (STEPS, 2, 8, 8)).astype(np.uint8),
            "conv": spikes,
            "adaptive": rng.integers(0, 3, (STEPS, 5)),
            "wide": (rng.random((STEPS, 600)) < 0.3).astype(np.uint8),
        },
        membrane={"conv": membrane, "adaptive": rng.normal(size=(STEPS, 5)), "out": readout},
        threshold={"adaptive": 1.0 + np.arange(STEPS)[:, None] * np.ones(5)},
        beside=Beside("float64", {"conv": np.clip(maps + rng.normal(size=maps.shape) / 9, 0, None)}, 2),
    )


@pytest.fixture(scope="module")
def samples() -> list[Sample]:
    return [made(seed) for seed in range(3)]


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory, samples: list[Sample]) -> Path:
    kinds = {
        "in": NeuronKind((2, 8, 8), "input"),
        "conv": NeuronKind(
            (CHANNELS, SIDE, SIDE),
            "spiking",
            np.array([100, 200, 300]),
            reset="a spike subtracts",
            amount=100,
            jump=True,
        ),
        "adaptive": NeuronKind((5,), "spiking", 1.0, moves=True),
        "out": NeuronKind((3,), "readout", unit="64ths of a weight"),
    }
    report = Report(
        "neurons", samples, ("cat", "dog", "owl"), kinds=kinds, modes={"conv": "strict", "other": "strict"},
        output="out", answer="last", explanations=[("SAM", "what a layer looked at")],
    )  # fmt: skip
    sizes = NEURONS * STEPS * 3 + 5 * STEPS * (4 + 4) + 3 * STEPS * 2
    path, _ = write_page(tmp_path_factory.mktemp("neurons") / "r.html", report, membrane_mb=2 * sizes / 1e6)
    return path


def go(browser: Browser, fragment: str) -> None:
    """Change the state through the URL, without loading the page again."""
    browser.run(
        "new Promise((done) => { addEventListener('hashchange', done, {once: true});"
        f" location.hash = {json.dumps(fragment)}; }})"
    )


def test_membranes_are_exact(browser: Browser, page: Path, samples: list[Sample]) -> None:
    browser.open(page)
    for sample, step, neuron in [(0, 0, 0), (0, 0, 1), (0, 5, 47), (1, 3, 20), (1, 2, 33)]:
        go(browser, f"sample={sample}&step={step}&layer=conv&neuron={neuron}")
        channel, row, column = np.unravel_index(neuron, (CHANNELS, SIDE, SIDE))
        assert browser.text("#trace-name") == f"conv, channel {channel}, row {row}, column {column} (neuron {neuron})"
        value = samples[sample].membrane["conv"].reshape(STEPS, -1)[step, neuron]
        now = browser.text("#trace-now")
        assert numbered(now.split("membrane ")[1].split(" (")[0]) == value
        assert now.endswith(
            "fires." if samples[sample].spikes["conv"].reshape(STEPS, -1)[step, neuron] else "no spike."
        )
        assert f"hreshold {100 * (channel + 1)}, fires above it; a spike subtracts 100" in browser.text("#trace-facts")
        fired = np.flatnonzero(samples[sample].spikes["conv"].reshape(STEPS, -1)[:, neuron])
        assert browser.run("document.querySelectorAll('#trace .spike').length") == fired.size
        if 0 < fired.size < STEPS:
            assert browser.text("#trace-spikes").endswith(f" {', '.join(map(str, fired))}.")
    assert browser.complaints() == []


def test_a_click_in_the_map_picks_the_channel_that_fires_most_there(
    browser: Browser, page: Path, samples: list[Sample]
) -> None:
    browser.open(page, "#sample=1&step=2&layer=conv")
    assert "click a map" in browser.text("#trace-hint")
    count = np.sort(samples[1].spikes["conv"].sum(axis=0).ravel())
    median = count[count > 0][np.count_nonzero(count) // 2]
    assert browser.run("document.querySelectorAll('#trace .spike').length") == median
    most = samples[1].spikes["conv"].sum(axis=0).argmax(axis=0)
    row, column = (int(i) for i in np.argwhere(most == CHANNELS - 1)[0])
    browser.click("#map", (column + 0.5) / SIDE, (row + 0.5) / SIDE)
    neuron = ((CHANNELS - 1) * SIDE + row) * SIDE + column
    assert browser.run("location.hash") == f"#sample=1&step=2&layer=conv&neuron={neuron}"
    assert browser.text("#trace-name").startswith(f"conv, channel {CHANNELS - 1}, row {row}, column {column} ")
    assert browser.text("#trace-hint") == ""
    box = browser.run(
        "((b) => ['x', 'y', 'width'].map((k) => b.getAttribute(k)))(document.querySelector('#overlay ~ .spot .over'))"
    )
    assert box == [str(1000 * column // SIDE), str(1000 * row // SIDE), "250"]


def test_arrow_keys_move_the_neuron_while_a_map_has_the_focus(browser: Browser, page: Path) -> None:
    browser.open(page, "#sample=0&step=2&layer=conv&neuron=5")
    browser.run("document.querySelector('#neuron-map').focus()")
    seen = []
    for key in (
        "ArrowRight",
        "ArrowDown",
        "ArrowLeft",
        "ArrowUp",
        "ArrowUp",
        "ArrowUp",
        "PageDown",
        "PageUp",
        "PageUp",
    ):
        browser.key(key)
        seen.append(int(browser.run("new URLSearchParams(location.hash.slice(1)).get('neuron')")))
    assert seen == [6, 10, 9, 5, 1, 1, 17, 1, 1]
    assert browser.text("#step-text") == "step 2 of 0–5"
    browser.key("c")
    browser.key("c")
    assert browser.run("location.hash") == "#sample=0&step=2&layer=conv&neuron=17&channel=1"
    browser.run("document.querySelector('#raster').focus()")
    browser.key("ArrowDown")
    browser.key("ArrowRight")
    assert browser.run("location.hash") == "#sample=0&step=3&layer=conv&neuron=18&channel=1"
    browser.key("Escape")
    assert browser.run("location.hash") == "#sample=0&step=3&layer=conv&channel=1"
    assert browser.complaints() == []


def test_the_neuron_map_shows_every_spike(browser: Browser, page: Path, samples: list[Sample]) -> None:
    browser.open(page, "#sample=0&step=4&layer=conv&channel=2")
    pixels = browser.canvas("neuron-map")
    assert np.array_equal(pixels.sum(axis=2) == 3 * 255, samples[0].spikes["conv"][4, 2] == 1)
    browser.key("v")
    blue = browser.canvas("neuron-map")[..., 2].astype(int) - browser.canvas("neuron-map")[..., 0]
    silent = samples[0].spikes["conv"][4, 2] == 0
    assert np.array_equal(blue[silent] > 50, samples[0].membrane["conv"][4, 2][silent] < -200)
    go(browser, "sample=0&step=4&layer=conv")
    tiles = browser.canvas("neuron-map").sum(axis=2) == 3 * 255  # two tiles a row, one pixel apart
    for channel, (y, x) in enumerate([(0, 0), (0, 5), (5, 0)]):
        assert np.array_equal(tiles[y : y + 4, x : x + 4], samples[0].spikes["conv"][4, channel] == 1)


def test_a_click_in_the_raster_picks_a_neuron_and_a_step(browser: Browser, page: Path, samples: list[Sample]) -> None:
    browser.open(page, "#sample=0&step=0&layer=conv")
    dark = browser.canvas("raster").sum(axis=2) < 300
    assert np.array_equal(dark, samples[0].spikes["conv"].reshape(STEPS, -1).T == 1)
    browser.click("#raster", 4.5 / STEPS, 30.5 / NEURONS)
    assert browser.run("location.hash") == "#sample=0&step=4&layer=conv&neuron=30"


def test_neighbours_share_a_row_of_the_raster_where_there_are_many(
    browser: Browser, page: Path, samples: list[Sample]
) -> None:
    browser.open(page, "#sample=0&step=0&layer=conv&population=wide")
    pairs = samples[0].spikes["wide"].reshape(STEPS, 300, 2).sum(axis=2).T
    levels = browser.canvas("raster").sum(axis=2)
    assert levels.shape == (300, STEPS)
    assert len(np.unique(levels)) == 3
    assert all((np.unique(levels)[::-1][pairs] == levels).ravel())  # none, one, both: ever darker
    row, step = (int(i) for i in np.argwhere((pairs == 1) & (samples[0].spikes["wide"].T[1::2] == 1))[0])
    browser.click("#raster", (step + 0.5) / STEPS, (row + 0.5) / 300)
    assert browser.run("location.hash").endswith(f"step={step}&layer=conv&population=wide&neuron={2 * row + 1}")


def test_a_readout_neuron_is_shown_by_its_class(browser: Browser, page: Path, samples: list[Sample]) -> None:
    browser.open(page, "#sample=1&step=3&layer=conv")
    browser.click("#classes li:nth-child(3) button")
    assert browser.text("#trace-name") == "out, neuron 2 (class owl)"
    assert samples[1].readout is not None
    assert numbered(browser.text("#trace-now").split("membrane ")[1].rstrip(".")) == samples[1].readout[3, 2]
    assert browser.text("#trace-facts").startswith("A readout: it integrates and never fires.")
    assert browser.run("document.activeElement.textContent") == "owl"
    assert browser.run("location.hash") == "#sample=1&step=3&layer=conv&population=out&neuron=2"
    assert browser.run("document.querySelector('#raster-figure').hidden") is True
    browser.open(page, "#sample=1&step=3&layer=conv&population=out&neuron=2")
    assert browser.text("#trace-name") == "out, neuron 2 (class owl)"


def test_a_threshold_that_moves_is_drawn_as_it_moves(browser: Browser, page: Path) -> None:
    browser.open(page, "#sample=0&step=3&layer=conv&population=adaptive&neuron=4")
    points = browser.run("document.querySelector('#trace polyline.threshold').getAttribute('points')").split()
    heights = [float(point.split(",")[1]) for point in points]
    assert len(points) == STEPS + 2
    assert np.allclose(np.diff(heights[1:-1]), heights[2] - heights[1], atol=0.15)
    assert heights[2] < heights[1] - 5
    assert "now 4)" in browser.text("#trace-now")


def test_the_input_shows_its_spikes_in_two_colours(browser: Browser, page: Path, samples: list[Sample]) -> None:
    browser.open(page, "#sample=0&step=2&layer=conv")
    browser.key("i")
    off, on = samples[0].spikes["in"][2].astype(int)
    expected = np.minimum(off[..., None] * np.array(OFF) + on[..., None] * np.array(ON), 255)
    assert np.array_equal(browser.canvas("input"), expected)
    legend = browser.run("[...document.querySelectorAll('#input-legend li')].map((x) => x.textContent)")
    assert legend == [f"channel 0, off: {off.sum()}", f"channel 1, on: {on.sum()}"]
    assert browser.text("#input-note") == f"sample 0: {off.sum() + on.sum()} spikes at step 2"
    assert browser.run("location.hash") == "#sample=0&step=2&layer=conv&input=spikes"


def test_another_run_stands_beside_on_the_same_scale(browser: Browser, page: Path, samples: list[Sample]) -> None:
    browser.open(page, "#sample=1&step=3&layer=conv")
    beside, own = samples[1].beside, samples[1].maps["conv"]
    assert beside is not None
    other = beside.maps["conv"]
    note, _, alike = browser.text("#beside-note").rpartition(" ")
    assert note == "answers owl; correlation of the maps"
    assert abs(float(alike) - np.corrcoef(own[3].ravel(), other[3].ravel())[0, 1]) < 0.003
    scale, top = browser.canvas("bar")[0], max(own.max(), other.max())
    for name, x in (("map", own), ("beside", other)):
        at = np.rint(x[3] / top * 255).astype(int)
        assert (np.abs(browser.canvas(name) - scale[at]) <= 2 * np.abs(np.diff(scale, axis=0)).max()).all()
    browser.key("l")  # a layer without a second map
    assert browser.run("document.querySelector('.beside').hidden") is True


def test_an_empty_map_says_why(browser: Browser, page: Path, samples: list[Sample]) -> None:
    browser.open(page, "#sample=0&step=0&layer=conv")
    count = samples[0].counts["conv"][0]
    assert browser.text("#empty") == (
        f"Empty, though conv fired {count} spikes: in strict mode a spike scores by the earlier spikes of its neuron "
        "alone, and at the first step there are none."
    )
    browser.key("ArrowRight")
    assert browser.text("#empty") == ""
    go(browser, "sample=0&step=0&layer=other")
    assert browser.text("#empty") == "Empty: no neuron of other fired at step 0."


def test_no_answer_is_no_class(browser: Browser, page: Path) -> None:
    browser.open(page, "#sample=2&step=1&layer=conv")
    assert (
        browser.text("#verdict")
        == "After step 1 there is no answer ✗ wrong, it is dog; after the last one there is none."
    )
    assert browser.run("document.querySelector('#samples [aria-pressed=true]').textContent") == "dog✗ no answer"
    assert browser.run("document.querySelectorAll('#classes .first').length") == 0
    go(browser, "sample=0&step=0&layer=conv")
    assert browser.text("#verdict").startswith("After step 0 there is no answer ✗ wrong, it is dog; the last one, ")


def test_what_was_left_out_is_said(browser: Browser, page: Path) -> None:
    browser.open(page, "#sample=2&step=1&layer=conv&view=membrane&neuron=3")
    assert "left out" in browser.text("#trace-left-out")
    assert "all are kept with neurosam explain --membrane-mb 1." in browser.text("#trace-left-out")
    assert browser.run("document.querySelector('#view').value") == "spikes"
    assert browser.run("document.querySelectorAll('#trace .spike').length") > 0
    go(browser, "sample=1&step=1&layer=conv&view=membrane&neuron=3")
    assert browser.run("document.querySelector('#trace-left-out').hidden") is True
    assert browser.run("document.querySelector('#view').value") == "membrane"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_all_of_it(browser: Browser, page: Path, scheme: str) -> None:
    browser.open(page, "#sample=0&step=2&layer=conv&input=spikes&view=membrane", width=390, scheme=scheme)
    assert browser.run("document.documentElement.scrollWidth") <= 390
    outside = browser.run(
        "[...document.querySelectorAll('#live *')]"
        ".filter((x) => !x.closest('#samples, svg') && x.getBoundingClientRect().right > 390)"
        ".map((x) => x.id || x.className)"
    )
    assert outside == []
    ground = browser.canvas("raster").max() if scheme == "light" else browser.canvas("raster").min()
    assert (ground > 200) == (scheme == "light")
    assert browser.complaints() == []


@pytest.mark.parametrize(
    "fragment", ["neuron=999999", "population=<img>&neuron=-1", "channel=99&view=x&input=y", "neuron=1e3"]
)
def test_an_invalid_neuron_does_no_harm(browser: Browser, page: Path, fragment: str) -> None:
    browser.open(page, "#sample=0&step=2&layer=conv&" + fragment)
    assert browser.text("#trace-name").startswith("conv, channel ")
    browser.key("ArrowLeft")
    assert browser.complaints() == []


def test_every_new_control_is_reached_by_the_tab_key(browser: Browser, page: Path) -> None:
    browser.open(page, "#sample=0&step=2&layer=conv")
    names: list[Any] = []
    for _ in range(60):
        browser.send("Input.dispatchKeyEvent", type="keyDown", key="Tab", code="Tab", windowsVirtualKeyCode=9)
        browser.send("Input.dispatchKeyEvent", type="keyUp", key="Tab", code="Tab", windowsVirtualKeyCode=9)
        names.append(browser.run("document.activeElement.id || document.activeElement.className"))
    assert {"map", "overlay", "beside", "neuron-map", "raster", "population", "channel", "view", "input-kind"} <= {
        *names
    }
    unlabelled = browser.run(
        "[...document.querySelectorAll('#live canvas, #live svg[role]')].filter((x) => !x.closest('[hidden]')"
        " && !x.ariaHidden && !x.getAttribute('aria-label')).map((x) => x.id)"
    )
    assert unlabelled == []
