"""Files of recordings: each format gives the events that were written, damage is named, and nothing is unpickled."""

from __future__ import annotations

import sys
import tarfile
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import neurosam as ns
from neurosam.errors import BackendError, EventError, FormatError
from neurosam.formats.events import EventRules, chunks, from_array, open_recording, read_events_file
from neurosam.formats.events.source import Source
from support.data import data_file

DTYPE = [("t", "<u8"), ("x", "<u2"), ("y", "<u2"), ("on", "?")]
SHAPE = (2, 48, 64)
RULES = EventRules(dt_us=5000, sensor=(64, 48))


@pytest.fixture(scope="module")
def events() -> np.ndarray[Any, Any]:
    rng = np.random.default_rng(0)
    out = np.zeros(3000, DTYPE)
    out["t"] = np.sort(rng.integers(0, 300_000, out.size))
    out["t"][0] = 0
    out["x"], out["y"], out["on"] = rng.integers(0, 64, 3000), rng.integers(0, 48, 3000), rng.random(3000) < 0.5
    return out


def records(events: np.ndarray[Any, Any]) -> bytes:
    """The events as 40-bit records."""
    t = events["t"].astype(np.int64)
    columns = [events["x"], events["y"], events["on"].astype(np.int64) << 7 | t >> 16, t >> 8 & 255, t & 255]
    return np.stack(columns, axis=1).astype(np.uint8).tobytes()


def write(path: Path, events: np.ndarray[Any, Any]) -> None:
    """Write a recording in the format of a file's suffix."""
    suffix, (t, x, y, on) = path.suffix, (events[name] for name in ("t", "x", "y", "on"))
    if suffix in (".bin", ".bs2"):
        path.write_bytes(records(events))
    elif path.name == "plain.npy":
        np.save(path, np.stack([x, y, t, on], axis=1).astype(np.int64))
    elif suffix == ".npy":
        np.save(path, events)
    elif path.name == "columns.npz":
        np.savez_compressed(path, x=x, y=y, t=t, p=np.where(on, 1, -1))
    elif suffix == ".npz":
        np.savez(path, events=events)
    elif path.name == "faery.csv":
        rows = zip(t, x, y, on, strict=True)
        path.write_text("t,x@64,y@48,on\n" + "".join(f"{a},{b},{c},{int(d)}\n" for a, b, c, d in rows))
    elif path.name == "seconds.txt":
        rows = zip(t, x, y, on, strict=True)
        path.write_text("# t x y p\n" + "".join(f"{a / 1e6:.6f} {b} {c} {d!s}\n" for a, b, c, d in rows))
    else:
        faery = pytest.importorskip("faery")
        version = {"two.raw": "evt2", "three.raw": "evt3"}.get(path.name)
        faery.file_encoder.events_to_file([events], path, (64, 48), version=version)


@pytest.mark.parametrize(
    ("name", "rules"),
    [
        ("a.bin", {}), ("a.bs2", {}), ("a.npy", {}), ("plain.npy", {"columns": "xytp"}), ("a.npz", {}),
        ("columns.npz", {}), ("faery.csv", {"sensor": None}), ("seconds.txt", {"unit": "s"}), ("a.aedat4", {}),
        ("two.raw", {}), ("three.raw", {"sensor": None}), ("a.dat", {"sensor": None}),
    ],
)  # fmt: skip
def test_every_format_gives_the_events_that_were_written(
    events: np.ndarray[Any, Any], name: str, rules: dict[str, Any], tmp_path: Path
) -> None:
    write(tmp_path / name, events)
    chosen = replace(RULES, **rules)
    expected = from_array(events, SHAPE, RULES).dense()
    if not name.endswith((".aedat4", ".raw", ".dat")):  # each reading of those starts a process
        assert np.array_equal(read_events_file(tmp_path / name, SHAPE, chosen).dense(), expected)
    parts = [part.dense() for part in chunks(tmp_path / name, SHAPE, chosen, 7)]
    assert np.array_equal(np.concatenate(parts), expected)


