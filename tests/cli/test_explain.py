"""`neurosam explain`: without matplotlib, beside another network, on a chip, of spikes that answer and of silence."""

from __future__ import annotations

import json
import sys
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

import neurosam as ns
from neurosam.cli import app, chips
from neurosam.deploy.quantise import quantise


def float_network(answer: str = "count", scale: float = 1.0) -> ns.Network:
    rng = np.random.default_rng(0)
    return ns.Network(
        [
            ns.Population("in", (1, 6, 6)),
            ns.Population("conv", (2, 4, 4), ns.LIF(leak=0.9, threshold=1.0)),
            ns.Population("out", (3,), ns.LIF(leak=0.9, threshold=1.0) if answer == "count" else ns.Readout()),
        ],
        [
            ns.Projection("in", "conv", ns.Conv2d(rng.normal(0.2, 0.3, (2, 1, 3, 3)))),
            ns.Projection("conv", "out", ns.Dense(scale * rng.normal(0.1, 0.3, (3, 32)))),
        ],
        outputs={"out": answer},
        metadata={"classes": '["<b>one</b>", "two", "three"]'},
    ).with_sam()


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with networks, events and labels, on a machine without matplotlib."""
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(1)
    events = ns.Events.from_dense((rng.random((8, 3, 1, 6, 6)) < 0.5).astype(np.uint8))
    events.save("events.h5")
    network = float_network()
    network.save("float.h5")
    quantise(network, "lava", events)[0].save("fixed.h5")
    np.save("labels.npy", np.array([0, 1, 2]))
    return tmp_path


def explain(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["explain", *map(str, arguments), "--events", "events.h5", "-o", "out"])


def page() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Path("out/report.json").read_text(encoding="utf-8"))
    return found


def tables() -> dict[str, list[list[Any]]]:
    return {table["heading"]: table["rows"] for table in page()["tables"]}


def test_without_matplotlib_the_page_is_written_and_a_line_says_what_is_not(work: Path) -> None:
    done = explain("fixed.h5")
    assert done.exit_code == 0, done.output
    assert {path.name for path in (work / "out").iterdir()} == {"report.html", "report.json"}
    assert "no PNG files: drawing them needs matplotlib, which is not installed: pip install 'neurosam[viz]'" in (
        done.output
    )
    assert "wrote 2 files; open out/report.html" in done.output


def test_spikes_that_answer_are_counted_step_by_step(work: Path) -> None:
    assert explain("fixed.h5").exit_code == 0
    recording = ns.run(ns.load_network("fixed.h5"), ns.load_events("events.h5"), record=ns.Record(spikes=("out",)))
    counts = recording.spikes["out"].dense().cumsum(axis=0)
    for i, sample in enumerate(page()["samples"]):
        assert sample["readout_per_step"] == counts[:, i].tolist()
    assert recording.predictions.tolist() == [sample["prediction"] for sample in page()["samples"]]


def test_another_network_stands_beside(work: Path) -> None:
    done = explain("fixed.h5", "--beside", "float.h5", "--labels", "labels.npy")
    assert done.exit_code == 0, done.output
    events = ns.load_events("events.h5")
    one, other = (ns.run(ns.load_network(name), events) for name in ("fixed.h5", "float.h5"))
    same = float(np.mean(one.predictions == other.predictions))
    assert f"agreement with float.h5 {same:.1%}" in done.output
    first, second = tables()["Networks compared"]
    assert (first[0], second[0], second[2]) == ("float64", "8 bits", round(100 * same, 1))
    ((layer, spikes, theirs, difference),) = tables()["Beside float64"]
    assert (layer, spikes, theirs) == ("conv", int(one.counts["conv"].sum()), int(other.counts["conv"].sum()))
    assert 0 <= difference < 100


def test_a_network_of_other_shapes_is_not_set_beside(work: Path) -> None:
    ns.Network(
        [ns.Population("in", (1, 6, 6)), ns.Population("conv", (5, 4, 4), ns.LIF(leak=0.9, threshold=1.0))],
        [ns.Projection("in", "conv", ns.Conv2d(np.ones((5, 1, 3, 3))))],
    ).save("wide.h5")
    done = explain("fixed.h5", "--beside", "wide.h5")
    assert done.exit_code == 2
    assert "--beside wide.h5: 'conv': has the shape (5, 4, 4) there; (2, 4, 4) is required" in done.output
    assert not Path("out").exists()


@pytest.mark.parametrize("answer", ["count", "last"])
def test_an_output_that_stays_silent_has_no_answer(work: Path, answer: str) -> None:
    float_network(answer, scale=0.0).save("silent.h5")
    done = explain("silent.h5", "--labels", "labels.npy")
    assert "accuracy 0.0% (3 gave no answer) on 3 samples" in done.output, done.output
    samples = page()["samples"]
    assert [sample["prediction"] for sample in samples] == [-1, -1, -1]
    assert [sample["prediction_per_step"] for sample in samples] == [[-1] * 8] * 3


def test_a_page_has_the_network_its_terms_and_its_operations(work: Path) -> None:
    assert explain("fixed.h5").exit_code == 0
    html = Path("out/report.html").read_text(encoding="utf-8")
    assert "alt='Network from in through 2 populations to out'" in html
    assert "gamma = 0.5 per step: to half in 1.39 steps" in html
    assert "<b>one</b>" not in html
    network, events = ns.load_network("fixed.h5"), ns.load_events("events.h5")
    run = ns.run(network, events, record=ns.Record.everything(network))
    rows = {row[0]: row for row in tables()["Operations by layer"]}
    assert rows["in"][2] == pytest.approx(len(events) / 3)
    assert rows["conv"][2] == pytest.approx(run.counts["conv"].sum() / 3)
    assert rows["out"][3] == pytest.approx(3 * run.spikes["conv"].steps(0, 8).count() / 3)  # three weights a spike
    assert rows["total"][5] == (32 + 3) * 8
    assert "Quantisation" in tables()
    assert tables()["Integers out of range"] == [["conv", 0, 0, "0 of 3"], ["out", 0, 0, "0 of 3"]]


def test_what_it_costs_on_a_chip_comes_with_standings_and_sources(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pymetis")
    point = EntryPoint("neurosam", "neurosam_hw.cost.explained:tables", chips.TABLES)
    monkeypatch.setattr(chips, "entry_points", lambda group: [point] if group == chips.TABLES else [])
    done = explain("fixed.h5", "--chip", "loihi1")
    assert done.exit_code == 0, done.output
    found = tables()
    (inference,) = (rows for heading, rows in found.items() if heading.startswith("An inference on Intel Loihi"))
    assert inference[0][0] == "energy of an inference"
    assert all(source and standing for _, standing, source, _ in found["Figures of the chip"])
    monkeypatch.setattr(chips, "entry_points", lambda group: [])
    missing = explain("fixed.h5", "--chip", "loihi1")
    assert missing.exit_code == 2
    assert "needs a package that knows chips" in missing.output
