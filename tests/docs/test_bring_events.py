"""The page about recordings does and prints what it says."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.walkthrough import steps, walk

PAGE = Path(__file__).parents[2] / "docs" / "bring" / "events.md"


def test_the_page_does_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert len(steps(PAGE)) >= 5
    report, _ = walk(PAGE)
    assert not report, report
