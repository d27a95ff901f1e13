"""What outlives a run of the event back end: prepared networks, samples' memory, threads. None of it may be noticed."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import textwrap
import threading
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import neurosam as ns
from neurosam.backends.event import cache
from neurosam.backends.event.cache import CACHE, Cache
from neurosam.backends.event.executors import chain
from neurosam.backends.event.kernels.work_sharing import pack_stages
from neurosam.backends.event.plan import compiled
from neurosam.backends.event.plan.compiled import CacheKey
from neurosam.backends.event.plan.inputs import Input
from neurosam.backends.event.runtime import thread_pool
from neurosam.backends.event.runtime.thread_pool import run_parallel
from neurosam.errors import BackendError
from neurosam.network.synapse import as_chw
from support.agreement import assert_identical
from support.networks import KINDS, large_case, random_case
from support.oracle import simulate

Case = tuple[ns.Network, ns.Events]


def spoil() -> int:
    """Overwrite all memory that earlier runs have left; returns how many workers there were."""
    for worker in CACHE.spare():
        memory = worker.memory
        for array in (*memory.planes.values(), *(x for state in memory.states.values() for x in state)):
            array.view(np.uint8).fill(0xA5)
        for counters in (*memory.answers.values(), memory.work, memory.operations, memory.seconds):
            counters.view(np.uint8).fill(0xA5)
    return len(CACHE.spare())


def requests(network: ns.Network) -> tuple[ns.Record, ...]:
    whole = ns.Record.everything(network)
    return (
        whole,
        ns.Record(),
        ns.Record(spikes=whole.spikes[:1], membrane=whole.membrane[-1:]),
        ns.Record(sam=whole.sam),
    )


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 2**32 - 1), fixed=st.booleans(), chunk=st.sampled_from([2, 256]))
def test_runs_that_follow_each_other_share_nothing(seed: int, fixed: bool, chunk: int) -> None:
    """Networks, lengths, requests and threads in any order, and garbage in all memory that is used again."""
    rng = np.random.default_rng(seed)
    cases = [random_case(rng, fixed=fixed) for _ in range(2)]
    again = 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiled, "CHUNK_STEPS", chunk)
        patch.setattr(chain, "SHARED_WORK_S", 0.0)
        patch.setattr(chain, "HELPER_S", 1e-12)
        for _ in range(6):
            network, events = cases[int(rng.integers(2))]
            record = requests(network)[int(rng.integers(4))]
            part = events.select(0, int(rng.integers(1, events.samples + 1)))
            threads = int(rng.integers(1, 4))
            first = ns.run(network, part, record=record, threads=threads)
            again += spoil()
            second = ns.run(network, part, record=record, threads=threads)
            assert first.same_as(second)
            assert dict(first.operations) == dict(second.operations)
            assert first.same_as(ns.run(replace(network), part, record=record, threads=1))
    assert again > 0


@pytest.mark.parametrize("kind", KINDS)
def test_a_spoilt_memory_gives_the_oracles_result(kind: str) -> None:
    case = random_case(np.random.default_rng(7), kind)
    expected = simulate(*case)
    for threads in (1, 1, 2, 2):
        assert_identical(expected, ns.run(*case, record=ns.Record.everything(case[0]), threads=threads))
        assert spoil() > 0


def test_what_is_left_goes_with_its_network_and_stays_small(monkeypatch: pytest.MonkeyPatch) -> None:
    network, events = random_case(np.random.default_rng(3))
    ns.run(network, events, threads=2)
    assert 1 <= len(CACHE.spare()) <= 2
    gone = weakref.ref(CACHE.spare()[0])
    gc.collect()
    elements = vars(CACHE)["_elements"]
    count = len(elements)
    other = random_case(np.random.default_rng(4))
    ns.run(*other)
    gc.collect()
    assert gone() is None
    assert len(elements) > count
    del other
    gc.collect()
    assert vars(CACHE)["_last"] is None
    assert len(elements) == count
    monkeypatch.setattr(cache, "SPARE_BYTES", 0)
    ns.run(network, events)
    assert CACHE.spare() == []


def test_a_run_that_fails_leaves_nothing() -> None:
    network, events = random_case(np.random.default_rng(3), "chain")
    expected = simulate(network, events)

    def fail(done: int, total: int) -> None:
        raise ArithmeticError("on purpose")

    for threads in (1, 2, 3):
        with pytest.raises(ArithmeticError, match="on purpose"):
            ns.run(network, events, threads=threads, progress=fail)
        assert CACHE.spare() == []
        assert_identical(expected, ns.run(network, events, record=ns.Record.everything(network), threads=threads))


def test_runs_at_once_and_runs_inside_runs() -> None:
    """More threads than processors, all with helpers, on the same networks."""
    cases = [large_case(np.random.default_rng(seed), kind) for seed, kind in enumerate(KINDS)]
    expected = [ns.run(*case, record=ns.Record.everything(case[0]), threads=1) for case in cases]

    def work(k: int) -> None:
        at = k % len(cases)
        record = ns.Record.everything(cases[at][0])
        inner = cases[(at + 1) % len(cases)]

        def nested(done: int, total: int) -> None:
            if done == 1:
                assert ns.run(*inner, threads=2).counts["in"].sum() == len(inner[1])

        assert_identical(expected[at], ns.run(*cases[at], record=record, threads=3, progress=nested), at)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(20)))


def test_two_threads_share_the_cache() -> None:
    """Two networks with populations and projections in common, run in turns and at once: the results of single runs."""
    network, events = random_case(np.random.default_rng(5), "chain")
    networks = network, replace(network, metadata={"copy": "of the same parts"})
    records = ns.Record.everything(network), ns.Record()
    expected = [ns.run(replace(network), events, record=record, threads=1) for record in records]
    meeting = threading.Barrier(2)

    def work(thread: int) -> None:
        for k in range(30):
            meeting.wait(timeout=60)
            own = networks[(thread + k // 2) % 2] if k % 3 else replace(network)  # one that is soon gone
            got = ns.run(own, events, record=records[k % 2], threads=1 + k % 2)
            np.testing.assert_array_equal(got.output, expected[k % 2].output)
            assert got.same_as(expected[k % 2])
            assert dict(got.operations) == dict(expected[k % 2].operations)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(work, range(2)))


def test_elements_are_made_once_and_go_with_their_population() -> None:
    """Threads that ask at the same time get one object; another key gives another; nothing is kept for the dead."""
    elements, meeting = Cache(), threading.Barrier(2)
    population = ns.Population("a", (3,), ns.FixedLIF(100, 1))

    def make() -> list[int]:
        meeting.wait(timeout=60)
        return []

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(elements.element, [population] * 2, ["key"] * 2, [make] * 2)
    assert first is second
    assert elements.element(population, "key", make) is first
    assert elements.element(population, "other key", list) is not first
    assert len(vars(elements)["_elements"]) == 1
    del population
    gc.collect()
    assert len(vars(elements)["_elements"]) == 0


def test_a_network_may_be_collected_while_the_cache_is_locked() -> None:
    """As it may in any statement: the thread that holds the lock must not wait for itself."""
    network, events = random_case(np.random.default_rng(3))
    cache_of_one = Cache()
    cache_of_one.plan(network, CacheKey(ns.Record(), events.steps, "auto", "float64", frozenset(), 1))
    kept = [network]
    del network

    def forget() -> None:
        with vars(cache_of_one)["_lock"]:
            kept.clear()
            gc.collect()

    thread = threading.Thread(target=forget, daemon=True)
    thread.start()
    thread.join(timeout=60)
    assert not thread.is_alive()
    assert vars(cache_of_one)["_last"] is None


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_process_does_not_inherit_a_held_lock() -> None:
    """Another thread holds the cache's lock at the moment of the fork: it is waited for."""
    program = """
        import os, threading, time
        import numpy as np
        import neurosam as ns
        from neurosam.backends.event.cache import CACHE
        from support.networks import random_case
        network, events = random_case(np.random.default_rng(0), "chain")
        expected = ns.run(network, events)
        held = threading.Event()

        def hold():
            with CACHE._lock:
                held.set()
                time.sleep(0.5)

        thread = threading.Thread(target=hold)
        thread.start()
        held.wait()
        child = os.fork()
        same = ns.run(network, events).same_as(expected)
        if child == 0:
            os._exit(0 if same else 1)
        assert same and os.waitpid(child, 0)[1] == 0
    """
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(program)], cwd=Path(__file__).parent.parent, timeout=300,
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_process_has_helpers_of_its_own() -> None:
    """And an interpreter with idle helpers ends."""
    program = """
        import os
        import numpy as np
        import neurosam as ns
        from support.networks import large_case
        network, events = large_case(np.random.default_rng(0), "chain")
        expected = ns.run(network, events, threads=1)
        assert ns.run(network, events, threads=3).same_as(expected)
        child = os.fork()
        same = ns.run(network, events, threads=3).same_as(expected)
        if child == 0:
            os._exit(0 if same else 1)
        assert same and os.waitpid(child, 0)[1] == 0
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], cwd=Path(__file__).parent.parent, timeout=300,
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


# --- helpers ---


def test_helpers_are_used_again() -> None:
    seen: set[int] = set()
    meeting = threading.Barrier(3)

    def task(thread: int) -> None:
        meeting.wait(timeout=60)
        seen.add(threading.get_ident())

    for _ in range(20):
        run_parallel(task, 3)
    assert len(seen) == 3


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system does not support affinity")
def test_a_helper_leaves_its_callers_processor_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    allowed = os.sched_getaffinity(0)
    for own in (min(allowed), max(allowed)):
        monkeypatch.setattr(thread_pool, "_processor", lambda own=own: own)
        found: list[set[int]] = []
        begun = threading.Event()

        def task(thread: int, found: list[set[int]] = found, begun: threading.Event = begun) -> None:
            if thread:
                found.append(os.sched_getaffinity(0))
                begun.set()
            else:
                begun.wait(10)

        run_parallel(task, 2)
        assert found == [allowed - {own} or allowed]
    assert os.sched_getaffinity(0) == allowed


@pytest.mark.parametrize("failing", [0, 1, 2])
def test_what_a_helper_raises_reaches_the_caller_when_all_are_done(failing: int) -> None:
    meeting, ended = threading.Barrier(3), []

    def task(thread: int) -> None:
        meeting.wait(timeout=60)
        if thread == failing:
            raise KeyError(thread)
        ended.append(thread)

    with pytest.raises(KeyError, match=str(failing)):
        run_parallel(task, 3)
    assert sorted(ended) == sorted({0, 1, 2} - {failing})


def test_nobody_waits_for_a_helper_that_has_not_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its work is taken back, and it never begins."""
    seen: list[int] = []
    monkeypatch.setattr(thread_pool, "Thread", lambda **_: threading.Timer(0.5, lambda: None))
    monkeypatch.setattr(thread_pool, "_idle", type(idle())())
    run_parallel(seen.append, 4)
    assert seen == [0]


