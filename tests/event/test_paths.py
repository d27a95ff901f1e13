"""Every path of the event back end gives the same bits: scattered, gathered, general, in strips, by any threads."""

from __future__ import annotations

import logging
import threading
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import neurosam as ns
from neurosam.backends import Options
from neurosam.backends.event.backend import EventBackend
from neurosam.backends.event.executors import chain
from neurosam.backends.event.kernels.spike_lists import decode
from neurosam.backends.event.plan import blocks, compiled
from neurosam.backends.event.plan.compiled import PATHS
from neurosam.backends.event.plan.populations import compile_population, is_max_pool
from neurosam.backends.event.simd.int16 import paired
from neurosam.backends.registry import unrolled
from neurosam.errors import BackendError
from neurosam.signals.inputs import Inputs
from support.agreement import assert_identical
from support.oracle import simulate


def execute(case: tuple[ns.Network, ns.Events], path: str, threads: int = 1, record: bool = True) -> ns.Recording:
    network, events = case
    wanted = ns.Record.everything(network) if record else ns.Record()
    options = Options(threads=threads)
    return EventBackend(path).run(unrolled(network, events.steps), Inputs.of(network, events), wanted, options)


def layered(
    rng: np.random.Generator, source: tuple[int, int, int], channels: int, *, kernel: int = 3, stride: int = 1,
    padding: int = 1, steps: int = 7, samples: int = 1, density: float = 0.2, current: bool = False, exponent: int = 0,
) -> tuple[ns.Network, ns.Events]:  # fmt: skip
    """Convolution, max pooling where it fits, convolution, and a dense readout, all alive."""

    def neuron(fan_in: float) -> ns.FixedLIF:
        return ns.FixedLIF(
            membrane_decay=int(rng.integers(0, 2000)), threshold=max(1, int(40 * np.sqrt(fan_in) * 2.0**exponent)),
            reset="zero" if rng.random() < 0.5 else "subtract",
            bias_mantissa=rng.integers(-100, 200, channels),
            current_decay=int(rng.integers(0, 3000)) if current else None,
        )  # fmt: skip

    def convolution(inputs: int) -> ns.Conv2d:
        weight = rng.integers(-128, 128, (channels, inputs, kernel, kernel)).astype(np.int8)
        return ns.Conv2d(weight, stride=stride, padding=padding)

    first = convolution(source[0])
    populations = [ns.Population("in", source)]
    fan_in = source[0] * kernel * kernel * density
    populations.append(ns.Population("a", first.output_shape(source), neuron(fan_in)))
    projections = [ns.Projection("in", "a", first, exponent=exponent)]
    if min(populations[-1].shape[1:]) >= 2:
        pooled, joined = ns.max_pool(populations[-1], "pool", 2, fixed=True)
        populations.append(pooled)
        projections.append(joined)
    if min(populations[-1].shape[1:]) + 2 * padding >= kernel:
        second = convolution(channels)
        shape = second.output_shape(populations[-1].shape)
        projections.append(ns.Projection(populations[-1].name, "b", second, delay=int(rng.integers(0, 3))))
        populations.append(ns.Population("b", shape, neuron(channels * kernel * kernel * 0.2)))
    weight = rng.integers(-128, 128, (5, int(np.prod(populations[-1].shape)))).astype(np.int8)
    projections.append(ns.Projection(populations[-1].name, "out", ns.Dense(weight)))
    populations.append(ns.Population("out", (5,), ns.FixedReadout()))
    network = ns.Network(tuple(populations), tuple(projections)).with_sam(populations=["a"])
    events = ns.Events.from_dense((rng.random((steps, samples, *source)) < density).astype(np.uint8))
    return network, events


