"""What ``neurosam info NETWORK --chip NAME`` prints: the broken rules, those that were not checked, and a verdict."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict

from neurosam.cli.common import say, show
from neurosam.network.network import Network
from neurosam_hw.chips.chip import Chip
from neurosam_hw.chips.load import load_chip
from neurosam_hw.rules.check import check, check_traces
from neurosam_hw.rules.findings import Findings, Violation

__all__ = ["show_findings", "show_fit"]

FLOAT = "a float network: rules about integers are checked once it is quantised (neurosam export)"


def show_fit(network: Network, name: str, chip: str, as_json: bool = False) -> None:
    """Hold a network and its traces against a chip, and print what was found.

    Parameters
    ----------
    network : Network
    name : str
        Of its file.
    chip : str
        Name or path of a chip.
    as_json : bool
    """
    held = load_chip(chip)
    own, traces = check(network, held), check_traces(network, held)
    if as_json:
        say(json.dumps(_plain(network, name, held, own, traces), indent=2))
        return
    show_findings(f"{name} on {held.name} ({held.title})", (own, traces))
    if not network.fixed:
        say(FLOAT)
    for line in _verdict(network, name, held, own, traces):
        say(line)


def show_findings(title: str, findings: Sequence[Findings]) -> None:
    """Print tables of broken rules, one row for places that break one alike, and of rules not checked."""
    violations = [violation for part in findings for violation in part.violations]
    if violations:
        columns = ("broken rule", "where", "used", "allowed", "what to do")
        show(title, columns, _rows(violations), left=5)
    unchecked = [item for part in findings for item in part.unchecked]
    if unchecked:
        rows = [(item.rule, item.figure, item.reason) for item in unchecked]
        show("not checked: no source gives the limit", ("rule", "figure", "what the file says"), rows, left=3)


def _rows(violations: Iterable[Violation]) -> list[tuple[object, ...]]:
    """Violations that differ in their place alone, as one row."""
    places: dict[tuple[object, ...], list[str]] = {}
    for v in violations:
        core = "" if v.core is None else f" (core {v.core})"
        places.setdefault((v.rule, v.used, v.allowed, v.remedy), []).append(f"{v.where}{core}")
    return [(key[0], ", ".join(where), *key[1:]) for key, where in places.items()]


def _verdict(network: Network, name: str, chip: Chip, own: Findings, traces: Findings) -> list[str]:
    """What fits, in a line for the traces and a last one for the network."""
    lines = []
    if network.sam:
        what = f"SAM traces of {', '.join(network.sam)}"
        if traces.fits and any(item.rule == "trace" for item in traces.unchecked):
            lines.append(f"{what}: unknown whether {chip.name} can hold them")
        else:
            lines.append(_sentence(what, "fit", "do not fit", chip, traces))
    rest = "; cores and memory: neurosam map" if own.fits else ""
    return [*lines, _sentence(name, "fits", "does not fit", chip, own) + rest]


def _sentence(what: str, fits: str, does_not: str, chip: Chip, findings: Findings) -> str:
    if not findings.fits:
        return f"{what}: {does_not} {chip.name}: {findings}"
    unchecked = dict.fromkeys(item.rule for item in findings.unchecked)
    rest = f" as far as its figures say (not checked: {', '.join(unchecked)})" if unchecked else ""
    return f"{what}: {fits} {chip.name}{rest}"


def _plain(network: Network, name: str, chip: Chip, own: Findings, traces: Findings) -> dict[str, object]:
    """The findings as JSON has them."""
    return {
        "network": name,
        "fixed": network.fixed,
        "chip": chip.name,
        **_findings(own),
        "traces": {"populations": list(network.sam), **_findings(traces)},
    }


def _findings(findings: Findings) -> dict[str, object]:
    return {
        "fits": findings.fits,
        "violations": [asdict(violation) for violation in findings.violations],
        "unchecked": [asdict(item) for item in findings.unchecked],
        "checked": list(findings.checked),
    }
