"""What to keep of a run (:class:`Record`), and what came back (:class:`Recording`).

The request is a value and the answer is a value. Everything is in a population's own time (network.py): T steps each,
step 0 the first at which it acts. Spikes are kept as bit planes ``[T, B, H, W, words]``: channel c is bit ``c % 64``
of word ``c // 64``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from neurosam._util.arguments import identical
from neurosam._util.saving import save
from neurosam.network.network import Network
from neurosam.network.synapse import Shape, as_chw
from neurosam.signals.events import Events

__all__ = ["Extents", "Record", "Recording", "Spikes", "Target", "arranged", "extents", "words"]

Extents = Mapping[tuple[str, str], tuple[Shape, np.dtype[Any]]]
"""Shape and type of recorded arrays, by variable and population."""


def words(channels: int) -> int:
    """64-bit words that hold one bit a channel."""
    return (channels + 63) // 64


@dataclass(frozen=True)
class Record:
    """Which populations to record, variable by variable.

    Parameters
    ----------
    spikes : tuple of str
        Spikes (bit planes).
    sam : tuple of str
        Spike activation maps; the population needs a trace (Network.sam).
    membrane : tuple of str
        Membrane after the reset of each step.
    current : tuple of str
        Synaptic current after each step; for neurons that have one.
    """

    spikes: tuple[str, ...] = ()
    sam: tuple[str, ...] = ()
    membrane: tuple[str, ...] = ()
    current: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in self.__dataclass_fields__:
            value = getattr(self, name)
            object.__setattr__(self, name, (value,) if isinstance(value, str) else tuple(value))

    @classmethod
    def everything(cls, network: Network) -> Record:
        """All spikes, traces, membranes and currents that the network has."""
        populations = [p for p in network.populations if p.neuron is not None]
        return cls(
            spikes=tuple(p.name for p in populations if p.fires),
            sam=tuple(network.sam),
            membrane=tuple(p.name for p in populations),
            current=tuple(p.name for p in populations if p.has_current),
        )


@dataclass(frozen=True, eq=False)
class Spikes:
    """Spikes of one population.

    Parameters
    ----------
    planes : (T, B, H, W, words) uint64 array
        Bit planes, channels last.
    shape : tuple of int
        Shape of the population.
    """

    planes: npt.NDArray[np.uint64]
    shape: Shape

    @classmethod
    def from_dense(cls, x: npt.ArrayLike) -> Spikes:
        """From 0/1 values ``[T, B, C, H, W]`` or ``[T, B, N]``."""
        array = np.asarray(x)
        shape = tuple(int(side) for side in array.shape[2:])
        channels, height, width = as_chw(shape)
        flat = array.reshape(*array.shape[:2], channels, height, width).astype(bool)
        bits = np.zeros((*array.shape[:2], height, width, words(channels) * 64), dtype=np.uint8)
        bits[..., :channels] = np.moveaxis(flat, 2, -1)
        packed = np.packbits(bits, axis=-1, bitorder="little")
        return cls(packed.view("<u8").astype(np.uint64), shape)

    def dense(self) -> npt.NDArray[np.uint8]:
        """``uint8 [T, B, *shape]``."""
        channels = as_chw(self.shape)[0]
        steps, samples = self.planes.shape[:2]
        octets = np.ascontiguousarray(self.planes.astype("<u8")).view(np.uint8)
        bits = np.unpackbits(octets, axis=-1, count=channels, bitorder="little")
        return np.ascontiguousarray(np.moveaxis(bits, -1, 2)).reshape(steps, samples, *self.shape)

    def events(self) -> Events:
        """The same spikes as events."""
        return Events.from_dense(self.dense())

    def count(self) -> int:
        """Number of spikes."""
        return int(np.bitwise_count(self.planes).sum())


@dataclass(frozen=True, eq=False)
class Recording:
    """Result of a run of T steps over B samples.

    Attributes
    ----------
    backend : str
        Name of the back end that made it.
    steps, samples : int
        T and B.
    output : (B, classes) array
        Membrane of the readout after the last step (float64, or int32 in membrane units), or the spike counts of an
        output population that fires.
    spikes : mapping of str to Spikes
    sam : mapping of str to (T, B, H, W) array
        float64, or int32 for a fixed-point network.
    sam_scale : mapping of str to float
        Divide a map by it to have it in the float trace's unit (1 for a float network).
    membrane, current : mapping of str to (T, B, *shape) array
        float64, or int32 in membrane units.
    counts : mapping of str to (T, B) int64 array
        Spikes of every firing population (and events of the input) in each step.
    operations : mapping of str to int
        Synaptic operations (weights added) by projection label, where the back end counts them.
    time_s : float
        Wall-clock seconds of the run, without compilation where the back end can tell.
    """

    backend: str
    steps: int
    samples: int
    output: npt.NDArray[Any]
    spikes: Mapping[str, Spikes] = field(default_factory=dict)
    sam: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)
    sam_scale: Mapping[str, float] = field(default_factory=dict)
    membrane: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)
    current: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)
    counts: Mapping[str, npt.NDArray[np.int64]] = field(default_factory=dict)
    operations: Mapping[str, int] = field(default_factory=dict)
    time_s: float = 0.0

    @property
    def predictions(self) -> npt.NDArray[np.int64]:
        """Index of the largest output of each sample (the first of equals), ``[B]``."""
        flat = self.output.reshape(self.samples, -1)
        return np.asarray(np.argmax(flat, axis=1), dtype=np.int64)

    def select(self, start: int, stop: int) -> Recording:
        """The samples ``start:stop``, without a copy; operations and time, which belong to the whole, are left out."""
        where = slice(start, stop)

        def cut(arrays: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
            return {name: array[:, where] for name, array in arrays.items()}

        return replace(
            self,
            samples=len(range(self.samples)[where]),
            output=self.output[where],
            spikes={name: Spikes(spikes.planes[:, where], spikes.shape) for name, spikes in self.spikes.items()},
            sam=cut(self.sam),
            membrane=cut(self.membrane),
            current=cut(self.current),
            counts=cut(self.counts),
            operations={},
            time_s=0.0,
        )

    def save(self, path: str | Path) -> None:
        """Write the recording to an HDF5 file, atomically."""
        save(self, path)

    def same_as(self, other: Recording) -> bool:
        """Whether everything but the back end's name, its times and its counters is equal bit for bit."""
        ignored = {"backend", "time_s", "operations"}
        return all(
            identical(getattr(self, name), getattr(other, name))
            for name in self.__dataclass_fields__
            if name not in ignored
        )


