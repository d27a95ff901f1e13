"""Student's 95 % interval of a mean over training seeds, d +- t s / sqrt(n).

A figure of pairs of seeds, theta = mean of x_ij over i < j, has values that share seeds and so are not independent.
They are replaced by n jackknife pseudo-values, whose mean is theta itself:

    p_i = n theta - (n - 1) theta_i,   theta_i = the same without seed i;   n >= 3

Source: Arvesen 1969 (Jackknifing U-statistics, Ann. Math. Stat. 40), section 3.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from neurosam_study.results import Result

__all__ = ["STUDENT", "Interval", "course_over_seeds", "interval", "over_seeds", "pseudo_values"]

# Two-sided 95 % quantile of Student's t for 1 .. 9 degrees of freedom; the normal's would be too small for few seeds.
STUDENT = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)


class Interval(NamedTuple):
    """A mean, its interval, and the values; bounds are infinite for a single value, and all are NaN without any."""

    mean: float
    low: float
    high: float
    values: tuple[float, ...] = ()


def interval(values: Sequence[float]) -> Interval:
    """Compute the interval of one value per seed, ignoring NaN."""
    present = [value for value in values if not math.isnan(value)]
    if not present:
        return Interval(math.nan, math.nan, math.nan)
    mean, count = statistics.fmean(present), len(present)
    if count < 2:
        return Interval(mean, -math.inf, math.inf, tuple(present))
    reach = STUDENT[min(count - 1, len(STUDENT)) - 1] * statistics.stdev(present) / math.sqrt(count)
    return Interval(mean, mean - reach, mean + reach, tuple(present))


def pseudo_values(pairs: Mapping[tuple[int, int], float], seeds: int) -> list[float]:
    """Compute one value per seed for a figure of pairs of seeds; with two seeds, which are one pair, the second is NaN.

    Parameters
    ----------
    pairs : mapping of (i, j), i < j, to float
        NaN for a pair without a value.
    seeds : int
    """

    def mean(values: list[float]) -> float:
        present = [value for value in values if not math.isnan(value)]
        return statistics.fmean(present) if present else math.nan

    theta = mean([*pairs.values()])
    if seeds < 3:
        return [theta] + [math.nan] * (seeds - 1)
    without = [mean([value for pair, value in pairs.items() if seed not in pair]) for seed in range(seeds)]
    return [seeds * theta - (seeds - 1) * theta_without for theta_without in without]


def over_seeds(seeds: Sequence[Mapping[str, Result]], experiment: str, name: str) -> Interval:
    """Compute the interval of one figure of an experiment."""
    return interval([seed[experiment].figures.get(name, math.nan) for seed in seeds])


def course_over_seeds(seeds: Sequence[Mapping[str, Result]], experiment: str, name: str) -> list[Interval]:
    """Compute the interval at every point of a course; empty if no seed has it."""
    courses = [seed[experiment].courses[name] for seed in seeds if name in seed[experiment].courses]
    return [interval(values) for values in zip(*courses, strict=True)]
