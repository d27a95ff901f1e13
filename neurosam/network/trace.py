"""SAM traces: the state that turns a neuron's own spikes into a contribution score, touched only when it spikes.

With ``dt`` steps since the neuron's last spike, ``n`` its spikes so far (this one included), ``t`` the population's
own step (from 0) and ``X`` its trace, a spike emits a neuronal contribution score (NCS) and leaves a new trace:

    decayed = X * exp(-gamma * dt)                      (0 before the first spike)
    strict      emit decayed                                          X <- decayed + 1
    inclusive   emit decayed + 1                                      X <- decayed + 1
    official    emit decayed + 1 + (t + 1 - n) * exp(-gamma * t)      X <- decayed + 1

``strict`` is Eq. 12-13 of Kim & Panda 2021 (previous spikes only); ``inclusive`` counts the present spike too;
``official`` is the formula of their released code, in which every silent step adds exp(-gamma t). In fixed point,
``K[n] = round(2^f exp(-gamma n))`` is a stored table that ends in 0, a spike adds ``impulse`` (``2^f`` by default)
in place of 1, and ``decayed = (X * K[dt]) >> f``, where K continues with its last entry; the silent steps of the
official mode add ``((t + 1 - n) * impulse * K[t]) >> f``.

A neuron that fires ``s`` times in one step emits one graded event. Its spikes do not see each other in ``strict``: it
emits ``s * decayed`` and leaves ``X <- decayed + s``; the other modes put ``decayed + s`` for ``decayed + 1``, and emit
``s`` times the score, where ``n`` counts steps with spikes.

SAM is the sum of the scores over channels. A chip holds it in 24 bits, so ``channels * largest score`` must stay
below 2^23; :meth:`SamTrace.quantise` chooses f by that bound and :meth:`FixedSamTrace.check` refuses what exceeds it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from neurosam._util.arguments import choice, integer, integers, reals
from neurosam._util.describing import one_line
from neurosam.arithmetic import contribution
from neurosam.errors import NetworkError

__all__ = ["MODES", "FixedSamTrace", "SamTrace"]

MODES = ("strict", "inclusive", "official")
SUM_LIMIT = 2**23
MAX_SHIFT = 16
MAX_TABLE = 4096


@dataclass(frozen=True)
class SamTrace:
    """A float trace.

    Parameters
    ----------
    gamma : float
        Decay rate per step, >= 0; 0.5 in the released code.
    mode : {"strict", "inclusive", "official"}
        Which spikes count, see the module.

    Examples
    --------
    >>> fixed = ns.SamTrace(gamma=0.5).quantise(channels=32)
    >>> fixed.shift, fixed.impulse, fixed.table[:4]
    (16, 65536, array([65536, 39750, 24109, 14623]))
    """

    gamma: float = 0.5
    mode: str = "strict"

    def __post_init__(self) -> None:
        object.__setattr__(self, "gamma", float(reals("SamTrace: gamma", self.gamma, low=0.0, ndim=(0,))))
        choice("SamTrace: mode", self.mode, MODES)

    @property
    def scale(self) -> float:
        """What a map is divided by to be in the unit of a float trace, which is 1."""
        return 1.0

    def quantise(self, channels: int, steps: int | None = None, spikes: int = 1) -> FixedSamTrace:
        """The integer trace of the finest resolution whose sum over channels fits into 24 bits.

        Parameters
        ----------
        channels : int
            Channels that are summed.
        steps : int, optional
            Length of the longest run; required where spikes fade so slowly that the table does not reach 0 in 4096
            steps.
        spikes : int
            Most spikes of a neuron in one step.

        Raises
        ------
        NetworkError
            If the table does not reach 0, or no resolution fits.
        """
        for shift in range(MAX_SHIFT, 0, -1):
            fixed = FixedSamTrace(self.table(shift, steps), shift, 1 << shift, self.mode)
            if fixed.largest(steps, spikes) * channels < SUM_LIMIT:
                return fixed
        raise NetworkError(
            "SamTrace",
            f"gamma={self.gamma:g} over {channels} channels does not fit 24 bits; use a larger gamma or fewer steps",
        )

    def table(self, shift: int, steps: int | None = None) -> npt.NDArray[np.int64]:
        """``K[n] = round(2^shift * exp(-gamma * n))`` up to its first 0 (or with a 0 appended after `steps`)."""
        limit = MAX_TABLE if steps is None else min(steps + 1, MAX_TABLE)
        table: npt.NDArray[np.int64] = np.rint(np.exp(-self.gamma * np.arange(limit)) * (1 << shift)).astype(np.int64)
        zeros = np.flatnonzero(table == 0)
        if zeros.size:
            return table[: zeros[0] + 1]
        if steps is None or steps >= MAX_TABLE:
            raise NetworkError(
                "SamTrace: gamma",
                f"got {self.gamma:g}; the table does not fade to 0 within {MAX_TABLE} steps. "
                f"Give the longest run as steps (below {MAX_TABLE}) or use a larger gamma",
            )
        return np.append(table, 0)


@dataclass(frozen=True, eq=False)
class FixedSamTrace:
    """An integer trace.

    Parameters
    ----------
    table : (n,) int array
        ``K``: never rises, ``K[0] <= 2^shift``, last entry 0; 2..4097 entries.
    shift : int
        f, 1..16.
    impulse : int
        What a spike adds, 1..2^16; also the scale of the map (``map / impulse`` is in the unit of a float trace).
    mode : {"strict", "inclusive", "official"}
        Which spikes count, see the module.

    Examples
    --------
    A trace that halves in every step and is 0 after three, and its largest score, when the neuron spikes in each of
    ten steps (4 + 2 + 1: the spikes of one, two and three steps ago count):

    >>> trace = ns.FixedSamTrace(table=[8, 4, 2, 1, 0], shift=3, impulse=8)
    >>> trace.largest(steps=10), trace.scale
    (7, 8.0)
    """

    table: npt.NDArray[np.int64]
    shift: int
    impulse: int
    mode: str = "strict"

    def __post_init__(self) -> None:
        where = "FixedSamTrace"
        choice(f"{where}: mode", self.mode, MODES)
        object.__setattr__(self, "shift", integer(f"{where}: shift", self.shift, 1, MAX_SHIFT))
        object.__setattr__(self, "impulse", integer(f"{where}: impulse", self.impulse, 1, 1 << MAX_SHIFT))
        table = integers(f"{where}: table", self.table, low=0, high=1 << self.shift, ndim=(1,))
        if not 2 <= table.size <= MAX_TABLE + 1 or table[-1] != 0 or (np.diff(table) > 0).any():
            raise NetworkError(f"{where}: table", f"must have 2..{MAX_TABLE + 1} entries, never rise, and end in 0")
        object.__setattr__(self, "table", table)

    @property
    def scale(self) -> float:
        """What a map is divided by to be in the unit of a float trace, which is the impulse."""
        return float(self.impulse)

    def largest(self, steps: int | None = None, spikes: int = 1) -> int:
        """Largest score in a run of `steps` (of any length if None), of a neuron with up to `spikes` per step.

        The worst case is a neuron that fires in every step, because the table never rises. Without a number of steps,
        a trace that never fades has the bound ``2^62``.
        """
        first = int(self.table[1])
        if steps is None and first == 1 << self.shift:
            return 1 << 62
        length = 1 << 30 if steps is None else steps
        peak = _peak(first, self.shift, self.impulse * spikes, self.mode == "strict", length)
        return spikes * (peak + (self._silent_peak(steps) if self.mode == "official" else 0))

    def _silent_peak(self, steps: int | None) -> int:
        """Bound of what silent steps add in the official mode, over all t: ``t * impulse * K[t] >> f``."""
        t = np.arange(self.table.size if steps is None else min(steps, self.table.size))
        return int(((t * self.impulse * self.table[: t.size]) >> self.shift).max(initial=0))

    def check(self, where: str, channels: int, steps: int | None, spikes: int = 1) -> None:
        """Refuse a run whose sum over channels could exceed 24 bits (a run of any length if `steps` is None)."""
        bound = self.largest(steps, spikes) * channels
        length = "a run of any length" if steps is None else f"{steps} steps"
        if bound >= SUM_LIMIT:
            raise NetworkError(
                where,
                f"the SAM trace can reach {bound} over {channels} channels in {length}; it must stay below 2^23. "
                "Use a smaller impulse and shift (SamTrace.quantise chooses them)",
            )

    @property
    def gamma(self) -> float:
        """The decay rate that the table's first entries imply, for display only."""
        return -math.log(max(int(self.table[1]), 1) / (1 << self.shift)) if self.table[1] else math.inf

    def __repr__(self) -> str:
        return one_line(self)


@lru_cache(maxsize=256)
def _peak(factor: int, shift: int, impulse: int, strict: bool, steps: int) -> int:
    """Largest score of a neuron that spikes in each of `steps` steps; `factor` is K[1]."""
    trace = peak = 0
    for _ in range(steps):
        score = contribution(trace, factor, shift)
        peak = max(peak, score if strict else score + impulse)
        if score + impulse == trace:
            break
        trace = score + impulse
    return peak
