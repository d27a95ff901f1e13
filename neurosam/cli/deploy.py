"""``neurosam export`` and ``neurosam run``: a module becomes a network file; a network file runs on a back end."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.table import Table

from neurosam.cli.common import DATA_HELP, console, presented, progress, read_events, require_new, train_and_test
from neurosam.cli.learn import require_torch
from neurosam.errors import NetworkError
from neurosam.precision import Precision
from neurosam.quantise import QuantisationReport, quantise
from neurosam.recording import Record
from neurosam.trace import SamTrace

__all__ = ["precision_of", "quantisation_table", "register"]

PRECISIONS = {"lava": Precision.lava, "nxsdk": Precision.nxsdk}


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(export)
    app.command()(run)


def precision_of(name: str, bits: int) -> Precision | None:
    """A preset by name; None for "float"."""
    if name == "float":
        return None
    if name not in PRECISIONS:
        raise NetworkError("--precision", f"got {name!r}; known are float, {', '.join(PRECISIONS)}")
    return PRECISIONS[name](bits)


def export(
    model: Annotated[Path, typer.Argument(help="What `neurosam train` wrote.")],
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Network file; beside the model if left out.")] = None,
    precision: Annotated[str, typer.Option(help="lava, nxsdk (fixed point), or float.")] = "lava",
    bits: Annotated[int, typer.Option(min=2, max=8, help="Bits of a weight.")] = 8,
    calibrate: Annotated[int, typer.Option(min=0, help="Training samples by which scales are chosen.")] = 64,
    gamma: Annotated[float, typer.Option(help="Decay of the SAM traces.")] = 0.5,
    mode: Annotated[str, typer.Option(help="SAM mode: strict, inclusive or official.")] = "strict",
    force: Annotated[bool, typer.Option("--force", help="Overwrite.")] = False,
) -> None:
    """Turn a trained model into a network file, quantised by default."""
    require_torch("export")
    out = model.with_suffix(".h5") if out is None else out
    require_new(out, force)
    from neurosam.export import to_network
    from neurosam.training.model import load_model

    module, recipe = load_model(model)
    fixed = precision_of(precision, bits)
    metadata = recipe.stimulus.to_metadata() | {"seed": str(recipe.seed), "architecture": recipe.architecture}
    network = to_network(module, recipe.input_shape, sam=SamTrace(gamma, mode), metadata=metadata)
    if fixed is not None:
        calibration = None
        if calibrate:
            train_set = train_and_test(recipe.stimulus.data, recipe.seed)[0]
            images = train_set.images[np.arange(min(calibrate, len(train_set)))]
            calibration = recipe.stimulus.encode(images, seed=recipe.seed)
        network, report = quantise(network, fixed, calibration)
        console.print(quantisation_table(report))
    network.save(out)
    console.print(f"wrote {out}; next: neurosam run {out}")


def quantisation_table(report: QuantisationReport) -> Table:
    """What quantisation did, as a table."""
    table = Table(title="quantisation", title_justify="left")
    for column in (
        "population",
        "weights",
        "clipped",
        "SNR dB",
        "threshold",
        "largest input",
        "of 2^17",
        "membrane peak",
    ):
        table.add_column(column, justify="left" if column == "population" else "right")
    for row in report.populations:
        table.add_row(
            row.population, f"{row.weight_low}..{row.weight_high}", f"{row.clipped:.2%}", f"{row.weight_snr_db:.1f}",
            str(row.threshold or "-"), f"{row.arrival_bound:,}", f"{row.arrival_bound / 2**17:.1%}",
            f"{row.membrane_peak / 2**23:.1%}" if row.membrane_peak else "-",
        )  # fmt: skip
    if np.isfinite(report.agreement):
        table.caption = f"float and fixed point agree on {report.agreement:.1%} of the calibration samples"
    return table


def run(
    network: Annotated[Path, typer.Argument(help="Network file.")],
    data: Annotated[str | None, typer.Option(help=DATA_HELP + " Default: what it was trained on.")] = None,
    events: Annotated[
        Path | None, typer.Option(help="Events instead of images: .h5, or a dense .npy [T, B, C, H, W].")
    ] = None,
    backend: Annotated[str, typer.Option(help="event, reference, ...")] = "event",
    samples: Annotated[int, typer.Option(help="Held-out samples.")] = 100,
    steps: Annotated[int | None, typer.Option(help="Steps a presentation; as trained if left out.")] = None,
    coding: Annotated[str | None, typer.Option(help="As trained if left out.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the input spikes.")] = 0,
    threads: Annotated[int | None, typer.Option(min=1)] = None,
    device: Annotated[str, typer.Option(help="cpu or cuda (reference).")] = "cpu",
    record: Annotated[
        str, typer.Option(help="What to keep, comma-separated: spikes, sam, membrane, current, all.")
    ] = "",
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Recording file to write.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite.")] = False,
) -> None:
    """Run a network on held-out images or on events."""
    from neurosam.backends import run as run_network
    from neurosam.hdf5 import load_network

    if out is not None:
        require_new(out, force)
    net = load_network(network)
    labels = None
    if events is not None:
        stimulus = read_events(events, net)
    else:
        stimulus, images = presented(net, data, samples, seed, steps, coding)
        labels = images.labels
    with progress(f"running on {backend}") as tick:
        recording = run_network(
            net,
            stimulus,
            backend,
            _record(record, Record.everything(net)),
            threads=threads,
            device=device,
            progress=tick,
        )
    table = Table(title=f"{recording.samples} samples x {recording.steps} steps on {backend}", title_justify="left")
    for column in ("population", "spikes", "a sample", "neurons active a step"):
        table.add_column(column, justify="left" if column == "population" else "right")
    for name, counts in recording.counts.items():
        size = float(np.prod(net[name].shape))
        rate = f"{counts.mean() / size:.2%}" if counts.size else "-"
        table.add_row(name, f"{int(counts.sum()):,}", f"{counts.sum() / max(recording.samples, 1):,.0f}", rate)
    console.print(table)
    operations = sum(recording.operations.values())
    speed = f"{recording.samples / recording.time_s:,.0f} samples/s" if recording.time_s else ""
    if operations and recording.time_s:
        speed += f", {operations / recording.time_s / 1e9:.2f} G synaptic operations/s"
    console.print(f"{recording.time_s:.3f} s ({speed})")
    if labels is not None:
        console.print(f"accuracy [bold]{(recording.predictions == labels).mean():.2%}[/bold]")
    if out is not None:
        recording.save(out)
        console.print(f"wrote {out}")


def _record(text: str, everything: Record) -> Record:
    """The request that a comma-separated list of variables stands for."""
    names = [part.strip() for part in text.split(",") if part.strip()]
    known = tuple(Record.__dataclass_fields__)
    for name in names:
        if name != "all" and name not in known:
            raise NetworkError("--record", f"got {name!r}; known are {', '.join(known)}, all")
    return Record(**{name: getattr(everything, name) for name in known if name in names or "all" in names})
