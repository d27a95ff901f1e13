"""Pages on other frameworks: their code runs where the framework is installed; versions are those of the table."""

from __future__ import annotations

import doctest
import importlib.util
import json
import re
import warnings
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
INTEROP = ROOT / "benchmarks" / "interop"
NAMES = sorted(path.stem[4:] for path in INTEROP.glob("run_*.py"))
NETWORKS = {
    "snntorch": ("tutorial 5", "tutorial 6: Sequential", "tutorial 6: class", "tutorial 7", "residual"),
    "spikingjelly": ("CSNN", "SEW-ResNet blocks", "sew_resnet18"),
    "norse": ("SequentialState", "LIFCell convolution"),
    "sinabs": ("from_model",),
}


def results() -> dict[str, dict[str, Any]]:
    table: dict[str, dict[str, Any]] = json.loads((INTEROP / "results.json").read_text())
    return table


def page(name: str) -> str:
    return (ROOT / "docs" / "bring" / f"{name}.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", NAMES)
def test_the_code_of_a_page_runs(name: str) -> None:
    if importlib.util.find_spec(name) is None:
        pytest.skip(f"{name} is not installed; `make interop FRAMEWORKS={name}` runs the page in its own environment")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the framework's own
        failed, tried = doctest.testfile(str(ROOT / "docs" / "bring" / f"{name}.md"), module_relative=False)
    assert tried > 5
    assert failed == 0


@pytest.mark.parametrize("name", NAMES)
def test_a_page_names_the_version_that_was_tested(name: str) -> None:
    about = results()[name]
    version = f"{about['framework']} {about['version']} (torch {about['torch'].partition('+')[0]}"
    assert re.search(rf"^Read in, and tested with, {re.escape(version)}", page(name), re.M)
    assert f'"{name}=={about["version"]}"' in (INTEROP / f"run_{name}.py").read_text()


def test_no_spike_differs_in_the_table() -> None:
    assert set(results()) == set(NAMES) == set(NETWORKS)
    for name, about in results().items():
        for row in about["rows"]:
            assert row["differ"] == 0, (name, row["network"])
            assert row["lines"] <= 5
            assert all(layer["spikes"] > 0 for layer in row["layers"].values()), (name, row["network"])


def test_a_refusal_in_the_table_names_the_layer_and_what_to_do() -> None:
    for about in results().values():
        assert len(about["refused"]) >= 2
        for kind, message in about["refused"].items():
            assert message.startswith(f"layer '1' ({kind}): "), message
            assert "ns.LIF(" in message or re.search(r"; (build|leave|train|use) ", message), message


@pytest.mark.parametrize("name", NAMES)
def test_the_networks_that_were_promised_are_in_the_table(name: str) -> None:
    rows = [row["network"] for row in results()[name]["rows"]]
    assert [wanted for wanted in NETWORKS[name] if not any(row.startswith(wanted) for row in rows)] == []
