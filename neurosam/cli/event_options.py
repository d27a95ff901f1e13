"""Options of ``neurosam run`` for recordings of event cameras, and the rules that they make."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Annotated, Any

import typer

from neurosam.errors import EventError
from neurosam.formats.events.rules import POLARITIES, EventRules
from neurosam.network.network import Network

__all__ = ["DtUs", "Files", "FilmFile", "Polarity", "Rule", "Window", "columns_in", "rules_of"]

Files = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="FILE", show_default=False,
        help="Instead of held-out images: recordings of an event camera (.bin, .bs2, .aedat4, .raw, .dat, .es, .csv, "
        ".npy, .npz, or a folder), which are run in bounded memory; spikes (.npz, .npy, .h5); or images (.png, .npy, "
        "or a folder).",
    ),
]  # fmt: skip
DtUs = Annotated[
    int | None,
    typer.Option("--dt-us", min=1, show_default=False,
                 help="Of a recording: microseconds in a step. Default: as stored with the network, else 1000."),
]  # fmt: skip
Polarity = Annotated[
    str | None,
    typer.Option("--polarity", show_default=False,
                 help=f"Of a recording: {', '.join(POLARITIES)}. Default: by the channels of the input."),
]  # fmt: skip
Rule = Annotated[
    list[str] | None,
    typer.Option("--rule", metavar="NAME=VALUE", show_default=False,
                 help="Of a recording: any other rule (neurosam.formats.events.EventRules), as in downsample=2, "
                 "crop=centre, sensor=128x128, unit=ms, start_us=0, coincident=clip, order=sort."),
]  # fmt: skip
FilmFile = Annotated[
    Path | None,
    typer.Option("--film", show_default=False,
                 help="Of a recording: write a film of the first one, .html or .gif: input and spike activation maps."),
]  # fmt: skip
Window = Annotated[
    int | None,
    typer.Option("--window", min=1, show_default=False,
                 help="Steps in a frame of the film. Default: 5 ms; doubled as a long film needs it."),
]  # fmt: skip


def rules_of(
    network: Network, dt_us: int | None, polarity: str | None, steps: int | None, given: Sequence[str]
) -> EventRules:
    """The rules for recordings: those of the network, changed by options.

    Raises
    ------
    EventError
        If an option is no rule, or out of range.
    """
    rules = _rules_for(network)
    changes: dict[str, Any] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if name not in {item.name for item in fields(EventRules)} or not equals:
            allowed = ", ".join(item.name for item in fields(EventRules))
            raise EventError(f"--rule {text}", f"is no NAME=VALUE; the names are {allowed}")
        changes[name] = _value(name, value)
    changes |= {name: value for name, value in (("dt_us", dt_us), ("polarity", polarity), ("steps", steps)) if value}
    if changes.get("unit") == "step":
        changes.setdefault("dt_us", None)
    return replace(rules, **changes)


def columns_in(given: Sequence[str]) -> str:
    """The order of columns among the rules, which it takes to tell what a file holds."""
    return next((text.partition("=")[2] for text in given if text.startswith("columns=")), "")


def _value(name: str, text: str) -> Any:
    """A rule's value from its text: integers, pairs WxH or X,Y, words."""
    if match := re.fullmatch(r"(\d+)[x,](\d+)", text):
        return int(match[1]), int(match[2])
    if re.fullmatch(r"-?\d+", text):
        return int(text)
    return None if text == "none" and name in ("dt_us", "steps", "start_us", "sensor") else text


def _rules_for(network: Network) -> EventRules:
    """The rules that stand with a network; otherwise 1 ms a step, polarities by channels, spikes or graded events."""
    stored = EventRules.from_metadata(network.metadata)
    if stored is not None:
        return stored
    source = network.input
    polarity = "one" if len(source.shape) == 3 and source.shape[0] == 1 else "two"
    return EventRules(
        dt_us=1000, polarity=polarity, coincident="clip" if network.fixed and source.magnitude == 1 else "add"
    )
