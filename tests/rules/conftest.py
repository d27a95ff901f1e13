"""The entry points of the shipped chips and of their rules, whether or not this checkout is what is installed."""

from __future__ import annotations

from importlib.metadata import EntryPoint

import pytest

from neurosam.cli import chips
from neurosam_hw.chips import load


@pytest.fixture
def points(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[EntryPoint]]:
    """The entry points that are found, by group: those of pyproject.toml."""
    found = {
        load.GROUP: [EntryPoint("neurosam", "neurosam_hw.chips", load.GROUP)],
        chips.GROUP: [EntryPoint("neurosam", "neurosam_hw.rules.cli:show_fit", chips.GROUP)],
    }
    for module in (chips, load):
        monkeypatch.setattr(module, "entry_points", lambda group: found.get(group, []))
    return found
