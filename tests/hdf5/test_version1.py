"""Files of version 1: read exactly, and neither version takes the fields of the other."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import neurosam as ns
from neurosam._util.arguments import identical
from neurosam.errors import FormatError
from neurosam.hdf5 import load, load_network, load_recording, save
from neurosam.hdf5.schema import LAYOUTS, RECORDS
from neurosam.hdf5.version1 import NEW_FIELDS, NEW_TYPES, OLD_FIELDS, OLD_NAMES
from neurosam.network.fixed_neuron import FixedLIF, FixedReadout
from neurosam.network.network import Network
from neurosam.signals.events import Events
from neurosam.signals.inputs import Inputs
from neurosam.signals.recording import Record
from neurosam.signals.state import State
from support.networks import KINDS, random_case

GOLDEN = sorted((Path(__file__).parents[1] / "golden").glob("lava-*"))
"""Genuine files of version 1, which tests/golden/write_lava.py wrote."""


def records(group: Any) -> Iterator[tuple[str, Any]]:
    """Every record of a file with its type; the root's is that of its format."""
    kind = group.attrs.get("type", group.attrs.get("format"))
    if kind is not None:
        yield (
            kind.decode().removeprefix("neurosam-").replace("network", "Network").replace("recording", "Recording"),
            group,
        )
    for member in group.values():
        if isinstance(member, h5py.Group):
            yield from records(member)


def to_version_1(path: Path) -> None:
    """Turn a file without what is new in versions 2 and 3 into what version 1 wrote."""
    by_name = {kind.__name__: kind for kind in RECORDS}
    with h5py.File(path, "r+") as root:
        root.attrs["version"] = np.int64(1)
        root.attrs.pop("digest", None)
        for name, group in list(records(root)):
            for field in NEW_FIELDS.get(by_name.get(name, Events), ()):
                for part in (group.attrs, group):
                    part.pop(field, None)
            for new, old in OLD_NAMES.get(by_name.get(name, Events), {}).items():
                if new in group and (by_name[name], new) not in OLD_FIELDS:
                    group.move(new, old)
        if "outputs" in root:
            output = root["outputs/0"].attrs["name"].decode()
            root.attrs.create("output", output, dtype=h5py.string_dtype("utf-8", len(output)))
            del root["outputs"]


@pytest.mark.parametrize("folder", GOLDEN, ids=lambda folder: folder.name)
def test_a_network_of_version_1_is_read_as_it_is_stored(folder: Path) -> None:
    network = load_network(folder / "network.h5")
    with h5py.File(folder / "network.h5") as file:
        assert file.attrs["version"] == 1
        output = file.attrs["output"].decode()
        stored = {group.attrs["name"].decode(): group for group in file["populations"].values()}
        assert network.answers == {output: "count" if network[output].fires else "last"}
        assert [p.name for p in network.populations] == [
            file[f"populations/{place}"].attrs["name"].decode() for place in range(len(stored))
        ]
        for population in network.populations:
            neuron = population.neuron
            if neuron is None:
                continue
            for field in type(neuron).__dataclass_fields__:
                old = OLD_NAMES.get(type(neuron), {}).get(field, field)
                group, value = stored[population.name]["neuron"], getattr(neuron, field)
                if old in group:
                    np.testing.assert_array_equal(value, group[old][()])
                elif old in group.attrs:
                    assert value == (text.decode() if isinstance(text := group.attrs[old], bytes) else text)
                else:
                    assert value is None or value == type(neuron).__dataclass_fields__[field].default, field


@pytest.mark.parametrize("folder", GOLDEN, ids=lambda folder: folder.name)
def test_what_was_read_is_written_as_version_4(folder: Path, tmp_path: Path) -> None:
    for name in ("network", "events", "recording"):
        value = load(folder / f"{name}.h5")
        save(value, tmp_path / "new.h5")
        with h5py.File(tmp_path / "new.h5") as file:
            assert file.attrs["version"] == 4
        assert identical(load(tmp_path / "new.h5"), value)
    assert identical(load_recording(folder / "recording.h5", mapped=True), load(folder / "recording.h5"))


