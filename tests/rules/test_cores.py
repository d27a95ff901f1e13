"""Rules about cores: what a small mapping uses, one more than its chip has and just as much."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest

pytest.importorskip("tomllib", reason="in the standard library since Python 3.11")

from neurosam.network.elements import Population, Projection
from neurosam.network.fixed_neuron import FixedLIF, FixedReadout
from neurosam.network.network import Network
from neurosam.network.synapse import Conv2d, Dense, MaxPool2d
from neurosam_hw.chips.figure import Value
from neurosam_hw.mapping import CoreMapping, Piece
from neurosam_hw.rules import RULES, check, check_mapping
from support.chips import make_chip


def dense(*cores: int, figures: dict[str, Value] | None = None) -> CoreMapping:
    """3 inputs from outside, 4 neurons `a`, 2 readouts `b`: the neurons of `a` on these cores, `b` on the next one."""
    neuron = FixedLIF(np.array([1, 2, 3, 3]), np.array([5, 6, 7, 7]), "zero", bias_mantissa=1)
    network = Network(
        [Population("in", (3,)), Population("a", (4,), neuron), Population("b", (2,), FixedReadout())],
        [
            Projection("in", "a", Dense(np.full((4, 3), 101, dtype=np.int8))),
            Projection("a", "b", Dense(np.full((2, 4), -77, dtype=np.int8)), exponent=1),
        ],
    )
    pieces = [Piece("a", core, neurons=np.flatnonzero(np.array(cores) == core)) for core in sorted(set(cores))]
    last = len(pieces)
    pieces.append(Piece("b", last, neurons=np.array([0, 1])))
    return CoreMapping(network, make_chip(figures or {}), tuple(pieces))


def together(figures: dict[str, Value]) -> CoreMapping:
    """All on core 0."""
    network = dense(0, 0, 0, 0).network
    pieces = (Piece("a", 0, neurons=np.arange(4)), Piece("b", 0, neurons=np.arange(2)))
    return CoreMapping(network, make_chip(figures), pieces)


class Case(NamedTuple):
    """A figure, what core 0 of `together` uses of it, and what else the chip has."""

    figure: str
    used: int
    others: dict[str, Value]


LAYER: dict[str, Value] = {"limits.kernel_memory": (10**6,), "limits.neuron_memory": (10**6,)}

BOUNDED = {
    "neurons": Case("limits.neurons_per_core", 6, {}),
    "synapses": Case("limits.synapses_per_core", 3 * 4 + 4 * 2, {}),
    "synapse_bits": Case("limits.synapse_memory_per_core", 8 * 20, {}),
    "memory_bits": Case("limits.memory_per_core", 8 * 20 + 24 * 6, {}),
    "axons_in": Case("limits.axons_in_per_core", 3 + 4, {}),
    "axons_out": Case("limits.axons_out_per_core", 4, {}),
    "destinations": Case("limits.destinations_per_core", 1, {}),
    "decay_profiles": Case("limits.decay_profiles_per_core", 4, {}),
    "threshold_profiles": Case("limits.threshold_profiles_per_core", 4, {}),
    "synapse_formats": Case("limits.synapse_formats_per_core", 2, {}),
    "kernel_memory": Case("limits.kernel_memory", 3 * 4 + 4 * 2, {}),
    "neuron_memory": Case("limits.neuron_memory", 4 + 2, LAYER),
    "bias_memory": Case("limits.bias_memory", 4, LAYER),
}


def test_every_rule_about_cores_has_a_case() -> None:
    named = {f"core_{what}" for what in BOUNDED} | {"core_index_bits", "core_layer", "core_chip"}
    assert named == {name for name, rule in RULES.items() if rule.scope == "core"}


@pytest.mark.parametrize("what", BOUNDED)
def test_a_core_uses_no_more_than_it_has(what: str) -> None:
    case, name = BOUNDED[what], f"core_{what}"
    mapping = together({**case.others, case.figure: case.used - 1})
    [violation] = [v for v in check_mapping(mapping).violations if v.rule == name]
    assert (violation.where, violation.core) == ("a, b", 0)
    assert (violation.used, violation.allowed) == (case.used, case.used - 1)
    kept = check_mapping(together({**case.others, case.figure: case.used}))
    assert name in kept.checked
    assert name not in kept.broken
    assert name not in {item.rule for item in kept.unchecked}


@pytest.mark.parametrize("what", BOUNDED)
def test_an_unknown_limit_of_a_core_is_not_checked(what: str) -> None:
    case, name = BOUNDED[what], f"core_{what}"
    findings = check_mapping(together({**case.others, case.figure: None}))
    assert name not in findings.broken
    assert [item.figure for item in findings.unchecked if item.rule == name] == [case.figure]
    assert name not in {item.rule for item in check_mapping(together({})).unchecked}


def test_the_violation_names_the_core() -> None:
    findings = check_mapping(dense(0, 0, 0, 1, figures={"limits.neurons_per_core": 2}))
    assert [(v.rule, v.where, v.core, v.used) for v in findings.violations] == [("core_neurons", "a", 0, 3)]
    assert findings.violations[0].remedy == "spread the layer over more cores (neurosam map)"


def test_a_limit_by_core_is_that_of_the_place() -> None:
    figures: dict[str, Value] = {"limits.kernel_memory": (100, 7), "limits.cores": 2}
    findings = check_mapping(dense(0, 0, 0, 0, figures=figures))
    assert [(v.rule, v.core, v.used, v.allowed) for v in findings.violations] == [("core_kernel_memory", 1, 8, 7)]


def test_indices_of_synapses_reach_the_last_neuron() -> None:
    for widths, broken in (((0, 2), True), ((0, 2, 3), False)):
        findings = check_mapping(together({"limits.synapse_index_bits": widths}))
        assert ("core_index_bits" in findings.broken) is broken
    assert check_mapping(dense(0, 0, 0, 0, figures={"limits.synapse_index_bits": (0, 2)})).fits
    [violation] = check_mapping(together({"limits.synapse_index_bits": (0, 2)})).violations
    assert (violation.used, violation.allowed) == ("3 bit", "2 bit")


def test_a_core_that_holds_a_layer_holds_one_and_the_whole_of_it() -> None:
    def used(mapping: CoreMapping) -> list[tuple[object, object]]:
        return [(v.core, v.used) for v in check_mapping(mapping).violations if v.rule == "core_layer"]

    assert used(together(LAYER)) == [(0, "2 layers")]
    assert used(dense(0, 0, 1, 1, figures=LAYER)) == [(0, "a part of a layer"), (1, "a part of a layer")]
    assert used(dense(0, 0, 0, 0, figures=LAYER)) == []
    assert used(dense(0, 0, 1, 1)) == []


def test_a_chip_without_a_network_is_used_alone() -> None:
    alone: list[dict[str, Value]] = [{"limits.cores": 1}, {**LAYER, "limits.cores": 2}]
    whole, places = dense(0, 0, 0, 0), np.array([[0, 0], [1, 0]])
    for figures in alone:
        mapping = CoreMapping(whole.network, make_chip(figures), whole.pieces, places)
        [violation] = [v for v in check_mapping(mapping).violations if v.rule == "core_chip"]
        assert (violation.core, violation.used, violation.allowed) == (1, "chip 1", "chip 0")
    several = CoreMapping(whole.network, make_chip({"limits.cores": 2}), whole.pieces, places)
    assert check_mapping(several).fits


def test_findings_of_the_network_come_first() -> None:
    figures: dict[str, Value] = {"resets.zero": False, "limits.neurons_per_core": 1}
    findings = check_mapping(together(figures))
    assert list(findings.broken) == ["reset", "core_neurons"]
    assert set(check(together(figures).network, make_chip(figures)).checked) < set(findings.checked)


def test_a_network_that_no_core_can_hold_is_told_so() -> None:
    synapse = Conv2d(np.ones((1, 1, 3, 3), dtype=np.int8), padding=1)
    target = Population("a", (1, 2, 2), FixedLIF(410, 64, "zero"), pool=MaxPool2d(2))
    network = Network([Population("in", (1, 4, 4)), target], [Projection("in", "a", synapse)])
    mapping = CoreMapping(network, make_chip({"limits.neurons_per_core": 1}), (Piece("a", 0, neurons=np.arange(4)),))
    findings = check_mapping(mapping)
    assert list(findings.broken) == ["pool"]
    assert "core_neurons" not in findings.checked
