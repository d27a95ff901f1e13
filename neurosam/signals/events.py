"""Events, the input of a network: sorted records (step, sample, neuron[, value]), and codings of images as events.

A neuron index is flat in C order over ``(C, H, W)``. An event without a value is a spike, worth 1; values are integers
(signed or graded spikes) or floats (currents, for float networks only).
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from neurosam._util.arguments import frozen, integer
from neurosam._util.describing import array_text, to_html
from neurosam._util.memory import available_bytes, size_text
from neurosam._util.saving import save
from neurosam.errors import EventError
from neurosam.network.synapse import Shape, neurons
from neurosam.signals.draws import spikes_of

__all__ = ["CODINGS", "Events", "encode"]

CODINGS = ("poisson", "poisson_signed", "latency", "direct")
INDEX_MAX = 2**31 - 1
MANY_STEPS = 10**5
"""From here on, times without a unit look like microseconds rather than steps."""
MICROSECONDS = "these look like microseconds: give dt_us (neurosam.formats.events.from_array)"


@dataclass(frozen=True, eq=False)
class Events:
    """Input of a run, as a list of events.

    Parameters
    ----------
    time, sample, neuron : (n,) int array
        Step, sample and flat neuron of each event, in strictly rising order of (time, sample, neuron).
    steps, samples : int
        Length in steps, >= 1, and number of samples, >= 0.
    shape : tuple of int
        Shape of the input population.
    value : (n,) int or float array, optional
        None if every event is a spike worth 1.

    Raises
    ------
    EventError
        For events out of range, at negative time, unsorted or repeated. :meth:`from_unsorted` sorts them and adds
        repeats up.

    Examples
    --------
    Two spikes of a population of four neurons, in steps 0 and 2 of the one sample:

    >>> events = ns.Events(np.array([0, 2]), np.array([0, 0]), np.array([1, 3]), steps=3, samples=1, shape=(4,))
    >>> events.dense()[:, 0]
    array([[0, 1, 0, 0],
           [0, 0, 0, 0],
           [0, 0, 0, 1]], dtype=uint8)
    """

    time: npt.NDArray[Any]
    sample: npt.NDArray[Any]
    neuron: npt.NDArray[Any]
    steps: int
    samples: int
    shape: Shape
    value: npt.NDArray[Any] | None = None

    def __post_init__(self) -> None:
        shape, steps, samples = _extent(self.shape, self.steps, self.samples)
        for name, value in (("shape", shape), ("steps", steps), ("samples", samples)):
            object.__setattr__(self, name, value)
        limits = {"time": self.steps, "sample": self.samples, "neuron": neurons(shape)}
        columns = {name: _column(name, getattr(self, name), limit) for name, limit in limits.items()}
        sizes = {name: column.size for name, column in columns.items()}
        if len(set(sizes.values())) != 1:
            raise EventError("events", f"got columns of different length: {sizes}")
        key = _key(columns["time"], columns["sample"], columns["neuron"], self.samples, limits["neuron"])
        rise = np.diff(key)
        if (rise < 0).any():
            at = int(np.argmax(rise < 0)) + 1
            raise EventError(
                "events", f"unsorted: event {at} comes before event {at - 1}; sort them, or use Events.from_unsorted"
            )
        if (rise == 0).any():
            at = int(np.argmax(rise == 0)) + 1
            raise EventError(
                "events", f"event {at} repeats event {at - 1}; Events.from_unsorted adds repeated events up"
            )
        for name, column in columns.items():
            object.__setattr__(self, name, frozen(column, np.int32))
        if self.value is not None:
            object.__setattr__(self, "value", _values(self.value, columns["time"].size))
        _warn_of_microseconds(columns["time"], self.steps)

    def __len__(self) -> int:
        return int(self.time.size)

    def __repr__(self) -> str:
        cells = max(self.steps * self.samples * neurons(self.shape), 1)
        values = "spikes" if self.value is None else f"values {array_text(self.value).partition(' ')[2]}"
        return (
            f"Events: {len(self):,} {values} of {self.shape}, {self.steps:,} steps, {self.samples:,} samples, "
            f"{len(self) / cells:.2%} of neurons and steps"
        )

    def _repr_html_(self) -> str:
        return to_html(self)

    @classmethod
    def from_unsorted(
        cls,
        time: npt.ArrayLike,
        sample: npt.ArrayLike,
        neuron: npt.ArrayLike,
        *,
        steps: int,
        samples: int,
        shape: Shape,
        value: npt.ArrayLike | None = None,
    ) -> Events:
        """Events in any order; those at the same step, sample and neuron add up to one graded event.

        Examples
        --------
        >>> events = ns.Events.from_unsorted([2, 0, 2], [0, 0, 0], [3, 1, 3], steps=3, samples=1, shape=(4,))
        >>> events.time, events.value
        (array([0, 2], dtype=int32), array([1, 2], dtype=int32))
        """
        shape, steps, samples = _extent(shape, steps, samples)
        limit = neurons(shape)
        columns = [_column("time", time, steps), _column("sample", sample, samples), _column("neuron", neuron, limit)]
        amount = np.ones(columns[0].size, dtype=np.int64) if value is None else _values(value, columns[0].size)
        key = _key(columns[0], columns[1], columns[2], samples, limit)
        unique, place = np.unique(key, return_inverse=True)
        total = np.zeros(unique.size, dtype=np.float64 if amount.dtype.kind == "f" else np.int64)
        np.add.at(total, place, amount)
        rest, flat = np.divmod(unique, limit)
        step, index = np.divmod(rest, max(samples, 1))
        plain = value is None and bool((total == 1).all())
        return cls(step, index, flat, steps, samples, shape, None if plain else total)

    @classmethod
    def from_dense(cls, x: npt.ArrayLike) -> Events:
        """The nonzero entries of ``[T, B, C, H, W]`` or ``[T, B, N]``: spikes if all of them are 1, else graded events.

        Examples
        --------
        >>> events = ns.Events.from_dense(np.array([[[0, 1, 0]], [[1, 0, 1]]]))  # two steps, one sample, three neurons
        >>> len(events), events.shape, events.value
        (3, (3,), None)
        """
        array = np.asarray(x)
        if array.ndim not in (3, 5) or array.dtype.kind not in "biuf":
            raise EventError(
                "events",
                f"got {array.dtype} of shape {array.shape}; numbers [T, B, C, H, W] or [T, B, N] are required"
                + _dense_remedy(array),
            )
        flat = array.reshape(*array.shape[:2], neurons(array.shape[2:]))
        time, sample, neuron = np.nonzero(flat)
        value = flat[time, sample, neuron]
        plain = bool((value == 1).all())
        return cls(time, sample, neuron, array.shape[0], array.shape[1], array.shape[2:], None if plain else value)

    def dense(self) -> npt.NDArray[Any]:
        """``[T, B, *shape]``: uint8 for spikes, int32 for graded events, float64 for currents."""
        dtype = np.uint8 if self.value is None else self.value.dtype
        out = np.zeros((self.steps, self.samples, neurons(self.shape)), dtype=dtype)
        out[self.time, self.sample, self.neuron] = 1 if self.value is None else self.value
        return out.reshape(self.steps, self.samples, *self.shape)

    def select(self, start: int, stop: int) -> Events:
        """The samples ``start:stop``, numbered from 0."""
        stop = min(integer("events: stop", stop, 0, INDEX_MAX, EventError), self.samples)
        start = integer("events: start", start, 0, INDEX_MAX, EventError)
        if start > stop:
            raise EventError("events", f"got samples {start}:{stop}; a range within 0:{self.samples} is required")
        keep = (self.sample >= start) & (self.sample < stop)
        value = None if self.value is None else self.value[keep]
        return Events(
            self.time[keep], self.sample[keep] - start, self.neuron[keep], self.steps, stop - start, self.shape, value
        )

    @property
    def magnitude(self) -> float | int:
        """Largest ``|value|``; 1 for spikes, 0 without events."""
        if self.value is None:
            return 1 if len(self) else 0
        largest = np.abs(self.value.astype(np.float64)).max(initial=0.0)
        return float(largest) if self.value.dtype.kind == "f" else int(largest)

    def save(self, path: str | Path) -> None:
        """Write the events to an HDF5 file, atomically (format: FORMAT.md)."""
        save(self, path)

    def counts(self) -> npt.NDArray[np.int64]:
        """Number of events in each step of each sample, ``[T, B]``."""
        flat = np.bincount(self.time.astype(np.int64) * self.samples + self.sample, minlength=self.steps * self.samples)
        return flat.reshape(self.steps, self.samples)


def encode(
    images: npt.ArrayLike, steps: int, coding: str = "poisson", seed: int = 0, first: int = 0, magnitude: int = 1
) -> Events:
    """Turn still images into events.

    Parameters
    ----------
    images : (B, C, H, W) or (B, N) array
        uint8 in 0..255, or floats: in [0, 1], but standardised for "poisson_signed", and of any range for "direct".
    steps : int
        Length in steps, >= 1.
    coding : {"poisson", "poisson_signed", "latency", "direct"}
        ``poisson``: a spike with probability x in every step. ``poisson_signed``: an event sign(x) with probability
        ``min(1, |x| / 2)`` in every step (as the code of BNTT has it, for images of mean 0). ``latency``: one spike at
        step round((1 - x)(steps - 1)), none for x = 0. ``direct``: the value x itself in every step (a current, for
        float networks; or, with a `magnitude`, an integer).
    seed : int
        Sample ``i`` draws from a stream of its own, of ``(seed, first + i)``, so that a batch gives the same events as
        its samples one by one. A number is drawn for every pixel of every step, so a pixel spikes alike in two pictures
        that differ elsewhere: a clean and an attacked picture differ in few spikes (see neurosam/signals/draws.py).
    first : int
        Index of the first image in its data set.
    magnitude : int
        Only for "direct": above 1, events are the integers round(magnitude * x), for the fixed-point network of
        ``ns.export(..., coding="direct")``, which has ``magnitude=255``.

    Returns
    -------
    Events
        B samples of `steps` steps.

    Raises
    ------
    EventError
        For images, a coding or a number of steps that do not fit.

    Examples
    --------
    >>> images = np.array([[0, 128, 255]], dtype=np.uint8)  # one image of three pixels
    >>> ns.encode(images, steps=5, coding="latency").dense()[:, 0]
    array([[0, 0, 1],
           [0, 0, 0],
           [0, 1, 0],
           [0, 0, 0],
           [0, 0, 0]], dtype=uint8)
    """
    array = np.asarray(images)
    if (
        array.ndim not in (2, 4)
        or array.dtype.kind not in "uf"
        or (array.dtype.kind == "u" and array.dtype != np.uint8)
    ):
        raise EventError(
            "encode",
            f"got {array.dtype} of shape {array.shape}; uint8 or float images (B, C, H, W) or (B, N) are required"
            + "; cast other integers to uint8, or divide them" * (array.dtype.kind == "i"),
        )
    if coding not in CODINGS:
        raise EventError("encode: coding", f"got {coding!r}; allowed are {', '.join(CODINGS)}")
    steps = integer("encode: steps", steps, 1, INDEX_MAX, EventError)
    seed, first = (
        integer(f"encode: {name}", value, 0, 2**63, EventError) for name, value in (("seed", seed), ("first", first))
    )
    magnitude = integer("encode: magnitude", magnitude, 0, INDEX_MAX, EventError)
    if magnitude < 1 or (magnitude > 1 and coding != "direct"):
        raise EventError("encode: magnitude", f"got {magnitude} with {coding!r}; more than 1 belongs to 'direct'")
    x = array.astype(np.float32) / np.float32(255) if array.dtype == np.uint8 else array.astype(np.float32)
    if not np.isfinite(x).all():
        raise EventError("encode", "got images with NaN or infinite values; all must be finite")
    if coding in ("poisson", "latency") and x.size and (x.min() < 0 or x.max() > 1):
        raise EventError("encode", f"got values in [{x.min():g}, {x.max():g}]; {coding!r} needs [0, 1] (or uint8)")
    if magnitude > 1:
        x = np.rint(x * np.float32(magnitude))
    flat = x.reshape(x.shape[0], neurons(x.shape[1:]))
    _fits(flat, steps, coding)
    parts = [_sample(row, steps, coding, seed, first + i) for i, row in enumerate(flat)]
    sizes = [time.size for time, _, _ in parts]
    time = np.concatenate([p[0] for p in parts]) if parts else np.zeros(0, np.int64)
    neuron = np.concatenate([p[1] for p in parts]) if parts else np.zeros(0, np.int64)
    value = np.concatenate([p[2] for p in parts]) if parts else np.zeros(0)
    sample = np.repeat(np.arange(len(parts)), sizes)
    order = np.argsort(time, kind="stable")  # within a step, samples and their neurons keep their order
    plain = coding in ("poisson", "latency")
    graded = value[order].astype(np.int32 if coding == "poisson_signed" or magnitude > 1 else np.float64)
    return Events(
        time[order], sample[order], neuron[order], steps, x.shape[0], array.shape[1:], None if plain else graded
    )


def _fits(x: npt.NDArray[np.float32], steps: int, coding: str) -> None:
    """Refuse images whose events, or the random numbers of one of them, cannot be held."""
    active = int(np.count_nonzero(x))
    expected = active if coding == "latency" else steps * (active if coding == "direct" else float(np.abs(x).sum()))
    drawn = 5 * steps * x.shape[1] if coding.startswith("poisson") else 0
    room = available_bytes()
    if room is not None and 40 * expected + drawn > room:
        raise EventError(
            "encode: steps",
            f"got {steps}; the events of {len(x)} images would take about {size_text(int(40 * expected + drawn))} of "
            f"memory, and {size_text(room)} are free; give fewer steps or images",
        )


def _sample(
    x: npt.NDArray[np.float32], steps: int, coding: str, seed: int, sample: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[Any]]:
    """Step, neuron and value of one sample's events, in order of (step, neuron)."""
    if coding == "latency":
        active = np.flatnonzero(x > 0)
        time = np.rint((1 - x[active]) * (steps - 1)).astype(np.int64)
        order = np.argsort(time, kind="stable")
        return time[order], active[order], np.ones(active.size)
    if coding == "direct":
        active = np.flatnonzero(x)
        return np.repeat(np.arange(steps), active.size), np.tile(active, steps), np.tile(x[active], steps)
    probability = x if coding == "poisson" else np.minimum(np.abs(x) / 2, np.float32(1))
    time, neuron = spikes_of(probability, steps, seed, sample)
    return time, neuron, np.sign(x)[neuron]


