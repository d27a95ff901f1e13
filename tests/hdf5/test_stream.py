"""Recordings streamed to a file: the same values, in bounded memory, a complete file or none."""

from __future__ import annotations

import errno
import gc
import itertools
import os
import resource
import threading
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import neurosam as ns
from neurosam.backends import Options, streaming
from neurosam.backends.event.plan import compiled
from neurosam.equivalence import comparison
from neurosam.equivalence.comparison import report
from neurosam.errors import FormatError
from neurosam.hdf5 import load_recording, place, save, stream_recording
from neurosam.signals.inputs import Inputs
from neurosam.signals.recording import Record, Recording
from support.networks import KINDS, large_case, random_case


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: None)


def network(channels: int = 3) -> ns.Network:
    """Two layers with currents and a trace, and a readout."""
    rng = np.random.default_rng(0)
    lif = ns.FixedLIF(membrane_decay=400, current_decay=1000, threshold=40)
    return ns.Network(
        [
            ns.Population("in", (1, 6, 6)),
            ns.Population("a", (channels, 6, 6), lif),
            ns.Population("b", (20,), lif),
            ns.Population("out", (3,), ns.FixedReadout()),
        ],
        [
            ns.Projection("in", "a", ns.Conv2d(rng.integers(-50, 90, (channels, 1, 3, 3)).astype(np.int8), padding=1)),
            ns.Projection("a", "b", ns.Dense(rng.integers(-50, 90, (20, 36 * channels)).astype(np.int8)), delay=2),
            ns.Projection("b", "out", ns.Dense(rng.integers(-50, 90, (3, 20)).astype(np.int8))),
        ],
    ).with_sam(ns.SamTrace(0.25), populations=["a"])


def stimulus(steps: int, samples: int, density: float = 0.2) -> ns.Events:
    rng = np.random.default_rng(1)
    return ns.Events.from_dense((rng.random((steps, samples, 1, 6, 6)) < density).astype(np.uint8))


def assert_streamed(network: ns.Network, events: ns.Events, path: Path, backend: str = "event", **options: Any) -> None:
    """A streamed run, its file loaded, and its file mapped all equal a run in memory."""
    keep = Record.everything(network)
    expected = ns.run(network, events, backend, keep, threads=1, dtype=options.get("dtype", "float64"))
    found = ns.run(network, events, backend, keep, out=path, **options)
    assert found.same_as(expected)
    assert found.operations == expected.operations
    assert found.backend == backend
    assert found.time_s > 0
    assert load_recording(path).same_as(expected)
    assert os.listdir(path.parent) == [path.name]


