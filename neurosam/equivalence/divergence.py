"""Where two recordings of one run diverge: their values side by side, and every mismatch in causal order.

A mismatch in step t of population p, counted in the population's own time, can only be caused by earlier steps, or by
step t of a population evaluated before p: a projection's lag is never negative, and projections of lag 0 are acyclic
(network/schedule.py). Therefore no mismatch precedes its cause in the order

    (step, population in order of evaluation, variable, sample, neuron).

The variables are ordered as current, membrane, spikes, counts, sam, output.

Integers are equal or they are not. Two float64 values agree if

    |a - b| <= tolerance * (scale + max(|a|, |b|)),        tolerance = 1e-9 = 9e6 * 2^-53,

where `scale` is the magnitude of the numbers that were added: threshold, reset, bias and the largest sum of |weights|
in one step, or 1 (one spike) for a map. Adding n numbers of total magnitude S in any order has an error of at most
n * S * 2^-53. The bound therefore holds for every membrane that is the sum of fewer than nine million products, and it
is far below the effect of a wrong weight or decay.

In float32 the same bound, n * S * 2^-24, would excuse anything. Independent rounding errors of mean 0 exceed
``L sqrt(n) S 2^-24`` with probability ``2 exp(-L^2 / 2)`` at most (Higham and Mary, SIAM J. Sci. Comput. 41(5), 2019);
L = 8 makes that 3e-14, and :func:`rounding_of` takes n from the network and the run. So a float32 comparison proves
less: a correct value passes very likely rather than certainly, and a wrong weight has to have a larger effect to be
noticed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain

import numpy as np
import numpy.typing as npt

from neurosam.errors import NeurosamError
from neurosam.network.network import Network
from neurosam.network.neuron import LIF, Readout
from neurosam.network.synapse import Shape, Sparse, Synapse, neurons
from neurosam.signals.recording import Recording

__all__ = ["ROUNDING", "VARIABLES", "Divergence", "Mismatches", "Variable", "mismatches", "rounding_of", "shared"]

VARIABLES = ("current", "membrane", "spikes", "counts", "sam", "output")
ROUNDING = 1e-9
DEVIATIONS, UNIT_32 = 8, 2.0**-24
NEURON_ROUNDINGS = 8
"""Roundings in one step of a neuron, besides those of the sum (network/neuron.py)."""

Index = npt.NDArray[np.int64]
Values = npt.NDArray[np.generic]


@dataclass(frozen=True)
class Divergence:
    """One value that differs between two recordings.

    Parameters
    ----------
    population, variable : str
        ``variable`` is one of current, membrane, spikes, counts, sam, output.
    step, sample : int
        The step in the population's own time; the last one for the output.
    neuron : int or None
        Flat index in C order over the shape of the variable; a pixel of the map for "sam"; None for "counts".
    coordinates : tuple of int
        The same as (channel, y, x), (neuron,), or (y, x) for "sam".
    value_a, value_b : int or float
    distance : float, optional
        If only one of the two fired: threshold minus membrane of the one that did not, in the unit of the membrane.
    place : tuple of int
        Sort key for causal order.

    Examples
    --------
    >>> divergence = ns.Divergence("conv1", "spikes", 4, 0, 7, (1, 0, 3), 1, 0, distance=2.0)
    >>> print(divergence)
    conv1: spikes at step 4, sample 0, neuron (1, 0, 3): 1 != 0 (the side that stayed silent is 2 below its threshold)
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
        where = "" if self.neuron is None else f", {'pixel' if self.variable == 'sam' else 'neuron'} {self.coordinates}"
        text = f"{self.population}: {self.variable} at step {self.step}, sample {self.sample}{where}: "
        text += f"{self.value_a!r} != {self.value_b!r}"
        if self.distance is None:
            return text
        side = "below" if self.distance >= 0 else "above"
        return f"{text} (the side that stayed silent is {abs(self.distance):g} {side} its threshold)"


