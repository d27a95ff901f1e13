"""What version 3 of the format added: pools in front of neurons; files of version 2 are read without."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import neurosam as ns
from golden.write_pooled import events, network
from neurosam._util.arguments import identical
from neurosam.errors import FormatError
from neurosam.hdf5 import load, load_network, load_recording, save
from neurosam.hdf5.schema import LAYOUTS, RECORDS
from neurosam.hdf5.version2 import NEW_FIELDS, NEW_TYPES
from support.agreement import assert_identical
from support.oracle import simulate

GOLDEN = Path(__file__).parents[1] / "golden"
FIXED = GOLDEN / "pooled-fixed"


@pytest.mark.parametrize("fixed", [True, False])
def test_golden_networks_are_read_as_they_were_written(fixed: bool, tmp_path: Path) -> None:
    path = GOLDEN / f"pooled-{'fixed' if fixed else 'float'}" / "network.h5"
    with h5py.File(path) as file:
        assert file.attrs["version"] == 3
    loaded = load_network(path)
    assert loaded == network(fixed)
    save(loaded, tmp_path / "again.h5")
    assert load_network(tmp_path / "again.h5") == loaded


@pytest.mark.parametrize("backend", ["reference", "event"])
def test_the_golden_run_is_still_that_of_the_file(backend: str) -> None:
    net, stored = load_network(FIXED / "network.h5"), load_recording(FIXED / "recording.h5")
    assert all(spikes.count() for spikes in stored.spikes.values())
    assert stored.same_as(ns.run(net, events(), backend, ns.Record.everything(net)))
    assert identical(load(FIXED / "events.h5"), events())


def test_the_golden_run_is_the_oracles() -> None:
    assert_identical(simulate(network(True), events()), load_recording(FIXED / "recording.h5"))


def test_the_tables_name_what_exists() -> None:
    for kind, fields in NEW_FIELDS.items():
        assert fields <= RECORDS[kind].keys()
    assert LAYOUTS[2].keys() == RECORDS.keys() - NEW_TYPES


def as_version_2(path: Path) -> Path:
    with h5py.File(path, "r+") as root:
        root.attrs["version"] = np.int64(2)
        del root.attrs["digest"]
    return path


@pytest.mark.parametrize("name", ["network", "recording", "state", "inputs"])
def test_files_without_a_pool_are_the_same_in_both_versions(name: str, tmp_path: Path) -> None:
    """The stored ones are genuine files of version 2."""
    old = GOLDEN / "options-fixed" / f"{name}.h5"
    with h5py.File(old) as file:
        assert file.attrs["version"] == 2
    value = load(old)
    save(value, tmp_path / "new.h5")
    assert identical(load(tmp_path / "new.h5"), value)
    assert identical(load(as_version_2(tmp_path / "new.h5")), value)


def test_a_pool_in_a_file_of_version_2(tmp_path: Path) -> None:
    save(network(True), tmp_path / "n.h5")
    with pytest.raises(FormatError, match=r"populations/1 has the unknown member\(s\) 'pool'; the format knows neuron"):
        load(as_version_2(tmp_path / "n.h5"))


@pytest.mark.parametrize(
    ("place", "attribute", "value", "match"),
    [
        ("populations/1/pool", "type", np.bytes_(b"SumPool2d"), "has the type 'SumPool2d'; known here are MaxPool2d"),
        ("populations/1/pool", "kernel", np.array([2, 0]), "MaxPool2d: kernel: got 0"),
        (
            "populations/1/pool",
            "kernel",
            np.array([2, 3]),
            r"pool: gives shape \(3, 4, 3\) from sums of shape \(3, 8, 8\); the population has",
        ),
        ("populations/1/pool", "padding", np.array([2, 0]), "must be smaller than the kernel"),
        ("populations/1/pool", "stride", np.array([1, 1, 1]), "got 3 numbers; 2 are required"),
        ("populations/2", "shape", np.array([8]), r"pool: gives \(C, H, W\); the population has shape \(8,\)"),
    ],
)
def test_hostile_pools_are_refused(place: str, attribute: str, value: Any, match: str, tmp_path: Path) -> None:
    save(network(True), tmp_path / "n.h5")
    with h5py.File(tmp_path / "n.h5", "r+") as root:
        root[place].attrs[attribute] = value
    with pytest.raises(FormatError, match=match):
        load(tmp_path / "n.h5")


def test_an_input_with_a_pool_is_refused(tmp_path: Path) -> None:
    save(network(True), tmp_path / "n.h5")
    with h5py.File(tmp_path / "n.h5", "r+") as root:
        root.copy("populations/1/pool", root["populations/0"], "pool")
    with pytest.raises(FormatError, match=r"pool: belongs to neurons, and an input has none"):
        load(tmp_path / "n.h5")


def test_a_part_of_a_run_in_a_file_of_version_3(tmp_path: Path) -> None:
    part = ns.Recording("dut", 2, 1, np.zeros((1, 0)), first_step=5)
    save(part, tmp_path / "part.h5")
    assert load_recording(tmp_path / "part.h5").first_step == 5
    with h5py.File(tmp_path / "part.h5", "r+") as root:
        del root.attrs["digest"]
        root.attrs.modify("version", np.int64(3))
    with pytest.raises(FormatError, match=r"has the unknown member\(s\) 'first_step'"):
        load(tmp_path / "part.h5")
