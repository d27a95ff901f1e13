"""Populations and projections: the parts of a network, each checked by itself at construction."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from neurosam._util.arguments import integer, integers
from neurosam._util.describing import field_texts, one_line
from neurosam.errors import NetworkError
from neurosam.network.fixed_neuron import FixedLIF, FixedReadout, Neuron
from neurosam.network.neuron import LIF, Readout
from neurosam.network.synapse import Conv2d, MaxPool2d, Shape, SumPool2d, Synapse, neurons

__all__ = [
    "MAX_DELAY",
    "MAX_EXPONENT",
    "MAX_NAME",
    "MAX_SIZE",
    "MIN_EXPONENT",
    "MaxPool",
    "Population",
    "PopulationsByName",
    "Projection",
    "max_pool",
]

MAX_SIZE = 2**31 - 1
MAX_DELAY = 2**16
MAX_NAME = 64
MIN_EXPONENT, MAX_EXPONENT = -8, 7


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
        Input only: largest ``|value|`` of an event (1 for spikes, signed ones too); bounds the accumulators.
    pool : MaxPool2d, optional
        Not for an input: a neuron integrates the largest of the sums in its window, in place of one sum. Projections
        then deliver the shape in front of the pool, whose output is `shape`.

    Raises
    ------
    NetworkError
        For a name, shape, onset or magnitude outside its range, or parameters that do not fit the channels.

    Examples
    --------
    >>> ns.Population("in", shape=(1, 28, 28)).fires
    True
    >>> ns.Population("conv1", shape=(8, 24, 24), neuron=ns.LIF(leak=0.9, threshold=1.0)).has_current
    False
    >>> ns.Population("out", shape=(10,), neuron=ns.Readout()).fires
    False

    Neurons behind a pooled convolution, ``lif(max_pool2d(conv(x), 2))`` in torch:

    >>> neuron = ns.LIF(leak=0.9, threshold=1.0)
    >>> ns.Population("conv1", shape=(8, 12, 12), neuron=neuron, pool=ns.MaxPool2d(2)).pool.kernel
    (2, 2)
    """

    name: str
    shape: Shape
    neuron: Neuron | None = None
    onset: int | None = None
    magnitude: int = 1
    pool: MaxPool2d | None = None

    def __post_init__(self) -> None:
        if not 0 < len(self.name) <= MAX_NAME or not _is_allowed(self.name):
            raise NetworkError(
                "population", f"got name {self.name!r}; 1..{MAX_NAME} letters, digits, _ - . are allowed"
            )
        where = f"population {self.name!r}"
        sides = tuple(self.shape)
        if len(sides) not in (1, 3):
            remedy = f"; a picture of one channel is (1, {sides[0]}, {sides[1]})" if len(sides) == 2 else ""
            raise NetworkError(where, f"got shape {self.shape}; (C, H, W) or (N,) is required{remedy}")
        shape = tuple(integer(f"{where}: shape", side, 1, MAX_SIZE) for side in sides)
        if neurons(shape) > MAX_SIZE:
            raise NetworkError(where, f"got {neurons(shape)} neurons; at most {MAX_SIZE} are allowed")
        object.__setattr__(self, "shape", shape)
        if self.onset is not None:
            object.__setattr__(self, "onset", integer(f"{where}: onset", self.onset, 0, MAX_DELAY))
        object.__setattr__(self, "magnitude", integer(f"{where}: magnitude", self.magnitude, 1, 2**23 - 1))
        if self.pool is not None:
            _check_pool(where, self)
        if self.neuron is None:
            return
        if self.magnitude != 1:
            raise NetworkError(where, f"got magnitude {self.magnitude}; it belongs to the input population")
        for parameter in self.neuron.__dataclass_fields__:
            value = getattr(self.neuron, parameter)
            if isinstance(value, np.ndarray) and value.ndim:
                _fits(f"{where}: {parameter}", value, shape)

    @property
    def fires(self) -> bool:
        """Whether it emits spikes or events: an input does, a readout does not."""
        return not isinstance(self.neuron, (Readout, FixedReadout))

    @property
    def has_current(self) -> bool:
        """Whether its neurons have a synaptic current in addition to the membrane."""
        if isinstance(self.neuron, (LIF, Readout)):
            return self.neuron.current_leak is not None
        return self.neuron is not None and self.neuron.current_decay is not None

    @property
    def largest_event(self) -> int:
        """Largest ``|value|`` of an event that it sends: `magnitude` of an input, else the most spikes per step."""
        return self.neuron.max_spikes if isinstance(self.neuron, (LIF, FixedLIF)) else self.magnitude

    def __repr__(self) -> str:
        rest = field_texts(self, hide=("name", "shape", "neuron", "magnitude" if self.neuron is not None else ""))
        parts = [repr(self.name), repr(self.shape), *([] if self.neuron is None else [repr(self.neuron)])]
        return f"Population({', '.join([*parts, *(f'{name}={text}' for name, text in rest.items())])})"


class PopulationsByName(dict[str, Population]):
    """Populations by name; a missing name raises :class:`NetworkError`."""

    def __init__(self, populations: Iterable[Population]) -> None:
        super().__init__((population.name, population) for population in populations)

    def __missing__(self, name: str) -> Population:
        raise NetworkError(f"population {name!r}", f"is not in the network; it has {', '.join(self)}")


