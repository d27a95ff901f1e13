"""The page about counts prints what it says."""

from __future__ import annotations

import doctest
from pathlib import Path

import pytest

pytest.importorskip("tomllib", reason="chips are read since Python 3.11")

PAGE = Path(__file__).parents[2] / "docs" / "hardware" / "counts.md"


def test_the_example_is_what_the_page_says() -> None:
    failed, tried = doctest.testfile(str(PAGE), module_relative=False)
    assert failed == 0
    assert tried > 15
