"""What an index of packages shows: the README without paths that lead nowhere there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

tomllib = pytest.importorskip("tomllib")
ROOT = Path(__file__).parents[2]
LINK = re.compile(r"\]\(([^)\s]+)\)")


def test_an_index_shows_no_link_that_leads_nowhere() -> None:
    hook: Any = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["metadata"]["hooks"]
    readme = shown = (ROOT / "README.md").read_text(encoding="utf-8")
    for rule in hook["fancy-pypi-readme"]["substitutions"]:
        shown = re.sub(rule["pattern"], rule["replacement"], shown)
    assert len([link for link in LINK.findall(readme) if not link.startswith("https:")]) > 10
    assert {link.partition(":")[0] for link in LINK.findall(shown)} == {"https"}
    assert "![" not in shown
    assert "tested with, and how to keep CUDA out: Install." in shown, "the words of a link stay"
    assert len(shown) > 0.8 * len(readme)
