"""What goes into a run: one :class:`~neurosam.signals.events.Events` for each input population, of one length."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from neurosam._util.saving import save
from neurosam.errors import EventError
from neurosam.network.network import Network
from neurosam.network.synapse import Shape
from neurosam.signals.events import Events

__all__ = ["Inputs"]


@dataclass(frozen=True, eq=False)
class Inputs(Mapping[str, Events]):
    """Events by input population, with the same steps and samples.

    Parameters
    ----------
    events : mapping of str to Events
        At least one.

    Raises
    ------
    EventError
        If they differ in steps or samples, or there are none.
    """

    events: Mapping[str, Events]

    def __post_init__(self) -> None:
        object.__setattr__(self, "events", dict(self.events))
        if len(self.events) == 1:
            return
        extents = {name: (e.steps, e.samples) for name, e in self.events.items()}
        if len(set(extents.values())) != 1:
            got = ", ".join(f"{name!r} {steps} and {samples}" for name, (steps, samples) in extents.items())
            raise EventError("events", f"got steps and samples {got or 'of no input'}; all inputs need the same")

    @property
    def steps(self) -> int:
        """T."""
        return next(iter(self.events.values())).steps

    @property
    def samples(self) -> int:
        """B."""
        return next(iter(self.events.values())).samples

    @classmethod
    def of(cls, network: Network, events: Events | Mapping[str, Events]) -> Inputs:
        """The events of a network's inputs, in the network's order.

        Raises
        ------
        EventError
            If an input is missing or unknown, a shape is wrong, or lengths differ.
        """
        names = [p.name for p in network.inputs]
        if not isinstance(events, (Events, Mapping)):
            raise EventError(
                "events",
                f"got {type(events).__name__}; Events are required: Events.from_dense(x) for [T, B, ...], "
                "neurosam.formats.events.from_array for records of a camera",
            )
        if isinstance(events, Events):
            if len(names) > 1:
                raise EventError(
                    "events", f"are given for one input; the network has {', '.join(map(repr, names))}. Give a mapping"
                )
            events = {names[0]: events}
        if events.keys() != set(names):
            missing, unknown = [n for n in names if n not in events], [n for n in events if n not in names]
            problem = (
                f"lack the input {missing[0]!r}" if missing else f"are given for {unknown[0]!r}, which is no input"
            )
            raise EventError("events", f"{problem}; the network has {', '.join(map(repr, names))}")
        for population in network.inputs:
            if events[population.name].shape != population.shape:
                raise EventError(
                    "events",
                    f"have shape {events[population.name].shape}; the input population {population.name!r} has "
                    f"{population.shape}" + _remedy(events[population.name].shape, population.shape),
                )
        return cls({name: events[name] for name in names})

    def __getitem__(self, name: str) -> Events:
        return self.events[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.events)

    def __len__(self) -> int:
        return len(self.events)

    def select(self, start: int, stop: int) -> Inputs:
        """The samples ``start:stop``."""
        return Inputs({name: events.select(start, stop) for name, events in self.events.items()})

    def save(self, path: Any) -> None:
        """Write all events to one HDF5 file, atomically."""
        save(self, path)


def _remedy(given: Shape, shape: Shape) -> str:
    """What to do about events of another shape."""
    if len(given) == len(shape) == 3 and given == (shape[0], shape[2], shape[1]):
        return "; height and width are swapped: shapes are (C, H, W)"
    return ""
