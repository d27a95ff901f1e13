"""The mutation runner: which changes it makes, and that what it names is there."""

from __future__ import annotations

from pathlib import Path

import pytest

from mutation.__main__ import sample
from mutation.areas import AREAS, ROOT, source_of
from mutation.operators import describe, mutants

SOURCE = b'''
"""1 + 1."""
LIMIT: int = 7
def f(a: int | None, b=2.0):
    "Less than 1."
    if a <= b and not b:
        raise ValueError(f"{a + b} is 3 or more")
    log(min(a, b), sort=True)
    return a - b if a is None else a // 3
'''
CHANGES = {
    "LIMIT: int = 8", "LIMIT: int = 6", "def f(a: int | None, b=1.0):", "if a < b and not b:", "if a <= b or not b:",
    "if a <= b and b:", "if ((not b)):", "if not (a <= b and not b):", "log(max(a, b), sort=True)", "pass",
    "log(min(a, b), sort=False)", "return a + b if a is None else a // 3", "return (a) if a is None else a // 3",
    "return a - b if a is not None else a // 3", "return a - b if not (a is None) else a // 3",
    "return a - b if a is None else a * 3", "return a - b if a is None else a // 4",
    "return a - b if a is None else a // 2",
}  # fmt: skip


def test_every_operator_and_nothing_in_texts_annotations_and_messages() -> None:
    found = mutants(SOURCE)
    lines = [list(describe(SOURCE, mutant)) for mutant in found]
    assert {change.lstrip("+ ") for _, change in lines} == CHANGES
    assert len(found) == len(CHANGES)
    for mutant, (old, _) in zip(found, lines, strict=True):
        assert old[1:] == SOURCE.decode().splitlines()[mutant.line - 1]
        compile(mutant.apply(SOURCE), "mutant", "exec")


def test_a_lock_can_be_removed_and_a_call_over_lines_is_one() -> None:
    source = b"with self._lock:\n    self.n -= 1\nf(\n    1,\n)\n"
    changed = [mutant.apply(source).decode() for mutant in mutants(source)]
    assert 'with __import__("contextlib").nullcontext():\n    self.n -= 1\nf(\n    1,\n)\n' in changed
    assert "with self._lock:\n    self.n -= 1\npass\n" in changed
    assert "with self._lock:\n    self.n += 1\nf(\n    1,\n)\n" in changed


@pytest.mark.parametrize("name", AREAS)
def test_areas_name_files_that_are_there(name: str) -> None:
    area = AREAS[name]
    for module in area.modules:
        assert len(mutants(source_of(module).read_bytes())) > 20, module
    for path in area.tests:
        assert Path(ROOT, path).is_file(), path


def test_a_sample_is_that_of_its_seed() -> None:
    first = sample(["schedule", "rounding"], 10, 0)
    assert [trial.area for trial in first] == ["schedule"] * 10 + ["rounding"] * 10
    assert first == sample(["schedule", "rounding"], 10, 0) != sample(["schedule", "rounding"], 10, 1)
    every = sample(["schedule"], 0, 0)
    modules = AREAS["schedule"].modules
    assert len({trial.key for trial in every}) == sum(len(mutants(source_of(m).read_bytes())) for m in modules)
