"""The chip's figures as rules ask for them."""

from __future__ import annotations

from dataclasses import dataclass

from neurosam_hw.chips.chip import Chip
from neurosam_hw.chips.figure import Figure

__all__ = ["Limits", "UnknownLimit"]

PROGRAMMABLE = "numbers.programmable_neurons"


class UnknownLimit(Exception):
    """A rule needs a figure that no source gives; it is then not checked."""

    def __init__(self, figure: Figure) -> None:
        super().__init__(figure.name)
        self.figure = figure


@dataclass(frozen=True)
class Limits:
    """Figures of a chip, for one rule.

    Parameters
    ----------
    chip : Chip
    figures : tuple of str
        Those that the rule declares.
    """

    chip: Chip
    figures: tuple[str, ...]

    def figure(self, name: str) -> Figure:
        """A figure, known or not."""
        if name not in self.figures:
            raise LookupError(f"the rule reads {name}, which it does not declare")
        return self.chip.figure(name)

    def stated(self, name: str) -> bool:
        """Whether the chip's file has the figure, be it as unknown: a chip without the thing has no limit for it."""
        return self.figure(name).name in self.chip.figures

    def numbers(self, name: str) -> tuple[int, ...]:
        """A figure that is a number or a list of numbers, in its base unit; an unknown one ends the rule."""
        figure = self.figure(name)
        value = figure.value_si
        if value is None or isinstance(value, bool):
            raise UnknownLimit(figure)
        return tuple(int(item) for item in value) if isinstance(value, tuple) else (int(value),)

    def number(self, name: str) -> int:
        """A figure that is one number, in its base unit; an unknown one ends the rule."""
        return self.numbers(name)[0]

    def has(self, name: str) -> bool:
        """An ability of the chip; an unknown one ends the rule."""
        figure = self.figure(name)
        if not isinstance(figure.value, bool):
            raise UnknownLimit(figure)
        return figure.value

    @property
    def programmable(self) -> bool:
        """Whether neurons are known to run a program: they then compute whatever the chip's file does not rule out."""
        return self.figure(PROGRAMMABLE).value is True

    def neuron_has(self, name: str) -> bool:
        """An ability of neurons, which programmable ones have unless the file denies it."""
        return True if self.programmable and not self.figure(name).known else self.has(name)

    def neuron_number(self, name: str) -> int | None:
        """A limit of neurons; None if there is none, as for programmable ones."""
        return None if self.programmable and not self.figure(name).known else self.number(name)
