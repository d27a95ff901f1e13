"""What a board draws while an inference runs: idle power by rail, host, I/O. Rows of their own, which add to nothing.

    energy = power * latency

A power by chip is taken for every chip of the board: those that are not in use are powered too. Powers that belong to
another network (`running`, `inference`, `slope_per_neuron`) are left out, since they say nothing about this one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from neurosam.errors import ArgumentError
from neurosam_hw.chips.chip import Board, Chip
from neurosam_hw.chips.figure import Figure, total
from neurosam_hw.chips.messages import nearest
from neurosam_hw.cost.amount import Amount

__all__ = ["POWERS", "BoardRow", "board_of", "board_rows"]

POWERS = ("idle", "idle_core_rail", "idle_memory_rail", "idle_per_chip", "loaded", "constant", "host", "io")
"""Keys of a board that say what it draws whatever the network is."""


@dataclass(frozen=True)
class BoardRow:
    """One power of a board.

    Parameters
    ----------
    figure : Figure
    times : int
        How often: the board's chips, for a power by chip.
    energy : Amount, optional
        Over an inference; None if the power or the latency is unknown.
    """

    figure: Figure
    times: int
    energy: Amount | None


def board_of(chip: Chip, name: str) -> Board:
    """A board of a chip's file, by name.

    Raises
    ------
    ArgumentError
        If the file has no such board.
    """
    if name not in chip.boards:
        known = ", ".join(chip.boards) or "none"
        raise ArgumentError(
            f"board {name!r}", f"is not in the file of {chip.name}{nearest(name, chip.boards)}; it has {known}"
        )
    return chip.boards[name]


def board_rows(board: Board, chips: int, latency: Amount | None) -> Sequence[BoardRow]:
    """What each of a board's powers comes to over an inference.

    Parameters
    ----------
    board : Board
    chips : int
        Chips that the network takes; the board has at least as many.
    latency : Amount, optional

    Raises
    ------
    ArgumentError
        If the board has fewer chips.
    """
    has = board.figures.get("chips")
    on_board = int(has.value) if has is not None and isinstance(has.value, (int, float)) else None
    if on_board is not None and on_board < chips:
        raise ArgumentError(f"board {board.name!r}", f"has {on_board} chips; the mapping takes {chips}")
    rows = []
    for key in POWERS:
        figure = board.figures.get(key)
        if figure is None:
            continue
        times = (on_board or chips) if key == "idle_per_chip" else 1
        known = figure.known and latency is not None
        energy = Amount.of(total([(times, figure)])).times(latency, "J") if known and latency is not None else None
        rows.append(BoardRow(figure, times, energy))
    return rows
