"""``neurosam verify``: compare two files, or the back ends on one network; exit status 1 if anything differs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from neurosam._util.atomic_write import write_text
from neurosam.cli.common import console, network_in, new_file, progress, say
from neurosam.cli.event_files import EventsFiles, read_inputs
from neurosam.cli.inputs import Data, Dtype, Seed, Size, Steps, presented
from neurosam.cli.worth import By, Isolate, Mutants, Search, SearchOut, isolated, worth
from neurosam.errors import FormatError, NeurosamError
from neurosam.signals.inputs import Inputs

if TYPE_CHECKING:
    from neurosam.network.network import Network
    from neurosam.signals.recording import Recording

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
    samples: Annotated[int, typer.Option(min=1, help="Held-out samples.")] = 50,
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
    mutants: Mutants = None,
    by: By = "spikes",
    search: Search = None,
    out: SearchOut = None,
    isolate: Isolate = False,
    report: Annotated[Path | None, typer.Option("--json", help="Write the result as JSON.", show_default=False)] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing JSON file.")] = False,
) -> None:
    """Compare all that one network gives on several back ends (spikes, membranes, maps, answers, ...), or two files.

    Exit status 0 if all are equal, 1 if anything differs; the first difference is located. Floats are compared up to
    the rounding of --dtype; for two recordings made in float32, give their --network as well.
    """  # fmt: skip
    if report is not None:
        new_file(report, force, JSON)
    if (search is not None or out is not None) and mutants is None:
        raise NeurosamError("--search and --out", "look for what tells mutants apart; give --mutants too")
    if mutants is not None or isolate:
        described = network if b is not None and network is not None else a
        net = network_in(described)
        inputs, more = _stimulus(net, data, size, events, samples, steps, seed)
    if mutants is not None:
        if b is not None or isolate:
            raise NeurosamError(
                "--mutants", "is for one network and a stimulus; leave out the second file and --isolate"
            )
        equal, result = True, worth(net, inputs, mutants, by, search, out, seed, more, force)
    elif isolate:
        equal, result = isolated(net, inputs, *_sides(a, b, backends), dtype)
    else:
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


def _stimulus(
    net: Network,
    data: str | None,
    size: int | None,
    events: list[str] | None,
    samples: int,
    steps: int | None,
    seed: int,
) -> tuple[Inputs, Callable[[int], Inputs] | None]:
    """The input of a run, and where there is data, a function that gives the first samples of it."""
    if events and (data is not None or size is not None):
        raise NeurosamError("--events", "and --data or --size exclude each other; give one of them")
    if events:
        return read_inputs(events, net), None

    def first(count: int) -> Inputs:
        return Inputs.of(net, presented(net, data, count, seed, steps, size=size)[0])

    return first(samples), first


def _sides(a: Path, b: Path | None, backends: str) -> tuple[Recording | str, Recording | str]:
    """The other side and the golden one, for --isolate: recordings, or back ends."""
    from neurosam.hdf5.files import load_recording

    if b is not None:
        return load_recording(b, mapped=True), load_recording(a, mapped=True)
    names = [name.strip() for name in backends.split(",") if name.strip()]
    if len(names) != 2:
        raise NeurosamError("--isolate", f"got {len(names)} back ends; it takes two, the golden one first")
    return names[1], names[0]


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
        read_inputs(events, net) if events else Inputs.of(net, presented(net, data, samples, seed, steps, size=size)[0])
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