def assert_all_paths_equal(case: tuple[ns.Network, ns.Events], threads: int = 1) -> None:
    expected = execute(case, "general")
    for path in PATHS:
        for record in (True, False):
            got = execute(case, path, threads, record)
            if record:
                assert_identical(expected, got, path)
            np.testing.assert_array_equal(expected.output, got.output)
            assert dict(expected.operations) == dict(got.operations), path
            for name, counts in expected.counts.items():
                np.testing.assert_array_equal(counts, got.counts[name])


@pytest.mark.parametrize("channels", [1, 15, 16, 17, 63, 64, 65, 128, 200, 256])
def test_any_number_of_channels(channels: int) -> None:
    case = layered(np.random.default_rng(channels), (3, 6, 5), channels)
    assert execute(case, "general").spikes["a"].count() > 0
    assert_all_paths_equal(case)


@pytest.mark.parametrize("inputs", [1, 63, 64, 65])
def test_any_number_of_input_channels(inputs: int) -> None:
    assert_all_paths_equal(layered(np.random.default_rng(inputs), (inputs, 5, 4), 33))


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("samples", [1, 2, 5])
def test_any_number_of_threads(threads: int, samples: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chain, "SHARED_WORK_S", 0.0)
    monkeypatch.setattr(chain, "HELPER_S", 1e-12)
    assert_all_paths_equal(layered(np.random.default_rng(0), (3, 9, 7), 40, samples=samples), threads)


