"""The examples in docstrings run and print what they say; what users call has one.

Examples assume ``import numpy as np`` and ``import neurosam as ns``, as NumPy's do, and run in an empty folder.
"""

from __future__ import annotations

import doctest
import importlib
import pkgutil
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import neurosam as ns

WITHOUT_EXAMPLE = {name for name in ns.__all__ if name.endswith("Error") and name != "NeurosamError"}
"""Error classes are caught, not called; their base class has the example."""

TO_DO = {
    "export", "quantise", "compare", "verify", "Divergence", "Equivalence", "from_spikes", "aggregate", "normalise",
    "overlay", "upsample",
}  # fmt: skip
"""Names whose examples are still to be written."""


def modules() -> list[str]:
    """Every module of neurosam but those that run when they are imported."""
    names = [module.name for module in pkgutil.walk_packages(ns.__path__, "neurosam.")]
    return ["neurosam", *(name for name in names if not name.endswith("__main__"))]


def examples(item: object, name: str, module: ModuleType) -> list[doctest.DocTest]:
    """Docstrings with examples, of an object and of what it contains."""
    found = doctest.DocTestFinder(exclude_empty=True).find(item, name, module, globs={"np": np, "ns": ns})
    return [test for test in found if test.examples]


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
    assert missing - TO_DO == WITHOUT_EXAMPLE
