"""Links of the Markdown files outside the site lead to files and headings; Sphinx checks those within it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    path.relative_to(ROOT)
    for pattern in ("*.md", "neurosam/*.md", "hw/*.md", "benchmarks/*.md", "benchmarks/*/*.md", ".github/*.md")
    for path in ROOT.glob(pattern)
)
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")


def anchors(text: str) -> set[str]:
    """Anchors of the headings of a page, as GitHub makes them."""
    found: set[str] = set()
    for heading in re.findall(r"^#+ +(.+?) *$", re.sub(r"^```.*?^```", "", text, flags=re.M | re.S), re.MULTILINE):
        name = base = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        number = 0
        while name in found:
            number += 1
            name = f"{base}-{number}"
        found.add(name)
    return found


def broken(page: Path, root: Path = ROOT) -> list[str]:
    """Links of a page that lead nowhere."""
    text = (root / page).read_text(encoding="utf-8")
    wrong = []
    for link in LINK.findall(re.sub(r"`[^`\n]*`", "", re.sub(r"^```.*?^```", "", text, flags=re.M | re.S))):
        if re.match(r"\w+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (root / page).parent / name if name else root / page
        if not target.exists() or (
            anchor and target.suffix == ".md" and anchor not in anchors(target.read_text(encoding="utf-8"))
        ):
            wrong.append(link)
    return wrong


def test_the_pages_are_found() -> None:
    assert {"README.md", "CONTRIBUTING.md", "SECURITY.md", "neurosam/FORMAT.md"} <= {str(page) for page in PAGES}


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_links_lead_somewhere(page: Path) -> None:
    assert broken(page) == []


PATH = re.compile(r"`((?:neurosam|hw|benchmarks|tests|docs)/[\w/.-]*)`")
"""A file or folder of the repository, as the documents name it."""


@pytest.mark.parametrize("page", [*PAGES, *sorted(p.relative_to(ROOT) for p in (ROOT / "docs").rglob("*.md"))], ids=str)
def test_files_that_are_named_exist(page: Path) -> None:
    named = PATH.findall((ROOT / page).read_text(encoding="utf-8"))
    assert [n for n in named if not (ROOT / n).exists() and "NAME" not in n] == []


def test_a_link_that_leads_nowhere_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "other.md").write_text("# One thing\n\n## One thing\n", encoding="utf-8")
    good = "[a](other.md) [b](other.md#one-thing-1) [c](#here) [d](https://example.org)\n\n# Here\n"
    bad = "[e](missing.md) [f](other.md#another) [g](#there)\n"
    (tmp_path / "page.md").write_text(good + bad, encoding="utf-8")
    assert broken(Path("page.md"), tmp_path) == ["missing.md", "other.md#another", "#there"]
