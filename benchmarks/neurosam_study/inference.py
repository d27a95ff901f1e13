"""From differences over seeds and pictures to one of four words.

A statement is a difference d[s, p] of training seed s and picture p that is positive in its favour, and a smallest
effect of interest delta > 0 in the same unit. Its estimate is the mean over seeds of the mean over pictures.

*Interval.* Seeds are drawn with replacement, then pictures: once for all seeds if every seed has the same pictures
(crossed), else for each seed (nested). With S seeds, resampled means spread too little by sqrt((S - 1) / S), and the
quantile of a normal distribution is too small for few seeds; so the standard error is the standard deviation of the
resampled means times sqrt(S / (S - 1)). Quantiles are Student's, with S - 1 degrees of freedom if the pictures are
nested. If they are crossed with the seeds, Satterthwaite's, from the mean squares of seeds, pictures and what is left:

    V = v_seeds + v_pictures - v_left,    v = mean square / (S P)
    degrees = V^2 / (v_seeds^2 / (S - 1) + v_pictures^2 / (P - 1) + v_left^2 / ((S - 1) (P - 1)))

With few seeds that agree, it is the pictures that decide how sure the mean is, and there are many. Where pictures do
not differ by more than what is left, V is v_seeds, and the degrees are S - 1, which is also the least.

*Words.* With Holm's correction over all statements, at 5 %:

    equivalent   two one-sided tests reject both d <= -delta and d >= delta
    holds        not equivalent, and a two-sided test rejects d = 0 with a positive estimate
    fails        likewise with a negative estimate
    open         none of these

A difference that is surely positive and surely below delta is "equivalent": it exists and is of no interest.

Sources: Davison & Hinkley 1997 (Bootstrap Methods and their Application, section 3.8); Holm 1979 (Scand. J. Stat. 6);
Satterthwaite 1946 (Biometrics Bull. 2); Schuirmann 1987 (J. Pharmacokinet. Biopharm. 15; two one-sided tests).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["WORDS", "Estimate", "Judgement", "estimate", "holm", "judge"]

Array = npt.NDArray[np.float64]

WORDS = ("holds", "fails", "equivalent", "open", "not measured")
LEVEL = 0.05
RESAMPLES = 4000


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds and pictures.

    Attributes
    ----------
    mean, error : float
        With its standard error; infinite for a single seed.
    seeds : int
        With at least one value.
    values : int
        Differences that are not NaN.
    degrees : float
        Of freedom of Student's distribution.
    """

    mean: float
    error: float
    seeds: int
    values: int
    degrees: float

    def interval(self, level: float = 1 - LEVEL) -> tuple[float, float]:
        """The two-sided interval; infinite for a single seed."""
        if self.seeds < 2:
            return -math.inf, math.inf
        reach = _quantile((1 + level) / 2, self.degrees) * self.error
        return self.mean - reach, self.mean + reach

    def p_above(self, bound: float) -> float:
        """The p-value against "the mean is at most `bound`"."""
        if self.seeds < 2:
            return 1.0
        if self.error == 0:
            return 0.0 if self.mean > bound else 1.0
        return _survival((self.mean - bound) / self.error, self.degrees)


@dataclass(frozen=True)
class Judgement:
    """The verdict on one statement.

    Attributes
    ----------
    estimate : Estimate
    delta : float
        Smallest effect of interest.
    p_differs, p_equivalent : float
        Corrected over all statements that were judged together.
    word : str
    """

    estimate: Estimate
    delta: float
    p_differs: float
    p_equivalent: float
    word: str


def estimate(differences: Sequence[npt.ArrayLike], *, crossed: bool, seed: int = 0) -> Estimate:
    """The mean of differences and its standard error.

    Parameters
    ----------
    differences : sequence of (P,) arrays
        Of each seed; a single number where the figure is one per seed. NaN where it could not be measured.
    crossed : bool
        Whether all seeds have the same pictures, in the same order.
    seed : int
        Of the bootstrap.
    """
    rows = [np.atleast_1d(np.asarray(row, dtype=np.float64)) for row in differences]
    rows = [row for row in rows if not np.isnan(row).all()]
    values = sum(int((~np.isnan(row)).sum()) for row in rows)
    if not rows:
        return Estimate(math.nan, math.nan, 0, 0, 0)
    mean = float(np.mean([np.nanmean(row) for row in rows]))
    if len(rows) < 2:
        return Estimate(mean, math.inf, 1, values, 0)
    rng = np.random.default_rng(seed)
    if crossed and len({row.size for row in rows}) != 1:
        raise ValueError(f"crossed seeds have {sorted({row.size for row in rows})} pictures; all need the same number")
    drawn = rng.integers(0, len(rows), (RESAMPLES, len(rows)))
    means = _resampled(rows, crossed, rng)  # [RESAMPLES, S], each seed's mean over its drawn pictures
    spread = float(np.std(np.take_along_axis(means, drawn, axis=1).mean(axis=1)))
    error = spread * math.sqrt(len(rows) / (len(rows) - 1))
    degrees = _satterthwaite(np.stack(rows)) if crossed else float(len(rows) - 1)
    return Estimate(mean, error, len(rows), values, degrees)


