"""Tables and the most important numbers: bounds, shares, boards, assumptions, the slowest layer."""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tomllib", reason="in the standard library since Python 3.11")

import neurosam as ns
from neurosam.report.model import Cell, Table
from neurosam_hw import chips as shipped
from neurosam_hw.chips import load_chip
from neurosam_hw.cost import Cost
from neurosam_hw.cost import cost as cost_of
from neurosam_hw.cost.amount import Amount
from neurosam_hw.cost.document import document
from neurosam_hw.cost.duration import ASYNCHRONOUS
from neurosam_hw.cost.tables import Remark, board_table, cores_text, energy_table, summary, time_table
from neurosam_hw.mappers.build import map_network
from neurosam_hw.mapping import CoreMapping, Piece
from neurosam_hw.rules import assumptions

CHIPS = Path(shipped.__path__[0])


def network(fixed: bool = True) -> ns.Network:
    """Sixteen neurons of a convolution, and a readout."""
    rng = np.random.default_rng(0)
    kernel, dense = rng.integers(1, 60, (1, 1, 3, 3)), rng.integers(-20, 20, (3, 16))
    neuron = ns.FixedLIF(410, 60, reset="zero") if fixed else ns.LIF(0.1, 60.0, reset="zero")
    readout = ns.FixedReadout() if fixed else ns.Readout()
    numbers = np.int8 if fixed else np.float32
    return ns.Network(
        [ns.Population("in", (1, 6, 6)), ns.Population("conv", (1, 4, 4), neuron), ns.Population("out", (3,), readout)],
        [
            ns.Projection("in", "conv", ns.Conv2d(kernel.astype(numbers))),
            ns.Projection("conv", "out", ns.Dense(dense.astype(numbers))),
        ],
    )


def costed(
    chip: str, net: ns.Network | None = None, mapping: CoreMapping | None = None, board: str | None = None
) -> Cost:
    net = net or network()
    events = ns.Events.from_dense(np.random.default_rng(1).random((8, 3, 1, 6, 6)) < 0.3)
    recording = ns.run(net, events, "reference", ns.Record.everything(net))
    placed = mapping or map_network(net, load_chip(CHIPS / f"{chip}.toml"))
    return cost_of(placed, recording, events, board=board, what_if=True)


def row(table: Table, first: str) -> dict[str, Cell]:
    (found,) = (dict(zip(table.columns, cells, strict=True)) for cells in table.rows if cells[0] == first)
    return found


def remark(cost: Cost, what: str) -> Remark | None:
    return next((item for item in summary(cost) if item.what == what), None)


def test_a_range_whose_ends_read_alike_is_one_number() -> None:
    assert Amount(4.8011e-3, 4.7989e-3, 4.8012e-3, "s", "fitted").text == "4.8 ms"
    assert Amount(4.8e-3, 4.7e-3, 4.8e-3, "s", "fitted").text == "4.7 ms to 4.8 ms"
    assert Amount(4.8e-3, 4.7e-3, math.inf, "s", "fitted").text == "4.8 ms, at least 4.7 ms"


def test_the_row_of_the_total_has_its_bound() -> None:
    bounded, exact = costed("loihi1"), costed("sanafe-loihi")
    assert bounded.total is not None
    assert exact.total is not None
    assert row(energy_table(bounded), "total")["what"] == bounded.total.text
    assert bounded.total.text.startswith("at least ")
    assert row(energy_table(exact), "total")["what"] == ""


def test_shares_of_a_known_part_are_of_that_part() -> None:
    cost = costed("spinnaker2")
    shares = [cells[-1] for cells in energy_table(cost).rows]
    assert energy_table(cost).columns[-1] == "share of the known part, %"
    assert shares[-1] == 100.0
    assert sum(share for share in shares[:-1] if isinstance(share, float)) == pytest.approx(100.0, abs=0.2)
    assert [share is None for share in shares[:-1]] == [line.energy is None for line in cost.energy.lines]
    assert None in shares
    assert energy_table(costed("loihi1")).columns[-1] == energy_table(costed("loihi2")).columns[-1] == "share, %"


def test_power_has_no_ends_beside_its_value() -> None:
    found = remark(costed("loihi1"), "mean power of that energy")
    assert found is not None
    assert re.fullmatch(r"about [\d.]+ [mµ]W", found.value)


def test_a_board_tells_how_fast_it_was_and_what_it_draws_when_loaded() -> None:
    paced, other = (board_table(costed("loihi1", board=board)) for board in ("blouw2019", "frady2020"))
    assert paced is not None
    assert other is not None
    assert "power times the modelled latency; on this board, inferences came at 296.5 Hz (keyword" in paced.note
    assert "the host sets the pace" in paced.note
    assert "inferences came" not in other.note
    assert row(paced, "loaded")["power"] == "96.28 mW"


def test_a_float_network_is_said_to_be_one() -> None:
    cost = costed("sanafe-loihi", network(fixed=False))
    (said,) = document(cost)["assumptions"]
    assert said.startswith("a float network: its weights and states are assumed to be quantised")
    for what in ("energy of an inference", "time of an inference"):
        found, fixed = remark(cost, what), remark(costed("sanafe-loihi"), what)
        assert found is not None
        assert fixed is not None
        assert found.remark == f"{fixed.remark}; of a float network, as if it were quantised"
    assert document(costed("sanafe-loihi"))["assumptions"] == []


def test_sharing_of_kernels_that_no_source_tells_of_is_an_assumption() -> None:
    (said,) = document(costed("loihi2"))["assumptions"]
    assert said.startswith("noc.shared_weights is unknown: every synapse of a convolution is taken to be stored")
    dense = ns.Network(
        [ns.Population("in", (4,)), ns.Population("out", (3,), ns.FixedReadout())],
        [ns.Projection("in", "out", ns.Dense(np.ones((3, 4), np.int8)))],
    )
    assert assumptions(dense, load_chip(CHIPS / "loihi2.toml")) == ()
    assert assumptions(network(), load_chip(CHIPS / "odin.toml")) == ()  # which has no network on the chip


def test_the_slowest_layer_and_what_is_free() -> None:
    net, chip = network(), load_chip(CHIPS / "sanafe-loihi.toml")
    halves = [Piece("conv", core, neurons=np.arange(16)[core::2]) for core in range(2)]
    cost = costed("", net, CoreMapping(net, chip, (*halves, Piece("out", 2, neurons=np.arange(3)))))
    found = remark(cost, "slowest layer")
    assert cost.duration.busy_s is not None
    assert cost.duration.latency is not None
    assert found is not None
    core = int(cost.duration.busy_s.argmax())
    assert found.value == ("conv", "conv", "out")[core]
    share = cost.duration.busy_s[core] / 3 / cost.duration.latency.value
    assert found.remark.startswith(
        f"on {(2, 2, 1)[core]} of 3 cores, at work {share:.0%} of the time; 125 cores are free"
    )
    assert remark(costed("loihi2"), "slowest layer") is None
    assert remark(costed("sanafe-loihi"), "slowest layer") is None  # all on one core


def test_cores_and_steps_of_chips_of_another_kind() -> None:
    assert cores_text(costed("sanafe-loihi").mapping) == "1 core of 1 chip"
    speck = costed("speck")
    assert (speck.duration.method, speck.duration.latency) == (ASYNCHRONOUS, None)
    assert time_table(speck).note.startswith("no steps: each event takes its own time")
    assert "barrier" not in time_table(speck).note