@pytest.mark.parametrize("fixed", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_any_plain_network_and_its_recording(kind: str, fixed: bool, tmp_path: Path) -> None:
    """What has nothing new is the same in all versions."""
    for seed in range(3):
        network, events = random_case(np.random.default_rng(seed), kind, fixed=fixed)
        recording = ns.run(network, events, "reference", Record.everything(network))
        plain = ns.Recording(**{**vars(recording), "saturated": {}, "wrapped": {}})
        for value in (network, plain):
            save(value, tmp_path / "a.h5")
            to_version_1(tmp_path / "a.h5")
            assert identical(load(tmp_path / "a.h5"), value)


def test_the_tables_name_what_exists() -> None:
    """A wrong name in the table of version 1 would be ignored in silence."""
    for kind, fields in NEW_FIELDS.items():
        assert fields <= RECORDS[kind].keys()
    for kind, names in OLD_NAMES.items():
        assert names.keys() <= RECORDS[kind].keys()
    assert LAYOUTS[1].keys() == LAYOUTS[2].keys() - NEW_TYPES
    assert list(LAYOUTS[1][Network]) == ["populations", "projections", "sam", "precision", "output", "metadata"]


def refused(path: Path, match: str) -> None:
    with pytest.raises(FormatError, match=match):
        load(path)


@pytest.fixture
def old(tmp_path: Path) -> Path:
    path = tmp_path / "old.h5"
    path.write_bytes((GOLDEN[0] / "network.h5").read_bytes())
    return path


def neuron_of(root: Any, kind: type) -> Any:
    return next(group for name, group in records(root) if name == kind.__name__)


@pytest.mark.parametrize(
    ("kind", "field"), [(kind, f) for kind in (FixedLIF, FixedReadout) for f in sorted(NEW_FIELDS[kind])]
)
def test_version_1_with_a_field_of_version_2(kind: type, field: str, old: Path) -> None:
    with h5py.File(old, "r+") as root:
        group = neuron_of(root, kind)
        if RECORDS[kind][field].attribute:
            group.attrs[field] = np.int64(1)
        else:
            group.create_dataset(field, data=np.int32(1))
    refused(old, rf"neuron has the unknown \w+\(s\) '{field}'; the format knows")


def test_version_1_with_outputs_or_parameters_per_neuron(old: Path) -> None:
    before = old.read_bytes()
    with h5py.File(old, "r+") as root:
        del root.attrs["output"]
        root.create_group("outputs")
    refused(old, r"unknown member\(s\) 'outputs'")
    old.write_bytes(before)
    with h5py.File(old, "r+") as root:
        group = neuron_of(root, FixedLIF)
        del group["threshold"]
        group["threshold"] = np.ones((2, 3, 3), "<i4")
    refused(old, r"threshold has shape \(2, 3, 3\); 0 or 1 dimension")


def test_a_file_whose_version_is_wrong(old: Path, tmp_path: Path) -> None:
    network = load_network(old)
    with h5py.File(old, "r+") as root:
        root.attrs["version"] = np.int64(2)
    refused(old, r"unknown attribute\(s\) 'output'")
    save(network, tmp_path / "new.h5")
    with h5py.File(tmp_path / "new.h5", "r+") as root:
        root.attrs["version"] = np.int64(1)
        del root.attrs["digest"]
    refused(tmp_path / "new.h5", r"unknown member\(s\) 'outputs'")


def test_kinds_that_version_1_did_not_have(tmp_path: Path) -> None:
    events = Events.from_dense(np.ones((2, 1, 3)))
    for value, what in ((State(1, 1, {}), "a state"), (Inputs({"a": events}), "events of several inputs")):
        save(value, tmp_path / "new.h5")
        with h5py.File(tmp_path / "new.h5", "r+") as root:
            root.attrs["version"] = np.int64(1)
        refused(tmp_path / "new.h5", f"has version 1 of the format, which does not have {what}")
