"""Intervals, p-values and words on differences with known answers; Holm's correction by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from neurosam_study.inference import Estimate, estimate, holm, judge

DEGREES = 4.0


def draws(rng: np.random.Generator, seeds: int, pictures: int, mean: float, between: float, within: float) -> Any:
    return mean + between * rng.standard_normal((seeds, 1)) + within * rng.standard_normal((seeds, pictures))


def test_one_number_per_seed_is_a_t_test() -> None:
    from scipy.stats import ttest_1samp

    values = np.array([0.3, 0.5, 0.1, 0.6, 0.4])
    found = estimate([[v] for v in values], crossed=False)
    expected = ttest_1samp(values, 0)
    assert found.mean == pytest.approx(values.mean())
    assert found.error == pytest.approx(values.std(ddof=1) / math.sqrt(5), rel=0.03)  # a bootstrap of 4,000
    low, high = found.interval()
    assert (low, high) == pytest.approx(tuple(expected.confidence_interval()), abs=0.02)
    assert 2 * found.p_above(0) == pytest.approx(expected.pvalue, rel=0.2)


@pytest.mark.parametrize("crossed", [True, False])
@pytest.mark.parametrize(("seeds", "between", "within"), [(5, 0.0, 1.0), (5, 0.5, 1.0), (3, 0.5, 0.1)])
def test_intervals_cover(crossed: bool, seeds: int, between: float, within: float) -> None:
    rng = np.random.default_rng(seeds)
    hits = 0
    for trial in range(60):
        values = draws(rng, seeds, 30, 0.2, between, within)
        low, high = estimate(list(values), crossed=crossed, seed=trial).interval()
        hits += low <= 0.2 <= high
    assert hits >= 52  # at 95 %, fewer than 53 of 60 have a chance of 2 %


def test_degrees_of_freedom() -> None:
    rng = np.random.default_rng(4)
    seeds_alone = list(rng.standard_normal((5, 1)) + 0.01 * rng.standard_normal((5, 40)))
    pictures_alone = list(rng.standard_normal(40) + 0.01 * rng.standard_normal((5, 40)))
    assert estimate(seeds_alone, crossed=True).degrees == pytest.approx(4, abs=0.1)
    assert estimate(pictures_alone, crossed=True).degrees == pytest.approx(39, abs=1)
    assert estimate(pictures_alone, crossed=False).degrees == 4
    assert estimate([[1.0], [2.0], [4.0]], crossed=True).degrees == 2
    # by hand: mean squares of seeds 12.25, of pictures 2.25, left 0.25, with 1 degree each
    by_hand = estimate([[1.0, 3.0], [5.0, 6.0]], crossed=True)
    assert by_hand.degrees == pytest.approx(14.25**2 / (12.25**2 + 2.25**2 + 0.25**2))


@pytest.mark.parametrize("seeds", [3, 5])
def test_intervals_cover_when_pictures_decide(seeds: int) -> None:
    rng = np.random.default_rng(seeds)
    hits = 0
    for trial in range(60):
        pictures = rng.standard_normal(30)
        values = 0.2 + pictures + 0.1 * rng.standard_normal((seeds, 1)) + 0.3 * rng.standard_normal((seeds, 30))
        low, high = estimate(list(values), crossed=True, seed=trial).interval()
        hits += low <= 0.2 <= high
    assert hits >= 52  # at 95 %, fewer than 53 of 60 have a chance of 2 %


def test_shared_pictures_widen_the_interval() -> None:
    rng = np.random.default_rng(0)
    pictures = rng.standard_normal(20)  # the same for all seeds: more seeds do not average them away
    values = [pictures + 0.01 * rng.standard_normal(20) for _ in range(6)]
    assert estimate(values, crossed=True).error > 1.8 * estimate(values, crossed=False).error


def test_missing_values() -> None:
    nan = float("nan")
    found = estimate([[1.0, nan, 3.0], [nan, nan, nan], [2.0, 2.0, nan]], crossed=True)
    assert (found.mean, found.seeds, found.values) == (2.0, 2, 4)
    assert math.isnan(estimate([[nan], [nan]], crossed=False).mean)
    one = estimate([[1.0, 2.0]], crossed=False)
    assert one.interval() == (-math.inf, math.inf)
    with pytest.raises(ValueError, match="same number"):
        estimate([[1.0], [1.0, 2.0]], crossed=True)


def test_holm() -> None:
    assert holm([]) == []
    assert holm([0.02]) == [0.02]
    assert holm([0.5, 0.001, 0.03, 0.02]) == pytest.approx([0.5, 0.004, 0.06, 0.06])
    assert holm([0.4, 0.9]) == [0.8, 0.9]


def words(values: list[Estimate], delta: float = 0.1) -> list[str]:
    return [judgement.word for judgement in judge(values, [delta] * len(values))]


def test_four_words() -> None:
    assert words([Estimate(0.5, 0.05, 5, 100, DEGREES)]) == ["holds"]
    assert words([Estimate(-0.5, 0.05, 5, 100, DEGREES)]) == ["fails"]
    assert words([Estimate(0.01, 0.02, 5, 100, DEGREES)]) == ["equivalent"]
    assert words([Estimate(0.03, 0.005, 5, 100, DEGREES)]) == ["equivalent"]  # surely above 0, and of no interest
    assert words([Estimate(0.2, 0.2, 5, 100, DEGREES)]) == ["open"]
    assert words([Estimate(math.nan, math.nan, 0, 0, DEGREES)]) == ["not measured"]
    assert words([Estimate(0.5, math.inf, 1, 100, DEGREES)]) == ["open"]  # a single seed decides nothing


def test_more_statements_ask_for_more() -> None:
    border = Estimate(0.5, 0.14, 5, 100, DEGREES)
    assert words([border]) == ["holds"]
    nothing: npt.NDArray[Any] = np.zeros(9)
    assert words([border, *(Estimate(float(x), 1.0, 5, 100, DEGREES) for x in nothing)])[0] == "open"


def test_equal_seeds_without_spread() -> None:
    same = estimate([[0.2], [0.2], [0.2]], crossed=False)
    assert same.error == pytest.approx(0, abs=1e-12)
    assert words([Estimate(0.2, 0.0, 3, 3, DEGREES), Estimate(0.0, 0.0, 3, 3, DEGREES)]) == ["holds", "equivalent"]