@dataclass(frozen=True, eq=False)
class Projection:
    """Synapses from one population to another.

    Parameters
    ----------
    source, target : str
        Population names.
    synapse : Dense, Conv2d or Sparse
    delay : int or int array
        Steps of global time, >= 0 (Loihi and Lava: 1); 0 only along acyclic paths. An array of the weight's shape gives
        each synapse its own; a network splits such a projection (expand.py).
    pool : SumPool2d, optional
        Pooling in front of the synapses: each spike gets the address of its window.
    exponent : int
        Fixed point: the projection's sum is multiplied by ``2^exponent`` (floored), -8..7.

    Examples
    --------
    >>> ns.Projection("in", "out", ns.Dense([[0.5, -0.25]])).label
    'in->out'
    >>> ns.Projection("in", "out", ns.Dense([[64, -32]]), exponent=1).integral
    True
    """

    source: str
    target: str
    synapse: Synapse
    delay: Any = 1
    pool: SumPool2d | None = None
    exponent: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "delay", _delay(f"projection {self.label}: delay", self.delay, self.synapse))
        exponent = integer(f"projection {self.label}: exponent", self.exponent, MIN_EXPONENT, MAX_EXPONENT)
        object.__setattr__(self, "exponent", exponent)

    @property
    def label(self) -> str:
        """``source->target``."""
        return f"{self.source}->{self.target}"

    @property
    def integral(self) -> bool:
        """Whether its weights are integer mantissas."""
        return self.synapse.weight.dtype.kind == "i"

    @property
    def text(self) -> str:
        """``source->target`` and the synapse in a line."""
        rest = {name: text for name, text in field_texts(self).items() if name not in ("source", "target", "synapse")}
        return ", ".join([f"{self.label}: {self.synapse!r}", *(f"{name} {text}" for name, text in rest.items())])

    def __repr__(self) -> str:
        return one_line(self)


class MaxPool(NamedTuple):
    """What :func:`max_pool` adds to a network."""

    population: Population
    projection: Projection


def max_pool(
    source: Population,
    name: str,
    kernel: int | tuple[int, int],
    stride: int | tuple[int, int] | None = None,
    padding: int | tuple[int, int] = 0,
    *,
    fixed: bool,
    delay: int = 1,
    decay_offset: int = 0,
) -> MaxPool:
    """Max pooling of spikes as a chip does it: one OR neuron per window, which fires if any spike arrives.

    Parameters
    ----------
    source : Population
        Of shape ``(C, H, W)``.
    name : str
        Name of the new population.
    kernel, stride : int or (int, int)
        Window; `stride` is the kernel if None.
    padding : int or (int, int)
        Border without spikes, smaller than the kernel.
    fixed : bool
        Integer neurons, for a fixed-point network.
    delay : int
        Of the projection, in steps.
    decay_offset : int
        The ``membrane_decay_offset`` of the fixed-point network's precision: 0 for `lava` and `nxsdk`.

    Returns
    -------
    MaxPool
        The new population and the projection that leads to it.

    Examples
    --------
    >>> conv = ns.Population("conv", (8, 24, 24), ns.LIF(leak=0.9, threshold=1.0))
    >>> pool = ns.max_pool(conv, "pool", 2, fixed=False)
    >>> pool.population.shape, pool.projection.label
    ((8, 12, 12), 'conv->pool')
    """
    pool = SumPool2d(kernel, stride, padding)
    channels = source.shape[0]
    weight = np.ones((channels, 1, *pool.geometry[0]), dtype=np.int8 if fixed else np.float64)
    _, strides, border = pool.geometry
    synapse = Conv2d(weight, strides, border, groups=channels)
    neuron: Neuron = (
        FixedLIF(membrane_decay=4096 - decay_offset, threshold=1, reset="zero")
        if fixed
        else LIF(leak=0.0, threshold=0.5, reset="zero")
    )
    population = Population(name, synapse.output_shape(source.shape), neuron)
    # A weight of 1 exists at every width; its exponent lifts it above the threshold of 1.
    return MaxPool(population, Projection(source.name, name, synapse, delay=delay, exponent=1 if fixed else 0))


def _check_pool(where: str, population: Population) -> None:
    """Refuse a pool of a wrong kind, or where there is nothing to pool; the network checks its shapes."""
    if not isinstance(population.pool, MaxPool2d):
        raise NetworkError(f"{where}: pool", f"got a {type(population.pool).__name__}; MaxPool2d is required")
    if population.neuron is None:
        raise NetworkError(f"{where}: pool", "belongs to neurons, and an input has none; use max_pool for its spikes")
    if len(population.shape) != 3:
        raise NetworkError(f"{where}: pool", f"gives (C, H, W); the population has shape {population.shape}")


def _fits(where: str, value: np.ndarray[Any, Any], shape: Shape) -> None:
    """Refuse a parameter that is neither by channel nor by neuron; the last axis of a table is channels."""
    if value.ndim == 3:
        if value.shape != shape:
            raise NetworkError(where, f"got values of shape {value.shape}; the population has {shape}")
    elif value.shape[-1] not in (1, shape[0]):
        raise NetworkError(where, f"got {value.shape[-1]} values for {shape[0]} channels; one each, or a single one")


def _delay(where: str, delay: Any, synapse: Synapse) -> Any:
    """One delay, or one per synapse where they differ."""
    if np.ndim(delay) == 0:
        return integer(where, delay, 0, MAX_DELAY)
    array = integers(where, delay, low=0, high=MAX_DELAY, ndim=(synapse.weight.ndim,))
    if array.shape != synapse.weight.shape:
        raise NetworkError(where, f"has shape {array.shape}; the weights have {synapse.weight.shape}")
    if not array.size:  # no synapses: a projection all the same
        return 1
    return int(array.flat[0]) if (array == array.flat[0]).all() else array


def _is_allowed(name: str) -> bool:
    return all(c.isascii() and (c.isalnum() or c in "_-.") for c in name) and name not in (".", "..")
