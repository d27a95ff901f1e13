"""What neurons of other frameworks gave, stored (benchmarks/neurons): each recipe's neuron gives the same spikes."""

from __future__ import annotations

import json
from collections import Counter
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from neurosam.deploy.readers.rules import UNLIMITED

ROOT = Path(__file__).parents[2]
NEURONS = ROOT / "benchmarks" / "neurons"
GOLDEN = sorted((ROOT / "tests" / "golden").glob("neurons-*.npz"))
NAMES = [path.stem.removeprefix("neurons-") for path in GOLDEN]
UNEQUAL = {"xylosim"}
"""Frameworks with a rule that no neuron equals; they have no vectors."""
LAST_BITS = 1e-5
"""Largest difference of a membrane; Sinabs' ALIF keeps its threshold in float32, all others stay below 1e-11."""


@pytest.fixture
def study(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Import a module of benchmarks/neurons by name."""
    monkeypatch.syspath_prepend(NEURONS)
    return import_module


def results() -> dict[str, list[dict[str, Any]]]:
    table: dict[str, list[dict[str, Any]]] = json.loads((NEURONS / "results.json").read_text())
    return table


def test_every_framework_has_vectors_and_they_are_small() -> None:
    assert {path.stem[4:] for path in NEURONS.glob("run_*.py")} == set(results()) == {*NAMES, *UNEQUAL}
    assert sum(path.stat().st_size for path in GOLDEN) < 60_000


@pytest.mark.parametrize("path", GOLDEN, ids=NAMES)
def test_a_recipe_gives_the_frameworks_spikes(path: Path, backend: str, study: Any) -> None:
    equal, spikes = 0, 0
    for run in study("capture").load(path):
        made = study("recipes").recipe(run.framework, run.module, run.options, run.answer.parameters)
        if made.differs:
            continue
        found = study("simulate").difference(run, made, backend)
        assert found.differ == 0, (run.module, run.options, run.drive.name)
        assert found.membrane < LAST_BITS, (run.module, run.options, run.drive.name)
        equal, spikes = equal + 1, spikes + found.spikes
    assert spikes > 30 * equal


@pytest.mark.parametrize("path", GOLDEN, ids=NAMES)
def test_a_quantised_network_of_whole_numbers_gives_them_too(path: Path, backend: str, study: Any) -> None:
    """Ties included: its membranes meet thresholds exactly."""
    simulate, spikes = study("simulate"), 0
    for run in study("capture").load(path):
        made = study("recipes").recipe(run.framework, run.module, run.options, run.answer.parameters)
        unlimited = made.neuron.get("max_spikes") == UNLIMITED
        if simulate.is_whole(run, made) and not (run.layers == 2 and unlimited):  # that has no proven head-room
            assert simulate.difference_in_integers(run, made, backend) == 0, (run.module, run.options)
            spikes += int(run.answer.spikes.sum())
    assert spikes > 100 or path.stem == "neurons-rockpool"  # LIFTorch always has a current


def test_a_wrong_recipe_is_noticed(study: Any) -> None:
    """Without what is special about it, some runs of each kind differ."""
    noticed: Counter[str] = Counter()
    for path in GOLDEN:
        for run in study("capture").load(path):
            made = study("recipes").recipe(run.framework, run.module, run.options, run.answer.parameters)
            for name in {"fires", "reset_timing", "lower_bound", "refractory", "max_spikes", "bias"} & set(made.neuron):
                neuron = {key: value for key, value in made.neuron.items() if key != name}
                changed = type(made)(**{**vars(made), "neuron": neuron})
                noticed[name] += study("simulate").difference(run, changed, "reference").differ > 0
    assert set(noticed) == {"fires", "reset_timing", "lower_bound", "refractory", "max_spikes", "bias"}
    assert all(noticed.values()), noticed


def test_the_table_is_of_todays_scripts_and_recipes(study: Any) -> None:
    """Its versions are pinned in the scripts, its modules are the vectors', its neurons the recipes'."""
    for path, name in zip(GOLDEN, NAMES, strict=True):
        rows = results()[name]
        script = (NEURONS / f"run_{name}.py").read_text()
        runs = study("capture").load(path)
        assert len(rows) == len(runs)
        for row, run in zip(rows, runs, strict=True):
            assert (row["framework"], row["version"]) == (run.framework, run.version)
            assert f"{name}=={row['version']}" in script
            assert (row["module"], row["options"], row["drive"]) == (run.module, run.options, run.drive.name)
            made = study("recipes").recipe(run.framework, run.module, run.options, run.answer.parameters)
            assert (row["neuron"], row["differs"]) == (study("recipes").text(made), made.differs)


def test_every_recipe_is_in_the_table(study: Any) -> None:
    rows = [row for rows in results().values() for row in rows]
    assert {(row["framework"], row["module"]) for row in rows} == set(study("recipes").RECIPES)


def test_spikes_differ_in_the_table_at_ties_alone() -> None:
    rows = [row for rows in results().values() for row in rows if not row["differs"]]
    found = [difference for row in rows for difference in row["difference"].values()]
    assert all(difference["neurons"] == difference["ties"] for difference in found)
    assert sum(difference["differ"] for difference in found) < 1e-5 * sum(difference["spikes"] for difference in found)
    assert {name for row in rows for name in row["difference"]} == {"event", "reference"}


def test_no_spike_differs_in_integers_in_the_table() -> None:
    found = [row["in_integers"] for rows in results().values() for row in rows if row["in_integers"]]
    refused = [one for one in found if "refused" in one]
    assert all(not any(one.values()) for one in found if one not in refused)
    assert len(refused) < 0.1 * len(found)
