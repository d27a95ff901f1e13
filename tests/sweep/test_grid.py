"""A table of settings in, a tidy table out: what each setting does, and what is measured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import neurosam as ns
from neurosam.signals.inputs import Inputs
from neurosam.sweep import Spikes, Workers, grid_sweep, read_table, settings_of
from neurosam.sweep import measures as measures_module
from neurosam.sweep.grid import Setting, with_setting, write_table
from support.sweeping import network, pictures, stimulus

SAMPLES = 9


@pytest.fixture
def workers() -> Iterator[Workers]:
    with ThreadPoolExecutor(2) as executor:
        yield Workers(executor)


def float_network() -> ns.Network:
    rng = np.random.default_rng(0)
    neuron = ns.LIF(leak=0.9, threshold=1.0, reset="subtract", reset_amount=0.5)
    return ns.Network(
        [
            ns.Population("in", (1, 8, 8)), ns.Population("conv", (4, 6, 6), neuron),
            ns.Population("out", (3,), ns.Readout()),
        ],
        [
            ns.Projection("in", "conv", ns.Conv2d(rng.normal(0.1, 0.3, (4, 1, 3, 3)))),
            ns.Projection("conv", "out", ns.Dense(rng.normal(0, 1, (3, 144)))),
        ],
    ).with_sam()  # fmt: skip


def test_a_table_is_read(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("\ufeffgamma,bits,mode\n0.5,,strict\n,4,\n,,\n")
    assert read_table(path) == [Setting(gamma=0.5, mode="strict"), Setting(bits=4), Setting()]
    assert settings_of([{"gamma": 0.5, "mode": "strict"}, {"bits": 4}, {"steps": None}]) == read_table(path)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("gama\n1\n", "row 1: gama: is beyond the columns that are known: network, threshold, gamma"),
        ("gamma\n1,2\n", "row 1: a cell: is beyond the columns"),
        ("gamma\n0.5\nfast\n", "row 2: gamma: got 'fast'; a number is required"),
        ("bits\n4.5\n", "row 1: bits: got '4.5'; an integer is required"),
        ("threshold\n0\n", "row 1: threshold: got 0.0; a number above 0 is required"),
        ("gamma\nnan\n", "row 1: gamma: got nan"),
        ("mode\nloose\n", "row 1: mode: got 'loose'; allowed are strict, inclusive, official"),
        ("bits,precision\n8,float\n", "row 1: bits: got 8 with precision float"),
        ("gamma\n", "has no rows"),
    ],
)
def test_mistakes_in_a_table(text: str, says: str, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text(text)
    with pytest.raises(ns.ArgumentError) as caught:
        read_table(path)
    assert says in str(caught.value)
    assert "t.csv" in str(caught.value)


def test_what_a_setting_does_to_a_network() -> None:
    plain, net = float_network(), network()
    scaled = with_setting(plain, Setting(threshold=2.0), None, 6)["conv"].neuron
    assert isinstance(scaled, ns.LIF)
    assert (float(scaled.threshold), float(np.asarray(scaled.reset_amount))) == (2.0, 1.0)
    fixed = with_setting(net, Setting(threshold=2.0), None, 6)["conv"].neuron
    assert isinstance(fixed, ns.FixedLIF)
    assert int(np.asarray(fixed.threshold)) == 180
    traced = with_setting(plain, Setting(gamma=1.25, mode="inclusive"), None, 6).sam["conv"]
    assert (traced.gamma, traced.mode) == (1.25, "inclusive")
    quantised = with_setting(plain, Setting(bits=4, precision="nxsdk"), None, 6)
    assert quantised == ns.quantise(plain, ns.Precision.nxsdk(4))[0]
    assert with_setting(plain, Setting(precision="float"), None, 6) == plain


def test_the_rows_are_what_runs_give(tmp_path: Path, workers: Workers) -> None:
    net, source = network(), pictures(SAMPLES)
    labels = np.arange(SAMPLES) % 3
    settings = settings_of([{}, {"threshold": 1.5}, {"gamma": 2}, {"steps": 4, "seed": 9}, {}])
    rows = grid_sweep({"n.h5": net}, "n.h5", settings, source, file_of(net, tmp_path, workers), tmp_path, labels=labels)
    made = [
        ns.run(changed, stimulus_.encode(source.images, seed), record=ns.Record(sam=("conv",)))
        for changed, stimulus_, seed in (
            (net, stimulus(), 3), (with_setting(net, settings[1], None, 6), stimulus(), 3),
            (with_setting(net, settings[2], None, 6), stimulus(), 3), (net, replace(stimulus(), steps=4), 9),
        )
    ]  # fmt: skip
    for row, recording in zip(rows, made, strict=False):
        assert row["spikes"] == int(recording.counts["conv"].sum()) / SAMPLES
        assert row["operations"] == sum(recording.operations.values()) / SAMPLES
        assert row["accuracy"] == np.mean(recording.predictions == labels)
        assert row["agreement"] == np.mean(recording.predictions == made[0].predictions)
        sums = [r.sam["conv"].sum(axis=0).reshape(SAMPLES, -1) / r.sam_scale["conv"] for r in (recording, made[0])]
        expected = np.mean([np.corrcoef(a, b)[0, 1] for a, b in zip(*sums, strict=True)])
        assert row["sam_correlation"] == pytest.approx(expected, abs=1e-12)
    assert rows[4] == rows[0]
    assert rows[1]["spikes"] < rows[0]["spikes"]
    assert len(list(tmp_path.glob("row-*.npz"))) == 4  # equal rows are measured once


def file_of(net: ns.Network, folder: Path, workers: Workers) -> Workers:
    """The workers, once the file of the network is where they look for it."""
    import os

    os.chdir(folder)
    net.save("n.h5")
    return workers


@pytest.fixture(autouse=True)
def _back(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


def test_rows_that_are_finished_are_not_measured_again(
    tmp_path: Path, workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    net, one = network(), measures_module.measure
    measured: list[int] = []

    def noted(row: measures_module.Row) -> None:
        measured.append(row.number)
        one(row)

    monkeypatch.setattr(measures_module, "measure", noted)
    settings = settings_of([{}, {"threshold": 1.5}, {"gamma": 2}])
    arguments = ({"n.h5": net}, "n.h5", settings, pictures(SAMPLES), file_of(net, tmp_path, workers), tmp_path)
    before = grid_sweep(*arguments)
    assert sorted(measured) == [1, 2, 3]
    next(iter(sorted(tmp_path.glob("row-*.npz")))).unlink()
    assert grid_sweep(*arguments) == before
    assert len(measured) == 4


def test_a_row_that_does_not_fit_is_named(tmp_path: Path, workers: Workers) -> None:
    net = network()
    file_of(net, tmp_path, workers)
    events = Spikes(net, pictures(3).inputs(net))
    for row, source, says in (
        ({"bits": 4}, events, "row 2: precision, bits: quantise a float network, and this one is in fixed point"),
        ({"steps": 9}, events, "row 2: steps, coding, seed: are for images"),
        ({"backend": "none"}, events, "row 2: back end 'none'"),
        ({"chip": "loihi1"}, events, "row 2: chip: needs a package that knows chips"),
    ):
        with pytest.raises(ns.NeurosamError) as caught:
            grid_sweep({"n.h5": net}, "n.h5", settings_of([{}, row]), source, workers, tmp_path)
        assert str(caught.value).startswith(says)


def test_energy_is_asked_for_where_a_chip_is_named(tmp_path: Path, workers: Workers) -> None:
    net = network()
    settings = settings_of([{}, {"chip": "loihi1"}])

    def energy(priced: ns.Network, chip: str, inputs: Inputs) -> Mapping[str, Any]:
        assert priced == net
        return {"energy_j": 1e-6 * inputs.samples, "latency_s": None, "cost": f"on {chip}"}

    rows = grid_sweep(
        {"n.h5": net}, "n.h5", settings, pictures(3), file_of(net, tmp_path, workers), tmp_path, energy=energy
    )
    assert [row["energy_j"] for row in rows] == [None, 3e-6]
    assert rows[1]["cost"] == "on loihi1"


def test_energy_of_the_chips_that_are_known() -> None:
    pytest.importorskip("tomllib", reason="chips are read with it")
    from neurosam_hw.chips import load_chip
    from neurosam_hw.cost import cost
    from neurosam_hw.cost.energies import energy
    from neurosam_hw.mappers import map_network

    net = network()
    inputs = pictures(2).inputs(net)
    found = energy(net, "loihi1", inputs)
    recording = ns.run(net, inputs, record=ns.Record.everything(net))
    expected = cost(map_network(net, load_chip("loihi1")), recording, inputs, what_if=True)
    assert expected.total is not None
    assert found["energy_j"] == expected.total.value
    assert str(expected.total) in found["cost"]


def test_a_table_is_written_as_text() -> None:
    assert write_table([{"a": None, "b": 0.1}, {"a": "x, y", "b": 2}]) == 'a,b\n,0.1\n"x, y",2\n'
