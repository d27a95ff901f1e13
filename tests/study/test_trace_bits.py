"""The study of trace widths: its measures on maps with known answers, its rule, and a whole run on a small network."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neurosam import training
from neurosam.data import ImageSet
from neurosam.deploy.from_torch import to_network
from neurosam.errors import DataError
from neurosam.signals.events import encode
from neurosam.signals.recording import Spikes
from neurosam_study.models import Spiking
from neurosam_study.plan import QUICK as QUICK_STUDY
from neurosam_study.trace_bits import measure as measuring
from neurosam_study.trace_bits.losses import MEASURES, Reference, losses
from neurosam_study.trace_bits.measure import FLOAT, Measured, measure
from neurosam_study.trace_bits.nets import Bench, benches
from neurosam_study.trace_bits.report import write
from neurosam_study.trace_bits.settings import FULL, GAMMA, Grid, Setting
from neurosam_study.trace_bits.verdict import cliffs, fifth_percentile, widths

SMALL = Grid(bits=(3, 12), gammas=(GAMMA,), steps=(6, 30), weight_bits=(8, 4), samples=5)


def spikes(steps: int = 30, samples: int = 4) -> Spikes:
    rng = np.random.default_rng(0)
    rate = rng.random((1, samples, 6, 5, 5))
    return Spikes.from_dense((rng.random((steps, samples, 6, 5, 5)) < rate * 0.6).astype(np.uint8))


def test_a_wide_trace_loses_nothing_and_a_narrow_one_does() -> None:
    reference = Reference(spikes(), 30, np.ones((4, 5, 5), bool))
    wide = losses(reference, Setting(16, "nearest", table_bits=16))
    assert np.allclose(wide["r"], 1, atol=1e-6)
    assert np.allclose(wide["skill"], 1, atol=1e-4)
    assert np.array_equal(wide["iou"], np.ones(4))
    assert np.array_equal(wide["mass"], np.ones(4))
    narrow = losses(reference, Setting(2, "floor"))
    assert (narrow["skill"] < wide["skill"]).all()
    nothing = losses(reference, Setting(1, "floor", gamma=1.0))  # an impulse of 1 decays to 0 at once
    assert np.array_equal(nothing["r"], np.zeros(4))
    assert (nothing["skill"] < 0).all()


def test_the_skill_is_0_for_the_spike_counts() -> None:
    reference = Reference(spikes(), 30)
    base, r = reference.count_r(GAMMA, "strict"), losses(reference, Setting(5, "stochastic"))
    assert np.allclose(r["skill"] * (1 - base) + base, r["r"])
    counts = spikes().dense().sum(axis=2)
    exact = reference.maps(GAMMA, "strict")
    by_hand = [np.corrcoef(counts[:, b].ravel(), exact[:, b].ravel())[0, 1] for b in range(4)]
    assert np.allclose(base, by_hand)


def test_a_silent_sample_has_no_measures() -> None:
    silent = Reference(Spikes.from_dense(np.zeros((6, 2, 3, 4, 4), np.uint8)), 6)
    found = losses(silent, Setting(4, "floor"))
    assert all(np.isnan(found[name]).all() for name in MEASURES)


def test_fifth_percentile() -> None:
    values = np.append(np.linspace(0.0, 1.0, 101), np.nan)
    middle, low = fifth_percentile(values)
    assert middle == pytest.approx(0.05)
    assert 0 <= low < middle
    assert np.isnan(fifth_percentile(np.full(3, np.nan))).all()


def judged(change: Callable[[Setting], float], distance: float = 0.0) -> Measured:
    """Measurements of one layer and 40 samples, with the skill of each setting given."""
    settings = [s for steps in SMALL.steps for s in SMALL.settings(steps)]
    values = {s.key: np.full((1, len(MEASURES), 40), change(s)) for s in settings}
    keys = [Setting(bits, rounding).key for rounding in ("floor", "stochastic") for bits in SMALL.bits]
    faithful = {FLOAT: np.full((1, 2, 9), 0.5)} | {key: np.full((1, 2, 9), 0.5 + distance) for key in keys}
    return Measured("net", 8, 30, ("conv2",), 0.9, values, faithful, {})


def test_a_width_passes_by_its_rule() -> None:
    good = {(w.rounding, w.bits): w for w in widths([judged(lambda s: 0.96 if s.bits > 3 else 0.9)], SMALL)}
    assert good["floor", 12].passes
    assert not good["floor", 3].passes
    assert not good["nearest", 12].passes  # deletion and insertion were not measured
    far = {(w.rounding, w.bits): w for w in widths([judged(lambda _: 0.96, 0.021)], SMALL)}
    assert not far["floor", 12].passes
    both = widths([judged(lambda _: 0.96), replace(judged(lambda _: 0.9), bench="worst")], SMALL)
    assert {w.where for w in both} == {"worst, conv2"}
    assert not any(w.passes for w in both)


def test_cliffs() -> None:
    found = cliffs([judged(lambda s: 0.9 if s.bits > 3 or s.rounding != "floor" else 0.1)], SMALL)
    assert [(c.gamma, c.steps, c.predicted) for c in found] == [(GAMMA, 30, 3)]
    assert found[0].found == {"floor": 12, "nearest": 3, "stochastic": 3, "stochastic, shared": 3}
    gone = cliffs([judged(lambda _: 0.1)], SMALL)
    assert set(gone[0].found.values()) == {None}


@pytest.fixture
def bench() -> Bench:
    rng = np.random.default_rng(1)
    images = rng.integers(0, 256, (SMALL.samples, 1, 12, 12), dtype=np.uint8)
    masks = np.zeros((SMALL.samples, 12, 12), bool)
    masks[:, 3:9, 3:9] = True
    module = training.build("6C3-4C3-P2-D3", (1, 12, 12), seed=0)
    network = to_network(module, (1, 12, 12))
    held_out = ImageSet(images, np.arange(SMALL.samples) % 3, masks, ("a", "b", "c"), "small")
    net = Spiking(module, network, network, 8, 1.0)
    return Bench("small", net, held_out, encode(images, 8, "poisson", 0), ("conv2",), 100, 0)


def test_a_whole_run(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = measure(bench, SMALL, tmp_path, lambda _: None)
    assert [(m.weight_bits, m.steps) for m in found] == [(8, 6), (8, 30), (4, 30)]
    assert [bool(m.faithful) for m in found] == [False, True, False]
    paths = write(tmp_path, found, SMALL)
    assert {p.name for p in paths} == {"results.md", "results.json", "skill.png", "gamma.png", "state.png", "maps.png"}
    assert "| floor | 12 |" in (tmp_path / "results.md").read_text()
    numbers: dict[str, Any] = json.loads((tmp_path / "results.json").read_text())
    assert {row["network"] for row in numbers["settings"]} == {"small"}

    def never(*_: Any) -> None:
        raise AssertionError("was measured again")

    monkeypatch.setattr(measuring, "_measured", never)
    again = measure(bench, SMALL, tmp_path, lambda _: None)
    assert [a.accuracy for a in again] == [m.accuracy for m in found]
    setting = Setting(12, "floor")
    assert np.allclose(again[1].of(setting, "skill"), found[1].of(setting, "skill"), equal_nan=True)
    damaged = next((tmp_path / "trace-bits").glob("*30 steps.npz"))
    damaged.write_bytes(damaged.read_bytes()[:100])
    with pytest.raises(DataError, match="is damaged"):
        measure(bench, SMALL, tmp_path, lambda _: None)


def test_the_networks_of_a_plan(tmp_path: Path) -> None:
    pytest.importorskip("mlxtend")
    plan = replace(
        QUICK_STUDY, train=64, test=16, architecture="4C5S4-6C3-P2-D10", epochs=1, ann_epochs=1, batch=16, steps=3,
        conversion_steps=6,
    )  # fmt: skip
    made = list(benches({"canvases": plan}, tmp_path, samples=5, steps=20, seeds=1, say=lambda _: None))
    assert [b.name for b in made] == [f"canvases, {n}, seed 0" for n in ("surrogate", "BNTT", "converted")]
    assert [b.most_steps for b in made] == [20, 3, 20]
    for each in made:
        run = each.record(8, each.most_steps)
        assert {name: x.planes.shape[:2] for name, x in run.spikes.items()} == {"conv2": (each.most_steps, 5)}
        assert 0 <= run.accuracy <= 1
        assert run.predictor(each.events(each.most_steps).dense()).shape == (5, 10)


def test_long_runs_have_fewer_samples_and_as_many_spikes() -> None:
    assert [FULL.samples_of(steps) for steps in (8, 30, 100, 500)] == [60, 60, 18, 10]
    assert SMALL.samples_of(500) == SMALL.samples == 5
    half = Reference(spikes(), 10, samples=2)
    whole = Reference(spikes(), 10)
    for name, of_whole in losses(whole, Setting(4, "floor", steps=10)).items():
        assert np.array_equal(losses(half, Setting(4, "floor", steps=10))[name], of_whole[:2], equal_nan=True)
