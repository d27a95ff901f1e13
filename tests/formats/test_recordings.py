"""Recordings of other implementations in files: read exactly, or refused with the file and the row."""

from __future__ import annotations

import pickle
import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import neurosam as ns
from neurosam.errors import FormatError
from neurosam.formats import recordings
from neurosam.formats.frames import to_numpy
from neurosam.formats.recordings import read_recording
from support.oracle import simulate


def network() -> ns.Network:
    rng = np.random.default_rng(0)
    lif = ns.FixedLIF(membrane_decay=300, current_decay=2000, threshold=80)
    made = ns.Network(
        [
            ns.Population("in", (1, 6, 6)),
            ns.Population("conv1", (2, 4, 4), lif),
            ns.Population("conv2", (3, 3, 3), lif),
            ns.Population("out", (2,), ns.FixedReadout()),
        ],
        [
            ns.Projection("in", "conv1", ns.Conv2d(rng.integers(-30, 60, (2, 1, 3, 3)).astype(np.int8))),
            ns.Projection("conv1", "conv2", ns.Conv2d(rng.integers(-30, 60, (3, 2, 2, 2)).astype(np.int8))),
            ns.Projection("conv2", "out", ns.Dense(rng.integers(-30, 60, (2, 27)).astype(np.int8))),
        ],
    )
    return made.with_sam(ns.SamTrace(0.5))


NETWORK = network()
HEADER = "step,sample,population,neuron\n"


def golden() -> ns.Recording:
    return simulate(NETWORK, ns.encode(np.random.default_rng(1).random((3, 1, 6, 6)), 6, seed=5))


def rows(made: ns.Recording) -> list[str]:
    found = []
    for name, spikes in made.spikes.items():
        dense = spikes.dense().reshape(made.steps, made.samples, -1)
        found += [f"{t},{b},{name},{n}" for t, b, n in np.argwhere(dense)]
    return found


def test_what_to_numpy_writes_is_read_back_bit_for_bit(tmp_path: Path) -> None:
    made = golden()
    np.savez(tmp_path / "oracle.npz", **to_numpy(made))  # type: ignore[arg-type]  # allow_pickle is no array
    again = read_recording(tmp_path / "oracle.npz", NETWORK)
    assert again.same_as(made)
    assert (again.backend, again.operations) == ("oracle", made.operations)


def test_a_part_of_a_run_keeps_its_first_step(tmp_path: Path) -> None:
    made = golden()
    part = ns.recording_from(NETWORK, membrane={"conv2": made.membrane["conv2"][2:]}, first_step=2, name="part")
    np.savez_compressed(tmp_path / "part.npz", **to_numpy(part))  # type: ignore[arg-type]  # likewise
    assert read_recording(tmp_path / "part.npz", NETWORK).same_as(part)


def test_spikes_are_read_from_rows_in_any_order(tmp_path: Path) -> None:
    made = golden()
    listed = rows(made)
    assert len(listed) > 100
    shuffled = np.random.default_rng(0).permutation(listed).tolist()
    path = tmp_path / "dut.csv"
    path.write_text("\ufeff" + HEADER + "\r\n".join(shuffled) + "\r\n\r\n", encoding="utf-8")
    again = read_recording(path, NETWORK, steps=6, samples=3)
    assert again.backend == "dut"
    assert not again.has_output
    assert list(again.spikes) != []
    assert {n: s.planes.tolist() for n, s in again.spikes.items()} == {
        n: s.planes.tolist() for n, s in made.spikes.items()
    }
    turned = [",".join(np.array(line.split(","))[[3, 2, 0, 1]]) for line in listed]
    path.write_text(" Neuron, population,STEP,sample\n" + "\n".join(turned))
    assert read_recording(path, NETWORK, steps=6, samples=3).same_as(again)
    sparse = np.argwhere(made.spikes["conv2"].dense().reshape(6, 3, -1))
    np.savez(tmp_path / "dut.npz", **{"spikes.conv2": sparse})  # type: ignore[arg-type]  # likewise
    columns = read_recording(tmp_path / "dut.npz", NETWORK, steps=6, samples=3)
    assert np.array_equal(columns.spikes["conv2"].planes, made.spikes["conv2"].planes)


