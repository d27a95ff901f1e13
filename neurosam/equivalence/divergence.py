"""Where two recordings of one run diverge: their values side by side, and every mismatch in causal order.

A mismatch in step t of population p, counted in the population's own time, can only be caused by earlier steps, or by
step t of a population evaluated before p: a projection's lag is never negative, and projections of lag 0 are acyclic
(network/schedule.py). Therefore no mismatch precedes its cause in the order

    (step, population in order of evaluation, variable, sample, neuron).

The variables are ordered as in VARIABLES. What belongs to a whole run is placed at its last step: how often a membrane
saturated and a sum wrapped, the final state (``state.v`` is the membrane in it, and so on), and the answers of outputs.

Integers are equal or they are not, and so are means of integers. Two floats agree within the tolerance of tolerance.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from neurosam.network.synapse import Shape
from neurosam.signals.state import VARIABLES as STATE_VARIABLES

__all__ = ["OF_RUNS", "OF_STATES", "OF_STEPS", "VARIABLES", "Divergence", "Mismatches", "Variable", "mismatches"]

OF_STEPS = ("current", "membrane", "spikes", "counts", "sam")
OF_RUNS = ("saturated", "wrapped")
OF_STATES = (*(f"state.{name}" for name in STATE_VARIABLES), "state.recent", "state.answers")
VARIABLES = (*OF_STEPS, *OF_RUNS, *OF_STATES, "output")
"""Everything that is compared, in causal order within a step of a population."""

Index = npt.NDArray[np.int64]
Values = npt.NDArray[np.generic]


@dataclass(frozen=True)
class Divergence:
    """One value that differs between two recordings.

    Parameters
    ----------
    population, variable : str
        ``variable`` is current, membrane, spikes, counts, sam, saturated, wrapped, state.v (and so on), output, or
        operations: of a projection, of all samples.
    step, sample : int
        The step of the run, in the population's own time; the last one for what belongs to the whole run.
    neuron : int or None
        Flat index in C order over the shape of the variable; a pixel of the map for "sam"; None for "counts",
        "saturated" and "wrapped".
    coordinates : tuple of int
        The same as (channel, y, x), (neuron,), or (y, x) for "sam".
    value_a, value_b : int or float
    distance : float, optional
        If one side fired, or fired more often: the network's threshold minus the membrane of the other one, in the unit
        of the membrane (threshold.py).
    place : tuple of int
        Sort key for causal order.

    Examples
    --------
    >>> divergence = ns.Divergence("conv1", "spikes", 4, 0, 7, (1, 0, 3), 1, 0, distance=2.0)
    >>> print(divergence)
    conv1: spikes at step 4, sample 0, neuron (1, 0, 3): 1 != 0 (the silent side is 2 below the network's threshold)
    """

    population: str
    variable: str
    step: int
    sample: int
    neuron: int | None
    coordinates: tuple[int, ...]
    value_a: int | float
    value_b: int | float
    distance: float | None = None
    place: tuple[int, ...] = field(default=(), repr=False, compare=False)

    def __str__(self) -> str:
        if self.variable == "operations":
            return f"{self.population}: operations of the run: {self.value_a!r} != {self.value_b!r}"
        where = "" if self.neuron is None else f", {'pixel' if self.variable == 'sam' else 'neuron'} {self.coordinates}"
        text = f"{self.population}: {self.variable} at step {self.step}, sample {self.sample}{where}: "
        text += f"{self.value_a!r} != {self.value_b!r}"
        if self.distance is None:
            return text
        side = f"{abs(self.distance):g} {'below' if self.distance > 0 else 'above'}" if self.distance else "at"
        return f"{text} (the silent side is {side} the network's threshold)"


@dataclass(frozen=True, eq=False)
class Variable:
    """One variable of one population in both recordings, ``[T, B, N]`` each (T = 1 for what belongs to the run).

    `first_step` is the own step of the first of them.
    """

    population: str
    name: str
    order: int
    first_step: int
    shape: Shape
    a: Values
    b: Values
    scale: float
    fixed: bool = False

    @property
    def exact(self) -> bool:
        """Whether its values are integers, or means of integers."""
        return self.fixed or self.a.dtype.kind != "f"


@dataclass(frozen=True, eq=False)
class Mismatches:
    """Indices at which a variable differs, in order of (step, sample, neuron)."""

    variable: Variable
    step: Index
    sample: Index
    neuron: Index

    def __len__(self) -> int:
        return int(self.step.size)

    def at(self, chosen: npt.NDArray[np.bool_] | Index) -> Mismatches:
        """Those at some places, or where a mask is True."""
        return Mismatches(self.variable, self.step[chosen], self.sample[chosen], self.neuron[chosen])

    def each_sample(self) -> Mismatches:
        """The earliest mismatch of each sample."""
        return self.at(np.unique(self.sample, return_index=True)[1])

    def divergences(self, distance: npt.NDArray[np.float64] | None = None) -> Iterator[Divergence]:
        """Each as a Divergence; `distance` is NaN where it is not known."""
        v = self.variable
        rank = VARIABLES.index(v.name)
        for i in range(len(self)):
            step, sample, neuron = int(self.step[i]), int(self.sample[i]), int(self.neuron[i])
            at = (step - v.first_step, sample, neuron)
            yield Divergence(
                v.population, v.name, step, sample,
                None if not v.shape else neuron,
                tuple(int(c) for c in np.unravel_index(neuron, v.shape)) if v.shape else (),
                v.a[at].item(), v.b[at].item(),
                None if distance is None or np.isnan(distance[i]) else float(distance[i]),
                (step, v.order, rank, sample, neuron),
            )  # fmt: skip


def mismatches(variable: Variable, tolerance: float) -> Mismatches:
    """Where the two sides differ, for floats by more than the tolerance.

    Runs that overflow alike are equal: an infinity equals itself alone, and so does NaN.
    """
    a, b = variable.a, variable.b
    if variable.exact:
        step, sample, neuron = np.nonzero(a != b)
    else:
        x, y = a.astype(np.float64), b.astype(np.float64)
        largest = np.maximum(np.abs(x), np.abs(y))
        with np.errstate(invalid="ignore"):  # inf - inf
            close = np.abs(x - y) <= tolerance * (variable.scale + largest)
        step, sample, neuron = np.nonzero(~(close & (largest < np.inf)) & (x != y) & ~(np.isnan(x) & np.isnan(y)))
    return Mismatches(variable, step + variable.first_step, sample, neuron)