def _extent(shape: Any, steps: Any, samples: Any) -> tuple[Shape, int, int]:
    """Shape, steps and samples as whole numbers."""
    if not isinstance(shape, (tuple, list)):
        raise EventError("events: shape", f"got {shape!r}; integers are required, such as (2, 34, 34) or (10,)")
    sides = tuple(integer("events: shape", side, 0, INDEX_MAX, EventError) for side in shape)
    samples = integer("events: samples", samples, 0, INDEX_MAX, EventError)
    if isinstance(steps, (int, np.integer)) and steps > INDEX_MAX:
        raise EventError("events: steps", f"got {steps}; allowed is 1..{INDEX_MAX}; {MICROSECONDS}")
    return sides, integer("events: steps", steps, 1, INDEX_MAX, EventError), samples


def _key(time: Any, sample: Any, neuron: Any, samples: int, limit: int) -> npt.NDArray[np.int64]:
    """One integer that orders events by (time, sample, neuron)."""
    if int(time.max(initial=0) + 1) * max(samples, 1) * limit > 2**62:
        raise EventError("events", "steps x samples x neurons exceeds 2^62; split the samples")
    key: npt.NDArray[np.int64] = (time.astype(np.int64) * max(samples, 1) + sample) * limit + neuron
    return key


def _column(name: str, column: npt.ArrayLike, limit: int) -> npt.NDArray[np.int64]:
    array = np.asarray(column)
    if array.ndim != 1 or (array.dtype.kind not in "iu" and array.size):
        hint = "; for times in seconds, neurosam.formats.events.from_array takes their unit and dt_us"
        raise EventError(
            f"events: {name}",
            f"got {array.dtype} of shape {array.shape}; a column of integers is required"
            + hint * (name == "time" and array.dtype.kind == "f"),
        )
    if array.size and (int(array.min()) < 0 or int(array.max()) >= limit):
        value = int(array.min()) if int(array.min()) < 0 else int(array.max())
        hint = f"; {MICROSECONDS}, or more steps" if name == "time" and value >= MANY_STEPS else ""
        raise EventError(f"events: {name}", f"got {value}; allowed is 0..{limit - 1}{hint}")
    return array.astype(np.int64)