def test_a_population_without_a_row_is_there_only_if_it_is_said_to_be(tmp_path: Path) -> None:
    path = tmp_path / "dut.csv"
    path.write_text(HEADER + "1,0,conv1,2\n")
    assert list(read_recording(path, NETWORK).spikes) == ["conv1"]
    told = read_recording(path, NETWORK, silent=("conv2", "conv1"))
    assert {name: spikes.count() for name, spikes in told.spikes.items()} == {"conv2": 0, "conv1": 1}


BAD_ROWS = [
    ("", "row 1: is ''; a header of step, sample, population, neuron is required"),
    ("step,sample,neuron\n0,0,1\n", "row 1: is 'step, sample, neuron'; a header"),
    ("0,0,conv1,3\n", "row 1: is '0, 0, conv1, 3'; a header"),
    (HEADER + "0,0,conv1\n", "row 2: has 3 fields"),
    (HEADER + "0,0,conv1,3\n0,0,conv1,3,1\n", "row 3: has 5 fields"),
    (HEADER + "0,0,conv9,3\n", "row 2: has population 'conv9'; those of the network that fire are conv1, conv2"),
    (HEADER + "0,0,out,1\n", "row 2: has population 'out'"),
    (HEADER + "0,0,in,1\n", "row 2: has population 'in'"),
    (HEADER + "0,0,conv1,31\n0,0,conv1,32\n", r"row 3: has neuron '32'; an integer in 0..31 is required"),
    (HEADER + "-1,0,conv1,3\n", "row 2: has step '-1'; an integer in 0..2147483647 is required"),
    (HEADER + "1.5,0,conv1,3\n", "row 2: has step '1.5'"),
    (HEADER + "1,٣,conv1,3\n", "row 2: has sample '٣'"),
    (HEADER + "1," + "9" * 5000 + ",conv1,3\n", "row 2: has sample '9{32}'; an integer"),
    (HEADER + "1,2147483648,conv1,3\n", "row 2: has sample '2147483648'"),
    (HEADER + "2147483647,0,conv1,3\n", "GiB for 2147483648 steps"),
    (HEADER + "0,0,conv1,3\n0,0,conv1,3\n", "have neuron 3 2 times at step 0, sample 0"),
    (HEADER + '0,0,"conv1' + "x" * 200_000 + '",3\n', "is not a readable .csv"),
    (HEADER, "has no row, so no population"),
]


