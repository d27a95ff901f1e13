"""pyproject.toml and the two constraints files agree."""

from __future__ import annotations

import re
from importlib import metadata
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

import neurosam

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    tomllib = pytest.importorskip("tomllib", reason="in the standard library since Python 3.11")
    content: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
    return content


def lower_bounds(requirements: list[str]) -> dict[str, str]:
    """Name and lower bound of each requirement, extras of neurosam itself left out."""
    pairs = (re.fullmatch(r"([a-z0-9-]+)>=([0-9.]+)", r) for r in requirements if not r.startswith("neurosam["))
    return {pair[1]: pair[2] for pair in pairs if pair}


def pins(name: str) -> dict[str, str]:
    """Name and version of each line of a constraints file, in lower case; any line that is not a plain pin fails."""
    found = {}
    for line in (ROOT / name).read_text().splitlines():
        if line and not line.startswith("#"):
            pin = re.fullmatch(r"([A-Za-z0-9._-]+)==([0-9][A-Za-z0-9.]*)", line)
            assert pin, f"{name}: {line!r} is not NAME==VERSION"
            found[pin[1].lower().replace("_", "-")] = pin[2]
    return found


def run_time(project: dict[str, Any]) -> list[str]:
    extras = project["project"]["optional-dependencies"].values()
    return [*project["project"]["dependencies"], *chain.from_iterable(extras)]


def test_lowest_constraints_are_the_lower_bounds(project: dict[str, Any]) -> None:
    bounds = lower_bounds([*run_time(project), *project["dependency-groups"]["test"]])
    lowest = pins("constraints-lowest.txt")
    assert {name: lowest.get(name) for name in bounds} == bounds


def test_every_requirement_is_pinned_for_development(project: dict[str, Any]) -> None:
    groups = project["dependency-groups"]
    requirements = [*run_time(project), *groups["test"], *groups["lint"]]
    assert lower_bounds(requirements).keys() <= pins("constraints.txt").keys()


def test_every_requirement_is_name_and_lower_bound(project: dict[str, Any]) -> None:
    groups = project["dependency-groups"]
    requirements = {r for r in [*run_time(project), *groups["test"], *groups["lint"]] if not r.startswith("neurosam[")}
    assert len(lower_bounds(sorted(requirements))) == len(requirements)


def test_every_version_is_the_same(project: dict[str, Any]) -> None:
    assert neurosam.__version__ == metadata.version("neurosam") == project["project"]["version"]
