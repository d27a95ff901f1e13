"""Shards: which samples they hold, to which sweep they belong, and that they join to what one run gives."""

from __future__ import annotations

import random
import shutil
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import neurosam as ns
from neurosam.sweep import Pictures, Spikes, Workers, run_sweep
from neurosam.sweep.record import grain_of, record_shards, shards_of
from neurosam.sweep.shards import NAME, Shards, shard_name
from support.sweeping import network, pictures, stimulus

SAMPLES = 23


@pytest.fixture
def workers() -> Iterator[Workers]:
    with ThreadPoolExecutor(2) as executor:
        yield Workers(executor)


def whole(net: ns.Network, record: ns.Record | None = None) -> ns.Recording:
    return ns.run(net, stimulus().encode(pictures(SAMPLES).images, 3), record=record)


def test_a_sweep_gives_the_file_of_one_run(tmp_path: Path, workers: Workers) -> None:
    net = network()
    everything = ns.Record.everything(net)
    for source in (pictures(SAMPLES), Spikes(net, pictures(SAMPLES).inputs(net))):
        recording = run_sweep(net, source, tmp_path / "run.h5", workers, everything)
        expected = whole(net, everything)
        assert recording.same_as(expected)
        assert recording.operations == expected.operations
        expected = replace(expected, time_s=recording.time_s)
        assert ns.digest(expected) == ns.file_digest(tmp_path / "run.h5")
        assert [path.name for path in tmp_path.iterdir()] == ["run.h5"]


def test_without_a_file_answers_and_counts_are_returned(
    tmp_path: Path, workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    recording = run_sweep(network(), pictures(SAMPLES), None, workers)
    assert recording.same_as(whole(network()))
    assert list(tmp_path.iterdir()) == []


def test_a_part_of_the_events_is_that_of_the_whole() -> None:
    rng, net = np.random.default_rng(0), network()
    events = ns.Events.from_dense(rng.integers(0, 3, (5, 11, 1, 8, 8)))
    source = Spikes(net, events)
    for where in (range(11), range(3, 7), range(10, 11)):
        part = source.part(where).inputs(net)["in"]
        assert np.array_equal(part.dense(), events.dense()[:, where.start : where.stop])


def interrupted(net: ns.Network, folder: Path, keep: slice = slice(1, 3), **options: Any) -> list[range]:
    """A folder in which some shards are left; the samples of these."""
    with ThreadPoolExecutor(2) as executor:
        shards = record_shards(net, pictures(SAMPLES), folder, Workers(executor), ns.Record(), **options)
    kept = sorted(shards.whole, key=lambda part: part.start)[keep]
    for part in shards.whole:
        if part not in kept:
            shards.path(part).unlink()
    return kept


def test_what_is_there_is_used(tmp_path: Path, workers: Workers, monkeypatch: pytest.MonkeyPatch) -> None:
    net, out = network(), tmp_path / "run.h5"
    kept = interrupted(net, shards_of(out))
    assert len(kept) == 2
    ran: list[range] = []
    part = Pictures.part

    def noted(self: Pictures, where: range) -> Pictures:
        ran.append(where)
        return part(self, where)

    monkeypatch.setattr(Pictures, "part", noted)
    assert run_sweep(net, pictures(SAMPLES), out, workers).same_as(whole(net))
    done = sorted(sample for where in ran[1:] for sample in where)  # the first call checks the input
    assert done == sorted(set(range(SAMPLES)) - {sample for where in kept for sample in where})


def test_interrupted_at_random_again_and_again_no_sample_is_lost_or_doubled(tmp_path: Path) -> None:
    """After each of 20 interrupts, the shards hold the samples of before and no sample twice; at last, each once."""
    net, out, rng = network(), tmp_path / "run.h5", random.Random(0)
    source, there = pictures(150), Counter[int]()
    interrupts = 0
    while not out.exists():
        stop = rng.randrange(4) if interrupts < 20 else 10**6

        ticks = count()

        def tick(_done: int, _total: int, ticks: count[int] = ticks, stop: int = stop) -> None:
            if next(ticks) == stop:
                raise KeyboardInterrupt

        with ThreadPoolExecutor(2) as executor:
            try:
                run_sweep(net, source, out, Workers(executor), progress=tick)
            except KeyboardInterrupt:
                interrupts += 1
        if not out.exists():
            names = [NAME.fullmatch(path.name) for path in shards_of(out).glob("shard-*")]
            found = Counter(sample for name in names if name for sample in range(int(name[2]), int(name[3])))
            assert max(found.values(), default=1) == 1
            assert there.keys() <= found.keys()
            there = found
    expected = ns.run(net, stimulus().encode(source.images, 3))
    recording = ns.load_recording(out)
    assert recording.same_as(expected)
    assert recording.operations == expected.operations
    assert interrupts > 3


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"network": network(80)}, "holds shards of another sweep: network [0-9a-f]{60}, not [0-9a-f]{60}; give"),
        ({"source": pictures(SAMPLES + 1)}, "samples 23, not 24"),
        ({"source": replace(pictures(SAMPLES), seed=4)}, "inputs images"),
        ({"record": ns.Record(spikes=("conv",))}, "record "),
        ({"dtype": "float32"}, "dtype float64, not float32"),
    ],
)
def test_another_sweep_is_refused_by_name(change: dict[str, Any], says: str, tmp_path: Path, workers: Workers) -> None:
    interrupted(network(), tmp_path / "shards")
    arguments: dict[str, Any] = {"network": network(), "source": pictures(SAMPLES), "record": ns.Record()} | change
    with pytest.raises(ns.FormatError, match=says):
        record_shards(folder=tmp_path / "shards", workers=workers, **arguments)