@pytest.mark.parametrize(("text", "message"), BAD_ROWS)
def test_rows_that_say_something_else_are_refused_by_number(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "dut.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(FormatError, match=message) as told:
        read_recording(path, NETWORK)
    assert str(told.value).startswith(str(path))
    assert len(str(told.value)) < 400
    assert "\n" not in str(told.value)


def test_files_that_are_no_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "dut.csv"
    for content in (b"\xff\xfe\x00step", HEADER.encode() + b"0,0,conv1\x00,3\n", HEADER.encode() + b"\xe9,0,conv1,3\n"):
        path.write_bytes(content)
        with pytest.raises(FormatError, match=re.escape(str(path))):
            read_recording(path, NETWORK)
    path.write_text(HEADER + "0,0,conv1,3\n")
    monkeypatch.setattr(recordings, "MOST_CSV_BYTES", 20)
    with pytest.raises(FormatError, match=r"has 42 bytes; at most 20 are read\. Write it as \.npz"):
        read_recording(path, NETWORK)
    for missing in ("no.csv", "no.npz"):
        with pytest.raises(FormatError, match="does not exist"):
            read_recording(tmp_path / missing, NETWORK)
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(FormatError, match="not a regular file"):
        read_recording(tmp_path / "folder.csv", NETWORK)


class Marker:
    """Unpickling one would be noticed."""

    def __reduce__(self) -> Any:
        return exec, ("raise SystemExit('unpickled')",)


BAD_ARRAYS: list[tuple[dict[str, Any], str]] = [
    ({"spikes.conv9": np.zeros((1, 1, 2))}, "spikes: 'conv9': is not in the network"),
    ({"spike.conv1": np.zeros((1, 1, 32))}, "has an array 'spike.conv1'; spikes.NAME"),
    ({"spikes": np.zeros((1, 1, 32))}, "has an array 'spikes'"),
    ({"spikes.conv1": np.array([["a"]])}, "numbers are required"),
    ({"spikes.conv1": np.zeros((3, 2, 4, 4), bool)}, r"spikes of 'conv1': has shape \(3, 2, 4, 4\).*x\[:, None\]"),
    ({"spikes.conv1": np.zeros((2, 1, 32)), "first_step": 0.5}, "first_step: is float64 with fractions"),
    ({"spikes.conv1": np.zeros((2, 1, 32)), "first_step": -1}, "first_step: has the value -1"),
    ({"spikes.conv1": np.zeros((2, 1, 32)), "first_step": [1, 2]}, r"first_step: has shape \(2,\)"),
    ({"sam.conv1": np.zeros((2, 1, 4, 4)), "sam_scale.conv1": 3.0}, "sam_scale.conv1: is 3.0; the network's trace has"),
    ({"spikes.conv1": np.zeros((2, 1, 32)), "counts.conv1": np.zeros((3, 1), int)}, r"counts of 'conv1' has shape"),
    ({"spikes.conv1": np.zeros((2, 1, 32)), "counts.a": np.zeros((2, 1), int)}, "an array of 'a', which is not in"),
    ({"spikes.conv1": np.zeros((2, 1, 32)), "operations.a": -1}, "operations.a: has the value -1"),
    ({"output": np.zeros((2, 3))}, r"output: has shape \(2, 3\)"),
    ({}, "got no array"),
]


@pytest.mark.parametrize(("arrays", "message"), BAD_ARRAYS)
def test_arrays_that_do_not_fit_are_refused_by_name(arrays: dict[str, Any], message: str, tmp_path: Path) -> None:
    path = tmp_path / "dut.npz"
    np.savez(path, **arrays)
    with pytest.raises(FormatError, match=message) as told:
        read_recording(path, NETWORK)
    assert str(told.value).startswith(str(path))


def test_hostile_archives_take_no_memory_and_run_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "dut.npz"
    np.savez(path, **{"spikes.conv1": np.array([Marker()], dtype=object)})  # type: ignore[arg-type]  # likewise
    with pytest.raises(FormatError, match="of object and shape"):
        read_recording(path, NETWORK)
    path.write_bytes(pickle.dumps(Marker()))
    with pytest.raises(FormatError, match=r"not a readable \.npz"):
        read_recording(path, NETWORK)
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,), }"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("spikes.conv1.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)
    with pytest.raises(FormatError, match="which is not in the file; it is damaged"):
        read_recording(path, NETWORK)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("x.npy", "w", force_zip64=True) as f:
        f.write(bytes(2**20))
    monkeypatch.setattr(recordings, "MOST_BYTES", 2**19)
    with pytest.raises(FormatError, match="unpacks to 1048576 bytes; at most 524288 are accepted"):
        read_recording(path, NETWORK)


def test_a_member_of_another_kind_is_damage(tmp_path: Path) -> None:
    path = tmp_path / "dut.npz"
    np.savez(path, **to_numpy(golden()))  # type: ignore[arg-type]  # allow_pickle is no array
    whole = path.read_bytes()
    entry = whole.index(b"PK\x01\x02")  # of the first member in the directory: flags at 8, method at 10
    for at, value in ((8, 1), (10, 14), (10, 12), (10, 99)):
        path.write_bytes(whole[: entry + at] + bytes([value]) + whole[entry + at + 1 :])
        with pytest.raises(FormatError, match=r"is not a readable \.npz archive") as told:
            read_recording(path, NETWORK)
        assert len(str(told.value)) < 400
