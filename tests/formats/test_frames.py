"""Tables and data sets hold the numbers of the recording, each at its own step, sample and place."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

import neurosam as ns
from neurosam.formats import frames
from neurosam.formats.frames import to_numpy, to_pandas, to_xarray

pytest.importorskip("pandas")
pytest.importorskip("xarray")

RNG = np.random.default_rng(7)
GRADED = ns.FixedLIF(membrane_decay=0, current_decay=900, threshold=40, reset="subtract", max_spikes=3)


@pytest.fixture(scope="module")
def recording() -> ns.Recording:
    """Of a fixed-point network of three layers: a map with channels, a current, several spikes per step."""
    net = ns.Network(
        [
            ns.Population("in", (2, 5, 4)),
            ns.Population("a", (3, 4, 3), ns.FixedLIF(membrane_decay=400, threshold=60, reset="subtract")),
            ns.Population(
                "b",
                (6,),
                ns.FixedLIF(membrane_decay=0, current_decay=900, threshold=40, reset="subtract", max_spikes=3),
            ),
            ns.Population("out", (4,), ns.FixedReadout()),
        ],
        [
            ns.Projection("in", "a", ns.Conv2d(RNG.integers(-30, 60, (3, 2, 2, 2)))),
            ns.Projection("a", "b", ns.Dense(RNG.integers(-30, 50, (6, 36)))),
            ns.Projection("b", "out", ns.Dense(RNG.integers(-30, 50, (4, 6)))),
        ],
        outputs=["out", "b"],
    ).with_sam()
    events = ns.Events.from_dense((RNG.random((11, 3, 2, 5, 4)) < 0.4).astype(np.uint8))
    return ns.run(net, events, "reference", ns.Record.everything(net))


def test_a_table_of_spikes_has_a_row_for_each(recording: ns.Recording, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frames, "BLOCK_BYTES", 8 * 3 * 36 * 2)  # blocks of two steps, and a last one of one
    table = to_pandas(recording)
    assert list(table) == ["step", "sample", "population", "neuron", "c", "y", "x", "value"]
    for name in ("a", "b"):
        rows, dense = table[table["population"] == name], recording.spikes[name].dense()
        again = np.zeros(dense.reshape(11, 3, -1).shape, dense.dtype)
        again[rows["step"], rows["sample"], rows["neuron"]] = rows["value"]
        np.testing.assert_array_equal(again.reshape(dense.shape), dense)
        chw = (*dense.shape[2:], 1, 1)[:3]
        np.testing.assert_array_equal(rows["neuron"], np.ravel_multi_index((rows["c"], rows["y"], rows["x"]), chw))
    assert table["value"].max() == 3


def test_maps_membranes_and_answers_as_tables(recording: ns.Recording) -> None:
    maps = to_pandas(recording, "sam")
    a = maps[maps["population"] == "a"]
    values = recording.sam["a"][a["step"], a["sample"], a["y"], a["x"]]
    np.testing.assert_array_equal(a["value"] * recording.sam_scale["a"], values)
    assert len(a) == np.count_nonzero(recording.sam["a"])
    membranes = to_pandas(recording, "membrane")
    np.testing.assert_array_equal(membranes[membranes["population"] == "a"]["value"], recording.membrane["a"].ravel())
    counts = to_pandas(recording, "counts")
    np.testing.assert_array_equal(counts[counts["population"] == "in"]["value"], recording.counts["in"].ravel())
    answers = to_pandas(recording, "output")
    first = answers[answers["output"] == ""]
    np.testing.assert_array_equal(first["value"], recording.output.ravel())
    np.testing.assert_array_equal(first[first["predicted"]]["class"], recording.predictions)
    assert set(answers["output"]) == {"", "b"}
    operations = to_pandas(recording, "operations")
    assert dict(zip(operations["projection"], operations["value"], strict=True)) == recording.operations


def test_nothing_recorded_is_a_table_without_rows(recording: ns.Recording) -> None:
    bare = ns.Recording("event", 2, 1, np.zeros((1, 2)))
    assert list(to_pandas(bare)) == ["step", "sample", "population", "value"]
    assert not len(to_pandas(bare))


def test_a_data_set_has_names_for_every_axis(recording: ns.Recording) -> None:
    data = to_xarray(recording)
    assert data["a_spikes"].dims == ("step", "sample", "a_c", "a_y", "a_x")
    assert data["b_current"].dims == ("step", "sample", "b_c")
    np.testing.assert_array_equal(data["a_spikes"].sel(step=4, sample=2), recording.spikes["a"].dense()[4, 2])
    np.testing.assert_array_equal(data["b_membrane"], recording.membrane["b"])
    assert data["b_membrane"].attrs["units"] == "1/64 weight"
    assert data["a_sam"].attrs["scale"] == recording.sam_scale["a"]
    np.testing.assert_array_equal(data["a_sam"].isel(a_y=1, a_x=2), recording.sam["a"][:, :, 1, 2])
    assert data["b_output"].shape == (3, 6)
    assert data.attrs["operations a->b"] == recording.operations["a->b"]


def test_arrays_survive_an_npz(recording: ns.Recording, tmp_path: Path) -> None:
    arrays = to_numpy(recording)
    np.savez(tmp_path / "recording.npz", **arrays)  # type: ignore[arg-type]
    with np.load(tmp_path / "recording.npz") as held:
        assert set(held) == set(arrays)
        np.testing.assert_array_equal(held["spikes.b"], recording.spikes["b"].dense())
        np.testing.assert_array_equal(held["output.b"], recording.other_outputs["b"])


def test_a_mapped_recording_stays_in_its_file(recording: ns.Recording, tmp_path: Path) -> None:
    recording.save(tmp_path / "recording.h5")
    mapped = ns.load_recording(tmp_path / "recording.h5", mapped=True)
    assert np.shares_memory(to_xarray(mapped)["a_membrane"].values, mapped.membrane["a"])
    assert np.shares_memory(to_numpy(mapped)["membrane.a"], mapped.membrane["a"])
    assert to_pandas(mapped).equals(to_pandas(recording))


def test_events() -> None:
    dense = RNG.integers(-1, 2, (4, 2, 1, 3, 2))
    events = ns.Events.from_dense(dense)
    table = to_pandas(events)
    np.testing.assert_array_equal(table["value"], dense[table["step"], table["sample"], 0, table["y"], table["x"]])
    assert len(table) == np.count_nonzero(dense)
    np.testing.assert_array_equal(to_xarray(events)["events"], dense)
    assert to_xarray(events)["events"].dims == ("step", "sample", "c", "y", "x")


def test_what_would_fill_the_memory_is_refused(recording: ns.Recording, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frames, "MOST_BYTES", 100)
    for convert in (to_numpy, to_xarray, to_pandas):
        with pytest.raises(ns.ArgumentError, match="select"):
            convert(recording)


def test_wrong_requests(recording: ns.Recording, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ns.ArgumentError, match="'rate'; allowed are spikes, sam"):
        to_pandas(recording, "rate")
    for package, convert in (("pandas", to_pandas), ("xarray", to_xarray)):
        monkeypatch.setitem(sys.modules, package, None)
        with pytest.raises(ns.BackendError, match=rf"to_{package}: needs {package}.*neurosam\[frames\]"):
            convert(recording)


def test_a_part_of_a_run_keeps_its_own_steps_and_has_no_output() -> None:
    spikes = ns.Spikes.from_dense(np.array([[[0, 1]], [[1, 0]]]))
    part = ns.Recording("dut", 2, 1, np.zeros((1, 0)), {"a": spikes}, membrane={"a": np.zeros((2, 1, 2))}, first_step=7)
    assert to_pandas(part)[["step", "neuron"]].to_numpy().tolist() == [[7, 1], [8, 0]]
    assert to_pandas(part, "membrane")["step"].tolist() == [7, 7, 8, 8]
    assert to_pandas(part, "output").empty
    data = to_xarray(part)
    assert data["step"].to_numpy().tolist() == [7, 8]
    assert set(data) == {"a_spikes", "a_membrane"}
    assert to_numpy(part)["first_step"] == 7
    assert not {"output", "predictions"} & to_numpy(part).keys()