def test_es_counts_rows_from_below(events: np.ndarray[Any, Any], tmp_path: Path) -> None:
    """Faery writes rows as they are and turns them when reading, as ES has them."""
    write(tmp_path / "a.es", events)
    got = read_events_file(tmp_path / "a.es", SHAPE, RULES).dense()
    assert np.array_equal(got[:, :, :, ::-1], from_array(events, SHAPE, RULES).dense())


def test_a_time_that_overflows_goes_on(tmp_path: Path) -> None:
    """A record in row 240 adds 2^13 us to all later times."""
    path = tmp_path / "a.bin"
    path.write_bytes(bytes([1, 1, 0, 0, 10, 0, 240, 0, 0, 0, 2, 1, 0x80, 0, 10]))
    source = open_recording(path)
    assert isinstance(source, Source)
    (block,) = source.blocks()
    assert block.t.tolist() == [10, 10 + 2**13]
    assert block.x.tolist() == [1, 2]
    assert block.on.tolist() == [False, True]


@pytest.mark.parametrize("name", ["a.bin", "two.raw", "three.raw", "a.dat", "a.aedat4", "a.npy", "a.npz"])
def test_recordings_that_are_cut_off(events: np.ndarray[Any, Any], name: str, tmp_path: Path) -> None:
    whole = tmp_path / name
    write(whole, events)
    content = whole.read_bytes()
    whole.write_bytes(content[:-1] if name.endswith(".raw") else content[: len(content) // 2 // 8 * 8 + 3])
    with pytest.raises(FormatError, match=rf"{name}: .*(cut off|not a readable)"):
        list(chunks(whole, SHAPE, RULES, 10))


def test_files_that_are_no_recordings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(name: str, content: bytes | None, message: str) -> None:
        if content is not None:
            (tmp_path / name).write_bytes(content)
        with pytest.raises((FormatError, EventError), match=message):
            read_events_file(tmp_path / name, SHAPE, RULES)

    refused("none.bin", None, "does not exist; check the name")
    refused("a.jpg", b"", "is of no known format; recordings are .bin")
    refused("old.aedat", b"#!AER-DAT3.1\r\n", r"is AEDAT 3.1; AEDAT 4 is read\. Convert it")
    refused("empty.csv", b"", "holds no events")
    refused("a.csv", b"a,b,c\n1,2,3\n", "has the columns a, b, c; t, x, y and p are required")
    refused("b.csv", b"1,2,3,0\n2,2,x,1\n", "is no table of numbers after event 0")
    refused("c.csv", b"1,2\n", "begins with '1,2'; t, x, y, p are required")
    refused("d.csv", b"5,1,1,1\n4,1,1,1\n", "time runs backwards at event 1: from 5 to 4 us")
    refused("e.npy", b"\x93NUMPY\x01\x00", "not a readable .npy")
    refused("f.npy", b"\x93NUMPY\x01\x00\x10\x00{'descr': '<i8'( \n", "not a readable .npy")
    np.save(tmp_path / "objects.npy", np.array([{}], dtype=object), allow_pickle=True)
    refused("objects.npy", None, "not a readable .npy array of numbers")
    np.savez(tmp_path / "a.npz", a=np.zeros(3), b=np.zeros(3))
    refused("a.npz", None, "holds a, b; one array, columns t, x, y, p, or spikes")
    monkeypatch.setitem(sys.modules, "faery", None)
    monkeypatch.setattr("neurosam._util.packages.find_spec", lambda name: None)
    (tmp_path / "a.raw").write_bytes(b"")
    with pytest.raises(BackendError, match=r"needs faery, which is not installed: pip install 'neurosam\[events\]'"):
        read_events_file(tmp_path / "a.raw", SHAPE, RULES)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ("", "cannot be read .faery ended with -6"),
        ('echo \'{"error": "panicked"}\'', "cannot be read .panicked"),
        ("echo '{\"sensor\": [64, 48]}'", "faery ended with status -6.: it is damaged"),
        ('echo \'{"sensor": [64, 48]}\'; printf "\\2\\0\\0\\0abc"', "faery ended with status -6.: it is damaged"),
        ('echo \'{"sensor": [64, 48]}\'; printf "\\377\\377\\377\\377"; echo \'{"error": "x"}\'', "cannot be read .x"),
    ],
)
def test_a_decoder_that_aborts_takes_nobody_along(
    answer: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A damaged AEDAT4 can make faery abort its process, which no `except` can stop."""
    pytest.importorskip("faery")
    decoder = tmp_path / "python"
    decoder.write_text(f"#!/bin/sh\n{answer}\nkill -ABRT $$\n")
    decoder.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(decoder))
    (tmp_path / "a.aedat4").write_bytes(b"#!AER-DAT4.0\r\n")
    with pytest.raises(FormatError, match=message):
        read_events_file(tmp_path / "a.aedat4", SHAPE, RULES)


def test_an_archive_that_lies_about_its_size(tmp_path: Path) -> None:
    """A header of 16 TiB in 200 bytes is refused before memory is asked for."""
    path = tmp_path / "a.npz"
    np.savez(path, x=np.zeros(4))
    with zipfile.ZipFile(path) as archive:
        content = archive.read("x.npy")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", content.replace(b"(4,)", b"(2199023255552,)").replace(b"}           ", b"}", 1))
    with pytest.raises(FormatError, match="which is not in the file; it is damaged"):
        read_events_file(path, SHAPE, RULES)


def test_spikes_for_a_run(tmp_path: Path) -> None:
    path = tmp_path / "spikes.npz"
    np.savez(path, time=[2, 0], sample=[0, 1], neuron=[1, 3], steps=3, samples=2, shape=[2, 1, 2])
    events = read_events_file(path, (2, 1, 2), RULES)
    assert isinstance(open_recording(path), ns.Events)
    assert (events.steps, events.samples, events.shape) == (3, 2, (2, 1, 2))
    assert events.dense().ravel().nonzero()[0].tolist() == [7, 17]
    np.savez(path, time=[311_176], sample=[0], neuron=[1])
    with pytest.raises(EventError, match="no steps and shape; times up to 311176 look like micro"):
        read_events_file(path, (2, 1, 2), RULES)
    np.savez(path, time=[4], sample=[0], neuron=[1], steps=3, shape=[2, 1, 2])
    with pytest.raises(EventError, match=r"spikes.npz: events: time: got 4; allowed is 0\.\.2"):
        read_events_file(path, (2, 1, 2), RULES)


@pytest.mark.parametrize("name", ["nir/sample_nmnist.bin", "nmnist-small.tar"])
def test_recordings_of_n_mnist_and_slayer(name: str, tmp_path: Path) -> None:
    """Equal to the spike array of slayerPytorch's reader, which rounds times to steps: a start half a step earlier."""
    path = data_file(name)
    if path.suffix == ".tar":
        with tarfile.open(path) as archive:
            member = archive.extractfile("NMNISTsmall/1.bs2")
            assert member is not None
            path = tmp_path / "1.bs2"
            path.write_bytes(member.read())
    raw = np.frombuffer(path.read_bytes(), np.uint8).astype(np.int64)
    t = (raw[2::5] << 16 | raw[3::5] << 8 | raw[4::5]) & 0x7FFFFF
    step = (t + 500) // 1000
    expected = np.zeros((step.max() + 1, 2, 34, 34), np.uint8)
    expected[step, raw[2::5] >> 7, raw[1::5], raw[0::5]] = 1
    rules = EventRules(dt_us=1000, start_us=-500, coincident="clip")
    events = read_events_file(path, (2, 34, 34), rules)
    assert np.array_equal(events.dense()[:, 0], expected)
    counted = read_events_file(path, (2, 34, 34), replace(rules, coincident="add"))
    assert int(counted.dense().sum()) == len(raw) // 5
