"""A chip and its boards, as their file describes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from neurosam.errors import ArgumentError
from neurosam_hw.chips.figure import Figure, unknown
from neurosam_hw.chips.keys import SECTIONS
from neurosam_hw.chips.messages import nearest
from neurosam_hw.chips.units import BASE, UNITS

__all__ = ["Board", "Chip"]


@dataclass(frozen=True)
class Board:
    """A board with its chips: power at rest by rail, host, I/O; these never become part of a chip's figures."""

    name: str
    title: str
    figures: Mapping[str, Figure]


@dataclass(frozen=True)
class Chip:
    """A chip as its file describes it.

    Parameters
    ----------
    name, title, note : str
    figures : mapping of str to Figure
        By section and key ("limits.cores"), in the order of the file.
    boards : mapping of str to Board
    path : Path
        The file.
    """

    name: str
    title: str
    note: str
    figures: Mapping[str, Figure]
    boards: Mapping[str, Board]
    path: Path = field(compare=False)

    def figure(self, name: str) -> Figure:
        """The figure called `name`; one without a value if the file does not have it.

        Raises
        ------
        ArgumentError
            If no chip file can have it.
        """
        section, _, key = name.partition(".")
        meaning = SECTIONS.get(section, {}).get(key)
        if meaning is None:
            names = [f"{section}.{key}" for section, keys in SECTIONS.items() for key in keys]
            raise ArgumentError(f"figure {name!r}", f"is no figure of a chip{nearest(name, names)}")
        return self.figures.get(name) or unknown(name, BASE[next(iter(UNITS[meaning.kind]))])
