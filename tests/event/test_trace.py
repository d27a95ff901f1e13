"""SAM in the event back end's kernels, against each spike's score computed from all spikes of its neuron."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import neurosam as ns
from neurosam.backends import Options
from neurosam.backends.event.backend import EventBackend
from neurosam.backends.event.executors import chain
from neurosam.backends.event.kernels.sam_vector import AGES, BLOCK, LOOKS_UP, is_vectorised
from neurosam.backends.event.plan import blocks, compiled, populations
from neurosam.backends.event.plan.compiled import PATHS
from neurosam.network.trace import MODES
from neurosam.signals.inputs import Inputs
from support.scores import contribution

Spikes = npt.NDArray[np.uint8]


def lively(rng: np.random.Generator, steps: int, shape: tuple[int, int, int]) -> Spikes:
    """Spikes ``(T, C, H, W)`` of neurons that are silent, rare, frequent, or always on."""
    return (rng.random((steps, *shape)) < rng.choice([0.0, 0.01, 0.05, 0.3, 1.0], shape)).astype(np.uint8)


def expected_maps(trace: ns.FixedSamTrace, spikes: Spikes) -> npt.NDArray[np.int64]:
    """Maps ``(T, H, W)``, spike by spike."""
    maps = np.zeros((len(spikes), *spikes.shape[2:]), np.int64)
    for c, y, x in np.ndindex(spikes.shape[1:]):
        times = np.flatnonzero(spikes[:, c, y, x]).tolist()
        for n, t in enumerate(times):
            maps[t, y, x] += int(contribution(trace, times[: n + 1]))
    return maps


def assert_maps(trace: ns.FixedSamTrace, spikes: Spikes, threads: int = 1, paths: Any = PATHS) -> None:
    """Neurons that repeat their input have these maps, on every path."""
    channels = spikes.shape[1]
    same = ns.Conv2d(2 * np.eye(channels, dtype=np.int8)[:, :, None, None])
    expected = expected_maps(trace, spikes)
    for path in paths:
        network = ns.Network(
            (ns.Population("in", spikes.shape[1:]), ns.Population("a", spikes.shape[1:], ns.FixedLIF(4096, 1))),
            (ns.Projection("in", "a", same),), sam={"a": trace},
        )  # fmt: skip
        record = ns.Record(spikes=("a",), sam=("a",))
        got = EventBackend(path).run(
            network, Inputs.of(network, ns.Events.from_dense(spikes[:, None])), record, Options(threads=threads)
        )
        np.testing.assert_array_equal(got.spikes["a"].dense()[:, 0], spikes)
        np.testing.assert_array_equal(got.sam["a"][:, 0], expected, err_msg=path)


def usual(mode: str, channels: int) -> ns.FixedSamTrace:
    return ns.SamTrace(0.5, mode).quantise(channels)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("channels", [1, 16, 31, 32, 33, 63, 64, 65, 130])
def test_any_number_of_channels(channels: int, mode: str) -> None:
    """An odd number of pixels, and more steps than a block has."""
    assert_maps(usual(mode, channels), lively(np.random.default_rng(channels), BLOCK + 7, (channels, 3, 5)))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("channels", [20, 64, 70])
@pytest.mark.parametrize(("chunk", "strip"), [(1, 1), (7, 2**10), (2 * BLOCK, 1)])
def test_chunks_strips_and_threads(
    channels: int, mode: str, chunk: int, strip: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiled, "CHUNK_STEPS", chunk)
    monkeypatch.setattr(blocks, "STRIP_BYTES", strip)
    monkeypatch.setattr(chain, "SHARED_WORK_S", 0.0)
    assert_maps(usual(mode, channels), lively(np.random.default_rng(chunk), 2 * BLOCK + 3, (channels, 5, 3)), threads=2)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("channels", [1, 64, 65])
def test_processors_without_the_look_up(channels: int, mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(populations, "is_vectorised", lambda trace: False)
    assert_maps(usual(mode, channels), lively(np.random.default_rng(channels), BLOCK + 7, (channels, 3, 5)))


@pytest.mark.parametrize(
    ("table", "vectorised"),
    [
        ([256, 0], True),
        ([256, *range(254, 192, -1), 0], True),
        ([256, *range(254, 191, -1), 0], False),  # one age more than the look-up has
        ([256, 256, 100, 0], False),  # nothing fades in one step
        ([0, 0], True),
    ],
)
@pytest.mark.parametrize("impulse", [1, 255, 256, 1000])
def test_any_table(table: list[int], vectorised: bool, impulse: int) -> None:
    spikes = lively(np.random.default_rng(impulse), 2 * AGES + 5, (34, 2, 2))
    for mode in MODES:
        trace = ns.FixedSamTrace(np.array(table), 8, impulse, mode)
        assert is_vectorised(trace) == (LOOKS_UP and vectorised and mode != "official")
        if trace.largest(len(spikes)) * 34 < 2**23:
            assert_maps(trace, spikes, paths=("auto", "general"))


@pytest.mark.parametrize(("mode", "steps"), [("strict", 128), ("inclusive", 127)])
def test_the_largest_trace(mode: str, steps: int) -> None:
    """A neuron that always fires, with hardly any decay: almost 2^23, of which no bit may be lost between blocks."""
    trace = ns.FixedSamTrace(np.array([65536, *[65535] * (AGES - 2), 0]), 16, 65536, mode)
    assert 2**23 - 2**17 < trace.largest(steps) < 2**23
    assert is_vectorised(trace) == LOOKS_UP
    assert_maps(trace, np.ones((steps, 1, 2, 3), np.uint8), paths=("auto", "general"))


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 2**32 - 1), steps=st.integers(1, 40), mode=st.sampled_from(MODES), shift=st.integers(1, 16),
    entries=st.integers(1, 30), channels=st.sampled_from([1, 5, 32, 40, 64, 66]), threads=st.integers(1, 2),
)  # fmt: skip
def test_any_trace(seed: int, steps: int, mode: str, shift: int, entries: int, channels: int, threads: int) -> None:
    rng = np.random.default_rng(seed)
    table = np.append(np.sort(rng.integers(0, (1 << shift) + 1, entries))[::-1], 0)
    trace = ns.FixedSamTrace(table, shift, int(rng.integers(1, 2 << shift) if shift < 16 else 2**16), mode)
    if trace.largest(steps) * channels < 2**23:
        assert_maps(trace, lively(rng, steps, (channels, 2, 3)), threads, paths=("auto", "general"))
