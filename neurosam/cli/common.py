"""Shared by several commands: the console, tables, a progress bar, and checks of input and output files."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from rich.box import SIMPLE_HEAD
from rich.console import Console

from neurosam._util.progress import progress as bars
from neurosam._util.progress import task
from neurosam._util.tables import PlainTable
from neurosam._util.untrusted import printable
from neurosam.errors import FormatError, NeurosamError

if TYPE_CHECKING:
    from neurosam.network.network import Network

__all__ = [
    "HDF5",
    "MODEL",
    "console",
    "network_in",
    "new_file",
    "new_folder",
    "progress",
    "say",
    "show",
]

WIDE = 160
"""Width in columns of output that does not go to a terminal, where wrapping at 80 would only get in the way."""

MOST_ROWS = 400
"""Of a table, beyond which its middle is left out: drawing takes milliseconds a row."""

Named: TypeAlias = "Path | str | Iterable[Path | str] | None"
"""An input of a command: a path, a name that may be a path, several, or none."""

HDF5 = (".h5", ".hdf5")
MODEL = (".safetensors",)


console = Console(width=None if sys.stdout.isatty() or "COLUMNS" in os.environ else WIDE)


def say(text: str) -> None:
    """Print a line of text verbatim: no colours, no wrapping, no markup."""
    console.print(printable(text), markup=False, highlight=False, soft_wrap=True)


def show(title: str, columns: Iterable[str], rows: Iterable[Sequence[object]], left: int = 1, note: str = "") -> None:
    """Print a table, its first `left` columns left-aligned, the others right-aligned; cells are not markup."""
    out = PlainTable(
        title, note, title_style="bold", title_justify="left", box=SIMPLE_HEAD, pad_edge=False, caption_style="dim",
        caption_justify="left",
    )  # fmt: skip
    for i, column in enumerate(columns):
        out.add_column(column, justify="left" if i < left else "right", overflow="fold")
    for row in _some(list(rows)):
        out.add_row(*row)
    console.print(out)
    if note:
        console.print()


def _some(rows: list[Sequence[object]]) -> list[Sequence[object]]:
    """The rows, without the middle of very many."""
    if len(rows) <= MOST_ROWS:
        return rows
    half = MOST_ROWS // 2
    return [*rows[:half], (f"... {len(rows) - 2 * half} more ...",), *rows[-half:]]


@contextmanager
def progress(title: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on standard error, as a callback (done, total) that may also be ignored; none if that is not a terminal."""
    with bars(), task(title) as tick:
        yield tick or (lambda done, total: None)


def network_in(path: Path) -> Network:
    """Load the network in a file.

    Raises
    ------
    FormatError
        If the file holds something else; the message says what, and how to get a network.
    """
    from neurosam.cli.answers import refuse_foreign
    from neurosam.formats.content import OURS
    from neurosam.hdf5.files import load_network

    kind = refuse_foreign(path)
    if path.suffix in MODEL and path.is_file():
        raise FormatError(str(path), f"is a trained model; export it as a network first: neurosam export {path}")
    if kind in OURS and kind != "network":
        content = "a recording" if kind == "recording" else kind
        raise FormatError(str(path), f"holds {content}; a network is required, as `neurosam export` writes it")
    return load_network(path)


def new_file(path: Path, force: bool, suffixes: tuple[str, ...], inputs: Iterable[Named]) -> Path:
    """Check, before the work starts, that a file may be written.

    Parameters
    ----------
    path : Path
    force : bool
        Whether it may exist.
    suffixes : tuple of str
    inputs : iterable
        Files and folders that the command reads, as the command line names them; none of them is replaced.

    Raises
    ------
    NeurosamError
        If it exists and `force` is not given, its folder is missing or not writable, its suffix is not allowed, or the
        command reads it.
    """
    if path.suffix.lower() not in suffixes:
        raise NeurosamError(str(path), f"has the wrong suffix; give a name that ends in {suffixes[0]}")
    if path.is_dir():
        raise NeurosamError(str(path), "is a folder; give the name of a file")
    if path.is_symlink() and not path.exists():
        raise NeurosamError(
            str(path), f"is a link to {os.readlink(path)}, which does not exist; give another name (-o)"
        )
    if any(_is_same(path, given) for given in _paths(inputs)):
        raise NeurosamError(str(path), "is an input of this command, which it does not replace; give another name (-o)")
    if path.exists() and not force:
        raise NeurosamError(str(path), "exists already; give another name, or --force to replace it")
    _writable(path.parent)
    return path


def new_folder(path: Path, force: bool, marker: str, inputs: Iterable[Named]) -> Path:
    """Check that a folder may be written to: it is missing, empty, or holds the file `marker` of an earlier command.

    Raises
    ------
    NeurosamError
        If it holds other files and `force` is not given, is not writable, or is or holds one of `inputs` (as of
        :func:`new_file`).
    """
    if path.exists() and not path.is_dir():
        raise NeurosamError(str(path), "is a file; give the name of a folder")
    for given in _paths(inputs):
        if _is_same(path, given) or (given.is_file() and _is_same(path, given.resolve().parent)):
            raise NeurosamError(
                str(path), f"holds {given.name!r}, an input of this command, which could be replaced; give another "
                "folder (-o)"
            )  # fmt: skip
    if path.is_dir() and not force and any(path.iterdir()) and not (path / marker).is_file():
        raise NeurosamError(
            str(path), "holds other files; give another folder (-o), or --force to replace files of the same names"
        )
    if path.is_dir() and (link := next((entry for entry in path.iterdir() if entry.is_symlink()), None)):
        raise NeurosamError(
            str(path),
            f"holds the link {link.name!r}, by which a file elsewhere could be replaced; remove it, or give another "
            "folder (-o)",
        )
    _writable(next(folder for folder in (path, *path.absolute().parents) if folder.exists()))
    return path


def _paths(inputs: Iterable[Named]) -> Iterator[Path]:
    """What inputs may mean: a path, paths, POPULATION=FILE, or FILE.py:FUNCTION."""
    for given in inputs:
        if isinstance(given, Path):
            yield given
        elif isinstance(given, str):
            yield from (Path(text) for text in (given, given.partition("=")[2], given.rpartition(":")[0]) if text)
        elif given is not None:
            yield from _paths(given)


def _is_same(path: Path, other: Path) -> bool:
    """Whether both are the same file or folder, by whatever names and links."""
    try:
        return path.samefile(other)
    except (OSError, ValueError):
        return False


def _writable(folder: Path) -> None:
    if not folder.is_dir():
        raise NeurosamError(str(folder), "is not a folder; create it first")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise NeurosamError(str(folder), "is not writable; give another folder")
