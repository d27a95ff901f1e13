"""The networks and the placing of benchmarks/sana-fe, on SANA-FE's Loihi."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("tomllib", reason="chips are read since Python 3.11")

from neurosam_hw.chips import Chip, load_chip
from neurosam_hw.mapping import CoreMapping

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "sana-fe"


@pytest.fixture(scope="session")
def chip() -> Chip:
    return load_chip("sanafe-loihi")


@pytest.fixture
def case(monkeypatch: pytest.MonkeyPatch, chip: Chip) -> Callable[[str], tuple[CoreMapping, Any]]:
    """A network of benchmarks/sana-fe/networks.py by name: placed, and its events."""
    monkeypatch.syspath_prepend(BENCHMARK)
    networks = import_module("networks")

    def placed(name: str) -> tuple[CoreMapping, Any]:
        made = networks.CASES[name]()
        return networks.placed(made, chip), made.events

    return placed
