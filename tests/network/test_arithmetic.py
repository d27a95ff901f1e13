"""The integer neuron against the scalar listing in support.scalar: on Python ints, NumPy arrays and torch tensors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neurosam import arithmetic
from support.scalar import fixed_step, rtz12, wrap24, wrap32

TOP = 2**23 - 1
INT32 = st.integers(-(2**31), 2**31 - 1)
EDGES = sorted({s * (2**k + d) for k in (0, 6, 12, 16, 17, 22, 23, 24, 30) for d in (-1, 0, 1) for s in (-1, 1)})
EXTREMES = [-(2**31), -(2**31) + 1, 2**31 - 1, *(x for x in EDGES if abs(x) < 2**31)]

Carrier = Callable[..., list[int]]


def on_ints(function: Callable[..., Any], *columns: list[int]) -> list[int]:
    return [int(function(*row)) for row in zip(*columns, strict=True)]


def on_arrays(function: Callable[..., Any], *columns: list[int]) -> list[int]:
    result = np.asarray(function(*(np.array(c, dtype=np.int64) for c in columns)))
    values: list[int] = result.astype(np.int64).tolist()
    return values


def on_tensors(function: Callable[..., Any], *columns: list[int]) -> list[int]:
    torch = pytest.importorskip("torch")
    result = function(*(torch.tensor(c, dtype=torch.int64) for c in columns))
    values: list[int] = result.to(torch.int64).tolist()
    return values


@pytest.fixture(params=[on_ints, on_arrays, on_tensors])
def carrier(request: pytest.FixtureRequest) -> Carrier:
    """Call a function on columns of integers, carried in one of the three ways."""
    chosen: Carrier = request.param
    return chosen


def draw(low: int, high: int, size: int = 3000, seed: int = 0) -> list[int]:
    """Integers of every magnitude in ``low..high``, the ends among them."""
    rng = np.random.default_rng(seed)
    scale = 2.0 ** rng.uniform(0, np.log2(max(abs(low), abs(high)) + 1), size)
    wide = (rng.choice([-1.0, 1.0], size) * scale).astype(np.int64)
    wide[:2] = low, high
    values: list[int] = np.clip(wide, low, high).tolist()
    return values


SUMS = [*EXTREMES, *draw(-(2**62), 2**62), 2**32, -(2**32), 2**33 + 5]


@pytest.mark.parametrize(("function", "listing"), [(arithmetic.wrap32, wrap32), (arithmetic.wrap24, wrap24)])
def test_wraps(carrier: Carrier, function: Callable[[Any], Any], listing: Callable[[int], int]) -> None:
    values = SUMS if function is arithmetic.wrap32 else EXTREMES + draw(-(2**31), 2**31 - 1)
    assert carrier(function, values) == [listing(x) for x in values]


def test_wrap24_at_its_edges(carrier: Carrier) -> None:
    values = [2**23 - 1, 2**23, 2**23 + 1, -(2**23) + 1, -(2**23), -(2**23) - 1, 3 * 2**23 + 64, 2**31 - 1]
    wrapped = [2**23 - 1, 2**23, -(2**23) + 1, -(2**23) + 1, 2**23, 2**23 - 1, 2**23 + 64, 2**31 - 1 - 2**24]
    assert carrier(arithmetic.wrap24, values) == wrapped


def test_saturate(carrier: Carrier) -> None:
    values = EXTREMES + draw(-(2**33), 2**33)
    assert carrier(arithmetic.saturate, values) == [min(max(x, -TOP), TOP) for x in values]


@pytest.mark.parametrize("factor", [0, 1, 2, 1365, 2048, 4095, 4096])
def test_decay_truncates_toward_zero(carrier: Carrier, factor: int) -> None:
    values = EXTREMES + draw(-(2**31), 2**31 - 1)
    factors = [factor] * len(values)
    assert carrier(arithmetic.decay, values, factors) == [rtz12(x * factor) for x in values]


def test_the_constants_are_those_of_the_hardware() -> None:
    """Six fractional bits, twelve-bit factors of which the largest keeps a state, and a 24-bit membrane with a sign."""
    assert (arithmetic.FRACTION_BITS, arithmetic.DECAY_ONE, arithmetic.STATE_MAX) == (6, 4096, 8388607)
    for x in EXTREMES:
        assert arithmetic.decay(x, arithmetic.DECAY_ONE) == x


def test_integers_stay_integers() -> None:
    """No step goes through a float, which would have 53 bits."""
    x, s = np.arange(-3, 3, dtype=np.int64), np.array([True, False] * 3)
    results = [
        arithmetic.wrap32(x), arithmetic.wrap24(x), arithmetic.saturate(x), arithmetic.decay(x, 5),
        arithmetic.arrive(x), arithmetic.normalise(x, 3, 1, 2), arithmetic.current(x, x, 7),
        arithmetic.membrane(x, x, 7, 1), arithmetic.reset_to_zero(x, s), arithmetic.reset_by_subtraction(x, s, 5),
        arithmetic.contribution(x, 3, 1), arithmetic.shift_by(x, 2), arithmetic.shift_by(x, -2),
    ]  # fmt: skip
    assert {result.dtype for result in results} == {np.dtype(np.int64)}
    assert arithmetic.fire(x, 0).dtype == np.bool_
    assert isinstance(arithmetic.reset_to_zero(5, False), int)


def test_decay_by_hand(carrier: Carrier) -> None:
    assert carrier(arithmetic.decay, [-1, 1, -5, 5, -4096, 7], [4095, 4095, 2048, 2048, 1, 4096]) == [
        0,
        0,
        -2,
        2,
        -1,
        7,
    ]


@pytest.mark.parametrize("exponent", [-8, -1, 0, 1, 7])
def test_shift_by_floors(carrier: Carrier, exponent: int) -> None:
    values = EXTREMES + draw(-(2**40), 2**40)
    shifted = carrier(lambda x: arithmetic.shift_by(x, exponent), values)
    assert shifted == [x * 2**exponent if exponent >= 0 else x // 2**-exponent for x in values]


def test_arrive_adds_six_bits_and_wraps(carrier: Carrier) -> None:
    values = EXTREMES + draw(-(2**31), 2**31 - 1)
    assert carrier(arithmetic.arrive, values) == [wrap32(x * 64) for x in values]
    assert carrier(arithmetic.arrive, [2**25 - 1, 2**25, -(2**25)]) == [2**31 - 64, -(2**31), -(2**31)]


def test_normalise_floors_and_wraps(carrier: Carrier) -> None:
    i = EXTREMES + draw(-(2**31), 2**31 - 1)
    rng = np.random.default_rng(1)
    gain = rng.choice([-(2**15), -1, 0, 1, 255, 2**15 - 1], len(i)).tolist()
    shift = rng.integers(0, 31, len(i)).tolist()
    offset = rng.choice([-TOP, -1, 0, 1, TOP], len(i)).tolist()
    got = carrier(arithmetic.normalise, i, gain, shift, offset)
    assert got == [wrap32(x * g // 2**s + o) for x, g, s, o in zip(i, gain, shift, offset, strict=True)]


def test_select_and_larger(carrier: Carrier) -> None:
    a, b = EXTREMES + draw(-(2**33), 2**33), [*reversed(EXTREMES), *draw(-(2**33), 2**33, seed=1)]
    condition = [x % 3 == 0 for x in a]
    chosen = [x if c else y for c, x, y in zip(condition, a, b, strict=True)]
    assert carrier(arithmetic.select, [int(c) for c in condition], a, b) == chosen
    assert carrier(arithmetic.larger, a, b) == [max(x, y) for x, y in zip(a, b, strict=True)]
    assert carrier(arithmetic.larger, a, a) == a


def test_lowered_wraps(carrier: Carrier) -> None:
    x = EXTREMES + draw(-(2**31), 2**31 - 1)
    amount = draw(1, TOP, len(x), seed=1)
    assert carrier(arithmetic.lowered, x, amount) == [wrap32(v - m) for v, m in zip(x, amount, strict=True)]


def test_fire_at_is_fire_above_the_integer_below(carrier: Carrier) -> None:
    v = [x for e in EDGES for x in (e - 1, e, e + 1)]
    threshold = [e for e in EDGES for _ in range(3)]
    expected = [int(x >= bar) for x, bar in zip(v, threshold, strict=True)]
    assert carrier(arithmetic.fire_at, v, threshold) == expected
    assert carrier(arithmetic.fire, v, [bar - 1 for bar in threshold]) == expected


@pytest.mark.parametrize("at", [False, True])
@pytest.mark.parametrize("most", [1, 2, 31, TOP])
def test_spikes_are_subtractions_until_it_no_longer_fires(carrier: Carrier, at: bool, most: int) -> None:
    rng = np.random.default_rng(4)
    size = 500
    threshold = rng.choice([1, 64, 4096, TOP, 2 * TOP], size)
    amount = rng.choice([1, 64, 4096, TOP, 2 * TOP], size)
    amount = np.maximum(amount, TOP // 1000)  # a loop of 2000 rounds is enough
    around = rng.integers(0, 4, size) * amount + rng.integers(-1, 2, size) + threshold
    v = np.where(rng.random(size) < 0.5, np.clip(around, -TOP, TOP), rng.integers(-TOP, TOP + 1, size))
    expected = []
    for x, bar, less in zip(v.tolist(), threshold.tolist(), amount.tolist(), strict=True):
        count = 0
        while count < most and (x >= bar if at else x > bar):
            x, count = x - less, count + 1
        expected.append(count)
    rule = arithmetic.spikes_at if at else arithmetic.spikes_above
    assert carrier(rule, v.tolist(), threshold.tolist(), amount.tolist(), [most] * size) == expected
    assert max(expected) > 1 or most == 1


def test_what_wraps_is_what_leaves_its_bits(carrier: Carrier) -> None:
    a = EXTREMES + draw(-(2**31), 2**31 - 1)
    fits = [-(2**31) <= 64 * x < 2**31 for x in a]
    assert carrier(arithmetic.wraps_arriving, a) == [int(not f) for f in fits]
    rng = np.random.default_rng(5)
    gain, offset = (
        rng.choice([-(2**15), -1, 0, 1, 2**15 - 1], len(a)).tolist(),
        rng.choice([-TOP, 0, TOP], len(a)).tolist(),
    )
    shift = rng.integers(0, 31, len(a)).tolist()
    exact = [x * g // 2**s + o for x, g, s, o in zip(a, gain, shift, offset, strict=True)]
    assert carrier(arithmetic.wraps_normalised, a, gain, shift, offset) == [int(wrap32(x) != x) for x in exact]
    u, factor = draw(-(2**23), 2**23, len(a), seed=6), rng.choice([0, 1, 4095, 4096], len(a)).tolist()
    exact = [rtz12(x * f) + i for x, f, i in zip(u, factor, a, strict=True)]
    assert carrier(arithmetic.wraps_current, u, a, factor) == [int(not -(2**23) < x <= 2**23) for x in exact]
    assert carrier(arithmetic.fresh, a) == [wrap24(x) for x in a]


def test_the_sum_of_a_membrane_never_wraps() -> None:
    """Whatever arrives: with the largest membranes, biases and late subtractions that a neuron can have."""
    currents = [arithmetic.fresh(i) for i in EXTREMES]
    assert max(map(abs, currents)) == 2**31 - 2**24
    for u in currents:
        for bias in (-(4096 << 7), 4095 << 7):
            for v, amount in ((-(2**23), 0), (TOP, 0), (TOP, TOP), (2**24 - 65, TOP)):
                exact = v + u + bias - amount
                assert arithmetic.lowered(arithmetic.total(v, u, 4096, bias), amount) == exact


def test_contribution_floors(carrier: Carrier) -> None:
    trace = [0, 1, 5, 2**23 - 1, 2**22 + 3]
    assert carrier(arithmetic.contribution, trace, [3, 2**16 - 1, 7, 2**16, 1], [2, 16, 3, 16, 16]) == [
        0, 0, 4, 2**23 - 1, 64,
    ]  # fmt: skip


def whole_step(
    soft: bool, u: Any, v: Any, a: Any, factor_u: Any, factor_v: Any, bias: Any, threshold: Any, amount: Any
) -> tuple[Any, Any, Any]:
    """A step put together from arithmetic.py alone, in the order its docstring gives."""
    u = arithmetic.current(u, arithmetic.arrive(a), factor_u)
    v = arithmetic.membrane(v, u, factor_v, bias)
    s = arithmetic.fire(v, threshold)
    return u, arithmetic.reset_by_subtraction(v, s, amount) if soft else arithmetic.reset_to_zero(v, s), s


def step_columns(size: int = 4000) -> list[list[int]]:
    """u, v, a, factor_u, factor_v, bias, threshold and amount of many steps, extremes over-represented."""
    rng = np.random.default_rng(2)

    def pick(values: list[int]) -> npt.NDArray[np.int64]:
        return rng.choice(np.array(values, dtype=np.int64), size)

    threshold = pick([1, 2, 64, 4000, 2**17 - 2, 2**17 - 1]) << 6
    near = threshold + rng.integers(-1, 2, size)
    v = np.where(rng.random(size) < 0.3, np.minimum(near, TOP), pick(draw(-TOP, TOP)))
    still = rng.random(size) < 0.3  # nothing but the membrane itself, right at its threshold
    u = np.where(still, 0, pick([*draw(-(2**23) + 1, 2**23), 2**23, 2**23 + 64]))
    a = np.where(still, 0, pick([*draw(-(2**19), 2**19), 2**17, 2**17 + 1, -(2**17), 3 * 2**17 + 1, 2**31 - 1]))
    factor_u, factor_v = pick([0, 1, 2047, 4095, 4096]), np.where(still, 4096, pick([0, 1, 4095, 4096]))
    bias = np.where(still, pick([-1, 0, 1]), pick([-(2**19), -1, 0, 1, 4095 << 7]))
    columns = (u, v, a, factor_u, factor_v, bias, threshold, pick([1, 64, 2**22, TOP]))
    return [column.tolist() for column in columns]


@pytest.mark.parametrize("variable", [0, 1, 2])
@pytest.mark.parametrize("soft", [False, True])
def test_a_whole_step_is_the_listing(carrier: Carrier, soft: bool, variable: int) -> None:
    columns = step_columns()
    expected = [
        fixed_step(u, v, a, factor_u=fu, factor_v=fv, bias=b, threshold=th, reset_amount=amount if soft else None)
        for u, v, a, fu, fv, b, th, amount in zip(*columns, strict=True)
    ]
    assert 500 < sum(spike for _, _, spike in expected) < 3500
    got = carrier(lambda *values: whole_step(soft, *values)[variable], *columns)
    assert got == [int(row[variable]) for row in expected]


def test_a_neuron_without_a_current_forgets_everything(carrier: Carrier) -> None:
    a = EXTREMES + draw(-(2**31), 2**31 - 1)
    u = draw(-TOP, TOP, len(a), seed=3)
    got = carrier(lambda u, a: arithmetic.current(u, arithmetic.arrive(a), 0), u, a)
    assert got == [wrap24(wrap32(x * 64)) for x in a]


@given(u=INT32, v=st.integers(-TOP, TOP), a=INT32, factors=st.tuples(st.integers(0, 4096), st.integers(0, 4096)),
       bias=st.integers(-(2**19), 2**19), threshold=st.integers(1, 2**17 - 1), soft=st.booleans())  # fmt: skip
def test_any_step_is_the_listing(
    u: int, v: int, a: int, factors: tuple[int, int], bias: int, threshold: int, soft: bool
) -> None:
    level = threshold << 6
    listing = fixed_step(
        u, v, a, factor_u=factors[0], factor_v=factors[1], bias=bias, threshold=level,
        reset_amount=level if soft else None,
    )  # fmt: skip
    assert whole_step(soft, u, v, a, *factors, bias, level, level) == listing
    assert abs(listing[1]) <= TOP + 0x800000  # a reset by subtraction may leave the saturated range downwards only
    if not listing[2]:
        assert abs(listing[1]) <= TOP


def test_states_stay_exact_in_64_bits() -> None:
    """The widest products of a step: nothing that NumPy would wrap silently."""
    for x, y in ((2**31, 4096), (2**31, 2**15), (2**23, 2**16)):
        assert x * y < 2**62
    assert arithmetic.normalise(np.int64(-(2**31)), np.int64(-(2**15)), 0, TOP) == wrap32(2**46 + TOP)