def _satterthwaite(table: Array) -> float:
    """Degrees of freedom of the mean of ``[S, P]`` crossed differences; a NaN counts as its seed's mean."""
    seeds, pictures = (int(size) for size in table.shape)
    table = np.where(np.isnan(table), np.nanmean(table, axis=1, keepdims=True), table)
    if pictures < 2:
        return float(seeds - 1)
    of_seeds, of_pictures = table.mean(axis=1, keepdims=True), table.mean(axis=0, keepdims=True)
    left = table - of_seeds - of_pictures + table.mean()
    v_seeds = float(of_seeds.var(ddof=1)) / seeds
    v_pictures = float(of_pictures.var(ddof=1)) / pictures
    v_left = float((left**2).sum()) / ((seeds - 1) * (pictures - 1)) / (seeds * pictures)
    if v_pictures <= v_left:
        return float(seeds - 1)
    spread = v_seeds**2 / (seeds - 1) + v_pictures**2 / (pictures - 1) + v_left**2 / ((seeds - 1) * (pictures - 1))
    return max(float(seeds - 1), (v_seeds + v_pictures - v_left) ** 2 / spread)


def _resampled(rows: list[Array], crossed: bool, rng: np.random.Generator) -> Array:
    """Mean of each seed over pictures that are drawn anew, ``[RESAMPLES, S]``; a draw without a value has the mean."""
    out = np.empty((RESAMPLES, len(rows)))
    shared = rng.integers(0, rows[0].size, (RESAMPLES, rows[0].size)) if crossed else None
    for number, row in enumerate(rows):
        chosen = row[rng.integers(0, row.size, (RESAMPLES, row.size)) if shared is None else shared]
        present = ~np.isnan(chosen)
        count = present.sum(axis=1)
        total = np.where(present, chosen, 0.0).sum(axis=1)
        out[:, number] = np.where(count > 0, total / np.maximum(count, 1), np.nanmean(row))
    return out


def judge(estimates: Sequence[Estimate], deltas: Sequence[float]) -> list[Judgement]:
    """One word for each statement, corrected over all of them; those without values are "not measured"."""
    measured = [i for i, e in enumerate(estimates) if e.seeds]
    differs, equal = [1.0] * len(estimates), [1.0] * len(estimates)
    for i in measured:
        e, delta = estimates[i], deltas[i]
        above = e.p_above(0.0)
        differs[i] = min(1.0, 2 * min(above, 1 - above)) if e.seeds > 1 else 1.0
        equal[i] = max(e.p_above(-delta), 1 - e.p_above(delta)) if e.seeds > 1 else 1.0
    for p in (differs, equal):
        for i, corrected in zip(measured, holm([p[i] for i in measured]), strict=True):
            p[i] = corrected
    out = []
    for e, delta, p_differs, p_equal in zip(estimates, deltas, differs, equal, strict=True):
        word = "not measured"
        if e.seeds:
            surely = p_differs < LEVEL
            word = "equivalent" if p_equal < LEVEL else "open" if not surely else "holds" if e.mean > 0 else "fails"
        out.append(Judgement(e, delta, p_differs, p_equal, word))
    return out


def holm(p: Sequence[float]) -> list[float]:
    """Holm's corrected p-values, in the order given.

    Examples
    --------
    >>> from neurosam_study.inference import holm
    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    order = sorted(range(len(p)), key=lambda i: p[i])
    out, running = [0.0] * len(p), 0.0
    for rank, i in enumerate(order):
        running = max(running, min(1.0, (len(p) - rank) * p[i]))
        out[i] = running
    return out


def _quantile(probability: float, degrees: float) -> float:
    from scipy.stats import t

    return float(t.ppf(probability, degrees))


def _survival(value: float, degrees: float) -> float:
    from scipy.stats import t

    return float(t.sf(value, degrees))
