"""The network description, frozen and validated: populations, projections, delays, traces - the contract of back ends.

One step ``t`` of population q, in its own time (step 0 is the first at which it acts):

1. arrive      i = sum over projections p->q of weight * s_p[t - lag]          (fixed point: then arithmetic.arrive)
2. normalise   i <- gain[t] * i + offset[t]                                    (optional)
3. integrate, fire, reset                                                      (neuron.py)
4. trace       only at a spike                                                 (trace.py)

**Time.** A projection's delay is given in steps of global time. `onset` is the global step at which a population
starts: by default the earliest at which input can reach it, so that layer L of a chain with delay 1 starts at step L
and is still until then. Every population then runs for exactly as many steps as there is input, and a recording is in
the population's own time. What remains of a delay is the lag,

    lag(p->q) = onset(p) + delay - onset(q)  >= 0,

0 along a chain, more on a path that waits for a longer one. With ``onset=0`` everywhere, own time is global time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from neurosam._util.arguments import identical, integer
from neurosam.errors import NetworkError
from neurosam.network.neuron import LIF, FixedLIF, FixedReadout, Neuron, Readout
from neurosam.network.precision import Precision
from neurosam.network.synapse import Conv2d, Shape, SumPool2d, Synapse, neurons, picture
from neurosam.network.trace import FixedSamTrace, SamTrace

__all__ = ["Network", "Population", "Projection", "max_pool"]

MAX_SIZE = 2**31 - 1
MAX_DELAY = 2**16
MAX_NAME = 64


@dataclass(frozen=True, eq=False)
class Population:
    """Neurons that share a shape and parameters.

    Parameters
    ----------
    name : str
        Letters, digits and ``_ - .``; at most 64.
    shape : tuple of int
        ``(C, H, W)``, or ``(N,)``.
    neuron : LIF, Readout, FixedLIF or FixedReadout, optional
        None for the input.
    onset : int, optional
        Global step at which it starts; the earliest at which input can arrive if None.
    magnitude : int
        Input only: largest ``|value|`` of an event (1 for spikes, also signed ones); bounds the accumulators.
    """

    name: str
    shape: Shape
    neuron: Neuron | None = None
    onset: int | None = None
    magnitude: int = 1

    def __post_init__(self) -> None:
        if not 0 < len(self.name) <= MAX_NAME or not _plain(self.name):
            raise NetworkError(
                "population", f"got name {self.name!r}; 1..{MAX_NAME} letters, digits, _ - . are allowed"
            )
        where = f"population {self.name!r}"
        sides = tuple(self.shape)
        if len(sides) not in (1, 3):
            raise NetworkError(where, f"got shape {self.shape}; (C, H, W) or (N,) is required")
        shape = tuple(integer(f"{where}: shape", side, 1, MAX_SIZE) for side in sides)
        if neurons(shape) > MAX_SIZE:
            raise NetworkError(where, f"got {neurons(shape)} neurons; at most {MAX_SIZE} are allowed")
        object.__setattr__(self, "shape", shape)
        if self.onset is not None:
            object.__setattr__(self, "onset", integer(f"{where}: onset", self.onset, 0, MAX_DELAY))
        object.__setattr__(self, "magnitude", integer(f"{where}: magnitude", self.magnitude, 1, 2**23 - 1))
        if self.neuron is None:
            return
        if self.magnitude != 1:
            raise NetworkError(where, f"got magnitude {self.magnitude}; it belongs to the input population")
        for parameter in self.neuron.__dataclass_fields__:
            value = getattr(self.neuron, parameter)
            if isinstance(value, np.ndarray) and value.ndim and value.shape[-1] not in (1, shape[0]):
                raise NetworkError(
                    f"{where}: {parameter}",
                    f"got {value.shape[-1]} values for {shape[0]} channels; one each, or a single one",
                )

    @property
    def fires(self) -> bool:
        """Whether it emits spikes or events (inputs do; readouts do not)."""
        return not isinstance(self.neuron, (Readout, FixedReadout))


@dataclass(frozen=True, eq=False)
class Projection:
    """Synapses from one population to another.

    Parameters
    ----------
    source, target : str
        Population names.
    synapse : Dense, Conv2d or Sparse
    delay : int
        Steps of global time, >= 0 (Loihi and Lava: 1); 0 only along acyclic paths.
    pool : SumPool2d, optional
        Gives each spike its window's address first.
    exponent : int
        Fixed point: the projection's sum is multiplied by ``2^exponent`` (floored), -8..7.
    """

    source: str
    target: str
    synapse: Synapse
    delay: int = 1
    pool: SumPool2d | None = None
    exponent: int = 0

    def __post_init__(self) -> None:
        delay = integer(f"projection {self.label}: delay", self.delay, 0, MAX_DELAY)
        exponent = integer(f"projection {self.label}: exponent", self.exponent, -8, 7)
        object.__setattr__(self, "delay", delay)
        object.__setattr__(self, "exponent", exponent)

    @property
    def label(self) -> str:
        """``source->target``."""
        return f"{self.source}->{self.target}"

    @property
    def integral(self) -> bool:
        """Whether its weights are integer mantissas."""
        return self.synapse.weight.dtype == np.int8


@dataclass(frozen=True, eq=False)
class Network:
    """A spiking network, ready for any back end.

    Parameters
    ----------
    populations : sequence of Population
        One input; names are unique.
    projections : sequence of Projection
    sam : mapping of str to SamTrace or FixedSamTrace
        Traces by population.
    precision : Precision, optional
        Fixed point; None for float64. A network of fixed neurons without one gets ``Precision.lava()``.
    output : str, optional
        Population whose membrane (readout) or spike counts are the answer; the last one if None.
    metadata : mapping of str to str
        Free text that travels with the file (class names, provenance); no meaning to a back end.

    Raises
    ------
    NetworkError
        For anything that no back end could run: names, shapes, cycles without delay, mixed precision, accumulators.
    """

    populations: Sequence[Population]
    projections: Sequence[Projection]
    sam: Mapping[str, SamTrace | FixedSamTrace] = field(default_factory=dict)
    precision: Precision | None = None
    output: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        from neurosam.network.validation import validate

        set_ = object.__setattr__
        set_(self, "populations", tuple(self.populations))
        set_(self, "projections", tuple(self.projections))
        set_(self, "sam", dict(self.sam))
        set_(self, "metadata", {str(key): str(value) for key, value in dict(self.metadata).items()})
        if self.precision is None and any(isinstance(p.neuron, (FixedLIF, FixedReadout)) for p in self.populations):
            set_(self, "precision", Precision.lava())
        if self.output is None and self.populations:
            set_(self, "output", self.populations[-1].name)
        validate(self)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Network) and identical(self, other)

    def __hash__(self) -> int:
        return hash(tuple(p.name for p in self.populations))

    def __getitem__(self, name: str) -> Population:
        """The population called `name`."""
        try:
            return self._by_name[name]
        except KeyError:
            known = ", ".join(self._by_name)
            raise NetworkError(f"population {name!r}", f"is not in the network; it has {known}") from None

    @cached_property
    def _by_name(self) -> dict[str, Population]:
        return {population.name: population for population in self.populations}

    @property
    def input(self) -> Population:
        """The input population."""
        return next(p for p in self.populations if p.neuron is None)

    @property
    def readout(self) -> Population:
        """The population that `output` names."""
        return self[self.output or ""]

    @property
    def fixed(self) -> bool:
        """Whether it computes in integers."""
        return self.precision is not None

    def incoming(self, name: str) -> tuple[Projection, ...]:
        """Projections into a population, in their order."""
        return tuple(p for p in self.projections if p.target == name)

    @cached_property
    def onsets(self) -> dict[str, int]:
        """Global step at which each population starts."""
        from neurosam.network.schedule import onsets

        return onsets(self)

    @cached_property
    def groups(self) -> tuple[tuple[str, ...], ...]:
        """Populations in order of evaluation; members of one group depend on each other and advance step by step."""
        from neurosam.network.schedule import groups

        return groups(self)

    def lag(self, projection: Projection) -> int:
        """Steps between a source's own time and the target's."""
        return self.onsets[projection.source] + projection.delay - self.onsets[projection.target]

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
            Longest run, for a gamma that hardly fades (see :meth:`SamTrace.quantise`).
        """
        trace = SamTrace() if trace is None else trace
        names = [p.name for p in self.populations if isinstance(p.neuron, (LIF, FixedLIF))]
        sam: dict[str, SamTrace | FixedSamTrace] = dict(self.sam)
        for name in names if populations is None else populations:
            sam[name] = trace.quantise(picture(self[name].shape)[0], steps) if self.fixed else trace
        return replace(self, sam=sam)

    def save(self, path: str | Path) -> None:
        """Write the network to an HDF5 file, atomically (format: FORMAT.md)."""
        from neurosam.hdf5 import save_network

        save_network(self, path)


