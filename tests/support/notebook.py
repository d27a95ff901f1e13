"""Run the tutorial that is a notebook, in a kernel of its own, and compare what it shows with what the file holds.

Texts are compared as in the other tutorials (walkthrough.py), in cells with the tag ``numbers-vary`` without their
numbers; HTML by the text that it shows; pictures by their number and kind.

    python -m support.notebook docs/tutorials/notebook.ipynb

runs a notebook and stores its outputs. Look at them before you commit it.
"""

from __future__ import annotations

import copy
import difflib
import os
import sys
import tempfile
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from traitlets.config import Config

from support.walkthrough import same

__all__ = ["executed", "unlike"]

VARY = "numbers-vary"
LIMIT_S = 300
"""Longest time of a cell: the first may have to compile kernels."""


def executed(notebook: Any, folder: Path) -> Any:
    """A copy of a notebook that was run in a folder, without what differs from run to run.

    Raises
    ------
    nbclient.exceptions.CellExecutionError
        If a cell fails.
    """
    result = copy.deepcopy(notebook)
    with tempfile.TemporaryDirectory() as sockets:  # a short name, as sockets need
        talk = Config({"KernelManager": {"transport": "ipc", "ip": f"{sockets}/kernel"}})
        where = {"metadata": {"path": str(folder)}}
        client = NotebookClient(result, config=talk, timeout=LIMIT_S, resources=where, record_timing=False)
        kept = {name: value for name, value in os.environ.items() if name != "MPLBACKEND"}  # a notebook has its own
        client.execute(env={**kept, "OMP_NUM_THREADS": "1"})  # several threads wait for each other on a busy machine
    for cell in result.cells:
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if any(output.get("data", {"": "."}).values())]
    result.metadata = notebook.metadata
    return result


def unlike(stored: Any, found: Any, exact: bool = False) -> list[str]:
    """What a notebook shows otherwise than its file says, by cell; `exact`: numbers and pictures everywhere."""
    report = []
    for before, after in zip(stored.cells, found.cells, strict=True):
        if before.cell_type != "code":
            continue
        want, got = ([part for output in cell.outputs for part in _parts(output)] for cell in (before, after))
        vary = VARY in before.metadata.get("tags", []) and not exact
        if [kind for kind, _ in want] != [kind for kind, _ in got]:
            report.append(f"{before.id}: stored {[kind for kind, _ in want]}, got {[kind for kind, _ in got]}")
            continue
        for (kind, old), (_, new) in zip(want, got, strict=True):
            if kind.startswith("image/"):
                report += [f"{before.id}: another picture"] if exact and old != new else []
            elif not same(old, new, vary):
                lines = difflib.unified_diff(old.splitlines(), new.splitlines(), "stored", "got", n=1, lineterm="")
                report.append("\n".join([f"{before.id}, {kind}", *lines]))
    return report


def _parts(output: Any) -> list[tuple[str, str]]:
    """What an output shows, by kind; of HTML its text."""
    if output.output_type == "stream":
        return [(output.name, output.text)]
    parts = {kind: str(text) for kind, text in output.data.items()}
    if "text/html" in parts:
        shown = _Text()
        shown.feed(parts["text/html"])
        parts["text/html"] = "\n".join(shown.lines)
    if any(kind.startswith("image/") for kind in parts):
        del parts["text/plain"]  # the size of a picture depends on its fonts
    return sorted(parts.items())


class _Text(HTMLParser):
    """The text of HTML, a line for each piece, and the names of its elements."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        if tag != "rect":  # of which a map has as many as neurons that fired
            self.lines.append(f"<{tag}>")

    def handle_data(self, data: str) -> None:
        self.lines.append(data)


def _renew(path: Path) -> None:
    """Run a notebook and store its outputs in its file."""
    notebook = nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory() as folder:
        found = executed(notebook, Path(folder))
    report = unlike(notebook, found, exact=True)
    sys.stdout.write("\n".join(report) + "\n" if report else f"{path.name}: as written\n")
    if report:
        nbformat.write(found, path)


if __name__ == "__main__":
    _renew(Path(sys.argv[1]))
