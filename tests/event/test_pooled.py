"""Populations that pool their sums, on every path that may meet them: the oracle's bits, by the path that was meant."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

import neurosam as ns
from neurosam.backends import Options
from neurosam.backends.event.backend import EventBackend
from neurosam.backends.event.executors.chain import ChainExecutor
from neurosam.backends.event.executors.recurrent import RecurrentExecutor
from neurosam.backends.event.kernels.pooled_sums import pool_largest
from neurosam.backends.event.plan import blocks, compiled
from neurosam.backends.reference.synapses import largest_sums
from neurosam.signals.inputs import Inputs
from support.agreement import assert_identical
from support.delivery import largest
from support.oracle import simulate

Case = tuple[ns.Network, ns.Events]

WINDOWS = (
    ns.MaxPool2d(2), ns.MaxPool2d(3, 2, 1), ns.MaxPool2d((1, 3), (2, 1), (0, 2)), ns.MaxPool2d(2, 3),
    ns.MaxPool2d((8, 6)),
)  # fmt: skip
"""Windows that tile, overlap, lie mostly on the border, leave gaps, and one for the whole picture."""


def case(pool: ns.MaxPool2d, *, loop: bool, neuron: Any = None, steps: int = 8) -> Case:
    """A convolution, pooled; with `loop`, neurons that drive the sums in front of their own pool. Readout behind."""
    rng = np.random.default_rng(6)
    shape = pool.output_shape((10, 8, 6))
    size = int(np.prod(shape))
    neuron = ns.FixedLIF(300, 100, bias_mantissa=25) if neuron is None else neuron
    projections = [
        ns.Projection("in", "a", ns.Conv2d(rng.integers(-90, 60, (10, 2, 3, 3)), padding=1)),
        ns.Projection("a", "out", ns.Dense(rng.integers(-20, 20, (3, size)))),
    ]
    if loop:
        weight = rng.integers(-60, 40, (480, size)) * (rng.random((480, size)) < 0.1)
        projections.append(ns.Projection("a", "a", ns.Sparse.from_dense(weight, (10, 8, 6)), delay=2, exponent=-1))
    network = ns.Network(
        [
            ns.Population("in", (2, 8, 6)), ns.Population("a", shape, neuron, pool=pool),
            ns.Population("out", (3,), ns.FixedReadout()),
        ],
        projections,
    ).with_sam()  # fmt: skip
    x = (rng.random((steps, 2, 2, 8, 6)) < 0.3).astype(np.uint8)
    return network, ns.Events.from_dense(x)


def execute(given: Case, path: str = "auto", threads: int = 1) -> ns.Recording:
    network, events = given
    record = ns.Record.everything(network)
    return EventBackend(path).run(network, Inputs.of(network, events), record, Options(threads=threads))


@pytest.mark.parametrize("pool", WINDOWS, ids=lambda pool: f"{pool.kernel}-{pool.stride}-{pool.padding}")
@pytest.mark.parametrize("dtype", [np.int32, np.float32, np.float64])
def test_both_back_ends_take_what_the_oracle_takes(pool: ns.MaxPool2d, dtype: Any) -> None:
    """Sums of both signs up to the ends of 32 bits, and in one channel nothing but negative ones."""
    channels = 21  # a whole vector, and a part of one
    x = np.random.default_rng(1).integers(-(2**31), 2**31, (2, channels, 8, 6)).astype(dtype)
    x[:, 1] = -np.abs(x[:, 1].astype(np.int64)).clip(1, 2**31 - 1)
    expected = np.array([largest(step.reshape(-1).tolist(), (channels, 8, 6), pool) for step in x])
    shape = pool.output_shape((channels, 8, 6))
    kernel, stride, padding = pool.geometry
    out = np.zeros((2, *shape[1:], channels), dtype)
    pool_largest(np.ascontiguousarray(x.transpose(0, 2, 3, 1)), np.array([*kernel, *stride, *padding]), out)
    np.testing.assert_array_equal(out.transpose(0, 3, 1, 2).reshape(2, -1), expected.astype(dtype))
    given = torch.tensor(x.astype(np.int64) if dtype is np.int32 else x)
    taken: npt.NDArray[Any] = largest_sums(given, pool).numpy()
    np.testing.assert_array_equal(taken.reshape(2, -1), expected.astype(taken.dtype))


@pytest.mark.parametrize("loop", [False, True])
@pytest.mark.parametrize("pool", WINDOWS, ids=lambda pool: f"{pool.kernel}-{pool.stride}-{pool.padding}")
def test_all_paths_give_the_oracles_bits(pool: ns.MaxPool2d, loop: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    given = case(pool, loop=loop)
    expected = simulate(*given)
    assert expected.spikes["a"].count() > 0
    for path in ("auto", "general"):
        for threads in (1, 2):
            assert_identical(expected, execute(given, path, threads), (path, threads))
    monkeypatch.setattr(compiled, "CHUNK_STEPS", 3)
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 2 * 480 * 4)  # two steps of sums
    for path in ("auto", "general"):
        assert_identical(expected, execute(given, path), path)


def test_negative_sums_alone_drive_nobody() -> None:
    """A border that counted as 0 would let neurons fire whose sums are all below their bias."""
    bias = ns.FixedLIF(0, 1, bias_mantissa=10)  # 10 in the unit of the weights, in every step
    network, _ = case(ns.MaxPool2d(3, 2, 1), loop=False, neuron=bias)
    first, *others = network.projections
    negative = replace(first, synapse=ns.Conv2d(np.full((10, 2, 3, 3), -30), padding=1))
    network = replace(network, projections=(negative, *others))
    events = ns.Events.from_dense(np.ones((4, 1, 2, 8, 6), np.uint8))
    expected = simulate(network, events)
    assert not expected.spikes["a"].count()
    assert_identical(expected, execute((network, events)))


def test_the_path_of_a_pooled_population(monkeypatch: pytest.MonkeyPatch) -> None:
    """Recurrent groups stay in their kernel; others leave the chain. Spies, since every path gives the same bits."""
    seen: list[tuple[str, ...]] = []
    for kind in (ChainExecutor, RecurrentExecutor):
        monkeypatch.setattr(kind, "run", _spy(kind, seen))
    execute(case(ns.MaxPool2d(2), loop=True))
    assert ("RecurrentExecutor", "a") in seen
    seen.clear()
    execute(case(ns.MaxPool2d(2), loop=False))
    assert all("a" not in names for names in seen)
    assert ("ChainExecutor", "out") in seen


def _spy(kind: Any, seen: list[tuple[str, ...]]) -> Any:
    original = kind.run

    def run(self: Any, *arguments: Any) -> None:
        seen.append((kind.__name__, *self.names))
        original(self, *arguments)

    return run


@pytest.mark.parametrize("loop", [False, True])
def test_a_session_is_the_run(loop: bool) -> None:
    network, events = case(ns.MaxPool2d(3, 2, 1), loop=loop)
    whole = execute((network, events))
    session = ns.Session(network, samples=2, record=ns.Record.everything(network))
    pieces = [session.advance(ns.Events.from_dense(x)) for x in np.split(events.dense(), [1, 4])]
    np.testing.assert_array_equal(pieces[-1].output, whole.output)
    dense = np.concatenate([piece.spikes["a"].dense() for piece in pieces])
    np.testing.assert_array_equal(dense, whole.spikes["a"].dense())


def test_optional_neurons_behind_a_pool() -> None:
    several = ns.FixedLIF(300, np.arange(20, 140).reshape(10, 4, 3), max_spikes=4, lower_bound_64ths=-5000)
    for loop in (False, True):
        given = case(ns.MaxPool2d(2), loop=loop, neuron=several)
        expected = simulate(*given)
        assert expected.spikes["a"].dense().max() > 1
        assert_identical(expected, execute(given), loop)
