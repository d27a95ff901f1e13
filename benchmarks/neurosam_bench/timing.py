"""Interleaved timing of variants, and its evaluation: medians, paired ratios, crossings, and a fitted cost model.

Other processes and clock frequencies affect every time. So each repeat runs all variants in turn, and a ratio is the
median of the ratios within a repeat.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from neurosam.errors import NeurosamError

__all__ = ["Fit", "Timing", "crossing", "fit", "turns"]

Tick = Callable[[int, int], None]

REST_S = 0.02
"""Pause before every run: OpenMP's threads keep spinning for some milliseconds after PyTorch has returned."""
SHORT_S = 0.05
"""A run shorter than this is done four times in its turn: once untimed, because caches go cold in the pause; the median
of the other three counts."""


@dataclass(frozen=True)
class Timing:
    """Seconds of each repeat of one variant."""

    seconds: tuple[float, ...]

    @property
    def median_s(self) -> float:
        """Median."""
        return float(np.median(self.seconds))

    def over(self, other: Timing) -> float:
        """Ratio of this time to `other`: the median over the repeats that both have."""
        pairs = zip(self.seconds, other.seconds, strict=False)
        return float(np.median([numerator / denominator for numerator, denominator in pairs]))


def turns(
    variants: Mapping[str, Callable[[], Any]], repeats: int, tick: Tick | None = None, slow_s: float = float("inf")
) -> dict[str, Timing]:
    """Run all variants in turn, after one warm-up run of each.

    Parameters
    ----------
    variants : mapping of str to callable
    repeats : int
    tick : callable, optional
        Called with (runs done, total runs).
    slow_s : float
        A variant that has used this many seconds after 3 or more repeats is not repeated any more. One that takes
        longer in a single run is run once more, as the first run may have compiled, and then not repeated.
    """
    seconds = {label: [_first(variant, slow_s)] for label, variant in variants.items()}
    for repeat in range(repeats):
        for i, (label, variant) in enumerate(variants.items()):
            times = seconds[label]
            if times[0] < slow_s and (len(times) <= 3 or sum(times[1:]) < slow_s):
                time.sleep(REST_S)
                times.append(_short(variant) if times[-1] < SHORT_S else _seconds(variant))
            if tick is not None:
                tick(repeat * len(variants) + i + 1, repeats * len(variants))
    return {label: Timing(tuple(times[1:] or times)) for label, times in seconds.items()}


def _first(variant: Callable[[], Any], slow_s: float) -> float:
    seconds = _seconds(variant)
    return seconds if seconds < slow_s else _seconds(variant)


def _short(variant: Callable[[], Any]) -> float:
    variant()
    return float(np.median([_seconds(variant) for _ in range(3)]))


def _seconds(variant: Callable[[], Any]) -> float:
    start = time.perf_counter()
    variant()
    return time.perf_counter() - start


def crossing(x: Sequence[float], ratio: Sequence[float]) -> float | None:
    """Find the x at which a falling ratio reaches 1, by log-log interpolation; None if it never does.

    Parameters
    ----------
    x, ratio : sequence of float
        Positive; x increasing.
    """
    points = list(zip(np.log(x), np.log(ratio), strict=True))
    for (x_0, y_0), (x_1, y_1) in pairwise(points):
        if y_0 > 0 >= y_1:
            return float(np.exp(x_0 + (x_1 - x_0) * y_0 / (y_0 - y_1)))
    return None


@dataclass(frozen=True)
class Fit:
    """``seconds = fixed_s + operation_s * operations + update_s * updates``.

    Parameters
    ----------
    fixed_s, operation_s, update_s : float
        Seconds per run, per synaptic operation and per neuron update.
    r2 : float
        Fraction of the variance of the times that the model explains.
    error : float
        Median of |fitted - measured| / measured.
    """

    fixed_s: float
    operation_s: float
    update_s: float
    r2: float
    error: float

    def __call__(self, operations: npt.ArrayLike, updates: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Seconds predicted by the model."""
        return np.asarray(
            self.fixed_s + self.operation_s * np.asarray(operations) + self.update_s * np.asarray(updates), np.float64
        )


def fit(operations: npt.ArrayLike, updates: npt.ArrayLike, seconds: npt.ArrayLike) -> Fit:
    """Fit by least squares of the relative errors, so that short runs count as much as long ones.

    Parameters
    ----------
    operations, updates, seconds : (n,) array
        Of n >= 4 runs that differ in both counts; seconds above 0.

    Raises
    ------
    NeurosamError
        If the runs do not determine the three costs.
    """
    measured = np.asarray(seconds, np.float64)
    columns = np.stack([np.ones(measured.size), np.asarray(operations), np.asarray(updates)], axis=1).astype(np.float64)
    scale = np.abs(columns).max(axis=0, initial=0.0)
    if measured.size < 4 or not (scale > 0).all() or (measured <= 0).any():
        raise NeurosamError(
            "fit", f"got {measured.size} runs; 4 or more with operations, updates and times are required"
        )
    scaled_costs, _, rank, _ = np.linalg.lstsq(columns / scale / measured[:, None], np.ones(measured.size), rcond=1e-9)
    if rank < 3:
        raise NeurosamError(
            "fit", "the runs do not differ in operations and in updates, so their costs cannot be separated"
        )
    costs = scaled_costs / scale
    fitted = columns @ costs
    spread = float(((measured - measured.mean()) ** 2).sum())
    r2 = 1.0 - float(((fitted - measured) ** 2).sum()) / spread if spread > 0 else 1.0
    fixed_s, operation_s, update_s = (float(value) for value in costs)
    return Fit(fixed_s, operation_s, update_s, r2, float(np.median(np.abs(fitted / measured - 1))))