class Target(Protocol):
    """Where recorded values go: an array, or its place in a file that is being written."""

    @property
    def shape(self) -> Shape:
        """``(T, B, ...)``."""
        ...

    def __setitem__(self, where: tuple[slice, slice], values: npt.NDArray[Any]) -> None:
        """Put the values of some steps and samples in their place."""
        ...


def extents(network: Network, record: Record, steps: int, samples: int) -> Extents:
    """What a request asks for: shape ``(T, B, ...)`` and type of each array, as :class:`Recording` has them."""
    number = np.dtype(np.int32 if network.fixed else np.float64)
    found: dict[tuple[str, str], tuple[Shape, np.dtype[Any]]] = {}
    for name in record.spikes:
        channels, height, width = as_chw(network[name].shape)
        found["spikes", name] = (steps, samples, height, width, words(channels)), np.dtype(np.uint64)
    for name in record.sam:
        found["sam", name] = (steps, samples, *as_chw(network[name].shape)[1:]), number
    for variable in ("membrane", "current"):
        for name in getattr(record, variable):
            found[variable, name] = (steps, samples, *network[name].shape), number
    return found


def arranged(network: Network, arrays: Mapping[tuple[str, str], npt.NDArray[Any]]) -> dict[str, Any]:
    """The fields of a :class:`Recording` that hold these arrays, of which :func:`extents` tells the form."""
    fields: dict[str, Any] = {variable: {} for variable in Record.__dataclass_fields__}
    for (variable, name), array in arrays.items():
        fields[variable][name] = Spikes(array, network[name].shape) if variable == "spikes" else array
    return fields
