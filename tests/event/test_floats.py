"""Float layers: every path gives the same numbers in both precisions where sums are exact, and else to rounding.

Weights, leaks and thresholds are small dyadic rationals: no sum or product needs more than float32's 24 bits, so that
nothing is rounded, whatever the order, and the reference has the same bits.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import neurosam as ns
from neurosam.backends import Options
from neurosam.backends.event.backend import EventBackend
from neurosam.backends.event.executors import chain
from neurosam.backends.event.plan.compiled import PATHS
from neurosam.backends.event.plan.populations import compile_population, is_max_pool
from neurosam.backends.registry import unrolled
from neurosam.equivalence.comparison import report, verify
from neurosam.equivalence.tolerance import rounding_of
from neurosam.signals.inputs import Inputs
from support.agreement import assert_identical

DTYPES = ("float64", "float32")


def dyadic(
    rng: np.random.Generator, source: tuple[int, int, int], channels: int, *, kernel: int = 3, stride: int = 1,
    padding: int = 1, steps: int = 6, samples: int = 1, density: float = 0.2, summed: int = 1,
) -> tuple[ns.Network, ns.Events]:  # fmt: skip
    """Convolution, max pooling where it fits, convolution (behind a sum), and a dense readout, all alive."""

    def neuron(fan_in: float) -> ns.LIF:
        options: dict[str, Any] = {}
        if rng.random() < 0.5:
            options |= {"current_leak": rng.choice([0.0, 0.25, 0.5], channels)}
        if rng.random() < 0.5:
            gain, offset = rng.choice([0.5, 1.0, 2.0], (steps, channels)), rng.integers(-2, 3, (steps, channels)) / 4
            options |= {"gain": gain, "offset": offset}
        if rng.random() < 0.5:
            options |= {"reset": "zero"}
        elif rng.random() < 0.5:
            options |= {"reset_amount": rng.integers(1, 9, channels) / 4}
        leak, bias = rng.choice([0.0, 0.5, 1.0], channels), rng.integers(-2, 3, channels) / 8
        threshold = np.maximum(rng.integers(1, 5, channels) / 4 * np.rint(np.sqrt(fan_in)), 0.25)
        return ns.LIF(leak=leak, threshold=threshold, bias=bias, **options)

    def convolution(inputs: int) -> ns.Conv2d:
        weight = rng.integers(-8, 10, (channels, inputs, kernel, kernel)) / 8
        return ns.Conv2d(weight, stride=stride, padding=padding)

    first = convolution(source[0])
    shape = first.output_shape(source)
    populations = [ns.Population("in", source), ns.Population("a", shape, neuron(source[0] * kernel**2 * density))]
    projections = [ns.Projection("in", "a", first)]
    if min(shape[1:]) >= 2:
        pooled, joined = ns.max_pool(populations[-1], "pool", 2, fixed=False)
        populations.append(pooled)
        projections.append(joined)
    shape = populations[-1].shape
    pool = ns.SumPool2d(summed) if summed > 1 and min(shape[1:]) >= summed else None
    shape = pool.output_shape(shape) if pool else shape
    if min(shape[1:]) + 2 * padding >= kernel:
        second = convolution(channels)
        joined = ns.Projection(populations[-1].name, "b", second, pool=pool, delay=int(rng.integers(0, 3)))
        projections.append(joined)
        populations.append(ns.Population("b", second.output_shape(shape), neuron(channels * kernel**2 * 0.2)))
    weight = rng.integers(-8, 9, (5, int(np.prod(populations[-1].shape)))) / 8
    projections.append(ns.Projection(populations[-1].name, "out", ns.Dense(weight)))
    populations.append(ns.Population("out", (5,), ns.Readout(bias=0.25)))
    mode = str(rng.choice(["strict", "inclusive", "official"]))
    network = ns.Network(tuple(populations), tuple(projections)).with_sam(ns.SamTrace(0.5, mode), populations=["a"])
    events = ns.Events.from_dense((rng.random((steps, samples, *source)) < density).astype(np.uint8))
    return network, events


def execute(
    case: tuple[ns.Network, ns.Events], path: str, dtype: str, threads: int = 1, record: bool = True
) -> ns.Recording:
    network, events = case
    wanted = ns.Record.everything(network) if record else ns.Record()
    return EventBackend(path).run(
        unrolled(network, events.steps), Inputs.of(network, events), wanted, Options(threads=threads, dtype=dtype)
    )


def assert_exact(case: tuple[ns.Network, ns.Events], threads: int = 1) -> ns.Recording:
    """Reference, general path and every other path: the same bits in both precisions; maps to rounding."""
    network, events = case
    expected = execute(case, "general", "float64")
    for dtype in DTYPES:
        reference = ns.run(network, events, "reference", ns.Record.everything(network), dtype=dtype)
        assert_identical(replace(reference, sam={}), replace(expected, sam={}), dtype)
        for name, maps in reference.sam.items():
            np.testing.assert_allclose(expected.sam[name], maps, rtol=1e-12, atol=1e-12)
        for path in PATHS:
            assert_identical(expected, execute(case, path, dtype, threads), (path, dtype))
            quiet = execute(case, path, dtype, threads, record=False)
            np.testing.assert_array_equal(quiet.output, expected.output)
            assert dict(quiet.operations) == dict(expected.operations)
    return expected


@pytest.mark.parametrize("channels", [1, 7, 8, 33, 63, 64, 65, 130])
def test_any_number_of_channels(channels: int) -> None:
    found = assert_exact(dyadic(np.random.default_rng(channels), (3, 6, 5), channels))
    assert 0 < found.spikes["a"].count() < found.spikes["a"].dense().size


@pytest.mark.parametrize("inputs", [1, 63, 64, 65])
def test_any_number_of_input_channels(inputs: int) -> None:
    assert_exact(dyadic(np.random.default_rng(inputs), (inputs, 5, 4), 33))


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("samples", [1, 3])
def test_any_number_of_threads(threads: int, samples: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chain, "SHARED_WORK_S", 0.0)
    monkeypatch.setattr(chain, "HELPER_S", 1e-12)
    assert_exact(dyadic(np.random.default_rng(0), (3, 9, 7), 40, samples=samples), threads)


@settings(deadline=None, max_examples=30)
@given(
    seed=st.integers(0, 2**32 - 1), kernel=st.integers(1, 4), stride=st.integers(1, 3), padding=st.integers(0, 2),
    height=st.integers(4, 9), width=st.integers(4, 9), channels=st.sampled_from([1, 20, 32, 64, 100]),
    summed=st.integers(1, 2), density=st.sampled_from([0.0, 0.05, 0.5, 1.0]),
)  # fmt: skip
def test_any_geometry(
    seed: int, kernel: int, stride: int, padding: int, height: int, width: int, channels: int, summed: int,
    density: float,
) -> None:  # fmt: skip
    case = dyadic(
        np.random.default_rng(seed), (3, height, width), channels, kernel=kernel, stride=stride, padding=padding,
        steps=4, density=density, summed=summed,
    )  # fmt: skip
    assert_exact(case)


@pytest.mark.parametrize("dtype", DTYPES)
def test_real_weights_agree_to_rounding(dtype: str) -> None:
    """Sums of one path differ from another's by rounding alone; a verification in this precision says so."""
    rng = np.random.default_rng(5)
    network, events = dyadic(rng, (40, 9, 9), 70, samples=2)
    projections = [
        replace(p, synapse=replace(p.synapse, weight=rng.normal(0, 0.4, p.synapse.weight.shape)))
        if p.target != "pool"
        else p
        for p in network.projections
    ]
    network = replace(network, projections=tuple(projections))
    found = verify(network, events, dtype=dtype)["event"]
    assert found.equal, str(found.divergence)
    wrong = replace(projections[0], synapse=replace(projections[0].synapse, weight=_changed(projections[0])))
    other = replace(network, projections=(wrong, *projections[1:]))
    record = ns.Record.everything(network)
    expected = ns.run(network, events, "reference", record, dtype=dtype)
    got = ns.run(other, events, "event", record, dtype=dtype)
    assert not report(expected, got, network, rounding_of(network, events.steps, dtype)).equal


