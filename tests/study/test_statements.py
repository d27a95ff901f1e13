"""Statements on figures with known answers: pairs, margins, missing figures; and their verdicts over seeds."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from neurosam_study.results import Result
from neurosam_study.statements import NOT_WORSE, Statement, judged

LESS = Statement("E", "a is less than b", ("a",), ("b",), delta=0.5, sign=-1)


def seeds(*pairs: tuple[float, float]) -> list[dict[str, Result]]:
    return [{"E": Result({"a": a, "b": b})} for a, b in pairs]


def word(statement: Statement, *pairs: tuple[float, float]) -> str:
    return judged([statement], seeds(*pairs))[0].word


def test_one_figure_for_each_seed() -> None:
    (verdict,) = judged([LESS], seeds((1, 3), (2, 6), (3, 9)))  # differences 2, 4, 6
    assert (verdict.a, verdict.b, verdict.by_seed) == (2, 6, (2, 4, 6))
    assert verdict.judgement.estimate.mean == 4
    low, high = verdict.judgement.estimate.interval()
    reach = 4.303 * 2 / math.sqrt(3)
    assert (low, high) == pytest.approx((4 - reach, 4 + reach), abs=0.15)
    assert verdict.word == "open"
    assert word(LESS, (1, 3), (2, 4.1), (3, 4.9)) == "holds"
    assert word(LESS, (3, 1), (4.1, 2), (4.9, 3)) == "fails"
    assert word(LESS, (3, 3.01), (4, 4.02), (5, 4.99)) == "equivalent"


def test_a_margin_is_how_much_worse_the_first_figure_may_be() -> None:
    tolerant = replace(LESS, sign=1, margin=2.6)
    assert word(tolerant, (1, 3), (2, 4.1), (3, 4.9)) == "holds"  # differences -2, -2.1, -1.9
    assert word(replace(tolerant, margin=1.4), (1, 3), (2, 4.1), (3, 4.9)) == "fails"
    alike = replace(tolerant, margin=2.0, delta=NOT_WORSE)
    assert word(alike, (1, 3), (2, 4.01), (3, 4.99)) == "open"  # as much worse as is allowed, and not "equivalent"


def test_differences_are_taken_picture_by_picture_and_averaged_over_pairs() -> None:
    nan = math.nan
    result = Result(
        {"d": 1.0},
        values={"a": np.array([1.0, 2.0, nan]), "b": np.array([0.0, 3.0, 1.0]), "c": np.array([5.0, nan, nan])},
    )
    statement = Statement("E", "two pairs", ("a", "c"), ("b", "d"), delta=0.1)
    assert np.array_equal(statement.differences(result), [2.5, -1.0, nan], equal_nan=True)
    assert result.figures["a"] == 1.5  # the mean of what was measured
    with pytest.raises(ValueError, match="2 figures against 1"):
        replace(statement, b=("b",))


def test_missing_figures_and_a_single_seed_decide_nothing() -> None:
    assert word(LESS, (1, 2)) == "open"
    assert judged([LESS], [{"E": Result({"a": 1.0})}, {}])[0].word == "not measured"
    assert word(LESS, (1, math.nan), (math.nan, 2)) == "not measured"
    half = judged([LESS], [*seeds((1, 2), (1, 2.1)), {"E": Result({"a": 9.0})}])[0]
    assert half.judgement.estimate.mean == pytest.approx(1.05)


def test_our_statements_do_not_weaken_the_papers() -> None:
    found = seeds((1, 3), (2, 4.1), (3, 4.9))
    alone = judged([LESS], found)[0].judgement
    ours = [replace(LESS, text=str(k), source="ours") for k in range(20)]
    assert judged([LESS, *ours], found)[0].judgement == alone
    assert judged([LESS, *(replace(o, source="paper") for o in ours)], found)[0].judgement.p_differs > alone.p_differs


def test_pictures_give_certainty_that_seeds_alone_do_not() -> None:
    rng = np.random.default_rng(0)
    a = [Result(values={"a": 1 + rng.standard_normal(200), "b": 2 + rng.standard_normal(200)}) for _ in range(4)]
    (verdict,) = judged([LESS], [{"E": result} for result in a])
    assert verdict.word == "holds"
    assert verdict.judgement.estimate.values == 800
