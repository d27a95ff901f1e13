"""The page about golden vectors prints what it says."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.vectors import needs_c, needs_iverilog
from support.walkthrough import steps, walk

PAGE = Path(__file__).parents[2] / "docs" / "hardware" / "vectors.md"


@needs_c
@needs_iverilog
def test_the_page_does_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert len(steps(PAGE)) >= 10
    report, _ = walk(PAGE)
    assert not report, report
