"""Which widths pass: the rule, stated before the run, and its figures.

A width passes for a rounding if, in every network and layer,

- the lower end of the 95 % interval of the 5th percentile of the skill over samples is at least 0.95, and
- the map deletes and inserts as the float map does: the 90 % interval of the mean difference in area under either curve
  lies within 0.02 (two one-sided tests at 5 %).

Intervals are bootstraps over samples with a fixed seed. The prediction, also stated before: a trace that rounds down
collapses below b* = ceil(log2(min(T, 1 / (1 - exp(-gamma))))) + 1 bits, here a median skill under 0.5; one that rounds
at random does not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from neurosam.explain.narrow_trace import collapse_bits
from neurosam_study.trace_bits.measure import FLOAT, Measured
from neurosam_study.trace_bits.settings import GAMMA, ROUNDINGS, Grid, Setting

__all__ = ["COLLAPSED", "Cliff", "Width", "cliffs", "fifth_percentile", "widths"]

Array = npt.NDArray[np.float64]

SKILL, MARGIN, COLLAPSED = 0.95, 0.02, 0.5
RESAMPLES = 1000


@dataclass(frozen=True)
class Width:
    """How a width does at gamma 0.5 and the judged number of steps, in the worst network and layer.

    Attributes
    ----------
    rounding : str
    bits : int
    skill_low : float
        Lower end of the interval of the 5th percentile of the skill.
    where : str
        The network and layer of it.
    deletion, insertion : float
        Largest distance of an interval's end from 0; NaN where it was not measured.
    """

    rounding: str
    bits: int
    skill_low: float
    where: str
    deletion: float
    insertion: float

    @property
    def passes(self) -> bool:
        """Whether both parts of the rule hold."""
        return self.skill_low >= SKILL and max(self.deletion, self.insertion) <= MARGIN


@dataclass(frozen=True)
class Cliff:
    """Where a rounding collapses, beside the prediction.

    Attributes
    ----------
    gamma : float
    steps : int
    predicted : int
        b*.
    found : dict of str to int
        By rounding, the smallest width whose median skill is at least 0.5 in every network and layer, as are all larger
        ones.
    """

    gamma: float
    steps: int
    predicted: int
    found: dict[str, int | None]


def fifth_percentile(values: Array, seed: int = 0) -> tuple[float, float]:
    """The 5th percentile of the defined values and the lower end of its 95 % bootstrap interval; NaN without any."""
    present = values[~np.isnan(values)]
    if not present.size:
        return float("nan"), float("nan")
    draws = np.random.default_rng(seed).integers(0, present.size, (RESAMPLES, present.size))
    resampled = np.percentile(present[draws], 5, axis=1)
    return float(np.percentile(present, 5)), float(np.percentile(resampled, 2.5))


def widths(found: Sequence[Measured], grid: Grid) -> list[Width]:
    """Every rounding and width that was judged."""
    judged = [m for m in found if m.faithful]
    rows = []
    for rounding in ROUNDINGS:
        for bits in grid.bits:
            lows: list[tuple[float, str]] = []
            ends: list[tuple[float, float]] = []
            for m in judged:
                setting = Setting(bits, rounding, GAMMA, m.steps)
                for number, layer in enumerate(m.layers):
                    low = fifth_percentile(m.of(setting, "skill")[number])[1]
                    lows.append((low, f"{m.bench}, {layer}"))
                    if setting.key in m.faithful:
                        difference = m.faithful[setting.key][number] - m.faithful[FLOAT][number]
                        ends.append((_reach(difference[0]), _reach(difference[1])))
            worst = min((x for x in lows if not np.isnan(x[0])), default=(float("nan"), ""))
            deletion, insertion = (max((e[i] for e in ends), default=float("nan")) for i in (0, 1))
            rows.append(Width(rounding, bits, *worst, deletion, insertion))
    return rows


def cliffs(found: Sequence[Measured], grid: Grid) -> list[Cliff]:
    """Where each rounding collapses, for every gamma and number of steps."""
    first = grid.weight_bits[0]
    rows = []
    for steps in sorted({m.steps for m in found}):
        runs = [m for m in found if m.steps == steps and m.weight_bits == first]
        for gamma in grid.gammas:
            reached: dict[str, int | None] = {}
            for rounding in ROUNDINGS:
                holds = [
                    min(_medians(runs, Setting(bits, rounding, gamma, steps)), default=0.0) >= COLLAPSED
                    for bits in grid.bits
                ]
                failed = max((i for i, ok in enumerate(holds) if not ok), default=-1)
                reached[rounding] = grid.bits[failed + 1] if failed + 1 < len(grid.bits) else None
            rows.append(Cliff(gamma, steps, collapse_bits(gamma, steps), reached))
    return rows


def _medians(runs: Sequence[Measured], setting: Setting) -> list[float]:
    values: list[Any] = [layer for m in runs for layer in m.of(setting, "skill")]
    return [float(np.nanmedian(x)) for x in values if not np.isnan(x).all()]


def _reach(difference: Array, seed: int = 0) -> float:
    """How far the 90 % interval of the mean reaches from 0."""
    draws = np.random.default_rng(seed).integers(0, difference.size, (RESAMPLES, difference.size))
    low, high = np.percentile(difference[draws].mean(axis=1), (5, 95))
    return float(max(abs(low), abs(high)))