def _changed(projection: ns.Projection) -> Any:
    weight = projection.synapse.weight.copy()
    weight.reshape(-1)[11] *= 1.1
    return weight


@pytest.mark.parametrize("dtype", DTYPES)
def test_paths_are_logged(dtype: str, caplog: pytest.LogCaptureFixture) -> None:
    case = dyadic(np.random.default_rng(3), (40, 6, 6), 64)
    with caplog.at_level(logging.INFO, logger="neurosam.backends.event"):
        execute(case, "auto", dtype, record=False)
    assert "a: layer, 0 blocks scattered, 1 gathered" in caplog.text
    assert "pool: or" in caplog.text
    caplog.clear()
    recurrent = ns.Network(
        (ns.Population("in", (3,)), ns.Population("a", (3,), ns.LIF(leak=0.5, threshold=1.0))),
        (ns.Projection("in", "a", ns.Dense(np.eye(3))), ns.Projection("a", "a", ns.Dense(np.ones((3, 3))))),
    )
    with caplog.at_level(logging.INFO, logger="neurosam.backends.event"):
        execute((recurrent, ns.Events.from_dense(np.ones((4, 1, 3), np.uint8))), "auto", dtype)
    assert "a: general" in caplog.text


@pytest.mark.parametrize(
    ("weight", "threshold", "leak", "bias", "expected"),
    [(1.0, 0.5, 0.0, 0.0, True), (0.5, 0.5, 0.0, 0.0, False), (1.0, 0.5, 0.1, 0.0, False), (1.0, 0.5, 0.0, 0.1, False)],
)
def test_or_is_recognised_exactly(weight: float, threshold: float, leak: float, bias: float, expected: bool) -> None:
    synapse = ns.Conv2d(np.full((3, 1, 2, 2), weight), stride=2, groups=3)
    population = ns.Population("a", (3, 2, 2), ns.LIF(leak=leak, threshold=threshold, bias=bias))
    network = ns.Network((ns.Population("in", (3, 4, 4)), population), (ns.Projection("in", "a", synapse),))
    for dtype in DTYPES:
        compiled = compile_population(population, None, dtype)
        assert is_max_pool(compiled, network.projections[0]) is expected


def test_a_float32_membrane_that_overflows_is_reset_like_any_other() -> None:
    """Infinity above the threshold resets to 0, not to NaN."""
    network = ns.Network(
        (ns.Population("in", (64, 1, 1)), ns.Population("a", (64, 1, 1), ns.LIF(1.0, 1.0, reset="zero"))),
        (ns.Projection("in", "a", ns.Conv2d(np.full((64, 64, 1, 1), 1e38))),),
    )
    events = ns.Events.from_dense(np.ones((2, 1, 64, 1, 1), np.uint8))
    for path in PATHS:
        found = execute((network, events), path, "float32")
        np.testing.assert_array_equal(found.membrane["a"], 0.0)
        assert found.spikes["a"].count() == 128
