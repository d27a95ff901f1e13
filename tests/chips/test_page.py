"""The table of docs/reference/chips.md is what the chip files say; what docs/extend/chip.md shows is what happens."""

from __future__ import annotations

import doctest
from collections import Counter
from pathlib import Path
from types import ModuleType

import pytest

pytest.importorskip("tomllib", reason="in the standard library since Python 3.11")

from neurosam_hw import chips as shipped
from neurosam_hw.chips import figure, load_chip, units
from neurosam_hw.chips.cli import summary
from neurosam_hw.chips.figure import STANDINGS

DOCS = Path(__file__).parents[2] / "docs"
PAGE = DOCS / "reference" / "chips.md"
FILES = sorted(Path(shipped.__path__[0]).glob("*.toml"))


def row(file: Path) -> str:
    chip = load_chip(file)
    counts = Counter(f.standing for f in chip.figures.values())
    standings = ", ".join(f"{counts[standing]} {standing}" for standing in STANDINGS if counts[standing])
    return "| " + " | ".join((f"`{chip.name}`", *summary(chip)[1:6], standings)) + " |"


def test_the_table_is_what_the_files_say() -> None:
    rows = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    table = rows[: rows.index("| `measured` | on silicon, under the stated conditions |")]
    assert table == [row(file) for file in FILES if file.stem != "example"]


def test_every_standing_is_explained() -> None:
    text = PAGE.read_text(encoding="utf-8")
    places = [text.index(f"| `{standing}` |") for standing in STANDINGS]
    assert places == sorted(places)


@pytest.mark.parametrize("module", [figure, units])
def test_examples_of_docstrings(module: ModuleType) -> None:
    failed, tried = doctest.testmod(module)
    assert failed == 0
    assert tried > 0


def test_the_page_for_authors_does_what_it_says() -> None:
    failed, tried = doctest.testfile(str(DOCS / "extend" / "chip.md"), module_relative=False)
    assert (failed, tried) == (0, 6)
