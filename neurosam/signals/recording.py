"""What to record of a run (:class:`Record`), and its result (:class:`Recording`).

Everything is in a population's own time (network.py): T steps, of which step 0 is the first at which it acts. Spikes
are kept as bit planes ``[T, B, H, W, words]``: channel c is bit ``c % 64`` of word ``c // 64``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from neurosam._util.arguments import identical
from neurosam._util.describing import LOOKED_THROUGH, array_text, plots, some_lines, to_html
from neurosam._util.saving import save
from neurosam.errors import NeurosamError
from neurosam.network.network import Network
from neurosam.network.synapse import Shape, as_chw, neurons
from neurosam.signals.answer import predicted
from neurosam.signals.events import Events
from neurosam.signals.state import State

__all__ = ["Extents", "Record", "Recording", "Spikes", "Target", "arranged", "extents", "words"]

Extents = Mapping[tuple[str, str], tuple[Shape, np.dtype[Any]]]
"""Shape and dtype of recorded arrays, by variable and population."""


def words(channels: int) -> int:
    """64-bit words that hold one bit per channel."""
    return (channels + 63) // 64


@dataclass(frozen=True)
class Record:
    """Which populations to record, variable by variable.

    Parameters
    ----------
    spikes : tuple of str
        Spikes.
    sam : tuple of str
        Spike activation maps; the population needs a trace (:meth:`Network.with_sam`).
    membrane : tuple of str
        Membrane of each step, after the reset.
    current : tuple of str
        Synaptic current of each step, for neurons that have one.

    Examples
    --------
    >>> ns.Record(spikes=("conv1", "conv2"), membrane="out")
    Record(spikes=('conv1', 'conv2'), sam=(), membrane=('out',), current=())
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
        """All spikes, maps, membranes and currents that the network has."""
        populations = [p for p in network.populations if p.neuron is not None]
        return cls(
            spikes=tuple(p.name for p in populations if p.fires),
            sam=tuple(network.sam),
            membrane=tuple(p.name for p in populations),
            current=tuple(p.name for p in populations if p.has_current),
        )


@dataclass(frozen=True, eq=False)
class Spikes:
    r"""Spikes of one population.

    Parameters
    ----------
    planes : (T, B, H, W, words) uint64 array
        Bit planes, channels last: which neurons fired.
    shape : tuple of int
        Shape of the population.
    magnitude : (T, B, \*shape) int32 array, optional
        How often each neuron fired in each step, for neurons that can do so more than once.

    Examples
    --------
    >>> spikes = ns.Spikes.from_dense(np.array([[[0, 1, 1]], [[1, 0, 0]]]))  # two steps, one sample, three neurons
    >>> spikes.planes.ravel(), spikes.count()
    (array([6, 1], dtype=uint64), 3)
    >>> spikes.dense()[1, 0]
    array([1, 0, 0], dtype=uint8)
    """

    planes: npt.NDArray[np.uint64]
    shape: Shape
    magnitude: npt.NDArray[np.int32] | None = None

    def __repr__(self) -> str:
        steps, samples = self.planes.shape[:2]
        return f"Spikes: {self.amount}, of {self.shape} in {steps:,} steps and {samples:,} samples"

    @property
    def amount(self) -> str:
        """How many spikes, in words; of a large recording, not counted."""
        if self.planes.size > LOOKED_THROUGH:
            return "many spikes"
        cells, count = self.planes.shape[0] * self.planes.shape[1] * neurons(self.shape), self.count()
        several = "" if self.magnitude is None else f", up to {int(self.magnitude.max(initial=0))} in a step"
        return f"{count:,} spikes ({count / max(cells, 1):.2%}{several})"

    @classmethod
    def from_dense(cls, x: npt.ArrayLike, *, graded: bool = False) -> Spikes:
        """From values 0 and 1, ``[T, B, C, H, W]`` or ``[T, B, N]``; numbers of spikes per step if `graded`."""
        array = np.asarray(x)
        shape = tuple(int(side) for side in array.shape[2:])
        channels, height, width = as_chw(shape)
        flat = array.reshape(*array.shape[:2], channels, height, width).astype(bool)
        bits = np.zeros((*array.shape[:2], height, width, words(channels) * 64), dtype=np.uint8)
        bits[..., :channels] = np.moveaxis(flat, 2, -1)
        packed = np.packbits(bits, axis=-1, bitorder="little")
        return cls(packed.view("<u8").astype(np.uint64), shape, array.astype(np.int32) if graded else None)

    def dense(self) -> npt.NDArray[Any]:
        """``uint8 [T, B, *shape]``, or the int32 magnitudes."""
        if self.magnitude is not None:
            return np.asarray(self.magnitude)
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
        return int(np.bitwise_count(self.planes).sum() if self.magnitude is None else self.magnitude.sum())

    def select(self, start: int, stop: int) -> Spikes:
        """The samples ``start:stop``, as views."""
        magnitude = None if self.magnitude is None else self.magnitude[:, start:stop]
        return Spikes(self.planes[:, start:stop], self.shape, magnitude)

    def steps(self, start: int, stop: int) -> Spikes:
        """The steps ``start:stop`` of these, as views."""
        magnitude = None if self.magnitude is None else self.magnitude[start:stop]
        return Spikes(self.planes[start:stop], self.shape, magnitude)