def max_pool(
    source: Population,
    name: str,
    kernel: int | tuple[int, int],
    stride: int | tuple[int, int] | None = None,
    *,
    fixed: bool,
    delay: int = 1,
) -> tuple[Population, Projection]:
    """Max pooling of spikes as a chip needs it: one OR neuron a window, which fires if any spike arrives.

    Parameters
    ----------
    source : Population
        A picture ``(C, H, W)``.
    name : str
        Name of the new population.
    kernel, stride : int or (int, int)
        Window; `stride` is the kernel if None.
    fixed : bool
        Integer neurons for a fixed-point network (with the `lava` or `nxsdk` membrane offset 0).
    delay : int
        Steps of the projection.
    """
    pool = SumPool2d(kernel, stride)
    channels = source.shape[0]
    weight = np.ones((channels, 1, *pool.geometry[0]), dtype=np.int8 if fixed else np.float64)
    synapse = Conv2d(weight * weight.dtype.type(2 if fixed else 1), stride=pool.geometry[1], groups=channels)
    neuron: Neuron = (
        FixedLIF(membrane_decay=4096, threshold=1, reset="zero")
        if fixed
        else LIF(leak=0.0, threshold=0.5, reset="zero")
    )
    population = Population(name, synapse.output_shape(source.shape), neuron)
    return population, Projection(source.name, name, synapse, delay=delay)


def _plain(name: str) -> bool:
    return all(c.isascii() and (c.isalnum() or c in "_-.") for c in name) and name not in (".", "..")
