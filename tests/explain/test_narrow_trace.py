"""Traces of few bits against plain integers, neuron by neuron, and against the traces of 24 bits."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neurosam.errors import ArgumentError, NeurosamError
from neurosam.explain.narrow_trace import NarrowTrace, collapse_bits, loihi_trace, narrow_maps, narrow_trace
from neurosam.explain.sam import from_spikes
from neurosam.network.trace import MODES, FixedSamTrace, SamTrace
from neurosam.signals.recording import Spikes

Array = npt.NDArray[Any]


def train(seed: int = 0, shape: tuple[int, ...] = (12, 2, 3, 2, 3), rate: float = 0.4, most: int = 1) -> Array:
    rng = np.random.default_rng(seed)
    return ((rng.random(shape) < rate) * rng.integers(1, most + 1, shape)).astype(np.int64)


def plain(spikes: Array, trace: NarrowTrace) -> Array:
    """A trace that rounds down or to the nearest, in Python's integers."""
    table, scale = [int(k) for k in trace.trace.table], 2**trace.trace.shift
    impulse, top = trace.trace.impulse, 2**trace.bits - 1
    add = 0 if trace.rounding == "floor" else scale // 2

    def entry(interval: int) -> int:
        return table[min(interval, len(table) - 1)]

    steps, samples, channels, height, width = spikes.shape
    out = np.zeros((steps, samples, height, width), np.int64)
    for b, c, y, x in np.ndindex(samples, channels, height, width):
        held, last, count = 0, 0, 0
        for t in range(steps):
            if trace.decay == "step" and t:
                held = (held * table[1] + add) // scale
            s = int(spikes[t, b, c, y, x])
            if not s:
                continue
            count += 1
            if trace.decay == "spike":
                interval = t - last if trace.stamp_bits is None else (t - last) % 2**trace.stamp_bits
                held = (held * entry(interval) + add) // scale
            score = held
            held, last = min(held + s * impulse, top), t
            if trace.trace.mode != "strict":
                score = held
            if trace.trace.mode == "official":
                score += ((t + 1 - count) * impulse * entry(t) + add) // scale
            out[t, b, y, x] += s * score
    return out


@given(
    st.integers(1, 9), st.sampled_from(("floor", "nearest")), st.sampled_from(MODES), st.sampled_from((None, 1, 2, 3)),
    st.sampled_from((0.0, 0.02, 0.5, 2.0)), st.integers(1, 9), st.integers(0, 99),
)  # fmt: skip
def test_equals_plain_integers(
    bits: int, rounding: str, mode: str, stamp: int | None, gamma: float, table_bits: int, seed: int
) -> None:
    trace = narrow_trace(
        gamma, bits, steps=12, mode=mode, rounding=rounding, stamp_bits=stamp, table_bits=table_bits,
        table_length=4 if seed % 2 else None,
    )  # fmt: skip
    spikes = train(seed, most=1 + seed % 3)
    assert np.array_equal(narrow_maps(spikes, trace), plain(spikes, trace))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("rounding", ["floor", "nearest"])
def test_decay_in_each_step_equals_plain_integers(rounding: str, mode: str) -> None:
    trace = narrow_trace(0.3, 5, steps=12, mode=mode, rounding=rounding, decay="step")
    spikes = train(3)
    assert np.array_equal(narrow_maps(spikes, trace), plain(spikes, trace))


@pytest.mark.parametrize("mode", MODES)
def test_many_spikes_in_a_step_of_a_wide_trace(mode: str) -> None:
    trace = narrow_trace(0.1, 24, steps=40, mode=mode, table_bits=16, impulse=60_000)
    spikes = (
        np.random.default_rng(2).integers(0, 60_000, (40, 1, 2, 2, 1))
        * (np.arange(40) % 9 == 8)[:, None, None, None, None]
    )
    assert np.array_equal(narrow_maps(spikes, trace), plain(spikes, trace))


@pytest.mark.parametrize("mode", MODES)
def test_a_wide_one_is_the_trace_of_24_bits(mode: str) -> None:
    fixed = SamTrace(0.3, mode).quantise(channels=3, steps=12)
    spikes = train(1, most=3)
    assert np.array_equal(narrow_maps(spikes, NarrowTrace(fixed, 24)), from_spikes(spikes, fixed))


def test_stochastic_rounding_is_right_on_average() -> None:
    trace = narrow_trace(0.3, 4, steps=2, rounding="stochastic")
    spikes = np.ones((2, 1, 1, 200, 200), np.int64)  # 40,000 neurons that fire twice: one score each
    score = narrow_maps(spikes, trace)[1]
    exact = trace.trace.impulse * int(trace.trace.table[1]) / 2**trace.trace.shift
    assert set(np.unique(score)) == {math.floor(exact), math.ceil(exact)}
    spread = math.sqrt((exact - math.floor(exact)) * (math.ceil(exact) - exact) / score.size)
    assert abs(score.mean() - exact) < 4 * spread
    again = narrow_maps(spikes, trace, seed=1)[1]
    up = exact - math.floor(exact)
    assert (again != score).mean() == pytest.approx(2 * up * (1 - up), abs=0.01)  # another seed, independent draws


def test_shared_numbers_round_all_neurons_alike() -> None:
    trace = narrow_trace(0.3, 4, steps=6, rounding="stochastic", random="shared")
    maps = narrow_maps(np.ones((6, 3, 2, 4, 4), np.int64), trace, seed=5)
    assert (maps == maps[:, :1, :1, :1]).all()
    own = narrow_maps(np.ones((6, 3, 2, 4, 4), np.int64), NarrowTrace(trace.trace, 4, "stochastic"), seed=5)
    assert (own != own[:, :1, :1, :1]).any()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("decay", ["spike", "step"])