def test_a_shard_of_another_sweep_is_refused_by_name(tmp_path: Path, workers: Workers) -> None:
    interrupted(network(), tmp_path / "a")
    other = sorted(interrupted(network(80), tmp_path / "b"), key=lambda part: part.start)[0]
    path = next((tmp_path / "b").glob(f"shard-*-{other.start:09}-*"))
    shutil.copy(path, tmp_path / "a" / path.name)
    with pytest.raises(ns.FormatError, match=rf"{path.name}: is a shard of another network or of other settings"):
        record_shards(network(), pictures(SAMPLES), tmp_path / "a", workers, ns.Record())


def test_a_folder_of_other_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    with pytest.raises(ns.FormatError, match="holds other files, and no shards"):
        Shards(tmp_path, network(), {}, 3)


def test_a_shard_that_overlaps_is_removed_and_its_samples_are_taken_once(tmp_path: Path, workers: Workers) -> None:
    net, out = network(), tmp_path / "run.h5"
    folder = shards_of(out)
    kept = interrupted(net, folder, slice(None))
    key = next(folder.glob("shard-*")).name.split("-")[1]
    late = folder / shard_name(key, range(kept[0].start + 1, kept[1].stop))
    shutil.copy(folder / shard_name(key, kept[0]), late)  # of a worker that outlived its sweep; never looked into
    assert run_sweep(net, pictures(SAMPLES), out, workers).same_as(whole(net))


def test_a_damaged_shard_is_found_when_shards_are_joined(tmp_path: Path, workers: Workers) -> None:
    net, out = network(), tmp_path / "run.h5"
    part = interrupted(net, shards_of(out))[0]
    shards = {path.name: path for path in shards_of(out).glob("shard-*")}
    path = next(path for name, path in shards.items() if f"-{part.start:09}-" in name)
    octets = bytearray(path.read_bytes())
    counts = np.ascontiguousarray(ns.load_recording(path).counts["in"]).tobytes()
    octets[octets.index(counts)] ^= 1
    path.write_bytes(octets)
    with pytest.raises(ns.FormatError, match=rf"{path.name}: is not what was saved. Remove it"):
        run_sweep(net, pictures(SAMPLES), out, workers)
    path.unlink()
    assert run_sweep(net, pictures(SAMPLES), out, workers).same_as(whole(net))


def test_sums_of_floats_do_not_depend_on_the_chunks() -> None:
    """Where the number of samples that are run together could decide about the last bits, it is fixed."""
    fixed = network()
    net = ns.Network(
        [ns.Population("in", (2,)), ns.Population("out", (1,), ns.Readout())],
        [ns.Projection("in", "out", ns.Dense(np.ones((1, 2))))],
    )
    assert grain_of(fixed, "reference") == grain_of(net, "event") == 1
    assert grain_of(net, "reference") == 16
