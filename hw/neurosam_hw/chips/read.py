"""Read a chip file, and check every figure in it.

A file is TOML, at most 64 KiB and 2,000 characters a line::

    format = 1
    title = "A chip"

    [sources]
    key = "Who, where, when"

    [energy]  # sections and keys are those of keys.py, units those of units.py
    synaptic_operation = { value = 23.6, unit = "pJ", standing = "pre-silicon", scope = "per-term", bound = "minimum",
                           conditions = "0.75 V", source = "key", locator = "Table 2" }  # on one line in the file

    [boards.name]  # apart from the chip's own figures
    title = "A board"
    idle = { ... }
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from neurosam.errors import BackendError, FormatError
from neurosam_hw.chips.chip import Board, Chip
from neurosam_hw.chips.figure import BOUNDS, SCOPES, STANDINGS, Figure, Value
from neurosam_hw.chips.keys import BOARD, SECTIONS, Key
from neurosam_hw.chips.messages import only, short
from neurosam_hw.chips.units import UNITS, WHOLE, to_si

__all__ = ["read_chip"]

FORMAT = 1
LARGEST_FILE = 64 * 1024
LONGEST_LINE = 2000
"""In characters. A key of n parts takes n * n words in tomllib: 256 KiB of dots would take tens of gigabytes."""
LONGEST_LIST = 4096
LARGEST_VALUE = 1e18
"""Above every figure of a chip, and far from where integers stop being exact as text."""
ADDED = ("energy", "time", "power")
"""Kinds that are added up, so that a figure must say what it covers."""
FIELDS = ("value", "unit", "standing", "scope", "bound", "conditions", "source", "locator")
NAME = re.compile(r"[a-z0-9][a-z0-9-]*")


def read_chip(path: Path) -> Chip:
    """Read and check a whole file; its name is the chip's.

    Raises
    ------
    FormatError
        At the first thing that is not as it should be: file, key, what was got, what is allowed.
    BackendError
        If this Python cannot read TOML (3.10).
    """
    content = _toml(path)
    file = str(path)
    only(file, content, ("format", "title", "note", "sources", "boards", *SECTIONS), FormatError)
    version = content.get("format")
    if isinstance(version, bool) or version != FORMAT:
        raise FormatError(f"{file}: format", f"got {version!r}; this version of neurosam reads {FORMAT}")
    sources = {
        _name(f"{file}: sources", key): _text(f"{file}: sources.{key}", text)
        for key, text in _table(file, content, "sources").items()
    }
    figures = {}
    for section, keys in SECTIONS.items():
        table = _table(file, content, section)
        only(f"{file}: {section}", table, tuple(keys), FormatError)
        for key, entry in table.items():
            name = f"{section}.{key}"
            figures[name] = _figure(f"{file}: {name}", name, keys[key], entry, sources)
    _same_length(file, figures)
    boards = {}
    for name, entry in _table(file, content, "boards").items():
        where = f"{file}: boards.{_name(f'{file}: boards', name)}"
        if not isinstance(entry, dict):
            raise FormatError(where, f"got {short(entry)}; a table is required")
        boards[name] = _board(where, name, entry, sources)
    title = _text(f"{file}: title", content.get("title"))
    note = _text(f"{file}: note", content.get("note", ""), empty=True)
    return Chip(path.stem, title, note, MappingProxyType(figures), MappingProxyType(boards), path)


def _same_length(file: str, figures: Mapping[str, Figure]) -> None:
    """Refuse a list that has no item, or too many, for the numbers of tiles or the cores it is given for."""
    pairs = [("sync.barrier", "sync.barrier_tiles")]
    pairs += [(f"limits.{kind}_memory", "limits.kernel_memory") for kind in ("neuron", "bias")]
    for name, other in pairs:
        one, two = (figures[n].value if n in figures else None for n in (name, other))
        if isinstance(one, tuple) and (not isinstance(two, tuple) or len(one) != len(two)):
            raise FormatError(f"{file}: {name}", f"has {len(one)} values; {other} needs as many")


def _toml(path: Path) -> dict[str, Any]:
    """The content of a file of bounded size."""
    try:
        import tomllib
    except ModuleNotFoundError:
        raise BackendError("chips", "need Python 3.11 or newer, whose standard library reads TOML") from None
    if not path.is_file():
        raise FormatError(str(path), "is a folder" if path.is_dir() else "does not exist")
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST_FILE + 1)
    except OSError as error:
        raise FormatError(str(path), f"cannot be read: {error.strerror}") from None
    if len(data) > LARGEST_FILE:
        raise FormatError(str(path), f"is larger than {LARGEST_FILE // 1024} KiB; no chip file is")
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise FormatError(str(path), "is not UTF-8 text; a chip file is TOML") from None
    for number, line in enumerate(text.split("\n"), start=1):
        if len(line) > LONGEST_LINE:
            raise FormatError(str(path), f"line {number} has {len(line)} characters; allowed are {LONGEST_LINE}")
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        reason = "tables too deep" if isinstance(error, RecursionError) else str(error)
        raise FormatError(str(path), f"is not TOML: {reason}") from None


def _board(where: str, name: str, table: dict[str, Any], sources: Mapping[str, str]) -> Board:
    only(where, table, ("title", *BOARD), FormatError)
    title = _text(f"{where}.title", table.get("title"))
    figures = {
        key: _figure(f"{where}.{key}", f"{name}.{key}", BOARD[key], entry, sources)
        for key, entry in table.items()
        if key != "title"
    }
    return Board(name, title, MappingProxyType(figures))


def _figure(where: str, name: str, key: Key, entry: Any, sources: Mapping[str, str]) -> Figure:
    """A figure, every field of it checked."""
    if not isinstance(entry, dict):
        raise FormatError(where, f"got {short(entry)}; a table {{ value, unit, standing, ... }} is required")
    only(where, entry, FIELDS, FormatError)
    unit = _one_of(where, entry, "unit", tuple(UNITS[key.kind]))
    standing = _one_of(where, entry, "standing", STANDINGS)
    bound = _one_of(where, entry, "bound", BOUNDS) if "bound" in entry else "none"
    scope = ""
    if key.kind in ADDED:
        scope = _one_of(where, entry, "scope", (key.scope,) if key.scope else SCOPES)
    elif "scope" in entry:
        raise FormatError(f"{where}: scope", f"got {short(entry['scope'])}; only {', '.join(ADDED)} have a scope")
    texts = {part: _text(f"{where}: {part}", entry.get(part, ""), empty=True) for part in FIELDS[5:]}
    if standing == "unknown":
        if "value" in entry:
            raise FormatError(f"{where}: value", f"got {short(entry['value'])}; what is unknown has no value")
        value: Value = None
    else:
        if "value" not in entry:
            raise FormatError(f"{where}: value", 'is missing; give it, or standing = "unknown"')
        value = _value(f"{where}: value", key, entry["value"], unit)
        for part in ("source", "locator"):
            if not texts[part]:
                raise FormatError(f"{where}: {part}", "is missing; a figure says where it comes from")
    if texts["source"]:
        source = texts["source"]
        if source not in sources:
            known = ", ".join(sources) or "none"
            raise FormatError(f"{where}: source", f"got {short(source)}; allowed is a key of [sources]: {known}")
        texts["source"] = sources[source]
    return Figure(name, value, unit, standing, scope, bound, **texts)


def _value(where: str, key: Key, value: Any, unit: str) -> Value:
    """A value or a list of values of the kind that the key asks for."""
    if isinstance(value, list):
        if not key.many:
            raise FormatError(where, "got a list; one value is required")
        if not 1 <= len(value) <= LONGEST_LIST:
            raise FormatError(where, f"got a list of {len(value)}; allowed are 1..{LONGEST_LIST} items")
        return tuple(_number(where, key.kind, item, unit) for item in value)
    if key.kind == "boolean":
        if not isinstance(value, bool):
            raise FormatError(where, f"got {short(value)}; allowed is true or false")
        return value
    return _number(where, key.kind, value, unit)


def _number(where: str, kind: str, value: Any, unit: str) -> float:
    """A finite number: not negative but for integers, and whole where things are counted."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise FormatError(where, f"got {short(value)}; a number is required")
    if not abs(value) <= LARGEST_VALUE or not math.isfinite(to_si(value, unit)):
        raise FormatError(where, f"got {short(value)}; a finite number up to {LARGEST_VALUE:g} is required")
    if kind != "integer" and value < 0:
        raise FormatError(where, f"got {value} {unit}; at least 0 is required")
    if kind in WHOLE and not isinstance(value, int):
        raise FormatError(where, f"got {value}; a whole number is required, without a decimal point")
    return value


def _one_of(where: str, entry: Mapping[str, Any], part: str, allowed: tuple[str, ...]) -> str:
    if part not in entry:
        raise FormatError(f"{where}: {part}", f"is missing; allowed is {', '.join(allowed)}")
    if entry[part] not in allowed:
        raise FormatError(f"{where}: {part}", f"got {short(entry[part])}; allowed is {', '.join(allowed)}")
    return str(entry[part])


def _text(where: str, value: Any, empty: bool = False) -> str:
    if not isinstance(value, str) or not (value or empty):
        got = "is missing" if value is None else f"got {short(value)}"
        raise FormatError(where, f"{got}; a text is required")
    if not value.isprintable():
        raise FormatError(where, f"got {short(value)}; one line of printable text is required")
    return value


def _name(where: str, name: str) -> str:
    """A key that the file's author chose."""
    if not NAME.fullmatch(name):
        raise FormatError(where, f"has the key {short(name)}; allowed are lower-case letters, digits and hyphens")
    return name


def _table(file: str, content: Mapping[str, Any], name: str) -> dict[str, Any]:
    table = content.get(name, {})
    if not isinstance(table, dict):
        raise FormatError(f"{file}: {name}", f"got {short(table)}; a table [{name}] is required")
    return table
