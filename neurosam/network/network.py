"""The network description, frozen and validated: populations, projections, delays, traces - the contract of back ends.

One step ``t`` of population q, in its own time (step 0 is the first at which it acts):

1. arrive      i = sum over projections p->q of weight * s_p[t - lag]
   pool        i <- the largest of each window                                 (optional: Population.pool)
   scale       fixed point: arithmetic.arrive
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

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import InitVar, dataclass, field, replace
from functools import cached_property
from pathlib import Path

from neurosam._util.arguments import identical
from neurosam._util.describing import some_lines, to_html
from neurosam._util.saving import save
from neurosam.errors import AlignmentWarning, NetworkError
from neurosam.network import schedule
from neurosam.network.alignment import alignment_warning
from neurosam.network.elements import Population, PopulationsByName, Projection
from neurosam.network.expand import split
from neurosam.network.fixed_neuron import FixedLIF, FixedReadout
from neurosam.network.neuron import LIF
from neurosam.network.precision import Precision
from neurosam.network.silent_path import silent_paths
from neurosam.network.synapse import Shape, as_chw, neurons
from neurosam.network.trace import FixedSamTrace, SamTrace
from neurosam.network.validation import accumulator_bound, answers, drive_shape, validate

__all__ = ["Network"]


@dataclass(frozen=True, eq=False)
class Network:
    """A spiking network, ready for any back end.

    Parameters
    ----------
    populations : sequence of Population
        At least one input; names are unique.
    projections : sequence of Projection
        Those with a delay per synapse or with integer weights beyond 8 bits are split (expand.py): ``projections`` then
        holds the parts. A population that no input reaches and that acts by a bias, an offset or the state it starts
        in gets a projection without synapses (silent_path.py).
    sam : mapping of str to SamTrace or FixedSamTrace
        Traces by population.
    precision : Precision, optional
        Of a fixed-point network; None for a float one. Fixed neurons without a precision get ``Precision.lava()``.
    outputs : str, sequence of str, or mapping of str to str, optional
        Populations that give the result, the last one if None, each with its answer over time: "last", "mean" or "max"
        of its membrane, or "count" of its spikes. By default "last" for a readout, "count" for what fires.
    metadata : mapping of str to str
        Free text that is stored with the network (class names, provenance); ignored by back ends.
    check_alignment : bool
        Whether to warn where paths of different length meet. Networks made from this one (``dataclasses.replace``) and
        loaded ones do not warn.

    Warns
    -----
    AlignmentWarning
        If paths of different length meet in a population without an onset of its own (alignment.py).

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
    >>> net.fixed, net.answers, net.onsets
    (False, {'out': 'last'}, {'in': 0, 'hidden': 1, 'out': 2})
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
    outputs: str | Sequence[str] | Mapping[str, str] | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    check_alignment: InitVar[bool] = True

    def __post_init__(self, check_alignment: bool) -> None:
        set_ = object.__setattr__
        set_(self, "check_alignment", False)  # replace() hands this on
        set_(self, "populations", tuple(self.populations))
        parts = tuple(part for p in self.projections for part in split(p))
        set_(self, "projections", (*parts, *silent_paths(self.populations, parts)))
        set_(self, "sam", dict(self.sam))
        set_(self, "metadata", {str(key): str(value) for key, value in dict(self.metadata).items()})
        if self.precision is None and any(isinstance(p.neuron, (FixedLIF, FixedReadout)) for p in self.populations):
            set_(self, "precision", Precision.lava())
        set_(self, "outputs", answers(self.populations, self.outputs))
        validate(self.populations, self.projections, self.sam, self.precision, self.answers)
        _ = self.onsets, self.groups
        if self.fixed:
            for population in self.populations:
                self.accumulator_bound(population.name)
        if check_alignment and (warning := alignment_warning(self.populations, self.projections, self.groups)):
            warnings.warn(warning, AlignmentWarning, stacklevel=3)

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

    @cached_property
    def inputs(self) -> tuple[Population, ...]:
        """The input populations, in order."""
        return tuple(p for p in self.populations if p.neuron is None)

    @property
    def input(self) -> Population:
        """The input population of a network that has one.

        Raises
        ------
        NetworkError
            If there are several.
        """
        first, *others = self.inputs
        if others:
            names = ", ".join(repr(p.name) for p in self.inputs)
            raise NetworkError("network", f"has the inputs {names}; this works for networks with a single input")
        return first

    @cached_property
    def tabled(self) -> tuple[Population, ...]:
        """The populations with gain and offset tables."""
        return tuple(p for p in self.populations if isinstance(p.neuron, (LIF, FixedLIF)) and p.neuron.gain is not None)

    @cached_property
    def answers(self) -> dict[str, str]:
        """The answer of each output population, in order: "last", "mean", "max" or "count"."""
        return dict(self.outputs)  # type: ignore[arg-type]  # canonical after __post_init__

    @property
    def output(self) -> str:
        """Name of the (first) output population."""
        return next(iter(self.answers))

    @property
    def readout(self) -> Population:
        """The (first) output population."""
        return self[self.output]

    @property
    def fixed(self) -> bool:
        """Whether it is a fixed-point network, computed in integers."""
        return self.precision is not None

    def __repr__(self) -> str:
        number = self.precision
        kind = "float" if number is None else f"fixed point ({number.name}, {number.weight_bits} bits)"
        size = sum(neurons(p.shape) for p in self.populations if p.neuron is not None)
        synapses = sum(p.synapse.weight.size for p in self.projections)
        head = f"Network: {kind}; {size:,} neurons, {synapses:,} weights; answers {', '.join(self.answers)}"
        return some_lines(head, [*map(repr, self.populations), *(p.text for p in self.projections)])

    def _repr_html_(self) -> str:
        return to_html(self)

    def incoming(self, name: str) -> tuple[Projection, ...]:
        """Projections into a population, in the order of `projections`."""
        return self._incoming.get(name, ())

    def outgoing(self, name: str) -> tuple[Projection, ...]:
        """Projections out of a population, in the order of `projections`."""
        return self._outgoing.get(name, ())

    @cached_property
    def _incoming(self) -> dict[str, tuple[Projection, ...]]:
        return _grouped((p.target, p) for p in self.projections)

    @cached_property
    def _outgoing(self) -> dict[str, tuple[Projection, ...]]:
        return _grouped((p.source, p) for p in self.projections)

    def drive_shape(self, name: str) -> Shape:
        """Shape of the sums that arrive at a population: its own, or what its pool takes."""
        return drive_shape(self._by_name, self[name], self.incoming(name))

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
            population = self[name]
            channels, spikes = as_chw(population.shape)[0], population.largest_event
            sam[name] = trace.quantise(channels, steps, spikes) if self.fixed else trace
        return replace(self, sam=sam)

    def save(self, path: str | Path) -> None:
        """Write the network to an HDF5 file, atomically (format: FORMAT.md)."""
        save(self, path)


def _grouped(pairs: Iterable[tuple[str, Projection]]) -> dict[str, tuple[Projection, ...]]:
    """Projections by a name."""
    found: dict[str, list[Projection]] = {}
    for name, projection in pairs:
        found.setdefault(name, []).append(projection)
    return {name: tuple(held) for name, held in found.items()}