def _dense_remedy(array: npt.NDArray[Any]) -> str:
    """What to do about an array that is not dense, but known."""
    if array.dtype.names is not None:
        return "; a structured array of events needs rules: neurosam.formats.events.from_array"
    if array.ndim in (2, 4) and array.dtype.kind in "biuf":
        return "; without a sample axis, give x[:, None]"
    return ""


def _warn_of_microseconds(time: npt.NDArray[np.int64], steps: int) -> None:
    """Warn where raw times seem to have been taken for steps: many, nearly all empty, and the last one just reached."""
    if steps > MANY_STEPS and time.size < steps and int(time.max(initial=0)) == steps - 1:
        warnings.warn(f"{time.size} events in {steps} steps: {MICROSECONDS}", stacklevel=4)


def _values(value: npt.ArrayLike, size: int) -> npt.NDArray[Any]:
    array = np.asarray(value)
    if array.shape != (size,) or array.dtype.kind not in "biuf":
        raise EventError(
            "events: value",
            f"got {array.dtype} of shape {array.shape}; one number for each of {size} events is required",
        )
    if not np.isfinite(array).all():
        raise EventError("events: value", "got NaN or infinite values; all must be finite")
    if array.dtype.kind == "f":
        return frozen(array, np.float64)
    if array.size and (int(array.min()) < -INDEX_MAX or int(array.max()) > INDEX_MAX):
        raise EventError("events: value", f"got {array.min()}..{array.max()}; allowed is +-(2^31 - 1)")
    return frozen(array, np.int32)
