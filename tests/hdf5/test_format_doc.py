"""FORMAT.md is accurate: its tables match files as they are written, and its reader runs."""

from __future__ import annotations

import dataclasses
import doctest
import re
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
import pytest

from neurosam.hdf5 import VERSION, save, version2, version3
from neurosam.hdf5.schema import RECORDS
from neurosam.hdf5.version1 import NEW_FIELDS, OLD_NAMES
from neurosam.network.elements import Population, Projection
from neurosam.network.fixed_neuron import FixedLIF, FixedReadout
from neurosam.network.network import Network
from neurosam.network.neuron import LIF, Readout
from neurosam.network.synapse import Conv2d, Dense, MaxPool2d, Sparse, SumPool2d
from neurosam.network.trace import SamTrace
from neurosam.signals.events import Events
from neurosam.signals.recording import Recording, Spikes
from neurosam.signals.state import State

TEXT = resources.files("neurosam").joinpath("FORMAT.md").read_text(encoding="utf-8")
NUMBERS = ("int8", "int16", "int32", "int64", "uint64", "float32", "float64")


class Row(NamedTuple):
    place: str
    type: str
    optional: bool


def documented() -> dict[str, dict[str, Row]]:
    """Record by record, field by field, what the tables of FORMAT.md say."""
    tables = {}
    for part in TEXT.split("\n### `")[1:]:
        name, _, body = part.partition("`")
        rows = re.findall(r"^\| `(\w+)` \| (\w+) \| (.+?) \| (yes|no) \|", body, re.MULTILINE)
        tables[name] = {
            field: Row(place, kind.replace("`", ""), answer == "yes") for field, place, kind, answer in rows
        }
    return tables


def everything(folder: Path) -> list[Path]:
    """Files that together have every type of record with every field."""
    zeros = np.zeros((4, 3))
    lif = LIF(
        0.9, 1.0, reset_amount=0.5, current_leak=0.5, gain=zeros, offset=zeros, lower_bound=-1.0, threshold_leak=0.5,
        threshold_step=0.1,
    )  # fmt: skip
    other = LIF(0.9, 1.0, "value", reset_value=0.5)
    relative = LIF(0.9, 1.0, "relative", relative_leak=0.5)
    conv = Conv2d(np.ones((3, 2, 1, 1)))
    pool = SumPool2d(2)
    floats = Network(
        (
            Population("in", (2, 4, 4)), Population("a", (3, 2, 1), lif, onset=1, pool=MaxPool2d((1, 2))),
            Population("b", (12,), other), Population("c", (12,), relative),
            Population("out", (5,), Readout(current_leak=0.5)),
        ),
        (
            Projection("in", "a", conv, pool=pool), Projection("a", "b", Dense(np.ones((12, 6)))),
            Projection("b", "c", Dense(np.ones((12, 12)))), Projection("c", "out", Dense(np.ones((5, 12)))),
        ),
        {"a": SamTrace()},
    )  # fmt: skip
    table = np.ones((4, 1), dtype=int)
    fixed = FixedLIF(
        0, 1, reset_amount_64ths=3, current_decay=0, gain=table, offset_64ths=table, lower_bound_64ths=-1,
        threshold_decay=1, threshold_step_64ths=1,
    )  # fmt: skip
    valued = FixedLIF(0, 1, "value", reset_value_64ths=3)
    sinking = FixedLIF(0, 1, "relative", relative_decay=1)
    one = Sparse.one_to_one((2,), 1)
    integers = Network(
        (
            Population("in", (2,)), Population("a", (2,), fixed), Population("b", (2,), valued),
            Population("c", (2,), sinking), Population("out", (2,), FixedReadout(membrane_decay=1, current_decay=1)),
        ),
        (
            Projection("in", "a", one), Projection("a", "b", one), Projection("b", "c", one),
            Projection("c", "out", Dense(np.ones((2, 2), dtype=int)), delay=2),
        ),
        outputs={"out": "mean"},
    ).with_sam()  # fmt: skip
    values, counts = {"a": np.zeros((4, 1, 2))}, {"a": np.zeros(1, dtype=np.int64)}
    state = State(4, 1, {"a": {"v": np.zeros((1, 2))}}, {"a": np.zeros((1, 1, 2))}, {"b": np.zeros((1, 2))})
    recording = Recording(
        "event", 4, 1, np.zeros((1, 2)), {"a": Spikes.from_dense(np.full((4, 1, 2), 3), graded=True)},
        {"a": np.zeros((4, 1, 1, 1))}, {"a": 1.0}, values, values, {"a": np.zeros((4, 1), dtype=np.int64)},
        {"in->a": 3}, 0.5, {"b": np.zeros((1, 2))}, counts, counts, state, 2,
    )  # fmt: skip
    events = Events.from_dense(np.full((4, 1, 2), 3))
    save(floats, folder / "floats")
    save(integers, folder / "integers")
    save(recording, folder / "recording")
    save(state, folder / "state")
    save(events, folder / "events")
    save({"left": events, "right": events}, folder / "inputs")
    return sorted(folder.iterdir())


def dtype_name(item: Any) -> str:
    return "text" if h5py.check_string_dtype(item.dtype) else str(item.dtype)


