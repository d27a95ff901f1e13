"""Files with the input of a run: events of the network's only input, of several in one file, or a file for each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from neurosam.backends.registry import check
from neurosam.cli.inputs import events_in
from neurosam.errors import EventError, FormatError
from neurosam.signals.events import Events
from neurosam.signals.inputs import Inputs
from neurosam.signals.recording import Record

if TYPE_CHECKING:
    from neurosam.network.network import Network
    from neurosam.signals.state import State

__all__ = ["EventsFiles", "read_inputs", "read_state"]

EventsFiles = Annotated[
    list[str] | None,
    typer.Option(
        "--events", metavar="[NAME=]FILE", show_default=False,
        help="Spikes instead of images: .h5, .npz, or a dense array (time, sample, C, H, W) in .npy. For "
        "several inputs, once for each, with its name, or one .h5 with all of them.",
    ),
]  # fmt: skip


def read_inputs(files: Sequence[str], network: Network) -> Inputs:
    """Read the events of all inputs of a network.

    Parameters
    ----------
    files : sequence of str
        ``FILE``, or ``NAME=FILE`` for the input of that name.
    network : Network

    Raises
    ------
    NeurosamError
        If an input has no file or two, a file is not readable, or its events do not fit; the message names the file.
    """
    names = [p.name for p in network.inputs]
    events: dict[str, Events] = {}
    for file in files:
        name, _, path = file.partition("=")
        if name in names and path:
            given = {name: _of_one(Path(path))}
        else:
            given = _of_all(Path(file), names)
        if twice := [name for name in given if name in events]:
            raise EventError(f"--events {file}", f"gives the input {twice[0]!r} again; give one file for each")
        events |= given
    try:
        inputs = Inputs.of(network, events)
        check(network, inputs, Record())
    except EventError as error:
        raise EventError(f"{', '.join(files)}: {error.where}", error.problem) from None
    if not inputs.samples:
        raise EventError(files[0], "holds no samples; at least 1 is required")
    return inputs


def _of_one(path: Path) -> Events:
    """Read the events of one input."""
    events = events_in(path)
    if isinstance(events, Inputs):
        raise EventError(str(path), f"holds events of several inputs ({', '.join(events)}); give it without a name")
    return events


def _of_all(path: Path, names: Sequence[str]) -> dict[str, Events]:
    """Read a file that was given without a name, for inputs of these names."""
    events = events_in(path)
    if isinstance(events, Inputs):
        return dict(events)
    if len(names) > 1:
        each = " ".join(f"--events {name}=FILE" for name in names)
        raise EventError(f"--events {path}", f"names no input; the network has several: {each}")
    return {names[0]: events}


def read_state(path: Path, network: Network, samples: int) -> State:
    """Read the state in which a run is to start: a file of its own, or a recording that holds one.

    Raises
    ------
    NeurosamError
        If the file holds no state, or it does not fit the network and the number of samples.
    """
    from neurosam.hdf5.files import file_kind, load
    from neurosam.signals.recording import Recording
    from neurosam.signals.state import State

    kind = file_kind(path)
    if kind not in ("state", "recording"):
        raise FormatError(str(path), f"holds {kind}; a state is required, as `neurosam run --keep-state` writes it")
    held = load(path, mapped=kind == "recording")
    state = held.state if isinstance(held, Recording) else held
    if not isinstance(state, State):
        raise FormatError(str(path), "is a recording without a state; run it again with --keep-state")
    try:
        state.check(network, samples)
    except EventError as error:
        raise EventError(f"{path}: {error.where}", error.problem) from None
    return state