def test_a_sample_is_the_same_alone_and_in_a_batch(mode: str, decay: str) -> None:
    trace = narrow_trace(0.3, 4, steps=12, mode=mode, rounding="stochastic", decay=decay)
    spikes = train(4, (12, 5, 3, 2, 3))
    whole = narrow_maps(spikes, trace, seed=7)
    assert np.array_equal(whole[:, 3:], narrow_maps(spikes[:, 3:], trace, seed=7, first=3))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("decay", ["spike", "step"])
def test_the_draws_of_a_neuron_do_not_depend_on_others(mode: str, decay: str) -> None:
    trace = narrow_trace(0.3, 4, steps=12, mode=mode, rounding="stochastic", decay=decay)
    spikes = train(4, (12, 2, 1, 5, 5), rate=0.7)  # one channel: a pixel of the map is a neuron
    lone = np.zeros_like(spikes)
    lone[..., 2, 3] = spikes[..., 2, 3]
    whole, alone = (narrow_maps(x, trace, seed=7)[..., 2, 3] for x in (spikes, lone))
    assert whole.any()
    assert np.array_equal(whole, alone)


def test_the_register_saturates() -> None:
    trace = narrow_trace(0.0, 3, steps=10, mode="inclusive", impulse=5)
    maps = narrow_maps(np.ones((4, 1, 1), np.int64), trace).ravel()
    assert maps.tolist() == [5, 7, 7, 7]


def test_a_time_stamp_wraps_around() -> None:
    spikes = np.zeros((10, 1, 1), np.int64)
    spikes[[0, 9]] = 1  # 9 steps look like one to a stamp of 3 bits
    narrow, wide = (narrow_trace(0.5, 8, steps=10, stamp_bits=bits) for bits in (3, 4))
    near = narrow_maps(np.ones((2, 1, 1), np.int64), wide).ravel()[1]
    assert narrow_maps(spikes, narrow).ravel()[9] == near
    assert narrow_maps(spikes, wide).ravel()[9] < near


@given(st.integers(1, 12), st.sampled_from((0.0, 0.02, 0.1, 0.5, 1.0)), st.integers(1, 60))
def test_the_impulse_is_the_largest_that_cannot_saturate(bits: int, gamma: float, steps: int) -> None:
    trace = narrow_trace(gamma, bits, steps=steps, mode="inclusive")
    busy = np.ones((steps, 1, 1), np.int64)

    def peak(impulse: int) -> int:
        free = NarrowTrace(FixedSamTrace(trace.trace.table, trace.trace.shift, impulse, "inclusive"), 24)
        return int(narrow_maps(busy, free).max())

    assert peak(trace.trace.impulse) <= trace.largest or trace.trace.impulse == 1
    assert peak(trace.trace.impulse + 1) > trace.largest


@pytest.mark.parametrize("gamma", [0.02, 0.1, 0.5, 1.0])
def test_a_trace_that_rounds_down_keeps_nothing_below_the_predicted_width(gamma: float) -> None:
    steps = 100
    spikes = train(2, (steps, 1, 40, 1, 1), rate=0.2)
    width = collapse_bits(gamma, steps)
    below = narrow_maps(spikes, narrow_trace(gamma, max(1, width - 2), steps=steps))
    above = narrow_maps(spikes, narrow_trace(gamma, width + 3, steps=steps))
    assert not below.any()
    assert above.any()


def test_loihi_trace() -> None:
    trace = loihi_trace(0.5)
    assert (trace.bits, trace.rounding, trace.decay, trace.trace.impulse) == (7, "stochastic", "step", 49)
    busy = narrow_maps(np.ones((200, 1, 400), np.int64), loihi_trace(0.5, random="own"))[100:] / 400
    expected = 49 * math.exp(-0.5) / (1 - math.exp(-0.5))
    assert abs(busy.mean() - expected) < 1
    assert trace.state_bits(100) == 7
    assert narrow_trace(0.5, 4, steps=100).state_bits(100) == 11


def test_loihi_trace_is_lavas_but_for_the_random_numbers() -> None:
    lavas = pytest.importorskip("neurosam_hw.lava.loihi1").Loihi1Trace(gamma=0.5, impulse=40)
    spikes = train(6, (400, 1, 8, 5, 5), rate=0.4)
    ours = narrow_maps(spikes, loihi_trace(0.5, impulse=40))
    theirs = lavas.sam(Spikes.from_dense(spikes.astype(np.uint8)))
    assert ours.mean() == pytest.approx(theirs.mean(), rel=0.02)
    assert np.abs(ours - theirs).mean() < 8  # of 8 neurons, each within a count or so


def test_refusals() -> None:
    base = SamTrace(0.5).quantise(channels=1)
    with pytest.raises(ArgumentError, match=r"bits.*25"):
        NarrowTrace(base, 25)
    with pytest.raises(ArgumentError, match="rounding"):
        NarrowTrace(base, 8, "up")
    with pytest.raises(ArgumentError, match="of no use"):
        NarrowTrace(base, 8, stamp_bits=3, decay="step")
    with pytest.raises(NeurosamError, match=r"narrow_maps.*spikes"):
        narrow_maps(np.zeros((2, 2)), NarrowTrace(base, 8))
