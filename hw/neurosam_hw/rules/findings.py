"""What a check finds: the rules that are broken, and those that could not be checked."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["Findings", "Unchecked", "Violation", "joined"]


@dataclass(frozen=True)
class Violation:
    """A broken rule.

    Parameters
    ----------
    rule : str
    where : str
        Population or projection, or "network".
    core : int or None
        Logical core, for a rule about cores.
    used, allowed : int or str
        What the network needs, and what the chip has.
    remedy : str
        What to do about it.
    """

    rule: str
    where: str
    core: int | None
    used: int | str
    allowed: int | str
    remedy: str

    def __str__(self) -> str:
        """A sentence for a list."""
        place = self.where if self.core is None else f"{self.where}, core {self.core}"
        return f"{self.rule} ({place}): got {self.used}; allowed is {self.allowed}; {self.remedy}"


@dataclass(frozen=True)
class Unchecked:
    """A rule that applies, but whose limit no source gives.

    Parameters
    ----------
    rule : str
    figure : str
        The figure of the chip that is unknown.
    reason : str
        What the chip's file says about it.
    """

    rule: str
    figure: str
    reason: str


@dataclass(frozen=True)
class Findings:
    """The outcome of a check.

    Parameters
    ----------
    violations : tuple of Violation
    unchecked : tuple of Unchecked
    checked : tuple of str
        Names of the rules that were applied; broken ones and partly unchecked ones too.
    """

    violations: tuple[Violation, ...]
    unchecked: tuple[Unchecked, ...]
    checked: tuple[str, ...]

    @property
    def fits(self) -> bool:
        """Whether no rule is broken; those in `unchecked` may be."""
        return not self.violations

    @property
    def broken(self) -> dict[str, tuple[str, ...]]:
        """Where each broken rule is broken, by rule."""
        rules = dict.fromkeys(violation.rule for violation in self.violations)
        return {rule: tuple(dict.fromkeys(v.where for v in self.violations if v.rule == rule)) for rule in rules}

    def __str__(self) -> str:
        """The broken rules in one line: "reset (conv1, conv2), decay (conv1)"."""
        return ", ".join(f"{rule} ({', '.join(places)})" for rule, places in self.broken.items())


def joined(*parts: Findings) -> Findings:
    """Several findings as one."""

    def of(name: str) -> Iterable[object]:
        return dict.fromkeys(item for part in parts for item in getattr(part, name))

    return Findings(tuple(of("violations")), tuple(of("unchecked")), tuple(of("checked")))  # type: ignore[arg-type]
