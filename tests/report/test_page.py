"""The page and its JSON as files: what they contain, what they do not, and that hostile names stay text."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import zlib
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import neurosam
from neurosam.errors import NeurosamError
from neurosam.report import Cell, Picture, Report, Sample, Table, write_page
from neurosam.report.colours import DARK_LINES, DASH_ARRAYS, LINES

HOSTILE = "</script><script>document.title='taken'</script><img src=x onerror=\"document.title='taken'\">&amp;"


class Page(HTMLParser):
    """Tags, attributes and the text of each <script>, <style>, <h1> and cell."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append((self.tags[-1][0] if self.tags else "", data))

    def all(self, tag: str) -> list[str]:
        return [text for at, text in self.texts if at == tag and text.strip()]


def sample(seed: int, **change: Any) -> Sample:
    rng = np.random.default_rng(seed)
    fields: dict[str, Any] = {
        "image": rng.integers(0, 256, (1, 8, 6), dtype=np.uint8),
        "maps": {"conv1": rng.random((5, 8, 6)) ** 4, "conv2": 1e3 * rng.random((5, 4, 3))},
        "mask": rng.random((8, 6)) < 0.5,
        "label": 1,
        "prediction": 2,
        "readout": rng.normal(size=(5, 3)),
        "counts": {"conv1": rng.integers(0, 40, 5)},
    }
    return Sample(**{**fields, **change})


def write(tmp_path: Path, report: Report) -> tuple[str, dict[str, Any]]:
    page, numbers = write_page(tmp_path / "report.html", report)
    content: dict[str, Any] = json.loads(numbers.read_text(encoding="utf-8"))
    return page.read_text(encoding="utf-8"), content


def test_a_page_without_samples_shows_its_tables_and_has_no_viewer(tmp_path: Path) -> None:
    report = Report("r", tables=[Table("Cost", ["a"], [[1]])])
    text, _ = write(tmp_path, report)
    assert Page(text).all("td") == ["1"]
    assert "<script" not in text
    assert "script-src 'none'" in text
    assert "What the network looked at" not in text
    with_viewer, _ = write(tmp_path, replace(report, samples=[sample(0)]))
    assert "What the network looked at" in with_viewer
    assert not re.search(r"\{\{|viewer -->", text + with_viewer)


def test_page_requests_nothing(tmp_path: Path) -> None:
    text, _ = write(tmp_path, Report("r", [sample(0)]))
    assert not re.search(r"https?:|//[a-z]|@import|url\(|\bfetch\(|XMLHttpRequest|WebSocket|import\(", text)
    addresses = [
        value for _, attrs in Page(text).tags for key, value in attrs.items() if key in ("src", "href", "data-src")
    ]
    assert addresses == ["data:,"]  # the icon, so that browsers do not request one


