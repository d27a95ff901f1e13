"""SAM traces: quantisation within its bounds, tables that end in 0, and a largest score that nothing exceeds."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import neurosam as ns
from neurosam.errors import NetworkError
from neurosam.network.trace import MODES, SUM_LIMIT
from support.scores import contribution


def times(pattern: tuple[int, ...]) -> list[int]:
    return [t for t, s in enumerate(pattern) if s]


def brute_largest(trace: ns.FixedSamTrace, steps: int) -> int:
    """Largest score over every spike train of `steps` steps."""
    trains = (times(pattern) for pattern in itertools.product((0, 1), repeat=steps))
    return max((int(contribution(trace, train)) for train in trains if train), default=0)


@st.composite
def traces(draw: st.DrawFn) -> ns.FixedSamTrace:
    """Any valid integer trace."""
    shift = draw(st.integers(1, 8))
    table = sorted(draw(st.lists(st.integers(0, 1 << shift), min_size=1, max_size=6)), reverse=True)
    return ns.FixedSamTrace(np.array([*table, 0]), shift, draw(st.integers(1, 300)), draw(st.sampled_from(MODES)))


@given(trace=traces(), steps=st.integers(1, 8))
def test_no_spike_train_exceeds_the_largest_score(trace: ns.FixedSamTrace, steps: int) -> None:
    largest, brute = trace.largest(steps), brute_largest(trace, steps)
    assert brute <= largest
    if trace.mode != "official":  # the official mode adds the bounds of two parts that exclude each other
        assert brute == largest
    assert largest <= trace.largest()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("channels", [1, 64, 512, 4096])
@pytest.mark.parametrize("gamma", [0.05, 0.5, 1.0, 5.0])
def test_quantise_takes_the_finest_unit_that_fits(gamma: float, channels: int, mode: str) -> None:
    trace = ns.SamTrace(gamma, mode).quantise(channels)
    assert trace.largest() * channels < SUM_LIMIT
    trace.check("here", channels, 10**6)
    assert (trace.mode, trace.impulse) == (mode, 2**trace.shift)
    if trace.shift < 16:
        finer = ns.FixedSamTrace(
            ns.SamTrace(gamma, mode).table(trace.shift + 1), trace.shift + 1, 2 << trace.shift, mode
        )
        assert finer.largest() * channels >= SUM_LIMIT


@pytest.mark.parametrize("gamma", [0.01, 0.5, 3.0, 50.0])
@pytest.mark.parametrize("shift", [1, 8, 16])
def test_the_table_is_rounded_never_rises_and_ends_in_its_first_zero(gamma: float, shift: int) -> None:
    table = ns.SamTrace(gamma).table(shift)
    assert table[0] == 2**shift
    assert table[-1] == 0
    assert (table[:-1] > 0).all()
    assert (np.diff(table) <= 0).all()
    exact = np.exp(-gamma * np.arange(table.size)) * 2**shift
    assert np.abs(table - exact).max() <= 0.5


def test_a_gamma_that_never_fades_needs_the_length_of_the_run() -> None:
    with pytest.raises(NetworkError, match="does not fade to 0 within 4096 steps"):
        ns.SamTrace(0.0).quantise(8)
    trace = ns.SamTrace(0.0).quantise(8, steps=20)
    one = 2**trace.shift
    assert trace.table.tolist() == [one] * 21 + [0]
    assert contribution(trace, list(range(20))) == 19 * one  # nothing fades within the run
    assert trace.largest() == 2**62
    assert trace.largest(20) == 19 * one


def test_quantise_gives_up_where_no_unit_fits() -> None:
    with pytest.raises(NetworkError, match=r"gamma=0 over 4194304 channels does not fit 24 bits"):
        ns.SamTrace(0.0).quantise(2**22, steps=100)


def test_the_quantised_score_follows_the_float_score() -> None:
    rng = np.random.default_rng(0)
    for mode in MODES:
        real = ns.SamTrace(0.5, mode)
        fixed = real.quantise(64)
        for _ in range(50):
            train = times(tuple(rng.integers(0, 2, 30)))
            score = int(contribution(fixed, train)) / fixed.impulse
            assert score == pytest.approx(contribution(real, train), abs=40 / fixed.impulse)


def test_check_refuses_what_leaves_24_bits() -> None:
    trace = ns.FixedSamTrace(np.array([256, 256, 0]), 8, 256)
    trace.check("sam 'a'", 1024, 32)
    with pytest.raises(NetworkError, match=r"sam 'a': the SAM trace can reach 8388608 over 1024 channels in 33 steps"):
        trace.check("sam 'a'", 1024, 33)  # 32 earlier spikes of 256 in 1024 channels: 2^23


def test_gamma_is_read_off_the_table() -> None:
    assert ns.SamTrace(0.5).quantise(8).gamma == pytest.approx(0.5, abs=1e-4)
    assert ns.FixedSamTrace(np.array([4, 0]), 2, 4).gamma == math.inf


@pytest.mark.parametrize(
    ("table", "shift", "impulse", "mode", "message"),
    [
        ([4, 2], 2, 4, "strict", "end in 0"),
        ([0], 2, 4, "strict", "2..4097 entries"),
        ([2, 4, 0], 2, 4, "strict", "never rise"),
        ([5, 0], 2, 4, "strict", "allowed is 0..4"),
        ([4, -1, 0], 2, 4, "strict", "allowed is 0..4"),
        ([4.0, 0.0], 2, 4, "strict", "integers"),
        ([0] * 4098, 2, 4, "strict", "2..4097 entries"),
        ([4, 0], 0, 4, "strict", "shift: got 0"),
        ([4, 0], 17, 4, "strict", "shift: got 17"),
        ([4, 0], 2, 0, "strict", "impulse: got 0"),
        ([4, 0], 2, 2**16 + 1, "strict", "impulse: got 65537"),
        ([4, 0], 2, 4, "stern", "allowed is 'strict' or 'inclusive' or 'official'"),
    ],
)
def test_impossible_tables_are_refused(table: list[float], shift: int, impulse: int, mode: str, message: str) -> None:
    with pytest.raises(NetworkError, match=message):
        ns.FixedSamTrace(np.array(table), shift, impulse, mode)


@pytest.mark.parametrize("gamma", [-0.1, math.nan, math.inf, "steep"])
def test_impossible_gammas_are_refused(gamma: object) -> None:
    with pytest.raises(NetworkError, match="gamma"):
        ns.SamTrace(gamma)  # type: ignore[arg-type]


def test_an_unknown_mode_is_refused() -> None:
    with pytest.raises(NetworkError, match="mode"):
        ns.SamTrace(0.5, "stern")


def test_the_scale_is_what_a_spike_adds() -> None:
    assert ns.SamTrace(0.5).scale == 1
    assert ns.FixedSamTrace(np.array([2, 1, 0]), 1, 300).scale == 300
