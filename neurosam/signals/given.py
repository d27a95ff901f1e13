"""One variable of one population as it came from elsewhere, checked against the network, in the form of a recording."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from neurosam.errors import ArgumentError
from neurosam.network.elements import Population
from neurosam.network.network import Network
from neurosam.network.synapse import Shape, as_chw, neurons
from neurosam.signals.events import Events
from neurosam.signals.layouts import Extent, check_layout
from neurosam.signals.recording import Spikes, words

__all__ = ["Given", "exact", "numbers"]

Index = npt.NDArray[np.int64]

MOST_BYTES = 2**30
"""Most bytes of the spikes of one population, packed."""


@dataclass(frozen=True)
class Given:
    """One variable of one population, as it was given: spikes, columns or an array."""

    variable: str
    name: str
    shape: Shape
    largest: int
    onset: int
    spikes: Spikes | None = None
    columns: tuple[Index, Index, Index] | None = None
    array: npt.NDArray[Any] | None = None

    @classmethod
    def of(cls, network: Network, variable: str, name: str, value: Any) -> Given:
        """Look at a value of :func:`neurosam.recording_from`."""
        population = _population(network, variable, name)
        shape = as_chw(population.shape)[1:] if variable == "sam" else population.shape
        part = cls(variable, name, shape, population.largest_event, network.onsets[name])
        if variable == "spikes" and isinstance(value, Spikes):
            if value.shape != shape:
                raise ArgumentError(part.where, f"are of shape {value.shape}; the population has {shape}")
            return replace(part, spikes=value)
        if variable == "spikes" and isinstance(value, Events):
            value = _columns_of(part.where, value)
        if variable == "spikes" and isinstance(value, tuple):
            return replace(part, columns=_columns(part.where, value))
        return replace(part, array=numbers(part.where, value))

    @property
    def where(self) -> str:
        """What it is, as the user knows it."""
        return f"{self.variable} of {self.name!r}"

    @property
    def extent(self) -> Extent:
        """Steps and samples of an array."""
        if self.spikes is not None:
            return self.spikes.planes.shape[0], self.spikes.planes.shape[1]
        return (None, None) if self.array is None else (self.array.shape[0], self.array.shape[1])

    def check(self, extent: Extent) -> None:
        """Refuse an array whose shape does not fit."""
        if self.array is not None:
            check_layout(self.where, self.array.shape, self.shape, extent, self.onset)
        elif self.spikes is not None and any(
            length not in (None, got) for length, got in zip(extent, self.extent, strict=True)
        ):
            got, required = (f"{x[0]} steps and {x[1]} samples" for x in (self.extent, extent))
            raise ArgumentError(self.where, f"have {got}; {required} are required")

    def made(self, first: int, steps: int, samples: int, number: np.dtype[Any]) -> Any:
        """As a recording holds it."""
        if self.spikes is not None:
            return self.spikes
        if self.columns is not None:
            return self._packed(first, steps, samples)
        array = np.zeros(0) if self.array is None else self.array
        array = array.reshape(steps, samples, *self.shape)
        if self.variable != "spikes":
            return exact(self.where, array, number)
        count = exact(self.where, array, np.dtype(np.int32))
        if count.size and not 0 <= int(count.min()) <= int(count.max()) <= self.largest:
            at = tuple(int(x) for x in np.argwhere((count < 0) | (count > self.largest))[0])
            raise ArgumentError(
                self.where, f"has {count[at]} at step {at[0] + first}, sample {at[1]}, neuron {at[2:]}; 0 to "
                f"{self.largest} is allowed",
            )  # fmt: skip
        return Spikes.from_dense(count, graded=self.largest > 1)

    def _packed(self, first: int, steps: int, samples: int) -> Spikes:
        """Spikes of columns; memory is taken for what is packed, once every entry is in range."""
        step, sample, neuron = self.columns or (np.zeros(0, np.int64),) * 3
        channels, height, width = as_chw(self.shape)
        size = neurons(self.shape)
        limits = {"step": (first, first + steps), "sample": (0, samples), "neuron": (0, size)}
        for (label, (low, high)), column in zip(limits.items(), (step, sample, neuron), strict=True):
            outside = (column < low) | (column >= high)
            if outside.any():
                at = int(np.argmax(outside))
                raise ArgumentError(
                    self.where, f"entry {at} has {label} {column[at]}; {low} to {high - 1} is allowed"
                    + self._global(step, first, steps) * (label == "step"),
                )  # fmt: skip
        row = height * width * words(channels)
        needed = steps * samples * (8 * row + 4 * size * (self.largest > 1))
        if needed > MOST_BYTES:
            raise ArgumentError(
                self.where, f"would take {needed / 2**30:.1f} GiB for {steps} steps of {samples} samples; at most "
                f"{MOST_BYTES / 2**30:g} GiB is allowed. Give some steps or samples at a time",
            )  # fmt: skip
        channel, pixel = np.divmod(neuron, height * width)
        key = ((step - first) * samples + sample) * size + neuron
        unique, index, count = np.unique(key, return_index=True, return_counts=True)
        if count.size and int(count.max()) > self.largest:
            at = int(index[np.argmax(count > self.largest)])
            raise ArgumentError(
                self.where, f"have neuron {neuron[at]} {count.max()} times at step {step[at]}, sample {sample[at]}; it "
                f"fires at most {self.largest} time(s) in a step",
            )  # fmt: skip
        planes = np.zeros(steps * samples * row, np.uint64)
        place = (((step - first) * samples + sample) * (height * width) + pixel) * words(channels) + channel // 64
        np.bitwise_or.at(planes, place, np.uint64(1) << (channel % 64).astype(np.uint64))
        magnitude = None
        if self.largest > 1:
            magnitude = np.zeros(steps * samples * size, np.int32)
            magnitude[unique] = count
            magnitude = magnitude.reshape(steps, samples, *self.shape)
        return Spikes(planes.reshape(steps, samples, height, width, words(channels)), self.shape, magnitude)

    def _global(self, step: Index, first: int, steps: int) -> str:
        """That steps are global ones, if they all are own ones after the population's start is subtracted."""
        own = step - self.onset
        if not self.onset or own.min() < first or own.max() >= first + steps:
            return ""
        return f". The population starts at step {self.onset}: these look like global steps; subtract {self.onset}"


