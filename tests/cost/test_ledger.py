"""Energies of counts equal the sum written out; standing, range, refusals and all-in figures of each kind of chip."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tomllib", reason="in the standard library since Python 3.11")

from neurosam_hw import chips as shipped
from neurosam_hw.chips import Chip, load_chip
from neurosam_hw.cost.ledger import Ledger, energies, ledger

FOLDER = Path(shipped.__path__[0])
COUNTS: dict[str, float | None] = {
    "deliveries": 1000, "deliveries_dense": 600, "deliveries_sparse": 300, "deliveries_convolution": 100,
    "neuron_steps": 500, "active": 80, "idle": 420, "spikes": 40,
    "packets": 70, "messages": 90, "in_tile": 70,
    "hops": 24, "hops_east_west": 16, "hops_north_south": 8, "crossings": 0,
}  # fmt: skip


def chip(name: str) -> Chip:
    return load_chip(FOLDER / f"{name}.toml")


def bill(name: str, **changes: float | None) -> Ledger:
    return ledger(chip(name), COUNTS | changes)


def test_sanafe_loihi_is_the_sum_written_out() -> None:
    found = bill("sanafe-loihi")
    synapses = 600 * 35.5e-12 + 300 * 33.6e-12 + 100 * 24.0e-12
    neurons = 500 * 51.2e-12 + 80 * 21.6e-12 + 40 * 69.3e-12
    packets = 70 * 111.0e-12 + 90 * 0.0
    hops = 16 * 3.0e-12 + 8 * 4.2e-12
    causes = {name: total.value for name, total in found.by_cause.items() if total is not None}
    assert causes == pytest.approx(
        {"synapses": synapses, "neurons": neurons, "packets": packets, "hops": hops}, rel=1e-12
    )
    assert found.total is not None
    assert found.total.value == pytest.approx(synapses + neurons + packets + hops, rel=1e-12)
    assert (found.total.low, found.total.high) == (found.total.value, found.total.value)
    assert (found.total.standing, found.missing, found.all_in) == ("fitted", {}, None)


def test_loihi1_is_a_minimum_and_pre_silicon() -> None:
    found = bill("loihi1")
    value = 1000 * 23.6e-12 + 80 * 81e-12 + 420 * 52e-12 + 70 * 1.7e-12 + 16 * 3.0e-12 + 8 * 4.0e-12
    assert found.total is not None
    assert found.total.value == pytest.approx(value, rel=1e-12)
    assert found.total.low == found.total.value
    assert math.isinf(found.total.high)
    assert found.total.standing == "pre-silicon"
    exact = bill("loihi1", deliveries=0).total
    assert exact is not None
    assert exact.low == exact.high  # the minimum is that of the synaptic operation alone


def test_a_step_to_another_chip_is_known_on_no_chip() -> None:
    found = bill("loihi1", crossings=3)
    assert found.total is None
    assert found.missing == {"crossings": ("energy.hop_between_chips",)}
    assert found.known.value == pytest.approx(bill("loihi1").known.value)


def test_darwin3_names_its_neurons_and_shows_its_synapses() -> None:
    found = bill("darwin3")
    assert found.total is None
    assert found.missing["neurons"] == ("energy.neuron_update_active", "energy.neuron_update_inactive")
    assert found.missing["packets"] == ("energy.spike_in_tile",)
    assert found.known.value == pytest.approx(1000 * 5.47e-12)
    assert found.by_cause["neurons"] is None
    assert found.refusal.startswith("neurons: energy.neuron_update_active, energy.neuron_update_inactive; packets:")


def test_loihi2_has_no_public_energy() -> None:
    found = bill("loihi2")
    assert (found.total, found.all_in, found.known.value) == (None, None, 0.0)
    assert found.missing["synapses"] == ("energy.synaptic_operation",)
    assert set(found.missing) == {"synapses", "neurons", "packets", "hops"}


def test_truenorth_has_a_total_of_everything_and_no_other() -> None:
    found = bill("truenorth", hops=0, hops_east_west=0, hops_north_south=0)
    assert found.total is None
    assert found.all_in is not None
    assert (found.all_in.value, found.all_in.scope, found.all_in.standing) == (1000 * 26e-12, "all-in", "measured")


def test_truenorth_hops_are_one_figure() -> None:
    hops = bill("truenorth").by_cause["hops"]
    assert hops is not None
    assert hops.value == pytest.approx(24 * 2.3e-12)


def test_odin_keeps_its_two_figures_apart() -> None:
    found = bill("odin")
    assert found.all_in is not None
    assert found.all_in.value == pytest.approx(1000 * 12.7e-12)
    assert found.known.value == pytest.approx(1000 * 8.43e-12)
    assert found.total is None
    assert "neurons" in found.missing


def test_spinnaker2_updates_every_neuron_in_every_step() -> None:
    found = bill("spinnaker2")
    assert found.known.value == pytest.approx(1000 * 450e-12 + 500 * 2.19e-9)
    assert found.known.standing == "derived"
    assert set(found.missing) == {"packets", "hops"}


def test_what_was_not_recorded_is_named() -> None:
    found = bill("loihi1", active=None, idle=None)
    assert found.total is None
    assert found.missing == {
        "neurons": ("the count 'active' (record the membranes)", "the count 'idle' (record the membranes)")
    }


def test_a_chip_without_hops_needs_no_figure_for_them() -> None:
    figures = {name: figure for name, figure in chip("loihi1").figures.items() if not name.startswith("energy.hop")}
    found = ledger(replace(chip("loihi1"), figures=figures), COUNTS | {"hops": 0})
    assert found.total is not None
    assert "hops" not in found.by_cause


@pytest.mark.parametrize("name", ["loihi1", "sanafe-loihi", "odin", "example"])
def test_the_parts_of_places_add_up_to_what_is_known(name: str) -> None:
    rng = np.random.default_rng(0)
    places = {key: rng.integers(0, 50, (4, 3)) for key in COUNTS}
    sums = {key: float(array.sum()) for key, array in places.items()}
    assert energies(chip(name), places).sum() == pytest.approx(ledger(chip(name), sums).known.value, rel=1e-12)