@pytest.mark.parametrize("threads", [2, 3, 8])
@pytest.mark.parametrize("channels", [129, 300])
@pytest.mark.parametrize("density", [0.0, 0.05, 0.5])
def test_threads_share_layers_and_poolings(
    threads: int, channels: int, density: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = layered(np.random.default_rng(channels), (20, 5, 4), channels, density=density)
    expected = execute(case, "general")
    for name, value in {"SHARED_WORK_S": 0.0, "HELPER_S": 1e-12, "LEAST_POOLED": 0}.items():
        monkeypatch.setattr(chain, name, value)
    for path in PATHS:
        assert_identical(expected, execute(case, path, threads=threads), path)


@pytest.mark.parametrize("failing", [0, 1])
def test_a_thread_that_fails_releases_the_others(failing: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has taken a piece, and will never finish it."""
    case = layered(np.random.default_rng(0), (3, 9, 7), 40)
    expected = execute(case, "general")
    monkeypatch.setattr(chain, "SHARED_WORK_S", 0.0)
    monkeypatch.setattr(chain, "HELPER_S", 1e-12)
    share, meeting = vars(chain)["run_stages"], threading.Barrier(2)

    def fails(*arguments: Any) -> int:
        counters, thread = arguments[2], arguments[8]
        meeting.wait(timeout=60)
        if thread == failing:
            counters[0] += 1
            meeting.wait(timeout=60)
            raise MemoryError("on purpose")
        meeting.wait(timeout=60)
        monkeypatch.setattr(chain, "run_stages", share)
        return int(share(*arguments))

    monkeypatch.setattr(chain, "run_stages", fails)
    with pytest.raises(MemoryError, match="on purpose"):
        execute(case, "auto", threads=2)
    monkeypatch.setattr(chain, "run_stages", share)
    assert_identical(expected, execute(case, "auto", threads=2))


@pytest.mark.parametrize(
    ("block", "strip", "chunk"), [(1, 1, 1), (2**13, 2**11, 2), (2**14, 2**12, 3), (3 * 2**13, 1, 5)]
)
def test_blocks_strips_and_chunks_that_do_not_divide(
    block: int, strip: int, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = layered(np.random.default_rng(1), (2, 7, 9), 70, steps=11)
    expected = execute(case, "general")
    monkeypatch.setattr(blocks, "BLOCK_BYTES", block)
    monkeypatch.setattr(blocks, "STRIP_BYTES", strip)
    monkeypatch.setattr(compiled, "CHUNK_STEPS", chunk)
    for path in PATHS:
        assert_identical(expected, execute(case, path, threads=2), path)


@settings(deadline=None, max_examples=40)
@given(
    seed=st.integers(0, 2**32 - 1), kernel=st.integers(1, 4), stride=st.integers(1, 3), padding=st.integers(0, 2),
    height=st.integers(4, 9), width=st.integers(4, 9), channels=st.sampled_from([1, 20, 32, 64, 100]),
    current=st.booleans(), exponent=st.integers(-2, 2), density=st.sampled_from([0.0, 0.05, 0.5, 1.0]),
)  # fmt: skip
def test_any_geometry(
    seed: int, kernel: int, stride: int, padding: int, height: int, width: int, channels: int, current: bool,
    exponent: int, density: float,
) -> None:  # fmt: skip
    case = layered(
        np.random.default_rng(seed), (3, height, width), channels, kernel=kernel, stride=stride, padding=padding,
        steps=4, density=density, current=current, exponent=exponent,
    )  # fmt: skip
    assert_all_paths_equal(case)


def test_sums_of_more_rows_than_16_bits_hold() -> None:
    """Every source active, every weight at its limit: partial sums are emptied before they overflow."""
    for weight in (127, -128):
        synapse = ns.Conv2d(np.full((64, 100, 3, 3), weight, np.int8), padding=1)
        network = ns.Network(
            (ns.Population("in", (100, 4, 4)), ns.Population("a", (64, 4, 4), ns.FixedLIF(4096, 2**17 - 1))),
            (ns.Projection("in", "a", synapse),),
        )
        events = ns.Events.from_dense(np.ones((2, 1, 100, 4, 4), np.uint8))
        gathered = execute((network, events), "gather")
        assert gathered.membrane["a"][0, 0, 0, 1, 1] == (900 * weight << 6)
        assert_identical(execute((network, events), "general"), gathered)


def test_pairs_hold_two_weights_a_lane() -> None:
    weight = np.arange(-128, 128, dtype=np.int8).reshape(2, 128)[:, :100]
    lanes = paired(weight).view("<i2").reshape(2, 2, 32)
    for tile, lane in ((0, 0), (0, 31), (1, 3)):
        low = weight[0, 64 * tile + lane]
        high = weight[0, 64 * tile + 32 + lane] if 64 * tile + 32 + lane < 100 else 0
        assert lanes[0, tile, lane] == 256 * int(high) + int(low) + 128


@pytest.mark.parametrize("channels", [1, 3, 64, 65, 130])
def test_decode_lists_spikes_by_pixel(channels: int) -> None:
    rng = np.random.default_rng(channels)
    dense = (rng.random((3, 1, channels, 2, 4)) < rng.choice([0.02, 0.5])).astype(np.uint8)
    planes = ns.Spikes.from_dense(dense).planes.reshape(3, 8, -1)
    start, index = np.zeros(2 * 5 + 1, np.int32), np.zeros(2 * 5 * channels + 15, np.int32)
    count = decode(planes, 1, 2, 2, 7, channels, start, index)
    flat = dense[1:, 0].transpose(0, 2, 3, 1).reshape(2, 8, channels)[:, 2:7]
    _, pixel, channel = np.nonzero(flat)
    np.testing.assert_array_equal(index[:count], (pixel + 2) * channels + channel)
    np.testing.assert_array_equal(np.diff(start[: 2 * 5 + 1]), flat.sum(axis=2).reshape(-1))


@pytest.mark.parametrize(
    ("weight", "threshold", "decay", "bias", "expected"),
    [
        (2, 1, 4096, 0, True),
        (1, 1, 4096, 0, False),
        (2, 1, 4095, 0, False),
        (2, 1, 4096, 1, False),
        (-2, 1, 4096, 0, False),
    ],
)
def test_or_is_recognised_exactly(weight: int, threshold: int, decay: int, bias: int, expected: bool) -> None:
    synapse = ns.Conv2d(np.full((3, 1, 2, 2), weight, np.int8), stride=2, groups=3)
    neuron = ns.FixedLIF(decay, threshold, bias_mantissa=bias)
    network = ns.Network(
        (ns.Population("in", (3, 4, 4)), ns.Population("a", (3, 2, 2), neuron)), (ns.Projection("in", "a", synapse),)
    )
    population = compile_population(network["a"], network.precision, "float64")
    assert is_max_pool(population, network.projections[0]) is expected


def test_a_run_logs_its_paths(caplog: pytest.LogCaptureFixture) -> None:
    case = layered(np.random.default_rng(3), (40, 6, 6), 64)
    with caplog.at_level(logging.INFO, logger="neurosam.backends.event"):
        execute(case, "auto", record=False)
    text = caplog.text
    assert "a: layer, 0 blocks scattered, 1 gathered" in text
    assert "pool: or" in text


def test_a_profile_says_what_each_population_cost() -> None:
    network, events = layered(np.random.default_rng(3), (40, 6, 6), 64, samples=3)
    expected = execute((network, events), "auto", record=False)
    rows = EventBackend().profile(network, events, threads=2)
    assert [(row.population, row.path) for row in rows[:2]] == [("a", "layer"), ("pool", "or")]
    assert {row.population: row.operations for row in rows} == {
        p.target: expected.operations[p.label] for p in network.projections
    }
    assert [row.updates for row in rows] == [
        int(np.prod(network[row.population].shape)) * events.steps * events.samples for row in rows
    ]
    assert all(row.time_s > 0 for row in rows)


def test_an_unknown_path_is_refused() -> None:
    with pytest.raises(BackendError, match="allowed are auto"):
        EventBackend("fast")


@pytest.mark.parametrize("neurons", [31, 32, 64, 200, 300])
@pytest.mark.parametrize("share", [0.02, 0.5])
def test_large_matrices_are_gathered_by_rows(neurons: int, share: float) -> None:
    """A recurrent population receives sparse, dense and graded input, with and without exponents."""
    rng = np.random.default_rng([neurons, int(100 * share)])
    weight = rng.integers(-128, 128, (neurons, neurons)) * (rng.random((neurons, neurons)) < share)
    for graded in (False, True):
        network = ns.Network(
            (ns.Population("in", (9,), magnitude=3), ns.Population("a", (neurons,), ns.FixedLIF(300, 60))),
            (
                ns.Projection("in", "a", ns.Dense(rng.integers(-50, 128, (neurons, 9)).astype(np.int8)), exponent=1),
                ns.Projection(
                    "a", "a", ns.Sparse.from_dense(weight.astype(np.int8)), exponent=int(rng.choice([-1, 0, 2]))
                ),
            ),
        )
        x = (rng.random((6, 2, 9)) < 0.5) * (rng.integers(-3, 4, (6, 2, 9)) if graded else 1)
        events = ns.Events.from_dense(x)
        assert events.value is None or graded
        assert_identical(simulate(network, events), execute((network, events), "auto"))


@pytest.mark.parametrize("value", [-128, 127])
def test_the_largest_weights_of_all_sources_at_once(value: int) -> None:
    """Partial sums in 16 bits hold 256 rows of the smallest weight, and not one more."""
    for channels in (1, 28, 29, 57, 64, 130):  # a current wraps from 115 on
        source = ns.Population("in", (channels, 5, 5))
        weight = np.full((64, channels, 3, 3), value, np.int8)
        weight[1::2] = -1 - value
        network = ns.Network(
            [source, ns.Population("a", (64, 5, 5), ns.FixedLIF(membrane_decay=100, threshold=9000))],
            [ns.Projection("in", "a", ns.Conv2d(weight, padding=1))],
        )
        events = ns.Events.from_dense(np.ones((3, 1, channels, 5, 5), np.uint8))
        record = ns.Record.everything(network)
        expected = ns.run(network, events, "reference", record)
        for path in PATHS:
            got = EventBackend(path).run(network, Inputs.of(network, events), record, Options(threads=2))
            assert got.same_as(expected), (channels, path)
