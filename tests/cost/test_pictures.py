"""Pictures of a cost: every core at its own place, the right bars, what is unknown left out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tomllib", reason="in the standard library since Python 3.11")
pytest.importorskip("matplotlib")

import neurosam as ns
from neurosam_hw import chips as shipped
from neurosam_hw.chips import load_chip
from neurosam_hw.cost import Cost, cost
from neurosam_hw.cost.pictures import chip_picture, over_steps, svg
from neurosam_hw.mapping import CoreMapping, Piece
from neurosam_hw.mapping.floor import Floor

FOLDER = Path(shipped.__path__[0])
NET = ns.Network(
    [ns.Population("in", (3,)), ns.Population("a", (6,), ns.FixedLIF(410, 40, reset="zero"))],
    [ns.Projection("in", "a", ns.Dense(np.arange(18, dtype=np.int8).reshape(6, 3)))],
)


def mapping(chip: str, positions: list[list[int]]) -> CoreMapping:
    pieces = [Piece("a", core, neurons=np.array([core])) for core in range(6)]
    return CoreMapping(NET, load_chip(FOLDER / f"{chip}.toml"), tuple(pieces), np.array(positions))


def found(chip: str = "loihi1") -> Cost:
    events = ns.Events.from_dense(np.random.default_rng(0).random((4, 2, 3)) < 0.5)
    recording = ns.run(NET, events, "reference", ns.Record.everything(NET))
    return cost(mapping(chip, [[0, core] for core in range(6)]), recording, events, what_if=True)


def test_cores_stand_in_their_tiles() -> None:
    floor = Floor.of(mapping("loihi1", [[0, 0], [0, 1], [0, 2], [0, 4], [0, 16], [1, 0]]))
    tile, chip = 2.35, 4 * 2.35 + 1  # four cores a tile, four rows; two chips, one under the other
    places = np.array([[0, 0], [1, 0], [0, 1], [0, tile], [tile, 0], [0, chip]])
    np.testing.assert_allclose(floor.used, places, atol=1e-12)
    everything = np.concatenate([floor.used, floor.unused])
    assert len(everything) == 2 * 128
    assert len(np.unique(everything.round(6), axis=0)) == 2 * 128
    assert (everything >= 0).all()
    assert (everything.max(axis=0) + 1 <= [floor.width + 1e-9, floor.height + 1e-9]).all()


def test_without_a_mesh_the_cores_in_use_are_in_rows() -> None:
    floor = Floor.of(mapping("spinnaker2", [[0, core] for core in range(6)]))
    assert floor.used.tolist() == [[0, 0], [1, 0], [2, 0], [3, 0], [0, 1], [1, 1]]
    assert len(floor.unused) == 0


def heights(axes: Any) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.array([sum(bar.get_height() for bar in bars) for bars in zip(*axes.containers, strict=True)])


def test_bars_are_the_energy_and_the_time_of_each_step() -> None:
    one = found()
    spikes, energy, time = over_steps(one).axes
    counted = one.work["spikes"]
    assert counted is not None
    assert one.duration.step is not None
    np.testing.assert_allclose(heights(spikes), counted.sum(axis=1) / 2)
    np.testing.assert_allclose(heights(energy) * 1e-12, one.step_j)
    assert energy.get_ylabel() == "energy, pJ"
    np.testing.assert_allclose(heights(time) * 1e-9, one.duration.step.value.mean(axis=1))
    assert time.get_ylabel() == "time, ns"


def test_what_is_unknown_has_no_panel() -> None:
    assert [axes.get_ylabel() for axes in over_steps(found("spinnaker2")).axes] == ["spikes", "energy, nJ"]
    titles = {axes.get_title() for axes in chip_picture(found("loihi2")).axes} - {""}
    assert titles == {"layers", "synaptic operations"}


def test_the_chip_by_energy_work_and_time() -> None:
    titles = {axes.get_title() for axes in chip_picture(found()).axes} - {""}
    assert titles == {"layers", "energy, pJ", "synaptic operations", "time at work, ns"}


def test_the_files_are_svg_without_a_date_and_without_requests() -> None:
    text = svg(over_steps(found())).decode()
    assert "<svg" in text
    assert "dc:date" not in text
    assert "<script" not in text
    assert "<image" not in text
