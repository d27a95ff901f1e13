"""The list of docs/hardware/rules.md is the registry; docs/extend/rule.md does what it says; what cannot be a rule."""

from __future__ import annotations

import doctest
from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tomllib", reason="in the standard library since Python 3.11")

import neurosam as ns
from neurosam.errors import ArgumentError
from neurosam.network.network import Network
from neurosam_hw.rules import RULES, Broken, Limits, Rule, check, rule
from neurosam_hw.rules.registry import SCOPES
from support.chips import demo_network, make_chip

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture
def registry() -> Iterator[dict[str, Rule]]:
    """The registry, which is afterwards as it was."""
    before = dict(RULES)
    yield RULES
    RULES.clear()
    RULES.update(before)


def row(item: Rule) -> str:
    figures = ", ".join(f"`{figure}`" for figure in item.figures) or "-"
    return f"| `{item.name}` | {item.scope} | {item.meaning} | {figures} |"


def test_the_list_is_the_registry() -> None:
    lines = (DOCS / "hardware" / "rules.md").read_text(encoding="utf-8").splitlines()
    rules = sorted(RULES.values(), key=lambda item: SCOPES.index(item.scope))
    assert [line for line in lines if line.startswith("| `")] == [row(item) for item in rules]


def test_the_page_for_authors_does_what_it_says(registry: dict[str, Rule], points: dict[str, list[EntryPoint]]) -> None:
    failed, tried = doctest.testfile(str(DOCS / "extend" / "rule.md"), module_relative=False)
    assert (failed, tried) == (0, 8)


@pytest.mark.parametrize("module", ["rules.check", "rules.assumptions", "resources.fan_in"])
def test_examples_of_docstrings(module: str, points: dict[str, list[EntryPoint]]) -> None:
    found = import_module(f"neurosam_hw.{module}")
    failed, tried = doctest.testmod(found, extraglobs={"np": np, "ns": ns})
    assert failed == 0
    assert tried > 0


def test_a_rule_reads_no_figure_that_it_does_not_declare(registry: dict[str, Rule]) -> None:
    @rule("network", "limits.cores")
    def other(network: Network, limits: Limits) -> Broken | None:
        """Cores."""
        return Broken(limits.number("limits.neurons"), 0, "")

    with pytest.raises(LookupError, match=r"reads limits.neurons, which it does not declare"):
        check(demo_network(), make_chip({"limits.neurons": 1}))


def mute(network: Network, limits: Limits) -> Broken | None:
    return None


def reset(network: Network, limits: Limits) -> Broken | None:
    """There is one of this name."""
    return None


@pytest.mark.parametrize(
    ("scope", "figure", "check", "message"),
    [
        ("layer", "limits.cores", reset, "rule 'reset': got scope 'layer'; allowed are network, population"),
        ("network", "limits.core", reset, "rule 'reset': reads 'limits.core', which is no figure of a chip"),
        ("network", "limits.cores", reset, "rule 'reset': is there already"),
        ("network", "limits.cores", mute, "rule 'mute': has no docstring"),
    ],
)
def test_what_cannot_be_registered(scope: str, figure: str, check: object, message: str) -> None:
    before = dict(RULES)
    with pytest.raises(ArgumentError, match=message):
        rule(scope, figure)(check)  # type: ignore[type-var]
    assert before == RULES
