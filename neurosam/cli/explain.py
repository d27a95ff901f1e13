"""``neurosam explain``: show what a network looked at, as a page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from neurosam._util.packages import missing_package, missing_packages
from neurosam.cli.beside import beside_network, beside_tables, localisation_table, names_of
from neurosam.cli.chips import chip_tables
from neurosam.cli.common import network_in, new_folder, progress, say, show
from neurosam.cli.errors import report_warning
from neurosam.cli.event_files import EventsFiles
from neurosam.cli.inputs import Coding, Data, Dtype, Seed, Size, Steps
from neurosam.cli.labels import Labels
from neurosam.cli.sample_count import mark_requested
from neurosam.cli.shown import Shown, shown_events, shown_images
from neurosam.cli.workers import Dask, Jobs, Recorder
from neurosam.deploy.kept_report import kept_report, outlasted, summary
from neurosam.errors import NetworkError, NeurosamError
from neurosam.network.network import Network
from neurosam.signals.answer import accuracy_text
from neurosam.signals.overflow import overflow_warning
from neurosam.signals.recording import Record

__all__ = ["explain"]


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
    beside: Annotated[
        Path | None,
        typer.Option(
            help="Network file of the same layers, such as the float network, whose maps and answers stand beside.",
            show_default=False,
        ),
    ] = None,
    chip: Annotated[
        str | None,
        typer.Option(help="Also what an inference costs on this chip (neurosam chips).", show_default=False),
    ] = None,
    backend: Annotated[str, typer.Option(help="event, reference, or another installed back end.")] = "event",
    dtype: Dtype = "float64",
    seed: Seed = 0,
    membrane_mb: Annotated[
        float,
        typer.Option(min=0, max=1000, help="Most membranes of single neurons in the page, in 10^6 bytes."),
    ] = 8.0,
    jobs: Jobs = None,
    dask: Dask = None,
    force: Annotated[bool, typer.Option("--force", help="Write into a folder that holds other files.")] = False,
) -> None:
    """Show what a network looked at: spike activation maps of held-out images or events, as a page and PNG files.

    With --jobs or --dask, chunks of samples are run by several processes, and an interrupted run goes on where it
    stopped; the page is drawn here.
    """
    new_folder(out, force, "report.json", (network, data, events, labels, beside, chip))
    from neurosam.explain.sam import SAM
    from neurosam.metrics.measures import neurobench
    from neurosam.report.folder import NEEDED, write_folder
    from neurosam.report.metrics import neurobench_table
    from neurosam.report.recorded import report_of
    from neurosam.report.samples import record_neurons
    from neurosam.report.tables import quantisation_table

    if events and (data is not None or size is not None or coding is not None or steps is not None):
        raise NeurosamError("--events", "and --data, --size, --coding or --steps exclude each other; give one of them")
    if labels is not None and not events:
        raise NeurosamError("--labels", "goes with --events; a data set has its own")
    recorder = Recorder(jobs, dask, out)
    net = network_in(network)
    layer_names = _layers(net, layers, network)
    other = None if beside is None else beside_network(beside, net, layer_names)

    def seen(of: Network) -> Shown:
        if events:
            return shown_events(of, events, labels, samples)
        return shown_images(of, data, samples, seed, steps, coding, size)

    shown = seen(net)
    kept = kept_report(net)
    net = SAM(net, layer_names, gamma=gamma, mode=mode).traced(shown.inputs.steps)
    output, counts = net.output, net.answers[net.output] == "count"
    firing = tuple(p.name for p in net.populations if p.neuron is not None and p.fires)
    request = Record(spikes=firing, sam=layer_names, membrane=() if counts else (output,))
    recording = recorder.run(net, shown.inputs, backend, request, dtype, f"running on {backend}")
    with progress("recording neurons"):
        detail = record_neurons(
            net, shown.inputs, backend, layers=layer_names, samples=samples, membrane_mb=membrane_mb, dtype=dtype
        )
    tables = []
    if shown.masks is not None:
        tables.append(localisation_table(recording, shown.images, shown.masks))
    tables.append(neurobench_table(neurobench(net, recording, shown.inputs)))
    for table in tables:
        show(table.heading, table.columns, [[_short(cell) for cell in row] for row in table.rows], note=table.note)
    named = None
    if other is not None and beside is not None:
        traced = SAM(other, layer_names, gamma=gamma, mode=mode).traced(shown.inputs.steps)
        inputs = shown.inputs if events else seen(traced).inputs
        request = Record(sam=layer_names)
        exact = recorder.run(traced, inputs, backend, request, dtype, f"running {beside.name}", ".beside")
        name, other_name = names_of(net, network, other, beside)
        named = other_name, exact
        tables += beside_tables(name, recording, *named, shown.labels)
        say(f"agreement with {beside.name} {np.mean(recording.predictions == exact.predictions):.1%}")
    if kept is not None:
        tables.append(quantisation_table(kept))
    if chip is not None:
        tables += chip_tables(net, chip, shown.inputs)
    count = recording.samples
    accuracy = None if shown.labels is None else accuracy_text(recording.predictions, shown.labels, 1)
    provenance: dict[str, str | int] = {"network": network.name, "data": shown.source, "seed": seed}
    if kept is not None:
        provenance["quantisation"] = summary(kept)
    report = report_of(
        net, recording, shown.images, title=f"What {network.name} looked at", labels=shown.labels, masks=shown.masks,
        classes=shown.classes, shown=samples, inputs=shown.inputs, detail=detail, beside=named, provenance=provenance,
        highlights={} if accuracy is None else {f"accuracy on {count} samples": accuracy}, tables=tables,
    )  # fmt: skip
    with progress("drawing"):
        files = write_folder(out, report, recording, membrane_mb)
    recorder.tidy()
    if accuracy is not None:
        say(f"accuracy {accuracy} on {count} samples")
    if warning := overflow_warning(recording) or outlasted(kept, recording.steps):
        report_warning(warning)
    if missing := missing_packages(*NEEDED):
        say(f"no PNG files: drawing them {missing_package('explain', *missing).problem}")
    say(f"wrote {len(files)} files; open {files[0]}")


def _layers(net: Network, text: str, file: Path) -> tuple[str, ...]:
    """The layers that --layers names, or all that have maps."""
    requested = tuple(name.strip() for name in text.split(",") if name.strip())
    names = requested or tuple(name for name in net.sam if len(net[name].shape) == 3)
    if not names:
        raise NetworkError(str(file), "has no SAM trace on a layer of shape (C, H, W); name layers with --layers")
    for name in names:
        if len(net[name].shape) != 3:
            raise NetworkError(f"--layers: {name!r}", "does not have the shape (C, H, W); name a convolutional layer")
    return names


def _short(value: Any) -> str:
    """A cell as a table in a terminal shows it."""
    if isinstance(value, str):
        return value
    return f"{value:,.0f}" if value >= 1000 else f"{value:.4g}"
