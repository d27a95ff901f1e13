"""The page in a real browser (tests/support/browser.py): its state, keys, pixels, hostile names, odd reports."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from neurosam.report import Report, Sample, Table, write_page
from support.browser import Browser

HOSTILE = "</script><script>document.title='taken'</script><img src=x onerror=\"document.title='taken'\">"


def blob(side: int, step: int) -> npt.NDArray[np.float64]:
    """A bright spot that moves down and right."""
    y, x = (np.mgrid[:side, :side] + 0.5) / side
    return np.asarray(np.exp(-((y - step / 8) ** 2 + (x - step / 8) ** 2) * 20)) * step


STEPS, CLASSES = 8, ("cat", "dog", "owl")


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = np.random.default_rng(0)
    samples = []
    for number in range(3):
        image = rng.integers(0, 256, (3, 12, 10), dtype=np.uint8)
        mask = np.zeros((12, 10), dtype=bool)
        mask[2:7, 3 : 8 - number] = True
        readout = np.zeros((STEPS, 3))
        readout[:, 0] = np.arange(STEPS) * 2  # cat from step 2 on
        readout[:, 1] = 3
        maps = {f"conv{k}": np.stack([blob(side, t) for t in range(STEPS)]) for k, side in ((1, 12), (2, 6))}
        counts = {"conv1": np.arange(STEPS) * 10 + number, "conv2": np.arange(STEPS)[::-1]}
        samples.append(Sample(image, maps, mask, f"file{number}", number, 0, readout, counts))
    table = Table(
        "Accuracy", ["network", "samples", "accuracy", "a rather long heading", "x", "y"], [["f" * 90] + [1.5] * 5]
    )
    report = Report(
        "A report", samples, CLASSES, tables=[table] * 2, neurons={"conv1": 1440, "conv2": 72}, highlights={"a": 1}
    )
    path, _ = write_page(tmp_path_factory.mktemp("page") / "report.html", report)
    return path


def test_opens_at_the_state_in_its_url(browser: Browser, page: Path) -> None:
    browser.open(page, "#sample=1&step=5&layer=conv2")
    assert browser.text("#step-text") == "step 5 of 0–7"
    assert browser.run("document.querySelector('#step').value") == "5"
    assert browser.run("document.querySelector('#layer').value") == "conv2"
    assert browser.text("#input-note") == "file1"
    assert browser.text("#verdict") == (
        "After step 5 the answer is cat ✗ wrong, it is dog; the last one, cat, holds from step 2 on."
    )
    assert browser.run("[...document.querySelectorAll('#legend li')].map((x) => x.textContent)") == [
        "conv1: 51 spikes",
        "conv2: 2 spikes",
    ]
    assert browser.run("[...document.querySelectorAll('#classes li')].map((x) => x.textContent)") == [
        "cat10",
        "doglabel3",
        "owl0",
    ]
    assert browser.run("document.querySelector('#samples [aria-pressed=true]').textContent") == "dog✗ cat"
    assert browser.complaints() == []


@pytest.mark.parametrize(
    "fragment",
    [
        "#sample=99&step=99&layer=conv9&show=x",
        "#step=-1",
        "#sample=1e9&step=NaN",
        "#%E0%A4%A",
        "#layer=<img src=x>",
        "#",
    ],
)
def test_an_invalid_url_does_no_harm(browser: Browser, page: Path, fragment: str) -> None:
    browser.open(page, fragment)
    assert browser.text("#step-text") == ("step 7 of 0–7" if "99" in fragment else "step 4 of 0–7")
    assert browser.run("document.querySelector('#layer').value") == "conv1"
    assert browser.complaints() == []


def test_requests_only_itself(browser: Browser, page: Path) -> None:
    browser.open(page)
    asked = [e["params"]["request"]["url"] for e in browser.events if e.get("method") == "Network.requestWillBeSent"]
    assert [url for url in asked if not url.startswith(("data:", "about:"))] == [page.as_uri()]


def test_keys_navigate_and_the_url_follows(browser: Browser, page: Path) -> None:
    browser.open(page, "#sample=0&step=3&layer=conv1")
    seen = []
    for key in (
        "ArrowRight",
        "ArrowRight",
        "ArrowLeft",
        "End",
        "ArrowRight",
        "Home",
        "ArrowLeft",
        "n",
        "p",
        "p",
        "l",
        "m",
    ):
        browser.key(key)
        seen.append(browser.run("location.hash"))
    assert seen == [
        *(f"#sample=0&step={step}&layer=conv1" for step in (4, 5, 4, 7, 7, 0, 0)),
        *(f"#sample={sample}&step=0&layer=conv1" for sample in (1, 0, 2)),
        "#sample=2&step=0&layer=conv2",
        "#sample=2&step=0&layer=conv2&mask=0",
    ]
    browser.run("location.hash = '#sample=1&step=6&layer=conv1'")
    browser.wait("document.querySelector('#step-text').textContent === 'step 6 of 0–7'")
    assert browser.complaints() == []


def test_play_advances_and_pauses(browser: Browser, page: Path) -> None:
    browser.open(page, "#step=0")
    browser.run("document.querySelector('#play').click()")
    assert browser.text("#play") == "Pause"
    browser.wait("document.querySelector('#step').value === '2'")
    browser.key("ArrowLeft")
    assert browser.text("#play") == "Play"
    browser.key(" ")
    assert browser.run("document.querySelector('#play').getAttribute('aria-pressed')") == "true"
    browser.key(" ")
    assert browser.run("document.querySelector('#play').getAttribute('aria-pressed')") == "false"


def test_controls_have_their_own_keys(browser: Browser, page: Path) -> None:
    browser.open(page, "#step=3")
    browser.run("document.querySelector('#layer').focus()")
    browser.key("n")
    browser.run("document.querySelector('#opacity').focus()")
    browser.key("End")
    assert browser.text("#step-text") == "step 3 of 0–7"
    assert browser.run("document.querySelector('#samples [aria-pressed=true]').textContent") == "cat✓ cat"


def test_pixels_change_with_step_layer_and_controls(browser: Browser, page: Path) -> None:
    pytest.importorskip("PIL", reason="an optional dependency, neurosam[viz]")
    shots = []
    for extra in (
        "step=3",
        "step=5",
        "step=5&layer=conv2",
        "step=5&show=so-far",
        "step=5&colours=viridis",
        "step=5&opacity=0",
    ):
        browser.open(page, "#" + extra)
        shots.append(browser.screenshot())
    assert shots[0].shape == (1000, 1280, 3)
    assert len(np.unique(shots[0].reshape(-1, 3), axis=0)) > 500
    for a in range(len(shots)):
        for b in range(a):
            assert (shots[a] != shots[b]).any(axis=-1).sum() > 200, (a, b)


def test_map_and_input_are_drawn_exactly(browser: Browser, page: Path) -> None:
    browser.open(page, "#sample=0&step=5&layer=conv2&scale=own")
    image = np.random.default_rng(0).integers(0, 256, (3, 12, 10), dtype=np.uint8)
    assert np.array_equal(browser.canvas("input"), np.moveaxis(image, 0, -1))
    scale, shown = browser.canvas("bar")[0], browser.canvas("map")
    share = blob(6, 5) / blob(6, 5).max()
    assert np.array_equal(shown, scale[np.rint(share * 255).astype(int)])
    browser.open(page, "#sample=0&step=5&layer=conv2")  # all steps share the scale of step 7
    share = blob(6, 5) / blob(6, 7).max()
    at = np.rint(share * 255).astype(int)
    assert (np.abs(browser.canvas("map") - scale[at]) <= np.abs(np.diff(scale, axis=0)).max()).all()
    browser.open(page, "#sample=0&step=5&layer=conv2&opacity=0")
    times = browser.canvas("overlay").shape[0] // 12
    assert np.array_equal(browser.canvas("overlay")[::times, ::times], np.moveaxis(image, 0, -1))


def test_overlay_is_upsampled_as_the_library_does(browser: Browser, page: Path) -> None:
    from neurosam.explain.maps import upsample

    browser.open(page, "#sample=0&step=6&layer=conv2&colours=jet&opacity=100&scale=own&show=all")
    total = np.sum([blob(6, t) for t in range(STEPS)], axis=0)
    scale, shown = browser.canvas("bar")[0], browser.canvas("overlay")
    expected = upsample(total / total.max(), (shown.shape[0], shown.shape[1]))
    at = expected * 255
    low, high = scale[np.maximum(at.astype(int) - 1, 0)], scale[np.minimum(at.astype(int) + 2, 255)]
    assert (shown >= np.minimum(low, high)).all()  # maps are stored as bytes: within two entries of the colour scale
    assert (shown <= np.maximum(low, high)).all()


@pytest.mark.parametrize("width", [390, 760, 1280])
def test_nothing_overflows_the_window(browser: Browser, page: Path, width: int) -> None:
    browser.open(page, width=width)
    assert browser.run("document.documentElement.scrollWidth") <= width
    right = browser.run(
        "Math.max(...[...document.querySelectorAll('button, select, input, canvas, figure, .transport > *')]"
        ".filter((x) => x.offsetParent && !x.closest('#samples')).map((x) => x.getBoundingClientRect().right))"
    )
    assert right <= width


def test_mask_outline_is_the_border_of_the_mask(browser: Browser, page: Path) -> None:
    browser.open(page, "#sample=0")
    drawn = browser.run("document.querySelector('.outline .over').getAttribute('d')")
    edges = set(drawn.replace("M", " M").split(" M")[1:])
    expected = {f"{x} {y}h1" for x in range(3, 8) for y in (2, 7)} | {f"{x} {y}v1" for y in range(2, 7) for x in (3, 8)}
    assert edges == expected
    browser.key("m")
    assert browser.run("document.querySelector('.outline .over').getAttribute('d')") == ""


def test_hostile_names_do_not_run(browser: Browser, tmp_path: Path) -> None:
    image = np.zeros((1, 4, 4), dtype=np.uint8)
    sample = Sample(
        image, {HOSTILE: np.ones((3, 2, 2))}, None, HOSTILE, 0, 0, np.eye(3), {HOSTILE: np.ones(3, dtype=np.int64)}
    )
    report = Report("safe", [sample] * 2, [HOSTILE] * 3, {HOSTILE: HOSTILE}, tables=[(HOSTILE, [HOSTILE], [[HOSTILE]])])
    path, _ = write_page(tmp_path / "<b>&#39; ?.html", report)
    browser.open(path, "#sample=1&layer=" + HOSTILE)
    assert browser.run("document.title") == "safe"
    assert browser.run("document.images.length") == 0
    assert browser.text("#input-note") == HOSTILE
    assert browser.text("#classes .name") == HOSTILE + "label"
    assert browser.text("#legend li") == f"{HOSTILE}: 1 spike"
    assert browser.text("#layer option") == HOSTILE
    assert browser.text("td") == HOSTILE
    assert browser.complaints() == []


def test_the_policy_blocks_an_injected_script(browser: Browser, page: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.html"
    text = page.read_text(encoding="utf-8")
    broken.write_text(text.replace("</h1>", "</h1><script>document.title = 'taken'</script>"), encoding="utf-8")
    browser.open(broken)
    assert browser.run("document.title") == "A report"
    assert any("Content Security Policy" in complaint for complaint in browser.complaints())


def test_a_prediction_that_never_changes(browser: Browser, tmp_path: Path) -> None:
    sample = Sample(np.zeros((1, 4, 4), dtype=np.uint8), {"c": np.ones((3, 2, 2))}, readout=np.array([[1, 0]] * 3))
    path, _ = write_page(tmp_path / "r.html", Report("r", [sample]))
    browser.open(path, "#step=0")
    assert browser.text("#verdict") == "After step 0 the answer is 0; the last one, 0, holds from the first step on."
    browser.key("End")
    assert browser.text("#verdict") == "After step 2 the answer is 0; it holds from the first step on."


@pytest.mark.parametrize("change", ["one step", "no maps", "no readout", "nothing known"])
def test_parts_may_be_missing(browser: Browser, tmp_path: Path, change: str) -> None:
    image = np.zeros((2, 5, 4), dtype=np.uint8)
    maps, counts, readout = {"c": np.ones((3, 2, 2))}, {"c": np.array([0, 1, 2])}, np.eye(3)
    sample = {
        "one step": Sample(image, {"c": np.ones((1, 2, 2))}, None, "", 0, 1, np.eye(2)[:1], {"c": np.array([4])}),
        "no maps": Sample(image, {}, None, "", 0, 0, readout, counts),
        "no readout": Sample(image, maps, None, "", 1, 0, None, counts),
        "nothing known": Sample(image, maps),
    }[change]
    path, _ = write_page(tmp_path / "r.html", Report("r", [sample]))
    browser.open(path)
    browser.key("ArrowLeft")
    parts = "['.map', '#readout', '#activity', '#neurons'].map((x) => !!document.querySelector(x).offsetParent)"
    assert browser.run(parts) == [
        change != "no maps",
        change in ("one step", "no maps"),
        change != "nothing known",
        False,
    ]
    assert browser.complaints() == []


def test_a_film_shows_the_input_of_each_window(browser: Browser, tmp_path: Path) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (3, 3, 4, 5), dtype=np.uint8)
    maps = {"conv": np.ones((3, 2, 2))}
    sample = Sample(frames[0], maps, name="a.raw", readout=np.eye(3), frames=frames)
    report = Report("film", (sample,), labels=["steps 0-4", "steps 5-9", "step 10"])
    path, _ = write_page(tmp_path / "film.html", report)
    for step in range(3):
        browser.open(path, f"#step={step}")
        got = browser.run("Array.from(document.querySelector('#input').getContext('2d').getImageData(0, 0, 5, 4).data)")
        pixels = np.array(got, dtype=np.uint8).reshape(4, 5, 4)[..., :3]
        assert np.array_equal(pixels, np.moveaxis(frames[step], 0, -1))
    assert browser.text("#step-text") == "window 2 of 0–2"
    assert browser.text("#window") == "step 10"
    assert browser.text("#verdict") == "After window 2 the answer is 2; it holds from window 2 on."
    assert browser.complaints() == []