def idle() -> Any:
    from neurosam.backends.event.runtime import thread_pool

    return vars(thread_pool)["_idle"]


# --- parts ---


@pytest.mark.parametrize("shape", [(1,), (130,), (2, 3, 4), (65, 1, 2), (64, 3, 1)])
@pytest.mark.parametrize("samples", [1, 3])
def test_planes_of_the_input_are_its_spikes(shape: tuple[int, ...], samples: int) -> None:
    rng = np.random.default_rng([samples, *shape])
    dense = (rng.random((9, samples, *shape)) < rng.choice([0.1, 0.9], (9, 1) + (1,) * len(shape))).astype(np.uint8)
    dense[4] = 0
    events = ns.Events.from_dense(dense)
    put = Input(events, as_chw(shape), np.int32)
    np.testing.assert_array_equal(put.counts, dense.reshape(9, samples, -1).sum(-1))
    expected = ns.Spikes.from_dense(dense).planes
    for b in range(samples):
        for first, end in ((0, 9), (0, 0), (3, 5), (8, 9)):
            planes = np.full((10, *expected.shape[2:]), 0xA5A5, np.uint64).reshape(10, -1, expected.shape[-1])
            put.fill(planes, b, first, end)
            np.testing.assert_array_equal(
                planes[: end - first], expected[first:end, b].reshape(end - first, *planes.shape[1:])
            )
            assert (planes[end - first :] == 0xA5A5).all()


def test_stages_of_two_types_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    network = ns.Network(
        [ns.Population("in", (2, 5, 5)), ns.Population("a", (9, 5, 5), ns.FixedLIF(100, 1))],
        [ns.Projection("in", "a", ns.Conv2d(np.ones((9, 2, 3, 3), np.int8), padding=1))],
    )
    events = ns.Events.from_dense(np.ones((2, 1, 2, 5, 5), np.uint8))
    seen: list[Any] = []

    def keep(stages: list[Any]) -> Any:
        seen.extend(stages)
        return pack_stages(stages)

    monkeypatch.setattr(chain, "pack_stages", keep)
    ns.run(network, events)
    stage = seen[0]
    other = stage._replace(work=stage.work.astype(np.int32))
    with pytest.raises(BackendError, match="differ in type"):
        pack_stages([stage, other])


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    """Nothing that an earlier test has left."""
    CACHE.clear()
    yield
    CACHE.clear()
