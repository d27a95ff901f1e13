"""Walk through a tutorial as a reader would: every Python session and shell command of its page, in order.

A page holds blocks of two languages. ``python`` blocks that begin with ``>>>`` are doctests; ``console`` blocks hold
commands after ``$`` and what they print. All run in one folder and one Python session, and each output is compared with
the page. Before a block whose numbers differ from processor to processor (times, the accuracy of a training) stands

    <!-- numbers vary -->

and then every number stands for any other, while the words and the number of lines must agree. Empty lines do not
count.

    python -m support.walkthrough docs/tutorials docs/assets

runs all pages of a folder, writes what they printed now in place of outputs that differ, and copies each picture that a
page shows and its code has made. A page with an error stays as it is. Read the difference before you commit it.
"""

from __future__ import annotations

import doctest
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

__all__ = ["pictures", "same", "steps", "walk"]

BLOCK = re.compile(r"^(<!-- numbers vary -->\n+)?^```(python|console)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
DIGEST = re.compile(r"\b[0-9a-f]{64}\b")
NUMBER = re.compile(r"[-+]?\d[\d,]*\.?\d*(?:e[-+]?\d+)?")
VARY = doctest.register_optionflag("NUMBERS_VARY")
LIMIT_S = 300
"""Longest time of a command."""


class _Checker(doctest.OutputChecker):
    """Compares outputs, or their words alone where numbers vary; with `exact`, numbers everywhere."""

    def __init__(self, exact: bool) -> None:
        self.exact = exact

    def check_output(self, want: str, got: str, optionflags: int) -> bool:
        vary = bool(optionflags & VARY) and not self.exact
        return same(want, got, vary) or super().check_output(_lines(want), _lines(got), optionflags)


def same(want: str, got: str, vary: bool) -> bool:
    """Whether two outputs agree, but for empty lines; where numbers vary, in their words alone."""
    if vary:
        want, got = (_words(text) for text in (want, got))
    return _lines(want) == _lines(got)


def _lines(text: str) -> str:
    """The text without empty lines, of which one version of rich prints more than another."""
    return "".join(
        line for line in text.splitlines(keepends=True) if line.strip() not in ("", doctest.BLANKLINE_MARKER)
    )


def _words(text: str) -> str:
    """The text with 0 for every number; columns and rules, whose width follows the numbers, of one width."""
    return re.sub(r"[ \t]+", " ", re.sub(r"[─━]+", "─", NUMBER.sub("0", DIGEST.sub("0", text))))


def steps(page: Path) -> list[doctest.Example]:
    """What a page tells its reader to do, in order; a command is a call of ``shell``.

    Raises
    ------
    ValueError
        If a block of Python is no session, or a block of commands begins with something else.
    """
    text = page.read_text(encoding="utf-8")
    found: list[doctest.Example] = []
    for match in BLOCK.finditer(text):
        vary, language, body = match.groups()
        line = text.count("\n", 0, match.start(3))
        if not body.startswith(">>> " if language == "python" else "$ "):
            raise ValueError(f"{page.name}, line {line + 1}: a {language} block begins with a prompt")
        examples = doctest.DocTestParser().get_examples(body) if language == "python" else _commands(body)
        for example in examples:
            example.lineno += line
            if vary:
                example.options[VARY] = True
        found += examples
    return found


def _commands(body: str) -> list[doctest.Example]:
    """The commands of a block, each with what it prints."""
    found = []
    line = 0
    for part in re.split(r"^\$ ", body, flags=re.MULTILINE)[1:]:
        command, _, output = part.partition("\n")
        found.append(doctest.Example(f"shell({command!r})\n", output, lineno=line))
        line += part.count("\n")
    return found


def shell(command: str) -> None:
    """Print what a command writes.

    Raises
    ------
    RuntimeError
        If it fails. A page that shows a failure ends the command with another one: ``; echo "exit status $?"``.
    """
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    result = subprocess.run(
        ["bash", "-c", command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=LIMIT_S,
        check=False, env={**os.environ, "PATH": path, "COLUMNS": "100"},
    )  # fmt: skip
    if result.returncode or "Traceback (most recent call last)" in result.stdout:
        raise RuntimeError(f"status {result.returncode}: {result.stdout}")
    sys.stdout.write("\n".join(line.rstrip() for line in result.stdout.splitlines()) + "\n" * bool(result.stdout))


class _Runner(doctest.DocTestRunner):
    """Keeps the outputs that are not those of the page."""

    def __init__(self, exact: bool) -> None:
        super().__init__(_Checker(exact), verbose=False)
        self.unlike: list[tuple[doctest.Example, str]] = []

    def report_failure(self, out: Any, test: doctest.DocTest, example: doctest.Example, got: str) -> None:
        self.unlike.append((example, got))
        super().report_failure(out, test, example, got)


def walk(page: Path, exact: bool = False) -> tuple[str, list[tuple[doctest.Example, str]]]:
    """Run a page in the current folder.

    Parameters
    ----------
    page : Path
    exact : bool
        Compare numbers also where they vary.

    Returns
    -------
    report : str
        What went otherwise than written, or nothing.
    unlike : list of (Example, str)
        The steps that did, with what they printed.
    """
    names: dict[str, Any] = {"shell": shell}
    runner = _Runner(exact)
    report: list[str] = []
    runner.run(doctest.DocTest(steps(page), names, page.name, str(page), 0, None), out=report.append)
    return "".join(report), runner.unlike


def pictures(page: Path) -> set[str]:
    """Names of the pictures in docs/assets that a page shows."""
    return set(re.findall(r"\.\./assets/([\w.-]+\.png)", page.read_text(encoding="utf-8")))


def _rewrite(page: Path, unlike: list[tuple[doctest.Example, str]]) -> None:
    """Put new outputs in the places of old ones."""
    lines = page.read_text(encoding="utf-8").splitlines(keepends=True)
    for example, got in reversed(unlike):
        first = example.lineno + (1 if example.source.startswith("shell(") else example.source.count("\n"))
        lines[first : first + example.want.count("\n")] = got.splitlines(keepends=True)
    page.write_text("".join(lines), encoding="utf-8")


def _renew(pages: Path, assets: Path) -> int:
    """Run all pages, renew what they show, and count those with an error."""
    errors = 0
    for page in sorted(pages.resolve().glob("*.md")):
        start = Path.cwd()
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            try:
                report, unlike = walk(page, exact=True)
            finally:
                os.chdir(start)
            sys.stdout.write(report or f"{page.name}: as written\n")
            if "Exception raised" in report:
                errors += 1
                continue
            _rewrite(page, unlike)
            for name in sorted(pictures(page)):
                if (Path(folder) / name).exists():
                    shutil.copyfile(Path(folder) / name, assets / name)
    return errors


if __name__ == "__main__":
    os.environ.setdefault("MPLBACKEND", "Agg")
    sys.exit(_renew(Path(sys.argv[1]), Path(sys.argv[2])))
