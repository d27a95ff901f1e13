"""README.md's example runs, its commands exist, its pictures and links are there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from neurosam.cli import app

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "README.md").read_text()


def test_the_example_runs(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("mlxtend")
    blocks = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    (example,) = [block for block in blocks if "import neurosam" in block]  # the others show one line
    assert 10 <= len(example.strip().splitlines()) <= 13
    exec(compile(example, "README.md", "exec"), {})
    first, second = capsys.readouterr().out.splitlines()
    accuracy, shape = first.split(" ", 1)
    assert float(accuracy) >= 0.8
    assert shape == "(8, 100, 14, 14)"
    assert second == "None"


def test_commands_exist() -> None:
    commands = set(re.findall(r"^    neurosam (\w+)", TEXT, re.MULTILINE))
    assert commands >= {"train", "export", "info", "run", "explain", "verify"}
    for command in commands:
        assert CliRunner().invoke(app, [command, "--help"]).exit_code == 0, command


def test_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"^    make (\w+)", TEXT, re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_files_that_are_named_exist() -> None:
    named = re.findall(r"\]\((?!https?:)([^)#]+)\)", TEXT) + re.findall(r"`((?:neurosam|tests)/[\w/.]+)`", TEXT)
    assert len(named) > 5
    for name in named:
        assert (ROOT / name).exists(), name
