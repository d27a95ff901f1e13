"""How the events of a camera become the input of a network: every choice is named here, and none is made elsewhere.

With t_0 the start, the event at time t belongs to step

    floor((t - t_0) / dt_us),        or        floor((t - t_0) * steps / duration)    if only `steps` is given,

at row y // downsample and column x // downsample of the view, which begins at the corner that `crop` names. Events of
one step and pixel are joined first (`coincident`), then the pixels of a square of downsample x downsample (`pooling`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from neurosam._util.arguments import choice, integer
from neurosam._util.untrusted import MALFORMED
from neurosam.errors import EventError
from neurosam.formats.events.source import UNITS
from neurosam.network.synapse import Shape
from neurosam.signals.events import INDEX_MAX

__all__ = ["KEY", "POLARITIES", "EventRules"]

KEY = "event_rules"
"""Where the rules stand in ``Network.metadata``."""

POLARITIES = ("two", "one", "signed", "on")
CHANNELS = {1: "1 channel", 2: "2 channels"}
LONGEST_US = 2**53
"""No time is later: 285 years, up to which whole microseconds are exact as floats."""


@dataclass(frozen=True)
class EventRules:
    """Rules by which recordings of an event camera become steps and neurons.

    Parameters
    ----------
    dt_us : int, optional
        Microseconds in a step.
    steps : int, optional
        Length in steps. With `dt_us`, later events are left out, and a shorter recording is followed by silence.
        Without it, the duration of the recording is divided into this many equal windows.
    unit : {"", "us", "ms", "s", "ns", "step"}
        Unit of the recorded times. "": as the format says, and microseconds for integers without one. Seconds,
        milliseconds and fractions are rounded to the microsecond. "step": the times are steps already.
    start_us : int, optional
        Time of the first step's beginning, in microseconds of the recording's clock; earlier events are left out. If
        None, the time of the first event.
    polarity : {"two", "one", "signed", "on"}
        ``two``: channel 0 has the events that are off (darker), channel 1 those that are on, as Tonic and slayer do.
        ``one``: one channel, both are +1. ``signed``: one channel, on is +1 and off -1. ``on``: one channel, off is
        left out.
    downsample : int
        Side in pixels of the square that becomes one input.
    pooling : {"sum", "any"}
        ``sum``: add up the pixels of a square. ``any``: one spike, if any is active (the sign of the sum, if signed).
    crop : {"", "centre"} or (int, int)
        "": the sensor must be the view exactly. Otherwise the view lies in the centre of the sensor, or has this
        corner (x, y) at its left top, in pixels of the sensor; events outside are left out.
    sensor : (int, int), optional
        Width and height of the sensor in pixels; only for recordings that do not say.
    coincident : {"add", "clip"}
        Events of one step and pixel (and channel): ``add`` them up to one graded event, or ``clip`` them to one spike
        (to their sign, if signed). A fixed-point network whose input has magnitude 1 takes spikes alone.
    order : {"refuse", "sort"}
        What to do where time runs backwards: name the event, or put the events in order.
    columns : str
        Order of the columns in a plain (N, 3) or (N, 4) array and in a table without a header, as in "txyp".

    Raises
    ------
    EventError
        For a value out of range, or neither `dt_us` nor `steps`.

    Examples
    --------
    >>> from neurosam.formats.events import EventRules
    >>> rules = EventRules(dt_us=1000, coincident="clip")
    >>> str(rules)
    'dt_us=1000, polarity=two, coincident=clip'
    >>> EventRules.from_metadata(rules.to_metadata()) == rules
    True
    """

    dt_us: int | None = None
    steps: int | None = None
    unit: str = ""
    start_us: int | None = None
    polarity: str = "two"
    downsample: int = 1
    pooling: str = "sum"
    crop: str | tuple[int, int] = ""
    sensor: tuple[int, int] | None = None
    coincident: str = "add"
    order: str = "refuse"
    columns: str = ""

    def __post_init__(self) -> None:
        choice("rules: unit", self.unit, ("", *UNITS), EventError)
        choice("rules: polarity", self.polarity, POLARITIES, EventError)
        choice("rules: pooling", self.pooling, ("sum", "any"), EventError)
        choice("rules: coincident", self.coincident, ("add", "clip"), EventError)
        choice("rules: order", self.order, ("refuse", "sort"), EventError)
        limits = {
            "dt_us": (1, LONGEST_US), "steps": (1, INDEX_MAX), "start_us": (-LONGEST_US, LONGEST_US),
            "downsample": (1, 4096),
        }  # fmt: skip
        for name, (low, high) in limits.items():
            value = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, integer(f"rules: {name}", value, low, high, EventError))
        if self.unit == "step" and self.dt_us is not None:
            raise EventError("rules", "got dt_us for times that are steps already; leave one of dt_us and unit out")
        if self.dt_us is None and self.steps is None and self.unit != "step":
            raise EventError("rules", "got neither dt_us nor steps; give the microseconds in a step, as in dt_us=1000")
        if self.sensor is not None:
            object.__setattr__(self, "sensor", _pixels("sensor", self.sensor, 1))
        if self.crop not in ("", "centre"):
            object.__setattr__(self, "crop", _pixels("crop", self.crop, 0))
        if self.columns and sorted(self.columns.replace("p", "")) not in (["t", "x", "y"], ["t", "x"]):
            raise EventError(
                "rules: columns", f"got {self.columns!r}; t, x, y and p in their order are required: 'txyp'"
            )

    @property
    def channels(self) -> int:
        """Channels of the input."""
        return 2 if self.polarity == "two" else 1

    def view(self, where: str, shape: Shape, sensor: tuple[int, int] | None) -> tuple[int, int]:
        """Width and height in pixels of the part of the sensor that an input of this shape sees.

        Raises
        ------
        EventError
            If channels do not match the polarity, or a flat input does not fit the sensor.
        """
        if len(shape) == 3:
            if shape[0] != self.channels:
                rest = "two" if shape[0] == 2 else "one, signed or on"
                raise EventError(where, f"polarity {self.polarity!r} gives {CHANNELS[self.channels]}; the input "
                                 f"{shape} has {shape[0]}: " + (f"choose the polarity {rest}" if shape[0] <= 2 else
                                                        "events have at most two"))  # fmt: skip
            return shape[2] * self.downsample, shape[1] * self.downsample
        if sensor is None:
            raise EventError(where, f"does not say how large its sensor is, which an input of shape {shape} needs; "
                             "give it: sensor=(width, height) (--rule sensor=WIDTHxHEIGHT)")  # fmt: skip
        width, height = (-(-side // self.downsample) for side in sensor)
        if self.channels * width * height != shape[0]:
            raise EventError(where, f"has {self.channels} x {height} x {width} inputs (polarity {self.polarity!r}, "
                             f"downsample {self.downsample}); the input has {shape[0]}")  # fmt: skip
        return width * self.downsample, height * self.downsample

    def __str__(self) -> str:
        """What differs from the defaults, and always the polarity and what happens to coincident events."""
        shown = []
        for item in fields(self):
            value = getattr(self, item.name)
            if value != item.default or item.name in ("polarity", "coincident"):
                shown.append(f"{item.name}={'x'.join(map(str, value)) if isinstance(value, tuple) else value}")
        return ", ".join(shown)

    def to_metadata(self) -> dict[str, str]:
        """As text, for ``Network.metadata``: the rules with which recordings are to be read for this network."""
        values = {item.name: getattr(self, item.name) for item in fields(self)}
        return {KEY: json.dumps({k: v for k, v in values.items() if v != type(self).__dataclass_fields__[k].default})}

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str]) -> EventRules | None:
        """From ``Network.metadata``; None where it has no rules.

        Raises
        ------
        EventError
            If the text does not parse, or a rule is out of range.
        """
        if KEY not in metadata:
            return None
        try:
            items = json.loads(metadata[KEY]).items()
            values: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in items}
            return cls(**values)
        except MALFORMED as error:
            raise EventError(
                f"metadata {KEY!r}", f"describes no rules ({str(error)[:200]}); give them by hand"
            ) from None


def _pixels(name: str, value: Any, low: int) -> tuple[int, int]:
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        raise EventError(f"rules: {name}", f"got {value!r}; two integers (x, y) are required")
    x, y = (integer(f"rules: {name}", side, low, 2**15, EventError) for side in value)
    return x, y