@dataclass(frozen=True, eq=False)
class Variable:
    """One variable of one population in both recordings, ``[T, B, N]`` each (T = 1 for the output)."""

    population: str
    name: str
    order: int
    first_step: int
    shape: Shape
    a: Values
    b: Values
    scale: float

    @property
    def exact(self) -> bool:
        """Whether its values are integers."""
        return self.a.dtype.kind != "f"


@dataclass(frozen=True, eq=False)
class Mismatches:
    """Indices at which a variable differs, in order of (step, sample, neuron)."""

    variable: Variable
    step: Index
    sample: Index
    neuron: Index

    def __len__(self) -> int:
        return int(self.step.size)

    def where(self, keep: npt.NDArray[np.bool_]) -> Mismatches:
        """Those for which `keep` is True."""
        return Mismatches(self.variable, self.step[keep], self.sample[keep], self.neuron[keep])

    def each_sample(self) -> Mismatches:
        """The earliest mismatch of each sample."""
        _, index = np.unique(self.sample, return_index=True)
        return Mismatches(self.variable, self.step[index], self.sample[index], self.neuron[index])

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


def shared(a: Recording, b: Recording, network: Network | None) -> tuple[list[Variable], tuple[str, ...]]:
    """The variables that both recordings hold, in causal order, and descriptions of those that only one of them holds.

    Raises
    ------
    NeurosamError
        If the recordings differ in steps, samples, shapes, number types or units, or have nothing in common.
    """
    for name in ("steps", "samples"):
        if getattr(a, name) != getattr(b, name):
            raise NeurosamError(
                f"recordings of {a.backend!r} and {b.backend!r}",
                f"have {getattr(a, name)} and {getattr(b, name)} {name}",
            )
    order = _order(a, b, network)
    variables: list[Variable] = []
    in_one_only: list[str] = []
    for name in order:
        for kind in VARIABLES[:-1]:
            arrays_a, arrays_b = getattr(a, kind), getattr(b, kind)
            if (name in arrays_a) != (name in arrays_b):
                in_one_only.append(f"{name}: {kind} (only in {a.backend if name in arrays_a else b.backend})")
            elif name in arrays_a:
                variables.append(_variable(a, b, network, name, kind, order[name]))
    output = network.output if network else "output"
    variables.append(_variable(a, b, network, output, "output", order.get(output, len(order))))
    if not sum(v.a.size for v in variables):
        raise NeurosamError(
            f"recordings of {a.backend!r} and {b.backend!r}", "hold no value in common; nothing can be compared"
        )
    return variables, tuple(in_one_only)


def _order(a: Recording, b: Recording, network: Network | None) -> dict[str, int]:
    """Rank of each population: its place in the order of evaluation, or without a network in the recordings."""
    kinds = ("counts", "membrane", "spikes", "current", "sam")
    names = list(dict.fromkeys(chain.from_iterable(getattr(r, kind) for r in (a, b) for kind in kinds)))
    if network is not None:
        evaluated = list(chain.from_iterable(network.groups))
        for name in names:
            _ = network[name]  # refuses a population that the network does not have
        names = evaluated
    return {name: i for i, name in enumerate(names)}


