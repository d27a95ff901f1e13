"""``neurosam chips``: list the known chips, or show one with its sources; a plug-in (entry point neurosam.commands)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from neurosam.cli.common import say, show
from neurosam_hw.chips.chip import Chip
from neurosam_hw.chips.figure import Figure
from neurosam_hw.chips.keys import SECTIONS
from neurosam_hw.chips.load import available_chips, load_chip

__all__ = ["chips", "summary"]

SYNAPSE = ("synaptic_operation", "synapse_dense", "synaptic_operation_all_in")
"""Energies of a synaptic operation, in the order in which the list looks for one that is known."""

NOTE = "neurosam chips NAME shows every figure with its conditions and source; `example` is made up, a file to copy"


def chips(
    chip: Annotated[str | None, typer.Argument(help="A chip, or the path of a chip file (.toml).")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the chips that are known, or show every figure of one with its standing and source.

    Standing, from the strongest: measured, pre-silicon, fitted, derived, vendor, unknown.

    A per-term figure is one cause alone; an all-in figure is everything that was drawn, and adds to nothing.
    """
    if chip is None:
        known = [load_chip(name) for name in available_chips()]
        if as_json:
            say(json.dumps([_plain(one) for one in known], indent=2))
        else:
            _list(known)
        return
    one = load_chip(chip)
    if as_json:
        say(json.dumps(_plain(one), indent=2))
    else:
        _show(one)


def _list(known: list[Chip]) -> None:
    columns = ("chip", "cores", "neurons a core", "weights", "resets", "energy of a synaptic operation", "source")
    show("chips", columns, map(summary, known), left=7, note=NOTE)


def summary(chip: Chip) -> tuple[str, ...]:
    """The row of a chip in the list."""
    energies = [chip.figure(f"energy.{key}") for key in SYNAPSE]
    energy = next((figure for figure in energies if figure.known), energies[0])
    return (
        chip.name,
        chip.figure("limits.cores").value_text,
        chip.figure("limits.neurons_per_core").value_text,
        chip.figure("numbers.weight_bits").value_text,
        _resets(chip),
        str(energy),
        energy.source.partition(",")[0] or "-",
    )


def _resets(chip: Chip) -> str:
    """The resets that a chip has; "unknown" if none is known."""
    have = [key for key in SECTIONS["resets"] if chip.figure(f"resets.{key}").value is True]
    return ", ".join(have) or "unknown"


def _show(chip: Chip) -> None:
    say(f"{chip.name}: {chip.title}")
    if chip.note:
        say(chip.note)
    boards = chip.boards.values()
    sources = _numbers([*chip.figures.values(), *(figure for board in boards for figure in board.figures.values())])
    for section in SECTIONS:
        figures = {name: figure for name, figure in chip.figures.items() if name.startswith(f"{section}.")}
        if figures:
            _table(section, figures, sources)
    for board in boards:
        _table(f"board {board.name}: {board.title}", board.figures, sources)
    say("sources")
    for source, number in sources.items():
        say(f"  [{number}] {source}")
    say(f"file: {chip.path}")


def _table(title: str, figures: Mapping[str, Figure], sources: Mapping[str, int]) -> None:
    rows = []
    for name, figure in figures.items():
        source = f"[{sources[figure.source]}] {figure.locator}".rstrip() if figure.source else "-"
        key = name.rpartition(".")[2]
        rows.append((key, figure.value_text, figure.standing, figure.scope or "-", figure.conditions or "-", source))
    show(title, ("figure", "value", "standing", "scope", "conditions", "source"), rows, left=6)


def _numbers(figures: list[Figure]) -> dict[str, int]:
    """Sources by the number under which they are listed."""
    return {source: i for i, source in enumerate(dict.fromkeys(f.source for f in figures if f.source), start=1)}


def _plain(chip: Chip) -> dict[str, Any]:
    """A chip as JSON has it."""
    return {
        "name": chip.name,
        "title": chip.title,
        "note": chip.note,
        "figures": {name: _fields(figure) for name, figure in chip.figures.items()},
        "boards": {
            name: {"title": board.title, "figures": {key: _fields(figure) for key, figure in board.figures.items()}}
            for name, board in chip.boards.items()
        },
    }


def _fields(figure: Figure) -> dict[str, Any]:
    names = ("value", "unit", "value_si", "base_unit", "standing", "scope", "bound", "conditions", "source", "locator")
    return {name: getattr(figure, name) for name in names}