def _population(network: Network, variable: str, name: str) -> Population:
    """The population, which has to have the variable."""
    names = [p.name for p in network.populations if p.neuron is not None]
    having = [p.name for p in network.populations if _has(network, p, variable)]
    if name in having:
        return network[name]
    if name not in names:
        problem = "is an input, whose events are given to a run" if name in [p.name for p in network.inputs] else (
            "is not in the network"
        )  # fmt: skip
    else:
        problem = {"spikes": "never fires", "current": "has no current", "sam": "has no trace"}[variable]
    raise ArgumentError(f"{variable}: {name!r}", f"{problem}; those with {variable} are {', '.join(having) or 'none'}")


def _has(network: Network, population: Population, variable: str) -> bool:
    """Whether a population has a variable."""
    if population.neuron is None:
        return False
    return {
        "spikes": population.fires, "membrane": True, "current": population.has_current,
        "sam": population.name in network.sam,
    }[variable]  # fmt: skip


def _columns_of(where: str, events: Events) -> tuple[Any, Any, Any]:
    """Events as columns, one entry a spike."""
    count = np.ones(len(events), np.int64) if events.value is None else events.value
    if count.dtype.kind != "i" or count.min(initial=1) < 0 or count.max(initial=1) > 2**16:
        raise ArgumentError(
            where, f"are events of value {count.min()} to {count.max()}; numbers of spikes are required"
        )
    return np.repeat(events.time, count), np.repeat(events.sample, count), np.repeat(events.neuron, count)


def _columns(where: str, value: tuple[Any, ...]) -> tuple[Index, Index, Index]:
    if len(value) != 3:
        raise ArgumentError(where, f"got a tuple of {len(value)}; columns are three: step, sample, neuron")
    made = []
    for label, part in zip(("step", "sample", "neuron"), value, strict=True):
        array = numbers(f"{where}: {label}", part)
        if array.ndim != 1:
            raise ArgumentError(f"{where}: {label}", f"has shape {array.shape}; a column has one dimension")
        made.append(exact(f"{where}: {label}", array, np.dtype(np.int64)))
    step, sample, neuron = made
    if not step.size == sample.size == neuron.size:
        raise ArgumentError(where, f"got columns of {step.size}, {sample.size} and {neuron.size} entries")
    return step, sample, neuron


def numbers(where: str, value: Any) -> npt.NDArray[Any]:
    """An array of numbers."""
    try:
        array = np.asarray(value)
    except ValueError:
        raise ArgumentError(where, "is ragged; an array of numbers is required") from None
    if array.dtype.kind not in "biuf":
        raise ArgumentError(where, f"is of {array.dtype}; numbers are required")
    return array


def exact(where: str, array: npt.NDArray[Any], number: np.dtype[Any]) -> npt.NDArray[Any]:
    """The same values in another number type; refused if one of them changes."""
    if number.kind == "f":
        return array.astype(number)
    limits = np.iinfo(number)
    if array.dtype.kind == "f" and not (np.isfinite(array) & (array == np.trunc(array))).all():
        unit = ", in 64ths of a weight" if number == np.int32 and where.startswith(("membrane", "current")) else ""
        raise ArgumentError(where, f"is {array.dtype} with fractions or NaN; integers are required{unit}")
    if array.size and not limits.min <= array.min() <= array.max() <= limits.max:
        raise ArgumentError(where, f"has values in {array.min()}..{array.max()}; {number} is required")
    return array.astype(number)
