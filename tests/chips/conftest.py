"""The entry point of the shipped chips, whether or not this checkout is what is installed."""

from __future__ import annotations

from importlib.metadata import EntryPoint

import pytest

from neurosam_hw.chips import load


@pytest.fixture
def points(monkeypatch: pytest.MonkeyPatch) -> list[EntryPoint]:
    """The entry points that are found: that of pyproject.toml, and what a test adds."""
    found = [EntryPoint("neurosam", "neurosam_hw.chips", load.GROUP)]
    monkeypatch.setattr(load, "entry_points", lambda group: list(found) if group == load.GROUP else [])
    return found
