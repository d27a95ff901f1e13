"""Whether a chip takes a network as it is mapped: refused if not, or labelled "what if" in everything that is said."""

from __future__ import annotations

from dataclasses import dataclass

from neurosam_hw.chips.chip import Chip
from neurosam_hw.errors import MappingError
from neurosam_hw.mapping.mapping import CoreMapping
from neurosam_hw.rules.assumptions import assumptions
from neurosam_hw.rules.check import check_mapping
from neurosam_hw.rules.findings import Findings

__all__ = ["SHOWN", "Verdict", "refuse", "verdict"]

SHOWN = 3
"""Violations that a refusal quotes."""


@dataclass(frozen=True)
class Verdict:
    """What the rules of a chip say.

    Parameters
    ----------
    label : str
        "what if: breaks rules reset (conv1), ...", to be said with every number; empty if no rule is broken.
    mark : str
        The same without the layers, for headings.
    unchecked : tuple of str
        Rules whose limit no source gives.
    assumed : tuple of str
        What neither the network nor the chip's file says (rules/assumptions.py).
    """

    label: str = ""
    mark: str = ""
    unchecked: tuple[str, ...] = ()
    assumed: tuple[str, ...] = ()


def verdict(mapping: CoreMapping, what_if: bool = False) -> Verdict:
    """Check a network and its mapping against the rules of the chip.

    Parameters
    ----------
    mapping : CoreMapping
    what_if : bool
        Label a network that breaks rules, in place of refusing it.

    Raises
    ------
    MappingError
        If the network breaks a rule of the chip and `what_if` is not set.
    """
    findings = check_mapping(mapping)
    if not what_if:
        refuse(findings, mapping.chip)
    unchecked = tuple(dict.fromkeys(item.rule for item in findings.unchecked))
    assumed = assumptions(mapping.network, mapping.chip)
    if findings.fits:
        return Verdict(unchecked=unchecked, assumed=assumed)
    mark = f"what if: breaks rules {', '.join(findings.broken)}"
    return Verdict(f"what if: breaks rules {findings}", mark, unchecked, assumed)


def refuse(findings: Findings, chip: Chip) -> None:
    """Refuse what breaks a rule.

    Raises
    ------
    MappingError
        Quotes the first violations.
    """
    if findings.fits:
        return
    first = "; ".join(map(str, findings.violations[:SHOWN]))
    more = len(findings.violations) - SHOWN
    rest = f"; and {more} more" if more > 0 else ""
    raise MappingError(
        f"chip {chip.name!r}", f"does not take this network: {first}{rest}. --what-if computes its cost all the same"
    )