def walk(group: Any, record: str, stored: dict[str, dict[str, tuple[str, str]]]) -> None:
    """Collect place and type of every field of every record of a file."""
    fields = stored.setdefault(record, {})
    for name in group.attrs.keys() - {"type", "format", "version", "producer", "digest"}:
        fields[name] = ("attribute", dtype_name(group.attrs.get_id(name)))
    for name, member in group.items():
        if isinstance(member, h5py.Dataset):
            fields[name] = ("dataset", dtype_name(member))
        elif "type" in member.attrs:
            fields[name] = ("group", inner(member, stored))
        else:
            kinds = [inner(member[str(place)], stored) for place in range(len(member))]
            assert len(member) == len(kinds) > 0, f"{record}.{name} is empty: nothing to compare"
            fields[name] = ("group", kinds[0])


def inner(entry: Any, stored: dict[str, dict[str, tuple[str, str]]]) -> str:
    """What an entry is: a record, or the named value of a mapping."""
    if "type" in entry.attrs:
        record = str(entry.attrs["type"].decode())
        walk(entry, record, stored)
        return record
    assert "name" in entry.attrs
    if "value" in entry.attrs:
        return dtype_name(entry.attrs.get_id("value"))
    value = entry["value"]
    if isinstance(value, h5py.Dataset):
        return dtype_name(value)
    return inner(value if "type" in value.attrs else value["0"], stored)


def test_tables_are_what_files_hold(tmp_path: Path) -> None:
    stored: dict[str, dict[str, tuple[str, str]]] = {}
    for path in everything(tmp_path):
        with h5py.File(path) as file:
            walk(file, file.attrs["format"].decode().removeprefix("neurosam-").capitalize(), stored)
    tables = documented()
    assert {name: set(fields) for name, fields in stored.items()} == {
        name: set(fields) for name, fields in tables.items()
    }
    for record, fields in stored.items():
        for name, (place, kind) in fields.items():
            row = tables[record][name]
            assert place == row.place, f"{record}.{name}"
            assert kind in re.split(r"\W+", row.type), f"{record}.{name}"


def test_tables_are_the_schema() -> None:
    tables = documented()
    assert [kind.__name__ for kind in RECORDS] == sorted(tables, key=[kind.__name__ for kind in RECORDS].index)
    for kind, fields in RECORDS.items():
        rows = tables[kind.__name__]
        assert list(rows) == list(fields) == [field.name for field in dataclasses.fields(kind)]
        assert {name: row.optional for name, row in rows.items()} == {name: f.optional for name, f in fields.items()}
        for name, field in fields.items():
            allowed = {np.dtype(dtype).name for dtype in getattr(field, "dtypes", ())}
            assert allowed <= set(re.split(r"\W+", rows[name].type)), f"{kind.__name__}.{name}"
            assert (rows[name].place == "attribute") == field.attribute


def test_optional_means_that_what_is_absent_is_the_default() -> None:
    for kind, fields in RECORDS.items():
        defaults = {field.name: field.default for field in dataclasses.fields(kind)}
        assert all(defaults[name] == field.absent for name, field in fields.items() if field.optional)


def test_version_1_is_the_one_described() -> None:
    """The table of what version 1 lacks, with the defaults that its absence means, and the old names."""
    section = TEXT.split("\n## Version 1\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| (`.*) \|$", section, re.MULTILINE)
    described = {kind: re.findall(r"`(\w+)`(?: \((?:`(\w+)`|([\w ]+))\))?", cells) for kind, cells in rows}
    by_name = {kind.__name__: kind for kind in RECORDS}
    assert described.keys() == {kind.__name__ for kind in NEW_FIELDS}
    for name, fields in described.items():
        kind = by_name[name]
        assert {field for field, _, _ in fields} == NEW_FIELDS[kind]
        defaults = {field.name: field for field in dataclasses.fields(kind)}
        for field, text, value in fields:
            default = defaults[field].default
            if value == "no entries" or (name == "Recording" and default is dataclasses.MISSING):
                assert defaults[field].default_factory is dict
            elif text or value:
                assert default == (text or float(value)), f"{name}.{field}"
            else:
                assert default is None, f"{name}.{field}"
    for new, old in ((new, old) for names in OLD_NAMES.values() for new, old in names.items()):
        assert f"`{old}`" in section
        assert f"`{new}`" in section


@pytest.mark.parametrize("version", [2, 3])
def test_versions_2_and_3_are_those_described(version: int) -> None:
    section = TEXT.split(f"\n## Version {version}\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| (`.*) \|$", section, re.MULTILINE)
    described = {kind: set(re.findall(r"`(\w+)`", cells)) for kind, cells in rows}
    new = {2: version2.NEW_FIELDS, 3: version3.NEW_FIELDS}[version]
    assert described == {kind.__name__: fields for kind, fields in new.items()}


def test_version_is_the_one_described() -> None:
    assert re.match(r"# The file format of neurosam, version (\d+)\n", TEXT)
    assert int(re.findall(r"version (\d+)", TEXT)[0]) == VERSION


def test_reader_of_the_document_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    source = "\n".join(re.findall(r"^```python\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL))
    test = doctest.DocTestParser().get_doctest(source, {}, "FORMAT.md", "FORMAT.md", 0)
    assert len(test.examples) > 15
    report: list[str] = []
    failed, _ = doctest.DocTestRunner(verbose=False).run(test, out=report.append)
    assert not failed, "".join(report)
    assert (tmp_path / "network.h5").exists()
