"""``neurosam quantise``: from a float network file to a fixed-point one, with a report by layer."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import neurosam as ns
from neurosam.cli import app
from neurosam.signals.stimulus import Stimulus
from support.toy_dataset import write_bars

pytestmark = pytest.mark.usefixtures("one_thread")


def done(*arguments: object, status: int = 0) -> str:
    """The output of a command that must exit with `status`."""
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    assert result.exit_code == status, result.output
    return str(result.output)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with bars/, named.h5 (which names them as its data), nameless.h5 and events.h5."""
    folder = tmp_path_factory.mktemp("quantise")
    rng = np.random.default_rng(0)
    net = ns.Network(
        [ns.Population("in", (1, 12, 12)), ns.Population("conv", (3, 12, 12), ns.LIF(leak=0.9, threshold=1.0)),
         ns.Population("out", (2,), ns.Readout())],
        [ns.Projection("in", "conv", ns.Conv2d(rng.normal(0.2, 0.4, (3, 1, 3, 3)), padding=1)),
         ns.Projection("conv", "out", ns.Dense(rng.normal(0, 0.1, (2, 432))))],
    )  # fmt: skip
    net.save(folder / "nameless.h5")
    stimulus = Stimulus(4, "poisson", classes=("0", "1"), data=str(write_bars(folder / "bars")))
    named = ns.Network(net.populations, net.projections, metadata=stimulus.to_metadata() | {"seed": "0"})
    named.save(folder / "named.h5")
    shown = rng.random((6, 40, 1, 12, 12)) < 0.15
    ns.save(ns.Events.from_dense(shown.astype(np.uint8)), folder / "events.h5")
    return folder


def test_a_network_that_names_its_data_needs_nothing_else(place: Path, tmp_path: Path) -> None:
    out = tmp_path / "four.h5"
    text = done("quantise", place / "named.h5", "--bits", 4, "--report", tmp_path / "report", "-o", out)
    network = ns.load_network(out)
    assert network.precision == ns.Precision.lava(4)
    assert {path.name for path in (tmp_path / "report").iterdir()} == {"layers.json", "layers.png"}
    report = json.loads((tmp_path / "report" / "layers.json").read_text())
    assert (report["weight_bits"], report["samples"], report["steps"]) == (4, 24, 4)  # all held-out bars
    assert [layer["population"] for layer in report["layers"]] == ["conv", "out"]
    assert report["fixed"]["accuracy"] is not None
    assert report["threshold_search"] is None
    assert "where predictions are lost" in text
    assert f"next: neurosam run {out}" in text
    assert "exists already" in done("quantise", place / "named.h5", "-o", out, status=2)
    done("quantise", place / "named.h5", "--bits", 4, "--report", tmp_path / "report", "-o", out, "--force")


def test_events_take_the_place_of_images(place: Path, tmp_path: Path) -> None:
    out, events = tmp_path / "x.h5", place / "events.h5"
    text = done(
        "quantise", place / "nameless.h5", "--bits", 3, "--calibration", events, "--events", events, "--samples", 30,
        "--search-thresholds", "--report", tmp_path / "report", "-o", out,
    )  # fmt: skip
    assert "on the 15 samples searched on" in text
    report = json.loads((tmp_path / "report" / "layers.json").read_text())
    assert (report["samples"], report["float_accuracy"], report["fixed"]["accuracy"]) == (30, None, None)
    assert set(report["threshold_search"]["factors"]) == {"conv"}
    assert report["threshold_search"]["measure"] == "agreement"
    calibrated, report_ = ns.quantise(
        ns.load_network(place / "nameless.h5"), ns.Precision.lava(3), ns.load_events(events)
    )
    assert report_.agreement <= 1
    assert all(p.synapse == q.synapse or np.array_equal(p.synapse.weight, q.synapse.weight)
               for p, q in zip(calibrated.projections, ns.load_network(out).projections, strict=True))  # fmt: skip


def test_calibration_events_serve_for_the_report_if_there_is_nothing_else(place: Path, tmp_path: Path) -> None:
    report = tmp_path / "report"
    done("quantise", place / "nameless.h5", "--calibration", place / "events.h5", "--report", report,
         "-o", tmp_path / "x.h5")  # fmt: skip
    assert json.loads((report / "layers.json").read_text())["samples"] == 40


def test_without_data_it_says_that_nothing_was_calibrated(place: Path, tmp_path: Path) -> None:
    text = done("quantise", place / "nameless.h5", "-o", tmp_path / "x.h5")
    assert "no --calibration, and the network does not name its data" in text
    assert ns.load_network(tmp_path / "x.h5").fixed


def test_mistakes_are_refused_before_work_starts(place: Path, tmp_path: Path) -> None:
    out = ("-o", tmp_path / "x.h5")
    done("quantise", place / "nameless.h5", "-o", tmp_path / "fixed.h5")
    assert "is in fixed point already" in done("quantise", tmp_path / "fixed.h5", *out, status=2)
    assert "allowed: lava, nxsdk" in done("quantise", place / "nameless.h5", "--precision", "float", *out, status=2)
    events = place / "events.h5"
    text = done("quantise", place / "named.h5", "--events", events, "--data", "mnist5k", *out, status=2)
    assert "exclude each other" in text
    text = done("quantise", place / "nameless.h5", "--report", tmp_path / "report", *out, status=2)
    assert "--data: is needed" in text
    assert not (tmp_path / "x.h5").exists()
    assert not (tmp_path / "report").exists()
