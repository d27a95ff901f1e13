"""Recurrent groups in one loop, packed rows, parts for threads: the same bits as the general path and the oracle."""

from __future__ import annotations

import itertools
import logging
import threading
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import neurosam as ns
from neurosam.backends import Options
from neurosam.backends.event.backend import EventBackend
from neurosam.backends.event.executors import recurrent
from neurosam.backends.event.kernels.packed_rows import PANEL, gather_packed, pack
from neurosam.backends.event.kernels.synapses import WHOLE, by_source, deliver_sparse, tally
from neurosam.backends.event.plan import compiled, projections
from neurosam.backends.event.plan.projections import compile_projection
from neurosam.backends.event.simd.int16 import TILE
from neurosam.backends.event.simd.vectors import LANES
from neurosam.backends.registry import unrolled
from neurosam.network.synapse import as_chw
from neurosam.signals.inputs import Inputs
from support.agreement import assert_identical
from support.networks import random_case
from support.oracle import simulate

Case = tuple[ns.Network, ns.Events]


def execute(case: Case, path: str = "auto", threads: int = 1, record: ns.Record | None = None) -> ns.Recording:
    network, events = case
    record = ns.Record.everything(network) if record is None else record
    return EventBackend(path).run(
        unrolled(network, events.steps), Inputs.of(network, events), record, Options(threads=threads)
    )


def matrix(rng: np.random.Generator, sources: int, targets: int, share: float, low: int = -128) -> ns.Sparse:
    """Random, also with zeros among its entries."""
    rows, columns = np.nonzero(rng.random((targets, sources)) < share)
    indptr = np.searchsorted(rows, np.arange(targets + 1))
    return ns.Sparse(indptr, columns, rng.integers(low, 128, rows.size).astype(np.int8), sources)


def spikes(rng: np.random.Generator, steps: int, samples: int, shape: tuple[int, ...], density: float) -> ns.Events:
    return ns.Events.from_dense((rng.random((steps, samples, *shape)) < density).astype(np.uint8))


def cycle(
    rng: np.random.Generator, neurons: int, *, share: float = 0.3, steps: int = 9, samples: int = 1,
    density: float = 0.4, lag: int = 0, magnitude: int = 1,
) -> Case:  # fmt: skip
    """Two populations that drive each other and themselves, after several steps, with floored and raised sums."""
    other = max(1, neurons - 3)

    def neuron(channels: int) -> ns.FixedLIF:
        return ns.FixedLIF(
            membrane_decay=rng.integers(0, 2000, channels), threshold=int(rng.integers(1, 400)),
            reset="zero" if rng.random() < 0.5 else "subtract", bias_mantissa=rng.integers(-20, 40, channels),
            current_decay=int(rng.integers(0, 3000)) if rng.random() < 0.5 else None,
        )  # fmt: skip

    network = ns.Network(
        (
            ns.Population("in", (7,), magnitude=magnitude), ns.Population("a", (neurons,), neuron(neurons)),
            ns.Population("b", (other,), neuron(other)), ns.Population("out", (3,), ns.FixedReadout()),
        ),
        (
            ns.Projection("in", "a", ns.Dense(rng.integers(-30, 128, (neurons, 7)).astype(np.int8)), exponent=1),
            ns.Projection("a", "b", matrix(rng, neurons, other, share), delay=1 + lag, exponent=-1),
            ns.Projection("b", "a", matrix(rng, other, neurons, share), delay=1 + lag, exponent=2),
            ns.Projection("a", "a", matrix(rng, neurons, neurons, share), delay=2 + lag),
            ns.Projection("b", "out", ns.Dense(rng.integers(-128, 128, (3, other)).astype(np.int8))),
        ),
    ).with_sam(steps=steps)  # fmt: skip
    x = (rng.random((steps, samples, 7)) < density) * rng.integers(1, magnitude + 1, (steps, samples, 7))
    return network, ns.Events.from_dense(x)


