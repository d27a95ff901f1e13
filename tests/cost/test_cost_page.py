"""The page about costs prints what it says, and has all alternatives of the terms."""

from __future__ import annotations

import doctest
from pathlib import Path

import pytest

pytest.importorskip("tomllib", reason="in the standard library since Python 3.11")

from neurosam_hw.cost.terms import CAUSES

PAGE = Path(__file__).parents[2] / "docs" / "hardware" / "cost.md"


def test_the_examples_are_what_the_page_says() -> None:
    failed, tried = doctest.testfile(str(PAGE), module_relative=False)
    assert failed == 0
    assert tried > 10


def test_the_page_lists_every_figure() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for cause, alternatives in CAUSES.items():
        (row,) = (line for line in text.splitlines() if line.startswith(f"| {cause} |"))
        for _, key in (term for alternative in alternatives for term in alternative):
            assert f"`{key}`" in row, (cause, key)