@dataclass(frozen=True, eq=False)
class Recording:
    """Result of a run of T steps over B samples.

    Attributes
    ----------
    backend : str
        Name of the back end that ran the network.
    steps, samples : int
        T and B.
    output : (B, classes) array
        Answer of the (first) output population: its membrane after the last step or the largest one (float64, or int32
        in membrane units), the mean of its membrane (float64), or its spike counts (int64); ``(B, 0)`` if not recorded.
    spikes : mapping of str to Spikes
    sam : mapping of str to (T, B, H, W) array
        Spike activation maps: float64, or int32 for a fixed-point network.
    sam_scale : mapping of str to float
        What a map is divided by to be in the unit of a float trace (1 for a float network).
    membrane, current : mapping of str to (T, B, *shape) array
        float64, or int32 in membrane units.
    counts : mapping of str to (T, B) int64 array
        Number of spikes in each step, of every population that fires; for an input, number of events.
    operations : mapping of str to int
        Synaptic operations (weights added) by projection label, where the back end counts them.
    time_s : float
        Wall-clock time of the run, without compilation where the back end can separate it.
    other_outputs : mapping of str to (B, classes) array
        Answers of further output populations.
    saturated, wrapped : mapping of str to (B,) int64 array
        Of a fixed-point network: how often a neuron's membrane was clipped to its 24 bits, and how often one of its
        sums wrapped around, by population; in a network that is sound, never.
    state : State, optional
        Where the run ended, if that was requested.
    first_step : int
        Own step of the first of the T steps; above 0 in a part of a run that came from elsewhere (from_arrays.py).

    Examples
    --------
    >>> net = ns.Network(
    ...     populations=[ns.Population("in", shape=(2,)), ns.Population("out", shape=(3,), neuron=ns.Readout())],
    ...     projections=[ns.Projection("in", "out", ns.Dense([[0.5, 0.0], [0.0, 2.0], [0.25, 0.25]]))],
    ... )
    >>> recording = ns.run(net, ns.Events.from_dense(np.ones((4, 1, 2))), record=ns.Record(membrane="out"))
    >>> recording.output, recording.predictions
    (array([[2., 8., 2.]]), array([1]))
    >>> recording.membrane["out"][:, 0, 1]
    array([2., 4., 6., 8.])
    >>> recording.counts["in"].ravel(), recording.operations
    (array([2, 2, 2, 2]), {'in->out': 24})
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
    other_outputs: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)
    saturated: Mapping[str, npt.NDArray[np.int64]] = field(default_factory=dict)
    wrapped: Mapping[str, npt.NDArray[np.int64]] = field(default_factory=dict)
    state: State | None = None
    first_step: int = 0

    @property
    def plot(self) -> Any:
        """Pictures of this recording: ``plot.raster("conv1")`` and others; see :class:`neurosam.report.plots.Plots`."""
        return plots(self)

    def __repr__(self) -> str:
        head = f"Recording by {self.backend}: {self.steps:,} steps, {self.samples:,} samples, {self.time_s:.3g} s"
        names = dict.fromkeys([*self.counts, *self.spikes, *self.sam, *self.membrane, *self.current])
        if self.first_step:
            head += f", from own step {self.first_step:,} on"
        output = f"output {array_text(self.output)}" if self.has_output else "no output"
        lines = [output, *(f"{name}: {', '.join(self._parts(name))}" for name in names)]
        if self.operations:
            lines.append(f"{sum(self.operations.values()):,} synaptic operations")
        for what, counts in (("saturated", self.saturated), ("wrapped", self.wrapped)):
            if number := sum(int(count.sum()) for count in counts.values()):
                lines.append(f"{what} {number:,} times: integers left their range")
        return some_lines(head, lines)

    def _repr_html_(self) -> str:
        return to_html(self)

    def _parts(self, name: str) -> list[str]:
        """What there is of a population, each in a few words."""
        found = [self.spikes[name].amount] if name in self.spikes else []
        if name in self.counts and not found:
            found = [f"{int(self.counts[name].sum()):,} spikes, counted"]
        for variable in ("sam", "membrane", "current"):
            if name in getattr(self, variable):
                found.append(f"{variable} {array_text(getattr(self, variable)[name])}")
        return found

    @property
    def has_output(self) -> bool:
        """Whether the output was recorded; in a part of a run it may be missing."""
        return self.output.ndim > 1 and self.output.shape[1] > 0

    @property
    def predictions(self) -> npt.NDArray[np.int64]:
        """Index of the largest output of each sample, ``[B]``.

        The first of several largest ones; -1, no answer, where all classes have the same output, as when nothing fired
        (signals/answer.py).

        Raises
        ------
        NeurosamError
            If the recording has no output.
        """
        if not self.has_output:
            raise NeurosamError("recording", f"by {self.backend!r} has no output; it predicts nothing")
        return predicted(self.output.reshape(self.samples, int(np.prod(self.output.shape[1:]))))

    def select(self, start: int, stop: int) -> Recording:
        """The samples ``start:stop`` as views; operations and time, which belong to the whole, are left out."""
        where = slice(start, stop)

        def cut(arrays: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
            return {name: array[:, where] for name, array in arrays.items()}

        return replace(
            self,
            samples=len(range(self.samples)[where]),
            output=self.output[where],
            other_outputs={name: array[where] for name, array in self.other_outputs.items()},
            spikes={name: spikes.select(start, stop) for name, spikes in self.spikes.items()},
            sam=cut(self.sam),
            membrane=cut(self.membrane),
            current=cut(self.current),
            counts=cut(self.counts),
            saturated={name: array[where] for name, array in self.saturated.items()},
            wrapped={name: array[where] for name, array in self.wrapped.items()},
            state=None if self.state is None else self.state.select(start, stop),
            operations={},
            time_s=0.0,
        )

    def save(self, path: str | Path) -> None:
        """Write the recording to an HDF5 file, atomically."""
        save(self, path)

    def same_as(self, other: Recording) -> bool:
        """Whether all but the back end's name, time and operations is equal bit for bit."""
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
        """Store the values of some steps and samples."""
        ...


