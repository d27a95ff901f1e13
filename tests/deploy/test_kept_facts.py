"""What an export knows stays with the network: steps, coding, and the quantisation report, in bounded size."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import neurosam as ns
from neurosam.deploy.kept_report import KEY, kept_report, outlasted, summary, with_report
from neurosam.deploy.quantisation_report import PopulationReport, QuantisationReport
from neurosam.signals.stimulus import Stimulus

pytest.importorskip("torch")

IMAGES = np.random.default_rng(0).integers(0, 256, (4, 1, 8, 8), dtype=np.uint8)
SHAPE = (1, 8, 8)


def small() -> ns.Network:
    """A float network of two layers."""
    neuron = ns.LIF(leak=0.9, threshold=1.0)
    weight = np.random.default_rng(1).normal(0, 1, (3, 4))
    return ns.Network(
        [ns.Population("in", (4,)), ns.Population("a", (3,), neuron), ns.Population("out", (2,), ns.Readout())],
        [ns.Projection("in", "a", ns.Dense(weight)), ns.Projection("a", "out", ns.Dense(weight[:2, :3]))],
    )


@pytest.mark.parametrize(
    ("arguments", "steps", "coding"),
    [
        ({"steps": 8}, "8", None),
        ({"coding": "latency"}, None, "latency"),
        ({}, None, None),
        ({"precision": "lava", "calibration": IMAGES}, "16", "poisson"),
        ({"precision": "lava", "calibration": IMAGES, "steps": 8}, "8", "poisson"),
        ({"precision": "lava", "calibration": IMAGES, "steps": 5, "coding": "latency"}, "5", "latency"),
        ({"precision": "lava", "calibration": ns.encode(IMAGES, 6)}, "6", None),
        ({"precision": "lava", "calibration": ns.encode(IMAGES, 6), "steps": 9}, "9", None),
        ({"steps": 8, "metadata": {"steps": "7"}}, "7", None),
    ],
)
def test_the_stimulus_is_stored_as_far_as_it_is_known(
    arguments: dict[str, object], steps: str | None, coding: str | None
) -> None:
    from neurosam import training

    net = ns.export(training.build("2C3-P2-D3", SHAPE), SHAPE, **arguments)  # type: ignore[arg-type]
    assert (net.metadata.get("steps"), net.metadata.get("coding")) == (steps, coding)
    read = Stimulus.from_metadata(net.metadata)
    assert (read.steps, read.coding) == (int(steps or 16), coding or "poisson")


@pytest.mark.parametrize(("argument", "value"), [("steps", 0), ("steps", 2.0), ("steps", True), ("coding", "spikes")])
def test_a_wrong_stimulus_is_refused(argument: str, value: object) -> None:
    from neurosam import training

    with pytest.raises(ns.ArgumentError, match=f"export: {argument}: got"):
        ns.export(training.build("D3", SHAPE), SHAPE, **{argument: value})  # type: ignore[arg-type]


@pytest.mark.parametrize("scale", ["population", "channel"])
def test_the_report_comes_back_from_a_file(scale: str, tmp_path: Path) -> None:
    spikes = ns.Events.from_dense(np.random.default_rng(2).random((6, 5, 4)) < 0.4)
    fixed, report = ns.quantise(small(), "lava", spikes, steps=40, scale=scale)
    assert report.steps == 40
    fixed.save(tmp_path / "n.h5")
    assert kept_report(ns.load_network(tmp_path / "n.h5")) == report
    assert summary(report).startswith(f"lava, {report.agreement:.1%} agreement")
    assert kept_report(small()) is None


def test_what_is_not_finite_comes_back_too() -> None:
    row = PopulationReport("a", 1.0, 0, 0, 0.0, float("inf"), 3, 4)
    back = kept_report(with_report(small(), QuantisationReport("lava", (row,), float("nan"))))
    assert back is not None
    assert back.populations == (row,)
    assert np.isnan(back.agreement)
    assert summary(back) == "lava, no warnings"


def test_the_text_is_bounded() -> None:
    row = PopulationReport("x" * 200, 1 / 3, -127, 127, 1 / 3, 1 / 3, 2**17, 2**17, channel_units=(1 / 3,) * 4096)
    vast = QuantisationReport("lava", (row,) * 5000, 1.0, 9, ("w" * 10**5,) * 1000)
    net = with_report(small(), vast)
    assert len(net.metadata[KEY]) < 2**18
    back = kept_report(net)
    assert back is not None
    assert (len(back.populations), len(back.warnings)) == (256, 64)
    assert json.loads(net.metadata[KEY])["left_out"] == 4744 + 936


@pytest.mark.parametrize(
    "text",
    [
        "", "[]", "7", "{}", '{"populations": 3}', '{"populations": [], "precision": 4, "agreement": 1.0}', "[" * 10**5,
        '{"populations": [], "precision": "lava", "agreement": 1e999999}x',
        '{"populations": [{"population": "a"}], "precision": "lava", "agreement": 1.0}',
        '{"populations": [], "precision": "lava", "agreement": 1.0, "steps": 1.5}',
        '{"populations": [], "precision": "lava", "agreement": 1.0, "steps": 99999999999999999999999}',
        '{"populations": [], "precision": "lava", "agreement": true}',
    ],
)  # fmt: skip
def test_a_strangers_report_is_refused_by_name(text: str) -> None:
    with pytest.raises(ns.FormatError, match="metadata 'quantisation': is no quantisation report"):
        kept_report(replace(small(), metadata={KEY: text}))


def test_a_run_longer_than_the_room_is_said() -> None:
    rows = tuple(replace(PopulationReport(n, 1.0, 0, 1, 0, 1, 3, 4), safe_steps=s) for n, s in (("a", 90), ("b", 40)))
    report = QuantisationReport("lava", rows, 1.0)
    assert outlasted(report, 40) == ""
    assert outlasted(None, 40) == ""
    assert outlasted(report, 41).startswith("the membrane of 'b' has room for 40 steps")