@pytest.mark.parametrize("fixed", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_any_network(kind: str, fixed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled, "CHUNK_STEPS", 3)
    for seed in range(3):
        rng = np.random.default_rng([KINDS.index(kind), seed])
        assert_streamed(*random_case(rng, kind, fixed=fixed), tmp_path / "r.h5")
    assert_streamed(*large_case(np.random.default_rng(7), kind, fixed=fixed), tmp_path / "r.h5", threads=3)


@pytest.mark.parametrize("backend", ["event", "reference"])
def test_states_in_float32_are_widened(backend: str, tmp_path: Path) -> None:
    """One group for small rows, and rows that go to the file alone."""
    for size in (random_case, large_case):
        net, events = size(np.random.default_rng(7), "chain", fixed=False)
        assert_streamed(net, events, tmp_path / "r.h5", backend, dtype="float32", threads=1)
        whole = ns.run(net, events, backend, Record.everything(net))
        assert not load_recording(tmp_path / "r.h5").same_as(whole)


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize(
    ("most", "group", "large"), [(1, 2**25, 2**15), (3, 2**25, 2**15), (64, 20_000, 2**15), (64, 2**25, 1)]
)
@pytest.mark.parametrize("samples", [0, 1, 2, 7])
def test_any_group_of_samples(
    samples: int, most: int, group: int, large: int, threads: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(place, "MOST_SAMPLES", most)
    monkeypatch.setattr(place, "GROUP_BYTES", group)
    monkeypatch.setattr(place, "LARGE_ROW_BYTES", large)
    monkeypatch.setattr(compiled, "CHUNK_STEPS", 4)
    assert_streamed(network(65), stimulus(10, samples), tmp_path / "r.h5", threads=threads)


@settings(deadline=None)
@given(st.data())
def test_values_reach_their_places_in_any_order(data: st.DataObject) -> None:
    """Blocks that divide an array in any way, written in any order, make up the array."""
    steps, samples, row = (data.draw(st.integers(1, most), label) for most, label in ((6, "T"), (7, "B"), (3, "row")))
    values = np.arange(steps * samples * row, dtype=np.int32).reshape(steps, samples, row)
    group, offset = data.draw(st.integers(1, 8), "group"), 24
    steps_cut = sorted({0, steps, *data.draw(st.lists(st.integers(0, steps)), "steps")})
    samples_cut = sorted({0, samples, *data.draw(st.lists(st.integers(0, samples)), "samples")})
    blocks = [
        (slice(*t), slice(*b))
        for t in itertools.pairwise(steps_cut)
        for b in itertools.pairwise(samples_cut)
    ]  # fmt: skip
    descriptor = os.memfd_create("array")
    try:
        target = place.Place("file", "array", descriptor, offset, values.shape, values.dtype, group)
        for where in data.draw(st.permutations(blocks), "order"):
            assert target.missing
            target[where] = values[where]
        assert not target.missing
        assert os.pread(descriptor, values.nbytes + 1, offset) == values.astype("<i4").tobytes()
    finally:
        os.close(descriptor)


class Meeting(place.Place):
    """A place whose threads, having read `missing`, wait a little for another one to read the same."""

    def __init__(self, *arguments: Any) -> None:
        self.both = threading.Barrier(2)
        super().__init__(*arguments)

    @property
    def missing(self) -> int:
        seen = self.__dict__["missing"]
        if threading.current_thread() is not threading.main_thread():
            with suppress(threading.BrokenBarrierError):
                self.both.wait(0.2)
        return int(seen)

    @missing.setter
    def missing(self, value: int) -> None:
        self.__dict__["missing"] = value


def test_no_row_is_forgotten_where_threads_meet() -> None:
    """Two threads that take off their rows at once: none may read what the other is about to change."""
    descriptor = os.memfd_create("array")
    try:
        target = Meeting("file", "array", descriptor, 0, (2, 3, 1), np.dtype(np.int32), 1)
        values = np.zeros((1, 3, 1), np.int32)
        threads = [
            threading.Thread(target=target.__setitem__, args=((slice(t, t + 1), slice(0, 3)), values)) for t in (0, 1)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert target.missing == 0
    finally:
        os.close(descriptor)


@pytest.mark.parametrize("samples", [0, 1, 5])
def test_a_back_end_that_cannot_stream_runs_in_batches(
    samples: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    net, events = network(), stimulus(6, samples)
    one = ns.run(net, events.select(0, 1), record=Record.everything(net)) if samples else None
    size = 0 if one is None else sum(x.planes.nbytes for x in one.spikes.values()) + sum(
        x.nbytes for arrays in (one.sam, one.membrane, one.current) for x in arrays.values()
    )  # fmt: skip
    monkeypatch.setattr(streaming, "BATCH_BYTES", 2 * size)
    batches: list[int] = []
    from neurosam.backends.reference.backend import ReferenceBackend

    whole = ReferenceBackend.run

    def counted(self: Any, network: Any, events: Inputs, record: Any, options: Options) -> Recording:
        batches.append(events.samples)
        return whole(self, network, events, record, options)

    told: list[tuple[int, int]] = []
    expected = ns.run(net, events, "reference", Record.everything(net))
    monkeypatch.setattr(ReferenceBackend, "run", counted)
    found = ns.run(net, events, "reference", Record.everything(net), out=tmp_path / "r.h5",
                   progress=lambda done, total: told.append((done, total)))  # fmt: skip
    assert batches == {0: [0], 1: [1], 5: [2, 2, 1]}[samples]
    assert told == [(done, samples) for done in {0: (), 1: (1,), 5: (2, 4, 5)}[samples]]
    assert found.same_as(expected)
    assert found.operations == expected.operations
    assert found.time_s > 0


def peak_bytes(work: Callable[[], object]) -> int:
    """Peak memory of NumPy and Python, beyond what they held before."""
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        work()
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("longer", ["steps", "samples"])
def test_memory_does_not_grow_with_what_is_recorded(
    longer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four times the steps or samples: with a file the memory grows by a few counts, without by all values."""
    monkeypatch.setattr(compiled, "CHUNK_BYTES", 2**18)
    monkeypatch.setattr(place, "GROUP_BYTES", 2**18)
    net = network(64)
    keep = Record.everything(net)
    sizes = ((200, 4), (800, 4)) if longer == "steps" else ((20, 40), (20, 160))
    short, long = (stimulus(*size, density=0.01) for size in sizes)
    ns.run(net, short, record=keep, out=tmp_path / "r.h5", threads=1)  # what is loaded once is not counted

    def peak(events: ns.Events, to: Path | None) -> int:
        ns.run(
            network(2), stimulus(2, 1), threads=1
        )  # so that no memory is left by a run like the one that is measured
        return peak_bytes(lambda: ns.run(net, events, record=keep, out=to, threads=1))

    streamed = [peak(events, tmp_path / "r.h5") for events in (short, long)]
    held = [peak(events, None) for events in (short, long)]
    size = (tmp_path / "r.h5").stat().st_size
    counts = 8 * 3 * (long.steps * long.samples - short.steps * short.samples)
    events = 64 * (len(long) - len(short))  # copies of the input's columns, sorted by sample
    assert size > 8 * 2**20
    assert held[1] - held[0] > size / 2
    assert streamed[1] - streamed[0] < counts + events + 2**18
    assert streamed[1] < size / 4


def test_arrays_stay_in_the_file(tmp_path: Path) -> None:
    net = network()
    found = ns.run(net, stimulus(5, 2), record=Record.everything(net), out=tmp_path / "r.h5")
    arrays = [found.output, found.membrane["a"], found.current["b"], found.sam["a"], found.spikes["a"].planes]
    for array in arrays:
        assert type(array) is np.ndarray
        assert not array.flags.owndata
        assert not array.flags.writeable
    assert found.spikes["a"].dense().shape == (5, 2, 3, 6, 6)
    assert load_recording(tmp_path / "r.h5").membrane["a"].flags.owndata


def test_a_saved_recording_can_be_mapped(tmp_path: Path) -> None:
    net = network()
    made = ns.run(net, stimulus(5, 3), record=Record.everything(net))
    save(made, tmp_path / "r.h5")
    mapped = load_recording(tmp_path / "r.h5", mapped=True)
    assert mapped.same_as(made)
    (tmp_path / "r.h5").unlink()  # as replacing does: the arrays keep the old file
    assert mapped.same_as(made)


def test_a_mapped_file_is_examined_like_any_other(tmp_path: Path) -> None:
    import h5py

    path = tmp_path / "r.h5"
    net = network()
    for harm, says in (("shape", "declares"), ("type", "float32"), ("bits", "beyond channel 2"), ("chunks", "chunked")):
        ns.run(net, stimulus(5, 2), record=Record.everything(net), out=path)
        with h5py.File(path, "r+") as file:
            if harm == "bits":
                file["spikes/0/value/planes"][0, 0, 0, 0, 0] = 1 << 5
            else:
                del file["membrane/0/value"]
                if harm == "shape":
                    file["membrane/0"].create_dataset("value", shape=(5, 2, 1000, 1000, 1000), dtype="<i4")
                elif harm == "type":
                    file["membrane/0/value"] = np.zeros((5, 2, 3, 6, 6), "<f2")
                else:
                    file["membrane/0"].create_dataset("value", data=np.zeros((5, 2, 3, 6, 6), "<i4"), chunks=True)
        with pytest.raises(FormatError, match=says):
            load_recording(path, mapped=True)


# --- files that are not finished ---


def untouched(folder: Path, work: Callable[[Path], object], raises: type[BaseException], match: str) -> None:
    """The work fails with this error, an older file is kept, and no temporary file is left."""
    path = folder / "r.h5"
    path.write_bytes(b"older")
    with pytest.raises(raises, match=match):
        work(path)
    assert path.read_bytes() == b"older"
    assert os.listdir(folder) == ["r.h5"]


@pytest.mark.parametrize(
    "error", [KeyboardInterrupt("stop"), RuntimeError("of the back end"), OSError(errno.EIO, "other")]
)
def test_a_run_that_fails_leaves_the_older_file(error: BaseException, tmp_path: Path) -> None:
    def fail(done: int, total: int) -> None:
        if done == 2:
            raise error

    def work(path: Path) -> None:
        ns.run(network(), stimulus(5, 4), record=Record(membrane=("a",)), out=path, progress=fail, threads=1)

    untouched(tmp_path, work, type(error), str(error.args[-1]))


def test_what_is_missing_or_wrong_is_refused(tmp_path: Path) -> None:
    net, record = network(), Record(spikes=("a",), membrane=("a",))
    whole = ns.run(net, stimulus(5, 4), record=record)

    def unfinished(path: Path) -> None:
        with stream_recording(path, net, record, 5, 4) as stream:
            stream.put(whole, 0)

    def partly(path: Path) -> None:
        with stream_recording(path, net, record, 5, 4) as stream:
            stream.put(whole.select(0, 3), 0)
            stream.finish(whole)

    def shorter(path: Path) -> None:
        with stream_recording(path, net, record, 5, 4) as stream:
            stream.put(whole, 0)
            stream.finish(whole.select(0, 3))

    def wrong(values: Any) -> Callable[[Path], None]:
        def work(path: Path) -> None:
            with stream_recording(path, net, record, 5, 4) as stream:
                stream.places["membrane", "a"][0:1, 0:1] = values

        return work

    untouched(tmp_path, unfinished, FormatError, "was not finished")
    untouched(tmp_path, partly, FormatError, "spikes of 'a' lacks 5 of 5 x 4 steps and samples")
    untouched(tmp_path, shorter, FormatError, "ended with 5 steps and 3 samples")
    untouched(tmp_path, wrong(np.zeros((1, 1, 3, 6, 5), np.int32)), FormatError, "got int32 of shape")
    untouched(tmp_path, wrong(np.zeros((1, 1, 3, 6, 6), np.float64)), FormatError, "got float64 of shape")


def test_a_full_disk_is_told_before_the_run(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    told: list[int] = []

    def work(path: Path) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2**16, hard))
        try:
            ns.run(network(), stimulus(500, 4), record=Record(membrane=("a",)), out=path,
                   progress=lambda done, _: told.append(done))  # fmt: skip
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    untouched(tmp_path, work, FormatError, r"could not be written: File too large. The recording takes 864,000 bytes")
    assert not told


def test_a_disk_that_fills_during_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unsupported(*_: int) -> None:
        raise OSError(errno.EOPNOTSUPP, "not here")

    calls: list[int] = []
    write = os.pwrite

    def filling(descriptor: int, octets: Any, at: int) -> int:
        calls.append(at)
        if len(calls) > 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(descriptor, octets[:100], at)  # in pieces

    monkeypatch.setattr(os, "posix_fallocate", unsupported)
    monkeypatch.setattr(os, "pwrite", filling)
    monkeypatch.setattr(place, "MOST_SAMPLES", 1)
    untouched(
        tmp_path,
        lambda path: ns.run(network(), stimulus(50, 4), record=Record(membrane=("a",)), out=path, threads=2),
        FormatError,
        "r.h5: could not be written: No space left on device. An older file there is unchanged",
    )
    assert len(calls) > 3


def test_writes_in_pieces_and_without_allocation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.pwrite
    monkeypatch.delattr(os, "posix_fallocate")
    monkeypatch.setattr(os, "pwrite", lambda descriptor, octets, at: write(descriptor, octets[:7], at))
    assert_streamed(network(), stimulus(3, 2), tmp_path / "r.h5")


# --- comparing recordings in files ---


@pytest.mark.parametrize("fixed", [True, False])
def test_a_comparison_in_chunks_is_that_of_all(fixed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    net, events = large_case(np.random.default_rng(3), KINDS[0], fixed=fixed)
    dense = events.dense()
    events = ns.Events.from_dense(np.concatenate([dense, dense[:, ::-1], dense], axis=1))
    keep = Record.everything(net)
    a = ns.run(net, events, record=keep, out=tmp_path / "a.h5")
    b = ns.run(net, events, "reference", record=keep)
    name = keep.membrane[0]
    harmed = b.membrane[name].copy()
    harmed.reshape(*harmed.shape[:2], -1)[2, 3:5, 1] += 1000
    bad = Recording(**{**vars(b), "membrane": {**b.membrane, name: harmed}})
    for network in (net, None):
        for other in (b, bad):
            monkeypatch.setattr(comparison, "CHUNK_BYTES", 2**40)
            expected = report(a, other, network)
            monkeypatch.setattr(comparison, "CHUNK_BYTES", 1)
            found = report(a, other, network)
            assert found.to_dict() == expected.to_dict()
            assert found.equal == (other is b)
            if other is bad:
                assert [(d.sample, d.step) for d in found.first] == [(3, 2), (4, 2)]
