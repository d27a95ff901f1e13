"""``neurosam verify``: are two files, or two back ends, equal? Exit status 1 where they are not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from neurosam.atomic import write_text
from neurosam.cli.common import DATA_HELP, console, presented, progress, read_events, require_new
from neurosam.errors import FormatError

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(verify)


def verify(
    a: Annotated[Path, typer.Argument(help="A network file; or the first of two networks or recordings.")],
    b: Annotated[Path | None, typer.Argument(help="The second, to compare two files.")] = None,
    backends: Annotated[
        str, typer.Option(help="For one network: back ends to run, the first is held against.")
    ] = "reference,event",
    data: Annotated[str | None, typer.Option(help=DATA_HELP + " Default: what it was trained on.")] = None,
    events: Annotated[Path | None, typer.Option(help="Events instead of images: .h5, or a dense .npy.")] = None,
    samples: Annotated[int, typer.Option(help="Held-out samples.")] = 50,
    steps: Annotated[int | None, typer.Option(help="As trained if left out.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the input spikes.")] = 0,
    network: Annotated[
        Path | None, typer.Option(help="For two recordings: their network, to order populations and tell distances.")
    ] = None,
    report: Annotated[Path | None, typer.Option("--json", help="Write the result as JSON.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the JSON.")] = False,
) -> None:
    """Compare two files, or run one network on several back ends and compare every spike, membrane and SAM value."""
    if report is not None:
        require_new(report, force)
    if b is not None:
        equal, result = _files(a, b, network)
    else:
        from neurosam.equivalence import verify as verify_network
        from neurosam.hdf5 import load_network

        net = load_network(a)
        stimulus = (
            read_events(events, net) if events is not None else presented(net, data, samples, seed, steps, None)[0]
        )
        names = tuple(name.strip() for name in backends.split(",") if name.strip())
        with progress("verifying") as tick:
            found = verify_network(net, stimulus, names, progress=tick)
        for equivalence in found.values():
            console.print(equivalence.table())
        equal = all(e.equal for e in found.values())
        result = {name: e.to_dict() for name, e in found.items()}
    if report is not None:
        write_text(report, json.dumps({"equal": equal, "result": result}, indent=2))
        console.print(f"wrote {report}")
    if not equal:
        raise typer.Exit(1)


def _files(a: Path, b: Path, network: Path | None) -> tuple[bool, dict[str, Any]]:
    from neurosam.equivalence import compare_networks
    from neurosam.equivalence import report as compare_recordings
    from neurosam.hdf5 import file_kind, load_network, load_recording

    kinds = file_kind(a), file_kind(b)
    if kinds == ("network", "network"):
        difference = compare_networks(load_network(a), load_network(b))
        console.print("equal bit for bit" if difference is None else f"first difference: {difference}", markup=False)
        return difference is None, {"difference": None if difference is None else str(difference)}
    if kinds == ("recording", "recording"):
        net = None if network is None else load_network(network)
        found = compare_recordings(load_recording(a), load_recording(b), net)
        console.print(found.table())
        return found.equal, found.to_dict()
    raise FormatError(f"{a}, {b}", f"are a {kinds[0]} and a {kinds[1]}; give two networks or two recordings")
