"""From raw events to the events of a network's steps, by the rules, in memory that one chunk bounds.

Blocks of a recording are joined to one number per (step, channel, row, column) as they come. A chunk is complete when
an event of a later one is seen, and leaves as :class:`~neurosam.signals.events.Events`; no more than a chunk and a
block are held at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from neurosam.errors import EventError
from neurosam.formats.events.rules import LONGEST_US, EventRules
from neurosam.formats.events.source import UNITS, Block, Source
from neurosam.network.synapse import Shape, neurons
from neurosam.signals.events import INDEX_MAX, MANY_STEPS, Events

__all__ = ["Tally", "binned", "joined"]

LONGEST_GAP = 10**7
"""Steps without an event, after which a time is taken for damage rather than for a pause."""

Columns = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]
"""Sorted numbers of (step, channel, row, column), and the sum of the events at each."""


@dataclass
class Tally:
    """What became of the events of a recording; counts that add up over recordings.

    Attributes
    ----------
    read : int
        Events in the recording.
    outside : int
        Left out because they lie outside of the view (`crop`) or are off (polarity "on").
    early, late : int
        Left out because they lie before the start or after the last step.
    joined : int
        Events that share step and pixel with another one, and became part of its value or its spike.
    """

    read: int = 0
    outside: int = 0
    early: int = 0
    late: int = 0
    joined: int = 0

    def add(self, other: Tally) -> None:
        """Add the counts of other recordings."""
        for item in fields(self):
            setattr(self, item.name, getattr(self, item.name) + getattr(other, item.name))

    def __str__(self) -> str:
        """The counts that are not 0, as text."""
        names = {"outside": "outside of the view", "early": "before the start", "late": "after the last step",
                 "joined": "joined with another of their step and pixel"}  # fmt: skip
        parts = [f"{getattr(self, key):,} {name}" for key, name in names.items() if getattr(self, key)]
        return f"{self.read:,} events" + (f", of which {', '.join(parts)}" if parts else "")


def binned(
    source: Source, shape: Shape, rules: EventRules, steps_per_chunk: int | None = None, tally: Tally | None = None
) -> Iterator[Events]:
    """The events of a recording, in chunks of so many steps (the last may be shorter), or whole.

    Raises
    ------
    EventError
        If the rules, the sensor and the shape do not fit, or an event is out of range or order.
    FormatError
        If the recording is damaged.
    """
    view = _View(source, shape, rules)
    clock = _Clock(source, rules)
    tally = Tally() if tally is None else tally
    cells = rules.channels * view.width * view.height
    if cells > INDEX_MAX:
        raise EventError("shape", f"{shape} sees {cells} pixels; at most {INDEX_MAX} are possible")
    chunk = INDEX_MAX if steps_per_chunk is None else steps_per_chunk
    delay = chunk if rules.order == "sort" else 0
    kept: Columns = (np.zeros(0, np.int64), np.zeros(0, np.int64))
    done = 0
    for block in source.blocks():
        step = clock.steps(block)
        if not step.size:
            continue
        tally.read += step.size
        inside, cell, amount = view.cells(block)
        early, late = step < 0, step >= clock.limit
        tally.early += int(early.sum())
        tally.late += int(late.sum())
        inside &= ~(early | late)
        tally.outside += step.size - int((inside | early | late).sum())
        kept = _merged(kept, step[inside] * cells + cell[inside], amount[inside])
        tally.joined += int(inside.sum())
        while clock.step - delay >= done + chunk:
            kept, ready = _split(kept, (done + chunk) * cells)
            tally.joined -= ready[0].size
            yield view.events(ready, done, chunk)
            done += chunk
        if rules.order == "sort" and kept[0].size and int(kept[0][0]) < done * cells:
            raise EventError(
                source.name, f"goes back in time by more than {chunk} steps; sort it, or take longer chunks"
            )
        if int(step[0]) >= clock.limit and bool(late.all()) and rules.order == "refuse":
            break  # nothing that follows can be earlier
    total = clock.total
    tally.joined -= kept[0].size
    while done < total:
        length = min(chunk, total - done)
        kept, ready = _split(kept, (done + length) * cells)
        yield view.events(ready, done, length)
        done += length


def joined(parts: list[Events]) -> Events:
    """Several recordings as the samples of one input; shorter ones are followed by silence."""
    if len(parts) == 1:
        return parts[0]
    steps = max(part.steps for part in parts)
    sizes = [len(part) for part in parts]
    graded = any(part.value is not None for part in parts)
    value = [np.ones(len(p), np.int64) if p.value is None else p.value for p in parts] if graded else None
    time, neuron = (np.concatenate([getattr(part, name) for part in parts]) for name in ("time", "neuron"))
    sample = np.repeat(np.arange(len(parts)), sizes)
    order = np.lexsort((neuron, sample, time))
    return Events(
        time[order], sample[order], neuron[order], steps, len(parts), parts[0].shape,
        None if value is None else np.concatenate(value)[order],
    )  # fmt: skip


class _Clock:
    """Steps of the events, in order of time unless the rules say otherwise."""

    def __init__(self, source: Source, rules: EventRules) -> None:
        self.source, self.rules = source, rules
        self.unit = rules.unit or source.unit
        self.first = 0 if self.unit == "step" and rules.start_us is None else rules.start_us
        self.window = (rules.dt_us or 1, 1)
        self.limit = rules.steps or INDEX_MAX
        self._latest: int | None = None
        self._count = 0
        self.step = -1  # the latest so far
        if self.unit != "step" and (rules.dt_us is None or (rules.order == "sort" and self.first is None)):
            self._measure()

    def _measure(self) -> None:
        """Read the recording once for its duration."""
        low, high = LONGEST_US, -LONGEST_US
        for block in self.source.blocks():
            time = self._microseconds(block.t)
            low, high = min(low, int(time.min(initial=low))), max(high, int(time.max(initial=high)))
        if self.first is None and low <= high:
            self.first = low
        if self.rules.dt_us is None:
            self.window = (max(high + 1 - (self.first or 0), 1), self.limit)

    def _microseconds(self, t: npt.NDArray[np.float64 | np.int64]) -> npt.NDArray[np.int64]:
        """Times as whole microseconds, or as steps."""
        name = self.source.name
        if not t.size:
            return np.zeros(0, np.int64)
        if t.dtype.kind == "f":
            if not self.unit:
                raise EventError(
                    name, f"has times in {t.dtype}; say their unit: unit='s' or unit='ms' (--rule unit=ms)"
                )
            scaled = t * UNITS[self.unit]
            if np.abs(scaled).max(initial=0) > LONGEST_US:
                raise EventError(name, f"has a time of {t[np.argmax(np.abs(scaled))]:g} {self.unit}; check the unit")
            return np.asarray(np.rint(scaled), dtype=np.int64)
        factor = UNITS[self.unit or "us"]
        whole = t.astype(np.int64)
        if whole.size and max(-int(whole.min()), int(whole.max())) * factor > LONGEST_US:
            raise EventError(name, f"has a time of {whole[np.argmax(np.abs(whole))]} {self.unit or 'us'}; the "
                             "recording is damaged, or its unit another one")  # fmt: skip
        return whole // 1000 if self.unit == "ns" else whole * int(factor)

    def steps(self, block: Block) -> npt.NDArray[np.int64]:
        """The step of each event; below 0 before the start."""
        time = self._microseconds(block.t)
        if not time.size:
            return time
        if self.first is None:
            self.first = int(time[0])
        if self.rules.order == "refuse":
            self._check_order(time)
        self._latest = max(int(time.max()), self._latest if self._latest is not None else -LONGEST_US)
        duration, parts = self.window
        step = _floor_scaled(time - self.first, parts, duration)
        self._check_gap(step)
        self._count += time.size
        return step

    def _check_order(self, time: npt.NDArray[np.int64]) -> None:
        """Refuse a time before that of the event in front of it."""
        before = np.concatenate(([time[0] if self._latest is None else self._latest], time[:-1]))
        if (time < before).any():
            at = int(np.argmax(time < before))
            unit = "step" if self.unit == "step" else "us"
            raise EventError(self.source.name, f"time runs backwards at event {self._count + at}: from {before[at]} to "
                             f"{time[at]} {unit}; sort the events, or order='sort' (--rule order=sort)")  # fmt: skip

    def _check_gap(self, step: npt.NDArray[np.int64]) -> None:
        """Refuse microseconds in place of steps, and times that damage has made."""
        last, name = int(step.max()), self.source.name
        steps = self.rules.steps
        if self.unit == "step" and last >= (MANY_STEPS if steps is None else max(steps, min(MANY_STEPS, 100 * steps))):
            raise EventError(name, f"has events up to step {last}; these look like microseconds: give dt_us, the "
                             "microseconds in a step (--dt-us)")  # fmt: skip
        if last >= self.limit:
            last = self.limit - 1
        gap = int(np.diff(np.maximum(step, -1), prepend=self.step).max())
        if gap > LONGEST_GAP and self.limit == INDEX_MAX:
            raise EventError(name, f"jumps by {gap} steps near event {self._count}: the recording is damaged, its unit "
                             "another one, or its clock starts elsewhere (give start_us)")  # fmt: skip
        self.step = max(self.step, last)

    @property
    def total(self) -> int:
        """Length in steps, when all blocks have been read.

        Raises
        ------
        EventError
            If there was no event, and the rules fix no length.
        """
        if self.rules.steps is not None:
            return self.rules.steps
        if self.step < 0:
            raise EventError(self.source.name, "holds no events after its start; give steps to run in silence")
        return self.step + 1


class _View:
    """Which input each event reaches."""

    def __init__(self, source: Source, shape: Shape, rules: EventRules) -> None:
        self.name, self.shape, self.rules = source.name, shape, rules
        self.sensor = rules.sensor or source.sensor
        self._checked = 0
        self.width, self.height = rules.view(source.name, shape, self.sensor)
        self.corner = (0, 0)
        if rules.crop == "centre":
            if self.sensor is None:
                raise EventError(source.name, "does not say how large its sensor is, of which crop='centre' takes the "
                                 "centre; give it: sensor=(width, height) (--rule sensor=WIDTHxHEIGHT)")  # fmt: skip
            self.corner = ((self.sensor[0] - self.width) // 2, (self.sensor[1] - self.height) // 2)
        elif isinstance(rules.crop, tuple):
            self.corner = rules.crop
        elif self.sensor is not None:
            self._fit(*self.sensor, "is")

    def _fit(self, width: int, height: int, verb: str) -> None:
        """Refuse a sensor that is not the view."""
        factor = self.rules.downsample
        fits = [-(-side // factor) * factor for side in (width, height)] == [self.width, self.height]
        if fits or (verb == "has" and width <= self.width and height <= self.height):
            return
        views = f"{self.width} x {self.height} (width x height)"
        got = f"{verb} {width} x {height} pixels (width x height); the input {self.shape} sees {views}"
        swapped = (width, height) == (self.height, self.width)
        columns, rows = self.width // factor, self.height // factor
        ratio = -(-width // columns)
        if swapped or (verb == "has" and width <= self.height and height <= self.width):
            fix = "width and height are swapped: shapes are (C, H, W)"
        elif verb == "is" and ratio > 1 and (-(-width // ratio), -(-height // ratio)) == (columns, rows):
            fix = f"downsample={ratio} (--rule downsample={ratio}), or crop='centre' (--rule crop=centre)"
        else:
            fix = "crop='centre' (--rule crop=centre) takes the centre of the sensor, downsample joins pixels"
        raise EventError(self.name, f"{got}; {fix}")

    def cells(self, block: Block) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Which events are in the view, their places in it before down-sampling, and what they are worth."""
        x, y = block.x.astype(np.int64), block.y.astype(np.int64)
        right, low = int(x.max()), int(y.max())
        if self.sensor is not None and (right >= self.sensor[0] or low >= self.sensor[1]):
            at = int(np.argmax((x >= self.sensor[0]) | (y >= self.sensor[1])))
            raise EventError(self.name, f"has an event at x = {x[at]}, y = {y[at]}, beyond its sensor of "
                             f"{self.sensor[0]} x {self.sensor[1]} pixels (width x height)")  # fmt: skip
        if self.sensor is None and not self.rules.crop:
            self._fit(right + 1, low + 1, "has")
        x, y = x - self.corner[0], y - self.corner[1]
        inside = (x >= 0) & (x < self.width) & (y >= 0) & (y < self.height)
        if self.rules.polarity == "on":
            inside &= block.on
        cell = y * self.width + x
        if self.rules.polarity == "two":
            cell += block.on * (self.width * self.height)
        amount = np.where(block.on, 1, -1) if self.rules.polarity == "signed" else np.ones(x.size, np.int64)
        return inside, cell, amount

    def events(self, entries: Columns, first: int, steps: int) -> Events:
        """The events of some steps, whose numbers are sorted."""
        key, total = entries
        cells = self.rules.channels * self.width * self.height
        if self.rules.coincident == "clip":
            total = np.sign(total)
        key = key - first * cells
        factor = self.rules.downsample
        if factor > 1:
            step, cell = np.divmod(key, cells)
            row, column = np.divmod(cell, self.width)  # row of all channels: heights are multiples of the factor
            columns = self.width // factor
            key, total = _merged(
                (np.zeros(0, np.int64), np.zeros(0, np.int64)),
                step * (cells // factor**2) + row // factor * columns + column // factor, total,
            )  # fmt: skip
            if self.rules.pooling == "any":
                total = np.sign(total)
        keep = total != 0
        time, neuron = np.divmod(key[keep], neurons(self.shape))
        value = total[keep]
        return Events(time, np.zeros_like(time), neuron, steps, 1, self.shape, None if (value == 1).all() else value)


def _floor_scaled(time: npt.NDArray[np.int64], parts: int, duration: int) -> npt.NDArray[np.int64]:
    """floor(time * parts / duration), exactly."""
    whole, rest = np.divmod(time, duration)
    if parts == 1:
        return np.asarray(whole)
    if duration.bit_length() + parts.bit_length() > 62:
        raise EventError("rules: steps", f"{parts} windows of {duration} us are too many; give dt_us")
    return np.asarray(whole * parts + rest * parts // duration)


def _merged(kept: Columns, key: npt.NDArray[np.int64], amount: npt.NDArray[np.int64]) -> Columns:
    """Sorted numbers with what was added at each."""
    if not key.size:
        return kept
    both = np.concatenate((kept[0], key))
    worth = np.concatenate((kept[1], amount))
    order = np.argsort(both, kind="stable")
    both, worth = both[order], worth[order]
    starts = np.flatnonzero(np.concatenate(([True], both[1:] != both[:-1])))
    return both[starts], np.add.reduceat(worth, starts)


def _split(kept: Columns, limit: int) -> tuple[Columns, Columns]:
    """What is at or above a number, and what is below it."""
    at = int(np.searchsorted(kept[0], limit))
    return (kept[0][at:], kept[1][at:]), (kept[0][:at], kept[1][:at])
