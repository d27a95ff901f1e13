"""Recordings that another implementation made: ``neurosam import FILE --network NET``, and files of ``verify``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from neurosam.cli.common import HDF5, network_in, new_file, say
from neurosam.cli.errors import report_warning
from neurosam.cli.info import show_recording
from neurosam.errors import FormatError, NeurosamError
from neurosam.formats.recordings import SUFFIXES, read_recording

if TYPE_CHECKING:
    from neurosam.network.network import Network
    from neurosam.signals.recording import Recording

__all__ = [
    "Extent",
    "FirstStep",
    "NetworkOfRecording",
    "RecordedSamples",
    "RecordedSteps",
    "Silent",
    "import_recording",
    "is_foreign",
    "names_in",
    "read_like",
    "refuse_options",
]

NetworkOfRecording = Annotated[
    Path | None,
    typer.Option("--network", help="Of a recording (.csv, .npz): the network file that was run.", show_default=False),
]
FirstStep = Annotated[
    int | None,
    typer.Option("--first-step", min=0, help="Of a recording: own step of its first. Default: 0.", show_default=False),
]
RecordedSteps = Annotated[
    int | None,
    typer.Option("--steps", min=1, help="Of a recording in .csv: its steps. Default: to the last that occurs.",
                 show_default=False),
]  # fmt: skip
RecordedSamples = Annotated[
    int | None,
    typer.Option("--samples", min=1, help="Of a recording in .csv: its samples. Default: to the last that occurs.",
                 show_default=False),
]  # fmt: skip
Silent = Annotated[
    str | None,
    typer.Option("--silent", help="Of a recording in .csv: populations that were recorded and may have no row, as in "
                 "conv1,conv2.", show_default=False),
]  # fmt: skip


def refuse_options(options: Mapping[str, object], why: str) -> None:
    """Refuse options that were given."""
    for name, value in options.items():
        if value is not None:
            raise NeurosamError(f"--{name}", why)


def names_in(silent: str | None) -> list[str]:
    """The populations that ``--silent`` names."""
    return [name.strip() for name in (silent or "").split(",") if name.strip()]


def is_foreign(path: Path) -> bool:
    """Whether a file is a recording that another implementation made, by its name."""
    return path.suffix.lower() in SUFFIXES


def import_recording(
    file: Path,
    out: Path | None,
    network: Path,
    first_step: int | None,
    steps: int | None,
    samples: int | None,
    silent: str | None,
    force: bool,
) -> None:
    """Write a recording file, and print what it holds."""
    if not is_foreign(file):
        raise FormatError(str(file), f"has the wrong suffix; recordings are read from {' and '.join(SUFFIXES)}")
    target = new_file(file.with_suffix(".h5") if out is None else out, force, HDF5, (file, network))
    net = network_in(network)
    made = read_recording(
        file, net, first_step=first_step or 0, steps=steps, samples=samples, silent=names_in(silent)
    )  # fmt: skip
    show_recording(made)
    if file.suffix.lower() == ".csv":
        _say_what_rows_cannot_tell(made, net, steps, samples)
    made.save(target)
    say(f"wrote {target}; next: neurosam verify GOLDEN.h5 {target} --network {network}")


def _say_what_rows_cannot_tell(made: Recording, network: Network, steps: int | None, samples: int | None) -> None:
    if steps is None or samples is None:
        report_warning(
            f"{made.steps} steps and {made.samples} samples, up to the last that occur: if the run went on in silence, "
            "give --steps and --samples"
        )
    firing = [p.name for p in network.populations if p.neuron is not None and p.fires]
    if absent := [name for name in firing if name not in made.spikes]:
        report_warning(f"no spikes of {', '.join(absent)}: not in the recording; if silent, give --silent")


class Extent(NamedTuple):
    """The steps and samples of what a recording is compared with."""

    first_step: int
    steps: int
    samples: int


def read_like(path: Path, network: Network, like: Extent | None, silent: Sequence[str] = ()) -> Recording:
    """Read a recording that is to be compared with something of known steps and samples."""
    is_csv = path.suffix.lower() == ".csv"
    silent = silent if is_csv else ()
    if like is None:
        return read_recording(path, network, silent=silent)
    if is_csv:
        return read_recording(path, network, steps=like.first_step + like.steps, samples=like.samples, silent=silent)
    made = read_recording(path, network, samples=like.samples)
    if made.steps > like.steps and not made.first_step:  # perhaps global steps, which this tells
        return read_recording(path, network, steps=like.steps, samples=like.samples)
    return made
