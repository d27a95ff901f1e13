"""How far a study is: the time of what is done, and an estimate of the time that is left.

An experiment that was timed in another seed, or in an earlier run, is expected to take the mean of those times; one
that was not, its usual share (see experiments.py) of the time of a seed, as the others tell it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping

__all__ = ["Clock", "duration"]


class Clock:
    """Times the experiments of all seeds.

    Parameters
    ----------
    shares : mapping of str to float
        Usual share of each experiment; only their ratios count.
    seeds : int
    """

    def __init__(self, shares: Mapping[str, float], seeds: int) -> None:
        self._shares = shares
        self._began = time.monotonic()
        self._times: dict[str, list[float]] = {name: [] for name in shares}
        self._left = dict.fromkeys(shares, seeds)

    def finished(self, name: str, seconds: float) -> None:
        """An experiment of one seed is done; NaN if its time is not known."""
        self._left[name] -= 1
        if not math.isnan(seconds):
            self._times[name].append(seconds)

    @property
    def left_s(self) -> float:
        """Estimate of the time that is left; NaN before anything was timed."""
        means = {name: sum(times) / len(times) for name, times in self._times.items() if times}
        known = sum(self._shares[name] for name in means)
        if not known:
            return math.nan
        per_share = sum(means.values()) / known
        return sum(means.get(name, share * per_share) * self._left[name] for name, share in self._shares.items())

    def line(self) -> str:
        """What is done, how long it took, and what is left."""
        text = f"{sum(self._left.values())} to go, {duration(time.monotonic() - self._began)} so far"
        return text if math.isnan(self.left_s) else f"{text}, about {duration(self.left_s)} left"


def duration(seconds: float) -> str:
    """Seconds below two minutes, minutes below two hours, hours.

    Examples
    --------
    >>> from neurosam_study.clock import duration
    >>> duration(95), duration(1200), duration(9000)
    ('95 s', '20 min', '2.5 h')
    """
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
