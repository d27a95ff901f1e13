"""The architecture as ``make graph`` reads it: no circle of imports, and a picture that shows the code as it is."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

pytest.importorskip("grimp", reason="comes with the lint group")
nx = pytest.importorskip("networkx", reason="comes with the lint group")
DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def architecture() -> ModuleType:
    spec = importlib.util.spec_from_file_location("architecture", DOCS / "architecture.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_neither_modules_nor_rooms_import_each_other_in_a_circle(architecture: ModuleType) -> None:
    modules = architecture.imports()
    assert len(modules) > 200
    assert architecture.circles(modules) == []
    assert architecture.circles(architecture.rooms(modules)) == []


def test_a_circle_is_found(architecture: ModuleType) -> None:
    graph = nx.DiGraph([("a", "b"), ("b", "c"), ("c", "a"), ("c", "d")])
    assert architecture.circles(graph) == [["a", "b", "c"]]


def test_the_picture_shows_the_code(architecture: ModuleType) -> None:
    drawn = architecture.svg(architecture.rooms(architecture.imports()))
    assert architecture.PICTURE.read_text(encoding="utf-8") == drawn, "run `make graph` and commit the picture"
