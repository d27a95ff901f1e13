"""A rule: a small named function that holds one thing against the chip's figures.

The decorator :func:`rule` registers a function under its own name; the first line of its docstring is what lists show.
The scope says what the function is given, and how often it is called:

    network      (network, limits)                         once
    population   (network, population, limits)             for each population
    projection   (network, projection, limits)             for each projection
    trace        (network, population, trace, limits)      for each population with a SAM trace
    core         (mapping, core, use, limits)              for each core of a mapping

It returns None if the rule is kept or does not apply, else a :class:`Broken`. Limits come from the chip's figures
alone, by way of `limits`; one that is unknown ends the function, and the rule is listed as not checked.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

from neurosam.errors import ArgumentError
from neurosam_hw.chips.keys import SECTIONS

__all__ = ["RULES", "SCOPES", "Broken", "Rule", "rule"]

SCOPES = ("network", "population", "projection", "trace", "core")

Check = TypeVar("Check", bound=Callable[..., "Broken | None"])


class Broken(NamedTuple):
    """What is used, what the chip allows, and what to do."""

    used: int | str
    allowed: int | str
    remedy: str


@dataclass(frozen=True)
class Rule:
    """A registered rule.

    Parameters
    ----------
    name : str
    scope : str
        One of SCOPES.
    figures : tuple of str
        The figures of a chip that it reads.
    meaning : str
        What it asks for, in a line.
    check : callable
    """

    name: str
    scope: str
    figures: tuple[str, ...]
    meaning: str
    check: Callable[..., Broken | None]


RULES: dict[str, Rule] = {}
"""All rules by name, in the order in which they are checked."""


def rule(scope: str, *figures: str) -> Callable[[Check], Check]:
    """Register the decorated function as a rule of that scope, which reads these figures of a chip.

    Parameters
    ----------
    scope : str
        One of SCOPES.
    figures : str
        Section and key, such as "limits.fan_in". The function may ask for no others.

    Raises
    ------
    ArgumentError
        If the scope or a figure does not exist, or there is a rule of this name already.
    """

    def register(check: Check) -> Check:
        name = check.__name__
        known = {f"{section}.{key}" for section, keys in SECTIONS.items() for key in keys}
        if scope not in SCOPES:
            raise ArgumentError(f"rule {name!r}", f"got scope {scope!r}; allowed are {', '.join(SCOPES)}")
        if wrong := [figure for figure in figures if figure not in known]:
            raise ArgumentError(f"rule {name!r}", f"reads {wrong[0]!r}, which is no figure of a chip")
        if name in RULES:
            raise ArgumentError(f"rule {name!r}", "is there already; give the function another name")
        meaning = (check.__doc__ or "").strip().partition("\n")[0]
        if not meaning:
            raise ArgumentError(f"rule {name!r}", "has no docstring; its first line says what the rule asks for")
        RULES[name] = Rule(name, scope, figures, meaning, check)
        return check

    return register
