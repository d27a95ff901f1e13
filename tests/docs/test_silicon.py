"""The cost model against silicon: the table is that of the results, the page and the chip's file have their figures."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tomllib")

from neurosam_hw.chips.load import load_chip
from neurosam_hw.resources.cores import use
from neurosam_hw.resources.use import excesses

ROOT = Path(__file__).parents[2]
SILICON = ROOT / "benchmarks" / "silicon"
RESULTS: dict[str, Any] = json.loads((SILICON / "results.json").read_text())
MEASURED: dict[str, Any] = json.loads((SILICON / "blouw2019.json").read_text())
CHIPS = ("loihi1", "sanafe-loihi")


@pytest.fixture
def scripts(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Imports a script of the folder, which finds its neighbours."""
    monkeypatch.syspath_prepend(str(SILICON))
    names = [path.stem for path in SILICON.glob("*.py")]
    for name in names:
        monkeypatch.delitem(sys.modules, name, raising=False)  # other folders have a tables.py too
    yield importlib.import_module
    for name in names:
        sys.modules.pop(name, None)


def test_the_table_is_that_of_the_results(scripts: Any) -> None:
    assert scripts("tables").markdown(RESULTS) == (SILICON / "results.md").read_text(encoding="utf-8")


def test_the_file_of_the_chip_has_what_the_logs_say() -> None:
    board = load_chip("loihi1").boards["blouw2019"].figures
    power_mw = [1e3 * size["running_w"]["all"] for size in MEASURED["scaled"]]
    slope, constant = np.polyfit([size["neurons"] for size in MEASURED["scaled"]], power_mw, 1)
    idle_mw = 1e3 * MEASURED["idle_w"]["all"]
    assert board["idle"].value == round(idle_mw, 2)
    assert board["slope_per_neuron"].value == round(1e3 * slope, 3)
    assert board["constant"].value == round(constant - idle_mw, 1)
    assert board["loaded"].value == round(1e3 * np.mean([s["loaded_w"]["all"] for s in MEASURED["scaled"]]), 2)
    assert board["running"].value == round(1e3 * MEASURED["spotter"]["running_w"]["all"], 2)


@pytest.mark.parametrize("copies", [0, 1, 2])
def test_networks_and_cores_are_the_authors(scripts: Any, copies: int) -> None:
    scaled = scripts("scaled")
    net = scaled.network(copies, 0.05)
    mapping = scaled.mapping(net, load_chip("loihi1"))
    neurons = sum(p.shape[0] for p in net.populations[1:])
    weights = sum(p.synapse.weight.size for p in net.projections)
    assert neurons == 2560 * copies + 512
    assert weights == 256 * (390 + 256 * max(11 * copies, 1))
    assert mapping.cores == 10 * copies + 16
    assert max(mapping.core_of("first")) == 7


def test_the_last_layer_needs_the_cores_that_the_authors_gave_it(scripts: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    scaled, chip = scripts("scaled"), load_chip("loihi1")
    net = scaled.network(10, 0.05)
    over = {}
    for split in (8, 4):
        monkeypatch.setattr(scaled, "SPLIT", split)
        mapping = scaled.mapping(net, chip)
        over[split] = {e.what for core in use(mapping) for e in excesses(core, chip)}
    assert mapping.cores == 108
    assert over == {8: set(), 4: {"synapse_bits"}}


def test_neurons_fire_at_about_the_rate_that_is_asked_for(scripts: Any) -> None:
    blouw = scripts("blouw")
    for rate in (0.0, 0.05):
        run = blouw.Run.of(1, rate)
        assert run.numbers["spikes"] / 3072 == pytest.approx(rate, rel=0.1)
        assert run.numbers["neuron_steps"] == 3072


def test_power_is_energy_by_the_measured_time_of_a_step(scripts: Any) -> None:
    """Silent: 52 pJ a neuron and step, and nothing else."""
    blouw = scripts("blouw")
    sizes = blouw.measured()
    silent = blouw.prediction(
        load_chip("loihi1"), sizes, [blouw.Run.of(n, 0.0) for n in (0, 1)] * 3 + [blouw.Run.of(2, 0.0)]
    )
    assert silent.power_w[1] == pytest.approx(3072 * 52e-12 / sizes.step_s[1], rel=1e-12)
    assert silent.by_cause_j["synapses"] == 0


def test_the_page_says_what_the_results_say() -> None:
    page = " ".join((ROOT / "docs" / "hardware" / "trust.md").read_text(encoding="utf-8").split())
    slope = RESULTS["measured"]["slope_w"]
    ratios = [row[chip] / slope for row in RESULTS["slopes"] for chip in CHIPS]
    assert f"between {min(ratios):.2f} and {max(ratios):.1f} of what was measured" in page
    meet = sorted(1e3 * RESULTS["rates_that_meet"][chip] for chip in CHIPS)
    assert f"at {meet[0]:.0f} to {meet[1]:.0f} spikes per 1,000 steps" in page
    shares = sorted(100 * causes["synapses"] / sum(causes.values()) for causes in RESULTS["causes_j"].values())
    assert f"synapses are {shares[0]:.0f} to {shares[1]:.0f} % of the energy" in page
    some, most = RESULTS["slopes"][1], RESULTS["slopes"][3]
    more = [1e7 * (most[chip] - some[chip]) / (most["rate"] - some["rate"]) for chip in CHIPS]
    assert f"adds {more[0]:.0f} nW (`loihi1`) or {more[1]:.0f} nW (`sanafe-loihi`)" in page
    assert f"to a slope of {1e9 * slope:.0f} nW" in page
    assert f"**{1e3 * (RESULTS['measured']['loaded_w'] - RESULTS['idle_w']):.1f} mW are there at rest as well**" in page
    assert f"drew {100 * RESULTS['measured']['slope_memory_w'] / slope:.0f} % of the slope" in page
    assert f"a sum of operations was {100 * RESULTS['published'][0]['ratio']:.0f} % of what was measured" in page
