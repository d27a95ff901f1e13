"""The examples in docstrings run and print what they say; what users call has one.

Examples of public names know ``np`` and ``ns`` alone, as a user's session does; other examples also know the names of
their module. They run in an empty folder.
"""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import neurosam as ns
import neurosam_hw

WITHOUT_EXAMPLE = {name for name in ns.__all__ if name.endswith("Error") and name != "NeurosamError"}
"""Error classes are caught, not called; their base class has the example."""


def modules() -> list[str]:
    """Every module of neurosam and neurosam_hw but those that run when they are imported."""
    names = [module.name for module in pkgutil.walk_packages(ns.__path__, "neurosam.")]
    return ["neurosam", *(name for name in names if not name.endswith("__main__")), *hardware()]


def hardware() -> list[str]:
    """Those of neurosam_hw, which reads chips from Python 3.11 on; Lava's run in a Python of its own."""
    names = [module.name for module in pkgutil.walk_packages(neurosam_hw.__path__, "neurosam_hw.")]
    return [name for name in names if not name.startswith("neurosam_hw.lava")] if sys.version_info >= (3, 11) else []


def examples(item: object, name: str, module: ModuleType) -> list[doctest.DocTest]:
    """Docstrings with examples, of an object and of what it contains."""
    session = {"np": np, "ns": ns}
    tests = [test for test in doctest.DocTestFinder().find(item, name, module, globs=session) if test.examples]
    for test in tests:
        owner = test.name.removeprefix(f"{module.__name__}.").partition(".")[0]
        if ns._MODULE_OF.get(owner) != module.__name__:
            test.globs = vars(module) | session
    return tests


@pytest.mark.parametrize("name", modules())
def test_examples_of(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = importlib.import_module(name)
    monkeypatch.chdir(tmp_path)
    report: list[str] = []
    for test in examples(module, name, module):
        doctest.DocTestRunner(verbose=False).run(test, out=report.append)
    assert not report, "".join(report)


def test_what_users_call_has_an_example() -> None:
    missing = set()
    for name in ns.__all__:
        item = getattr(ns, name)
        if callable(item) and not examples(item, name, importlib.import_module(ns._MODULE_OF[name])):
            missing.add(name)
    assert missing == WITHOUT_EXAMPLE
