"""The study: verdicts with known answers, tables, resuming, and one very small run from end to end."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from neurosam.errors import DataError
from neurosam.study import QUICK, study
from neurosam.study import report as report_module
from neurosam.study.claims import STUDENT, Claim, claims, judge
from neurosam.study.experiments import EXPERIMENTS
from neurosam.study.models import Models

CLAIM = Claim("E", "a is less than b", "a", "b", -1)


def seeds(*pairs: tuple[float, float]) -> list[dict[str, dict[str, float]]]:
    return [{"E": {"a": a, "b": b}} for a, b in pairs]


def test_a_verdict_is_students_interval_of_paired_differences() -> None:
    verdict = judge(CLAIM, seeds((1, 3), (2, 6), (3, 9)))  # differences 2, 4, 6
    reach = 4.303 * 2 / math.sqrt(3)
    assert (verdict.a, verdict.b, verdict.difference) == (2, 6, 4)
    assert verdict.low == pytest.approx(4 - reach)
    assert verdict.high == pytest.approx(4 + reach)
    assert verdict.word == "open"
    assert judge(CLAIM, seeds((1, 3), (2, 4.1), (3, 4.9))).word == "holds"
    assert judge(CLAIM, seeds((3, 1), (4.1, 2), (4.9, 3))).word == "fails"


def test_missing_figures_and_a_single_seed_leave_a_claim_open() -> None:
    assert judge(CLAIM, seeds((1, 2))).word == "open"
    assert math.isnan(judge(CLAIM, [{"E": {"a": 1.0}}, {}]).difference)
    half = judge(CLAIM, [*seeds((1, 2), (1, 2.1)), {"E": {"a": 9.0}}])
    assert half.difference == pytest.approx(1.05)


def test_students_quantiles_fall_towards_the_normals() -> None:
    assert list(STUDENT) == sorted(STUDENT, reverse=True)
    assert STUDENT[0] == pytest.approx(math.tan(math.pi * 0.475), abs=1e-3)  # one degree of freedom is Cauchy's
    assert STUDENT[1] == pytest.approx(0.95 * math.sqrt(2 / (1 - 0.95**2)), abs=1e-3)


def test_every_claim_has_its_experiment() -> None:
    for form in ("float", "8 bits"):
        found = claims(QUICK, ("conv2", "conv3"), form)
        assert {claim.experiment for claim in found} <= EXPERIMENTS.keys()
        assert len({(claim.experiment, claim.text) for claim in found}) == len(found)


def test_a_study_goes_on_where_it_stopped_and_takes_more_seeds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[str, int]] = []
    broken = True

    def experiment(name: str) -> Any:
        def run(models: Models) -> dict[str, float]:
            if name == "Second" and models.seed == 1 and broken:
                raise KeyboardInterrupt
            calls.append((name, models.seed))
            return {"figure": float(models.seed), "none": math.nan}

        return run

    small = {"First": experiment("First"), "Second": experiment("Second")}
    monkeypatch.setattr(report_module, "EXPERIMENTS", small)
    plan = replace(QUICK, seeds=2)
    with pytest.raises(KeyboardInterrupt):
        study(tmp_path, plan, lambda line: None)
    assert calls == [("First", 0), ("Second", 0), ("First", 1)]
    broken = False
    study(tmp_path, plan, lambda line: None)
    assert calls[3:] == [("Second", 1)]
    found = study(tmp_path, replace(plan, seeds=3), lambda line: None, "the command")
    assert calls[4:] == [("First", 2), ("Second", 2)]
    assert found["figures"][2] == {"First": {"figure": 2.0}, "Second": {"figure": 2.0}}
    text = (tmp_path / "results.md").read_text()
    assert "| figure | 1.000 | 0.000 | 2.000 |" in text
    assert "the command" in text
    again = json.loads((tmp_path / "results.json").read_text())  # strict JSON: no NaN
    assert again["figures"][0]["First"] == {"figure": 0.0}
    assert study(tmp_path, replace(plan, train=plan.train + 1), lambda line: None)
    assert len(calls) == 6 + 4  # another plan has another cache


def test_mistakes(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the unit of evidence is the seed"):
        study(tmp_path, replace(QUICK, seeds=1), lambda line: None)
    for name, values in {"gammas": (0.5,), "epsilons": (0, 8), "leaks": (0.7,)}.items():
        change: dict[str, Any] = {name: values}
        with pytest.raises(DataError, match=f"plan: {name}: lack"):
            replace(QUICK, **change)
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / f"{QUICK.key}-0.json").write_text("{")
    with pytest.raises(DataError, match="remove it to run that seed again"):
        study(tmp_path, QUICK, lambda line: None)


def test_from_end_to_end_in_miniature(tmp_path: Path) -> None:
    pytest.importorskip("mlxtend")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    plan = replace(
        QUICK, canvas=48, train=96, test=24, explained=8, architecture="4C5S4-6C3-P2-6C3-P6-D10", epochs=1,
        ann_epochs=1, steps=3, conversion_steps=6, leaks=(0.7, 0.9), gammas=(0.0, 0.5, 1.0), epsilons=(0, 4), seeds=2,
    )  # fmt: skip
    try:
        found = study(tmp_path, plan, lambda line: None, "test")
    finally:
        torch.set_num_threads(threads)
    for figures in found["figures"]:
        assert list(figures) == list(EXPERIMENTS)
        assert all(values for values in figures.values())
    accuracy = found["figures"][0]["Accuracy"]
    assert set(accuracy) == {
        "ANN", "surrogate float", "surrogate 8 bits", "conversion float", "conversion 8 bits",
    }  # fmt: skip
    assert all(0 <= value <= 1 for value in accuracy.values())
    lines = (tmp_path / "results.md").read_text().splitlines()
    assert sum(line.startswith("## ") for line in lines) == len(EXPERIMENTS)
