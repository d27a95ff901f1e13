"""``neurosam verify``: compare two files, or the back ends on one network; exit status 1 if anything differs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from neurosam._util.atomic_write import write_text
from neurosam.cli.common import console, network_in, new_file, progress, say
from neurosam.cli.event_files import EventsFiles, read_inputs
from neurosam.cli.inputs import Data, Dtype, Seed, Size, Steps, presented
from neurosam.cli.sample_count import first_samples, mark_requested
from neurosam.errors import FormatError, NeurosamError
from neurosam.signals.inputs import Inputs

__all__ = ["verify"]

JSON = (".json",)


def verify(
    a: Annotated[Path, typer.Argument(help="A network file, or the first of two networks or recordings.")],
    b: Annotated[Path | None, typer.Argument(help="The second file, to compare two.", show_default=False)] = None,
    backends: Annotated[
        str, typer.Option(help="For one network: back ends to run; the others are compared with the first.")
    ] = "reference,event",
    data: Data = None,
    size: Size = None,
    events: EventsFiles = None,
    samples: Annotated[int, typer.Option(min=1, help="Held-out samples.", callback=mark_requested)] = 50,
    steps: Steps = None,
    seed: Seed = 0,
    dtype: Dtype = "float64",
    network: Annotated[
        Path | None,
        typer.Option(
            help="For two recordings: their network, which gives the order of layers and the distances to threshold.",
            show_default=False,
        ),
    ] = None,
    report: Annotated[Path | None, typer.Option("--json", help="Write the result as JSON.", show_default=False)] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing JSON file.")] = False,
) -> None:
    """Compare all that one network gives on several back ends (spikes, membranes, maps, answers, ...), or two files.

    Exit status 0 if all are equal, 1 if anything differs; the first difference is located. Floats are compared up to
    the rounding of --dtype; for two recordings made in float32, give their --network as well.
    """  # fmt: skip
    if report is not None:
        new_file(report, force, JSON)
    equal, result = (
        _backends(a, backends, data, size, events, samples, steps, seed, dtype)
        if b is None
        else _files(a, b, network, dtype)
    )
    if report is not None:
        write_text(report, json.dumps({"equal": equal, "result": result}, indent=2, allow_nan=False) + "\n")
        say(f"wrote {report}")
    if not equal:
        raise typer.Exit(1)


def _backends(
    path: Path,
    names: str,
    data: str | None,
    size: int | None,
    events: list[str] | None,
    samples: int,
    steps: int | None,
    seed: int,
    dtype: str,
) -> tuple[bool, dict[str, Any]]:
    from neurosam.backends.registry import load_backend
    from neurosam.equivalence.comparison import verify as verify_network

    if events and (data is not None or size is not None):
        raise NeurosamError("--events", "and --data or --size exclude each other; give one of them")
    requested = tuple(name.strip() for name in names.split(",") if name.strip())
    for name in requested:  # a missing back end is reported before the others run
        load_backend(name)
    net = network_in(path)
    inputs = (
        first_samples(read_inputs(events, net), samples)
        if events
        else Inputs.of(net, presented(net, data, samples, seed, steps, size=size)[0])
    )
    with progress("verifying") as tick:
        results = verify_network(net, inputs, requested, progress=tick, dtype=dtype)
    for equivalence in results.values():
        console.print(equivalence.table())
    return all(e.equal for e in results.values()), {name: e.to_dict() for name, e in results.items()}


def _files(a: Path, b: Path, network: Path | None, dtype: str) -> tuple[bool, dict[str, Any]]:
    from neurosam.equivalence.comparison import compare_networks
    from neurosam.equivalence.comparison import report as compare_recordings
    from neurosam.equivalence.tolerance import rounding_of
    from neurosam.hdf5.files import file_kind, load_network, load_recording

    kinds = file_kind(a), file_kind(b)
    if kinds == ("network", "network"):
        difference = compare_networks(load_network(a), load_network(b))
        say("equal bit for bit" if difference is None else f"first difference: {difference}")
        return difference is None, {"difference": None if difference is None else str(difference)}
    if kinds == ("recording", "recording"):
        if network is None and dtype != "float64":
            raise NeurosamError(f"--dtype {dtype}", "needs the --network of the recordings: its rounding depends on it")
        net = None if network is None else network_in(network)
        first, second = (load_recording(path, mapped=True) for path in (a, b))
        tolerance = None
        if net is not None and not net.fixed and dtype != "float64":
            tolerance = rounding_of(net, first.steps, dtype)
        equivalence = compare_recordings(first, second, net, tolerance)
        console.print(equivalence.table())
        return equivalence.equal, equivalence.to_dict()
    raise FormatError(f"{a} and {b}", f"hold a {kinds[0]} and a {kinds[1]}; give two networks or two recordings")
