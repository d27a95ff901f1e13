"""Figures in SI units, and sums that keep standing, scope and bounds."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from neurosam.errors import ArgumentError
from neurosam_hw.chips.figure import STANDINGS, Figure, total
from neurosam_hw.chips.units import BASE, UNITS

SYNAPSE = Figure("energy.synaptic_operation", 23.6, "pJ", "measured", "per-term")
HOP = Figure("energy.hop", 4, "nJ", "fitted", "per-term")
UNKNOWN = Figure("energy.spike", None, "pJ", "unknown", "per-term")
ALL_IN = Figure("energy.synaptic_operation_all_in", 26, "pJ", "measured", "all-in")


@pytest.mark.parametrize(
    ("value", "unit", "expected", "base"),
    [
        (23.6, "pJ", 23.6e-12, "J"),
        (2.19, "nJ", 2.19e-9, "J"),
        (0.2716, "mJ", 0.2716e-3, "J"),
        (465, "ns", 465e-9, "s"),
        (3.36, "us", 3.36e-6, "s"),
        (29.67, "mW", 29.67e-3, "W"),
        (2600, "W", 2600.0, "W"),
        (0.75, "V", 0.75, "V"),
        (300, "MHz", 3e8, "Hz"),
        (128, "KiB", 1024.0 * 1024, "bit"),
        (3, "byte", 24.0, "bit"),
        (1024, "count", 1024.0, "count"),
    ],
)
def test_a_value_in_si_is_the_float_that_one_would_write(value: float, unit: str, expected: float, base: str) -> None:
    figure = Figure("x", value, unit, "measured")
    assert figure.value_si == expected
    assert figure.base_unit == base


def test_every_unit_has_a_base_unit_of_its_kind() -> None:
    assert len(BASE) == sum(map(len, UNITS.values())), "a unit in two kinds"
    for units in UNITS.values():
        assert len({BASE[unit] for unit in units}) == 1
        assert units[BASE[next(iter(units))]] == 1


def test_lists_and_abilities_keep_their_form() -> None:
    assert Figure("x", (113, 465), "ns", "measured").value_si == (113e-9, 465e-9)
    assert Figure("x", True, "boolean", "measured").value_si is True
    assert UNKNOWN.value_si is None


def test_a_sum_is_the_sum_written_out() -> None:
    energy = total([(3, SYNAPSE), (0.5, HOP), (2, SYNAPSE)])
    assert energy.value == math.fsum([3 * 23.6e-12, 0.5 * 4e-9, 2 * 23.6e-12])
    assert (energy.low, energy.high, energy.unit, energy.scope) == (energy.value, energy.value, "J", "per-term")


@pytest.mark.parametrize("weakest", range(len(STANDINGS) - 1))
def test_the_weakest_standing_is_carried_along(weakest: int) -> None:
    figures = [replace(HOP, standing=standing) for standing in STANDINGS[: weakest + 1]]
    for order in (figures, figures[::-1]):
        assert total([(1, figure) for figure in order]).standing == STANDINGS[weakest]


def test_bounds_make_a_range() -> None:
    least, most = replace(SYNAPSE, bound="minimum"), replace(HOP, bound="maximum")
    energy = total([(1, least), (1, most), (1, SYNAPSE)])
    assert energy.low == 2 * 23.6e-12
    assert energy.value == math.fsum([2 * 23.6e-12, 4e-9])
    assert energy.high == math.inf
    assert total([(1, most), (1, SYNAPSE)]).high == math.fsum([4e-9, 23.6e-12])


def test_what_is_needed_and_unknown_is_named() -> None:
    other = replace(UNKNOWN, name="energy.axon_in")
    with pytest.raises(ArgumentError, match=r"^total: needs energy.axon_in, energy.spike, which no source gives"):
        total([(1, SYNAPSE), (2, UNKNOWN), (1, other)])


def test_what_is_not_needed_may_be_unknown() -> None:
    energy = total([(5, SYNAPSE), (0, UNKNOWN), (0, ALL_IN), (0, replace(HOP, bound="minimum"))])
    assert energy.value == energy.high == 5 * 23.6e-12
    assert energy.standing == "measured"


def test_nothing_that_happened_costs_nothing() -> None:
    energy = total([(0, UNKNOWN), (0, HOP)])
    assert (energy.value, energy.low, energy.high, energy.unit) == (0.0, 0.0, 0.0, "J")


@pytest.mark.parametrize("other", [HOP, replace(ALL_IN, name="energy.other"), replace(ALL_IN, value=27)])
def test_all_in_adds_to_nothing(other: Figure) -> None:
    for terms in ([(1, ALL_IN), (1, other)], [(1, other), (1, ALL_IN)]):
        with pytest.raises(ArgumentError, match="is all-in: it holds everything already, and does not add to energy"):
            total(terms)


def test_all_in_adds_to_itself_over_layers() -> None:
    energy = total([(10, ALL_IN), (20, ALL_IN)])
    assert energy.value == math.fsum([10 * 26e-12, 20 * 26e-12])
    assert energy.scope == "all-in"


@pytest.mark.parametrize(
    ("terms", "message"),
    [
        ([], "at least one is required"),
        ([(1, SYNAPSE), (1, Figure("time.hop", 1, "ns", "fitted", "per-term"))], "hop in s; one unit is required"),
        ([(-1, SYNAPSE)], "finite number from 0"),
        ([(math.nan, SYNAPSE)], "finite number from 0"),
        ([(math.inf, SYNAPSE)], "finite number from 0"),
        ([(1, Figure("sync.barrier", (1, 2), "ns", "fitted", "per-term"))], "one energy, time or power is required"),
        ([(1, Figure("resets.zero", True, "boolean", "fitted"))], "one energy, time or power is required"),
        ([(1, Figure("limits.cores", 4, "count", "vendor"))], "one energy, time or power is required"),
    ],
)
def test_what_does_not_add_is_refused(terms: list[tuple[float, Figure]], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        total(terms)


def test_a_figure_in_words() -> None:
    assert str(replace(SYNAPSE, bound="minimum")) == "at least 23.6 pJ (measured, per-term)"
    assert replace(HOP, bound="maximum").value_text == "at most 4 nJ"
    assert Figure("x", (16384, 1), "count", "vendor").value_text == "16,384, 1"
    assert Figure("x", False, "boolean", "vendor").value_text == "no"
    assert str(UNKNOWN) == "unknown"
