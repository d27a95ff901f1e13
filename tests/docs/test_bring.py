"""The pages about plain modules, readers, checks, NIR files and results elsewhere do and print what they say."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.walkthrough import steps, walk

BRING = Path(__file__).parents[2] / "docs" / "bring"


@pytest.mark.parametrize(
    ("name", "packages"),
    [
        ("pytorch", ("torch",)),
        ("../extend/reader", ("torch",)),
        ("check", ("torch",)),
        ("nir", ("nir",)),
        ("out", ("pandas", "xarray")),
    ],
)
def test_a_page_does_what_it_says(
    name: str, packages: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for package in packages:
        pytest.importorskip(package)
    monkeypatch.chdir(tmp_path)
    page = BRING / f"{name}.md"
    assert len(steps(page)) >= 3
    report, _ = walk(page)
    assert not report, report