@pytest.fixture(params=["packed", "rows with zeros", "lists"])
def layout(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Every layout of a sparse matrix, on every CPU."""
    name: str = request.param
    monkeypatch.setattr(projections, "unpacks_fast", lambda: name == "packed")
    monkeypatch.setattr(projections, "LEAST_GATHERED", 1)
    monkeypatch.setattr(projections, "CACHED_ROWS", 0)
    monkeypatch.setattr(projections, "PACKED_SHARE", 2.0)
    monkeypatch.setattr(projections, "DENSE_SHARE", 2.0 if name == "lists" else 0.0)
    return name


@pytest.mark.parametrize("neurons", [1, 5, 63, 64, 65, 130])
@pytest.mark.parametrize("lag", [0, 3])
def test_a_cycle_of_two_populations(layout: str, neurons: int, lag: int) -> None:
    case = cycle(np.random.default_rng([neurons, lag]), neurons, lag=lag)
    got = execute(case)
    network, projection = case[0], case[0].projections[3]
    shapes = [as_chw(network[name].shape) for name in (projection.source, projection.target)]
    made = compile_projection(projection, *shapes, spikes=True, dtype="float64")
    assert (made.packed is not None, made.pairs.size > 0) == (layout == "packed", layout == "rows with zeros")
    assert neurons == 1 or min(got.spikes[name].count() for name in "ab") > 0
    assert_identical(simulate(*case), got, layout)
    assert_identical(execute(case, "general"), got, layout)


@pytest.mark.parametrize(("steps", "samples", "density"), [(1, 1, 1.0), (1, 3, 0.5), (12, 5, 0.2), (6, 2, 0.0)])
@pytest.mark.parametrize("threads", [1, 2])
def test_one_step_no_input_and_batches(layout: str, steps: int, samples: int, density: float, threads: int) -> None:
    rng = np.random.default_rng([steps, samples])
    case = cycle(rng, 70, steps=steps, samples=samples, density=density)
    assert_identical(simulate(*case), execute(case, threads=threads), layout)


@pytest.mark.parametrize("share", [0.0, 0.02, 1.0])
def test_empty_and_full_rows(layout: str, share: float) -> None:
    case = cycle(np.random.default_rng(3), 129, share=share)
    assert_identical(simulate(*case), execute(case), layout)


@pytest.mark.parametrize("magnitude", [3, 900])
def test_graded_input(layout: str, magnitude: int) -> None:
    case = cycle(np.random.default_rng(magnitude), 66, magnitude=magnitude, samples=2)
    assert case[1].value is not None
    assert_identical(simulate(*case), execute(case), layout)


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 2**32 - 1), chunk=st.sampled_from([1, 3, 256]))
def test_any_recurrent_network(seed: int, chunk: int) -> None:
    """Convolutions, matrices and poolings in a cycle, pictures and lists, all traces, with and without tables."""
    case = random_case(np.random.default_rng(seed), "recurrent")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiled, "CHUNK_STEPS", chunk)
        got = execute(case, threads=2)
        assert_identical(execute(case, "general"), got)
    assert_identical(simulate(*case), got)


@pytest.mark.parametrize(("value", "sign"), [(-128, 1), (127, 1), (127, -1)])
def test_sums_at_the_edge_of_32_bits(layout: str, value: int, sign: int) -> None:
    """One event worth 2^23 - 1 at the largest weight, just after everybody has fired."""
    neurons = 300
    worth = 2**23 - 1 if value > 0 else 2**23 - 2**16
    full = np.full((neurons, neurons), value, np.int8)
    full[::2] = -1 - value
    network = ns.Network(
        (
            ns.Population("in", (1,), magnitude=worth),
            ns.Population("a", (neurons,), ns.FixedLIF(membrane_decay=4096, threshold=1, bias_mantissa=2)),
        ),
        (
            ns.Projection("in", "a", ns.Dense(np.full((neurons, 1), value, np.int8)), exponent=1 if value > 0 else 0),
            ns.Projection("a", "a", ns.Sparse.from_dense(full)),
        ),
    )
    case = network, ns.Events.from_dense(np.array([0, sign * worth, 0, sign * worth]).reshape(4, 1, 1))
    got = execute(case)
    assert_identical(simulate(*case), got, layout)
    assert got.counts["a"][0, 0] == neurons


# --- parts for threads ---


@pytest.fixture
def cut(monkeypatch: pytest.MonkeyPatch) -> set[int]:
    """Populations are cut as soon as they have two panels, on any machine, and all threads begin at once.

    Gives the numbers of threads that have run together.
    """
    seen: set[int] = set()
    kernel, meetings = vars(recurrent)["run_group"], dict[tuple[int, int], threading.Barrier]()

    def advance(*arguments: Any) -> None:
        threads, claimed = arguments[4:6]
        seen.add(threads)
        meetings.setdefault((id(claimed), threads), threading.Barrier(threads)).wait(timeout=60)
        kernel(*arguments)

    monkeypatch.setattr(recurrent, "run_group", advance)
    monkeypatch.setattr(projections, "unpacks_fast", lambda: True)
    monkeypatch.setattr(projections, "CACHED_ROWS", 0)
    monkeypatch.setattr(recurrent, "LEAST_PANELS", 1)
    monkeypatch.setattr(recurrent, "LEAST_FAN_OUT", 0)
    monkeypatch.setattr(recurrent, "_processors", lambda: 3)
    return seen


def large(rng: np.random.Generator, neurons: int, share: float = 0.01, samples: int = 1) -> Case:
    """A population of several panels that drives itself, and a small one that it is in a cycle with."""
    network = ns.Network(
        (
            ns.Population("in", (neurons,)), ns.Population("a", (neurons,), ns.FixedLIF(400, 60)),
            ns.Population("b", (40,), ns.FixedLIF(400, 30, current_decay=1000)),
        ),
        (
            ns.Projection("in", "a", ns.Sparse.one_to_one((neurons,), 75), exponent=1),
            ns.Projection("a", "a", matrix(rng, neurons, neurons, share)),
            ns.Projection("a", "b", matrix(rng, neurons, 40, 0.1), exponent=-2),
            ns.Projection("b", "a", matrix(rng, 40, neurons, 0.3), delay=2, exponent=-1),
        ),
    )  # fmt: skip
    return network, spikes(rng, 8, samples, (neurons,), 0.02)


@pytest.mark.parametrize("neurons", [PANEL * TILE + 1, 2 * PANEL * TILE, 5 * PANEL * TILE - 70])
@pytest.mark.parametrize("threads", [2, 3, 16])
def test_threads_share_a_population(
    neurons: int, threads: int, cut: set[int], monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    case = large(np.random.default_rng(neurons), neurons)
    record = ns.Record(spikes=("a", "b"))
    expected = execute(case, "general", record=record)
    assert expected.spikes["b"].count() > 0
    for packed in (True, False):
        monkeypatch.setattr(projections, "DENSE_SHARE", 0.0 if packed else 2.0)
        cut.clear()
        network = ns.Network(case[0].populations, [replace(p) for p in case[0].projections])  # new, so compiled again
        assert_identical(expected, execute((network, case[1]), "auto", threads, record), (packed, threads))
        assert max(cut) == min(threads, 3, -(-neurons // (PANEL * TILE)))


def test_what_is_kept_of_a_step_is_kept_by_one_thread(cut: set[int]) -> None:
    """Recorded membranes and traces leave a population whole; the result is the oracle's all the same."""
    case = large(np.random.default_rng(1), 2 * PANEL * TILE)
    network = case[0].with_sam(populations=["a"])
    assert_identical(execute((network, case[1]), "general"), execute((network, case[1]), threads=2))
    assert cut == {1}


def test_calls_chunks_and_samples_do_not_matter(cut: set[int], monkeypatch: pytest.MonkeyPatch) -> None:
    case = large(np.random.default_rng(2), PANEL * TILE + 100, samples=3)
    record = ns.Record(spikes=("a", "b"))
    expected = execute(case, "general", record=record)
    for call, chunk in ((1, 256), (1, 3), (2**26, 3)):
        monkeypatch.setattr(recurrent, "CALL", call)
        monkeypatch.setattr(compiled, "CHUNK_STEPS", chunk)
        for threads in (1, 2, 6):
            assert_identical(expected, execute(case, "auto", threads, record), (call, chunk, threads))
    assert cut == {1, 2}


@pytest.mark.parametrize("broken", [0, 1])
def test_a_thread_that_fails_leaves_nobody_waiting(
    broken: int, cut: set[int], monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    """It has taken a part, and will never finish it."""
    case = large(np.random.default_rng(4), 2 * PANEL * TILE)
    expected = execute(case, "general", record=ns.Record())
    kernel = vars(recurrent)["run_group"]

    def advance(*arguments: Any) -> None:
        thread, threads, claimed = arguments[3:6]
        if thread == broken and threads > 1:
            claimed[0] += 1
        kernel(*arguments) if thread != broken or threads == 1 else fail(*arguments)

    def fail(*arguments: Any) -> None:
        kernel(arguments[0], 0, 0, *arguments[3:])  # meet the other, and do nothing
        raise RuntimeError("this thread")

    monkeypatch.setattr(recurrent, "run_group", advance)
    with pytest.raises(RuntimeError, match="this thread"):
        execute(case, threads=2, record=ns.Record())
    assert 2 in cut
    monkeypatch.setattr(recurrent, "run_group", kernel)
    assert execute(case, threads=2, record=ns.Record()).same_as(expected)


def test_a_thread_alone_does_the_parts_of_one_that_never_comes(cut: set[int], monkeypatch: pytest.MonkeyPatch) -> None:
    case = large(np.random.default_rng(4), 2 * PANEL * TILE)
    expected = execute(case, "general", record=ns.Record())
    kernel = vars(recurrent)["run_group"]

    def advance(*arguments: Any) -> None:
        kernel(arguments[0], 0, 0, *arguments[3:]) if arguments[3] else kernel(*arguments)

    monkeypatch.setattr(recurrent, "run_group", advance)
    assert execute(case, threads=2, record=ns.Record()).same_as(expected)
    assert 2 in cut


def test_the_log_names_the_loop(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="neurosam.backends.event"):
        execute(cycle(np.random.default_rng(5), 40))
    assert "a: loop" in caplog.text
    assert "b: loop" in caplog.text


def test_a_profile_shares_the_time_of_a_cycle_among_its_populations() -> None:
    network, events = cycle(np.random.default_rng(6), 40)
    profile = {p.population: p for p in EventBackend().profile(network, events)}
    assert all(profile[name].time_s > 0 and profile[name].path == "loop" for name in "ab")
    recorded = ns.run(network, events)
    for name in "ab":
        incoming = (p.label for p in network.incoming(name))
        assert profile[name].operations == sum(recorded.operations[label] for label in incoming)


# --- kernels ---


@settings(deadline=None, max_examples=50)
@given(
    seed=st.integers(0, 2**32 - 1), sources=st.integers(1, 40),
    targets=st.sampled_from([1, 31, 32, 33, 64, 65, 2049, 4300]),
    share=st.sampled_from([0.0, 0.01, 0.1, 0.6, 1.0]), count=st.sampled_from([0, 1, 3, 4, 5, 9, 255, 256, 257, 600]),
    extreme=st.booleans(),
)  # fmt: skip
def test_packed_rows_add_up(seed: int, sources: int, targets: int, share: float, count: int, extreme: bool) -> None:
    rng = np.random.default_rng(seed)
    there = rng.random((sources, targets)) < share
    weight = rng.choice([-128, 127], there.shape) if extreme else rng.integers(-128, 128, there.shape)
    row = np.concatenate(([0], np.cumsum(there.sum(axis=1))))
    packed = pack(row, np.nonzero(there)[1].astype(np.uint32), weight[there].astype(np.int8), targets)
    np.testing.assert_array_equal(packed.fan_out(), there.sum(axis=1))
    index = rng.integers(0, sources, count).astype(np.int32)
    before = rng.integers(-1000, 1000, packed.tiles * TILE).astype(np.int32)
    expected = before.astype(np.int64)
    expected[:targets] += (weight * there)[index].sum(axis=0)
    halves = np.full(packed.tiles * TILE, 77, np.int16)
    acc, operations = before.copy(), 0
    middle = int(rng.integers(0, packed.panels + 1))
    for low, high in ((0, middle), (middle, packed.panels)):
        operations += gather_packed(index, count, packed, low, high, halves, acc[low * PANEL * TILE :])
    np.testing.assert_array_equal(acc, expected)
    assert operations == there[index].sum()


def test_packed_rows_notice_one_bit() -> None:
    """The comparison above can fail: one bit of one weight, or one synapse less, changes the sums."""
    row, target = np.array([0, 3]), np.array([1, 40, 63], np.uint32)
    weight = np.array([5, -128, 127], np.int8)

    def sums(weight: Any, drop: int = 0) -> list[int]:
        packed = pack(row, target, weight, 64)
        packed.words[0] &= ~np.uint64(drop)
        acc = np.zeros(64, np.int32)
        gather_packed(np.zeros(1, np.int32), 1, packed, 0, 1, np.zeros(64, np.int16), acc)
        return [int(acc[target]) for target in (1, 40, 63)]

    assert sums(weight) == [5, -128, 127]
    assert sums(weight ^ np.array([0, 1, 0], np.int8)) == [5, -127, 127]
    assert sums(weight, 1 << 63) == [5, -128, 0]


@pytest.mark.parametrize("source", [(6,), (2, 3, 1), (3, 2, 4)])
@pytest.mark.parametrize("target", [(5,), (2, 2, 2)])
def test_a_matrix_by_source(source: tuple[int, ...], target: tuple[int, ...]) -> None:
    rng = np.random.default_rng(7)
    sources, targets = int(np.prod(source)), int(np.prod(target))
    synapse = matrix(rng, sources, targets, 0.5)
    row, to, weight = np.zeros(sources + 1, np.int64), np.zeros(synapse.weight.size, np.uint32), synapse.weight.copy()
    pictures = [np.array(shape if len(shape) == 3 else (*shape, 1, 1)) for shape in (source, target)]
    by_source(synapse.indptr, synapse.indices, synapse.weight, *pictures, row, to, weight)
    dense = np.zeros((targets, sources), np.int64)
    dense[np.repeat(np.arange(targets), np.diff(synapse.indptr)), synapse.indices] = synapse.weight
    orders = [np.arange(np.prod(p)).reshape(p).transpose(1, 2, 0).reshape(-1) for p in pictures]
    got = np.zeros((sources, targets), np.int64)
    got[np.repeat(np.arange(sources), np.diff(row)), to] = weight
    np.testing.assert_array_equal(got, dense[orders[1]][:, orders[0]].T)
    assert all((np.diff(to[a:b].astype(int)) > 0).all() for a, b in itertools.pairwise(row))


@pytest.mark.parametrize("graded", [False, True])
@pytest.mark.parametrize("pool", [[1, 1, 1, 1, 0, 0], [2, 2, 2, 2, 0, 0]])
def test_a_list_delivered_in_parts(graded: bool, pool: list[int]) -> None:
    rng = np.random.default_rng(8)
    source, pooled = np.array([2, 4, 4]), np.array([2, 4 // pool[0], 4 // pool[0]])
    sources, targets = int(np.prod(pooled)), 50
    there = rng.random((sources, targets)) < 0.3
    row = np.concatenate(([0], np.cumsum(there.sum(axis=1))))
    target, weight = np.nonzero(there)[1].astype(np.uint32), rng.integers(-128, 128, there.sum()).astype(np.int8)
    index = np.sort(rng.choice(32, 20, replace=False)).astype(np.int32)
    start = np.searchsorted(index // 2, np.arange(17)).astype(np.int32)
    value = rng.integers(-9, 10, index.size + LANES).astype(np.int32)

    def deliver(low: int, size: int) -> tuple[Any, int]:
        acc = np.zeros((1, size), np.int32)
        given = start, 16, index, value, graded, source, np.array(pool), pooled, row, target, weight
        return acc[0], deliver_sparse(*given, low, acc)

    whole, operations = deliver(WHOLE, targets)
    parts = [deliver(low, size) for low, size in ((0, 13), (13, 20), (33, 17))]
    np.testing.assert_array_equal(np.concatenate([sums for sums, _ in parts]), whole)
    assert sum(n for _, n in parts) == operations
    dense = np.zeros((sources, targets), np.int64)
    dense[there] = weight
    pixel, channel = index // 2, index % 2
    at = ((pixel // 4 // pool[0]) * pooled[2] + pixel % 4 // pool[0]) * 2 + channel
    expected = (dense[at] * (value[: index.size, None] if graded else 1)).sum(axis=0)
    np.testing.assert_array_equal(whole, expected)


@pytest.mark.parametrize("shape", [(70,), (65, 2, 3)])
def test_tally_counts_spikes_in_c_order(shape: tuple[int, ...]) -> None:
    dense = (np.random.default_rng(9).random((5, 1, *shape)) < 0.4).astype(np.uint8)
    planes = ns.Spikes.from_dense(dense).planes
    count = np.zeros(int(np.prod(shape)), np.int64)
    tally(planes.reshape(5, -1, planes.shape[-1]), 1, 3, count)
    np.testing.assert_array_equal(count, dense[1:4].sum(axis=(0, 1)).reshape(-1))