def _variable(a: Recording, b: Recording, network: Network | None, name: str, kind: str, order: int) -> Variable:
    sides = []
    shapes: list[Shape] = []
    for recording in (a, b):
        if kind == "spikes":
            shapes.append(recording.spikes[name].shape)
            sides.append(recording.spikes[name].dense())
        else:
            array = recording.output[None] if kind == "output" else getattr(recording, kind)[name]
            shapes.append(tuple(array.shape[2:]))
            sides.append(array)
    where = f"{name}: {kind}"
    if shapes[0] != shapes[1] or sides[0].shape != sides[1].shape:
        raise NeurosamError(where, f"has shape {sides[0].shape} in {a.backend!r} and {sides[1].shape} in {b.backend!r}")
    if (sides[0].dtype.kind == "f") != (sides[1].dtype.kind == "f"):
        raise NeurosamError(
            where, f"is {sides[0].dtype} in {a.backend!r} and {sides[1].dtype} in {b.backend!r}; quantise both or none"
        )
    if kind == "sam" and a.sam_scale.get(name) != b.sam_scale.get(name):
        raise NeurosamError(
            where, f"has scale {a.sam_scale.get(name)} in {a.backend!r} and {b.sam_scale.get(name)} in {b.backend!r}"
        )
    shape = shapes[0]
    if kind == "output" and network is not None and neurons(shape) == neurons(network.readout.shape):
        shape = network.readout.shape
    x, y = (side.reshape(*side.shape[:2], neurons(shape)) for side in sides)
    first = a.steps - 1 if kind == "output" else 0
    return Variable(name, kind, order, first, shape, x, y, _scale(network, name, kind, x, y))


def _scale(network: Network | None, name: str, kind: str, x: Values, y: Values) -> float:
    """Magnitude of the numbers that a float variable adds up."""
    if x.dtype.kind != "f" or kind == "sam":
        return 1.0
    if network is None:
        return max((float(np.abs(side).max(initial=0.0)) for side in (x, y)), default=0.0)
    return magnitude(network, name)


def magnitude(network: Network, name: str) -> float:
    """Threshold, reset and bias of a float population, plus the largest input that it can receive in one step."""
    neuron = network[name].neuron
    arrival = 0.0
    for projection in network.incoming(name):
        source = network[projection.source].largest_event * (projection.pool.area if projection.pool else 1)
        negative, positive = projection.synapse.row_sums()
        arrival += float((positive - negative).max(initial=0.0)) * source
    if isinstance(neuron, Readout):
        return arrival + _max_abs(neuron.bias)
    if not isinstance(neuron, LIF):
        return arrival
    if neuron.gain is not None:
        arrival = arrival * max(1.0, _max_abs(neuron.gain)) + _max_abs(neuron.offset)
    return arrival + _max_abs(neuron.bias) + _max_abs(neuron.threshold) + _max_abs(neuron.reset_amount)


def rounding_of(network: Network, steps: int, dtype: str = "float64") -> float:
    """Relative tolerance for the values of a float network in a run of `steps`, in "float64" or "float32"."""
    if dtype != "float32":
        return ROUNDING
    terms = [
        sum(_fan_in(p.synapse) * (p.pool.area if p.pool else 1) for p in network.incoming(population.name))
        for population in network.populations
    ]
    return DEVIATIONS * math.sqrt(steps * (max(terms) + NEURON_ROUNDINGS)) * UNIT_32


def _fan_in(synapse: Synapse) -> int:
    """Largest number of synapses of a target."""
    if isinstance(synapse, Sparse):
        return int(np.diff(synapse.indptr).max(initial=0))
    return int(synapse.weight[0].size)


def _max_abs(value: npt.ArrayLike | None) -> float:
    return 0.0 if value is None else float(np.abs(np.asarray(value)).max(initial=0.0))


def mismatches(variable: Variable, tolerance: float) -> Mismatches:
    """Where the two sides differ, for floats by more than the tolerance.

    An infinity equals itself alone, and NaN nothing.
    """
    a, b = variable.a, variable.b
    if variable.exact:
        step, sample, neuron = np.nonzero(a != b)
    else:
        x, y = a.astype(np.float64), b.astype(np.float64)
        largest = np.maximum(np.abs(x), np.abs(y))
        with np.errstate(invalid="ignore"):  # inf - inf
            close = np.abs(x - y) <= tolerance * (variable.scale + largest)
        step, sample, neuron = np.nonzero(~(close & (largest < np.inf)) & (x != y))
    return Mismatches(variable, step + variable.first_step, sample, neuron)