def extents(network: Network, record: Record, steps: int, samples: int) -> Extents:
    """Shape ``(T, B, ...)`` and dtype of each requested array, as :class:`Recording` has them and in a file's order."""
    number = np.dtype(np.int32 if network.fixed else np.float64)
    arrays: dict[tuple[str, str], tuple[Shape, np.dtype[Any]]] = {}
    for name in record.spikes:
        channels, height, width = as_chw(network[name].shape)
        arrays["spikes", name] = (steps, samples, height, width, words(channels)), np.dtype(np.uint64)
        if network[name].largest_event > 1:
            arrays["magnitude", name] = (steps, samples, *network[name].shape), np.dtype(np.int32)
    for name in record.sam:
        arrays["sam", name] = (steps, samples, *as_chw(network[name].shape)[1:]), number
    for variable in ("membrane", "current"):
        for name in getattr(record, variable):
            arrays[variable, name] = (steps, samples, *network[name].shape), number
    return arrays


def arranged(network: Network, arrays: Mapping[tuple[str, str], npt.NDArray[Any]]) -> dict[str, Any]:
    """The fields of a :class:`Recording` that hold these arrays, of the shapes that :func:`extents` gives."""
    fields: dict[str, Any] = {variable: {} for variable in Record.__dataclass_fields__}
    for (variable, name), array in arrays.items():
        if variable == "spikes":
            fields[variable][name] = Spikes(array, network[name].shape, arrays.get(("magnitude", name)))
        elif variable != "magnitude":
            fields[variable][name] = array
    return fields
