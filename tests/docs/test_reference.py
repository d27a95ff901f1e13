"""The API reference and the command reference leave nothing out; what a seed promises is what it gives."""

from __future__ import annotations

import hashlib
import re
from importlib import import_module
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

import neurosam as ns
from neurosam import data

DOCS = Path(__file__).parents[2] / "docs"
PACKAGES = ("attribution", "data", "equivalence", "evaluation", "metrics", "report", "training")
"""Packages whose public names are all documented."""


def documented() -> set[str]:
    """Full names under which the API reference documents something."""
    found = set()
    for page in (DOCS / "api").glob("*.md"):
        module = ""
        for line in page.read_text(encoding="utf-8").splitlines():
            if match := re.match(r"\.\. currentmodule:: (\S+)", line):
                module = match[1]
            elif match := re.match(r"\.\. auto\w+:: (\S+)", line):
                found.add(match[1] if match[1].startswith("neurosam.") else f"{module}.{match[1]}")
    return found


def test_every_public_name_is_documented() -> None:
    offered = {name for name in ns.__all__ if not name.startswith("_")}
    assert {f"neurosam.{name}" for name in offered} - documented() == set()


@pytest.mark.parametrize("package", PACKAGES)
def test_every_name_of_a_package_is_documented(package: str) -> None:
    module = import_module(f"neurosam.{package}")
    objects = {id(getattr(ns, name)) for name in ns.__all__}
    names = {name.rpartition(".")[2] for name in documented() if name.startswith(f"neurosam.{package}.")}
    missing = {name for name in module.__all__ if name not in names and id(getattr(module, name)) not in objects}
    assert not missing


def test_what_is_documented_exists() -> None:
    assert len(documented()) > 100
    for name in documented():
        module, _, attribute = name.rpartition(".")
        assert hasattr(import_module(module), attribute), name


def digest(*arrays: npt.NDArray[np.generic]) -> str:
    """Of shapes and little-endian values."""
    state = hashlib.sha256()
    for array in arrays:
        state.update(repr(array.shape).encode())
        state.update(np.ascontiguousarray(array.astype(array.dtype.newbyteorder("<"))).tobytes())
    return state.hexdigest()[:16]


IMAGES = np.arange(3 * 64, dtype=np.uint8).reshape(3, 1, 8, 8)


@pytest.mark.parametrize(
    ("coding", "expected"),
    [
        ("poisson", "d88d812964678634"),
        ("poisson_signed", "d83feae98a338b3b"),
        ("latency", "27681ee3b344eb5b"),
        ("direct", "4ba8b291844e1b9e"),
    ],
)
def test_a_seed_gives_the_events_that_it_always_gave(coding: str, expected: str) -> None:
    """As docs/reference/promises.md says; where NumPy changes its stream, that page has to say so."""
    images = IMAGES if coding != "poisson_signed" else IMAGES.astype(np.float32) / 64 - 1
    events = ns.encode(images, steps=10, coding=coding, seed=7, first=2)
    values = () if events.value is None else (events.value,)
    assert digest(events.time, events.sample, events.neuron, *values) == expected


def test_a_seed_gives_the_canvases_that_it_always_gave() -> None:
    images = np.zeros((6, 1, 12, 12), dtype=np.uint8)
    images[:, 0, 2:10, 3:9] = np.arange(1, 7, dtype=np.uint8)[:, None, None] * 40
    items = data.ImageSet(images, np.arange(6) % 2, None, ("a", "b"), "squares")
    scenes = data.cluttered(items, data.Clutter(canvas=32, crop=5), seed=3)
    assert scenes.masks is not None
    assert digest(scenes.images, scenes.masks, scenes.labels) == "79bea686004ffedc"
    train, test = items.split(4, 2, seed=5)
    assert digest(train.images, test.images) == "352b28dfedab0594"
