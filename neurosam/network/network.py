"""The network description, frozen and validated: populations, projections, delays, traces - the contract of back ends.

One step ``t`` of population q, in its own time (step 0 is the first at which it acts):

1. arrive      i = sum over projections p->q of weight * s_p[t - lag]          (fixed point: then arithmetic.arrive)
2. normalise   i <- gain[t] * i + offset[t]                                    (optional)
3. integrate, fire, reset                                                      (neuron.py)
4. trace       only at a spike                                                 (trace.py)

**Time.** A projection's delay is given in steps of global time. `onset` is the global step at which a population
starts: by default the earliest at which input can reach it, so that layer L of a chain with delay 1 starts at step L
and does nothing until then. Every population runs for as many steps as the input has, and is recorded in its own time.
What remains of a delay is the lag,

    lag(p->q) = onset(p) + delay - onset(q)  >= 0,

which is 0 along a chain, and more on a path that waits for a longer one. With ``onset=0`` everywhere, own time is
global time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from neurosam._util.arguments import identical
from neurosam._util.saving import save
from neurosam.network import schedule
from neurosam.network.elements import Population, PopulationsByName, Projection
from neurosam.network.neuron import LIF, FixedLIF, FixedReadout
from neurosam.network.precision import Precision
from neurosam.network.synapse import as_chw
from neurosam.network.trace import FixedSamTrace, SamTrace
from neurosam.network.validation import accumulator_bound, validate

__all__ = ["Network"]


@dataclass(frozen=True, eq=False)
class Network:
    """A spiking network, ready for any back end.

    Parameters
    ----------
    populations : sequence of Population
        Exactly one input; names are unique.
    projections : sequence of Projection
    sam : mapping of str to SamTrace or FixedSamTrace
        Traces by population.
    precision : Precision, optional
        Of a fixed-point network; None for a float one. Fixed neurons without a precision get ``Precision.lava()``.
    output : str, optional
        Population whose membrane (of a readout) or spike counts are the result; the last one if None.
    metadata : mapping of str to str
        Free text that is stored with the network (class names, provenance); ignored by back ends.

    Raises
    ------
    NetworkError
        For anything that no back end could run: names, shapes, cycles without delay, mixed precision, accumulators
        that could overflow.

    Examples
    --------
    >>> net = ns.Network(
    ...     populations=[
    ...         ns.Population("in", shape=(4,)),
    ...         ns.Population("hidden", shape=(3,), neuron=ns.LIF(leak=0.5, threshold=1.0)),
    ...         ns.Population("out", shape=(2,), neuron=ns.Readout()),
    ...     ],
    ...     projections=[
    ...         ns.Projection("in", "hidden", ns.Dense(np.full((3, 4), 0.75))),
    ...         ns.Projection("hidden", "out", ns.Dense([[1.0, 0.0, -1.0], [0.0, 1.0, 1.0]])),
    ...     ],
    ... )
    >>> net.fixed, net.output, net.onsets
    (False, 'out', {'in': 0, 'hidden': 1, 'out': 2})
    >>> spikes = ns.Events.from_dense(np.ones((5, 1, 4)))  # all four inputs spike in each of five steps
    >>> ns.run(net, spikes, backend="reference").output
    array([[ 0., 10.]])
    >>> net.with_sam().sam
    {'hidden': SamTrace(gamma=0.5, mode='strict')}
    """

    populations: Sequence[Population]
    projections: Sequence[Projection]
    sam: Mapping[str, SamTrace | FixedSamTrace] = field(default_factory=dict)
    precision: Precision | None = None
    output: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        set_ = object.__setattr__
        set_(self, "populations", tuple(self.populations))
        set_(self, "projections", tuple(self.projections))
        set_(self, "sam", dict(self.sam))
        set_(self, "metadata", {str(key): str(value) for key, value in dict(self.metadata).items()})
        if self.precision is None and any(isinstance(p.neuron, (FixedLIF, FixedReadout)) for p in self.populations):
            set_(self, "precision", Precision.lava())
        if self.output is None and self.populations:
            set_(self, "output", self.populations[-1].name)
        validate(self.populations, self.projections, self.sam, self.precision, self.output)
        _ = self.onsets, self.groups
        if self.fixed:
            for population in self.populations:
                self.accumulator_bound(population.name)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Network) and identical(self, other)

    def __hash__(self) -> int:
        return hash(tuple(p.name for p in self.populations))

    def __getitem__(self, name: str) -> Population:
        """The population called `name`."""
        return self._by_name[name]

    @cached_property
    def _by_name(self) -> PopulationsByName:
        return PopulationsByName(self.populations)

    @property
    def input(self) -> Population:
        """The input population."""
        return next(p for p in self.populations if p.neuron is None)

    @property
    def readout(self) -> Population:
        """The population that `output` names, whose membrane or spike counts are the result."""
        return self[self.output or ""]

    @property
    def fixed(self) -> bool:
        """Whether it is a fixed-point network, computed in integers."""
        return self.precision is not None

    def incoming(self, name: str) -> tuple[Projection, ...]:
        """Projections into a population, in the order of `projections`."""
        return tuple(p for p in self.projections if p.target == name)

    @cached_property
    def onsets(self) -> dict[str, int]:
        """Global step at which each population starts."""
        return schedule.onsets(self.populations, self.projections)

    @cached_property
    def groups(self) -> tuple[tuple[str, ...], ...]:
        """Populations in order of evaluation; those of one group depend on each other and advance step by step."""
        return schedule.groups(self.populations, self.projections, self.onsets)

    def lag(self, projection: Projection) -> int:
        """Steps between a source's own time and the target's."""
        return schedule.lag(projection, self.onsets)

    def accumulator_bound(self, name: str, projections: Iterable[Projection] | None = None) -> int:
        """Largest magnitude that any neuron of a population can receive in one step, proven from the weights.

        Parameters
        ----------
        name : str
        projections : iterable of Projection, optional
            Used instead of the population's own, for projections that have yet to replace them.

        Raises
        ------
        NetworkError
            If the sum of one step could exceed the 32 bits in which Lava and the back ends add.
        """
        return accumulator_bound(self._by_name, self.incoming(name) if projections is None else projections)

    def with_sam(
        self, trace: SamTrace | None = None, populations: Iterable[str] | None = None, steps: int | None = None
    ) -> Network:
        """The same network with SAM traces on `populations` (every spiking one if None), quantised where it is fixed.

        Parameters
        ----------
        trace : SamTrace, optional
            ``SamTrace(gamma=0.5, mode="strict")`` if None.
        populations : iterable of str, optional
        steps : int, optional
            Length of the longest run; required where gamma is very small (see :meth:`SamTrace.quantise`).
        """
        trace = SamTrace() if trace is None else trace
        names = [p.name for p in self.populations if isinstance(p.neuron, (LIF, FixedLIF))]
        sam: dict[str, SamTrace | FixedSamTrace] = dict(self.sam)
        for name in names if populations is None else populations:
            sam[name] = trace.quantise(as_chw(self[name].shape)[0], steps) if self.fixed else trace
        return replace(self, sam=sam)

    def save(self, path: str | Path) -> None:
        """Write the network to an HDF5 file, atomically (format: FORMAT.md)."""
        save(self, path)
