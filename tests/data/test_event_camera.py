"""Labelled recordings: N-MNIST's two layouts, and hostile folders."""

from __future__ import annotations

import os
import tarfile
from pathlib import Path

import numpy as np
import pytest

from neurosam.data import RecordingSet, load_recordings
from neurosam.errors import DataError, FormatError
from neurosam.formats.events import EventRules, Tally
from support.data import data_file

RULES = EventRules(dt_us=1000, coincident="clip")


def record(path: Path, *events: tuple[int, int, bool, int]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(bytes([x, y]) + (on << 23 | t).to_bytes(3, "big") for x, y, on, t in events))


@pytest.fixture
def listed(tmp_path: Path) -> Path:
    record(tmp_path / "7.bs2", (1, 2, True, 0), (3, 4, False, 2500))
    record(tmp_path / "10.bin", (5, 6, False, 0))
    (tmp_path / "train2.txt").write_text("#sample #class\n10\t3\n7\t0 # a comment\n")
    (tmp_path / "test1.txt").write_text("7 0")
    return tmp_path


def test_a_list_names_recordings_and_classes(listed: Path) -> None:
    train = load_recordings(listed, "train")
    assert (len(train), train.labels.tolist(), train.classes) == (2, [3, 0], ("0", "1", "2", "3"))
    events = train.events((2, 34, 34), RULES)
    assert (events.steps, events.samples) == (3, 2)
    assert np.argwhere(events.dense()).tolist() == [[0, 0, 0, 6, 5], [0, 1, 1, 2, 1], [2, 1, 0, 4, 3]]
    tally = Tally()
    one = train.events((2, 34, 34), RULES, [1], tally=tally)
    assert (one.samples, one.time.tolist(), tally.read) == (1, [0, 2], 2)
    assert load_recordings(listed, "test").labels.tolist() == [0]


def test_folders_by_class_are_numbered_as_numbers_and_alike_in_both_parts(tmp_path: Path) -> None:
    for label in (2, 10):
        record(tmp_path / "Train" / str(label) / "00001.bin", (label, 0, True, 0))
    record(tmp_path / "Test" / "10" / "00009.bin", (9, 0, True, 0))
    train, test = (load_recordings(tmp_path, part) for part in ("train", "test"))
    assert train.classes == test.classes == ("2", "10")
    assert (train.labels.tolist(), test.labels.tolist()) == ([0, 1], [1])
    assert test.events((2, 34, 34), RULES).neuron.tolist() == [34 * 34 + 9]
    assert load_recordings(tmp_path / "Train").labels.tolist() == [0, 1]
    record(tmp_path / "Test" / "11" / "1.bin")
    with pytest.raises(DataError, match=r"is a class that .*Train has not"):
        load_recordings(tmp_path, "test")
    with pytest.raises(DataError, match=r"has the parts test and train|has the parts train and test"):
        load_recordings(tmp_path)
    with pytest.raises(DataError, match="neither a folder 'test' nor a list"):
        load_recordings(tmp_path / "Train", "test")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("1 2 3", r"train2.txt:1: is '1 2 3'; the number of a recording"),
        ("../7 0", r"train2.txt:1: is '../7 0'"),
        ("\n8 0", r"train2.txt:2: names recording 8, which does not exist"),
        ("7 65536", "names the class 65536; a .bs2 or .bin and a class below 65536"),
        ("7 -1", "is '7 -1'"),
        ("7 \u0664", "the number of a recording"),
        ("7 " + "9" * 5000, "the number of a recording"),
        ("# nothing", "lists no recordings"),
    ],
)
def test_lists_that_do_not_fit_are_refused(listed: Path, text: str, says: str) -> None:
    (listed / "train2.txt").write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=says):
        load_recordings(listed, "train")


def test_folders_that_do_not_fit_are_refused(listed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match="has the lists test1"):
        load_recordings(listed)
    with pytest.raises(DataError, match="has no part 'val'"):
        load_recordings(listed, "val")
    with pytest.raises(DataError, match="is not a folder"):
        load_recordings(listed / "7.bs2")
    (listed / "train3.txt").write_text("7 0")
    with pytest.raises(DataError, match=r"train2.txt, train3.txt; exactly one"):
        load_recordings(listed, "train")
    (listed / "train3.txt").unlink()
    secret = listed.parent / f"{listed.name}-secret.bs2"
    record(secret, (0, 0, True, 0))
    os.symlink(secret, listed / "8.bs2")
    (listed / "test1.txt").write_text("8 0")
    with pytest.raises(DataError, match="is a link that leaves"):
        load_recordings(listed, "test")
    train = load_recordings(listed, "train")
    with pytest.raises(DataError, match=r"has the recordings 0\.\.1"):
        train.events((2, 34, 34), RULES, [2])
    (listed / "7.bs2").write_bytes(b"abc")
    with pytest.raises(FormatError, match="no multiple of 5"):
        train.events((2, 34, 34), RULES)
    monkeypatch.setattr("neurosam.data.event_camera._MOST_FILE_BYTES", 2)
    with pytest.raises(DataError, match="at most 2 are read"):
        train.events((2, 34, 34), RULES)
    with pytest.raises(DataError, match="distinct names, one a label"):
        RecordingSet(train.files, train.labels, ("a", "b"), "set")


def test_real_recordings(tmp_path: Path) -> None:
    with tarfile.open(data_file("nmnist-small.tar")) as tar:
        names = [name for name in tar.getnames() if name.endswith(("/test100.txt", "/60001.bs2", "/60002.bs2"))]
        for name in names:
            tar.extract(name, tmp_path, filter="data")
    root = tmp_path / "NMNISTsmall"
    wanted = root / "test100.txt"
    wanted.write_text("".join(wanted.read_text().splitlines(keepends=True)[:3]))
    test = load_recordings(root, "test")
    assert test.labels.tolist() == [7, 2]  # the first two of MNIST's test part
    tally = Tally()
    events = test.events((2, 34, 34), RULES, tally=tally)
    assert tally.read == sum(path.stat().st_size for path in test.files) // 5
    assert 250 < events.steps < 320  # three saccades of 100 ms
