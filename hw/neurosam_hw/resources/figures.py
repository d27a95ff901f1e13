"""The figures of a chip that resources are counted with, as numbers; None where no source gives one."""

from __future__ import annotations

from neurosam_hw.chips.chip import Chip

__all__ = ["has", "number", "numbers"]


def numbers(chip: Chip, name: str) -> tuple[int, ...] | None:
    """A figure that is a number or a list of numbers, in its base unit."""
    value = chip.figure(name).value_si
    if value is None or isinstance(value, bool):
        return None
    return tuple(int(item) for item in value) if isinstance(value, tuple) else (int(value),)


def number(chip: Chip, name: str) -> int | None:
    """A figure that is one number, in its base unit; of a list, the largest."""
    found = numbers(chip, name)
    return None if found is None else max(found)


def has(chip: Chip, name: str) -> bool:
    """An ability of the chip; one that no source tells of is taken as missing."""
    return chip.figure(name).value is True
