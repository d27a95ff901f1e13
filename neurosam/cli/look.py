"""``neurosam explain`` and ``neurosam demo``: what a network looked at."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from neurosam.cli.common import DATA_HELP, console, presented, progress, stimulus_of
from neurosam.cli.learn import require_torch
from neurosam.errors import BackendError, NetworkError

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(explain)
    app.command()(demo)


def require_pictures(what: str) -> None:
    """Say how to get matplotlib where it is missing."""
    from importlib.util import find_spec

    if find_spec("matplotlib") is None:
        raise BackendError(what, "needs matplotlib, which is not installed: pip install 'neurosam[viz]'")


def explain(
    network: Annotated[Path, typer.Argument(help="Network file.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the page and the pictures.")] = Path("explained"),
    layers: Annotated[str, typer.Option(help="Layers, comma-separated; all convolutional ones if left out.")] = "",
    data: Annotated[str | None, typer.Option(help=DATA_HELP + " Default: what it was trained on.")] = None,
    samples: Annotated[int, typer.Option(help="Held-out samples.")] = 12,
    steps: Annotated[int | None, typer.Option(help="As trained if left out.")] = None,
    coding: Annotated[str | None, typer.Option(help="As trained if left out.")] = None,
    gamma: Annotated[float | None, typer.Option(help="Decay of the traces; as exported if left out.")] = None,
    mode: Annotated[str | None, typer.Option(help="strict, inclusive or official; as exported if left out.")] = None,
    backend: Annotated[str, typer.Option(help="event, reference, ...")] = "event",
    seed: Annotated[int, typer.Option(min=0, help="Of the input spikes.")] = 0,
) -> None:
    """Show what a network looked at: spike activation maps of held-out images, as a page and pictures."""
    require_pictures("explain")
    from neurosam.backends import run
    from neurosam.hdf5 import load_network
    from neurosam.localisation import baselines, localisation
    from neurosam.maps import aggregate
    from neurosam.recording import Record
    from neurosam.report.folder import write_folder
    from neurosam.report.model import Table as ReportTable
    from neurosam.sam import SAM

    net = load_network(network)
    named = tuple(name.strip() for name in layers.split(",") if name.strip())
    chosen = named or tuple(name for name in net.sam if len(net[name].shape) == 3)
    if not chosen:
        raise NetworkError(str(network), "has no trace on a layer with a picture; name one with --layers and --gamma")
    net = SAM(net, chosen, gamma=gamma, mode=mode).traced(steps or stimulus_of(net, None, None).steps)
    events, images = presented(net, data, samples, seed, steps, coding)
    readout = () if net.readout.fires else (net.readout.name,)
    with progress(f"running on {backend}") as tick:
        recording = run(net, events, backend, Record(spikes=chosen, sam=chosen, membrane=readout), progress=tick)
    tables = []
    if images.masks is not None:
        maps = {f"SAM {name}": aggregate(recording.sam[name]) for name in chosen} | baselines(images.images)
        rows = [
            (name, found["mass_inside"], found["pointing_game"])
            for name, found in localisation(maps, images.masks).items()
        ]
        tables.append(ReportTable("Localisation", ("map", "mass inside the mask", "pointing game"), rows))
        shown = Table(title="share of a map inside the exact masks", title_justify="left")
        for column in ("map", "mass inside", "pointing game"):
            shown.add_column(column, justify="left" if column == "map" else "right")
        for label, mass, hit in rows:
            shown.add_row(label, f"{mass:.1%}", f"{hit:.1%}")
        console.print(shown)
    accuracy = float((recording.predictions == images.labels).mean())
    files = write_folder(
        out, net, recording, images.images, title=f"What {network.name} looked at", labels=images.labels,
        masks=images.masks, classes=images.classes, shown=samples,
        provenance={"network": network.name, "data": images.name, "seed": seed},
        highlights={f"accuracy on {len(images)} samples": f"{accuracy:.1%}"}, tables=tables,
    )  # fmt: skip
    console.print(f"accuracy {accuracy:.1%}; wrote {len(files)} files; open {files[0]}")


def demo(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write.")] = Path("neurosam-demo"),
    quick: Annotated[bool, typer.Option("--quick", help="A shorter one: fewer samples and epochs.")] = False,
    seed: Annotated[int, typer.Option(min=0)] = 0,
) -> None:
    """Train, export, run, verify and explain a small network on cluttered digits: about three minutes."""
    require_torch("demo")
    require_pictures("demo")
    from neurosam.demo import FULL, QUICK
    from neurosam.demo import demo as run_demo

    results = run_demo(
        out, QUICK if quick else FULL, seed, say=lambda line: console.print(line, highlight=False), bar=progress
    )
    for table in summary(results):
        console.print(table)
    console.print(f"\nopen [bold]{out / 'report.html'}[/bold]; numbers in {out / 'results.json'}; "
                  f"the network is {out / 'network.h5'} (neurosam info {out / 'network.h5'})")  # fmt: skip


def summary(results: dict[str, object]) -> list[Table]:
    """The demonstration's short tables."""
    from neurosam.demo import tables

    out = []
    for table in tables(results):
        shown = Table(title=table.heading, title_justify="left", caption=table.note or None, caption_justify="left")
        for i, column in enumerate(table.columns):
            shown.add_column(column, justify="left" if i == 0 else "right")
        for row in table.rows:
            shown.add_row(*(str(cell) for cell in row))
        out.append(shown)
    return out
