"""Apply the rules to a network, to its traces, or to a mapping."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from neurosam.network.network import Network
from neurosam_hw.chips.chip import Chip
from neurosam_hw.mapping.mapping import CoreMapping
from neurosam_hw.resources.cores import use
from neurosam_hw.rules import cores, layers, neurons, traces, weights
from neurosam_hw.rules.findings import Findings, Unchecked, Violation, joined
from neurosam_hw.rules.limits import Limits, UnknownLimit
from neurosam_hw.rules.registry import RULES, Rule

__all__ = ["BUILT_IN", "check", "check_mapping", "check_traces"]

BUILT_IN = (weights, neurons, layers, traces, cores)
"""Modules whose rules are registered when they are imported."""

WITHOUT_CORES = {"pool", "cycle"}
"""Rules about what no core of any chip can hold, so that its use cannot be counted."""

Unit = tuple[str, "int | None", tuple[Any, ...]]
"""Where it is, on which core, and what a rule is given."""


def check(network: Network, chip: Chip) -> Findings:
    """Hold a network against a chip's figures: what does not depend on where its neurons are placed.

    Its traces are apart (:func:`check_traces`), since the network runs without them. A float network is held to what
    does not depend on integers, as if its weights had been quantised to the chip's widest.

    Parameters
    ----------
    network : Network
    chip : Chip

    Returns
    -------
    Findings

    Examples
    --------
    >>> from neurosam_hw.chips import load_chip
    >>> from neurosam_hw.rules import check
    >>> net = ns.Network(
    ...     [ns.Population("in", (2,)), ns.Population("out", (1,), ns.FixedLIF(410, 64))],
    ...     [ns.Projection("in", "out", ns.Dense(np.array([[100, -27]])))],
    ... )
    >>> findings = check(net, load_chip("loihi1"))
    >>> print(findings)
    reset (out)
    >>> findings.violations[0].used, findings.violations[0].allowed, findings.violations[0].remedy
    ('subtract', 'zero', 'train with --reset zero')
    """
    units: dict[str, list[Unit]] = {
        "network": [("network", None, (network,))],
        "population": [(p.name, None, (network, p)) for p in network.populations],
        "projection": [(p.label, None, (network, p)) for p in network.projections],
    }
    return _apply(chip, units)


def check_traces(network: Network, chip: Chip) -> Findings:
    """Hold the SAM traces of a network against a chip's figures."""
    return _apply(chip, {"trace": [(name, None, (network, network[name], sam)) for name, sam in network.sam.items()]})


def check_mapping(mapping: CoreMapping) -> Findings:
    """Hold a mapping against its chip's figures: its network (:func:`check`), and what each core uses.

    Parameters
    ----------
    mapping : CoreMapping

    Returns
    -------
    Findings
        Those of the network first. Without those of the cores, if the network has nothing that a core could hold (the
        rules `pool` and `cycle`).

    Examples
    --------
    >>> from neurosam_hw.chips import load_chip
    >>> from neurosam_hw.mapping import CoreMapping, Piece
    >>> from neurosam_hw.rules import check_mapping
    >>> net = ns.Network(
    ...     [ns.Population("in", (2,)), ns.Population("out", (1100,), ns.FixedReadout())],
    ...     [ns.Projection("in", "out", ns.Dense(np.ones((1100, 2), np.int8)))],
    ... )
    >>> whole = CoreMapping(net, load_chip("loihi1"), (Piece("out", 0, ((0, 1100), (0, 1), (0, 1))),))
    >>> print(check_mapping(whole).violations[0])
    core_neurons (out, core 0): got 1100; allowed is 1024; spread the layer over more cores (neurosam map)
    """
    own = check(mapping.network, mapping.chip)
    if own.broken.keys() & WITHOUT_CORES:
        return own
    units: list[Unit] = [
        (", ".join(dict.fromkeys(p.population for p in mapping.pieces_on(core))), core, (mapping, core, each))
        for core, each in enumerate(use(mapping))
    ]
    return joined(own, _apply(mapping.chip, {"core": units}))


def _apply(chip: Chip, units: dict[str, list[Unit]]) -> Findings:
    """Apply every rule of these scopes to every unit."""
    rules = [rule for rule in RULES.values() if rule.scope in units]
    found = [item for rule in rules for item in _applied(rule, chip, units[rule.scope])]
    violations = dict.fromkeys(item for item in found if isinstance(item, Violation))
    unchecked = dict.fromkeys(item for item in found if isinstance(item, Unchecked))
    return Findings(tuple(violations), tuple(unchecked), tuple(rule.name for rule in rules))


def _applied(rule: Rule, chip: Chip, units: Iterable[Unit]) -> Iterator[Violation | Unchecked]:
    """What one rule says of each unit, if anything."""
    limits = Limits(chip, rule.figures)
    for where, core, given in units:
        try:
            broken = rule.check(*given, limits)
        except UnknownLimit as error:
            yield Unchecked(rule.name, error.figure.name, error.figure.conditions or "no source")
            continue
        if broken is not None:
            yield Violation(rule.name, where, core, *broken)