def test_policy_allows_this_script_and_style_only(tmp_path: Path) -> None:
    page = Page(write(tmp_path, Report("r", [sample(0)]))[0])
    policy = next(a["content"] for _, a in page.tags if a.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    for kind, content in (("style", page.all("style")[0]), ("script", page.all("script")[-1])):
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy
    assert not [a for _, a in page.tags if "style" in a or any(key.startswith("on") for key in a)]


def test_buffer_holds_images_masks_and_maps(tmp_path: Path) -> None:
    report = Report("r", [sample(0), sample(1, mask=None)])
    _, _, index_text, buffer_text, _ = ["", "", *Page(write(tmp_path, report)[0]).all("script")]
    index, buffer = json.loads(index_text), zlib.decompress(base64.b64decode(buffer_text))

    def array(entry: dict[str, Any]) -> Any:
        size = int(np.prod(entry["shape"]))
        return np.frombuffer(buffer, np.uint8, size, entry["at"]).reshape(entry["shape"])

    assert index["layers"] == ["conv1", "conv2"]
    for packed, s in zip(index["samples"], report.samples, strict=True):
        assert np.array_equal(array(packed["image"]), s.image)
        if s.mask is None:
            assert packed["mask"] is None
        else:
            assert np.array_equal(array(packed["mask"]), s.mask)
        for layer, x in s.maps.items():
            peaks = np.array(packed["maps"][layer]["peaks"])
            assert np.allclose(peaks, x.max(axis=(1, 2)), rtol=1e-5, atol=0)
            error = np.abs(array(packed["maps"][layer]) / 255 * peaks[:, None, None] - x)
            assert (error <= 0.002 * peaks[:, None, None]).all()
        assert packed["counts"]["conv1"] == s.counts["conv1"].tolist()


def numbers(buffer: bytes, entry: dict[str, Any]) -> npt.NDArray[Any]:
    """Spikes or membranes, by the format in packing.py."""
    count = int(np.prod(entry["shape"]))
    raw = np.frombuffer(buffer, np.uint8, offset=entry["at"])
    if entry["kind"] == "bits":
        return np.unpackbits(raw, count=count, bitorder="little").reshape(entry["shape"])
    planes = 4 if entry["kind"] == "float" else entry["bytes"]
    low = raw[: planes * count].reshape(planes, count).T
    sign = np.repeat(np.where(low[:, -1:] > 127, 255, 0), 4 - planes, axis=1)
    whole = np.ascontiguousarray(np.concatenate([low, sign], axis=1).astype(np.uint8))
    return whole.view("<f4" if entry["kind"] == "float" else "<i4").reshape(entry["shape"])


@pytest.mark.parametrize(
    ("values", "kind", "width"),
    [
        ([0, 1, 1, 0, 1, 1, 1, 1, 1], "bits", None),
        ([-1, 0, 1], "int", 1),
        ([-128, 127], "int", 1),
        ([-129, 0], "int", 2),
        ([128, 0], "int", 2),
        ([-(2**15), 2**15 - 1], "int", 2),
        ([-(2**23), 2**23 - 1], "int", 3),
        ([-(2**31), 2**31 - 1], "int", 4),
        ([-0.1, 3.5e9], "float", None),
    ],
)
def test_membranes_keep_every_integer(tmp_path: Path, values: list[float], kind: str, width: int | None) -> None:
    membrane = np.array([values])
    one = sample(0, maps={}, counts={}, readout=None, membrane={"conv": membrane})
    index_text, buffer_text, _ = Page(write(tmp_path, Report("r", [one]))[0]).all("script")
    entry = json.loads(index_text)["samples"][0]["membrane"]["conv"]
    assert (entry["kind"], entry.get("bytes")) == (kind, width)
    got = numbers(zlib.decompress(base64.b64decode(buffer_text)), entry)
    assert np.array_equal(got, membrane.astype(np.float32) if kind == "float" else membrane)


def test_membranes_are_kept_until_they_fill_the_page(tmp_path: Path) -> None:
    many = [sample(k, membrane={"out": np.full((5, 2), 300), "conv1": np.full((5, 100), 300)}) for k in range(3)]
    write_page(tmp_path / "r.html", Report("r", many), membrane_mb=0.00201)
    page = Page((tmp_path / "r.html").read_text(encoding="utf-8"))
    kept = [[*s["membrane"]] for s in json.loads(page.all("script")[0])["samples"]]
    assert kept == [["conv1", "out"], ["out"], ["out"]]  # 1000 + 20 bytes a sample, layers with maps first


def test_terms_are_explained_without_a_script(tmp_path: Path) -> None:
    text, content = write(tmp_path, Report("r", explanations=[("SAM", "<b>what</b> a layer saw")]))
    page = Page(text)
    assert (page.all("summary"), page.all("dt")[-1], page.all("dd")[-1]) == (
        ["How to read this"], "SAM", "<b>what</b> a layer saw",
    )  # fmt: skip
    assert content["explanations"] == {"SAM": "<b>what</b> a layer saw"}
    assert "<details" not in write(tmp_path, Report("r"))[0]


def test_the_page_has_the_colours_of_pictures(tmp_path: Path) -> None:
    (style,) = Page(write(tmp_path, Report("r"))[0]).all("style")
    for i in range(len(LINES)):
        assert re.findall(rf"--c{i}: (#\w+);", style) == [LINES[i], DARK_LINES[i]]
    dashes = {int(i): dash for i, dash in re.findall(r"\.d(\d) \{ stroke-dasharray: ([^;]+);", style)}
    assert [dashes.get(i, "") for i in range(4)] == [*DASH_ARRAYS]


def test_silent_steps_stay_zero(tmp_path: Path) -> None:
    silent = sample(0, maps={"conv1": np.zeros((5, 2, 2))})
    index_text, buffer_text, _ = Page(write(tmp_path, Report("r", [silent]))[0]).all("script")
    entry = json.loads(index_text)["samples"][0]["maps"]["conv1"]
    assert entry["peaks"] == [0] * 5
    assert set(zlib.decompress(base64.b64decode(buffer_text))[entry["at"] : entry["at"] + 20]) == {0}


def test_hostile_text_stays_text(tmp_path: Path) -> None:
    report = Report(
        HOSTILE,
        [sample(0, name=HOSTILE, maps={HOSTILE: np.ones((5, 2, 2))}, counts={HOSTILE: np.ones(5, dtype=np.int64)})],
        classes=[HOSTILE, "<!--<script>", "\u2028]]>"],
        provenance={HOSTILE: HOSTILE},
        highlights={HOSTILE: HOSTILE},
        tables=[Table(HOSTILE, [HOSTILE], [[HOSTILE]], HOSTILE)],
        neurons={HOSTILE: 3},
        unit=HOSTILE,
    )
    text, numbers = write(tmp_path, report)
    page, plain = Page(text), Page(write(tmp_path, Report("r", [sample(0)]))[0])
    scripts = [a for tag, a in page.tags if tag == "script"]
    assert scripts == [a for tag, a in plain.tags if tag == "script"]
    assert not [tag for tag, _ in page.tags if tag == "img"]
    assert "<" not in page.all("script")[0]
    data = json.loads(page.all("script")[0])
    assert data["classes"][0] == HOSTILE == data["samples"][0]["name"] == numbers["classes"][0]
    for tag in ("h1", "title", "h3", "th", "td", "dt", "dd"):
        assert page.all(tag)[0] == HOSTILE


def test_placeholders_in_names_are_not_filled(tmp_path: Path) -> None:
    page = Page(write(tmp_path, Report("{{script}} {{title}}"))[0])
    assert page.all("h1") == ["{{script}} {{title}}"]


def test_json_has_every_number_unrounded(tmp_path: Path) -> None:
    s = sample(3)
    rows: list[list[Cell]] = [[np.float64(1 / 3), float("nan")], [np.int64(7), None]]
    report = Report(
        "Été",
        [s],
        classes=["a", "b", "c"],
        provenance={"seed": 12345},
        tables=[("Speed", ["rate (samples/s)", "gap"], rows)],
        neurons={"conv1": 48},
        unit="SAM",
    )
    numbers = write(tmp_path, report)[1]
    assert (numbers["format"], numbers["version"], numbers["title"]) == ("neurosam-report", 1, "Été")
    assert numbers["provenance"] == {"seed": 12345, "neurosam": neurosam.__version__}
    assert numbers["tables"][0]["rows"] == [[1 / 3, None], [7, None]]
    (got,) = numbers["samples"]
    assert s.readout is not None
    assert s.predictions is not None
    assert np.array_equal(got["readout_per_step"], s.readout)
    assert got["prediction_per_step"] == s.predictions.tolist()
    assert got["spikes_per_step"] == {"conv1": s.counts["conv1"].tolist()}
    assert got["maps"]["conv2"]["shape_thw"] == [5, 4, 3]
    assert np.array_equal(got["maps"]["conv2"]["sum_per_step"], s.maps["conv2"].sum(axis=(1, 2)))


def test_cells_are_formatted_for_reading(tmp_path: Path) -> None:
    rows: list[list[Cell]] = [["x", 1234567, 0.5, 1.25e-7, None], ["y", -3, 0.123456, 2.0, True]]
    page = Page(write(tmp_path, Report("r", tables=[("T", list("abcde"), rows)], provenance={"seed": 1234567}))[0])
    assert page.all("td") == ["x", "1\u202f234\u202f567", "0.5000", "1.25e−07", "–", "y", "−3", "0.1235", "2", "yes"]
    assert page.all("dd")[0] == "1234567"


def test_large_numbers_have_their_thousands_apart(tmp_path: Path) -> None:
    rows: list[list[Cell]] = [[225370.67, 8213.67], [1250.25, 0.5], [None, 1e13]]
    page = Page(write(tmp_path, Report("r", tables=[("T", ["a", "b"], rows)]))[0])
    assert page.all("td") == ["225\u202f371", "8214", "1\u202f250", "0.5", "–", "1e+13"]


def test_a_table_of_many_columns_stands_alone(tmp_path: Path) -> None:
    tables = [("T", list("abcdefg"), [[1] * 7]), ("T", list("abcdef"), [[1] * 6])]
    page = Page(write(tmp_path, Report("r", tables=tables))[0])
    found = [attributes["class"] for tag, attributes in page.tags if tag == "section" and "class" in attributes]
    assert found == ["table wide", "table"]


def test_numpys_integers_are_integers(tmp_path: Path) -> None:
    numpys: Any = {"label": np.int64(2), "prediction": np.uint8(0)}
    neurons: Any = {"conv1": np.int64(9)}
    text, numbers = write(
        tmp_path, Report("r", [sample(0, **numpys)], neurons=neurons, provenance={"seed": np.int64(5000)})
    )
    assert (numbers["samples"][0]["label"], numbers["samples"][0]["prediction"]) == (2, 0)
    assert Page(text).all("dd")[0] == "5000"


def test_a_picture_is_an_image_in_the_file(tmp_path: Path) -> None:
    svg = b"<svg xmlns='http://www.w3.org/2000/svg'><script>document.title='taken'</script></svg>"
    text, _ = write(tmp_path, Report("costs", pictures=[Picture(HOSTILE, svg, HOSTILE, HOSTILE)]))
    page = Page(text)
    (image,) = (attributes for tag, attributes in page.tags if tag == "img")
    source = image["src"]
    assert source is not None
    kind, _, content = source.partition(",")
    assert (kind, base64.b64decode(content), image["alt"]) == ("data:image/svg+xml;base64", svg, HOSTILE)
    assert page.all("figcaption")[-1] == HOSTILE
    assert "script" not in [tag for tag, _ in page.tags]


def test_every_control_has_a_label(tmp_path: Path) -> None:
    text, _ = write(tmp_path, Report("r", [sample(0)]))
    page = Page(text)
    targets = {a["for"] for tag, a in page.tags if tag == "label" and "for" in a}
    for control in re.finditer(r"<(input|select)\b[^>]*\bid=\"(\w+)\"", text):
        before = text[: control.start()]
        assert control[2] in targets or before.rfind("<label") > before.rfind("</label>"), control[0]
    for name in re.findall(r'\$\("([\w-]+)"\)', page.all("script")[-1]):
        assert f'id="{name}"' in text, name


def test_size_of_a_typical_report(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    maps = {
        f"conv{k}": rng.poisson(0.2, (32, side, side)) * rng.random((32, side, side)) for k, side in ((1, 28), (2, 14))
    }
    samples = [
        sample(k, image=np.zeros((1, 28, 28), np.uint8), mask=None, maps=maps, readout=None, counts={})
        for k in range(12)
    ]
    page, _ = write_page(tmp_path / "r.html", Report("r", samples))
    assert page.stat().st_size < 400_000


@pytest.mark.parametrize("name", ["report.json", "report.JSON", ""])
def test_refuses_a_name_that_is_no_page(name: str) -> None:
    with pytest.raises(NeurosamError, match="is not a name for a page"):
        write_page(name, Report("r"))


def test_writing_again_replaces_the_page(tmp_path: Path) -> None:
    write(tmp_path, Report("one"))
    assert "<h1>two</h1>" in write(tmp_path, Report("two"))[0]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["report.html", "report.json"]


def test_the_page_has_matplotlibs_colours() -> None:
    matplotlib = pytest.importorskip("matplotlib", reason="an optional dependency, neurosam[viz]")
    script = (Path(neurosam.__file__).parent / "report" / "viewer" / "paint.js").read_text(encoding="utf-8")
    for name in ("inferno", "viridis", "jet"):
        line = re.search(rf'^  {name}: "([0-9a-f ]+)"', script, re.M)
        assert line
        stops = np.array([[int(stop[i : i + 2], 16) for i in (0, 2, 4)] for stop in line[1].split()])
        place = np.linspace(0, len(stops) - 1, 256)
        table = np.stack([np.interp(place, np.arange(len(stops)), stops[:, c]) for c in range(3)], axis=1)
        exact = matplotlib.colormaps[name](np.arange(256))[:, :3] * 255
        assert np.abs(table - exact).max() < (15 if name == "jet" else 6), name  # jet has corners between the anchors
